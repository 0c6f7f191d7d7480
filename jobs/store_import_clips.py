"""A published pickle of evaluation clips as a benchmark: `jobs/store.py import-clips`."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from extractors.extract import RecordSource
from extractors.published_records import PublishedRecords
from extractors.text_records import TextRecords
from extractors.words import Vocabulary, find_word_vectors, word_table
from mcn.data.benchmark_folder import ANNOTATIONS, PUBLISHED_CLIPS
from mcn.data.benchmarks import CLIPS_COLUMNS, read_msrvtt
from mcn.data.captions import Captions
from mcn.data.published_clips import (
    YOUTUBE_ID_LENGTH,
    PublishedClip,
    clip_ids,
    read_published_clips,
)
from mcn.data.stores import WITHOUT_WORDS, Features, Source, store_folders
from mcn.progress import Progress
from mcn.root import Root
from mcn.sha256 import file_sha256
from mcn.store.aside import written_aside
from mcn.store.layout import SEALED_SUFFIX
from mcn.store.writer import ShardWriter

SHARD = f"00000{SEALED_SUFFIX}"
"""All clips of a benchmark are in one."""


@dataclass(frozen=True, kw_only=True)
class ImportClips:
    """Take in a published pickle of evaluation clips as a benchmark; again to carry on."""

    file: Positional[Path]
    """A list of dicts with the features, the sound and the sentence of each clip; nothing in it is
    run."""
    benchmark: str
    """Folder below benchmarks/ to make: youcook2 or msrvtt, which decides how many frames published
    models hear, and how tables call it."""
    stores: OmitArgPrefixes[Features] = field(
        default_factory=lambda: Features(
            video="video-2d", video_3d="video-3d", audio="audio-logmel"
        )
    )
    annotation: Path | None = None
    """Of MSR-VTT (msrvtt_test.csv): what it has and the file lacks is a clip without features,
    which is never found. Published results count the 32 of 1,000 clips without sound so."""
    word_vectors: Path | None = None
    """In word2vec's binary format; by default Google News' in weights/."""
    root: Path | None = None
    """Folder of all data; else that of MCN_ROOT, else data/ in the repository."""


def import_clips(arguments: ImportClips) -> None:
    """Make a store a source, and last the csv that makes a benchmark of them."""
    root = Root.resolve(arguments.root)
    place = root.benchmark(arguments.benchmark)
    for name in ANNOTATIONS.keys() - {PUBLISHED_CLIPS}:
        if (place.path / name).exists():
            raise ValueError(
                f"{place.path / name} says that this benchmark is of videos, which have other ids "
                "than clips: give another --root"
            )
    found = read_published_clips(arguments.file)
    clips = dict(zip(clip_ids(found), found, strict=True))
    missing = _missing(arguments, clips)
    sentences = {
        clip_id: Captions([0.0], [clip.seconds], [clip.text]) for clip_id, clip in clips.items()
    } | {clip_id: Captions([0.0], [1.0], [text]) for clip_id, text in missing.items()}
    ids, sha256 = sorted(sentences), file_sha256(arguments.file)
    words = word_table(find_word_vectors(arguments.word_vectors, root.weights), place.store)
    records: dict[Source, RecordSource] = {
        **{source: PublishedRecords(source, clips, sha256) for source in WITHOUT_WORDS},
        "text": TextRecords(sentences, Vocabulary.of(words)),
    }
    folders = store_folders(place.store, arguments.stores)
    with Progress("import", total=len(folders) * len(ids), unit="records") as progress:
        for source, folder in folders.items():
            _fill(folder / SHARD, ids, records[source], progress)
    _write_csv(place.path / PUBLISHED_CLIPS, sentences, clips)
    num_silent = sum(clip.log_mel is None for clip in clips.values())
    print(
        f"{place.path}: {len(clips):,} clips, {num_silent:,} of them without sound, and "
        f"{len(missing):,} that the file lacks"
    )


def _missing(arguments: ImportClips, clips: Mapping[str, PublishedClip]) -> dict[str, str]:
    """Sentences of the annotation's clips that are not in the file."""
    if arguments.annotation is None:
        return {}
    annotated = {clip.video_id: clip.text for clip in read_msrvtt(arguments.annotation)}
    unknown = clips.keys() - annotated.keys()
    if unknown:
        raise ValueError(
            f"{arguments.annotation} does not have {len(unknown)} clips of {arguments.file}, "
            f"{min(unknown)!r} first: it is of another set"
        )
    return {id_: text for id_, text in annotated.items() if id_ not in clips}


def _fill(shard: Path, ids: list[str], source: RecordSource, progress: Progress) -> None:
    """The sealed shard, made from where an earlier try left off."""
    with ShardWriter(
        shard, video_ids=ids, fingerprint=source.fingerprint, provenance=source.provenance
    ) as writer:
        left = [clip_id for clip_id in ids if clip_id not in writer.done]
        progress.skip(len(ids) - len(left))
        for record in source.records(left):
            writer.append(record)
            progress.advance()
        writer.seal()


def _write_csv(
    path: Path, sentences: Mapping[str, Captions], clips: Mapping[str, PublishedClip]
) -> None:
    """What `read_clips` reads."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(CLIPS_COLUMNS)
    for clip_id, sentence in sentences.items():
        of_file = clips.get(clip_id)
        video_id = clip_id if of_file is None else of_file.id[:YOUTUBE_ID_LENGTH]
        writer.writerow((clip_id, video_id, sentence.end_seconds[0], sentence.texts[0]))
    with written_aside(path) as file:
        file.write(text.getvalue().encode())
