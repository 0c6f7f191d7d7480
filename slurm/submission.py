"""One submission: a folder whose manifest never changes, and what became of its tasks.

logs/extract/                 of one step: a StepFolder
  00042.log                   what shard 42 said, in all its tries
  submissions/0003/           of one launch: a Submission
    manifest.json             what is to be done; written once, before anything is submitted
    0.sh                      the script of the first array; the next is 1.sh
    jobs/0                    the id that SLURM gave to that array
    tasks/00042.jsonl         shard 42's own marker: when it began and how it ended
    tasks/00000.rank3.jsonl   that of the fourth process of a job; the first speaks for the task
    progress/00042.json       how far it has come
    slurm/123_4.out           what SLURM itself had to say
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from slurm.resources import Resources, Shape

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that the tasks of a submission need to know."""

    step: str
    """What is done, as `extract` or `train-AV_T-seed0`."""
    command: tuple[str, ...]
    """What every task runs; it finds its index in the environment."""
    folder: str
    """Where it runs."""
    scheduler: Literal["slurm", "local"]
    """Who starts the tasks: SLURM, or a pool on the machine of the launch."""
    environment: dict[str, str]
    """Variables that decide where the command finds its data."""
    indices: tuple[int, ...]
    """The shard of each task, in rising order; 0 alone for a job that is no array."""
    chunks: tuple[tuple[int, int], ...]
    """Half-open ranges of `indices`, one for each array that SLURM is given."""
    is_array: bool
    """Whether logs are named by shard; else by rank."""
    jitter_seconds: float
    """Tasks start within so many seconds."""
    resources: Resources
    shape: Shape
    user: str
    """Whose jobs they are: people may share a folder of data."""
    submitted_at: float
    """Seconds since 1970."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        content: dict[str, Any] = json.loads(text)
        for name in ("command", "indices"):
            content[name] = tuple(content[name])
        content["chunks"] = tuple((first, stop) for first, stop in content["chunks"])
        setup = tuple(content["resources"].pop("setup"))
        content["resources"] = Resources(**content["resources"], setup=setup)
        content["shape"] = Shape(**content["shape"])
        return cls(**content)


@dataclass(frozen=True)
class Submission:
    """One launch of a step."""

    path: Path
    manifest: Manifest

    @classmethod
    def read(cls, path: Path) -> "Submission":
        """The submission in a folder.

        Raises:
            ValueError: There is none, or it cannot be understood.
        """
        try:
            return cls(path, Manifest.from_json((path / MANIFEST).read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path / MANIFEST} is no manifest ({error})") from error

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def step_folder(self) -> Path:
        return self.path.parent.parent

    def shard_at(self, chunk: int, place: int) -> int:
        """The shard of one place in one of its arrays."""
        first, _ = self.manifest.chunks[chunk]
        return self.manifest.indices[first + place]

    def comment(self, chunk: int) -> str:
        """What a job of SLURM bears, to be known by: no other array of this user has the same."""
        return f"{self.step_folder}#{self.number}.{chunk}"

    def script(self, chunk: int) -> Path:
        return self.path / f"{chunk}.sh"

    def log(self, index: int, *, rank: int = 0) -> Path:
        """What a task says goes here, try after try."""
        if self.manifest.is_array:
            return self.step_folder / f"{index:05d}.log"
        return self.step_folder / f"rank{rank}.log"

    def marker(self, index: int, *, rank: int = 0) -> Path:
        of_rank = f".rank{rank}" if rank else ""
        return self.path / "tasks" / f"{index:05d}{of_rank}.jsonl"

    def progress(self, index: int) -> Path:
        return self.path / "progress" / f"{index:05d}.json"

    def slurm_log(self, job_id: str) -> Path:
        """What SLURM says of a job, or of a task of an array."""
        return self.path / "slurm" / f"{job_id}.out"

    def record_job(self, chunk: int, job_id: str) -> None:
        """Keep the id that SLURM gave to one of the arrays; none where it refused it."""
        replace_text(self.path / "jobs" / str(chunk), job_id)

    def job_ids(self) -> dict[int, str]:
        """The id of each array that was submitted; empty for one that SLURM refused."""
        files = (path for path in (self.path / "jobs").iterdir() if path.name.isdigit())
        return {int(path.name): path.read_text() for path in files}

    def task_ids(self) -> dict[int, str]:
        """The id of each task that SLURM is known to have taken, by shard: `123_4`, or `123`."""
        ids = {}
        for chunk, job_id in self.job_ids().items():
            if not job_id:
                continue
            first, stop = self.manifest.chunks[chunk]
            for place in range(first, stop):
                array_index = f"_{place - first}" if self.manifest.is_array else ""
                ids[self.manifest.indices[place]] = f"{job_id}{array_index}"
        return ids


@dataclass(frozen=True)
class StepFolder:
    """All submissions of one step, and the logs of its tasks."""

    path: Path

    def submissions(self) -> list[Submission]:
        """All of them, the oldest first."""
        return [
            Submission.read(path) for path in sorted(self._folders(), key=lambda p: int(p.name))
        ]

    def newest_of_each_task(self) -> dict[int, Submission]:
        """For each shard the submission that held it last."""
        return {i: s for s in self.submissions() for i in s.manifest.indices}

    def users(self) -> set[str]:
        """Who has submitted any of it."""
        return {submission.manifest.user for submission in self.submissions()}

    def begin(self, manifest: Manifest, known: Sequence[Submission] | None = None) -> Submission:
        """A new submission with the next free number; on disk before this returns.

        Args:
            manifest: What is to be done.
            known: The submissions that it takes into account; by default all that are there.

        Raises:
            FileExistsError: Somebody else has begun one since.
        """
        numbers = (s.number for s in (self.submissions() if known is None else known))
        number = max(numbers, default=0) + 1
        path = self.path / "submissions" / f"{number:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        for name in ("jobs", "tasks", "progress", "slurm"):
            (aside / name).mkdir(parents=True)
        replace_text(aside / MANIFEST, manifest.to_json())
        try:
            aside.rename(path)  # refused where a folder is that holds anything
        except OSError as error:
            shutil.rmtree(aside)
            raise FileExistsError(f"{path} was begun by another launch at this moment") from error
        return Submission(path, manifest)

    def _folders(self) -> Iterator[Path]:
        return (p for p in (self.path / "submissions").glob("*") if p.name.isdigit())


def withdraw(submission: Submission) -> None:
    """Remove a submission of which SLURM has taken nothing."""
    aside = submission.path.with_name(f"{submission.path.name}.{uuid.uuid4().hex}")
    shutil.rmtree(submission.path.rename(aside))


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    with aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
