"""What SLURM keeps of jobs that ended, where the site lets it: one call for all of them."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slurm.array import Array
from slurm.controller import SEPARATOR, SlurmError, call
from slurm.states.clock import duration_seconds

FIELDS = (
    "JobID",
    "State",
    "ExitCode",
    "Elapsed",
    "TotalCPU",
    "AllocCPUS",
    "NNodes",
    "NTasks",
    "MaxRSS",
    "ReqMem",
    "AllocTRES",
    "TRESUsageInAve",
    "TRESUsageInTot",
    "NodeList",
    "Submit",
    "Start",
    "End",
)
PENDING = "PENDING"
NO_ACCOUNTS = "accounting storage is disabled"
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}


@dataclass(frozen=True, kw_only=True)
class Account:
    """The newest run of a job, or of one task of an array, with its steps."""

    job_id: str
    """`123`, or `123_4` for a task of an array."""
    state: str
    """In full, and without the rest of `CANCELLED by 1000`."""
    exit_code: str
    """Exit status and signal, as `7:0`."""
    elapsed_seconds: float
    cpu_seconds: float
    """Processor time of all its processes; 0 where nobody has counted."""
    num_cpus: int
    """Cores that it was given."""
    max_memory_bytes: int
    """The most that its tasks held, summed over them; 0 where nobody has looked."""
    asked_memory_bytes: int
    """Memory that it was given, on all its nodes."""
    gpu_utilization: float | None
    """Part of the time that its GPUs were busy, 0 to 1; None where the site does not measure it."""
    nodes: str
    submitted: str
    """As SLURM writes times; `Unknown` or `None` where it has none, and so below."""
    started: str
    ended: str
    restarts: int
    """How many earlier runs of the job the accounts know."""


@dataclass(frozen=True)
class Accounts:
    """What `sacct` printed."""

    known: list[Account]
    unread: list[str]
    """Lines that cannot be understood."""


def sacct(job_ids: Iterable[str]) -> Accounts | None:
    """The account of each job or task of an array among those of these ids; one call for all.

    None where the site keeps no accounts.

    Raises:
        SlurmError: No answer.
    """
    jobs = sorted({job_id.split("_")[0] for job_id in job_ids})
    if not jobs:
        return Accounts([], [])
    try:
        answer = call(
            "sacct",
            "--duplicates",  # else a job that runs again hides how its last run ended
            "--noheader",
            "--parsable2",
            f"--delimiter={SEPARATOR}",
            f"--jobs={','.join(jobs)}",
            f"--format={','.join(FIELDS)}",
        )
    except SlurmError as error:
        if NO_ACCOUNTS in str(error).lower():
            return None
        raise
    return parse(answer)


def parse(answer: str) -> Accounts:
    """What `sacct` printed, its ranges of waiting tasks taken apart.

    Raises:
        SlurmError: None of its lines is one of sacct's.
    """
    accounts: dict[str, Account] = {}
    unread: list[str] = []
    for job, steps in _runs(answer, unread):
        for job_id in _task_ids(job["JobID"]):
            earlier = accounts.get(job_id)
            # A row of waiting tasks may stand beside that of one of them which has begun since.
            if earlier and job["State"] == PENDING:
                continue
            has_run = earlier is not None and earlier.state != PENDING
            restarts = earlier.restarts + 1 if earlier and has_run else 0
            accounts[job_id] = _account(job_id, job, steps, restarts)
    if unread and not accounts:
        raise SlurmError(f"sacct answered {unread[0][:200]!r}, which is no line of an account")
    return Accounts(list(accounts.values()), unread)


def _runs(answer: str, unread: list[str]) -> Iterator[tuple[dict[str, str], list[dict[str, str]]]]:
    """Each run of each job, with its steps, which follow it; what is none is put into `unread`."""
    job: dict[str, str] = {}
    steps: list[dict[str, str]] = []
    for line in answer.splitlines():
        values = line.split(SEPARATOR)
        if len(values) != len(FIELDS) or not values[1] or not _task_ids(values[0]):
            unread.append(line)
            continue
        row = dict(zip(FIELDS, values, strict=True))
        job_id, dot, _ = row["JobID"].partition(".")
        if dot:
            if job and job_id == job["JobID"]:  # else the line of its job was not understood
                steps.append(row)
            continue
        if job:
            yield job, steps
        job, steps = row, []
    if job:
        yield job, steps


def _task_ids(job_id: str) -> list[str]:
    """The tasks of `123_[4-9%2]`; any other id alone; none of what is no id."""
    array, bracket, text = job_id.partition("_[")
    if not array[:1].isdigit():
        return []
    if not bracket:
        return [job_id]
    try:
        return [f"{array}_{index}" for index in Array.parse(text.removesuffix("]")).indices]
    except ValueError:
        return []


def _account(
    job_id: str, job: dict[str, str], steps: Sequence[dict[str, str]], restarts: int
) -> Account:
    num_cpus = _integer(job["AllocCPUS"])
    num_nodes = _integer(job["NNodes"])
    used = [duration_seconds(row["TotalCPU"]) or 0.0 for row in steps]
    account = Account(
        job_id=job_id,
        state=job["State"].split()[0].rstrip("+"),
        exit_code=job["ExitCode"],
        elapsed_seconds=duration_seconds(job["Elapsed"]) or 0.0,
        # SLURM sums up the steps once all of them have ended.
        cpu_seconds=max(duration_seconds(job["TotalCPU"]) or 0.0, sum(used)),
        num_cpus=num_cpus,
        max_memory_bytes=max((_memory_of_step(row) for row in steps), default=0),
        asked_memory_bytes=_asked_memory(job["ReqMem"], num_cpus=num_cpus, num_nodes=num_nodes),
        gpu_utilization=None,
        nodes="" if job["NodeList"] == "None assigned" else job["NodeList"],
        submitted=job["Submit"],
        started=job["Start"],
        ended=job["End"],
        restarts=restarts,
    )
    num_gpus = _amount(_resource(job["AllocTRES"], "gres/gpu"))
    busy = [utilization for row in steps if (utilization := _gpus_busy(row)) is not None]
    if not busy or not num_gpus:
        return account
    return dataclasses.replace(account, gpu_utilization=min(1.0, max(busy) / num_gpus))


def _memory_of_step(row: dict[str, str]) -> int:
    # MaxRSS is of the largest task; to multiply it by their number gives more than there was.
    return max(_amount(row["MaxRSS"]), _amount(_resource(row["TRESUsageInTot"], "mem")))


def _asked_memory(text: str, *, num_cpus: int, num_nodes: int) -> int:
    """Memory of the whole job; before SLURM 21.08 `4Gc` is for each core, `4Gn` for each node."""
    per = {"c": num_cpus, "n": num_nodes}.get(text[-1:], 1)
    return _amount(text.rstrip("cn")) * per


def _gpus_busy(row: dict[str, str]) -> float | None:
    """How many GPUs a step kept busy; a task's per cent are added up over its GPUs."""
    percent = _resource(row["TRESUsageInAve"], "gres/gpuutil")
    return _amount(percent) / 100 * max(1, _integer(row["NTasks"])) if percent else None


def _resource(text: str, name: str) -> str:
    """One of `cpu=4,mem=2G,gres/gpu=1`; empty where it is not among them."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return next((value for key, _, value in pairs if key == name), "")


def _amount(text: str) -> int:
    """Bytes of `2.50G`, or the number of things; 0 for what is no amount."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)", text)
    return round(float(match[1]) * UNITS[match[2]]) if match else 0


def _integer(text: str) -> int:
    return int(text) if text.isdigit() else 0
