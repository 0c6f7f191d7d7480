"""How long the controller of a testbed knows jobs that have ended."""

from slurm.testbed.cluster import Cluster
from slurm.testbed.config_files import memory_conf

REMEMBERED_SECONDS = 300
"""As SLURM has it by default: who asks now and then sees how every job ended."""
FORGOTTEN_SECONDS = 2


def set_memory(cluster: Cluster, seconds: int) -> None:
    """Write it where a controller that starts, or is told to look again, finds it."""
    new = cluster.memory_conf.with_suffix(".new")
    new.write_text(memory_conf(seconds))
    new.rename(cluster.memory_conf)  # a daemon that reads half of a setting ends
