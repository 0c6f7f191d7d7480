import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from mcn.evaluation.localization_results import CHANCE, LocalizationResults
from mcn.evaluation.results import RunResults
from mcn.evaluation.statistics import Interval
from mcn.report.differences import (
    Difference,
    DifferenceRow,
    DifferenceTable,
    direction_differences,
    localization_differences,
    retrieval_differences,
)
from mcn.report.localization import POOLED_RECALL, RECALL, localization_tables
from mcn.report.page import write_report
from mcn.report.terminal import (
    MOST_PAIRS,
    differences_text_table,
    pairs_text_table,
    steps_text_tables,
)
from tests.reports import BY_CHANCE, PERFECT, content, results

NUM_VIDEOS = 24


def with_steps(run: RunResults, found: Sequence[float]) -> RunResults:
    """A run that found so many of the steps of each video; there are two tasks."""
    part = LocalizationResults(
        title="CrossTask",
        num_without_features=3,
        num_missing={"t2va": 0, "t2v": 0, "t2a": 2},
        video_ids=tuple(f"v{k}" for k in range(NUM_VIDEOS)),
        tasks=tuple("ab"[k % 2] for k in range(NUM_VIDEOS)),
        num_present=tuple(4 if k < 12 else 2 for k in range(NUM_VIDEOS)),
        measured={
            "in order": {
                **dict.fromkeys(("t2va", "t2v", "t2a"), tuple(found)),
                CHANCE: (0.5,) * NUM_VIDEOS,
            }
        },
    )
    return dataclasses.replace(run, localization={"crosstask": part})


MANY = [3.0] * 12 + [1.0, 2.0] * 6
FEW = [0.0, 1.0, 0.0, 1.0] * 6


def test_every_two_orders_are_compared_and_each_with_its_own_control() -> None:
    runs = [
        results(),
        results(BY_CHANCE, stage="AVT"),
        results(BY_CHANCE, control="shuffled-captions"),
    ]
    rows = retrieval_differences(runs, "t2va").rows
    assert [(row.benchmark, row.first, row.second) for row in rows] == [
        (title, *pair)
        for title in ("YouCook2", "MSR-VTT")
        for pair in (("AV_T", "AVT"), ("AV_T", "AV_T, shuffled captions"))
    ]
    assert {row.verdict for row in rows} == {"told apart"}
    assert rows[0].cells["R@10"].text.startswith("+90.0 [+78.0, ")


def test_seeds_of_one_order_are_compared_as_their_mean() -> None:
    runs = [results(PERFECT), results(BY_CHANCE, seed=1), results(BY_CHANCE, stage="AVT")]
    (row, _) = retrieval_differences(runs, "t2va").rows
    assert row.cells["R@10"].interval.value == pytest.approx((1.0 + 0.1) / 2 - 0.1)


def test_orders_that_find_the_same_are_not_told_apart() -> None:
    runs = [results(BY_CHANCE), results(BY_CHANCE, stage="AVT")]
    assert {row.verdict for row in retrieval_differences(runs, "t2va").rows} == {"not told apart"}


def test_one_order_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    assert retrieval_differences([results(), results(seed=1)], "t2va").rows == ()
    for page in write_report(content(results()), tmp_path):
        assert "Which orders differ" not in page.read_text()


def test_recall_in_both_definitions_by_hand() -> None:
    (table,) = localization_tables([with_steps(results(), MANY)], ["t2va"])
    assert table.columns == (RECALL, POOLED_RECALL)
    cells = table.rows[0].cells
    # task a: six videos with 3 of 4, six with 1 of 2; task b: six with 3 of 4, six with 2 of 2
    assert cells[RECALL].interval.value == pytest.approx(
        ((3 / 4 + 1 / 2) / 2 + (3 / 4 + 1) / 2) / 2
    )
    pooled = ((6 * 3 + 6 * 1) / (6 * 4 + 6 * 2) + (6 * 3 + 6 * 2) / (6 * 4 + 6 * 2)) / 2
    assert cells[POOLED_RECALL].interval.value == pytest.approx(pooled)
    assert cells[RECALL].verdict == "above chance"
    assert table.chance[RECALL] == f"{100 * (0.5 / 4 + 0.5 / 2) / 2:.1f}"


def test_what_random_steps_find_too_cannot_be_told_from_chance() -> None:
    found = np.random.default_rng(0).binomial(1, 0.5, size=NUM_VIDEOS).astype(float).tolist()
    (table,) = localization_tables([with_steps(results(), found)], ["t2va"])
    assert table.rows[0].cells[RECALL].verdict == "not told from chance"


def test_seeds_have_their_mean_and_their_range() -> None:
    runs = [with_steps(results(), MANY), with_steps(results(seed=1), [0.0] * NUM_VIDEOS)]
    (table,) = localization_tables(runs, ["t2va"])
    (row,) = table.rows
    assert (row.num_seeds, row.cells[RECALL].seeds) == (2, "0.0 to 75.0")
    assert row.cells[RECALL].interval.value == pytest.approx(0.375)


def test_the_report_has_both_tables_of_differences(tmp_path: Path) -> None:
    runs = [
        with_steps(results(), MANY),
        with_steps(results(BY_CHANCE, stage="AVT"), FEW),
    ]
    (row,) = localization_differences(runs, "t2va").rows
    assert (row.first, row.second, row.verdict) == ("AV_T", "AVT", "told apart")
    markdown, html = (page.read_text() for page in write_report(content(*runs), tmp_path))
    for page in (markdown, html):
        assert "Which orders differ" in page and "Steps in videos: CrossTask" in page
        assert "3 annotated videos lack features" in page
    assert f"| CrossTask | AV\\_T | AVT | {row.cells[RECALL].text} | told apart |" in markdown
    assert "| YouCook2 | AV\\_T | AVT | +99.0 [" in markdown


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_steps_and_differences_whole(width: int) -> None:
    control = results(BY_CHANCE, control="shuffled-captions")
    runs = [with_steps(results(), MANY), with_steps(control, FEW)]
    console = Console(width=width, record=True, file=io.StringIO())
    for table in (*steps_text_tables(runs), differences_text_table(runs)):
        console.print(table)
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    for expected in ("steps in CrossTask", "75.0", "told apart", "MSR-VTT", "R@10 +90.0"):
        assert expected in text
    assert differences_text_table([results()]) is None


def test_remarks_tell_what_any_run_missed_and_not_the_first_alone() -> None:
    first, second = with_steps(results(stage="AVT"), FEW), with_steps(results(), MANY)
    part = first.localization["crosstask"]
    apart = dataclasses.replace(part, num_missing={"t2v": 0}, num_without_features=0)
    runs = [dataclasses.replace(first, localization={"crosstask": apart}), second, second]
    (table,) = localization_tables(runs, ["t2va", "t2v", "t2a"])
    assert table.remarks == (
        "CrossTask: 3 annotated videos lack features, and are left out.",
        "CrossTask, audio alone: 2 of 24 videos lack what is compared with, and none of their "
        "steps counts as found.",
    )


def test_orders_are_compared_in_every_direction_that_both_allow() -> None:
    apart = results(BY_CHANCE, stage="AVT")
    part = apart.benchmarks["youcook2"]
    queries = {key: part.queries[key] for key in ("v2t", "v2a")}
    part = dataclasses.replace(part, queries=queries)
    apart = dataclasses.replace(apart, benchmarks={"youcook2": part})
    (row,) = direction_differences([results(), apart], ["va2t", "v2t", "v2a"])
    assert (row.benchmark, row.first, row.second) == ("YouCook2", "AV_T", "AVT")
    assert set(row.cells) == {"v2t", "v2a"}
    whole = retrieval_differences([results(), apart], "v2t").rows[0].cells["R@10"]
    assert row.cells["v2t"] == whole


def test_runs_evaluated_on_different_videos_make_no_table() -> None:
    one, other = with_steps(results(), MANY), with_steps(results(seed=1), MANY)
    part = dataclasses.replace(other.localization["crosstask"], tasks=("a",) * NUM_VIDEOS)
    other = dataclasses.replace(other, localization={"crosstask": part})
    with pytest.raises(ValueError, match="different videos of crosstask"):
        localization_tables([one, other], ["t2va"])


def test_pairs_told_apart_come_first_and_of_many_a_terminal_shows_these_alone() -> None:
    def row(number: int, low: float) -> DifferenceRow:
        cells = {"top-1": Difference(interval=Interval(low + 0.1, low, low + 0.2))}
        return DifferenceRow(
            benchmark="UCF101", first=f"one{number}", second="other", cells=cells, judged_by="top-1"
        )

    rows = tuple(row(number, 0.05 if number == MOST_PAIRS else -0.1) for number in range(30))
    table = DifferenceTable(columns=("top-1",), rows=rows)
    assert table.told_apart_first[0] is rows[MOST_PAIRS]
    assert table.told_apart_first[1:3] == list(rows[:2])
    assert table.summary == "1 of 30 pairs told apart, which come first"
    assert [pairs.row_count for pairs in map(pairs_of, (rows, rows[:MOST_PAIRS]))] == [
        1,
        MOST_PAIRS,
    ]


def pairs_of(rows: tuple[DifferenceRow, ...]) -> Table:
    shown = pairs_text_table("differences", rows)
    assert shown is not None
    return shown
