"""From a checkpoint of MMV to the report: steps in videos, in every way that the spaces allow."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs import evaluate
from mcn.data.stores import open_stores
from mcn.evaluation.directions import DIRECTIONS
from mcn.evaluation.results import RunResults, read_results
from mcn.evaluation.step_videos import IN_ORDER
from mcn.modality import MmvSpace
from mcn.report.differences import localization_differences, retrieval_differences
from mcn.training.config import Runtime
from mcn.training.loop import train
from mcn.training.run_folder import RunFolder
from tests.step_corpus import write_crosstask, write_youcook2
from tests.stores import FEATURES, write_stores
from tests.test_mmv import CONFIG

EVALUATED: tuple[MmvSpace, ...] = ("fac", "disjoint")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    write_stores(root / "store", num_videos=32)
    write_crosstask(root / "benchmarks" / "crosstask")
    write_youcook2(root / "benchmarks" / "youcook2")
    stores = open_stores(root / "store", FEATURES)
    for space in EVALUATED:
        config = replace(CONFIG, space=space)
        train(config, Runtime(), stores, RunFolder(root / "runs" / config.name))
    return root


@pytest.fixture(scope="module")
def printed(root: Path) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        evaluate.main(evaluate.Arguments(root=root, features=FEATURES))
    return output.getvalue()


@pytest.fixture(scope="module")
def results(root: Path, printed: str) -> list[RunResults]:
    names = [replace(CONFIG, space=space).name for space in EVALUATED]
    return [read_results(root / "runs" / name / "results.json") for name in names]


def test_results_say_which_model_they_are_of(results: list[RunResults]) -> None:
    assert [run.model for run in results] == ["mmv-fac", "mmv-disjoint"]


def test_planted_steps_are_found_far_above_chance(results: list[RunResults]) -> None:
    for run in results:
        part = run.localization["crosstask"]
        found = part.measured[IN_ORDER]
        assert np.mean([n for n in found["t2v"] if n is not None]) > 0.6 * np.mean(part.num_present)
        assert np.mean([n for n in found["chance"] if n is not None]) < 0.35 * np.mean(
            part.num_present
        )


def test_nothing_is_measured_where_the_spaces_compare_nothing(results: list[RunResults]) -> None:
    fac, disjoint = (run.localization["crosstask"].measured[IN_ORDER] for run in results)
    assert set(fac) == {"t2va", "t2v", "t2a", "chance"}
    assert set(disjoint) == {"t2v", "chance"}
    fine, apart = (run.benchmarks["youcook2"].queries for run in results)
    assert {key: queries.space for key, queries in fine.items()} == {
        **dict.fromkeys(DIRECTIONS, "coarse"),
        **dict.fromkeys(("v2a", "a2v"), "fine"),
    }
    assert {key: queries.space for key, queries in apart.items()} == {
        **dict.fromkeys(("t2v", "v2t"), "video-text"),
        **dict.fromkeys(("v2a", "a2v"), "video-audio"),
    }
    for differences in (retrieval_differences, localization_differences):
        assert differences(results, "t2va").rows == ()
        assert len(differences(results, "t2v").rows) == 1


def test_the_report_has_words_and_no_number_there(root: Path, printed: str) -> None:
    assert printed.count("mmv-disjoint AVT, video + audio: in no space with text") == 2
    report = (root / "report" / "report.md").read_text()
    for part in ("## What carries the result", "## Steps in videos"):
        rows = report.partition(part)[2].partition("\n## ")[0].splitlines()
        apart = [row for row in rows if row.startswith("| mmv-disjoint AVT |")]
        assert len(apart) == 3
        for row in apart:
            cells = set(row.strip("| ").split(" | ")[2:])
            assert (cells == {"-"}) == ("in no space with text" in row), row
    page = (root / "report" / "report.html").read_text()
    assert "audio alone: in no space with text" in page
    for text in (report, page):
        assert "mmv-disjoint: t2v and v2t in the space video-text; v2a and a2v in the" in text
        assert "mmv-disjoint-AVT-seed0 on YouCook2, by video alone" in text
        assert "mmv-fac-AVT-seed0 on YouCook2, by video + audio" in text
    others = report.partition("## Other directions")[2].partition("\n## ")[0].splitlines()
    apart = [row for row in others if row.startswith("| mmv-disjoint AVT |")]
    assert ["in no space with text" in row for row in apart] == [True, False, True, False, False]
    (difference,) = [row for row in others if row.startswith("| YouCook2 | mmv-disjoint AVT |")]
    assert [cell == "-" for cell in difference.strip("| ").split(" | ")[3:]] == [1, 0, 1, 0, 0]
