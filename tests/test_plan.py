import itertools
from pathlib import Path

import pytest

from extractors.plan import (
    balance,
    extend_plan,
    keep_plan,
    read_plan,
    shards_again,
    with_new_videos,
    with_videos_again,
)
from mcn.store.layout import lease_folder
from mcn.store.lease import ShardBusyError, acquire
from tests.shards import RENEWED, elsewhere


def test_shards_are_balanced_by_cost_and_not_by_number() -> None:
    costs = {f"v{i:03d}": float(1 + i % 17) for i in range(200)}
    shards = balance(costs, num_shards=7)
    totals = [sum(costs[video_id] for video_id in shard) for shard in shards]
    assert max(totals) - min(totals) <= max(costs.values())
    assert sorted(video_id for shard in shards for video_id in shard) == sorted(costs)


def test_the_plan_does_not_depend_on_the_order_of_the_videos() -> None:
    costs = {f"v{i}": float(i % 5) for i in range(50)}
    backwards = dict(reversed(costs.items()))
    assert balance(costs, num_shards=4) == balance(backwards, num_shards=4)


def test_what_is_planned_never_changes_and_new_videos_make_new_shards(tmp_path: Path) -> None:
    path = tmp_path / "plans" / "video.csv"
    first = extend_plan(path, {f"v{i}": 1.0 for i in range(10)}, videos_per_shard=4)
    assert len(first) == 3
    grown = extend_plan(path, {f"v{i}": 99.0 for i in range(15)}, videos_per_shard=4)
    assert grown[:3] == first
    assert sorted(itertools.chain(*grown[3:])) == [f"v{i}" for i in range(10, 15)]
    assert read_plan(path) == grown


def test_a_plan_that_knows_all_videos_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    extend_plan(path, {"-a": 1.0, 'b"c': 2.0}, videos_per_shard=1)
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert sorted(itertools.chain(*extend_plan(path, {"-a": 1.0}, videos_per_shard=9))) == [
        "-a",
        'b"c',
    ]
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_of_two_launches_that_plan_otherwise_the_second_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    first = extend_plan(path, {"a": 1.0, "b": 1.0}, videos_per_shard=2)
    retry = with_videos_again(first, {"b": 1.0}, videos_per_shard=2)
    new = with_new_videos(first, {"c": 1.0, "d": 1.0, "e": 1.0}, videos_per_shard=2)
    keep_plan(path, retry, {1: "video-a"})
    with pytest.raises(ValueError, match=r"video\.csv was planned on by another launch meanwhile"):
        keep_plan(path, new)
    with pytest.raises(ValueError, match="run the command again"):
        keep_plan(path, retry, {1: "video-b"})
    keep_plan(path, retry, {1: "video-a"})
    keep_plan(path, first)
    assert (read_plan(path), shards_again(path)) == (retry, {1: "video-a"})


def test_a_plan_has_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    with (
        acquire(lease_folder(path), elsewhere(), lease_seconds=RENEWED),
        pytest.raises(ShardBusyError),
    ):
        keep_plan(path, [["a"]])
    assert not path.exists()
    keep_plan(path, [["a"]])
    assert read_plan(path) == [["a"]]
