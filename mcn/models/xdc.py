"""XDC (Alwassel et al., 2020): an encoder a modality, and a head for each set of pseudo-labels."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcn.choices import Inputs
from mcn.data.batches import ClipBatch
from mcn.data.clip_form import DEFAULT_FORM
from mcn.data.picture_form import ROW_DIM, PictureForm
from mcn.modality import Modality
from mcn.models.batch_norm import BatchNorm, normalise_rows
from mcn.models.raw_encoders import SoundNetwork, VideoNetwork
from mcn.models.standardize import Standardize
from mcn.objectives import TERMS, Term

TRAINED: tuple[Modality, ...] = ("video", "audio")

HEAD_STD = 0.01
"""Of the weights of a new head, as DeepCluster has it; its bias is 0."""


@dataclass(frozen=True, kw_only=True)
class XdcDims:
    """Sizes of what comes in, and of what is made of it."""

    video: int
    audio: int
    clusters: int
    hidden: int = 1024
    out: int = 512


class FeatureEncoder(nn.Module):
    """Of stored features: two layers with a batch norm over all ranks.

    Wide enough that with random weights it keeps what is in its input.
    """

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.standardize = Standardize(in_dim)
        self.hidden = nn.Linear(in_dim, hidden_dim, bias=False)
        self.hidden_norm = BatchNorm(hidden_dim)
        self.out = nn.Linear(hidden_dim, out_dim, bias=False)
        self.out_norm = BatchNorm(out_dim)

    def forward(
        self, rows: Float[Tensor, "clips in_dim"], is_there: Bool[Tensor, " clips"]
    ) -> Float[Tensor, "clips out_dim"]:
        hidden = normalise_rows(self.hidden_norm, self.hidden(self.standardize(rows)), is_there)
        return normalise_rows(self.out_norm, self.out(F.relu(hidden)), is_there)


def _feature_encoders(dims: XdcDims) -> dict[str, nn.Module]:
    return {
        "video": FeatureEncoder(dims.video, dims.hidden, dims.out),
        "audio": FeatureEncoder(dims.audio, dims.hidden, dims.out),
    }


def _raw_encoders(dims: XdcDims) -> dict[str, nn.Module]:
    if dims.out != ROW_DIM:
        raise ValueError(f"networks of raw clips give {ROW_DIM} numbers, and not {dims.out}")
    return {"video": VideoNetwork(), "audio": SoundNetwork()}


ENCODERS: Mapping[Inputs, Callable[[XdcDims], dict[str, nn.Module]]] = {
    "features": _feature_encoders,
    "clips": _raw_encoders,
}
"""What makes the encoders of video and audio, by what comes in. Each takes what a batch has of its
modality, and which clips have any.
"""


class Xdc(nn.Module):
    """Two encoders that never meet, and a head for each term of the method."""

    def __init__(
        self,
        dims: XdcDims,
        *,
        method: str,
        inputs: Inputs = "features",
        pictures: PictureForm | None = None,
    ) -> None:
        """Takes the name of a method, as `xdc` in `xdc-xdc`, and the form of pictures that come."""
        super().__init__()
        self.dims = dims
        self.method = method
        self.inputs: Inputs = inputs
        self.form = DEFAULT_FORM
        self.pictures = pictures
        self.terms = TERMS[f"xdc-{method}"]
        self.encoders = nn.ModuleDict(ENCODERS[inputs](dims))
        self.heads = nn.ModuleDict(
            {term.name: nn.Linear(dims.out, dims.clusters) for term in self.terms}
        )

    @property
    def described(self) -> dict[str, Any]:
        """What a checkpoint says of it, in plain values."""
        return {
            "model": "xdc",
            "dims": asdict(self.dims),
            "method": self.method,
            "inputs": self.inputs,
            **({} if self.pictures is None else {"pictures": asdict(self.pictures)}),
        }

    def features(self, batch: ClipBatch, modality: Modality) -> Float[Tensor, "clips out_dim"]:
        """What is clustered, and what probes stand on; of a clip that lacks the modality, zeros
        or anything else.
        """
        rows = batch.video if modality == "video" else batch.audio
        features: Tensor = self.encoders[modality](rows, batch.has[modality])
        return features

    def forward(self, batch: ClipBatch) -> dict[str, Float[Tensor, "clips clusters"]]:
        """What each head makes of each clip, by the name of its term."""
        features = {m: self.features(batch, m) for m in TRAINED}
        return {term.name: self.heads[term.name](features[term.left]) for term in self.terms}

    @torch.no_grad()
    def renew_heads(self, seed: int) -> list[nn.Parameter]:
        """Draw all heads anew, whatever the global random state; returns their parameters."""
        generator = torch.Generator().manual_seed(seed)
        for head in map(self.head_of, self.terms):
            drawn = torch.randn(head.weight.shape, generator=generator)
            head.weight.copy_(HEAD_STD * drawn)
            head.bias.zero_()
        return list(self.heads.parameters())

    def head_of(self, term: Term) -> nn.Linear:
        """That which a term trains."""
        return cast(nn.Linear, self.heads[term.name])

    def standardizers(self) -> dict[Modality, Standardize]:
        """By modality, where what comes in is standardised."""
        return {
            modality: encoder.standardize
            for modality in TRAINED
            if isinstance(encoder := self.encoders[modality], FeatureEncoder)
        }
