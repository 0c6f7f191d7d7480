from pathlib import Path

import pytest

from mcn.store.holder import Holder
from mcn.store.lease import ShardBusyError, acquire
from slurm.board.troubles import ADVICE
from slurm.marker import BEGAN, ENDED, Event
from slurm.states.logs import CAUSES, cause_of, end_in_slurm_log, since_start, tail
from slurm.states.nodes import CAUSES_OF_NODES

# As SLURM 22.05 writes them; those of the time limit and of an out-of-memory kill from memory.
CANCELLED = """\
srun: Job step aborted: Waiting up to 7 seconds for job step to finish.
slurmstepd-node1: error: *** STEP 4.0 ON node1 CANCELLED AT 2026-11-21T14:06:23 ***
slurmstepd-node1: error: *** JOB 4 ON node1 CANCELLED AT 2026-11-21T14:06:23 ***
srun: error: node1: task 0: Exited with exit code 143
"""
PREEMPTED = """\
slurmstepd: error: *** JOB 9 ON node3 CANCELLED AT 2026-11-21T14:06:31 DUE TO PREEMPTION ***
slurmstepd: error: *** STEP 9.0 ON node3 CANCELLED AT 2026-11-21T14:06:31 DUE TO PREEMPTION ***
"""
TIMEOUT = """\
slurmstepd: error: *** JOB 7 ON node2 CANCELLED AT 2026-11-21T14:06:31 DUE TO TIME LIMIT ***
"""
NODE_FAIL = """\
srun: error: Node failure on node2
slurmstepd-node2: error: *** JOB 14 ON node2 CANCELLED AT 2026-11-21T14:06:31 DUE TO NODE FAILURE, \
SEE SLURMCTLD LOG FOR DETAILS ***
"""
SRUN_ALONE_SAW_THE_NODE_FAIL = "srun: error: Node failure on node2\n"
OUT_OF_MEMORY = """\
slurmstepd: error: Detected 1 oom_kill event in StepId=8.0. Some of the step tasks have been OOM \
Killed.
srun: error: node1: task 0: Out Of Memory
"""
REQUEUED = """\
slurmstepd: error: *** JOB 10 ON node3 CANCELLED AT 2026-11-21T14:06:23 DUE TO JOB REQUEUE ***
slurmstepd: error: *** STEP 10.0 ON node3 CANCELLED AT 2026-11-21T14:06:23 DUE TO JOB REQUEUE ***
srun: error: node3: task 0: Exited with exit code 143
"""
ENDED_BY_SRUN = """\
slurmstepd: error: *** STEP 3.0 ON node1 CANCELLED AT 2026-11-21T14:06:23 ***
srun: error: node1: task 1: Exited with exit code 1
"""
SECONDS_OF_ALL = 1795269980.0  # 14:06:20, before any of the ends above


def event(kind: str = BEGAN, *, seconds: float = SECONDS_OF_ALL, restart: int = 0) -> Event:
    return Event(
        kind=kind, job_id="7_1", restart=restart, seconds=seconds, node="node1", pid=3, status=1
    )


@pytest.mark.parametrize(
    "text, state",
    [
        (CANCELLED, "CANCELLED"),
        (PREEMPTED, "PREEMPTED"),
        (TIMEOUT, "TIMEOUT"),
        (NODE_FAIL, "NODE_FAIL"),
        (SRUN_ALONE_SAW_THE_NODE_FAIL, "NODE_FAIL"),
        (OUT_OF_MEMORY, "OUT_OF_MEMORY"),
        (REQUEUED, ""),
        (ENDED_BY_SRUN, ""),
        ("srun: error: node1: task 0: Exited with exit code 7\n", ""),
        ("", ""),
    ],
)
def test_slurms_own_log_tells_how_a_job_ended(text: str, state: str) -> None:
    assert end_in_slurm_log(text, event()) == state


def test_the_end_of_an_earlier_start_is_not_the_end() -> None:
    again = event(seconds=SECONDS_OF_ALL + 60, restart=1)
    assert since_start(REQUEUED + PREEMPTED, again) == ""
    later = TIMEOUT.replace("14:06", "14:07")
    assert since_start(PREEMPTED + later, again) == later
    assert end_in_slurm_log(since_start(PREEMPTED + later, again), again) == "TIMEOUT"
    assert end_in_slurm_log(SRUN_ALONE_SAW_THE_NODE_FAIL, again) == ""


def test_the_log_of_the_first_start_is_all_of_it() -> None:
    assert since_start(CANCELLED + NODE_FAIL, event()) == CANCELLED + NODE_FAIL
    hours_behind = event(seconds=SECONDS_OF_ALL + 9 * 3600)  # the node is in another time zone
    assert since_start(CANCELLED, hours_behind) == CANCELLED


@pytest.mark.parametrize(
    "words, cause",
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out of memory"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB", "out of memory"),
        ("OSError: [Errno 28] No space left on device: 'store/7.journal'", "disk full"),
        ("OSError: [Errno 122] Disk quota exceeded", "disk full"),
        ("OSError: [Errno 5] Input/output error: '/data/raw/x.mp4'", "node"),
        ("OSError: [Errno 116] Stale file handle", "node"),
        ("RuntimeError: No CUDA GPUs are available", "node"),
        ("FloatingPointError: step 12: the loss is nan", "NaN"),
        ("ValueError: features of video abc hold NaN", "NaN"),
        ("extractors.media.MediaError: raw/x.mp4: moov atom not found", "decode"),
        ("Traceback (most recent call last):\nKeyError: 'nanny'", "code"),
        ("what a nanosecond", "code"),
        ("", "no word"),
    ],
)
def test_the_words_of_a_task_betray_why_it_failed(words: str, cause: str) -> None:
    assert cause in CAUSES
    headline = "--- 2026-11-21 14:06:23 job 7_1 on node1 ---\n"
    assert cause_of("", headline + words, event(ENDED)) == cause


def test_a_writer_that_was_refused_is_no_fault_of_code_or_node(tmp_path: Path) -> None:
    lease = tmp_path / "00042.lease"
    held = acquire(lease, Holder.here(), lease_seconds=0.5)
    with pytest.raises(ShardBusyError) as refused:
        acquire(lease, Holder.here())
    held.release()
    cause = cause_of("", f"error: {refused.value}\n", event(ENDED))
    assert cause == "two writers"
    assert cause in CAUSES and cause not in CAUSES_OF_NODES
    assert "will fail again" not in ADVICE[cause]


def test_words_of_an_earlier_start_are_no_cause() -> None:
    log = (
        "--- 2026-11-21 14:06:23 job 7_1 on node1 ---\nOSError: No space left on device\n"
        "--- 2026-11-21 15:06:23 job 7_1 on node2, start 2 ---\nKeyError: 'x'\n"
    )
    assert cause_of("", log, event(ENDED)) == "code"
    assert cause_of("", log.removesuffix("KeyError: 'x'\n"), event(ENDED)) == "no word"


def test_troubles_that_were_survived_are_no_cause() -> None:
    survived = "video abc failed: moov atom not found\n"
    fatal = "Traceback (most recent call last):\n  File x\nKeyError: 'x'\n"
    assert cause_of("", survived + fatal, event(ENDED)) == "code"
    assert cause_of("", fatal.replace("KeyError", "MediaError"), event(ENDED)) == "decode"


def test_slurm_knows_better_than_the_task_that_it_was_out_of_memory() -> None:
    assert cause_of(OUT_OF_MEMORY, "KeyError: 'x'", event(ENDED)) == "out of memory"


def test_a_task_that_vanished_in_the_midst_of_its_work_has_left_no_word() -> None:
    assert cause_of("", "epoch 3, loss 0.7", None) == "no word"


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "00042.log"
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(100_000)))
    assert tail(log, lines=2) == "line 99998 \ufffd\nline 99999 \ufffd\n"
    assert tail(log, lines=10**6).startswith("line 9")  # a whole line, and not the whole log
    assert len(tail(log, lines=10**6)) < 10_000
    log.write_text("no line break")
    assert tail(log) == "no line break"
    assert tail(tmp_path / "missing.log") == ""
