"""SLURM's commands may be missing, hang, fail or answer nonsense: a clear line, and no more."""

import time
from collections.abc import Callable

import pytest

from slurm.controller import QueueEntry, SlurmError, max_array_size, squeue
from slurm.states.accounts import sacct
from tests.programs import Programs

ASK: dict[str, Callable[[], object]] = {
    "squeue": squeue,
    "sacct": lambda: sacct(["7_1"]),
    "scontrol": max_array_size,
}
SLEEP = "import time; time.sleep(60)"
LINE = "7_1|RUNNING|None|node1|1:02|2026-11-21T14:06:23|/logs/extract#1.0"


@pytest.mark.parametrize("program", ASK)
def test_a_missing_program_is_named(programs: Programs, program: str) -> None:
    with pytest.raises(SlurmError, match=f"^{program} is not on the PATH") as caught:
        ASK[program]()
    assert caught.value.is_refusal


@pytest.mark.parametrize("program", ASK)
@pytest.mark.parametrize(
    "code",
    [
        SLEEP,
        # A wrapper is killed alone, and its child keeps the pipes open.
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])",
    ],
    ids=["program", "wrapper"],
)
def test_a_program_that_hangs_is_given_up(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    code: str,
) -> None:
    monkeypatch.setattr("slurm.controller.SECONDS_TO_ANSWER", 0.5)
    programs.add(program, code)
    began = time.monotonic()
    with pytest.raises(SlurmError, match=rf"^{program} gave no answer within 0\.5 s") as caught:
        ASK[program]()
    assert time.monotonic() - began < 30
    assert not caught.value.is_refusal


@pytest.mark.parametrize("program", ASK)
def test_a_program_that_fails_is_quoted(programs: Programs, program: str) -> None:
    programs.add(program, "import sys; sys.exit('slurm_load_jobs error: Unable to contact')")
    with pytest.raises(SlurmError, match=f"^{program}: slurm_load_jobs error: Unable to contact"):
        ASK[program]()
    programs.add(program, "import sys; sys.exit(3)")
    with pytest.raises(SlurmError, match=f"^{program}: status 3"):
        ASK[program]()


@pytest.mark.parametrize("program", ASK)
@pytest.mark.parametrize(
    "answer",
    [
        b"<html>502 Bad Gateway</html>\n",
        b"slurm 42\n",
        b"7_1|RUNNING\n",
        b"|||||||||||||||||\n",
        b"\xff\xfe\x00\n",
        b"7_1\x00|\n",
    ],
)
def test_nonsense_is_no_answer(
    programs: Programs,
    program: str,
    answer: bytes,
) -> None:
    programs.add(program, f"import sys; sys.stdout.buffer.write({answer!r})")
    with pytest.raises(SlurmError, match=program):
        ASK[program]()


def test_an_empty_queue_is_an_answer(programs: Programs) -> None:
    programs.add("squeue", "")
    assert squeue() == []


def test_a_comment_may_hold_the_separator(programs: Programs) -> None:
    programs.add("squeue", f"print({LINE + '|x'!r})")
    assert squeue() == [
        QueueEntry(
            job_id="7_1",
            state="RUNNING",
            reason="None",
            nodes="node1",
            elapsed="1:02",
            starts_at="2026-11-21T14:06:23",
            comment="/logs/extract#1.0|x",
        )
    ]


def test_a_foreign_comment_of_several_lines_spoils_no_answer(programs: Programs) -> None:
    foreign = LINE.replace("7_1", "8").replace("/logs/extract#1.0", "first\n\nsecond|x\nCOMMENT|y")
    programs.add("squeue", f"print({foreign!r}); print({LINE!r})")
    assert [(entry.job_id, entry.comment) for entry in squeue()] == [
        ("8", "first\nsecond|x\nCOMMENT|y"),
        ("7_1", "/logs/extract#1.0"),
    ]


def test_jobs_of_several_clusters_are_read_without_their_headlines(programs: Programs) -> None:
    programs.add("squeue", f"print('CLUSTER: a', {LINE!r}, '', 'CLUSTER: b', {LINE!r}, sep='\\n')")
    assert [entry.comment for entry in squeue()] == ["/logs/extract#1.0"] * 2


@pytest.mark.parametrize(
    "setting",
    ["SQUEUE_PARTITION", "SQUEUE_NAMES", "SACCT_LOCAL", "SBATCH_ARRAY_INX", "SCANCEL_INTERACTIVE"],
)
def test_a_users_own_settings_hide_no_job(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, "high")
    monkeypatch.setenv("SLURM_CONF", "/etc/other.conf")
    programs.add(
        "squeue",
        f"import os; assert {setting!r} not in os.environ\n"
        "assert os.environ['SLURM_CONF'] == '/etc/other.conf'",
    )
    assert squeue() == []


def test_a_user_is_who_slurm_takes_them_for(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add(
        "squeue",
        "import os, pwd, sys\n"
        "assert f'--user={pwd.getpwuid(os.getuid()).pw_name}' in sys.argv, sys.argv",
    )
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert squeue() == []


def test_a_site_that_runs_no_arrays_says_so(programs: Programs) -> None:
    programs.add("scontrol", "print('MaxArraySize            = 0')")
    with pytest.raises(SlurmError, match="runs no arrays") as caught:
        max_array_size()
    assert caught.value.is_refusal


def test_a_users_own_format_of_times_changes_no_answer(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_TIME_FORMAT", "%s")
    monkeypatch.setenv("SLURM_BITSTR_LEN", "64")
    programs.add(
        "scontrol",
        "import os; assert os.environ['SLURM_TIME_FORMAT'] == 'standard'\n"
        "assert os.environ['SLURM_BITSTR_LEN'] == '0'; print('MaxArraySize = 1001')",
    )
    assert max_array_size() == 1001
