"""What a report is made from: results and metrics of runs, what was skipped, where it came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mcn.evaluation.results import RunResults
from mcn.report.probes import ProbeReport, probe_report

FrameLookup = Callable[[str, str, float], bytes | None]
"""JPEG of a frame by benchmark, video id and second; None where there is none."""

MetricsRow = Mapping[str, int | float]
"""One step of a run: `step`, `epoch`, `stage`, `lr`, `loss`, and the terms of the loss by name."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Results of a run, and the rows of its `metrics.jsonl`."""

    results: RunResults
    metrics: Sequence[MetricsRow]


@dataclass(frozen=True, kw_only=True)
class SkippedVideo:
    """A video that a step could not use."""

    video_id: str
    step: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """All that stands in a report."""

    title: str
    about: str
    """One paragraph: what was done, on which data."""
    runs: Sequence[Run]
    skipped: Sequence[SkippedVideo]
    provenance: Mapping[str, Mapping[str, str]]
    """Sections of names and values. Values of the section `weights` that begin with `random` put
    a warning at the top of the report."""
    frame: FrameLookup
    probes: ProbeReport = field(default_factory=lambda: probe_report([]))
    """Of runs, and of features without any."""
