import dataclasses
from pathlib import Path

from slurm.states.nodes import bad_nodes, exclude_option
from slurm.states.task_state import TaskState
from slurm.submission import StepFolder
from tests.submissions import LIGHT, manifest_of


def states(folder: Path, ends: dict[str, list[str]], *, exclude: str = "") -> dict[int, TaskState]:
    """Ended tasks: for each node the causes of their ends, empty for those that ended well."""
    resources = dataclasses.replace(LIGHT, exclude=exclude or None)
    step = StepFolder(folder / "extract")
    submission = step.begin(manifest_of(step, ["true"], [0], resources=resources))
    every = [(node, cause) for node, causes in ends.items() for cause in causes]
    return {
        index: TaskState(
            index=index,
            submission=submission,
            job_id=f"7_{index}",
            state="FAILED" if cause else "COMPLETED",
            is_live=False,
            is_done=not cause,
            said_by="queue",
            doubt="",
            node=node,
            restarts=0,
            started_at=None,
            ended_at=None,
            cause=cause,
            cpu_efficiency=None,
            memory_efficiency=None,
            gpu_efficiency=None,
        )
        for index, (node, cause) in enumerate(every)
    }


WELL = [""] * 20


def test_a_node_on_which_tasks_keep_failing_is_named(tmp_path: Path) -> None:
    of = states(tmp_path, {"node1": WELL, "node2": [*WELL, "code"], "node3": ["node"] * 5 + [""]})
    assert bad_nodes(of) == {
        "node3": "5 of the 6 tasks that ended on node3 failed, and 1 of 41 on other nodes"
    }


def test_two_bad_nodes_do_not_excuse_each_other(tmp_path: Path) -> None:
    bad = ["no word"] * 40
    of = states(tmp_path, {"node1": WELL * 3, "node2": bad, "node3": bad[:30]})
    assert sorted(bad_nodes(of)) == ["node2", "node3"]


def test_a_command_that_fails_everywhere_is_no_nodes_fault(tmp_path: Path) -> None:
    of = states(tmp_path, {f"node{k}": ["code"] * 5 + [""] * (k % 2) for k in range(4)})
    assert bad_nodes(of) == {}


def test_what_comes_from_input_limits_or_slurm_is_no_nodes_fault(tmp_path: Path) -> None:
    causes = ["decode", "NaN", "out of memory", "time limit", "preempted", "cancelled"]
    assert bad_nodes(states(tmp_path, {"node1": WELL, "node2": causes * 3})) == {}


def test_few_tasks_prove_little(tmp_path: Path) -> None:
    assert bad_nodes(states(tmp_path, {"node1": WELL, "node2": ["node"] * 2})) == {}
    assert bad_nodes(states(tmp_path, {"node1": [""], "node2": ["node"] * 3})) == {}
    assert bad_nodes(states(tmp_path, {"node2": ["node"] * 30})) == {}


def test_the_option_keeps_nodes_excluded_that_were_so_before(tmp_path: Path) -> None:
    of = states(tmp_path, {"node1": WELL}, exclude="node[7-9]")
    assert exclude_option(["node3", "node2"], of.values()) == "--exclude node[7-9],node2,node3"
