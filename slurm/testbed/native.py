"""What is compiled for a testbed: the plugin that reports OUT_OF_MEMORY, and loopback binding."""

import os
import re
import subprocess
from pathlib import Path

from slurm.testbed.cluster import Cluster
from slurm.testbed.packages import program

SOURCES = Path(__file__).parent


def loopback(cluster: Cluster, address: str) -> dict[str, str]:
    """Environment in which one of SLURM's daemons listens on this address alone."""
    libraries = [str(_loopback_library(cluster)), os.environ.get("LD_PRELOAD", "")]
    return {
        "LD_PRELOAD": " ".join(filter(None, libraries)),
        "SLURM_TESTBED_ADDRESS": address,
    }


def compile_native(cluster: Cluster) -> None:
    """Compile both for the SLURM installed here, whose version a plugin has to name."""
    native = cluster.folder / "native"
    _compile(
        SOURCES / "oomfake.c",
        native / "task_oomfake.so",
        f'-DOOM_FOLDER="{cluster.oom}"',
        f"-DSLURM_VERSION={_slurm_version():#x}",
    )
    _compile(SOURCES / "loopback.c", _loopback_library(cluster), "-ldl")


def _loopback_library(cluster: Cluster) -> Path:
    return cluster.folder / "native" / "loopback.so"


def _compile(source: Path, library: Path, *arguments: str) -> None:
    command = [program("cc"), "-shared", "-fPIC", "-O1", "-o", str(library), str(source)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ChildProcessError(f"cc cannot compile {source}: {done.stderr.strip()}")


def _slurm_version() -> int:
    answer = subprocess.run([program("slurmctld"), "-V"], capture_output=True, text=True).stdout
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", answer)
    if match is None:
        raise ValueError(f"slurmctld -V says {answer!r}, which names no version")
    major, minor, micro = map(int, match.groups())
    return major << 16 | minor << 8 | micro
