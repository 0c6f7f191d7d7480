"""Nearest centroids by faiss: on its GPU where it sees one, else on the processor."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mcn.clustering.torch_engine import ROWS_AT_ONCE


def nearest_among(
    rows: Float[Tensor, "rows dim"], *, spherical: bool
) -> Callable[[Float[Tensor, "clusters dim"]], Int[Tensor, " rows"]]:
    """Finds each row's nearest centroid: by cosine, for rows of length one, or by distance.

    In float32, the only precision that faiss has.

    Raises:
        ValueError: faiss is not installed.
    """
    faiss = import_faiss("k-means by faiss", "or take the engine torch")
    rows = rows.float()
    metric = faiss.METRIC_INNER_PRODUCT if spherical else faiss.METRIC_L2
    if rows.device.type == "cuda" and faiss.get_num_gpus() > 0:
        return _on_gpu(faiss, rows, metric)
    held = rows.cpu().contiguous()

    def nearest(centroids: Tensor) -> Tensor:
        compared = centroids.float().cpu().contiguous().numpy()
        # How faiss multiplies depends on the number of rows, and with it the last bits.
        labels = [
            faiss.knn(part.numpy(), compared, 1, metric=metric)[1]
            for part in held.split(ROWS_AT_ONCE)
        ]
        return torch.from_numpy(np.concatenate(labels)).flatten().to(rows.device)

    return nearest


def _on_gpu(faiss: Any, rows: Tensor, metric: int) -> Callable[[Tensor], Tensor]:
    import faiss.contrib.torch_utils  # lets faiss read tensors where they are

    resources = faiss.StandardGpuResources()

    def nearest(centroids: Tensor) -> Tensor:
        _, labels = faiss.knn_gpu(
            resources, rows, centroids.float(), 1, metric=metric, device=rows.device.index
        )
        nearest_of_each: Tensor = labels.flatten()
        return nearest_of_each

    return nearest


def import_faiss(what: str, *ways_out: str) -> ModuleType:
    """faiss, or an error that says what needs it, and what else than installing helps."""
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            f"{what} needs faiss, and it cannot be imported ({error}): "
            + ", ".join(("pip install faiss-gpu", *ways_out))
        ) from error
    return faiss
