import dataclasses
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from mcn.evaluation.results import read_results
from mcn.report.measure import build_table
from mcn.report.terminal import directions_text_table, text_table
from mcn.report.verdicts import findings
from tests.reports import BY_CHANCE, NUM_CLIPS, PERFECT, benchmark, results


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(dataclasses.asdict(results())))
    assert read_results(path) == results()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmarks": {"youcook2": {}}}'])
def test_a_file_that_holds_no_results_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json cannot be read .* evaluate the run again"):
        read_results(path)


def test_results_with_a_rank_missing_are_refused(tmp_path: Path) -> None:
    values = json.loads(json.dumps(dataclasses.asdict(results())))
    values["benchmarks"]["msrvtt"]["queries"]["t2v"]["ranks"].pop()
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="'t2v': 99"):
        read_results(path)


def test_results_that_do_not_say_in_which_space_they_were_compared_are_refused(
    tmp_path: Path,
) -> None:
    values = json.loads(json.dumps(dataclasses.asdict(results())))
    del values["benchmarks"]["msrvtt"]["queries"]["t2v"]["space"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="'space'"):
        read_results(path)


def test_rows_stand_in_the_users_order_and_controls_last() -> None:
    runs = [
        results(control="shuffled-captions"),
        results(stage="AVT"),
        results(stage="VT_A"),
        results(stage="AT_V"),
        results(),
    ]
    labels = [row.label for row in build_table(runs, ["t2va"]).rows]
    assert labels == ["AV_T", "AT_V", "VT_A", "AVT", "AV_T, shuffled captions"]


def test_seeds_make_one_row_with_their_mean_and_range() -> None:
    table = build_table([results(PERFECT), results(BY_CHANCE, seed=1)], ["t2va"])
    (row,) = table.rows
    cell = row.cells["youcook2"]["R@10"]
    assert row.num_seeds == 2
    assert cell.interval.value == pytest.approx(0.55)
    assert cell.seed_range == pytest.approx((0.1, 1.0))
    assert cell.seeds == "10.0 to 100.0"


def test_the_best_of_a_column_is_no_control() -> None:
    control = results(PERFECT, control="shuffled-captions")
    table = build_table(
        [results([3] * NUM_CLIPS), results([7] * NUM_CLIPS, seed=0, stage="AVT"), control], ["t2va"]
    )
    head = table.benchmarks[0]
    is_best = {
        row.label: [table.is_best(row.cells[head.key][metric], head) for metric in ("R@5", "MedR")]
        for row in table.rows
        if not row.is_control
    }
    assert is_best == {"AV_T": [True, True], "AVT": [False, False]}


def test_a_small_median_rank_lies_above_chance_and_a_large_one_below() -> None:
    def verdict(ranks: Sequence[int]) -> str:
        (row,) = build_table([results(ranks)], ["t2va"]).rows
        return row.cells["msrvtt"]["MedR"].verdict

    assert verdict([3] * NUM_CLIPS) == "above chance"
    assert verdict([90] * NUM_CLIPS) == "below chance"
    assert verdict(BY_CHANCE) == "not told from chance"


def test_runs_evaluated_on_different_clips_make_no_table() -> None:
    other = dataclasses.replace(results(seed=1), benchmarks={"youcook2": benchmark(PERFECT[:50])})
    with pytest.raises(ValueError, match="different clips of youcook2"):
        build_table([results(), other], ["t2va"])


USERS_MSRVTT = {"AV_T": (0.18, 0.92, 1.63), "AT_V": (0.14, 0.61, 1.35), "VT_A": (0.14, 0.54, 1.14)}
"""R@1, R@5 and R@10 in percent, among 1,000 sentences."""


def ranks_with(percent: tuple[float, float, float], rounded: Callable[[float], int]) -> list[int]:
    """Ranks of 1,000 queries with these recalls: the shares are those of no whole number."""
    at_1, at_5, at_10 = (rounded(10 * value) for value in percent)
    return [0] * at_1 + [4] * (at_5 - at_1) + [9] * (at_10 - at_5) + [500] * (1000 - at_10)


@pytest.mark.parametrize("rounded", [math.floor, math.ceil])
def test_the_users_msrvtt_column_cannot_be_told_from_chance(
    rounded: Callable[[float], int],
) -> None:
    runs = []
    for stage, percent in USERS_MSRVTT.items():
        part = benchmark(ranks_with(percent, rounded), title="MSR-VTT")
        part = dataclasses.replace(part, video_ids=tuple(f"video{k}" for k in range(1000)))
        runs.append(dataclasses.replace(results(stage=stage), benchmarks={"msrvtt": part}))
    table = build_table(runs, ["t2va"])
    assert table.benchmarks[0].chance == {
        "R@1": "0.10",
        "R@5": "0.50",
        "R@10": "1.00",
        "MedR": "500.5",
    }
    for row in table.rows:
        for metric in ("R@1", "R@5", "R@10"):
            assert row.cells["msrvtt"][metric].verdict == "not told from chance"
    assert [(found.who, found.predicate) for found in findings(table)] == [
        (stage, "cannot be told from chance") for stage in USERS_MSRVTT
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_the_terminal_whole(width: int) -> None:
    runs = [results(), results(BY_CHANCE, control="shuffled-captions")]
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(text_table(runs))
    console.print(directions_text_table(runs))
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for expected in (
        "YouCook2",
        "MSR-VTT",
        "100.0",
        "10.0\N{DAGGER}",
        "50.5",
        "chance among",
        "va2t",
    ):
        assert expected in text
