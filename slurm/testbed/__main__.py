"""`python -m slurm.testbed up --nodes 4`, then `shell` or `eval "$(... up)"`, then `down`."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes

from slurm.testbed import MissingPackagesError, Testbed
from slurm.testbed.cluster import default_folder


@dataclass(frozen=True, kw_only=True)
class Up:
    """Start a cluster, and print what makes a shell speak to it."""

    cluster: OmitArgPrefixes[Testbed] = field(default_factory=Testbed)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shell whose squeue, sbatch and so on speak to the cluster that is up."""

    folder: Path = field(default_factory=default_folder)
    """Where it is."""


@dataclass(frozen=True, kw_only=True)
class Down:
    """End the cluster and its jobs."""

    folder: Path = field(default_factory=default_folder)
    """Where it is."""


def main(command: Up | Shell | Down) -> None:
    """Do as asked."""
    match command:
        case Up(cluster=testbed):
            testbed.up()
            print(f"{testbed.nodes} nodes are up in {testbed.folder}", file=sys.stderr)
            for name, value in testbed.environment().items():
                print(f"export {name}={value}")
        case Shell(folder=folder):
            _become_shell(Testbed(folder))
        case Down(folder=folder):
            ended = Testbed(folder).down()
            print(f"ended: {', '.join(ended)}" if ended else f"nothing runs in {folder}")


def _become_shell(testbed: Testbed) -> None:
    if not testbed.is_up:
        raise ValueError(f"no testbed is up in {testbed.folder}; python -m slurm.testbed up")
    shell = os.environ.get("SHELL", "/bin/sh")
    print("the testbed stays up when you leave this shell", file=sys.stderr)
    os.execvpe(shell, [shell], os.environ | testbed.environment())


if __name__ == "__main__":
    try:
        main(tyro.cli(Up | Shell | Down, prog="python -m slurm.testbed"))
    except (MissingPackagesError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
