"""Zero-shot retrieval of all trained runs, and the report: `python jobs/evaluate.py`."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.console import Console
from tyro.conf import OmitArgPrefixes

from extractors.frame import frame_jpeg
from jobs.command import run_command
from mcn.data.benchmark_folder import TITLES, benchmark_folders, read_benchmark, sentences_of_videos
from mcn.data.stores import Features, open_stores
from mcn.evaluation.evaluate import BenchmarkData, evaluate_run, file_sha256
from mcn.evaluation.results import RunResults, read_results
from mcn.progress import Progress
from mcn.report.content import ReportContent, Run
from mcn.report.page import write_report
from mcn.report.sources import provenance, skipped_videos
from mcn.report.terminal import text_table
from mcn.root import Root
from mcn.training.run_folder import RunFolder, read_metrics, replace_text

ABOUT = (
    "Two modalities are trained together, then frozen, and the third is added: AV_T begins with "
    "audio and video, AT_V with audio and text, VT_A with video and text; AVT trains all three at "
    "once. Each sentence of a benchmark is held against all its clips, none of which was seen in "
    "training."
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Evaluate every trained run that is not evaluated yet, and write the report on all."""

    features: OmitArgPrefixes[Features] = field(default_factory=Features)
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""
    runs: tuple[str, ...] = ()
    """Folders below runs/; by default all that are trained."""
    report: Path | None = None
    """Folder of the report; by default report/ below the root."""


def main(arguments: Arguments) -> None:
    """Evaluate, print the table, write the page."""
    root = Root.resolve(arguments.root)
    names = arguments.runs or sorted(path.name for path in root.runs.glob("*") if path.is_dir())
    runs = [RunFolder(root.runs / name) for name in names]
    trained = [run for run in runs if run.final.exists()]
    if arguments.runs:
        for run in runs:
            if run not in trained:
                print(f"{run.path.name} is not trained yet, and left out")
    if not trained:
        raise FileNotFoundError(f"{root.runs} has no trained run: jobs/train.py makes one")
    benchmarks = _benchmarks(root, arguments.features)
    results = []
    with Progress("evaluate", total=len(trained), unit="runs") as progress:
        for run in trained:
            results.append(_results(run, benchmarks))
            progress.advance()
    content = ReportContent(
        title="Zero-shot text-to-video retrieval",
        about=ABOUT,
        runs=[
            Run(results=result, metrics=read_metrics(run.metrics))
            for run, result in zip(trained, results, strict=True)
        ],
        skipped=skipped_videos(root, arguments.features),
        provenance=provenance(root, arguments.features, trained),
        frame=lambda benchmark, video_id, seconds: frame_jpeg(
            root.benchmark(benchmark).resized / f"{video_id}.mp4", seconds
        ),
    )
    pages = write_report(content, arguments.report or root.path / "report")
    Console().print(text_table(results))
    for page in pages:
        print(page)


def is_evaluated(run: RunFolder) -> bool:
    """Whether the results of this very checkpoint are written down."""
    path = run.path / "results.json"
    if not (path.exists() and run.final.exists()):
        return False
    return read_results(path).checkpoint_sha256 == file_sha256(run.final)


def _results(run: RunFolder, benchmarks: dict[str, BenchmarkData]) -> RunResults:
    """What the run achieved: read where it is written down for this very checkpoint."""
    path = run.path / "results.json"
    if path.exists():
        known = read_results(path)
        same_model = known.checkpoint_sha256 == file_sha256(run.final)
        if same_model and known.benchmarks.keys() == benchmarks.keys():
            return known
    results = evaluate_run(run, benchmarks)
    replace_text(path, json.dumps(dataclasses.asdict(results), indent=1) + "\n")
    return results


def _benchmarks(root: Root, features: Features) -> dict[str, BenchmarkData]:
    benchmarks = {}
    for folder in benchmark_folders(root):
        sentences = sentences_of_videos(read_benchmark(folder), {})
        benchmarks[folder.name] = BenchmarkData(
            TITLES.get(folder.name, folder.name),
            open_stores(Root(folder).store, features),
            [text for video_id in sorted(sentences) for text in sentences[video_id].texts],
        )
    return benchmarks


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
