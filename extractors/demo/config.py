"""What decides the bytes of a demo corpus."""

from dataclasses import dataclass

ODD_VIDEOS = 4
"""Training videos with an oddity of their own: variable rate, rotated, no sound, dashed id."""


GROUPS = 3
"""Of clips of one deed in the set of classes; each is tested in one of as many splits."""


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Size and seed of the demo corpus."""

    seed: int = 0
    """Decides every scene, sound and sentence; the same seed gives the same files."""
    videos: int = 64
    """Training videos that can be read; a truncated and an empty one come on top."""
    benchmark_clips: int = 100
    """Clips in each of the two held-out sets of sentences."""
    class_clips: int = 48
    """Clips in the held-out set of classes: two of each group of each action, of which there are
    eight, with three groups; fewer are fewer clips of a group, and then fewer actions."""

    def __post_init__(self) -> None:
        if self.videos < ODD_VIDEOS:
            raise ValueError(
                f"videos is {self.videos}: the corpus needs at least {ODD_VIDEOS}, "
                "one for each oddity that raw files have"
            )
        if self.benchmark_clips < 1:
            raise ValueError(f"benchmark_clips is {self.benchmark_clips}: give at least 1")
        if self.class_clips < 2 * GROUPS or self.class_clips % GROUPS:
            raise ValueError(
                f"class_clips is {self.class_clips}: give a multiple of {GROUPS}, which is the "
                f"number of groups of each action, and at least {2 * GROUPS} for two actions"
            )
