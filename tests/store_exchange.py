"""Verbs of the store as programs that tests kill.

python -m tests.store_exchange import FOLDER SHARD
python -m tests.store_exchange export STORE FOLDER LAYOUT
"""

import random
import subprocess
import sys
import time
from pathlib import Path

from mcn.progress import Progress
from mcn.store.exchange.array_folder import find_arrays
from mcn.store.exchange.exporting import export_store
from mcn.store.exchange.importing import ArrayFormat, import_shard
from tests.shards import DIM


def main(verb: str, one: Path, other: Path, *rest: str) -> None:
    """Do what the command line asks for."""
    print("ready", flush=True)
    if verb == "import":
        arrays = find_arrays(one)
        array_format = ArrayFormat(extractor="resnet152", dim=DIM, rows_per_second=1.5)
        with Progress("import", total=1, unit="videos", is_shown=False) as progress:
            import_shard(other, list(arrays.files), arrays, array_format, progress=progress)
    else:
        (layout,) = rest
        export_store(one, other, "npy" if layout == "npy" else "webdataset", is_shown=False)


def killed_at_random(command: list[str], times: int, most_seconds: float) -> None:
    """Starts the program so many times, and kills it each time."""
    generator = random.Random(0)
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store_exchange", *command], stdout=subprocess.PIPE
        ) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(generator.uniform(0, most_seconds))
            run.kill()


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
