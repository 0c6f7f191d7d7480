"""Zero-shot retrieval and steps in videos of all trained runs, and `--task probe`: classes."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
import yaml
from tyro.conf import OmitArgPrefixes

from extractors.corpus import resized_videos
from jobs.command import run_command
from jobs.evaluation_report import report
from jobs.known_results import known_results, results_that_agree
from jobs.probe_runs import probe_runs, written_probes
from mcn.data.benchmark_folder import TITLES, benchmark_folders, read_benchmark, sentences_of_videos
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
from mcn.probes.settings import ProbeSettings
from mcn.progress import Progress
from mcn.root import Root
from mcn.training.run_folder import RunFolder, replace_text


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Evaluate every trained run that is not evaluated yet, and write the report on all."""

    features: OmitArgPrefixes[Features] = field(default_factory=Features)
    task: Literal["retrieval", "probe", "all"] = "retrieval"
    """retrieval: sentences find clips, and steps their place in videos, without training for it;
    probe: classifiers of the videos of UCF101, HMDB51 and ESC-50 stand on what runs have learnt;
    all: both. The report has what is known of both."""
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    runs: tuple[str, ...] = ()
    """Folders below runs/; by default all that are trained, or none where --published is given."""
    published: tuple[Path, ...] = ()
    """Published checkpoints to evaluate beside the runs, of MCN or AVLnet-Text-Tri. They take what
    they were published with: 2-D and 3-D features, and log-mel spectrograms (--video-3d NAME
    --audio audio-logmel)."""
    missing_audio: MissingAudio = "miss"
    """What becomes of clips without audio: miss counts them as never found by audio, as published;
    leave-out evaluates without them, so that there are fewer clips to choose from."""
    report: Path | None = None
    """Folder of the report; by default report/ below the root."""


def main(arguments: Arguments) -> None:
    """Evaluate, print the table, write the page."""
    root = Root.resolve(arguments.root)
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
    folder = arguments.report or root.path / "report"
    if arguments.task != "retrieval" and arguments.published:
        raise ValueError("--published is for --task retrieval: runs alone are probed")
    if arguments.task != "probe":
        comparing = [run for run in complete if _shares_a_space(run)]
        trained = _that_fit(root, arguments.features, comparing) if comparing else []
        results = _evaluate(arguments, root, trained) if trained or arguments.published else []
    if arguments.task == "retrieval":
        if results:
            known_probes = written_probes(root, complete)
            report(root, arguments.features, trained, results, known_probes, folder)
        return
    probed = probe_runs(root, arguments.features, complete, arguments.probe)
    known = results_that_agree(complete, arguments.missing_audio)
    report(root, arguments.features, complete, known, probed, folder)


def _that_fit(root: Root, features: Features, runs: list[RunFolder]) -> list[RunFolder]:
    """Those that can be evaluated on these features."""
    stores = open_stores(root.store, features)
    digests = {str(source): store.fingerprint.digest() for source, store in stores.items()}
    return [run for run in runs if _fits(run, digests)]


def _evaluate(arguments: Arguments, root: Root, trained: list[RunFolder]) -> list[RunResults]:
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
    """Whether its modalities can be compared; says where not."""
    begun: dict[str, str] = yaml.safe_load(run.config.read_text())["train"]
    if begun.get("model") != "xdc":
        return True
    print(
        f"{run.path.name} is left out: xdc learns no space that modalities share; "
        "--task probe judges it"
    )
    return False


def _fits(run: RunFolder, digests: Mapping[str, str]) -> bool:
    """Whether it can be evaluated on these features, or has been on its own; says where not."""
    data: dict[str, str] = yaml.safe_load(run.config.read_text())["data"]
    trained_on = {source: digest for source, digest in data.items() if source != "audio-weights"}
    if trained_on == digests or is_evaluated(run):
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


def is_evaluated(run: RunFolder) -> bool:
    """Whether the results of this very checkpoint are written down."""
    return known_results(run) is not None


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


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
