"""The clustering of a stage: past embeddings in a queue, centroids refitted now and then."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mcn.choices import EngineName
from mcn.clustering import FeatureQueue
from mcn.clustering.engines import ENGINES
from mcn.clustering.health import assignment_entropy, normalized_mutual_information
from mcn.clustering.lloyd import cluster
from mcn.terms import Clusters


class Clusterer:
    """Gives each clip of a batch its target centroid.

    Every rank holds the same queue and computes the same centroids from the same gathered rows,
    so nothing has to be sent.
    """

    def __init__(
        self,
        *,
        clusters: int,
        queue_size: int,
        dim: int,
        refit_every_steps: int,
        seed: int,
        engine: EngineName,
        device: torch.device,
        has_unit_length: bool = True,
    ) -> None:
        """Clusters by cosine in any case.

        Centroids have unit length, or without `has_unit_length` are means of rows as they come,
        as published.
        """
        self.clusters = clusters
        self.refit_every_steps = refit_every_steps
        self.seed = seed
        self.engine: EngineName = engine
        self.device = device
        self.has_unit_length = has_unit_length
        self.queue = FeatureQueue(queue_size, dim, device=device)
        self.centroids: Tensor | None = None
        self.steps_since_fit = 0
        self.health: dict[str, float] = {}
        """How the fit of this step went, by name; empty where there was none."""

    @torch.no_grad()
    def __call__(
        self,
        fused: Float[Tensor, "clips dim"],
        present: Bool[Tensor, " clips"],
        queued: Bool[Tensor, " clips"] | None = None,
    ) -> Clusters | None:
        """Take a batch into the queue; None until there are enough clips to cluster.

        Args:
            fused: Embeddings of the clips of all ranks.
            present: Which of them have any.
            queued: Which of them are kept for later steps; the whole batch is then clustered beside
                the queue. By default all are, and it is clustered with the queue.
        """
        self.health = {}
        rows = fused.detach().float()
        directions = F.normalize(rows, dim=1)
        taken = (directions if self.has_unit_length else rows)[present]
        if queued is None:
            self.queue.push(taken)
        if self.centroids is None or self.steps_since_fit >= self.refit_every_steps:
            beside = taken[:0] if queued is None else taken
            held = torch.cat((self.queue.filled(), beside)) if len(beside) else self.queue.filled()
            if len(held) >= self.clusters:
                self.centroids = self._fit(held)
                self.steps_since_fit = 0
        if queued is not None:
            self.queue.push(taken[queued[present]])
        if self.centroids is None:
            return None
        self.steps_since_fit += 1
        nearest = (directions @ F.normalize(self.centroids, dim=1).T).argmax(dim=1)
        return Clusters(self.centroids, torch.where(present, nearest, -1))

    def _fit(self, held: Float[Tensor, "rows dim"]) -> Float[Tensor, "clusters dim"]:
        fitted = cluster(
            held,
            clusters=self.clusters,
            initial=self.centroids,
            seed=self.seed,
            engine=ENGINES[self.engine],
        )
        self.health = {
            "clustering/empty": float(fitted.num_reseeded),
            "clustering/entropy": assignment_entropy(fitted.assignments, clusters=self.clusters),
            "clustering/inertia": fitted.inertia,
        }
        if self.centroids is not None:
            # What the last centroids say of the rows of now, so that it needs no memory of theirs.
            self.health["clustering/nmi"] = normalized_mutual_information(
                fitted.first_assignments, fitted.assignments
            )
        if self.has_unit_length:
            return fitted.centroids
        members = F.one_hot(fitted.assignments, self.clusters).T.to(held.dtype)
        return members @ held / members.sum(dim=1, keepdim=True)

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors; the queue as far as it is filled."""
        counters = torch.tensor([self.queue.num_pushed, self.steps_since_fit])
        state = {"queue": self.queue.filled(), "counters": counters}
        return state if self.centroids is None else {**state, "centroids": self.centroids}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        held = state["queue"]
        self.queue.rows[: len(held)] = held.to(self.device)
        self.queue.num_pushed, self.steps_since_fit = state["counters"].tolist()
        centroids = state.get("centroids")
        self.centroids = None if centroids is None else centroids.to(self.device)
