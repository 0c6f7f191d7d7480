"""What decides the outcome of a probe beside the model and the benchmark."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from mcn.modality import Modality

Way = Literal["frozen", "linear", "finetune"]

WAYS: tuple[Way, ...] = get_args(Way)

OF_CLIPS = ("clip_seconds", "clips_per_video", "seed")

OF_LEARNING = ("epochs", "validation", "batch_size", "lr", "weight_decay")

DECIDE: dict[Way, tuple[str, ...]] = {
    "frozen": (*OF_CLIPS, "strengths", "folds"),
    "linear": (*OF_CLIPS, *OF_LEARNING),
    "finetune": (*OF_CLIPS, *OF_LEARNING, "encoder_lr"),
}
"""The settings that a way depends on."""

INPUTS: dict[str, tuple[Modality, ...]] = {
    "video": ("video",),
    "audio": ("audio",),
    "both": ("video", "audio"),
}
"""What a probe can be given of a video."""


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How videos are classified by what a model makes of them."""

    ways: str = "frozen,linear"
    """frozen: logistic regression on the mean over a video's clips; linear: a linear layer trained
    on clips through the frozen model; finetune: the same with the model's encoder learning too.
    As frozen,linear,finetune."""
    modalities: str = "judged"
    """What is looked at: video, audio, both side by side, or several of these as video,both. judged
    is what the benchmark is about: video for UCF101 and HMDB51, audio for ESC-50."""
    clip_seconds: float = 4.0
    """Length of the clips of stored features into which a video is cut; a shorter one is one clip.
    A model of raw clips reads them at the length that it was trained on."""
    clips_per_video: int = 10
    """The most clips of a video, spread evenly over it."""
    strengths: str = "1e-4,1e-3,1e-2,1e-1,1"
    """Of frozen: what is tried as C, the inverse of regularisation, and chosen by cross-validation
    among the training videos, whose groups stay together."""
    folds: int = 3
    """Of frozen: parts of the cross-validation, or as many as the rarest class has videos."""
    epochs: int = 30
    """Of linear and finetune: the most passes over the training clips."""
    validation: float = 0.2
    """Of linear and finetune: share of the training videos, in whole groups, on which the number of
    epochs is chosen before all are trained on: one of 1 / share parts, rounded, so at most 0.5. 0
    chooses nothing and makes all passes."""
    batch_size: int = 64
    """Of linear and finetune: clips in a batch."""
    lr: float = 1e-3
    """Peak learning rate of AdamW for the linear layer; it falls along a cosine to 0."""
    encoder_lr: float = 1e-4
    """Of finetune: the same for the model's encoder."""
    weight_decay: float = 1e-4
    """Of linear and finetune."""
    seed: int = 0
    """Decides folds, first weights, the order of clips and what is drawn in reading them."""

    def __post_init__(self) -> None:
        _check_names("ways", self.ways, WAYS)
        if self.modalities != "judged":
            _check_names("modalities", self.modalities, tuple(INPUTS))
        if not all(0 < strength < math.inf for strength in self.tried):
            raise ValueError(f"--probe.strengths {self.strengths}: all have to be above 0")
        for name in ("clips_per_video", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--probe.{name.replace('_', '-')} has to be at least 1")
        if self.folds < 2:
            raise ValueError(f"--probe.folds {self.folds}: two are the fewest")
        if not 0 <= self.validation <= 0.5:
            raise ValueError(f"--probe.validation {self.validation} is no share up to 0.5")
        for name in ("clip_seconds", "lr", "encoder_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"--probe.{name.replace('_', '-')} {getattr(self, name)} has to be above 0 and "
                    "finite"
                )
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"--probe.weight-decay {self.weight_decay} has to be at least 0")

    @property
    def asked_ways(self) -> tuple[Way, ...]:
        """In the order in which tables show them."""
        asked = self.ways.split(",")
        return tuple(way for way in WAYS if way in asked)

    @property
    def tried(self) -> tuple[float, ...]:
        """What may become C, ascending."""
        try:
            return tuple(sorted(float(strength) for strength in self.strengths.split(",")))
        except ValueError:
            raise ValueError(f"--probe.strengths {self.strengths}: write 1e-3,1,1e3") from None

    def deciding(self, way: Way) -> dict[str, str | int | float]:
        """Those that this way depends on, by name."""
        return {name: getattr(self, name) for name in DECIDE[way]}

    def inputs(self, judged: tuple[Modality, ...]) -> tuple[str, ...]:
        """What is looked at in a benchmark that may be judged by these, the first before all."""
        if self.modalities == "judged":
            return judged[:1]
        asked = self.modalities.split(",")
        return tuple(name for name in INPUTS if name in asked and set(INPUTS[name]) <= set(judged))


def _check_names(option: str, given: str, known: tuple[str, ...]) -> None:
    for name in given.split(","):
        if name not in known:
            raise ValueError(f"--probe.{option} {given}: {name!r} is none of {','.join(known)}")
