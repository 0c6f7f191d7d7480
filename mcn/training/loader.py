"""Batches read ahead by processes of their own, for the length of a block.

Signals that ask to stop are for the training process, which saves: its readers, to whom a terminal
or SLURM sends them as well, are deaf to them. They end with the block, or with the training process
where that is killed. Batches come in the order of their steps, so that the number of readers
changes nothing.
"""

import multiprocessing
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from mcn.data.batches import ClipBatch
from mcn.data.training_batches import TrainingBatches
from mcn.parent import die_with_parent
from mcn.stop import STOP_SIGNALS
from mcn.training.distributed import cpus_of_rank, num_local_ranks

MOST_WORKERS = 4
"""One reads faster than most steps train; more help where a file system answers late."""
SHARED_MEMORY = Path("/dev/shm")
BATCHES_PER_WORKER = 2
"""Read ahead by each."""


def default_workers(batches: TrainingBatches) -> int:
    """As many as `workers_for` has for the largest of these batches."""
    sampling = batches.sampling
    num_clips = -(-sampling.batch_size // batches.world_size) * sampling.clips_per_video
    return workers_for(num_clips * clip_bytes(batches))


def workers_for(batch_bytes: int, *, most: int = MOST_WORKERS) -> int:
    """A process for each CPU of this rank but the one that trains, and no more than `most`.

    Fewer where shared memory, through which batches travel, does not hold what they read ahead.
    """
    room = shutil.disk_usage(SHARED_MEMORY).free // 2 // num_local_ranks()
    return max(0, min(cpus_of_rank() - 1, most, room // batch_bytes // BATCHES_PER_WORKER))


def clip_bytes(batches: TrainingBatches) -> int:
    """Of a clip on its way: rows in single precision, a spectrogram in half, words by number."""
    sampling, dims, form = batches.sampling, batches.reader.dims, batches.reader.form
    frames = form.spectrogram_frames
    audio = 4 * dims["audio"] if frames is None else 2 * dims["audio"] * frames
    return 4 * dims["video"] + audio + 5 * sampling.max_words * sampling.candidates


@contextmanager
def read_ahead(
    batches: Dataset[ClipBatch], steps: Sequence[int], *, workers: int, device: torch.device
) -> Iterator[Iterator[ClipBatch]]:
    """The batches of these steps, in order.

    Args:
        batches: Of this rank.
        steps: Numbers of the steps.
        workers: Processes that read ahead; with none the batches are read when asked for.
        device: Where they will go.
    """
    loader = DataLoader(
        batches,
        sampler=steps,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=BATCHES_PER_WORKER if workers else None,
        pin_memory=device.type == "cuda",
        # Its own: by default the loader draws from the random state that is saved.
        generator=torch.Generator(),
        # A rank that was spawned would spawn them as well, and each would import all there is.
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_end_with_parent,
    )
    others = multiprocessing.active_children()
    # Blocked and not ignored: what a process blocks, those that it starts block from the beginning.
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        read = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    started = [child for child in multiprocessing.active_children() if child not in others]
    try:
        yield read
    finally:
        if workers:
            # By itself it does so when nothing refers to it any more, as tracebacks do.
            read._shutdown_workers()  # type: ignore[attr-defined]
        for child in started:
            child.kill()  # in the middle of a read that has not come back
            child.join()


def _end_with_parent(worker: int) -> None:
    die_with_parent()
