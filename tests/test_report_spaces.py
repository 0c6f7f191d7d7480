import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mcn.evaluation.differences import seed_interval
from mcn.evaluation.results import RunResults
from mcn.report.page import write_report
from mcn.report.spaces import SpaceFinding, space_findings
from tests.reports import BY_CHANCE, NUM_CLIPS, content, results


def found(share: float) -> tuple[int, ...]:
    """Ranks of which so many are the first, spread over all videos."""
    return tuple(0 if clip * share % 1 < share else 50 for clip in range(NUM_CLIPS))


def run(space: str, ranks: Sequence[int], seed: int = 0, **options: str) -> RunResults:
    made = dataclasses.replace(results(ranks, seed=seed, **options), model=f"mmv-{space}")
    benchmark = made.benchmarks["youcook2"]
    queries = dict(benchmark.queries, v2a=benchmark.queries["t2v"])
    if space == "disjoint":
        queries = {way: queries[way] for way in ("t2v", "v2a")}
    benchmark = dataclasses.replace(benchmark, queries=queries)
    return dataclasses.replace(made, benchmarks={"youcook2": benchmark})


def by_sound(runs: Sequence[RunResults]) -> SpaceFinding:
    (finding,) = (f for f in space_findings(runs) if f.way == "pictures with sound")
    return finding


def test_more_is_said_where_videos_and_seeds_agree() -> None:
    runs = [
        run(space, found(share + seed / 50), seed)
        for space, share in (("fac", 0.8), ("shared", 0.5))
        for seed in range(3)
    ]
    finding = by_sound(runs)
    assert (finding.predicate, finding.num_seeds) == ("finds more than", 3)
    assert finding.over_seeds is not None and finding.over_videos is not None
    assert finding.over_seeds.interval.value == pytest.approx(finding.over_videos.interval.value)
    assert by_sound([dataclasses.replace(r, seed=2 - r.seed) for r in runs]).predicate == (
        "finds more than"
    )


def test_what_another_seed_would_turn_is_not_called_more() -> None:
    shares = {"fac": (0.9, 0.9, 0.2), "shared": (0.4, 0.3, 0.5)}
    runs = [run(space, found(s), n) for space, many in shares.items() for n, s in enumerate(many)]
    finding = by_sound(runs)
    assert finding.over_videos is not None and finding.over_videos.verdict == "told apart"
    assert finding.predicate == "cannot be told from"


def test_equal_and_worse_arrangements_are_called_so() -> None:
    same = by_sound([run("fac", found(0.5)), run("shared", found(0.5))])
    assert (same.predicate, same.over_seeds) == ("cannot be told from", None)
    assert "another seed may change it" in same.measured
    worse = by_sound([run("fac", BY_CHANCE), run("shared", found(0.9))])
    assert (worse.first, worse.predicate) == ("mmv-fac AV_T", "finds less than")


def test_what_one_arrangement_cannot_compare_is_said_and_not_measured(tmp_path: Path) -> None:
    runs = [run("disjoint", found(0.5)), run("fac", found(0.5))]
    told = {finding.way: (finding.predicate, finding.measured) for finding in space_findings(runs)}
    assert told["sentences with audio alone"] == ("can, unlike", "")
    assert told["sentences with video alone"][0] == "cannot be told from"
    markdown, html = (page.read_text() for page in write_report(content(*runs), tmp_path))
    line = r"- YouCook2, sentences with audio alone: mmv-fac AV\_T **can, unlike** mmv-disjoint AV"
    assert line in markdown
    for page in (markdown, html):
        assert "What the spaces change" in page and "another seed may change it" in page


def test_orders_controls_and_other_models_are_left_to_the_table_of_differences() -> None:
    runs = [
        run("fac", found(0.5)),
        run("shared", found(0.5), stage="AVT"),
        run("shared", BY_CHANCE, control="shuffled-captions"),
        results(),
    ]
    assert space_findings(runs) == []


def test_the_interval_over_seeds_is_students() -> None:
    interval = seed_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half_width = 2.7764 * np.sqrt(2.5) / np.sqrt(5)
    assert interval.value == 3.0
    assert [interval.low, interval.high] == pytest.approx([3 - half_width, 3 + half_width], 1e-4)
    with pytest.raises(ValueError, match="1 seed tells nothing of other seeds"):
        seed_interval(np.array([0.5]))
