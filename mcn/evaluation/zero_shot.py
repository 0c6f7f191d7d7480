"""Zero-shot retrieval of a benchmark's clips by their sentences, with one trained model."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcn.data.batches import Clip, collate
from mcn.data.clip_reader import ClipReader
from mcn.modality import MODALITIES, Modality
from mcn.models.mcn import Mcn, McnDims
from mcn.store.reader import FeatureStore
from mcn.training.checkpoint import Checkpoint

CLIPS_PER_BATCH = 256

DIRECTIONS: dict[str, tuple[Modality, ...]] = {
    "t2va": ("video", "audio"),
    "t2v": ("video",),
    "t2a": ("audio",),
}
"""What a sentence is compared with, under the field's names."""


@dataclass(frozen=True)
class ClipEmbeddings:
    """All clips of a benchmark in the joint space; rows of a missing modality are zero."""

    clips: list[Clip]
    embeddings: dict[Modality, Float[Tensor, "clips dim"]]
    has: dict[Modality, Bool[Tensor, " clips"]]

    def similarity(self, direction: str) -> Float[Tensor, "clips clips"]:
        """Rows are sentences, columns clips: the sum of the cosines with what the clip has.

        A clip without any of the modalities can never be found (minus infinity); a sentence
        without a known word finds nothing (NaN).
        """
        parts = DIRECTIONS[direction]
        clips = torch.stack([self.embeddings[modality] for modality in parts]).sum(dim=0)
        lacks_all = ~torch.stack([self.has[modality] for modality in parts]).any(dim=0)
        scores = self.embeddings["text"] @ clips.T
        scores[:, lacks_all] = -torch.inf
        scores[~self.has["text"]] = torch.nan
        return scores

    def num_missing(self, direction: str) -> int:
        """Clips that cannot be found since they lack every modality compared with."""
        has = torch.stack([self.has[modality] for modality in DIRECTIONS[direction]])
        return int((~has.any(dim=0)).sum())


def load_model(checkpoint: Checkpoint) -> Mcn:
    """The model of a checkpoint, ready to embed."""
    meta = checkpoint.meta
    model = Mcn(McnDims(**meta["dims"]), has_unit_length=meta.get("has_unit_length", True))
    model.load_state_dict(checkpoint.part("model"))
    return model.eval()


@torch.inference_mode()
def embed_benchmark(
    model: Mcn, stores: Mapping[Modality, FeatureStore], *, max_words: int
) -> ClipEmbeddings:
    """Embed every sentence of the text store, and the stretch of video that it describes."""
    device = next(model.parameters()).device
    reader = ClipReader(stores)
    clips = benchmark_clips(reader)
    embeddings: dict[Modality, list[Tensor]] = {modality: [] for modality in MODALITIES}
    has: dict[Modality, list[Tensor]] = {modality: [] for modality in MODALITIES}
    for first in range(0, len(clips), CLIPS_PER_BATCH):
        part = clips[first : first + CLIPS_PER_BATCH]
        batch = collate(part, reader.dims, max_words=max_words).to(device)
        for modality, encoded in model(batch, MODALITIES).items():
            present = batch.has[modality]
            embeddings[modality].append((encoded.embeddings * present[:, None]).cpu())
            has[modality].append(present.cpu())
    return ClipEmbeddings(
        clips,
        {modality: torch.cat(parts) for modality, parts in embeddings.items()},
        {modality: torch.cat(parts) for modality, parts in has.items()},
    )


def benchmark_clips(reader: ClipReader) -> list[Clip]:
    """One clip a sentence, in the order of video ids and of the sentences of each."""
    text = reader.stores["text"]
    return [
        reader.read(
            video_id,
            float(span["start_seconds"]),
            float(span["end_seconds"]),
            reader.caption_words(video_id, index, index + 1),
        )
        for video_id in sorted(text.video_ids)
        for index, span in enumerate(text.spans(video_id))
    ]
