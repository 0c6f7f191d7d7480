"""All that decides the outcome of a run of XDC, and the presets."""

from dataclasses import dataclass
from typing import Any, Literal

from mcn.choices import EngineName, Inputs, Precision
from mcn.data.picture_form import ROW_DIM, PictureForm
from mcn.objectives import FROM_CLIPS, TERMS, Term

Method = Literal["sdc", "mdc", "cdc", "xdc"]

AT_LEAST_ONE = (
    "clusters",
    "rounds",
    "epochs_per_round",
    "batch_size",
    "clips_per_video",
    "pca_dim",
    "hidden_dim",
    "out_dim",
)
POSITIVE = ("lr", "clip_seconds")

ONLY_OF: dict[Inputs, tuple[str, ...]] = {
    "features": ("hidden_dim", "out_dim"),
    "clips": (
        "clip_frames",
        "picture_height",
        "picture_width",
        "picture_crop",
        "shift_seconds",
        "video_weights",
    ),
}
"""Options that decide nothing with other inputs."""


@dataclass(frozen=True, kw_only=True)
class XdcConfig:
    """What to train. These fields are the identity of a run."""

    model: Literal["xdc"] = "xdc"
    """xdc clusters what its encoders make of all clips, has them learn the numbers of the clusters,
    and clusters again."""
    method: Method = "xdc"
    """Whose clusters a modality learns: sdc its own, mdc its own and the other's by two heads, cdc
    those of both side by side, xdc the other's alone."""
    inputs: Inputs = "features"
    """What the encoders are given: features of the stores, or raw clips, which are pictures and
    spectrograms of the resized videos; R(2+1)D-18 and ResNet-18 are then trained themselves."""
    seed: int = 0
    """Decides initial weights, the heads of each round, k-means and the clips drawn."""
    clusters: int = 256
    """Clusters of each clustering."""
    rounds: int = 10
    """How often all clips are clustered, and then learnt from."""
    epochs_per_round: int = 5
    """Between two clusterings as many clips are drawn as there are, so often."""
    batch_size: int = 512
    """Clips in a global batch, over all GPUs; with --inputs clips 128 by default."""
    lr: float = 1e-3
    """Learning rate of Adam, the same in every round, for the global batch."""
    weight_decay: float = 1e-5
    """Of all weights, decoupled from the gradients."""
    clip_seconds: float = 10.0
    """Length of a clip; with --inputs clips 2 by default."""
    clips_per_video: int = 8
    """The most clips of one video, spread evenly over it."""
    pca_dim: int = 256
    """Dimensions that are clustered: those of most variance, whitened."""
    hidden_dim: int = 1024
    """Of the encoders of stored features."""
    out_dim: int = 512
    """Of what the encoders of stored features give, which is clustered, and on which probes stand;
    the networks of raw clips give 512."""
    clip_frames: int = 16
    """Pictures that are seen of a raw clip, evenly spread over it."""
    picture_height: int = 128
    """Of raw clips: height that pictures are scaled to before they are cut."""
    picture_width: int = 171
    """Of raw clips: width that they are scaled to, whatever their shape was."""
    picture_crop: int = 112
    """Of raw clips: height and width of what is seen of a picture, which is its middle where all
    clips are clustered; in training a part by chance, in half of the clips mirrored."""
    shift_seconds: float = 0.5
    """Of raw clips: in training, how far one may begin before or after its place."""
    video_weights: str = "random"
    """Of raw clips: what R(2+1)D-18 starts from; random, by the seed, or a file of its weights."""
    kmeans_engine: EngineName = "faiss"
    """What finds the nearest centroids in k-means; both find the same but for rounding."""
    precision: Precision = "fp32"
    """Of the encoders' products. bf16 is faster and rounds to three digits; losses, clustering,
    weights and optimiser are fp32 with both."""

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} and must be at least 1")
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)} and must be positive")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed} and must not be negative")
        others: Inputs = "clips" if self.pictures is None else "features"
        for name in ONLY_OF[others]:
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise ValueError(
                    f"--{name.replace('_', '-')} {getattr(self, name)} is of --inputs "
                    f"{others} and decides nothing with {self.inputs}: leave it out"
                )

    @property
    def pictures(self) -> PictureForm | None:
        """The form of the pictures of raw clips; None where features are read."""
        if self.inputs == "features":
            return None
        return PictureForm(
            clip_frames=self.clip_frames,
            picture_height=self.picture_height,
            picture_width=self.picture_width,
            picture_crop=self.picture_crop,
            shift_seconds=self.shift_seconds,
        )

    @property
    def encoder_dim(self) -> int:
        """Of what the encoders give."""
        return ROW_DIM if self.inputs == "clips" else self.out_dim

    @property
    def model_name(self) -> str:
        """As tables call it: xdc and its method, and raw clips where those are its inputs."""
        return model_name_of(self.model, self.method, self.inputs)

    @property
    def name(self) -> str:
        """The run's folder name, unless another is given."""
        return f"{self.model_name}-seed{self.seed}"

    @property
    def terms(self) -> tuple[Term, ...]:
        """What the method learns from."""
        return TERMS[f"{self.model}-{self.method}"]


# For a corpus of dozens of videos: some hundred clips, so few clusters and dimensions.
# Command: python jobs/train.py --model xdc --preset demo.  Wall time: seconds on 2 cores.
DEMO: dict[str, Any] = {
    "clusters": 16,
    "rounds": 4,
    "epochs_per_round": 8,
    "batch_size": 64,
    "clip_seconds": 2.0,
    "clips_per_video": 16,
    "pca_dim": 16,
    "hidden_dim": 256,
    "out_dim": 128,
}

# Where the defaults are not those of stored features: a raw clip costs a GPU a thousand times more.
INPUTS: dict[str, dict[str, Any]] = {
    "features": {},
    "clips": {"batch_size": 128, "clip_seconds": 2.0},
}

PRESETS: dict[str, dict[str, Any]] = {"default": {}, "demo": DEMO}


def model_name_of(model: str, method: str, inputs: str) -> str:
    """`xdc-sdc`, or `xdc-sdc-clips`: what is trained on raw clips stands apart."""
    return f"{model}-{method}" + ("" if inputs == "features" else FROM_CLIPS)


def defaults_of(preset: str, inputs: str) -> dict[str, Any]:
    """Where those of a preset with these inputs are not those of `XdcConfig`."""
    others = {name for other, names in ONLY_OF.items() if other != inputs for name in names}
    own = {**INPUTS.get(inputs, {}), **PRESETS[preset]}
    return {name: value for name, value in own.items() if name not in others}
