"""Models x orders x seeds, trained, evaluated, probed and put into one table: one graph of jobs.

`python jobs/study.py --stages AV_T,AT_V,VT_A,AVT --seeds 0,1,2 --gpus 4`
`python jobs/study.py --models mcn,mmv-fac,mmv-shared,mmv-disjoint --seeds 0,1,2,3,4 --gpus 4`
`python jobs/study.py --models mcn,mmv-fac,xdc-sdc,xdc-xdc --stages AV_T,AVT --seeds 0,1,2 --gpus 4`
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from jobs import train
from jobs.command import run_command
from jobs.probe_plan import check_features
from jobs.study_judging import DONE, Judging
from jobs.study_runs import StudyRun, runs_of
from mcn.data.stores import keep_snapshot
from mcn.objectives import Stage
from mcn.probes.settings import ProbeSettings
from mcn.root import Root
from slurm.launch import Step, launch_job
from slurm.submission import StepFolder


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train every order of every model with every seed, judge each run, and write one table of all.

    Runs that share a space with text are judged by retrieval, and where benchmarks/ has UCF101,
    HMDB51 or ESC-50 all runs by probes. All other options are those of jobs/train.py and hold for
    every run, as --gpus 4 or --cluster local; with the name of a model they hold for its runs
    alone, as --mcn.stage1-epochs 5, --mmv.preset paper or --xdc.clusters 512. All are trained on
    what was sealed when the study began, or on --snapshot. Started again, only what is missing is
    submitted.
    """

    models: str = "mcn"
    """Models, as mcn,mmv-fac,mmv-shared,mmv-disjoint,xdc-sdc,xdc-mdc,xdc-cdc,xdc-xdc."""
    stages: str = ",".join(stage.name for stage in Stage)
    """Orders of training, as AV_T,AT_V; one in which a model has nothing to learn from in some
    stage is left out for that model. Those of xdc are trained once, on video and audio."""
    seeds: str = "0"
    """Seeds, as 0,1,2."""
    probes: bool = True
    """Probe all runs, and the features alone, on every benchmark of classes that is there."""
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    name: str = "study"
    """The table goes to report/NAME below the root."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""


def main(arguments: Arguments, train_options: Sequence[str]) -> None:
    """Launch what is missing: each training, what judges each run, the table of all."""
    root = Root.resolve(arguments.root)
    report = root.path / "report" / arguments.name
    snapshot = report / "snapshot.json"
    grid = (arguments.models, arguments.stages, arguments.seeds)
    runs = runs_of(*grid, train_options, root=root, snapshot=snapshot)
    judging = Judging.by_benchmarks(root, arguments.probe if arguments.probes else None)
    first = runs[0].arguments
    sources = {source for run in runs for source in train.sources_of(run.arguments.config)}
    if sources and judging.probes is not None:
        check_features(root, first.features, judging.probes)
    is_kept_here = any(run.arguments.snapshot == snapshot for run in runs)
    if is_kept_here and not first.target.dry_run:
        keep_snapshot(snapshot, root.store, first.features, sources=sources)
    launched = [_launch_run(run, judging) for run in runs]
    judged = [run for run in runs if judging.task_of([run])]
    if not judged:
        print(f"there is no table: {root.benchmarks} has nothing by which xdc is judged")
        return
    judging.launch(
        f"table-{arguments.name}",
        judged,
        report=report,
        dependency=_after("afterany", launched),
        features_alone=True,
    )


def _launch_run(run: StudyRun, judging: Judging) -> str | None:
    """Train and judge; returns the job to wait for, none where there is nothing to wait for."""
    name = run.folder.path.name
    task = judging.task_of([run])
    if task is not None and judging.is_done(run):
        print(f"{name}: {DONE[task]} already")
        return None
    trained = None
    if not run.folder.final.exists():
        trained = launch_job(
            Step(StepFolder(judging.root.logs / f"train-{name}"), run.command),
            run.arguments.target,
            train.shape_of(run.arguments),
            here=lambda: train.main(run.arguments),
        )
    if task is None:
        return trained
    return judging.launch(
        f"evaluate-{name}",
        [run],
        report=run.folder.path / "report",
        dependency=_after("afterok", [trained]),
        features_alone=False,
    )


def _after(kind: str, job_ids: Sequence[str | None]) -> str | None:
    known = [job_id for job_id in job_ids if job_id]
    return f"{kind}:{':'.join(known)}" if known else None


def _parse(argv: list[str]) -> tuple[Arguments, list[str]]:
    """What is said to this command, and what is left for jobs/train.py."""
    arguments, left = tyro.cli(Arguments, args=argv, return_unknown_args=True)
    return arguments, left


if __name__ == "__main__":
    run_command(lambda: main(*_parse(sys.argv[1:])))
