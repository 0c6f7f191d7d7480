"""The folder of a testbed, made anew for each start."""

import secrets
import shutil

from slurm.testbed import config_files
from slurm.testbed.cluster import Cluster
from slurm.testbed.config_files import HEADER, Ports
from slurm.testbed.memory import REMEMBERED_SECONDS, set_memory
from slurm.testbed.packages import plugin_folder

PARTS = ("etc", "run", "logs", "state", "spool", "native", "dev", "oom", "database")


def make_folder(cluster: Cluster) -> None:
    """Write what the daemons read, after removing what an earlier testbed left in the folder.

    Raises:
        ValueError: The folder holds something else.
    """
    _remove_earlier(cluster)
    ports = Ports.free(num_nodes=cluster.nodes)
    etc = cluster.slurm_conf.parent
    etc.mkdir(parents=True, mode=0o700)
    cluster.slurm_conf.write_text(config_files.slurm_conf(cluster, ports, plugin_folder()))
    set_memory(cluster, REMEMBERED_SECONDS)
    (etc / "gres.conf").write_text(config_files.gres_conf(cluster))
    for part in PARTS:
        (cluster.folder / part).mkdir(exist_ok=True, mode=0o700)
    for secret in (cluster.munge_key, etc / "slurmdbd.conf"):
        secret.touch(mode=0o600)  # else the daemons refuse them
    cluster.munge_key.write_bytes(secrets.token_bytes(64))
    (etc / "slurmdbd.conf").write_text(config_files.slurmdbd_conf(cluster, ports))
    for node in cluster.node_names:
        cluster.spool(node).mkdir()
    for gpu in config_files.gpu_names(cluster):
        (cluster.folder / "dev" / gpu).touch()


def _remove_earlier(cluster: Cluster) -> None:
    if not cluster.folder.exists() or not any(cluster.folder.iterdir()):
        return
    conf = cluster.slurm_conf
    if not conf.exists() or not conf.read_text().startswith(HEADER):
        raise ValueError(f"{cluster.folder} holds no testbed; choose an empty --folder or none")
    # What others put there stays.
    for part in PARTS:
        shutil.rmtree(cluster.folder / part, ignore_errors=True)
