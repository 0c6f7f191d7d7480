"""slurm.conf, gres.conf and slurmdbd.conf of a testbed."""

import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from slurm.testbed.cluster import Cluster
from slurm.testbed.sockets import free_ports

# The first line of slurm.conf, by which a folder is known to be a testbed's.
HEADER = "# Written by slurm.testbed; made anew by every `up`."


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the daemons listen, on the loopback."""

    controller: int
    accounting: int
    nodes: tuple[int, ...]

    @classmethod
    def free(cls, *, num_nodes: int) -> "Ports":
        """Ports that nobody listens on."""
        controller, accounting, *nodes = free_ports(2 + num_nodes)
        return cls(controller=controller, accounting=accounting, nodes=tuple(nodes))


def slurm_conf(cluster: Cluster, ports: Ports, plugin_folder: Path) -> str:
    """The cluster, with every waiting time as short as SLURM allows.

    `cred_expire` is what delays the new start of a requeued job, and `MessageTimeout` what delays
    noticing that a node is dead.
    """
    folder, user, host = cluster.folder, _user(), socket.gethostname()
    lines = [
        HEADER,
        f"ClusterName={cluster.name}",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={ports.controller}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={cluster.munge_socket},cred_expire=5",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/run/slurmctld.pid",
        f"SlurmdPidFile={folder}/run/%n.pid",
        f"SlurmctldLogFile={folder}/logs/slurmctld.log",
        f"SlurmdLogFile={folder}/logs/%n.log",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=bf_interval=2,sched_interval=2",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=500",
        "ProctrackType=proctrack/linuxproc",
        f"PluginDir={folder}/native:{plugin_folder}",
        "TaskPlugin=task/oomfake",
        "JobAcctGatherType=jobacct_gather/linux",
        "MpiDefault=none",
        "SlurmdTimeout=4",
        "MessageTimeout=3",
        "TCPTimeout=1",
        "KillWait=5",
        f"Include {cluster.memory_conf}",
        "ReturnToService=2",
        # Else a node with more cores than the machine is invalid.
        "SlurmdParameters=config_overrides",
        "JobRequeue=1",
        f"MaxArraySize={cluster.max_array_size}",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "SlurmctldParameters=preempt_send_user_signal",
        *_accounting(cluster, ports),
        *_nodes(cluster, ports, host),
        "PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE "
        f"GraceTime={cluster.grace_seconds}",
        "PartitionName=lowc Nodes=ALL PriorityTier=1 PreemptMode=CANCEL GraceTime=3",
        "PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF",
    ]
    return "\n".join(lines) + "\n"


def _accounting(cluster: Cluster, ports: Ports) -> list[str]:
    if not cluster.accounting:
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=localhost",
        f"AccountingStoragePort={ports.accounting}",
        f"AccountingStoragePass={cluster.munge_socket}",
    ]


def _nodes(cluster: Cluster, ports: Ports, host: str) -> list[str]:
    gpus = f" Gres=gpu:a100:{cluster.gpus_per_node}" if cluster.gpus_per_node else ""
    return [
        *(["GresTypes=gpu"] if gpus else []),
        *(
            f"NodeName={node} NodeHostname={host} NodeAddr={cluster.address(node)} Port={port} "
            f"CPUs={cluster.cpus_per_node} RealMemory={cluster.memory_gb_per_node * 1024}{gpus}"
            for node, port in zip(cluster.node_names, ports.nodes, strict=True)
        ),
    ]


def memory_conf(seconds: int) -> str:
    """How long the controller knows a job that has ended."""
    return f"MinJobAge={seconds}\n"


def gres_conf(cluster: Cluster) -> str:
    """GPUs that are not there: slurmd starts only where each has a file, of whatever kind."""
    lines = ["AutoDetect=off"]
    if cluster.gpus_per_node:
        files = ",".join(str(cluster.folder / "dev" / gpu) for gpu in gpu_names(cluster))
        lines.append(
            f"NodeName={','.join(cluster.node_names)} Name=gpu Type=a100 "
            f"Count={cluster.gpus_per_node} File={files}"
        )
    return "\n".join(lines) + "\n"


def gpu_names(cluster: Cluster) -> list[str]:
    """Names of the files that stand for the GPUs, on every node the same."""
    return [f"nvidia{index}" for index in range(cluster.gpus_per_node)]


def slurmdbd_conf(cluster: Cluster, ports: Ports) -> str:
    """Accounts kept in a database that is reached by a socket in the folder (see accounting.py)."""
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={cluster.munge_socket}",
        "DbdHost=localhost",
        "DbdAddr=127.0.0.1",
        f"DbdPort={ports.accounting}",
        f"SlurmUser={_user()}",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm",
        f"LogFile={cluster.folder}/logs/slurmdbd.log",
        f"PidFile={cluster.folder}/run/slurmdbd.pid",
    ]
    return "\n".join(lines) + "\n"


def _user() -> str:
    # Not from the environment, which may name whom this user was before.
    return pwd.getpwuid(os.getuid()).pw_name
