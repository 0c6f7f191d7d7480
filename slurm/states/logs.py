"""The ends of logs: what SLURM's own says of a job's end, and why a task ended badly."""

import os
import re
from pathlib import Path

from slurm.environment import STOPPED_EARLY
from slurm.marker import Event
from slurm.states.clock import seconds_since_1970

CAUSES = (
    "out of memory",
    "time limit",
    "node",
    "preempted",
    "cancelled",
    "disk full",
    "decode",
    "NaN",
    "code",
    "no word",
    "two writers",
)

TAIL_BYTES = 8192

# slurmstepd: error: *** JOB 12 ON node3 CANCELLED AT 2026-08-24T09:30:00 DUE TO TIME LIMIT ***
STRUCK = re.compile(
    r"\*\*\* (?P<what>JOB|STEP) \S+ ON \S+ CANCELLED AT (?P<when>\S+)"
    r"(?: DUE TO (?P<reason>[A-Z]+ [A-Z]+|PREEMPTION))?"
)
STATES_BY_REASON = {
    "TIME LIMIT": "TIMEOUT",
    "PREEMPTION": "PREEMPTED",
    "NODE FAILURE": "NODE_FAIL",
}
OUT_OF_MEMORY = re.compile(r"oom[-_ ]kill|Out Of Memory", re.IGNORECASE)
NODE_FAILURE = re.compile(r"Node failure on ")

TRACEBACK = "Traceback (most recent call last)"
HEADLINE = re.compile(r"^--- .+ job \S+ on \S+.* ---$", re.MULTILINE)

# What a task's own words betray, the surest first.
SIGNS = {
    # What `mcn.store` says to the one of two that has no lease, or no more.
    "two writers": (
        r"is writing it; wait for its end, or end it|had not renewed its lease or was said to"
        r"|another process has sealed it in the meantime"
    ),
    "out of memory": (
        r"MemoryError|OutOfMemoryError|out of memory|oom[-_]kill|Cannot allocate memory"
        r"|bad_alloc|can't allocate memory"
    ),
    "disk full": r"No space left on device|[Qq]uota exceeded|\[Errno (28|122)\]",
    "node": (
        r"Input/output error|Stale file handle|Transport endpoint is not connected"
        r"|Read-only file system|Remote I/O error|No CUDA GPUs are available|no CUDA-capable device"
        r"|CUDA driver|ECC error|uncorrectable|device\(s\) is/are busy or unavailable"
        r"|CUDA error: unknown error|fallen off the bus"
    ),
    "NaN": r"FloatingPointError|\bNaN\b|(?<![\w/.])nan\b|[Nn]on-?finite|[Nn]ot finite",
    "decode": r"MediaError|av\.error|InvalidDataError|Invalid data found|moov atom not found",
}


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, of at most 8 KiB; empty where there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
    if size > TAIL_BYTES:
        text = text.partition("\n")[2] or text  # the first line is the rest of one
    return "".join(text.splitlines(keepends=True)[-lines:])


def since_start(slurm_log_text: str, began: Event) -> str:
    """What SLURM has written since the last line that surely is of an earlier start.

    Its times are of the node's time zone, and read as if this machine had the same.
    """
    if began.restart == 0:
        return slurm_log_text
    lines = slurm_log_text.splitlines(keepends=True)
    first = 0
    for number, line in enumerate(lines):
        struck = STRUCK.search(line)
        seconds = seconds_since_1970(struck["when"]) if struck else None
        # SLURM writes whole seconds.
        if seconds is not None and seconds + 1 < began.seconds:
            first = number + 1
    return "".join(lines[first:])


def end_in_slurm_log(slurm_log_text: str, began: Event) -> str:
    """The state in which a job ended, by what SLURM wrote of its newest start; empty if nothing."""
    reasons = {struck["reason"] for struck in STRUCK.finditer(slurm_log_text)}
    for reason, state in STATES_BY_REASON.items():
        if reason in reasons:
            return state
    if OUT_OF_MEMORY.search(slurm_log_text):
        return "OUT_OF_MEMORY"
    # This line bears no time, and may be of an earlier start.
    if NODE_FAILURE.search(slurm_log_text) and began.restart == 0:
        return "NODE_FAIL"
    # A step alone is also ended by srun, when one of its tasks has failed.
    is_cancelled = any(
        struck["what"] == "JOB" and struck["reason"] is None
        for struck in STRUCK.finditer(slurm_log_text)
    )
    return "CANCELLED" if is_cancelled else ""


def cause_of(slurm_log_text: str, log_tail_text: str, event: Event | None) -> str:
    """Why a task ended badly: one of `CAUSES`.

    Args:
        slurm_log_text: The end of what SLURM wrote of its newest start.
        log_tail_text: The end of what the task itself said.
        event: How it ended, where its marker says so.
    """
    if OUT_OF_MEMORY.search(slurm_log_text):
        return "out of memory"
    if event is not None and (event.status == STOPPED_EARLY or event.signal == "SIGUSR2"):
        return "preempted"
    if event is not None and event.signal in ("SIGTERM", "SIGINT"):
        return "cancelled"
    # Starts are written one below the other.
    own_words = HEADLINE.split(log_tail_text)[-1].strip()
    # What was said before an exception is of troubles that were survived.
    _, header, exception = own_words.partition(TRACEBACK)
    for cause, signs in SIGNS.items():
        if re.search(signs, exception if header else own_words):
            return cause
    return "code" if own_words and event is not None else "no word"
