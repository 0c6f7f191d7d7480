"""How everything here is timed: in turns, after a round to warm up, compared pair by pair.

A machine's speed drifts with heat, neighbours and caches. Contenders therefore run A B A B, and a
ratio is the median of the ratios of single rounds, in which both met the same conditions.
"""

import gc
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Timing:
    """What each round of one contender took."""

    wall_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Of all threads, and of child processes that have ended."""


@dataclass(frozen=True)
class Ratio:
    """How many times as long as ours a peer took."""

    median: float
    least: float
    most: float


def take_turns(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warm_up_rounds: int = 1,
    before_each: Callable[[], object] | None = None,
) -> dict[str, Timing]:
    """Times of all contenders, which run one after the other in each round.

    Args:
        contenders: What to run, by name.
        rounds: Rounds that count.
        warm_up_rounds: Rounds before them that do not.
        before_each: Runs before every turn, and is not timed.
    """
    timings = {name: Timing() for name in contenders}
    for number in range(-warm_up_rounds, rounds):
        for name, run in contenders.items():
            if before_each is not None:
                before_each()
            gc.collect()
            cpu_start, wall_start = _cpu_seconds(), time.perf_counter()
            run()
            wall, cpu = time.perf_counter() - wall_start, _cpu_seconds() - cpu_start
            if number >= 0:
                timings[name].wall_seconds.append(wall)
                timings[name].cpu_seconds.append(cpu)
    return timings


def ratio(ours: list[float], peer: list[float]) -> Ratio:
    """The peer's time over ours, round by round."""
    ratios = [theirs / own for own, theirs in zip(ours, peer, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
