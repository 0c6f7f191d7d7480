"""Zero-shot retrieval of a benchmark's clips by their sentences, with one trained model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int32
from torch import Tensor

from mcn.data.batches import NO_WORD, ClipBatch, Clips, collate
from mcn.data.captions import Captions
from mcn.data.clip_form import ClipForm
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import Stores
from mcn.evaluation.directions import DIRECTIONS
from mcn.evaluation.published import PUBLISHED_FRAMES, Evaluated, PublishedSpace
from mcn.modality import MODALITIES, Modality, Space
from mcn.models.trained import Model, described_model
from mcn.models.xdc import Xdc
from mcn.training.checkpoint import Checkpoint

CLIPS_PER_BATCH = 256

MOST_SPECTROGRAM_FRAMES = 5120
"""Of a clip that is to be found, which may last longer than those of training: as published for
YouCook2."""


@dataclass(frozen=True)
class ClipEmbeddings:
    """All clips of a benchmark in one space; rows of a missing modality are zero."""

    video_ids: list[str]
    seconds: Float64[Tensor, "clips 2"]
    """Start and end of each clip in its video."""
    embeddings: dict[Modality, Float[Tensor, "clips dim"]]
    has: dict[Modality, Bool[Tensor, " clips"]]

    def similarity(self, direction: str) -> Float[Tensor, "clips clips"]:
        """Rows are what is asked with, columns what is found: products, summed over modalities.

        What lacks one of its modalities can never be found (minus infinity), nor stand before
        another; what lacks one that is asked with, as a sentence without a known word does, finds
        nothing (NaN).

        Raises:
            ValueError: They do not come together in this space.
        """
        query, items = DIRECTIONS[direction].query, DIRECTIONS[direction].items
        if any(modality not in self.embeddings for modality in (*query, *items)):
            raise ValueError(
                f"{direction}: {' and '.join(query)} cannot be compared with "
                f"{' and '.join(items)} in a space of {' and '.join(self.embeddings)}: "
                "train --space fac or shared"
            )
        scores = self._sum(query) @ self._sum(items).T
        scores[:, self._lack(items)] = -torch.inf
        scores[self._lack(query)] = torch.nan
        return scores

    def num_missing(self, direction: str) -> int:
        """Clips that cannot be found since they lack a modality compared with."""
        return int(self._lack(DIRECTIONS[direction].items).sum())

    def num_unasked(self, direction: str) -> int:
        """Clips that find nothing since they lack a modality that is asked with."""
        return int(self._lack(DIRECTIONS[direction].query).sum())

    def only(self, kept: Bool[Tensor, " clips"]) -> "ClipEmbeddings":
        """Some of the clips, as if there were no others."""
        return ClipEmbeddings(
            [id_ for id_, is_kept in zip(self.video_ids, kept.tolist(), strict=True) if is_kept],
            self.seconds[kept],
            {modality: rows[kept] for modality, rows in self.embeddings.items()},
            {modality: there[kept] for modality, there in self.has.items()},
        )

    def _sum(self, parts: tuple[Modality, ...]) -> Float[Tensor, "clips dim"]:
        return torch.stack([self.embeddings[modality] for modality in parts]).sum(dim=0)

    def _lack(self, parts: tuple[Modality, ...]) -> Bool[Tensor, " clips"]:
        return ~torch.stack([self.has[modality] for modality in parts]).all(dim=0)


def load_model(checkpoint: Checkpoint) -> Model:
    """The model of a checkpoint, ready to embed."""
    model = described_model(checkpoint.meta, checkpoint.part("model"))
    if isinstance(model, Xdc):
        raise ValueError("xdc learns no space that modalities share; --task probe judges it")
    return model.eval()


def text_space(model: Evaluated) -> Space:
    """The space in which sentences are compared."""
    return next(space for space, together in model.spaces.items() if "text" in together)


def frames_heard(model: Evaluated, benchmark: str) -> int:
    """Of a clip's spectrogram, at most; published models hear what they were published with.

    Args:
        model: Who hears.
        benchmark: Folder of the benchmark, such as msrvtt.
    """
    if isinstance(model, PublishedSpace):
        return PUBLISHED_FRAMES.get(benchmark, MOST_SPECTROGRAM_FRAMES)
    return MOST_SPECTROGRAM_FRAMES


def evaluated_form(model: Evaluated, most_frames: int = MOST_SPECTROGRAM_FRAMES) -> ClipForm:
    """The form in which a model takes clips, of which it hears more than in training."""
    is_pooled = model.form.spectrogram_frames is None
    return replace(model.form, spectrogram_frames=None if is_pooled else most_frames)


def evaluated_reader(
    model: Evaluated, stores: Stores, most_frames: int = MOST_SPECTROGRAM_FRAMES
) -> ClipReader:
    """Reads clips in the form in which a model takes them; the model knows their words from then.

    Args:
        model: Whose form it is.
        stores: Features of a benchmark.
        most_frames: Of a spectrogram, if it takes those.

    Raises:
        ValueError: The features are not what the model takes.
    """
    reader = ClipReader(stores, evaluated_form(model, most_frames))
    if isinstance(model, PublishedSpace):
        model.check(reader)
    else:
        _check_widths(model, reader)
    model.know_words(reader.word_vectors.to(next(model.parameters()).device))
    return reader


def _check_widths(model: Model, reader: ClipReader) -> None:
    for modality, found in reader.dims.items():
        taken = getattr(model.dims, modality)
        is_framed = modality == "audio" and reader.form.spectrogram_frames is not None
        if found != taken and not is_framed:
            raise ValueError(
                f"the model takes {taken} numbers of {modality} for a clip, and "
                f"{reader.stores[modality].folder} has {found} with what is read beside it: give "
                "the --video, --video-3d, --audio and --text that it was trained on"
            )


def embed_benchmark(
    model: Evaluated,
    stores: Stores,
    *,
    max_words: int,
    sentences: Mapping[str, Captions] | None = None,
    space: Space | None = None,
) -> ClipEmbeddings:
    """Embed every sentence of a benchmark, and the stretch of video that it describes.

    Args:
        model: A trained model.
        stores: Features of the benchmark.
        max_words: Words of a sentence that are read.
        sentences: Those of each video, by the annotation; by default those in the text store.
        space: Of the model; by default that of sentences.

    Raises:
        ValueError: The text store holds other sentences than the annotation.
    """
    clips = read_benchmark(model, stores, max_words=max_words, sentences=sentences)
    return embed_clips(model, clips, evaluated_form(model), space=space or text_space(model))


def read_benchmark(
    model: Evaluated,
    stores: Stores,
    *,
    max_words: int,
    sentences: Mapping[str, Captions] | None = None,
    most_frames: int = MOST_SPECTROGRAM_FRAMES,
) -> list[Clips]:
    """The clips that `embed_benchmark` embeds; the model knows their words afterwards."""
    reader = evaluated_reader(model, stores, most_frames)
    lines = _sentences_of_store(reader) if sentences is None else sentences
    return [_clips_of(video_id, lines[video_id], reader, max_words) for video_id in sorted(lines)]


@torch.inference_mode()
def embed_clips(
    model: Evaluated,
    videos: Sequence[Clips],
    form: ClipForm,
    modalities: tuple[Modality, ...] = MODALITIES,
    *,
    space: Space,
) -> ClipEmbeddings:
    """Embed what clips of some videos have of some modalities, as far as the space has them.

    Args:
        model: A trained model.
        videos: The clips, video by video.
        form: In which they were read.
        modalities: That are wanted.
        space: Of the model.
    """
    there = tuple(modality for modality in modalities if modality in model.spaces[space])
    device = next(model.parameters()).device
    embeddings: dict[Modality, list[Tensor]] = {modality: [] for modality in there}
    has: dict[Modality, list[Tensor]] = {modality: [] for modality in there}
    for batch in _batches(videos, form):
        for modality, rows in model.embed(batch.to(device), there, space).items():
            present = batch.has[modality]
            embeddings[modality].append(rows.cpu() * present[:, None])
            has[modality].append(present)
    return ClipEmbeddings(
        [video_id for clips in videos for video_id in [clips.video_id] * len(clips)],
        torch.from_numpy(np.concatenate([clips.seconds for clips in videos])),
        {modality: torch.cat(parts) for modality, parts in embeddings.items()},
        {modality: torch.cat(parts) for modality, parts in has.items()},
    )


def _batches(videos: Sequence[Clips], form: ClipForm) -> Iterator[ClipBatch]:
    """Of videos together as long as they have few clips, and of parts of those that have many."""
    group: list[Clips] = []
    for number, clips in enumerate(videos, start=1):
        group.append(clips)
        if sum(map(len, group)) >= CLIPS_PER_BATCH or number == len(videos):
            batch = collate(group, form)
            for first in range(0, len(batch), CLIPS_PER_BATCH):
                yield batch[first : first + CLIPS_PER_BATCH]
            group = []


def _sentences_of_store(reader: ClipReader) -> dict[str, Captions]:
    """The sentences of each video, as far as the store knows them: without their texts."""
    text = reader.stores["text"]
    spans = {video_id: text.spans(video_id) for video_id in text.video_ids}
    return {
        video_id: Captions(own["start_seconds"], own["end_seconds"], [""] * len(own))
        for video_id, own in spans.items()
    }


def _clips_of(video_id: str, sentences: Captions, reader: ClipReader, max_words: int) -> Clips:
    """One clip a sentence, those included of which no word is known."""
    return reader.read(
        video_id,
        np.asarray(sentences.start_seconds, np.float64),
        np.asarray(sentences.end_seconds, np.float64),
        words_of_lines(reader, video_id, len(sentences), max_words=max_words),
    )


def words_of_lines(
    reader: ClipReader, text_id: str, num_lines: int, *, max_words: int
) -> Int32[np.ndarray, "lines max_words"]:
    """The words of each line of a text in the store.

    Raises:
        ValueError: The store has another number of lines, or does not have the text yet.
    """
    text = reader.stores["text"]
    if text_id in dict(text.failures()):  # none of its words is known
        return np.full((num_lines, max_words), NO_WORD, np.int32)
    found = len(text.spans(text_id)) if text_id in text else 0
    if found != num_lines:
        raise ValueError(
            f"{text.folder} has {found} sentences of {text_id}, and the annotation {num_lines}: "
            "jobs/extract.py makes those of new videos; remove shards made of another annotation"
        )
    lines = [(line, line + 1) for line in range(num_lines)]
    return reader.caption_words(text_id, lines, max_words=max_words)
