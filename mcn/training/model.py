"""The model that a config asks for."""

from pathlib import Path

import torch

from mcn.modality import Modality
from mcn.models.audio_encoder import SpectrogramEncoder
from mcn.models.davenet import DAVENETS, ROW_DIM
from mcn.models.mcn import Mcn, McnDims
from mcn.models.mmv import Mmv, MmvDims
from mcn.models.pretrained import load_published
from mcn.models.trained import Model
from mcn.training.config import TrainConfig


def new_model(config: TrainConfig, feature_dims: dict[Modality, int]) -> Model:
    """With first weights drawn by the run's seed."""
    torch.manual_seed(config.seed)
    has_unit_length = config.similarity == "cosine"
    if config.model == "mmv":
        sizes = MmvDims(**feature_dims)
        return Mmv(sizes, space=config.space, has_unit_length=has_unit_length, form=config.form)
    is_pooled = config.audio_encoder == "pooled"
    audio_dim = feature_dims["audio"] if is_pooled else ROW_DIM
    dims = McnDims(
        video=feature_dims["video"],
        audio=audio_dim,
        text=feature_dims["text"],
        embedding=config.embedding_dim,
        reconstruction=config.reconstruction_dim,
    )
    return Mcn(
        dims,
        has_unit_length=has_unit_length,
        target_learns=config.reconstruction_target == "attached",
        rebuilds_no_negatives=config.decoder_end == "relu",
        form=config.form,
        audio_network=None if config.audio_encoder == "pooled" else config.audio_encoder,
    )


def load_davenet(model: Model, path: Path) -> None:
    """Have the model's DAVEnet start from a published checkpoint of it, or of what holds it.

    Raises:
        ValueError: The file holds none, or the other one.
    """
    audio = model.get_submodule("encoders.audio")
    assert isinstance(audio, SpectrogramEncoder)
    published = load_published(path)
    davenet = getattr(published, "DAVEnet", published)
    if type(davenet) is not type(audio.davenet):
        others = [name for name, kind in DAVENETS.items() if type(davenet) is kind]
        way_out = f"give --audio-encoder {others[0]}" if others else "it has no DAVEnet"
        raise ValueError(
            f"{path} holds a {type(published).__name__}, and what is to be trained is a "
            f"{type(audio.davenet).__name__}: {way_out}"
        )
    audio.davenet.load_state_dict(davenet.state_dict())
