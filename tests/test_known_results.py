"""Which written results stand in a report that did not ask for them."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from jobs.known_results import results_that_agree
from mcn.evaluation.results import RunResults
from mcn.report.measure import build_table
from mcn.sha256 import file_sha256
from mcn.training.run_folder import RunFolder
from tests.reports import benchmark, results


def written(folder: Path, found: RunResults) -> RunFolder:
    run = RunFolder(folder / found.run)
    run.final.parent.mkdir(parents=True)
    run.final.write_text(found.run)
    train = {"stage": found.stage, "seed": found.seed}
    run.config.write_text(yaml.safe_dump({"train": train}))
    found = dataclasses.replace(found, checkpoint_sha256=file_sha256(run.final))
    (run.path / "results.json").write_text(json.dumps(dataclasses.asdict(found)))
    return run


def test_stale_results_are_left_out_with_a_line_and_the_others_make_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = [
        dataclasses.replace(results(seed=seed), run=f"run{seed}", localization={})
        for seed in range(2)
    ]
    parts = dict(sound[0].benchmarks)
    other = dataclasses.replace(sound[0], run="other", seed=2)
    of_others = {
        key: dataclasses.replace(part, video_ids=tuple(f"new-{v}" for v in part.video_ids))
        for key, part in parts.items()
    }
    other = dataclasses.replace(other, benchmarks={**of_others, "more": benchmark((0, 1, 2, 3))})
    fewer = dataclasses.replace(sound[0], run="fewer", seed=3, missing_audio="leave-out")
    runs = [written(tmp_path, found) for found in (other, *sound, fewer)]
    found = results_that_agree(runs, "miss")
    assert [set(one.benchmarks) for one in found] == [{"more"}, set(parts), set(parts), set()]
    printed = capsys.readouterr().out
    assert "other: its results on" in printed
    assert "fewer: its retrieval is left out" in printed
    assert build_table(found, ["t2va"]).rows
