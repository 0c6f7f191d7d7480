"""The one process that writes the checkpoints of a run, however many were started on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcn.store.holder import Holder
from mcn.store.layout import lease_folder
from mcn.store.lease import Lease, acquire
from mcn.training.checkpoint import Checkpoint, save_checkpoint
from mcn.training.distributed import rank
from mcn.training.run_paths import RunPaths


class RunWriter:
    """Saves the state of a run under the lease that this process holds."""

    def __init__(self, run: RunPaths, lease: Lease) -> None:
        self._run = run
        self._lease = lease

    def save(self, checkpoint: Checkpoint) -> None:
        """Make it the newest state of the run.

        Raises:
            LeaseLostError: Another process carries the run on.
        """
        aside = self._run.last.with_suffix(f".{self._lease.token}.tmp")
        save_checkpoint(self._run.last, checkpoint, aside=aside, before_it_counts=self._lease.check)

    def finish(self) -> None:
        """Make the newest state the trained model.

        Raises:
            LeaseLostError: Another process carries the run on.
        """
        self._lease.check()
        self._run.last.replace(self._run.final)
        self._lease.dissolve()


@contextmanager
def sole_writer(run: RunPaths) -> Iterator[RunWriter | None]:
    """Rank 0 holds the run for the length of the block; the other ranks write nothing.

    A job that was given up with its node may still live when it is started again elsewhere.

    Raises:
        ShardBusyError: Another process trains this run.
    """
    if rank() != 0:
        yield None
        return
    with acquire(lease_folder(run.last), Holder.here()) as lease:
        for left_behind in run.last.parent.glob(f"{run.last.stem}.*.tmp"):
            left_behind.unlink(missing_ok=True)
        yield RunWriter(run, lease)
