"""The testbed is a real SLURM, so these tests are about what its users rely on."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slurm.testbed import MissingPackagesError, Testbed
from slurm.testbed.daemons import Daemons
from slurm.testbed.job_processes import processes_of_jobs
from slurm.testbed.packages import check_packages
from slurm.testbed.processes import all_processes, find_process
from tests.slurm_cluster import (
    MAX_ARRAY_SIZE,
    empty_queue,
    queue,
    require_slurm,
    submit,
    wait_for_state,
    wait_until,
)

WHOLE_JOB = {"slurmstepd", "slurm_script", "sleep"}


@pytest.mark.slow
def test_up_shell_and_down_work_from_processes_of_their_own_and_leave_none_behind(
    tmp_path: Path, slurm_cluster: Testbed
) -> None:
    testbed = Testbed(tmp_path, nodes=1)
    before = queue(slurm_cluster)

    def command(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "slurm.testbed", *arguments, f"--folder={tmp_path}"],
            env=os.environ | {"SHELL": "/bin/sh"},
            input=stdin,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        assert command("up", "--nodes=1") == f"export SLURM_CONF={tmp_path}/etc/slurm.conf\n"
        wait_for_state(testbed, submit(testbed, "trap '' TERM; sleep 600 & wait"), "RUNNING")
        assert "node1" in command("shell", stdin="sinfo\n")
        wait_until(lambda: names_of_jobs(testbed) >= WHOLE_JOB, "the job's processes are there")
        job = processes_of_jobs(testbed)
    finally:
        ended = command("down")
    assert ended == "ended: munged, node1, slurmctld\n"
    assert not any(process.is_running for process in job)
    assert not [entry for entry in all_processes() if _is_of(entry.process.pid, tmp_path)]
    assert command("down") == f"nothing runs in {tmp_path}\n"
    assert queue(slurm_cluster).keys() <= before.keys()  # the other one never knew of it


def names_of_jobs(testbed: Testbed) -> set[str]:
    job = processes_of_jobs(testbed)
    return {entry.name for entry in all_processes() if entry.process in job}


def _is_of(pid: int, folder: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        where = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return str(folder).encode() in command or where.is_relative_to(folder)


@pytest.mark.slow
def test_daemons_listen_on_the_loopback_only(slurm_cluster: Testbed) -> None:
    own = set()
    for process in Daemons(slurm_cluster.folder).running().values():
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since
                own.add(str(link.readlink()))
    addresses = []
    for table in "tcp", "tcp6":
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = fields[3] == "0A"
            if is_listening and f"socket:[{fields[9]}]" in own:
                addresses.append(fields[1].split(":")[0])
    assert len(addresses) == 2 + slurm_cluster.nodes
    # As little-endian hexadecimal digits, of which the last two are the 127.
    assert all(len(address) == 8 and address.endswith("7F") for address in addresses)


@pytest.mark.slow
def test_an_array_runs_below_max_array_size_and_no_further(slurm_cluster: Testbed) -> None:
    job = submit(slurm_cluster, "exit 0", f"--array=0-{MAX_ARRAY_SIZE - 1}")
    tasks = {f"{job}_{index}": "COMPLETED" for index in range(MAX_ARRAY_SIZE)}
    wait_until(lambda: tasks.items() <= queue(slurm_cluster).items(), "all tasks are completed")
    with pytest.raises(ChildProcessError, match="Invalid job array specification"):
        submit(slurm_cluster, "exit 0", f"--array={MAX_ARRAY_SIZE}")


@pytest.mark.slow
def test_a_job_gets_as_many_gpus_as_a_node_has_and_no_more(slurm_cluster: Testbed) -> None:
    job = submit(slurm_cluster, "sleep 600", "--gres=gpu:4", "--nodelist=node1")
    wait_for_state(slurm_cluster, job, "RUNNING")
    next_job = submit(slurm_cluster, "sleep 600", "--gres=gpu:1", "--nodelist=node1")
    with pytest.raises(ChildProcessError, match="not available"):
        submit(slurm_cluster, "sleep 600", "--gres=gpu:5")
    assert queue(slurm_cluster)[next_job] == "PENDING"
    empty_queue(slurm_cluster)


@pytest.mark.slow
def test_a_testbed_that_is_up_is_not_started_again(slurm_cluster: Testbed) -> None:
    with pytest.raises(ValueError, match="a testbed is up in"):
        Testbed(slurm_cluster.folder).up()


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    require_slurm(accounting=False)
    (tmp_path / "state").write_text("precious")
    with pytest.raises(ValueError, match="holds no testbed"):
        Testbed(tmp_path).up()
    assert (tmp_path / "state").read_text() == "precious"


@pytest.mark.parametrize(
    "folder, nodes, message",
    [("/tmp/" + 60 * "x", 4, "at most 64"), ("/tmp/a b", 4, "letters"), ("/tmp/a", 0, "1 to 64")],
)
def test_what_slurm_could_not_hold_is_refused_at_once(
    folder: str, nodes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Testbed(Path(folder), nodes=nodes)


def test_a_pid_file_whose_process_is_another_by_now_names_none(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    me = find_process(os.getpid())
    assert me is not None
    (tmp_path / "run" / "slurmctld.daemon").write_text(json.dumps([me.pid, me.started_ticks - 1]))
    (tmp_path / "run" / "munged.daemon").write_text("[12")
    assert Testbed(tmp_path).down() == []


def test_missing_packages_are_named_as_apt_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingPackagesError, match=r"apt-get install .*slurm-wlm.* gcc libc6-dev"):
        check_packages(accounting=False)
    with pytest.raises(MissingPackagesError, match="mariadb-server-core"):
        check_packages(accounting=True)


def test_missing_packages_skip_a_test_unless_they_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("REQUIRE_SLURM", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install"):
        require_slurm(accounting=False)
    monkeypatch.setenv("REQUIRE_SLURM", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install"):
        require_slurm(accounting=False)
