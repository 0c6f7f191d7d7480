"""Runs the benchmarks one after the other and prints their table: `make bench`."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from mcn.root import REPOSITORY
from tests.benchmarks import (
    census,
    extraction,
    frames,
    kmeans,
    loader,
    mms,
    queue,
    ranks,
    resize,
    status,
    step,
    store_clips,
    store_open,
    training_step,
)
from tests.benchmarks.machine import describe_machine, installed_versions
from tests.benchmarks.result import Result
from tests.benchmarks.table import HOW_TO_READ, print_machine, print_results

BENCHMARKS: dict[str, Callable[..., list[Result]]] = {
    "store_clips": store_clips.measure,
    "store_open": store_open.measure,
    "frames": frames.measure,
    "kmeans": kmeans.measure,
    "queue": queue.measure,
    "mms": mms.measure,
    "ranks": ranks.measure,
    "loader": loader.measure,
    "training_step": training_step.measure,
    "step": step.measure,
    "resize": resize.measure,
    "extraction": extraction.measure,
    "status": status.measure,
    "census": census.measure,
}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Ours and its peers in the same run, in turns, and the ratio."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Benchmarks to run; all by default: store_clips, store_open, frames, kmeans, queue, mms,
    ranks, loader, training_step, step, resize, extraction, status, census."""
    quick: bool = False
    """Small sizes, to see that everything runs; the numbers mean little."""
    out: Path | None = None
    """Write everything as JSON to this file too."""

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in BENCHMARKS:
                raise ValueError(f"no benchmark {name}: there is {', '.join(BENCHMARKS)}")


def main(arguments: Arguments) -> None:
    """Measures, prints and writes."""
    # For the commands that some of them start: the project is not installed beside its peers.
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    machine, versions = describe_machine(), installed_versions()
    print_machine(machine, versions)
    results = []
    for name in arguments.names or BENCHMARKS:
        measured = _run(name, quick=arguments.quick)
        print_results(measured)
        results += measured
    print(HOW_TO_READ)
    if arguments.quick:
        print("measured with --quick: small sizes, of which the numbers mean little")
    if arguments.out is not None:
        everything = {
            "machine": machine,
            "versions": versions,
            "quick": arguments.quick,
            "results": [asdict(result) for result in results],
        }
        aside = arguments.out.with_name(f".{arguments.out.name}.part")
        aside.write_text(json.dumps(everything, indent=2) + "\n")
        aside.replace(arguments.out)


def _run(name: str, *, quick: bool) -> list[Result]:
    """The results of one benchmark, in a process of its own: it leaves no memory or threads."""
    started = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as process:
        results = process.submit(BENCHMARKS[name], quick=quick).result()
    print(f"{name}: measured in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m tests.benchmarks"))
