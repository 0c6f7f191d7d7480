from collections.abc import Iterable
from pathlib import Path

import pytest

from slurm.controller import SlurmError
from slurm.states.accounts import FIELDS, Accounts, parse, sacct
from tests.programs import Programs

# What sacct of SLURM 22.05 said.
TWO_TASKS = (
    (
        "17",
        {"Elapsed": "00:00:38", "TotalCPU": "00:37.020", "AllocCPUS": "2", "NNodes": "1"}
        | {"ExitCode": "0:0", "ReqMem": "1000M", "AllocTRES": "billing=2,cpu=2,mem=1000M,node=1"}
        | {"NodeList": "node1", "Start": "2026-11-21T14:14:17", "End": "2026-11-21T14:14:55"},
    ),
    (
        "17.batch",
        {"TotalCPU": "00:00.011", "NTasks": "1", "MaxRSS": "10828K"}
        | {"TRESUsageInTot": "cpu=00:00:00,energy=0,fs/disk=28921,mem=10828K,pages=3,vmem=219468K"},
    ),
    (
        "17.0",
        {"TotalCPU": "00:37.009", "NTasks": "2", "MaxRSS": "111072K"}
        | {"TRESUsageInTot": "cpu=00:00:32,energy=0,fs/disk=3371668,mem=222140K,pages=3"},
    ),
)
REQUEUED_AND_CANCELLED = (
    ("10_0", {"State": "REQUEUED", "Elapsed": "00:00:02", "NodeList": "node3"}),
    ("10_0.0", {"State": "FAILED", "ExitCode": "15:0", "MaxRSS": "40000K"}),
    ("10_0", {"State": "CANCELLED by 0", "Elapsed": "00:01:02", "NodeList": "node1"}),
    ("10_0.0", {"State": "FAILED", "ExitCode": "15:0", "MaxRSS": "23832K"}),
)
WAITING = (
    ("15_3", {"State": "RUNNING", "NodeList": "node1"}),
    ("15_[0,2,4-6%1]", {"State": "CANCELLED by 0", "NodeList": "None assigned"}),
)


def row(job_id: str, **values: str) -> str:
    """A line of sacct with these values and no others."""
    known = {"JobID": job_id, "State": "COMPLETED", **values}
    return "|".join(known.get(name, "") for name in FIELDS) + "\n"


def said(rows: Iterable[tuple[str, dict[str, str]]]) -> str:
    return "".join(row(job_id, **values) for job_id, values in rows)


def test_the_steps_of_a_job_are_folded_into_it() -> None:
    (account,) = parse(said(TWO_TASKS)).known
    assert (account.job_id, account.state, account.exit_code) == ("17", "COMPLETED", "0:0")
    assert account.elapsed_seconds == 38
    assert account.cpu_seconds == pytest.approx(37.02)
    assert account.num_cpus == 2
    assert account.nodes == "node1"
    assert account.ended == "2026-11-21T14:14:55"
    assert account.gpu_utilization is None


def test_memory_is_summed_over_tasks_and_never_multiplied() -> None:
    (account,) = parse(said(TWO_TASKS)).known
    assert account.max_memory_bytes == 222140 * 1024
    assert account.asked_memory_bytes == 1000 * 2**20


def test_of_a_job_that_ran_again_the_newest_run_counts() -> None:
    (account,) = parse(said(REQUEUED_AND_CANCELLED)).known
    assert (account.state, account.nodes, account.restarts) == ("CANCELLED", "node1", 1)
    assert account.elapsed_seconds == 62
    assert account.max_memory_bytes == 23832 * 1024


def test_tasks_that_never_ran_are_taken_out_of_their_range() -> None:
    accounts = {account.job_id: account for account in parse(said(WAITING)).known}
    assert sorted(accounts) == ["15_0", "15_2", "15_3", "15_4", "15_5", "15_6"]
    assert accounts["15_3"].state == "RUNNING"
    assert accounts["15_6"].state == "CANCELLED"
    assert accounts["15_6"].nodes == ""


@pytest.mark.parametrize(
    "text, num_bytes", [("4Gc", 32 * 2**30), ("4Gn", 8 * 2**30), ("4G", 4 * 2**30), ("?", 0)]
)
def test_memory_is_of_the_whole_job_whatever_it_is_counted_by(text: str, num_bytes: int) -> None:
    (account,) = parse(row("7", ReqMem=text, AllocCPUS="8", NNodes="2")).known
    assert account.asked_memory_bytes == num_bytes


def test_times_of_days_are_read() -> None:
    (account,) = parse(row("7", Elapsed="1-02:03:04", TotalCPU="2-00:00:00")).known
    assert account.elapsed_seconds == 26 * 3600 + 3 * 60 + 4
    assert account.cpu_seconds == 48 * 3600


@pytest.mark.parametrize("num_tasks, percent", [("1", "300"), ("4", "75")])
def test_gpus_are_busy_for_a_part_of_all_of_them(num_tasks: str, percent: str) -> None:
    job = row("7", AllocTRES="cpu=4,gres/gpu:a100=4,gres/gpu=4")
    step = row("7.0", NTasks=num_tasks, TRESUsageInAve=f"cpu=1,gres/gpuutil={percent}")
    (account,) = parse(job + step).known
    assert account.gpu_utilization == pytest.approx(0.75)


def test_a_state_of_newer_and_narrower_versions_is_the_same_word() -> None:
    assert [account.state for account in parse(row("7", State="OUT_OF_MEMORY+")).known] == [
        "OUT_OF_MEMORY"
    ]


def test_one_call_asks_for_all_jobs_and_none_where_there_are_none(
    programs: Programs,
    tmp_path: Path,
) -> None:
    calls = tmp_path / "calls"
    programs.add("sacct", f"import sys; print(sys.argv, file=open({str(calls)!r}, 'a'))")
    assert sacct([]) == Accounts([], [])
    assert not calls.exists()
    assert sacct([f"{job}_{index}" for job in (7, 8) for index in range(900)]) == Accounts([], [])
    (line,) = calls.read_text().splitlines()
    assert "'--jobs=7,8'" in line


def test_that_a_site_keeps_no_accounts_is_an_answer(programs: Programs) -> None:
    programs.add("sacct", "import sys; sys.exit('Slurm accounting storage is disabled')")
    assert sacct(["7"]) is None


def test_a_database_that_is_down_is_no_answer(programs: Programs) -> None:
    programs.add("sacct", "import sys; sys.exit('sacct: error: Problem talking to the database')")
    with pytest.raises(SlurmError, match="Problem talking to the database"):
        sacct(["7"])


def test_a_range_that_cannot_be_read_is_no_answer() -> None:
    with pytest.raises(SlurmError, match=r"7_\[0,2,\.\.\.\]"):
        parse(row("7_[0,2,...]"))


def test_tasks_that_wait_at_equal_distances_are_told_apart() -> None:
    known = parse(row("5_[3-20:17,30]", State="PENDING")).known
    assert [account.job_id for account in known] == ["5_3", "5_20", "5_30"]


def test_a_line_that_cannot_be_read_costs_itself_alone() -> None:
    lines = [row("17", TotalCPU="00:01"), row("5_[0,2,...]"), row("5.0", TotalCPU="09:00")]
    accounts = parse("".join(lines))
    assert [(account.job_id, account.cpu_seconds) for account in accounts.known] == [("17", 1)]
    assert accounts.unread == [lines[1].rstrip()]
