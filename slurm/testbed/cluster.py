"""What a testbed is: how large, and where in its folder everything lies."""

import hashlib
import os
import tempfile
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

# A socket's path has 107 characters; SLURM's longest is spool/node64/node64_JOB.4294967291.
MAX_FOLDER_CHARACTERS = 64
MAX_NODES = 64


def default_folder() -> Path:
    """The testbed of this user: what `up`, `down` and `shell` mean without `--folder`."""
    return Path(tempfile.gettempdir()) / f"slurm-testbed-{os.getuid()}"


@dataclass(frozen=True)
class Cluster:
    """The size and the place of a testbed, whether or not it is up."""

    folder: Path = field(default_factory=default_folder)
    """Everything is in here; a second testbed needs a folder of its own."""
    _: KW_ONLY
    nodes: int = 4
    """Number of nodes; each is a slurmd with an address 127.0.0.x of its own."""
    cpus_per_node: int = 4
    """Cores that each node claims to have, whatever the machine has."""
    memory_gb_per_node: int = 64
    """Memory that each node claims to have."""
    gpus_per_node: int = 4
    """GPUs that each node claims to have."""
    accounting: bool = False
    """Keep accounts (MariaDB and slurmdbd), so that `sacct` answers; many sites do not."""
    max_array_size: int = 1001
    """SLURM's MaxArraySize: the indices of an array stay below it."""
    grace_seconds: int = 20
    """How long a job in `low` may go on once it has been told that it is preempted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.expanduser().absolute())
        if len(str(self.folder)) > MAX_FOLDER_CHARACTERS:
            raise ValueError(
                f"{self.folder}: too long for the paths of sockets; "
                f"choose a --folder of at most {MAX_FOLDER_CHARACTERS} characters"
            )
        if any(not (letter.isalnum() or letter in "/._-") for letter in str(self.folder)):
            raise ValueError(
                f"{self.folder}: SLURM's files cannot hold this path; "
                "choose a --folder of letters, digits and . _ -"
            )
        if not 1 <= self.nodes <= MAX_NODES:
            raise ValueError(f"--nodes {self.nodes}: a testbed has 1 to {MAX_NODES} nodes")

    @property
    def name(self) -> str:
        """Differs from folder to folder: it tells this testbed's jobs from all others."""
        return "testbed" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def memory_conf(self) -> Path:
        """The part of slurm.conf that changes while the cluster is up."""
        return self.folder / "etc" / "memory.conf"

    @property
    def munge_key(self) -> Path:
        return self.folder / "run" / "munge.key"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "run" / "munge.sock"

    @property
    def database_socket(self) -> Path:
        return self.folder / "run" / "mariadb.sock"

    @property
    def oom(self) -> Path:
        """A job whose id is the name of a file in here is reported to be out of memory."""
        return self.folder / "oom"

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to speak to this cluster and no other."""
        return {"SLURM_CONF": str(self.slurm_conf)}

    def spool(self, node: str) -> Path:
        """Working folder of a node, and of nothing else: it tells whose a slurmstepd is."""
        return self.folder / "spool" / node

    def address(self, node: str) -> str:
        return f"127.0.0.{10 + int(node.removeprefix('node'))}"

    @property
    def node_names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]
