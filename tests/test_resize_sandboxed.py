"""The clock of resizing allows for files that are long and small, and for no more than that."""

from pathlib import Path

import pytest

from extractors.resize import ResizeConfig
from extractors.resize_sandboxed import believed_seconds, resize_in, resized_numbers
from extractors.sandbox import Sandbox, SandboxLimits
from tests.videos import write_video


@pytest.mark.parametrize(
    ("num_bytes", "own_word", "believed"),
    [
        (50_000_000, 390.0, 5_000.0),
        (5_000_000, 3_600.0, 3_600.0),
        (5_000_000, 0.0, 500.0),
        (33_000, 3.2e7, 330.0),
        (50_000_000, 3.2e7, 12 * 3600.0),
        (0, 100.0, 0.0),
        (5_000_000, -1.0, 500.0),
    ],
)
def test_a_files_word_on_its_length_is_believed_as_far_as_its_size_bears_it_out(
    num_bytes: int, own_word: float, believed: float
) -> None:
    assert believed_seconds(num_bytes, own_word) == believed


def test_a_long_and_silent_screencast_of_few_bytes_does_not_hang(tmp_path: Path) -> None:
    source = write_video(
        tmp_path / "still.mp4",
        frame_times=[float(k) for k in range(150)],
        width=64,
        height=48,
        sample_rate=None,
    )
    limits = SandboxLimits(seconds=0.1, seconds_per_second=0.2)
    assert limits.seconds + 0.2 * believed_seconds(source.stat().st_size) < 0.5
    config = ResizeConfig(width=320, height=240, preset="ultrafast")
    with Sandbox(resized_numbers, limits) as sandbox:
        resized = resize_in(sandbox, source, tmp_path / "resized.mp4", config)
    assert resized.seconds == pytest.approx(150, abs=1)
