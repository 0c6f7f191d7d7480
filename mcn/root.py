"""Where things are: one folder holds all that is made, so that commands need no other path."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Root:
    """The folder of all data; a benchmark's folder is laid out the same way."""

    path: Path

    @classmethod
    def resolve(cls, path: Path | None) -> "Root":
        """The folder given, else that of `MCN_ROOT`, else `data/` of this repository."""
        chosen = path or Path(os.environ.get("MCN_ROOT") or REPOSITORY / "data")
        return cls(chosen.expanduser().resolve())

    @property
    def howto100m_csv(self) -> Path:
        return self.path / "HowTo100M_v1.csv"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.csv"

    @property
    def captions(self) -> Path:
        return self.path / "captions"

    @property
    def raw(self) -> Path:
        return self.path / "raw"

    @property
    def resized(self) -> Path:
        return self.path / "resized"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def plans(self) -> Path:
        return self.store / "plans"

    @property
    def ledger(self) -> Path:
        return self.store / "ledger"

    @property
    def weights(self) -> Path:
        return self.path / "weights"

    @property
    def benchmarks(self) -> Path:
        return self.path / "benchmarks"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def benchmark(self, name: str) -> "Root":
        """The folder of one benchmark."""
        return Root(self.benchmarks / name)
