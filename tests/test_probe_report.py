"""Tables of made-up probes: what stands beside what, and what is said of it."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcn.evaluation.differences import seed_interval
from mcn.probes import results
from mcn.probes.results import BenchmarkProbes, Part, ProbeResults
from mcn.report.page import write_report
from mcn.report.probe_orders import WITHOUT_MODEL
from mcn.report.probe_terminal import probe_text_tables
from mcn.report.probes import OVER_SEEDS, probe_differences, probe_report, probe_tables
from tests.reports import content

NUM_VIDEOS = 40


def probed(
    model: str = "mcn", *, share: float = 0.5, seed: int = 0, title: str = "UCF101", **changed: Any
) -> ProbeResults:
    """One split, of which the first videos are right; `changed` is of its part."""
    right = round(share * NUM_VIDEOS)
    part = Part(
        way="frozen",
        looks_at="video",
        split=0,
        data="features",
        settings={"folds": 3},
        ranks=(0,) * right + (1,) * (NUM_VIDEOS - right),
        missing={},
        num_left_out=0,
        num_untaught=0,
        chosen={},
    )
    side = results.TestSide(
        video_ids=tuple(f"video{k}" for k in range(NUM_VIDEOS)),
        groups=tuple(f"film{k // 2}" for k in range(NUM_VIDEOS)),
        chance=(0.1, 0.5),
    )
    benchmark = BenchmarkProbes(
        title=title,
        num_classes=10,
        splits=(side,),
        parts=(dataclasses.replace(part, **changed),),
        skipped={},
    )
    return ProbeResults(
        run=f"{model}-{seed}",
        model=model,
        stage="alone" if model == WITHOUT_MODEL else "AVT",
        seed=seed,
        control="none",
        checkpoint_sha256="",
        benchmarks={"ucf101": benchmark},
    )


@pytest.mark.parametrize("changed", [{"settings": {"folds": 2}}, {"data": "other features"}])
def test_only_what_was_probed_alike_is_pooled_and_compared(changed: dict[str, Any]) -> None:
    runs = [
        probed(),
        probed("mmv-fac", share=0.8),
        probed(seed=1, share=0.9, **changed),
        probed("xdc", **changed),
        probed("other"),
        probed(WITHOUT_MODEL, share=0.2),
    ]
    (table,) = probe_tables(runs)
    values = {row.label: row.cells["top-1"].interval.value for row in table.rows}
    assert values["AVT"] == 0.5
    assert values["AVT (probed otherwise)"] == 0.9
    assert values["features alone"] == 0.2
    pairs = {(row.first, row.second) for row in probe_differences(runs).rows}
    assert ("AVT", "mmv-fac AVT") in pairs
    assert ("AVT", "features alone") in pairs
    assert ("AVT (probed otherwise)", "xdc AVT (probed otherwise)") in pairs
    assert not any(("otherwise" in first) != ("otherwise" in second) for first, second in pairs)
    assert "AVT (probed otherwise), xdc AVT (probed otherwise): with other" in table.remarks[0]


def test_features_stand_only_beside_runs_that_were_probed_on_them() -> None:
    runs = [probed(), probed(WITHOUT_MODEL, data="other features")]
    (table,) = probe_tables(runs)
    assert [row.label for row in table.rows] == ["AVT"]
    assert "features alone are left out" in table.remarks[0]
    (alone,) = probe_tables(runs[1:])
    assert [row.label for row in alone.rows] == ["features alone"]
    assert not alone.remarks


def test_several_seeds_have_students_interval_over_them(tmp_path: Path) -> None:
    shares = (0.6, 0.7, 0.8)
    runs = [
        *(probed(seed=seed, share=share) for seed, share in enumerate(shares)),
        *(probed("mmv-fac", seed=seed, share=0.5) for seed in range(2)),
        probed(WITHOUT_MODEL, share=0.2),
    ]
    (table,) = probe_tables(runs)
    known = seed_interval(np.array(shares))
    found = table.rows[0].over_seeds["top-1"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (known.value, known.low, known.high)
    )
    cells = {(row.first, row.second): row.cells for row in probe_differences(runs).rows}
    common = cells["AVT", "mmv-fac AVT"][OVER_SEEDS].interval
    assert common == seed_interval(np.array([0.6 - 0.5, 0.7 - 0.5]))
    over_features = cells["AVT", "features alone"][OVER_SEEDS].interval
    assert over_features.value == pytest.approx(0.5)
    assert not probe_tables(runs[-1:])[0].rows[0].over_seeds
    *pages, _ = write_report(dataclasses.replace(content(), probes=probe_report(runs)), tmp_path)
    low, high = (f"{100 * end:.1f}" for end in (known.low, known.high))
    for page in pages:
        text = page.read_text()
        assert f"mean 70.0 [{low}, {high}]" in text
        assert OVER_SEEDS in text


def test_titles_of_a_users_benchmark_are_no_markup() -> None:
    (table,) = probe_text_tables(probe_report([probed(title="my [clips]")]))
    assert "my [clips]" in str(table.title)
