"""Videos that could not be used, by step and reason, from what the steps themselves recorded."""

from collections import Counter
from pathlib import Path

from mcn.data.ledger_columns import read_columns
from mcn.root import Root
from mcn.store.outcomes import StoreOutcomes
from mcn.store.summary import modality_folders

_UNREADABLE = "in a shard that cannot be read: see jobs/store.py verify"


def lost_videos(root: Root) -> dict[str, dict[str, int]]:
    """Number of failed videos by reason, the most frequent first, of each step that has any.

    Steps are those of the ledger, and the stores, whose sealed shards alone are asked; those of
    benchmarks bear the benchmark's name before their own.
    """
    places = [("", root)] + [
        (f"{path.name}/", root.benchmark(path.name)) for path in sorted(root.benchmarks.glob("*"))
    ]
    lost: dict[str, dict[str, int]] = {}
    for prefix, place in places:
        for folder in sorted(place.ledger.glob("*")):
            lost[prefix + folder.name] = _sorted(
                sum(read_columns(folder).failures().values(), Counter())
            )
        for folder in modality_folders(place.store):
            lost[prefix + folder.name] = _sorted(_failures_of_shards(folder))
    return {step: reasons for step, reasons in lost.items() if reasons}


def _failures_of_shards(folder: Path) -> Counter[str]:
    outcomes = StoreOutcomes.of(folder)
    reasons = Counter(failure.reason for failure in outcomes.failed.values())
    if outcomes.unreadable:
        reasons[_UNREADABLE] = len(outcomes.unreadable)
    return reasons


def _sorted(reasons: Counter[str]) -> dict[str, int]:
    return dict(reasons.most_common())
