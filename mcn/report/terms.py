"""The terms of the loss that runs recorded: which there are, and how far each fell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcn.report.content import MetricsRow, Run


@dataclass(frozen=True, kw_only=True)
class Fall:
    """Mean of a term in the first and in the last epoch that has it."""

    first: float
    last: float


def families(runs: Iterable[Run]) -> list[list[str]]:
    """Names of what was recorded, by kind: the whole loss and the learning rate, then its terms."""
    names = {name for run in runs for row in run.metrics for name in row if "/" in name}
    kinds = sorted({_kind(name) for name in names})
    return [["loss", "lr"], *(sorted(name for name in names if _kind(name) == k) for k in kinds)]


def fall(metrics: Sequence[MetricsRow], name: str) -> Fall | None:
    """How far a term fell; None where the run does not have it."""
    rows = [row for row in metrics if name in row]
    if not rows:
        return None
    return Fall(
        first=_mean(row[name] for row in rows if row["epoch"] == rows[0]["epoch"]),
        last=_mean(row[name] for row in rows if row["epoch"] == rows[-1]["epoch"]),
    )


def _kind(name: str) -> str:
    return name.rpartition("/")[0]


def _mean(values: Iterable[int | float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
