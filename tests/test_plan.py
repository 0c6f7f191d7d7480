import itertools
from collections.abc import Iterator
from pathlib import Path

from extractors.plan import balance, extend_plan, keep_plan, read_plan


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


def test_two_who_write_a_plan_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"

    class WrittenMeanwhile(list[list[str]]):
        def __iter__(self) -> Iterator[list[str]]:
            yield ["a"]
            keep_plan(path, [["other"]])  # by a process of another node with the same number
            yield ["b"]

    keep_plan(path, WrittenMeanwhile([["a"], ["b"]]))
    assert read_plan(path) == [["a"], ["b"]]
    assert list(tmp_path.iterdir()) == [path]
