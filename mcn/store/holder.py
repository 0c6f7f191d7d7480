"""Who holds a lease, and what others can know of its end without asking it.

Three things make it certain, or as good as certain, that a holder has ended:

- It ran on this machine, and its process is gone, or another one has its id. That is certain.
- The caller starts with the same *owner*: a text that says on whose behalf it works, given as
  MCN_LEASE_OWNER in the environment. Whoever sets it promises that no two processes with the same
  owner write the same files at the same time, as a scheduler does that starts a job again only
  after the job's end: the id of the job is a good owner, the name of a user is not. A promise that
  is broken (a node that was given up, and lives) costs the one who lived on its lease, no data.
- It has not renewed its lease for as long as it promised to (lease.py).
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

OWNER_VARIABLE = "MCN_LEASE_OWNER"
_MOST_OWNER_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One process on one machine."""

    host: str
    """For people; machines may share a name."""
    machine: str
    """One boot of one machine, and in it what shares its process ids; containers do not."""
    pid: int
    started_ticks: int
    """When the process began, in clock ticks since the machine did: ids are used again."""
    owner: str = ""

    def __post_init__(self) -> None:
        is_plain = self.owner.isascii() and self.owner.isprintable()
        if len(self.owner) > _MOST_OWNER_CHARACTERS or not is_plain:
            raise ValueError(
                f"{OWNER_VARIABLE}={self.owner!r}: give printable ASCII of at most "
                f"{_MOST_OWNER_CHARACTERS} characters, such as the id of the job"
            )

    @classmethod
    def here(cls) -> "Holder":
        """This process, and the owner that its environment names."""
        pid = os.getpid()
        started = _started_ticks(pid)
        if started is None:
            raise OSError(f"/proc/{pid}/stat cannot be read; leases need Linux's /proc")
        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started_ticks=started,
            owner=os.environ.get(OWNER_VARIABLE, ""),
        )

    def has_ended(self) -> bool:
        """Whether it is certain that the process is gone; False for those of other machines."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's, whose entry in /proc may be hidden
        started = _started_ticks(self.pid)
        return started is not None and started != self.started_ticks

    def is_succeeded_by(self, other: "Holder") -> bool:
        """Whether `other` is a later start of the same work, which says that this one has ended."""
        return bool(self.owner) and self.owner == other.owner and self.machine != other.machine

    def __str__(self) -> str:
        owner = f" ({self.owner})" if self.owner else ""
        return f"process {self.pid} on {self.host}{owner}"


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started_ticks(pid: int) -> int | None:
    """When the process began; -1 if it has ended, None if that cannot be seen."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold any character, parentheses too.
    fields = content.rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])
