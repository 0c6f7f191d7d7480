from pathlib import Path

import pytest

import slurm.resources
from slurm.resources import Resources, site_resources


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and repository, of which this is the repository's file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(slurm.resources, "REPOSITORY", tmp_path)
    (tmp_path / "config" / "mcn").mkdir(parents=True)
    return tmp_path / "slurm.toml"


def users_file(site: Path) -> Path:
    return site.parent / "config" / "mcn" / "slurm.toml"


def test_without_a_site_file_a_step_asks_for_its_own_defaults() -> None:
    assert site_resources("train", cpus_per_task=8) == Resources(cpus_per_task=8)


def test_the_repositorys_file_wins_over_the_users_and_a_steps_table_over_both(site: Path) -> None:
    users_file(site).write_text('account = "me"\npartition = "cpu"\nqos = "low"\n')
    site.write_text('partition = "gpu"\n[train]\nqos = "high"\ntime_limit_minutes = 60\n')
    asked = site_resources("train", time_limit_minutes=5)
    assert (asked.account, asked.partition, asked.qos) == ("me", "gpu", "high")
    assert asked.time_limit_minutes == 60
    assert site_resources("extract").qos == "low"


def test_lines_of_shell_and_further_options_come_from_the_file(site: Path) -> None:
    site.write_text('setup = ["module load cuda"]\n[sbatch]\nmail-type = "FAIL"\n')
    asked = site_resources("train")
    assert asked.setup == ("module load cuda",)
    assert asked.sbatch == {"mail-type": "FAIL"}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("partitoin = 'x'", r"slurm\.toml: 'partitoin' is none of account, "),
        ("[extract]\nmemory = 3", r"slurm\.toml \[extract\]: 'memory' is none of"),
        ("cpus_per_task = 'four'", r"cpus_per_task = 'four'"),
        ("partition = 3", r"partition = 3"),
        ("setup = 'module load x'", r"setup = 'module load x'"),
        ("memory_gb = 0", r"memory_gb is 0 and must be more than 0"),
        ("partition = ", r"slurm\.toml: "),
    ],
)
def test_a_mistake_in_the_file_is_named(site: Path, content: str, complaint: str) -> None:
    site.write_text(content)
    with pytest.raises(ValueError, match=complaint):
        site_resources("train")


def test_a_mistake_in_the_table_of_another_step_is_named_too(site: Path) -> None:
    site.write_text("[extract]\ncpus = 4\n")
    with pytest.raises(ValueError, match=r"\[extract\]: 'cpus'"):
        site_resources("train")


@pytest.mark.parametrize(("minutes", "warning", "is_refused"), [(3, 120, True), (4, 120, False)])
def test_a_task_is_not_told_to_leave_before_it_can_begin(
    minutes: int, warning: int, is_refused: bool
) -> None:
    asked = Resources(time_limit_minutes=minutes, warning_seconds=warning)
    if is_refused:
        with pytest.raises(ValueError, match=r"minutes 3 .* 120 s .* at least 4 minutes"):
            asked.check_for_slurm()
    else:
        asked.check_for_slurm()


@pytest.mark.parametrize("name", ["comment", "array", "output", "signal", "job_name", "--error"])
def test_options_by_which_the_launch_knows_its_jobs_are_not_replaced(name: str) -> None:
    with pytest.raises(ValueError, match=r"--sbatch [a-z-]+: this option is set by the launch"):
        Resources(sbatch={name: "x"}).check_for_slurm()
