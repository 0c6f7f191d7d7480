"""The part of jobs/evaluate.py that needs torch: what is known of runs, made and reported on."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml

from extractors.corpus import resized_videos
from jobs.evaluation_report import report
from jobs.known_results import known_results, results_that_agree
from jobs.probe_runs import probe_features, probe_runs, written_probes
from mcn.data.benchmark_folder import (
    TITLES,
    benchmark_folders,
    films_of_clips,
    read_benchmark,
    sentences_of_videos,
)
from mcn.data.probe_folder import has_labels
from mcn.data.step_folder import has_steps, step_texts
from mcn.data.stores import Features, open_stores
from mcn.evaluation.evaluate import (
    BenchmarkData,
    evaluate_published,
    evaluate_run,
)
from mcn.evaluation.localize import StepBenchmark
from mcn.evaluation.results import MissingAudio, RunResults
from mcn.evaluation.step_benchmarks import read_step_videos
from mcn.progress import Progress
from mcn.root import Root
from mcn.training.run_folder import RunFolder, replace_text

if TYPE_CHECKING:
    from jobs.evaluate import Arguments


def evaluate_and_report(root: Root, arguments: "Arguments") -> None:
    """Evaluate and probe what is asked for, print the tables and write the page.

    Raises:
        FileNotFoundError: A run that was named is not trained; the page on all others is there.
    """
    complete = _complete_runs(arguments, root)
    _judge(arguments, root, complete)
    trained = {run.path.name for run in complete}
    missing = [name for name in arguments.runs if name not in trained]
    if missing:
        raise FileNotFoundError(
            f"{', '.join(missing)}: not trained, and the report is without; once trained, the same "
            "command adds what is missing"
        )


def _judge(arguments: "Arguments", root: Root, complete: list[RunFolder]) -> None:
    features = arguments.features
    shown, results = complete, []
    if arguments.task != "probe":
        comparable = _comparable(arguments, root, complete)
        results = _evaluate(arguments, root, comparable)
        if arguments.task == "retrieval":
            shown = comparable
            if not results:
                return
    if arguments.task == "retrieval":
        probed = written_probes(root, complete)
    else:
        results = results_that_agree(complete, arguments.missing_audio)
        probed = probe_runs(root, features, complete, arguments.probe)
        if arguments.features_alone:
            probed += probe_features(root, features, complete, arguments.probe)
    report(root, features, shown, results, probed, arguments.report or root.path / "report")


def _complete_runs(arguments: "Arguments", root: Root) -> list[RunFolder]:
    """Those asked for that are trained; says which are not."""
    names = arguments.runs
    if not names and not arguments.published:
        names = tuple(sorted(path.name for path in root.runs.glob("*") if path.is_dir()))
    runs = [RunFolder(root.runs / name) for name in names]
    complete = [run for run in runs if run.final.exists()]
    if arguments.runs:
        for run in runs:
            if run not in complete:
                print(f"{run.path.name} is not trained yet, and left out")
    if not complete and not arguments.published:
        raise FileNotFoundError(f"{root.runs} has no trained run: jobs/train.py makes one")
    return complete


def _comparable(arguments: "Arguments", root: Root, complete: list[RunFolder]) -> list[RunFolder]:
    """Those in which sentences can be held against clips of these features."""
    comparing = [run for run in complete if _shares_a_space(run)]
    if arguments.task == "retrieval":  # else they are probed at least
        for run in complete:
            if run not in comparing:
                print(
                    f"{run.path.name} is left out: xdc learns no space that modalities share; "
                    "--task probe judges it"
                )
    if not comparing:
        return []
    stores = open_stores(root.store, arguments.features)
    digests = {str(source): store.fingerprint.digest() for source, store in stores.items()}
    fitting = [run for run in comparing if _fits(run, digests)]
    if not fitting and not arguments.published:
        raise FileNotFoundError(f"{root.runs} has no run trained on these features")
    return fitting


def _evaluate(arguments: "Arguments", root: Root, trained: list[RunFolder]) -> list[RunResults]:
    """Zero-shot results of all runs, and then of published checkpoints."""
    benchmarks = _benchmarks(root, arguments.features)
    step_benchmarks = _step_benchmarks(root, arguments.features)
    results = []
    num_models = len(trained) + len(arguments.published)
    with Progress("evaluate", total=num_models, unit="runs") as progress:
        for run in trained:
            results.append(_results(run, benchmarks, step_benchmarks, arguments.missing_audio))
            progress.advance()
        for path in arguments.published:
            results.append(
                evaluate_published(
                    path, benchmarks, step_benchmarks, missing_audio=arguments.missing_audio
                )
            )
            progress.advance()
    return results


def _shares_a_space(run: RunFolder) -> bool:
    begun: dict[str, str] = yaml.safe_load(run.config.read_text())["train"]
    return begun.get("model") != "xdc"


def _fits(run: RunFolder, digests: Mapping[str, str]) -> bool:
    """Whether it can be evaluated on these features, or has been on its own; says where not."""
    data: dict[str, str] = yaml.safe_load(run.config.read_text())["data"]
    trained_on = {source: digest for source, digest in data.items() if source != "audio-weights"}
    if trained_on == digests or known_results(run) is not None:
        return True
    others = sorted(
        source
        for source in trained_on.keys() | digests.keys()
        if trained_on.get(source) != digests.get(source)
    )
    print(
        f"{run.path.name} was trained on other features ({', '.join(others)}) and is left out: "
        f"--runs {run.path.name} and its own --video, --video-3d, --audio and --text evaluate it"
    )
    return False


def _results(
    run: RunFolder,
    benchmarks: dict[str, BenchmarkData],
    step_benchmarks: dict[str, StepBenchmark],
    missing_audio: MissingAudio,
) -> RunResults:
    """What the run achieved: read where it is written down for these benchmarks."""
    known = known_results(run)
    if (
        known is not None
        and known.missing_audio == missing_audio
        and known.benchmarks.keys() == benchmarks.keys()
        and known.localization.keys() == step_benchmarks.keys()
    ):
        return known
    results = evaluate_run(run, benchmarks, step_benchmarks, missing_audio=missing_audio)
    text = json.dumps(dataclasses.asdict(results), indent=1)
    replace_text(run.path / "results.json", text + "\n")
    return results


def _benchmarks(root: Root, features: Features) -> dict[str, BenchmarkData]:
    benchmarks = {}
    for folder in benchmark_folders(root):
        if not has_steps(folder) and not has_labels(folder):
            resized = resized_videos(Root(folder)).items()
            seconds = {video_id: outcome.seconds for video_id, outcome in resized}
            benchmarks[folder.name] = BenchmarkData(
                TITLES.get(folder.name, folder.name),
                open_stores(Root(folder).store, features),
                sentences_of_videos(read_benchmark(folder), seconds),
                films_of_clips(folder),
            )
    return benchmarks


def _step_benchmarks(root: Root, features: Features) -> dict[str, StepBenchmark]:
    return {
        folder.name: StepBenchmark(
            title=TITLES.get(folder.name, folder.name),
            stores=open_stores(Root(folder).store, features),
            num_lines={text_id: len(lines) for text_id, lines in step_texts(folder).items()},
            videos=read_step_videos(folder),
        )
        for folder in benchmark_folders(root)
        if has_steps(folder)
    }
