"""How often SLURM is asked, and what a screen says where it gives no answer."""

from pathlib import Path

import pytest

from slurm.board.pace import LONGEST_SECONDS, SHORTEST_SECONDS, Pace
from slurm.board.sources import LATER_LOOKS, Sources
from slurm.board.states import states_of
from slurm.board.troubles import advice_lines
from slurm.environment import STOPPED_EARLY
from slurm.states.accounts import FIELDS
from slurm.submission import StepFolder
from tests.boards import ARRAY, Commands, begin, board, end, launch
from tests.submissions import manifest_of


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(tmp_path / "bin", monkeypatch)


@pytest.fixture
def step(tmp_path: Path) -> StepFolder:
    return StepFolder(launch(tmp_path, "extract", 900).step_folder)


def account(index: int, state: str) -> str:
    values = {"JobID": f"{ARRAY}_{index}", "State": state, "Start": "Unknown", "End": "Unknown"}
    return "|".join(values.get(name, "") for name in FIELDS) + "\n"


def test_a_look_costs_one_squeue_and_one_sacct_whatever_the_number_of_tasks(
    step: StepFolder, commands: Commands
) -> None:
    Sources().look([step])
    assert (commands.calls("squeue"), commands.calls("sacct")) == (1, 1)


def test_accounts_are_asked_for_only_when_a_task_has_left_the_queue(
    step: StepFolder, commands: Commands
) -> None:
    sources = Sources()
    everything = {f"t{index}": "RUNNING" for index in range(900)}
    commands.hold(**everything)
    sources.look([step])
    assert commands.calls("sacct") == 0
    commands.hold(**everything | {"t5": "PENDING"})
    sources.look([step])
    assert commands.calls("sacct") == 0
    commands.hold(**everything | {"t5": "COMPLETED"})
    sources.look([step])
    sources.look([step])
    assert (commands.calls("squeue"), commands.calls("sacct")) == (4, 1)


def test_accounts_that_lag_behind_the_queue_are_asked_again_but_not_for_ever(
    step: StepFolder, commands: Commands
) -> None:
    sources = Sources()
    commands.say("sacct", account(5, "RUNNING"))
    for _ in range(10):
        sources.look([step])
    assert commands.calls("sacct") == 1 + LATER_LOOKS


def test_a_site_without_accounts_is_asked_once(step: StepFolder, commands: Commands) -> None:
    commands.do("sacct", "echo Slurm accounting storage is disabled >&2; exit 1")
    sources = Sources()
    commands.hold(t5="RUNNING")
    answers = sources.look([step])
    commands.hold(t6="RUNNING")
    sources.look([step])
    assert (answers.accounts, answers.complaints) == (None, [])
    assert commands.calls("sacct") == 1


def test_what_was_heard_of_ended_tasks_is_kept(step: StepFolder, commands: Commands) -> None:
    sources = Sources()
    commands.hold(t5="RUNNING")
    commands.say("sacct", account(4, "FAILED"))
    sources.look([step])
    commands.hold()
    commands.say("sacct", account(5, "TIMEOUT"))
    accounts = sources.look([step]).accounts
    assert accounts is not None
    assert {a.job_id: a.state for a in accounts} == {"77_4": "FAILED", "77_5": "TIMEOUT"}


def test_slurm_is_not_asked_of_tasks_that_it_never_had(tmp_path: Path, commands: Commands) -> None:
    step = StepFolder(tmp_path / "logs" / "extract")
    step.begin(manifest_of(step, ["true"], [0], scheduler="local"))
    assert Sources().look([step]).complaints == []
    assert (commands.calls("squeue"), commands.calls("sacct")) == (0, 0)


@pytest.mark.parametrize(
    "script, complaint",
    [
        ("echo 503 Service Unavailable", "503 Service Unavailable"),
        ("echo slurm_load_jobs error: Unable to contact slurm controller >&2; exit 1", "contact"),
        (r"printf '\377\377'", "no text"),
        ("exec sleep 30", "no answer within 0.5 s"),
    ],
    ids=["nonsense", "error", "bytes", "hanging"],
)
def test_a_queue_that_cannot_be_asked_is_one_line_and_nothing_is_called_gone(
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    complaint: str,
) -> None:
    monkeypatch.setattr("slurm.controller.SECONDS_TO_ANSWER", 0.5)
    extract = launch(tmp_path, "extract", 4)
    end(extract, 0, 0)
    end(extract, 1, 1)
    begin(extract, 2)
    commands.do("squeue", script)
    step = StepFolder(extract.step_folder)
    answers = Sources().look([step])
    (said,) = answers.complaints
    assert complaint in said
    assert "\n" not in said
    states = states_of(step, answers)
    assert [state.state for state in states.values()] == [
        "COMPLETED",
        "FAILED",
        "RUNNING",
        "PENDING",
    ]
    assert [index for index, state in states.items() if state.is_live] == [2, 3]


def test_a_task_that_left_to_be_started_again_has_not_failed_while_the_queue_cannot_be_asked(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 1)
    end(extract, 0, STOPPED_EARLY)
    step = StepFolder(extract.step_folder)
    commands.say("squeue", "nonsense")
    (state,) = states_of(step, Sources().look([step])).values()
    assert (state.state, state.is_live, state.cause) == ("REQUEUED", True, "")
    assert "the queue knows, which cannot be asked" in state.doubt
    assert list(advice_lines([board(extract)])) == []
    commands.say("squeue", "")
    (state,) = states_of(step, Sources().look([step])).values()
    assert (state.state, state.is_live, state.cause) == ("FAILED", False, "time limit")


def test_accounts_that_cannot_be_asked_are_one_line(step: StepFolder, commands: Commands) -> None:
    commands.say("sacct", "no account at all")
    (complaint,) = Sources().look([step]).complaints
    assert complaint.startswith("sacct answered 'no account at all'")


def test_one_line_of_the_accounts_that_cannot_be_read_is_one_line_more(
    step: StepFolder, commands: Commands
) -> None:
    commands.say("sacct", account(4, "FAILED") + account(5, "TIMEOUT").replace("_5", "_[5,...]"))
    answers = Sources().look([step])
    (complaint,) = answers.complaints
    assert complaint.startswith("sacct answered '77_[5,...]|TIMEOUT|")
    assert [a.job_id for a in answers.accounts or []] == ["77_4"]


def test_a_task_of_this_machine_whose_process_is_gone_is_gone_without_slurm(
    tmp_path: Path,
) -> None:
    step = StepFolder(tmp_path / "logs" / "extract")
    submission = step.begin(manifest_of(step, ["true"], [0], scheduler="local"))
    begin(submission, 0, job_id="local-4194303")
    (state,) = states_of(step, Sources().look([step])).values()
    assert state.state == "GONE"
    assert not state.is_live
    seen = board(submission)
    (advice,) = advice_lines([seen])
    assert not seen.is_on_slurm
    assert "--array failed" in advice.plain


def test_such_a_task_is_gone_even_while_the_queue_cannot_be_asked_for_others(
    tmp_path: Path, commands: Commands
) -> None:
    extract = launch(tmp_path, "extract", 1)
    step = StepFolder(extract.step_folder)
    local = step.begin(manifest_of(step, ["true"], [1], scheduler="local"))
    begin(local, 1, job_id="local-4194303")
    commands.say("squeue", "nonsense")
    states = states_of(step, Sources().look([step]))
    assert {index: state.state for index, state in states.items()} == {0: "PENDING", 1: "GONE"}


def test_an_hour_in_which_nothing_changes_takes_less_than_60_calls() -> None:
    pace, seconds, calls = Pace(), 0.0, 1 + LATER_LOOKS  # of sacct
    while seconds < 3600:
        calls += 1
        seconds += pace.seconds_to_wait("the same")
    assert calls == 36


def test_looks_come_quickly_again_when_something_changes() -> None:
    pace = Pace()
    waits = [pace.seconds_to_wait(seen) for seen in "aaaaaab"]
    assert waits == [SHORTEST_SECONDS, 30, 60, 120, LONGEST_SECONDS, LONGEST_SECONDS, 15]
