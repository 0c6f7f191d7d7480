"""All that decides the outcome of a run of XDC, and the presets."""

from dataclasses import dataclass
from typing import Any, Literal

from mcn.clustering.engines import EngineName
from mcn.objectives import TERMS, Term
from mcn.training.stepper import Precision

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


@dataclass(frozen=True, kw_only=True)
class XdcConfig:
    """What to train. These fields are the identity of a run."""

    model: Literal["xdc"] = "xdc"
    """xdc clusters what its encoders make of all clips, has them learn the numbers of the clusters,
    and clusters again."""
    method: Method = "xdc"
    """Whose clusters a modality learns: sdc its own, mdc its own and the other's by two heads, cdc
    those of both side by side, xdc the other's alone."""
    seed: int = 0
    """Decides initial weights, the heads of each round, k-means and the clips drawn."""
    clusters: int = 256
    """Clusters of each clustering."""
    rounds: int = 10
    """How often all clips are clustered, and then learnt from."""
    epochs_per_round: int = 5
    """Between two clusterings as many clips are drawn as there are, so often."""
    batch_size: int = 512
    """Clips in a global batch, over all GPUs."""
    lr: float = 1e-3
    """Learning rate of Adam, the same in every round, for the global batch."""
    weight_decay: float = 1e-5
    """Of all weights, decoupled from the gradients."""
    clip_seconds: float = 10.0
    """Length of a clip."""
    clips_per_video: int = 8
    """The most clips of one video, spread evenly over it."""
    pca_dim: int = 256
    """Dimensions that are clustered: those of most variance, whitened."""
    hidden_dim: int = 1024
    """Of the encoders of stored features."""
    out_dim: int = 512
    """Of what the encoders give, which is clustered, and on which probes stand."""
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

    @property
    def model_name(self) -> str:
        """As tables call it: xdc and its method."""
        return f"{self.model}-{self.method}"

    @property
    def name(self) -> str:
        """The run's folder name, unless another is given."""
        return f"{self.model_name}-seed{self.seed}"

    @property
    def terms(self) -> tuple[Term, ...]:
        """What the method learns from."""
        return TERMS[self.model_name]


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

PRESETS: dict[str, dict[str, Any]] = {"default": {}, "demo": DEMO}
