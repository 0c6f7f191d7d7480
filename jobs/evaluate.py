"""Zero-shot retrieval and steps in videos of all trained runs, and `--task probe`: classes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import OmitArgPrefixes

from jobs.command import run_command
from jobs.known_results import known_results
from mcn.data.stores import Features
from mcn.evaluation.results import MissingAudio
from mcn.probes.settings import ProbeSettings
from mcn.root import Root
from mcn.training.run_folder import RunFolder

Task = Literal["retrieval", "probe", "both"]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Evaluate every trained run that is not evaluated yet, and write the report on all."""

    features: OmitArgPrefixes[Features] = field(default_factory=Features)
    task: Task = "retrieval"
    """retrieval: sentences find clips, and steps their place in videos, without training for it;
    probe: classifiers of the videos of UCF101, HMDB51 and ESC-50 stand on what runs have learnt;
    both: one after the other. The report has what is known of both."""
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    features_alone: bool = True
    """Of probes: classifiers stand on the features without any model too, for comparison."""
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
    """Evaluate, print the table, write the page.

    Raises:
        FileNotFoundError: A run that was named is not trained; the page on all others is there.
    """
    if arguments.published and arguments.task != "retrieval":
        raise ValueError("--published is for --task retrieval: runs alone are probed")
    # Here, since it imports torch for seconds, of which a study that submits needs none.
    from jobs.evaluate_task import evaluate_and_report

    evaluate_and_report(Root.resolve(arguments.root), arguments)


def is_evaluated(run: RunFolder) -> bool:
    """Whether the results of this very checkpoint are written down."""
    return known_results(run) is not None


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments)))
