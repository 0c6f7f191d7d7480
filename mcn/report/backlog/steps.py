"""What became of each video in the four steps before training, and how often each was tried."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mcn.data.failure_class import MOST_POISON_ATTEMPTS, FailureClass, class_of
from mcn.data.ledger_columns import StepColumns, read_columns
from mcn.data.stores import Features
from mcn.root import Root
from mcn.store.outcomes import StoredFailure, StoreOutcomes

ORDER: tuple[FailureClass, ...] = ("transient", "poison", "permanent")


@dataclass(frozen=True)
class Steps:
    """The outcomes of all steps, read once."""

    download: StepColumns
    resize: StepColumns
    audio: StoreOutcomes
    """Of sealed shards; those of open ones come when they are sealed."""
    video: StoreOutcomes

    @classmethod
    def read(cls, root: Root, features: Features) -> "Steps":
        return cls(
            read_columns(root.ledger / "download"),
            read_columns(root.ledger / "resize"),
            StoreOutcomes.of(root.store / features.audio),
            StoreOutcomes.of(root.store / features.video),
        )

    def tallies(self) -> dict[str, "Tally"]:
        return {
            "download": _of_columns(self.download),
            "resize": _of_columns(self.resize),
            "audio": _of_store(self.audio),
            "video": _of_store(self.video),
        }

    def complaints(self) -> list[str]:
        """A sentence for each line and each shard that cannot be read."""
        shards = [
            f"{path} cannot be read as a shard: see jobs/store.py verify"
            for store in (self.audio, self.video)
            for path in store.unreadable
        ]
        return [*self.download.damaged, *self.resize.damaged, *shards]


@dataclass(frozen=True)
class Tally:
    """One step in numbers of videos."""

    done: int
    failed: dict[FailureClass, dict[str, int]]
    """By class and reason, the most frequent first."""
    attempts: int
    """All tries of all videos."""
    quarantined: int
    """Of the poison, what is not tried again unless asked for by name."""


def _of_columns(columns: StepColumns) -> Tally:
    failures = columns.failures()
    poison = columns.poison_attempts()
    return Tally(
        len(columns.done),
        _sorted(failures),
        int(columns.rows["attempts"].sum()),
        sum(attempts >= MOST_POISON_ATTEMPTS for attempts in poison),
    )


def _of_store(store: StoreOutcomes) -> Tally:
    failures: dict[FailureClass, Counter[str]] = {}
    for failure in store.failed.values():
        failures.setdefault(class_of(failure.reason), Counter())[failure.reason] += 1
    return Tally(
        len(store.done),
        _sorted(failures),
        len(store.done) + sum(map(_attempts, store.failed.values())),
        failures.get("poison", Counter()).total(),
    )


def _attempts(failure: StoredFailure) -> int:
    """Poison is sealed as such after its second try."""
    tries = MOST_POISON_ATTEMPTS if class_of(failure.reason) == "poison" else 1
    return tries * failure.num_records


def _sorted(
    failures: Mapping[FailureClass, Counter[str]],
) -> dict[FailureClass, dict[str, int]]:
    return {name: dict(failures[name].most_common()) for name in ORDER if name in failures}
