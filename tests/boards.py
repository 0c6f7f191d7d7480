"""Steps with markers, progress and logs as tasks leave them, and stand-ins for SLURM's commands."""

import json
import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from slurm.board.board import StepBoard, board_of
from slurm.board.sources import Sources
from slurm.board.states import states_of
from slurm.controller import SEPARATOR
from slurm.marker import BEGAN, ENDED, Event, append_event
from slurm.submission import StepFolder, Submission
from tests.submissions import manifest_of

ARRAY = "77"
LONG_AGO = 3600.0


def launch(root: Path, name: str, num_tasks: int, *, is_array: bool = True) -> Submission:
    """A submission that SLURM has taken as job 77, an hour ago."""
    step = StepFolder(root / "logs" / name)
    submission = step.begin(manifest_of(step, ["true"], range(num_tasks), is_array=is_array))
    submission.record_job(0, ARRAY)
    return submission


def begin(submission: Submission, index: int, *, node: str = "node1", job_id: str = "") -> None:
    """Let a task begin, an hour ago."""
    _note(submission, index, BEGAN, time.time() - LONG_AGO, node, job_id)


def end(
    submission: Submission, index: int, status: int, *, says: str = "", node: str = "node1"
) -> None:
    """Let a task begin and end a little later, with some last words."""
    begin(submission, index, node=node)
    _note(submission, index, ENDED, time.time() - LONG_AGO / 2, node, "", status)
    if says:
        submission.log(index).write_text(f"at work\n{says}\n")


def make_progress(
    submission: Submission,
    index: int,
    *,
    done: int,
    total: int = 100,
    seconds: float = 100.0,
    skipped: int = 0,
    frames: int = 0,
    ago: float = 1.0,
    note: str = "",
) -> None:
    """What a task said some seconds ago, when it had run for so many seconds."""
    said = {
        "label": "work",
        "unit": "videos",
        "done": done,
        "total": total,
        "skipped": skipped,
        "frames": frames,
        "started_at": time.time() - ago - seconds,
        "updated_at": time.time() - ago,
        "note": note,
    }
    submission.progress(index).write_text(json.dumps(said))


def board(submission: Submission) -> StepBoard:
    """The board of its step, after one look."""
    step = StepFolder(submission.step_folder)
    answers = Sources().look([step])
    return board_of(step, states_of(step, answers), answers, time.time())


class Commands:
    """Programs `squeue` and `sacct` before all others on the PATH; they count their runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self.queue: dict[str, str] = {}
        self.say("squeue", "")
        self.say("sacct", "")

    def say(self, program: str, answer: str, *, status: int = 0) -> None:
        """Let a program answer this."""
        (self.folder / f"{program}.answer").write_text(answer)
        self.do(program, f"cat {self.folder}/{program}.answer; exit {status}")

    def do(self, program: str, script: str) -> None:
        """Let a program do this."""
        path = self.folder / program
        path.write_text(f"#!/bin/sh\necho >> {self.folder}/{program}.calls\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def pass_on(self, program: str) -> None:
        """Let a program be SLURM's own, and count all the same."""
        path = os.pathsep.join(
            p for p in os.environ["PATH"].split(os.pathsep) if p != str(self.folder)
        )
        self.do(program, f'exec {shutil.which(program, path=path)} "$@"')

    def hold(self, **states: str) -> None:
        """Let these tasks of the array be in the queue: `hold(t3="RUNNING")`."""
        lines = (
            SEPARATOR.join((f"{ARRAY}_{name[1:]}", state, "Priority", "node1", "10:00", "N/A", ""))
            for name, state in states.items()
        )
        self.say("squeue", "".join(f"{line}\n" for line in lines))

    def calls(self, program: str) -> int:
        path = self.folder / f"{program}.calls"
        return len(path.read_text().splitlines()) if path.exists() else 0


def _note(
    submission: Submission,
    index: int,
    kind: str,
    seconds: float,
    node: str,
    job_id: str,
    status: int | None = None,
) -> None:
    event = Event(
        kind=kind,
        job_id=job_id or f"{ARRAY}_{index}",
        restart=0,
        seconds=seconds,
        node=node,
        pid=4_194_303,
        status=status,
    )
    append_event(submission.marker(index), event)
