"""What a run measures at each step, for people to plot and for TensorBoard."""

import json
import math

from torch.utils.tensorboard.writer import SummaryWriter

from mcn.training.run_folder import RunFolder, read_metrics, replace_text
from mcn.training.stepper import StepResult


class MetricsLog:
    """One line a step in `metrics.jsonl`, and the same to TensorBoard; one rank writes it."""

    def __init__(self, run: RunFolder, *, first_step: int, is_writer: bool) -> None:
        """Drops what a killed run wrote after its last checkpoint."""
        self._is_writer = is_writer
        if not is_writer:
            return
        kept = [row for row in read_metrics(run.metrics) if row["step"] < first_step]
        replace_text(run.metrics, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = run.metrics.open("a", buffering=1)
        self._tensorboard = SummaryWriter(str(run.path / "tensorboard"), purge_step=first_step)

    def __enter__(self) -> "MetricsLog":
        return self

    def write(self, step: int, stage: int, epoch: int, result: StepResult) -> None:
        """Record a step; stages and epochs count from 0 here and from 1 in the file."""
        if not self._is_writer:
            return
        measured = {"lr": result.lr, "loss": result.loss, **result.terms}
        if result.fault is not None:
            finite = {name: value for name, value in measured.items() if math.isfinite(value)}
            measured = {**finite, "skipped": 1}
        row = {"step": step, "stage": stage + 1, "epoch": epoch + 1, **measured}
        self._file.write(json.dumps(row) + "\n")
        for name, value in measured.items():
            self._tensorboard.add_scalar(name, value, global_step=step)

    def write_waiting(self, step: int, share: float) -> None:
        """Show TensorBoard how much of a step was spent waiting for its batch.

        Not among the metrics, which are the same however often a run was interrupted.
        """
        if self._is_writer:
            self._tensorboard.add_scalar("time/waiting_for_data", share, global_step=step)

    def __exit__(self, *exception: object) -> None:
        if self._is_writer:
            self._file.close()
            self._tensorboard.close()
