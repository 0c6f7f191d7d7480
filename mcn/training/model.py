"""The model that a config asks for."""

import torch

from mcn.modality import Modality
from mcn.models.mcn import Mcn, McnDims
from mcn.training.config import TrainConfig


def new_model(config: TrainConfig, feature_dims: dict[Modality, int]) -> Mcn:
    """With first weights drawn by the run's seed."""
    torch.manual_seed(config.seed)
    dims = McnDims(
        **feature_dims, embedding=config.embedding_dim, reconstruction=config.reconstruction_dim
    )
    return Mcn(
        dims,
        has_unit_length=config.similarity == "cosine",
        target_learns=config.reconstruction_target == "attached",
    )
