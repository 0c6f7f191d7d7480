"""Where everything lies in the folder of one run; imports no torch."""

from pathlib import Path


class RunPaths:
    """What it is, what it is trained on, its metrics and its checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def snapshot(self) -> Path:
        """The shards that it is trained on."""
        return self.path / "snapshot.json"

    @property
    def corpus(self) -> Path:
        """The resized videos that it is trained on, where that is from raw clips."""
        return self.path / "corpus.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def nonfinite_log(self) -> Path:
        """What was not finite, by step; there only if something was."""
        return self.path / "nonfinite.jsonl"

    @property
    def nonfinite_batches(self) -> Path:
        """Batches of steps that were not finite."""
        return self.path / "nonfinite"

    def features_of_round(self, round_number: int) -> Path:
        """Finished parts of what a round of XDC clusters, while that is computed."""
        return self.path / f"features-round{round_number + 1:03d}"

    @property
    def last(self) -> Path:
        """The newest state of a run under way; gone once the run is complete."""
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def final(self) -> Path:
        """The trained model; there once the run is complete."""
        return self.path / "checkpoints" / "final.safetensors"
