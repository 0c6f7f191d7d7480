"""What a run says of itself while it is trained: a line of metrics a step, and how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcn.progress import Progress
from mcn.training.distributed import rank
from mcn.training.metrics_log import MetricsLog
from mcn.training.run_folder import RunFolder


@contextmanager
def recording(
    run: RunFolder, *, step: int, num_steps: int, progress_file: Path | None
) -> Iterator[tuple[MetricsLog, Progress]]:
    """The metrics and the progress of a run from a step on; rank 0 writes and shows them.

    Args:
        run: Where it lives.
        step: The first one, from 0.
        num_steps: Of the whole run.
        progress_file: Where other processes read how far it is.
    """
    is_first = rank() == 0
    with (
        MetricsLog(run, first_step=step, is_writer=is_first) as log,
        Progress(
            f"train {run.path.name}",
            total=num_steps,
            unit="steps",
            is_shown=is_first,
            file=progress_file if is_first else None,
        ) as progress,
    ):
        progress.skip(step)
        yield log, progress
