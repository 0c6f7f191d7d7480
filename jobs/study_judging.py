"""By what the runs of a study are judged, and the jobs that do it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs import evaluate, train
from jobs.probe_plan import folders_of, is_probed
from jobs.study_runs import StudyRun, script
from mcn.data.benchmark_folder import benchmark_folders
from mcn.probes.settings import ProbeSettings
from mcn.root import Root
from slurm.launch import Step, launch_job
from slurm.resources import Shape
from slurm.submission import StepFolder

DONE: dict[evaluate.Task, str] = {
    "retrieval": "trained and evaluated",
    "probe": "trained and probed",
    "both": "trained, evaluated and probed",
}


@dataclass(frozen=True)
class Judging:
    """Retrieval of runs that can be compared with text, and probes of all."""

    root: Root
    is_retrieving: bool
    probes: ProbeSettings | None
    """None where nothing is probed."""

    @classmethod
    def by_benchmarks(cls, root: Root, probes: ProbeSettings | None) -> "Judging":
        """Retrieval, unless all benchmarks are of classes; probes, where any of them is."""
        of_classes = folders_of(root)
        return cls(
            root=root,
            is_retrieving=not of_classes or len(benchmark_folders(root)) > len(of_classes),
            probes=probes if of_classes else None,
        )

    def task_of(self, runs: Sequence[StudyRun]) -> evaluate.Task | None:
        """What is done to judge them; None where there is nothing to judge them by."""
        if not (self.is_retrieving and any(run.is_comparable for run in runs)):
            return None if self.probes is None else "probe"
        return "retrieval" if self.probes is None else "both"

    def is_done(self, run: StudyRun) -> bool:
        """Whether all of that is written down for its checkpoint."""
        if not run.folder.final.exists():
            return False
        is_evaluated = self.task_of([run]) == "probe" or evaluate.is_evaluated(run.folder)
        return is_evaluated and (
            self.probes is None or is_probed(self.root, run.folder, self.probes)
        )

    def launch(
        self,
        step: str,
        runs: Sequence[StudyRun],
        *,
        report: Path,
        dependency: str | None,
        features_alone: bool,
    ) -> str | None:
        """Judge some runs in one process, and write a report on them.

        Args:
            step: Name of the job.
            runs: Of which something can be judged.
            report: Folder of the report.
            dependency: What it waits for.
            features_alone: Probe these too; one job at a time may.
        """
        first, task = runs[0].arguments, self.task_of(runs)
        assert task is not None
        asked = evaluate.Arguments(
            features=first.features,
            task=task,
            probe=self.probes or ProbeSettings(),
            features_alone=features_alone,
            root=self.root.path,
            runs=tuple(run.folder.path.name for run in runs),
            report=report,
        )
        has_gpus = train.shape_of(first).gpus_per_node > 0
        command = [*script("evaluate"), *_words_of(asked)]
        return launch_job(
            # More runs may be asked for, or one be trained again, before it begins.
            Step(StepFolder(self.root.logs / step), command, gives_way=True),
            first.target,
            Shape(gpus_per_node=int(has_gpus), dependency=dependency),
            here=lambda: evaluate.main(asked),
        )


def _words_of(asked: evaluate.Arguments) -> list[str]:
    """What tells jobs/evaluate.py the same."""
    words = [f"--root={asked.root}", f"--task={asked.task}", f"--report={asked.report}"]
    words += [f"--{_option(k)}={value}" for k, value in vars(asked.features).items() if value]
    if asked.task != "retrieval":
        words += [f"--probe.{_option(k)}={value}" for k, value in vars(asked.probe).items()]
        words += [] if asked.features_alone else ["--no-features-alone"]
    return [*words, "--runs", *asked.runs]


def _option(name: str) -> str:
    return name.replace("_", "-")
