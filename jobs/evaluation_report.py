"""The report on all that is known of some runs, on pages and in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from extractors.frame import frame_jpeg
from mcn.data.stores import Features
from mcn.evaluation.results import RunResults
from mcn.probes.results import ProbeResults
from mcn.report.content import ReportContent, Run
from mcn.report.page import write_report
from mcn.report.probe_terminal import probe_differences_text_table, probe_text_tables
from mcn.report.probes import probe_report
from mcn.report.sources import provenance, skipped_videos
from mcn.report.terminal import (
    differences_text_table,
    directions_text_table,
    steps_text_tables,
    text_table,
)
from mcn.root import Root
from mcn.training.run_folder import RunFolder, read_metrics

ABOUT = (
    "Two modalities are trained together, then frozen, and the third is added: AV_T begins with "
    "audio and video, AT_V with audio and text, VT_A with video and text; AVT trains all three at "
    "once. Rows that name no model are MCN's; mmv-fac, mmv-shared and mmv-disjoint are MMV with "
    "its arrangements of spaces; xdc-sdc, xdc-mdc, xdc-cdc and xdc-xdc are XDC with its methods, "
    "which clusters video and audio and knows no text. "
)
ABOUT_RETRIEVAL = (
    "Each sentence of a benchmark is held against all its clips, none of which was seen in "
    "training."
)
ABOUT_PROBES = (
    "Classifiers are trained on what models make of the videos of benchmarks of classes, and "
    "tested on others."
)


def report(
    root: Root,
    features: Features,
    runs: Sequence[RunFolder],
    results: Sequence[RunResults],
    probed: Sequence[ProbeResults],
    folder: Path,
) -> None:
    """Write the pages, and print the tables and where the pages are.

    Args:
        root: Of all data.
        features: The stores that were read.
        runs: Complete runs.
        results: Of these, and then of published checkpoints; those without any are empty.
        probed: Of runs, and of features without any.
        folder: Of the pages.
    """
    metrics = [*(read_metrics(run.metrics) for run in runs), *([] for _ in results[len(runs) :])]
    is_retrieved = any(result.benchmarks or result.localization for result in results)
    probes = probe_report(probed)
    content = ReportContent(
        title="Zero-shot text-to-video retrieval" if is_retrieved else "Classes of videos",
        about=ABOUT + " ".join([ABOUT_RETRIEVAL] * is_retrieved + [ABOUT_PROBES] * bool(probed)),
        runs=[
            Run(results=result, metrics=rows) for result, rows in zip(results, metrics, strict=True)
        ],
        skipped=skipped_videos(root, features),
        provenance={
            **provenance(root, features, runs),
            **{
                f"published {result.run}": {
                    "model": result.stage,
                    "SHA-256": result.checkpoint_sha256,
                }
                for result in results[len(runs) :]
            },
        },
        frame=lambda benchmark, video_id, seconds: frame_jpeg(
            root.benchmark(benchmark).resized / f"{video_id}.mp4", seconds
        ),
        probes=probes,
    )
    pages = write_report(content, folder)
    retrieved = [text_table(results), directions_text_table(results)] if is_retrieved else []
    for table in (
        *retrieved,
        *steps_text_tables(results),
        differences_text_table(results),
        *probe_text_tables(probes),
        probe_differences_text_table(probes),
    ):
        if table is not None:
            Console().print(table)
    for page in pages:
        print(page)
