import time

from tests.benchmarks.peers import Peers
from tests.benchmarks.result import durations
from tests.benchmarks.stopwatch import Stopwatch
from tests.benchmarks.timing import Ratio, Timing, ratio, take_turns


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []
    timings = take_turns(
        {"ours": lambda: turns.append("ours"), "peer": lambda: turns.append("peer")},
        rounds=2,
        before_each=lambda: turns.append("-"),
    )
    assert turns == ["-", "ours", "-", "peer"] * 3
    assert [len(timing.wall_seconds) for timing in timings.values()] == [2, 2]


def test_a_ratio_is_taken_within_rounds() -> None:
    # The machine was ten times slower in the second round, for both.
    assert ratio([1, 10, 1], [2, 20, 4]) == Ratio(median=2, least=2, most=4)


def test_the_first_row_is_ours_and_has_no_ratio() -> None:
    ours, peer = durations({"ours": Timing([1, 1], [1, 1]), "peer": Timing([3, 3], [1, 1])})
    assert (ours.name, ours.value, ours.ratio) == ("ours", 1, None)
    assert peer.ratio == Ratio(3, 3, 3)


def test_a_peer_that_is_missing_is_named_with_the_way_to_have_it() -> None:
    peers = Peers()
    assert peers.module("no_such_peer", way_out="pip install no-such-peer") is None
    (line,) = peers.left_out
    assert "no_such_peer" in line and "pip install no-such-peer" in line


class Sleeper:
    def __init__(self) -> None:
        self.slept = {"outer": 0.0, "inner": 0.0}

    def outer(self) -> str:
        self._sleep("outer", 0.03)
        self.inner()
        self._sleep("outer", 0.03)
        return "awake"

    def inner(self) -> None:
        self._sleep("inner", 0.1)

    def _sleep(self, part: str, seconds: float) -> None:
        began = time.perf_counter()
        time.sleep(seconds)
        self.slept[part] += time.perf_counter() - began


def test_a_part_inside_another_one_counts_for_itself_alone() -> None:
    watch, plain, sleeper = Stopwatch(), Sleeper.outer, Sleeper()
    began = time.perf_counter()
    with watch.watching({"outer": [(Sleeper, "outer")], "inner": [(Sleeper, "inner")]}):
        assert sleeper.outer() == "awake"
    in_all = time.perf_counter() - began
    assert Sleeper.outer is plain
    measured = watch.reset()
    assert measured.keys() == sleeper.slept.keys()
    assert all(measured[part] >= slept for part, slept in sleeper.slept.items())
    assert sum(measured.values()) <= in_all  # so that nothing is counted twice
    assert watch.reset() == {}
