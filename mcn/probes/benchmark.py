"""What probes are tested on."""

from dataclasses import dataclass
from pathlib import Path

from mcn.data.labelled_videos import LabelledVideos


@dataclass(frozen=True, kw_only=True)
class ProbeBenchmark:
    """Videos of known classes."""

    title: str
    folder: Path
    labelled: LabelledVideos
