"""Sound that changes its form on the way is heard to its end, and in its place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from extractors.media import read_waveform
from extractors.resize import ResizeConfig, resize_video
from tests.bad_files import shift
from tests.videos import is_clap, write_video

SECONDS = 2
RATE = 16_000
FORMS = [("mono", 44_100), ("stereo", 48_000), ("5.1", 48_000), ("mono", 32_000)]


def in_pieces(path: Path, forms: Sequence[tuple[str, int]], tone_hz: float = 1000.0) -> Path:
    """A transport stream of pieces one behind the other, each with sound of its own form."""
    with path.open("wb") as file:
        for k, (layout, sample_rate) in enumerate(forms):
            piece = write_video(
                path.with_suffix(".mp4"),
                seconds=SECONDS,
                width=64,
                height=48,
                layout=layout,
                sample_rate=sample_rate,
                tone_hz=tone_hz,
            )
            shift(piece, path.with_suffix(".piece.ts"), "mpegts", 10.0 + k * SECONDS)
            file.write(path.with_suffix(".piece.ts").read_bytes())
    return path


def loud(waveform: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether anything is heard in each hundredth of a second."""
    steps = waveform[: len(waveform) // (RATE // 100) * (RATE // 100)].reshape(-1, RATE // 100)
    is_loud: NDArray[np.bool_] = np.abs(steps).max(axis=1) > 0.1
    return is_loud


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return in_pieces(tmp_path_factory.mktemp("changing") / "changing.ts", FORMS)


def test_every_piece_of_it_is_heard_in_its_place(changing: Path) -> None:
    waveform = read_waveform(changing)
    assert len(waveform) == pytest.approx(SECONDS * len(FORMS) * RATE, abs=0.1 * RATE)
    heard = loud(waveform)[: 100 * SECONDS * len(FORMS)]
    # A transport stream does not say that what a frame of AAC decodes to comes 0.02 s late.
    expected = is_clap(np.arange(len(heard)) / 100 - 0.02)
    assert (heard != expected).sum() <= 4 * SECONDS * len(FORMS)  # at the two edges of each clap
    assert not heard[~np.convolve(expected, np.ones(9), "same").astype(bool)].any()


def test_nothing_of_it_counts_as_lost(changing: Path, tmp_path: Path) -> None:
    resized = resize_video(changing, tmp_path / "video.mp4", ResizeConfig(width=64, height=48))
    assert resized.completeness == 1.0
    heard = loud(read_waveform(tmp_path / "video.mp4"))[:790]
    assert (heard != loud(read_waveform(changing))[:790]).sum() <= 2 * SECONDS * len(FORMS)


def test_high_notes_come_through_behind_a_form_that_has_none(tmp_path: Path) -> None:
    """As they would not if what follows were brought to the rate of the first form."""
    forms = [("mono", 11_025), ("mono", 48_000)]
    heard = loud(read_waveform(in_pieces(tmp_path / "high.ts", forms, tone_hz=6000.0)))
    assert heard[100 * SECONDS :].sum() == pytest.approx(25 * SECONDS, abs=6)
