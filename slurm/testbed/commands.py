"""SLURM's commands, spoken to one cluster and no other."""

import os
import subprocess
from collections.abc import Sequence

from slurm.testbed.cluster import Cluster


def run(
    cluster: Cluster, command: Sequence[str], *, check: bool = True, timeout_seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says.

    Raises:
        ChildProcessError: It ended with another status than 0, and `check` was asked for.
    """
    done = subprocess.run(
        command,
        env=os.environ | cluster.environment(),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
    if check and done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise ChildProcessError(f"{' '.join(command)}: status {done.returncode}, {said}")
    return done


def complaint_of(cluster: Cluster, command: Sequence[str]) -> str:
    """Why a command failed; empty if it did not."""
    try:
        run(cluster, command)
    except ChildProcessError as error:
        return str(error)
    return ""
