"""The runs of a study: every order of every model with every seed, and how each is trained."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

from jobs import train
from mcn.objectives import TERMS, Stage, learns_of_text, terms_of
from mcn.root import REPOSITORY, Root
from mcn.training.run_folder import RunFolder

NAMES = tuple(dict.fromkeys(model.partition("-")[0] for model in TERMS))
"""Of models, whatever their spaces or methods."""


@dataclass(frozen=True)
class StudyRun:
    """One run, and how it is trained."""

    folder: RunFolder
    arguments: train.AnyArguments
    command: list[str]

    @property
    def is_comparable(self) -> bool:
        """Whether retrieval can judge it; probes can judge any."""
        return learns_of_text(self.arguments.config.model_name)


def runs_of(
    models: str, stages: str, seeds: str, options: Sequence[str], *, root: Root, snapshot: Path
) -> list[StudyRun]:
    """Every order of every model with every seed.

    Args:
        models: As `--models` has them.
        stages: As `--stages` has them.
        seeds: As `--seeds` has them.
        options: Of jobs/train.py, for all runs or with the name of a model before them.
        root: Of all data.
        snapshot: What runs on stores are trained on, unless the options say otherwise.

    Raises:
        ValueError: A model, an order or a seed is none, or no model can be trained in any order.
    """
    unknown = [model for model in models.split(",") if model not in TERMS]
    if unknown:
        raise ValueError(f"--models {models}: {unknown[0]!r} is none of {','.join(TERMS)}")
    try:
        orders = [Stage[name] for name in stages.split(",")]
    except KeyError as error:
        known = ",".join(stage.name for stage in Stage)
        raise ValueError(f"--stages {stages}: {error} is none of {known}") from error
    if not all(seed.isdecimal() for seed in seeds.split(",")):
        raise ValueError(f"--seeds {seeds}: write 0,1,2")
    rows = [(model, order) for model in models.split(",") for order in _orders_of(model, orders)]
    if not rows:
        raise ValueError(
            f"--models {models} --stages {stages}: some stage has nothing to learn from, whatever "
            "the model"
        )
    return [
        _run(
            [*order, "--seed", seed, *_words_for(model), *_options_for(model, options)],
            root,
            snapshot,
        )
        for (model, order), seed in product(rows, seeds.split(","))
    ]


def script(name: str) -> list[str]:
    """What runs a command of this repository."""
    return [sys.executable, str(REPOSITORY / "jobs" / f"{name}.py")]


def _run(asked: Sequence[str], root: Root, snapshot: Path) -> StudyRun:
    words = ["--root", str(root.path), *asked]
    parsed = train.parse(words)
    if parsed.snapshot is None and train.sources_of(parsed.config):
        words += ["--snapshot", str(snapshot)]
        parsed = train.parse(words)
    folder = RunFolder(root.runs / parsed.config.name)
    return StudyRun(folder, parsed, [*script("train"), *words])


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


def _options_for(model: str, options: Sequence[str]) -> list[str]:
    """Those that are meant for it: `--mcn.lr 1e-3` is for mcn alone, where it wins."""
    of_all, own = [], []
    for option, *values in _with_values(options):
        name, _, rest = option.removeprefix("--").partition(".")
        if name not in NAMES:
            of_all += [option, *values]
        elif name == model.partition("-")[0]:
            own += [f"--{rest}", *values]
    return [*of_all, *own]


def _with_values(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Each option with the words that follow it."""
    begins = [number for number, word in enumerate(words) if word.startswith("--")]
    for begin, end in pairwise([*begins, len(words)]):
        yield words[begin:end]
