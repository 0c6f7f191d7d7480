"""Nodes on which tasks keep failing while the same step goes well elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from slurm.states.task_state import TaskState

# A broken disk, mount or GPU shows as one of these; a command's own faults do as well, but on all
# nodes alike. The other causes come from the input, from the limits asked for, or from SLURM.
CAUSES_OF_NODES = frozenset({"node", "disk full", "code", "no word"})
FEWEST_FAILURES = 3
TIMES_ELSEWHERE = 4


def bad_nodes(states: Mapping[int, TaskState]) -> dict[str, str]:
    """Why each bad node is held for one, by name; the states are those of one step.

    On a bad node at least three of the tasks that ended there have failed for causes that may be a
    node's, and four times as large a part of them as on the nodes with smaller parts together, to
    which one failure and one success are added, for few tasks prove little.
    """
    ended: dict[str, list[bool]] = defaultdict(list)
    for state in states.values():
        is_one_node = state.node and not set("[,") & set(state.node)
        if is_one_node and (state.is_done or state.cause in CAUSES_OF_NODES):
            ended[state.node].append(not state.is_done)
    bad: dict[str, str] = {}
    failed_elsewhere, ended_elsewhere = 0, 0
    for node in sorted(ended, key=lambda node: (sum(ended[node]) / len(ended[node]), node)):
        failed, number = sum(ended[node]), len(ended[node])
        elsewhere = (failed_elsewhere + 1) / (ended_elsewhere + 2)
        if failed >= FEWEST_FAILURES and failed / number >= TIMES_ELSEWHERE * elsewhere:
            bad[node] = (
                f"{failed} of the {number} tasks that ended on {node} failed, "
                f"and {failed_elsewhere} of {ended_elsewhere} on other nodes"
            )
            continue
        failed_elsewhere += failed
        ended_elsewhere += number
    return bad


def exclude_option(bad: Iterable[str], states: Iterable[TaskState]) -> str:
    """The option that keeps a step off these nodes and those it was kept off before."""
    newest = max((s.submission for s in states), key=lambda s: s.number, default=None)
    before = newest.manifest.resources.exclude if newest else None
    return f"--exclude {','.join([*([before] if before else []), *sorted(bad)])}"
