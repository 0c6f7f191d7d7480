"""From sound in a file to the spectrogram of each clip of a batch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from extractors.audio import QUIETEST_DB, AudioExtractor, log_mel
from extractors.audio_records import AudioRecords
from extractors.corpus import ResizedVideos
from extractors.extract import extract_shard
from extractors.log_mel_records import LogMelRecords
from extractors.media import read_waveform
from mcn.data.batches import NO_WORD
from mcn.data.clip_form import ClipForm
from mcn.data.clip_reader import ClipReader
from mcn.data.spectrograms import stack_spectrograms
from mcn.data.stores import open_stores
from mcn.data.training_batches import TrainingBatches
from mcn.models.davenet import Davenet
from mcn.progress import Progress
from mcn.stop import StopRequest
from mcn.store.reader import FeatureStore
from mcn.store.writer import ShardWriter
from tests.media_sources import NO_WEIGHTS
from tests.published_runs import SAMPLING
from tests.stores import FEATURES, SPECTROGRAMS, ids_of_stores, write_spectrograms, write_stores
from tests.videos import write_video

FORM = ClipForm(spectrogram_frames=500)
IDS = ["one", "silent", "two"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> ResizedVideos:
    folder = tmp_path_factory.mktemp("resized")
    for video_id, rate in zip(IDS, (16_000, None, 16_000), strict=True):
        seconds = 1.0 + len(video_id)
        write_video(folder / f"{video_id}.mp4", seconds=seconds, sample_rate=rate, layout="mono")
    return ResizedVideos(
        folder,
        {"sample_rate": 16_000},
        completeness=dict.fromkeys(IDS, 1.0),
        seconds=dict.fromkeys(IDS, 4.0),
    )


def extract(path: Path, videos: ResizedVideos) -> None:
    source = LogMelRecords(videos, name="audio-logmel")
    with Progress("", total=len(IDS), unit="videos", is_shown=False) as progress:
        extract_shard(path, IDS, source, progress=progress, stop=StopRequest())


@pytest.fixture(scope="module")
def extracted(videos: ResizedVideos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "audio-logmel" / "00000.h5"
    extract(path, videos)
    return path


def test_rows_of_the_store_are_the_frames_of_the_spectrogram(
    videos: ResizedVideos, extracted: Path
) -> None:
    store = FeatureStore(extracted.parent)
    assert (store.dim, store.rows_per_second) == (40, 100.0)
    assert store.failures() == [("silent", "no-audio")]
    mel = log_mel(torch.from_numpy(read_waveform(videos.path("two"))), 16_000)
    assert torch.equal(torch.from_numpy(store.read("two")), mel.T.half())
    assert len(store.read("two")) == pytest.approx(401, abs=5)


def test_silent_sound_is_stored_at_the_quietest_level(videos: ResizedVideos) -> None:
    davenet = AudioExtractor(Davenet(), window_frames=512)
    quietest = torch.full((40, 101), QUIETEST_DB)
    for source, expected in (
        (LogMelRecords(videos, name="audio-logmel"), quietest.T),
        (AudioRecords(videos, davenet, NO_WEIGHTS, name="sound"), davenet(quietest)),
    ):
        maker = source.row_maker()
        maker.add(torch.zeros(16_000))
        maker.end("silent")
        maker.flush()
        ((_, rows),) = maker.finished()
        assert isinstance(rows, torch.Tensor) and torch.equal(rows, expected)


def test_extraction_that_was_killed_ends_with_the_same_bytes(
    videos: ResizedVideos, extracted: Path, tmp_path: Path
) -> None:
    path = tmp_path / "audio-logmel" / "00000.h5"
    source = LogMelRecords(videos, name="audio-logmel")
    with ShardWriter(
        path, video_ids=IDS, fingerprint=source.fingerprint, provenance=source.provenance
    ) as writer:
        for record in source.records(IDS[:1]):
            writer.append(record)
    assert not path.exists()
    extract(path, videos)
    assert path.read_bytes() == extracted.read_bytes()


MEASURE = """
import resource, sys, torch
from extractors.audio import log_mel
waveform = torch.zeros(16_000 * int(sys.argv[1]))
log_mel(waveform[:16_000], 16_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
log_mel(waveform, 16_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_spectrogram_takes_less_memory_than_twice_its_sound() -> None:
    seconds = 1200
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, str(seconds)], check=True, capture_output=True
    )
    assert int(output.stdout) * 1024 < 2 * seconds * 16_000 * 4


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ClipReader:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=6)
    write_spectrograms(folder, ids_of_stores(6))
    return ClipReader(open_stores(folder, SPECTROGRAMS), FORM)


def test_a_clip_has_the_frames_of_its_window_and_no_more_than_the_most(reader: ClipReader) -> None:
    video_id = "video0-001"
    rows = reader.stores["audio"].read(video_id)
    starts, ends = [0.0, 3.999, 2.5, 19.5, 30.0], [4.0, 5.003, 19.0, 25.0, 31.0]
    clips = reader.read(video_id, starts, ends, np.full((5, 1), NO_WORD, np.int32))
    frames = [(0, 400), (399, 501), (250, 750), (1950, 2001)]
    *heard, last = clips.audio
    for audio, (first, stop) in zip(heard, frames, strict=True):
        assert audio is not None and np.array_equal(audio, rows[first:stop])
    assert last is None


def test_a_batch_is_the_plain_loop_over_its_clips(reader: ClipReader) -> None:
    batch = TrainingBatches(reader, replace(SAMPLING, min_clip_seconds=6.0))[0]
    assert batch.audio.dtype == torch.float16 and batch.audio.shape[1:] == (40, 500)
    assert batch.audio_frames is not None
    assert batch.has["audio"].sum() == len(batch) - 3  # the last video has no sound
    for clip, (start, end) in enumerate(batch.seconds.tolist()):
        rows = np.zeros((0, 40), np.float16)
        if batch.has["audio"][clip]:
            rows = reader.stores["audio"].read(batch.video_ids[clip])
            rows = rows[int(start * 100) : int(end * 100)][:500]
        assert batch.audio_frames[clip] == len(rows)
        frames = batch.audio[clip].T.numpy()
        assert np.array_equal(frames[: len(rows)], rows)
        assert (frames[len(rows) :] == -80).all()


def test_padding_is_silence_up_to_the_longest_or_as_published_the_loudest_up_to_the_most() -> None:
    short, long = np.full((3, 40), -7, np.float16), np.full((9, 40), -9, np.float16)
    form = ClipForm(spectrogram_frames=6)
    ours, num_frames = stack_spectrograms([short, None, long], form)
    assert ours.shape == (3, 40, 6) and num_frames.tolist() == [3, 0, 6]
    assert ours[:, 0].tolist() == [[-7] * 3 + [-80] * 3, [-80] * 6, [-9] * 6]
    assert stack_spectrograms([short, None], form)[0].shape == (2, 40, 3)
    published, _ = stack_spectrograms([short], replace(form, audio_padding="published"))
    assert published[:, 0].tolist() == [[-7] * 3 + [0] * 3]


def test_features_in_another_form_than_the_model_takes_are_refused_with_the_way_out(
    reader: ClipReader,
) -> None:
    folder = reader.stores["audio"].folder.parent
    with pytest.raises(ValueError, match=r"audio-davenet holds rows of 10.*--audio audio-logmel"):
        ClipReader(open_stores(folder, FEATURES), FORM)
    with pytest.raises(ValueError, match=r"audio-logmel holds log-mel.*--audio-encoder resdavenet"):
        ClipReader(open_stores(folder, SPECTROGRAMS))
