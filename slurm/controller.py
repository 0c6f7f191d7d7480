"""What SLURM's own commands answer: every call has a time limit, and every failure a clear line."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

SECONDS_TO_ANSWER = 60.0
SEPARATOR = "|"
# In a complaint: the programs are there, and no slurm.conf.
NO_CLUSTER = "configuration source"
# Of a user's settings: times in the usual form, and lists of tasks that are not cut short.
ANSWERS_IN_FULL = {"SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0"}
# Settings of a user for one program. They would hide jobs, which then were submitted twice, or win
# over what a script says. SLURM_CONF and SLURM_CLUSTERS, which say whom to ask, stay.
SETTINGS_NOT_KEPT = ("SQUEUE_", "SACCT_", "SBATCH_", "SCANCEL_")
# In a complaint: the request may have arrived all the same.
SIGNS_OF_SILENCE = ("timed out", "timeout", "connect", "communication", "zero bytes")

# squeue's letters for the fields of `QueueEntry`, in their order; %k may hold anything and is last.
QUEUE_FORMAT = SEPARATOR.join(("%i", "%T", "%r", "%N", "%M", "%S", "%k"))
# An id and a state. A line that begins otherwise carries on the comment of the job above it.
BEGINS_ENTRY = re.compile(rf"\d[^{SEPARATOR}\s]*\{SEPARATOR}[A-Z_]+\{SEPARATOR}")
# Where SLURM_CLUSTERS names clusters, this line stands above the jobs of each.
HEADLINE_OF_CLUSTER = "CLUSTER: "


class SlurmError(OSError):
    """SLURM could not be asked, or gave no answer that can be understood.

    Attributes:
        is_refusal: Whether it surely has not done what was asked.
    """

    def __init__(self, message: str, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


@dataclass(frozen=True, kw_only=True)
class QueueEntry:
    """A job, or one task of an array, that the controller still knows."""

    job_id: str
    """`123`, or `123_4` for a task of an array."""
    state: str
    """Its state in full, as PENDING or NODE_FAIL."""
    reason: str
    """Why it waits, or why it ended."""
    nodes: str
    elapsed: str
    """Time since it started, as [days-]hours:minutes:seconds."""
    starts_at: str
    """When it started or is expected to; `N/A` where nobody knows."""
    comment: str


def squeue(users: Iterable[str] = ()) -> list[QueueEntry]:
    """Jobs that wait or run, and those that ended in the last minutes; one call.

    Args:
        users: Whose jobs, besides this user's own.

    Raises:
        SlurmError: No answer.
    """
    answer = call(
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        f"--user={','.join(sorted({user_name(), *users}))}",
        f"--format={QUEUE_FORMAT}",
    )
    lines: list[str] = []
    for line in answer.split("\n"):
        if not line or line.startswith(HEADLINE_OF_CLUSTER):
            continue
        if lines and not BEGINS_ENTRY.match(line):
            lines[-1] += f"\n{line}"
        else:
            lines.append(line)
    return [_queue_entry(line) for line in lines]


def _queue_entry(line: str) -> QueueEntry:
    fields = line.split(SEPARATOR, 6)
    if len(fields) != 7 or not BEGINS_ENTRY.match(line):
        raise SlurmError(f"squeue answered {line[:200]!r}, which is no line of a queue")
    names = ("job_id", "state", "reason", "nodes", "elapsed", "starts_at", "comment")
    return QueueEntry(**dict(zip(names, fields, strict=True)))


def max_array_size() -> int:
    """The site's MaxArraySize: array indices are smaller than this.

    Raises:
        SlurmError: No answer.
    """
    for line in call("scontrol", "show", "config").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize" and value.strip().isdigit():
            if int(value) == 0:
                raise SlurmError(
                    "this site runs no arrays (its MaxArraySize is 0): ask its administrators, or "
                    "use --cluster local inside a job",
                    is_refusal=True,
                )
            return int(value)
    raise SlurmError("`scontrol show config` does not say MaxArraySize")


def user_name() -> str:
    """Who SLURM takes this user for, whatever LOGNAME says; the number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def has_slurm() -> bool:
    """Whether SLURM is installed here and knows of a cluster, be its controller up or down."""
    if shutil.which("sbatch") is None:
        return False
    try:
        call("scontrol", "ping")
    except SlurmError as error:
        return NO_CLUSTER not in str(error)
    return True


def call(program: str, *arguments: str) -> str:
    """What a command of SLURM prints.

    Raises:
        SlurmError: It is missing, fails, or says nothing for a minute.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS_NOT_KEPT)}
    try:
        process = subprocess.Popen(
            [program, *arguments],
            env=kept | ANSWERS_IN_FULL,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that what it starts can be ended with it
        )
    except FileNotFoundError as error:
        raise SlurmError(
            f"{program} is not on the PATH: run this where SLURM is, or with --cluster local",
            is_refusal=True,
        ) from error
    with process:
        try:
            answer, complaint = process.communicate(timeout=SECONDS_TO_ANSWER)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise SlurmError(
                f"{program} gave no answer within {SECONDS_TO_ANSWER:g} s: the controller is busy "
                "or down; try again later"
            ) from error
        except UnicodeDecodeError as error:
            raise SlurmError(f"{program} answered with bytes that are no text ({error})") from error
    if process.returncode:
        lines = (complaint or answer).strip().splitlines() or [f"status {process.returncode}"]
        said = "; ".join(line.removeprefix(f"{program}: error: ") for line in lines)
        is_unsure = any(sign in said.lower() for sign in SIGNS_OF_SILENCE)
        raise SlurmError(f"{program}: {said}", is_refusal=not is_unsure)
    return answer
