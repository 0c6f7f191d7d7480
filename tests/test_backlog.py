"""The week's table: what is counted, what is forecast from it, and how that turns out."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mcn.data.ledger import Outcome
from mcn.data.stores import Features
from mcn.report.backlog.census import STAGES, Census, append_census, read_log, take_census
from mcn.report.backlog.forecast import SECONDS_PER_DAY, backtest, forecast, seconds_until_done
from mcn.report.backlog.steps import Steps
from mcn.root import REPOSITORY, Root
from tests.shards import done, failed, write_shard

FEATURES = Features(video="video-x", audio="audio-x")


def census(day: float, videos: float, *, mean_frames: float = 100, expected: int = 1000) -> Census:
    """All stages at the same number of videos."""
    counts = dict.fromkeys(STAGES, int(videos))
    frames = dict.fromkeys(STAGES, videos * mean_frames)
    return Census(day * SECONDS_PER_DAY, expected, counts, frames)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Five raw videos; four resized, of which one failed; audio of two, video of two others."""
    root = Root(tmp_path)
    root.raw.mkdir()
    for name in "abcde":
        (root.raw / f"{name}.mp4").touch()
    (root.raw / "e.mp4.part").touch()
    outcomes = [
        Outcome(video_id="a", status="done", num_frames=100),
        Outcome(video_id="b", status="done", num_frames=200),
        Outcome(video_id="c", status="done", num_frames=300),
        Outcome(video_id="d", status="failed", reason="truncated"),
    ]
    ledger = root.ledger / "resize" / "00000.jsonl"
    ledger.parent.mkdir(parents=True)
    ledger.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes))
    write_shard(root.store / "audio-x" / "00000.h5", [done("a"), done("b"), failed("c")])
    write_shard(root.store / "video-x" / "00000.h5", [done("b"), done("c")])
    return root


def test_a_census_counts_what_has_passed_each_stage_in_videos_and_in_frames(root: Root) -> None:
    counted = take_census(root, Steps.read(root, FEATURES), at=7.0)
    assert counted.videos == dict(zip(STAGES, (5, 3, 2, 1), strict=True))
    assert counted.frames == dict(zip(STAGES, (1000, 600, 300, 200), strict=True))
    assert counted.expected == 5
    root.manifest.write_text("video_id,path,category,seconds,frames\n" + "x,,,,\n" * 9)
    assert take_census(root, Steps.read(root, FEATURES), at=7.0).expected == 9


def test_a_folder_with_nothing_in_it_is_counted_as_nothing(tmp_path: Path) -> None:
    counted = take_census(Root(tmp_path), Steps.read(Root(tmp_path), FEATURES), at=0.0)
    assert set(counted.videos.values()) == {0}


def test_a_log_is_read_as_it_was_written_without_what_a_kill_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    assert read_log(path) == []
    for day in range(3):
        append_census(path, census(day, 10 * day))
    whole = read_log(path)
    assert [one.videos["resized"] for one in whole] == [0, 10, 20]
    text = path.read_bytes()
    for num_bytes_lost in range(2, 40):
        path.write_bytes(text[:-num_bytes_lost])
        assert read_log(path) == whole[:2]
        append_census(path, census(3, 30))
        assert read_log(path) == [*whole[:2], census(3, 30)]


def test_an_even_rate_goes_on_evenly_and_has_no_width() -> None:
    log = [census(day, 50 * day) for day in range(8)]
    (ahead,) = {
        (f.expected, f.low, f.high) for f in forecast(log, at=10 * SECONDS_PER_DAY).values()
    }
    assert ahead == pytest.approx((500, 500, 500))
    assert seconds_until_done(log, "resized") == pytest.approx(13 * SECONDS_PER_DAY)


def test_an_uneven_rate_has_an_interval_around_the_forecast() -> None:
    done_by_day = np.cumsum([0, 10, 90, 20, 80, 50, 50])
    log = [census(day, videos) for day, videos in enumerate(done_by_day.tolist())]
    ahead = forecast(log, at=10 * SECONDS_PER_DAY)["resized"]
    assert ahead.low is not None and ahead.high is not None
    assert ahead.expected == pytest.approx(500)
    assert ahead.low < ahead.expected < ahead.high


def test_longer_videos_make_the_forecast_slower_though_frames_go_on_as_before() -> None:
    counts, frames = (0, 100, 200, 250), (0, 10_000, 20_000, 30_000)
    log = [
        Census(
            day * SECONDS_PER_DAY,
            1000,
            dict.fromkeys(STAGES, videos),
            dict.fromkeys(STAGES, float(done_frames)),
        )
        for day, (videos, done_frames) in enumerate(zip(counts, frames, strict=True))
    ]
    at = 4 * SECONDS_PER_DAY
    by_frames = forecast(log, at=at)["resized"].expected
    by_videos = forecast(log, at=at, unit="videos")["resized"].expected
    assert by_frames == pytest.approx(250 + 10_000 / 120)
    assert by_videos == pytest.approx(250 + 250 / 3)


def test_no_stage_is_forecast_to_overtake_the_one_before_it_or_the_corpus() -> None:
    slow = {stage: 10 if stage == "downloaded" else 40 for stage in STAGES}
    log = [
        Census(
            day * SECONDS_PER_DAY,
            500,
            {stage: 100 + rate * day for stage, rate in slow.items()} | {"downloaded": 300},
            dict.fromkeys(STAGES, 100.0 + 40 * day),
        )
        for day in range(5)
    ]
    ahead = forecast(log, at=30 * SECONDS_PER_DAY)
    assert [ahead[stage].expected for stage in STAGES] == sorted(
        (ahead[stage].expected for stage in STAGES), reverse=True
    )
    assert ahead["downloaded"].expected <= 500


def test_one_look_is_no_rate() -> None:
    with pytest.raises(ValueError, match=r"needs two looks"):
        forecast([census(0, 10)], at=SECONDS_PER_DAY)


def test_a_backtest_measures_forecasts_against_what_the_log_says_later() -> None:
    even = [census(day, 20 * day) for day in range(30)]
    exact = backtest(even, days=7)["resized"]
    assert exact.forecasts > 10
    assert exact.mean_error_videos == pytest.approx(0)
    generator = np.random.default_rng(0)
    noisy = np.cumsum(generator.gamma(4, 5, size=60))
    uneven = [census(day, videos, expected=10_000) for day, videos in enumerate(noisy.tolist())]
    tested = backtest(uneven, days=7)["resized"]
    errors = []
    for place in range(2, 54):
        recent = uneven[max(0, place - 15) : place]
        span = recent[-1].at - recent[0].at
        rate = (recent[-1].frames["resized"] - recent[0].frames["resized"]) / span
        ahead = recent[-1].videos["resized"] + rate * 7 * SECONDS_PER_DAY / 100
        errors.append(abs(ahead - uneven[place + 6].videos["resized"]))
    assert tested.forecasts == len(errors)
    assert tested.mean_error_videos == pytest.approx(np.mean(errors), rel=0.05)
    assert tested.inside is not None
    assert 0.65 <= tested.inside <= 0.95


def test_the_command_prints_the_table_and_leaves_a_plot(root: Root) -> None:
    log = root.logs / "progress.jsonl"
    for day in range(3):
        append_census(log, census(day, day, expected=5))
    command = [sys.executable, str(REPOSITORY / "jobs" / "status.py"), "--progress"]
    names = ["--root", str(root.path), "--video", "video-x", "--audio", "audio-x", "--backtest"]
    done_ = subprocess.run([*command, *names], capture_output=True, text=True, check=False)
    assert done_.returncode == 0, done_.stderr
    assert "audio and video extracted" in done_.stdout
    assert "forecast, " in done_.stdout
    assert (root.path / "report" / "progress.png").stat().st_size > 1000
    assert len(read_log(log)) == 4
