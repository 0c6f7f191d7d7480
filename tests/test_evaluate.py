import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from jobs import evaluate
from mcn.data.batches import ClipRows
from mcn.data.clip_reader import ClipReader
from mcn.data.stores import open_stores
from mcn.evaluation.localization import StepCount, recall_of_tasks, recall_of_videos
from mcn.evaluation.results import MissingAudio, RunResults, read_results
from mcn.evaluation.seconds import count_seconds, read_seconds
from mcn.evaluation.step_videos import IN_ORDER, IOD_STEPS, IOU, IOU_STEPS
from mcn.evaluation.zero_shot import load_model, words_of_lines
from mcn.models.mcn import Mcn, TextEncoder, VideoEncoder
from mcn.report.localization import POOLED_RECALL, RECALL, localization_tables
from mcn.training.checkpoint import load_checkpoint
from mcn.training.run_folder import RunFolder
from tests.probe_files import write_ucf101
from tests.step_corpus import (
    AUDIO_RATE,
    NUM_SECONDS,
    SILENT,
    STEPS,
    train_toy,
    write_crosstask,
    write_mining_youtube,
    write_youcook2,
)
from tests.stores import FEATURES, WORDS_PER_CLIP


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    train_toy(root)
    write_crosstask(root / "benchmarks" / "crosstask")
    write_mining_youtube(root / "benchmarks" / "miningyoutube")
    write_youcook2(root / "benchmarks" / "youcook2")
    write_ucf101(root / "benchmarks" / "ucf101")  # which has classes and no captions
    return root


def run_evaluate(
    root: Path, missing_audio: MissingAudio = "miss", runs: tuple[str, ...] = ()
) -> RunResults:
    asked = evaluate.Arguments(
        root=root,
        features=FEATURES,
        missing_audio=missing_audio,
        runs=runs,
        report=root / f"report-{missing_audio}",
    )
    evaluate.main(asked)
    return read_results(results_file(root))


def results_file(root: Path) -> Path:
    return root / "runs" / "AVT-seed0" / "results.json"


@pytest.fixture(scope="module")
def output() -> io.StringIO:
    """What the command printed that made `results`."""
    return io.StringIO()


@pytest.fixture(scope="module")
def results(root: Path, output: io.StringIO) -> RunResults:
    with contextlib.redirect_stdout(output):
        return run_evaluate(root)


@pytest.fixture(scope="module")
def left_out(root: Path, results: RunResults) -> RunResults:
    """The same with clips without audio left out: made anew, although there were results.

    A run that is not trained is named as well, which is an error once the others are shown.
    """
    with pytest.raises(FileNotFoundError, match=r"^AVT-seed1: not trained, and the report is"):
        run_evaluate(root, "leave-out", ("AVT-seed0", "AVT-seed1"))
    return read_results(results_file(root))


def test_a_report_is_there_although_a_run_that_was_named_is_not_trained(
    root: Path, left_out: RunResults
) -> None:
    assert left_out.missing_audio == "leave-out"
    assert "AVT" in (root / "report-leave-out" / "report.md").read_text()


def mean(values: tuple[float | None, ...]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def test_planted_steps_of_crosstask_are_found_far_above_chance(results: RunResults) -> None:
    part = results.localization["crosstask"]
    found = part.measured[IN_ORDER]
    assert len(part.video_ids) == 10
    assert mean(found["t2v"]) > 0.75 * np.mean(part.num_present)
    assert mean(found["chance"]) < 0.35 * np.mean(part.num_present)
    (table, _) = localization_tables([results], ["t2v"])
    assert table.rows[0].cells[RECALL].verdict == "above chance"


def test_planted_actions_of_mining_youtube_are_laid_out_as_they_are(results: RunResults) -> None:
    measured = results.localization["miningyoutube"].measured
    assert mean(measured[IOU]["t2v"]) > 0.9 > mean(measured[IOU]["chance"])
    assert mean(measured[IOU_STEPS]["t2v"]) > 0.9
    assert mean(measured[IOD_STEPS]["t2v"]) > 0.9


def test_recall_is_that_of_a_plain_loop_over_seconds_and_steps(
    root: Path, results: RunResults
) -> None:
    """Embeds one second and one step at a time, and aligns them by the textbook."""
    folder = root / "benchmarks" / "crosstask"
    stores = open_stores(folder / "store", FEATURES)
    model = load_model(load_checkpoint(RunFolder(root / "runs" / "AVT-seed0").final))
    assert isinstance(model, Mcn)
    counts: dict[str, list[StepCount]] = {task: [] for task in STEPS}
    for path in sorted((folder / "annotations").glob("*.csv")):
        task, _, video_id = path.stem.partition("_")
        steps = [slow_step(model, ClipReader(stores), task, step) for step in range(STEPS[task])]
        rows = stores["video"].read(video_id).astype(np.float32)
        scores = [[slow_product(model, row, step) for step in steps] for row in rows]
        chosen = slow_alignment(scores)
        spans = [line.split(",") for line in path.read_text().split()]
        seen = {
            int(step) - 1: range(int(float(start)), -int(-float(end) // 1))
            for step, start, end in spans
        }
        right = sum(chosen[step] in seconds for step, seconds in seen.items())
        counts[task].append(StepCount(right, len(seen)))
    (table, _) = localization_tables([results], ["t2v"])
    cells = table.rows[0].cells
    assert cells[RECALL].interval.value == pytest.approx(recall_of_videos(counts))
    assert cells[POOLED_RECALL].interval.value == pytest.approx(recall_of_tasks(counts))


def slow_step(model: Mcn, reader: ClipReader, task: str, step: int) -> Tensor:
    (numbers,) = reader.caption_words(task, [(step, step + 1)], max_words=WORDS_PER_CLIP)
    vectors = reader.words.vectors()[numbers].astype(np.float32)
    words, encoder = torch.from_numpy(vectors), model.encoders["text"]
    assert isinstance(encoder, TextEncoder)
    with torch.inference_mode():
        standard = encoder.standardize(words[None])
        pooled = encoder.pool(standard, torch.ones(1, len(words), dtype=torch.bool))
        embedded: Tensor = encoder.gated(pooled)[0]
        unit: Tensor = embedded / embedded.norm()
    return unit


def slow_product(model: Mcn, row: np.ndarray, step: Tensor) -> float:
    encoder = model.encoders["video"]
    assert isinstance(encoder, VideoEncoder)
    with torch.inference_mode():
        embedded = encoder.gated(encoder.standardize(torch.from_numpy(row)[None]))[0]
        return float(embedded / embedded.norm() @ step)


def slow_alignment(scores: list[list[float]]) -> list[int]:
    """best[k][t]: the best total of steps up to k, with step k at second t."""
    num_seconds, num_steps = len(scores), len(scores[0])
    best: list[list[tuple[float, list[int]]]] = [[(scores[t][0], [t]) for t in range(num_seconds)]]
    for k in range(1, num_steps):
        row: list[tuple[float, list[int]]] = []
        for t in range(num_seconds):
            before = max(best[-1][:t], default=(float("-inf"), [-1] * k), key=lambda pair: pair[0])
            row.append((before[0] + scores[t][k], [*before[1], t]))
        best.append(row)
    return max(best[-1], key=lambda pair: pair[0])[1]


def test_a_second_has_its_own_picture_and_eight_seconds_of_sound(root: Path) -> None:
    stores = open_stores(root / "benchmarks" / "crosstask" / "store", FEATURES)
    reader = ClipReader(stores)
    video_id = "v1001_0"
    seconds = read_seconds(reader, video_id)
    assert count_seconds(reader, video_id) == len(seconds) == NUM_SECONDS
    assert isinstance(seconds.audio, ClipRows)
    rows = stores["audio"].read(video_id).astype(np.float32)
    for second in (0, 1, 10, 38, 39):
        video, audio = seconds.video.rows[second], seconds.audio.rows[second]
        assert seconds.video.has[second] and seconds.audio.has[second]
        assert np.array_equal(video, stores["video"].read(video_id)[second])
        first, stop = max(0, (second - 3.5) * AUDIO_RATE), (second + 4.5) * AUDIO_RATE
        np.testing.assert_allclose(audio, rows[int(first) : int(stop)].mean(axis=0), rtol=1e-5)


def test_a_silent_video_finds_nothing_by_sound_or_is_left_out_by_name(
    results: RunResults, left_out: RunResults
) -> None:
    part = results.localization["crosstask"]
    silent = part.video_ids.index(SILENT)
    found = part.measured[IN_ORDER]
    assert found["t2va"][silent] == found["t2a"][silent] == 0
    assert (found["t2v"][silent] or 0) > 0
    assert part.num_missing == {"t2va": 1, "t2v": 0, "t2a": 1}
    left = left_out.localization["crosstask"]
    assert left.num_without_features == 1 and SILENT not in left.video_ids


def test_every_sentence_of_the_annotation_is_asked_also_of_unknown_words(
    results: RunResults,
) -> None:
    part = results.benchmarks["youcook2"]
    assert part.num_queries == 12 * 3
    assert part.queries["t2v"].ranks[-3:] == (36, 36, 36)  # no word of them is known
    assert [example.text for example in part.examples][-1].startswith("cook11 does")


def test_clips_without_audio_are_missed_or_left_out_by_name(
    results: RunResults, left_out: RunResults
) -> None:
    missed = results.benchmarks["youcook2"]
    assert (missed.num_queries, missed.num_left_out) == (36, 0)
    silent = [k for k, video_id in enumerate(missed.video_ids) if video_id == "cook10"]
    assert all(missed.queries["t2va"].ranks[k] == 35 for k in silent)
    assert min(missed.queries["t2v"].ranks[k] for k in silent) < 35
    assert missed.queries["t2va"].num_missing == 3
    left = left_out.benchmarks["youcook2"]
    assert (left.num_queries, left.num_left_out) == (33, 3)
    assert "cook10" not in left.video_ids
    assert left.queries["t2va"].num_missing == 0
    for direction in ("t2va", "t2a"):  # among the others nothing changes: they had no such rivals
        kept = [
            rank
            for k, rank in enumerate(missed.queries[direction].ranks)
            if k not in silent and missed.video_ids[k] != "cook11"
        ]
        assert list(left.queries[direction].ranks[:-3]) == kept


def test_the_report_shows_both_benchmarks_of_steps(
    root: Path, results: RunResults, output: io.StringIO
) -> None:
    printed = output.getvalue()
    assert "steps in CrossTask" in printed and "steps in Mining YouTube" in printed
    for name in ("report.md", "report.html"):
        page = (root / "report-miss" / name).read_text()
        assert "Steps in videos: CrossTask" in page and "Steps in videos: Mining YouTube" in page
        assert "recall pooled within tasks" in page and "IoD without background" in page
        assert "1 of 10 videos lack what is compared with" in page


def test_results_of_an_earlier_version_or_of_fewer_benchmarks_are_made_again(
    root: Path, results: RunResults, capsys: pytest.CaptureFixture[str]
) -> None:
    values = dataclasses.asdict(results)
    del values["missing_audio"], values["localization"]
    del values["benchmarks"]["youcook2"]["num_left_out"]
    results_file(root).write_text(json.dumps(values))
    run = RunFolder(results_file(root).parent)
    assert not evaluate.is_evaluated(run)
    assert run_evaluate(root) == results
    assert "of an earlier version" in capsys.readouterr().out
    assert evaluate.is_evaluated(run)
    write_mining_youtube(root / "benchmarks" / "more", num_videos=3)
    assert set(run_evaluate(root).localization) == {"crosstask", "miningyoutube", "more"}
    shutil.rmtree(root / "benchmarks" / "more")


def test_steps_of_another_annotation_than_the_store_was_made_of_are_an_error(root: Path) -> None:
    folder = root / "benchmarks" / "miningyoutube" / "store"
    reader = ClipReader(open_stores(folder, FEATURES))
    assert len(words_of_lines(reader, "classes", 4, max_words=9)) == 4
    with pytest.raises(ValueError, match="has 4 sentences of classes, and the annotation 5"):
        words_of_lines(reader, "classes", 5, max_words=9)
    with pytest.raises(ValueError, match="has 0 sentences of others, and the annotation 5"):
        words_of_lines(reader, "others", 5, max_words=9)
