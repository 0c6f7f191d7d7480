"""Models x orders x seeds, trained, evaluated and put into one table, as one graph of jobs.

`python jobs/study.py --stages AV_T,AT_V,VT_A,AVT --seeds 0,1,2 --gpus 4`
`python jobs/study.py --models mcn,mmv-fac,mmv-shared,mmv-disjoint --seeds 0,1,2,3,4 --gpus 4`
`python jobs/study.py --models xdc-sdc,xdc-mdc,xdc-cdc,xdc-xdc --seeds 0,1,2 --gpus 4`
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro

from jobs import evaluate, train
from jobs.command import run_command
from mcn.data.stores import keep_snapshot
from mcn.objectives import TERMS, Stage, terms_of
from mcn.root import REPOSITORY, Root
from mcn.training.run_folder import RunFolder
from slurm.launch import Step, launch_job
from slurm.resources import Shape
from slurm.submission import StepFolder


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train every order of every model with every seed, evaluate, and write one table of all.

    All other options are those of jobs/train.py and hold for every run, as --gpus 4, --preset paper
    or --cluster local. All are trained on what was sealed when the study began, or on --snapshot.
    Started again, only what is missing is submitted.
    """

    models: str = "mcn"
    """Models, as mcn,mmv-fac,mmv-shared,mmv-disjoint,xdc-sdc,xdc-mdc,xdc-cdc,xdc-xdc."""
    stages: str = ",".join(stage.name for stage in Stage)
    """Orders of training, as AV_T,AT_V; one in which a model has nothing to learn from in some
    stage is left out for that model. Those of xdc are trained once, on video and audio."""
    seeds: str = "0"
    """Seeds, as 0,1,2."""
    name: str = "study"
    """The table goes to report/NAME below the root."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""


@dataclass(frozen=True)
class Run:
    """One run of the study, and how it is trained."""

    folder: RunFolder
    arguments: train.AnyArguments
    command: list[str]


def main(arguments: Arguments, train_options: Sequence[str]) -> None:
    """Launch what is missing: each training, the evaluation of each run, the table of all."""
    root = Root.resolve(arguments.root)
    report = root.path / "report" / arguments.name
    snapshot = report / "snapshot.json"
    # Options that come later win: the user may name another snapshot.
    runs = _runs(arguments, ["--snapshot", str(snapshot), *train_options], root)
    first = runs[0].arguments
    if first.snapshot == snapshot and not first.target.dry_run:
        sources = {source for run in runs for source in train.sources_of(run.arguments.config)}
        keep_snapshot(snapshot, root.store, first.features, sources=sources)
    launched = [(run, _launch_run(run, root)) for run in runs]
    compared = [run for run in runs if _shares_a_space(run)]
    if not compared:
        return
    evaluations = [job for run, job in launched if _shares_a_space(run)]
    _launch_evaluation(
        f"table-{arguments.name}",
        compared,
        root,
        report=report,
        dependency=_after("afterany", evaluations),
    )


def _runs(arguments: Arguments, options: Sequence[str], root: Root) -> list[Run]:
    """Every order of every model with every seed.

    Raises:
        ValueError: A model, an order or a seed is none, or no model can be trained in any order.
    """
    models = arguments.models.split(",")
    unknown = [model for model in models if model not in TERMS]
    if unknown:
        raise ValueError(
            f"--models {arguments.models}: {unknown[0]!r} is none of {','.join(TERMS)}"
        )
    try:
        stages = [Stage[name] for name in arguments.stages.split(",")]
    except KeyError as error:
        known = ",".join(stage.name for stage in Stage)
        raise ValueError(f"--stages {arguments.stages}: {error} is none of {known}") from error
    seeds = arguments.seeds.split(",")
    if not all(seed.isdecimal() for seed in seeds):
        raise ValueError(f"--seeds {arguments.seeds}: write 0,1,2")
    runs = []
    rows = [(model, order) for model in models for order in _orders_of(model, stages)]
    for (model, order), seed in product(rows, seeds):
        of_run = [*order, "--seed", seed, *_words_for(model)]
        words = ["--root", str(root.path), *of_run, *options]
        parsed = train.parse(words)
        folder = RunFolder(root.runs / parsed.config.name)
        runs.append(Run(folder, parsed, [*_script("train"), *words]))
    if not runs:
        raise ValueError(
            f"--models {arguments.models} --stages {arguments.stages}: some stage has nothing to "
            "learn from, whatever the model"
        )
    return runs


def _orders_of(model: str, stages: Sequence[Stage]) -> list[list[str]]:
    """The words for each order that a model can be trained in."""
    if _is_xdc(model):
        return [[]]
    return [
        ["--stage", stage.name]
        for stage in stages
        if all(terms_of(model, objective) for objective in stage.value)
    ]


def _is_xdc(model: str) -> bool:
    return model.startswith("xdc-")


def _words_for(model: str) -> list[str]:
    """`mmv-fac` is a model and its spaces, `xdc-sdc` a model and its method."""
    name, _, kind = model.partition("-")
    if not kind:
        return []
    return ["--model", name, "--method" if _is_xdc(model) else "--space", kind]


def _launch_run(run: Run, root: Root) -> str | None:
    """Train and evaluate; returns the job to wait for, none where there is nothing to wait for."""
    name = run.folder.path.name
    trained = None
    if not run.folder.final.exists():
        trained = launch_job(
            Step(StepFolder(root.logs / f"train-{name}"), run.command),
            run.arguments.target,
            train.shape_of(run.arguments),
            here=lambda: train.main(run.arguments),
        )
    if not _shares_a_space(run):
        return trained
    if evaluate.is_evaluated(run.folder):
        print(f"{name}: trained and evaluated already")
        return None
    return _launch_evaluation(
        f"evaluate-{name}",
        [run],
        root,
        report=run.folder.path / "report",
        dependency=_after("afterok", [trained]),
    )


def _shares_a_space(run: Run) -> bool:
    """Whether retrieval can judge it; what XDC learns, `jobs/evaluate.py --task probe` judges."""
    return not _is_xdc(run.arguments.config.model_name)


def _launch_evaluation(
    step: str, runs: Sequence[Run], root: Root, *, report: Path, dependency: str | None
) -> str | None:
    """Evaluate some runs in one process, and write a report on them."""
    first = runs[0].arguments
    names = tuple(run.folder.path.name for run in runs)
    asked = evaluate.Arguments(features=first.features, root=root.path, runs=names, report=report)
    features = [f"--{name}={value}" for name, value in vars(first.features).items() if value]
    words = [f"--root={root.path}", *features, f"--report={report}", "--runs", *names]
    has_gpus = train.shape_of(first).gpus_per_node > 0
    return launch_job(
        Step(StepFolder(root.logs / step), [*_script("evaluate"), *words]),
        first.target,
        Shape(gpus_per_node=int(has_gpus), dependency=dependency),
        here=lambda: evaluate.main(asked),
    )


def _after(kind: str, job_ids: Sequence[str | None]) -> str | None:
    known = [job_id for job_id in job_ids if job_id]
    return f"{kind}:{':'.join(known)}" if known else None


def _script(name: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "jobs" / f"{name}.py")]


def _parse(argv: list[str]) -> tuple[Arguments, list[str]]:
    """What is said to this command, and what is left for jobs/train.py."""
    arguments, left = tyro.cli(Arguments, args=argv, return_unknown_args=True)
    return arguments, left


if __name__ == "__main__":
    run_command(lambda: main(*_parse(sys.argv[1:])))
