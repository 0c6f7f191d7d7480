"""The database of a testbed and slurmdbd before it: what `sacct` asks."""

import os
import subprocess

from slurm.testbed.cluster import Cluster
from slurm.testbed.commands import complaint_of
from slurm.testbed.daemons import Daemons
from slurm.testbed.native import loopback
from slurm.testbed.packages import program
from slurm.testbed.sockets import silence_of

# Small, and never waiting for the disk: nobody needs these accounts after a crash.
DATABASE_OPTIONS = (
    "--no-defaults",
    "--innodb-log-file-size=8M",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--sync-frm=0",
    "--debug-no-sync",
)


def start_accounting(cluster: Cluster) -> None:
    """Start both, with the cluster entered in the books; slurmctld wants it there already."""
    daemons = Daemons(cluster.folder)
    _start_database(cluster, daemons)
    daemons.start(
        "slurmdbd",
        ["slurmdbd", "-D"],
        working_folder=cluster.folder,
        # SLURM knows no setting for a database's socket, but its client library does.
        environment=cluster.environment()
        | loopback(cluster, "127.0.0.1")
        | {"MYSQL_UNIX_PORT": str(cluster.database_socket)},
    )
    enter = ["sacctmgr", "--immediate", "add", "cluster", cluster.name]
    daemons.wait_for("slurmdbd", lambda: complaint_of(cluster, enter))


def _start_database(cluster: Cluster, daemons: Daemons) -> None:
    options = [*DATABASE_OPTIONS, f"--datadir={cluster.folder}/database"]
    if os.getuid() == 0:
        options.append("--user=root")  # which it refuses to be unless told
    install = subprocess.run(
        [
            program("mariadb-install-db"),
            *options,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        capture_output=True,
        text=True,
    )
    if install.returncode:
        raise ChildProcessError(f"mariadb-install-db failed: {install.stdout}{install.stderr}")
    daemons.start(
        "mariadbd",
        [
            "mariadbd",
            *options,
            "--skip-networking",
            f"--socket={cluster.database_socket}",
            f"--pid-file={cluster.folder}/run/mariadbd.pid",
        ],
        working_folder=cluster.folder,
        environment={},
    )
    daemons.wait_for("mariadbd", lambda: silence_of(cluster.database_socket))
