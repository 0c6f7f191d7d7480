"""Processes on this machine that find each other as torchrun's would."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import wait

from slurm.network import hold_port
from slurm.parent import end_with_parent

ANY_FREE_PORT = 0


def run_ranks(work: Callable[[], None], *, num_ranks: int) -> None:
    """Run `work` in so many processes at once, each told its rank by the environment.

    One alone runs right here.

    Raises:
        ChildProcessError: A process failed; the others have been ended.
    """
    if num_ranks == 1:
        work()
        return
    context = multiprocessing.get_context("spawn")
    holder = hold_port([ANY_FREE_PORT])
    port = str(holder.getsockname()[1])
    processes = [
        context.Process(target=_run_rank, args=(work, rank, num_ranks, port), name=f"rank {rank}")
        for rank in range(num_ranks)
    ]
    for process in processes:
        process.start()
    try:
        running = processes
        while running:
            wait([process.sentinel for process in running])
            # Read once: a process may end between two looks.
            statuses = [(process, process.exitcode) for process in running]
            for process, status in statuses:
                if status:
                    raise ChildProcessError(f"{process.name} ended with status {status}")
            running = [process for process, status in statuses if status is None]
    finally:
        for process in processes:
            process.terminate()
            process.join()
        holder.close()


def _run_rank(work: Callable[[], None], rank: int, num_ranks: int, port: str) -> None:
    # Where the parent is killed nobody else would end this process.
    end_with_parent(signal.SIGTERM)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    work()
