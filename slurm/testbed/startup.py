"""The daemons of a testbed, started in the order in which they need each other, and ended."""

from slurm.testbed.accounting import start_accounting
from slurm.testbed.cluster import Cluster
from slurm.testbed.commands import complaint_of
from slurm.testbed.daemons import Daemons
from slurm.testbed.job_processes import processes_of_jobs
from slurm.testbed.native import loopback
from slurm.testbed.processes import end, kill
from slurm.testbed.sockets import silence_of

CENTRAL = ("slurmctld", "slurmdbd", "mariadbd", "munged")
PATIENCE = 5.0


def start_daemons(cluster: Cluster) -> None:
    """Start all of them; the nodes still have to report to the controller."""
    daemons = Daemons(cluster.folder)
    _start_munged(cluster)
    if cluster.accounting:
        start_accounting(cluster)
    daemons.start(
        "slurmctld",
        ["slurmctld", "-D"],
        working_folder=cluster.folder,
        environment=cluster.environment() | loopback(cluster, "127.0.0.1"),
    )
    for node in cluster.node_names:
        start_slurmd(cluster, node)
    daemons.wait_for("slurmctld", lambda: complaint_of(cluster, ["scontrol", "ping"]))


def start_slurmd(cluster: Cluster, node: str) -> None:
    """Start the daemon of a node, in the folder by which its jobs are found."""
    Daemons(cluster.folder).start(
        node,
        ["slurmd", "-D", "-N", node],
        working_folder=cluster.spool(node),
        environment=cluster.environment() | loopback(cluster, cluster.address(node)),
    )


def end_daemons(cluster: Cluster) -> list[str]:
    """End every daemon and what runs of its jobs; says which daemons there were."""
    running = Daemons(cluster.folder).running()
    nodes = [name for name in running if name not in CENTRAL]
    # The controller goes before the nodes, or it would see them fail; what it needs goes last.
    for names in ["slurmctld"], nodes, ["slurmdbd"], ["mariadbd", "munged"]:
        end([running[name] for name in names if name in running], patience_seconds=PATIENCE)
        if names is nodes:
            kill(processes_of_jobs(cluster))
    return sorted(running)


def _start_munged(cluster: Cluster) -> None:
    daemons, run = Daemons(cluster.folder), cluster.folder / "run"
    daemons.start(
        "munged",
        [
            "munged",
            "--foreground",
            "--force",  # or it refuses a socket in a folder that others cannot enter
            "--origin=127.0.0.1",
            f"--socket={cluster.munge_socket}",
            f"--key-file={cluster.munge_key}",
            f"--seed-file={run / 'munge.seed'}",
            f"--log-file={cluster.folder}/logs/munged.log",
            f"--pid-file={run / 'munged.pid'}",
        ],
        working_folder=cluster.folder,
        environment={},
    )
    daemons.wait_for("munged", lambda: silence_of(cluster.munge_socket))
