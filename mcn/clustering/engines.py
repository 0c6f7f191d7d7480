"""What finds the nearest centroids, by name."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering import faiss_engine, torch_engine

Nearest = Callable[[Float[Tensor, "clusters dim"]], Int[Tensor, " rows"]]
"""Gives the nearest centroid of every row."""

Engine = Callable[..., Nearest]
"""Takes the rows and `spherical`, once for all iterations."""

ENGINES: dict[EngineName, Engine] = {
    "torch": torch_engine.nearest_among,
    "faiss": faiss_engine.nearest_among,
}
