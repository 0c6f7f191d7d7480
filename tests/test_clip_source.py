"""Clips of a whole set by number: where they lie, and what is read of them."""

from pathlib import Path

import numpy as np
import pytest

from mcn.data.clip_source import Places, cut_evenly
from mcn.data.media_reader import MediaReader
from mcn.data.stored_clips import StoredClips, clips_with_both
from mcn.data.stores import WITHOUT_WORDS, open_stores
from tests.stores import DIMS, FEATURES, ids_of_stores, write_features, write_stores


def spans(places: Places) -> list[tuple[str, float, float]]:
    return [
        (video_id, *ends) for video_id, ends in zip(places.video_ids, places.seconds, strict=True)
    ]


@pytest.mark.parametrize("seconds", [8.0, 9.5, 11.0, 100.0, 3600.0])
def test_clips_of_a_long_video_have_one_length_and_the_same_gaps_all_around(seconds: float) -> None:
    places = cut_evenly([("a", seconds)], clip_seconds=4.0, most_per_video=5)
    starts, ends = places.seconds.T
    assert len(places) == min(seconds // 4, 5)
    assert ends - starts == pytest.approx(4.0)
    gaps = np.append(starts, seconds) - np.insert(ends, 0, 0.0)
    assert gaps == pytest.approx(gaps[0]) and gaps[0] >= 0


def test_a_video_shorter_than_a_clip_is_one_clip() -> None:
    places = cut_evenly([("a", 1.5), ("b", 4.0)], clip_seconds=4.0, most_per_video=3)
    assert spans(places) == [("a", 0.0, 1.5), ("b", 0.0, 4.0)]


def test_clips_of_no_video_are_none() -> None:
    places = cut_evenly([], clip_seconds=4.0, most_per_video=3)
    assert len(places) == 0 and places.seconds.shape == (0, 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_stores(folder, num_videos=4)
    return folder


@pytest.fixture
def clips(store: Path) -> StoredClips:
    reader = MediaReader(open_stores(store, FEATURES, sources=WITHOUT_WORDS))
    return clips_with_both(reader, clip_seconds=4.0, most_per_video=3)


def test_the_set_is_of_videos_with_picture_and_sound_in_the_order_of_their_ids(
    clips: StoredClips,
) -> None:
    # Of four videos the last has no sound.
    assert clips.places.video_ids == [v for v in ids_of_stores(3) for _ in range(3)]
    assert clips.dims == {"video": DIMS["video"], "audio": DIMS["audio"]}


def test_clips_come_in_the_order_asked_for_each_as_it_is_alone(clips: StoredClips) -> None:
    numbers = [7, 8, 0, 3, 8, 8, 2]
    together = clips.read(numbers)
    assert together.video_ids == [clips.places.video_ids[number] for number in numbers]
    assert (together.seconds.numpy() == clips.places.seconds[numbers]).all()
    assert not together.has["text"].any()
    for place, number in enumerate(numbers):
        alone = clips.read([number], draw=5)
        for modality in ("video", "audio"):
            row = getattr(together, modality)[place]
            assert row.equal(getattr(alone, modality)[0]) and row.any()
            assert together.has[modality][place]


def test_a_clip_is_pooled_over_its_own_seconds(clips: StoredClips) -> None:
    clip = clips.read([4])
    (start, end), video_id = clips.places.seconds[4], clips.places.video_ids[4]
    rows = clips.reader.stores["video"].read(video_id, int(np.floor(start)), int(np.ceil(end)))
    assert clip.video[0].tolist() == rows.max(axis=0).astype(np.float32).tolist()


def test_no_clips_are_a_batch_of_none(clips: StoredClips) -> None:
    nothing = clips.read([])
    assert len(nothing) == 0 and nothing.video.shape == (0, DIMS["video"])


def test_stores_without_a_video_in_common_say_what_to_run(tmp_path: Path) -> None:
    rows = {"a": np.ones((8, 4), np.float16)}
    write_features(tmp_path, FEATURES.video, ["a"], rows, rate=1.0)
    write_features(tmp_path, FEATURES.audio, ["b"], {"b": rows["a"]}, rate=2.0)
    reader = MediaReader(open_stores(tmp_path, FEATURES, sources=WITHOUT_WORDS))
    with pytest.raises(ValueError, match="no video is both in .*run jobs/extract.py"):
        clips_with_both(reader, clip_seconds=4.0, most_per_video=3)
