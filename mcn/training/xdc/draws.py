"""Which clips are drawn for a step, and how much each counts: uniformly over the clusters.

Every term has clusters of its own to be uniform over, and every clip that is read serves all terms.
So the terms take turns in drawing, and a clip counts in a term by how likely the term's own draw
would have been to bring it, over how likely all of them were (multiple importance sampling by the
balance heuristic: Veach and Guibas, 1995). In expectation each term sees its own uniform draw; no
weight is larger than the number of terms, and where all terms have the same clusters all are 1.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import Dataset

from mcn.data.batches import ClipBatch
from mcn.data.clip_source import ClipSource
from mcn.modality import Modality
from mcn.objectives import Term
from mcn.training.xdc.numbered import NumberedClips

LabelSet = tuple[Modality, ...]
"""The modalities whose features were clustered side by side."""


class TermDraw:
    """Clips that a term can learn from, drawn uniformly over its clusters."""

    def __init__(self, term: Term, labels: Mapping[LabelSet, Int64[Tensor, " clips"]]) -> None:
        """Takes numbers of clusters, -1 where a clip has none."""
        own = labels[term.labels_of]
        # A clip without a cluster of the modality that learns lacks that modality.
        can_learn = (own >= 0) & (labels.get((term.left,), own) >= 0)
        known = can_learn.nonzero().flatten().numpy()
        if not len(known):
            raise ValueError(f"{term.name}: no clip has {term.left} and a cluster to learn")
        order = np.argsort(own[known].numpy(), kind="stable")
        self.members = known[order]
        clusters, self.begins, self.sizes = np.unique(
            own[self.members].numpy(), return_index=True, return_counts=True
        )
        self.chances = torch.zeros(len(own), dtype=torch.float64)
        """Of each clip to be drawn."""
        chance_of_member = 1 / (len(clusters) * self.sizes.repeat(self.sizes))
        self.chances[self.members] = torch.from_numpy(chance_of_member)

    def draw(self, number: int, generator: np.random.Generator) -> Int64[np.ndarray, " drawn"]:
        """So many clips, each time a cluster that has any and then one of it."""
        cluster = generator.integers(len(self.sizes), size=number)
        member: Int64[np.ndarray, " drawn"] = self.members[
            self.begins[cluster] + generator.integers(self.sizes[cluster])
        ]
        return member


class Draws:
    """The clips of every step of a round, decided by seed, round and step alone."""

    def __init__(
        self,
        terms: tuple[Term, ...],
        labels: Mapping[LabelSet, Int64[Tensor, " clips"]],
        *,
        seed: int,
        round_number: int,
        batch_size: int,
    ) -> None:
        self.seed = seed
        self.round_number = round_number
        self.batch_size = batch_size
        self.of_terms = {term.name: TermDraw(term, labels) for term in terms}
        shares = [len(turn) / batch_size for turn in self._turns()]
        everywhere = zip(shares, self.of_terms.values(), strict=True)
        mixture = torch.stack([share * own.chances for share, own in everywhere]).sum(dim=0)
        self.weights: dict[str, Float[Tensor, " clips"]] = {
            name: torch.where(own.chances > 0, own.chances / mixture, 0).float()
            for name, own in self.of_terms.items()
        }
        """How much each clip of the set counts in a term, by its name; 0 where it does not."""

    def numbers(self, step: int) -> Int64[np.ndarray, " batch"]:
        """Clips of the global batch of a step, sorted, so that those of a video are neighbours."""
        generator = np.random.default_rng([self.seed, self.round_number, step])
        drawn = [
            own.draw(len(turn), generator)
            for own, turn in zip(self.of_terms.values(), self._turns(), strict=True)
        ]
        return np.sort(np.concatenate(drawn))

    def _turns(self) -> list[range]:
        """Places in a batch that each term fills."""
        return [
            range(turn, self.batch_size, len(self.of_terms)) for turn in range(len(self.of_terms))
        ]


class DrawnBatches(Dataset[ClipBatch]):
    """Item `step` is this rank's share of the global batch of that step."""

    def __init__(
        self, source: ClipSource, draws: Draws, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self.source = source
        self.draws = draws
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, step: int) -> NumberedClips:
        numbers = np.array_split(self.draws.numbers(step), self.world_size)[self.rank]
        # Of any two runs, and of any two steps of one, what is left to chance differs.
        draw = (self.draws.seed << 32) + step
        clips = self.source.read(numbers.tolist(), draw=draw)
        return NumberedClips.of(clips, numbers)
