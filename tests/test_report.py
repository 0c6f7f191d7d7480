import base64
import dataclasses
import math
import re
from pathlib import Path

import pytest

from mcn.report.content import ReportContent, Run, SkippedVideo
from mcn.report.curves import draw_curves, stage_starts, thin_out
from mcn.report.examples import representatives
from mcn.report.page import escape_markdown, write_report
from mcn.report.terms import Fall, fall
from tests.reports import BY_CHANCE, JPEG, content, metrics, results


def written(report: ReportContent, folder: Path) -> tuple[str, str]:
    markdown, html = write_report(report, folder)
    assert (markdown.name, html.name) == ("report.md", "report.html")
    return markdown.read_text(), html.read_text()


def test_a_benchmark_that_a_run_lacks_leaves_its_cells_open(tmp_path: Path) -> None:
    partial = results(stage="AVT")
    partial = dataclasses.replace(partial, benchmarks={"msrvtt": partial.benchmarks["msrvtt"]})
    markdown, _ = written(content(results(), partial), tmp_path)
    assert "| AVT (all three at once) | - | - | - | - | **100.0** [" in markdown


def test_verdicts_are_stated_as_measured(tmp_path: Path) -> None:
    for text in written(content(results(), results(BY_CHANCE, stage="AVT")), tmp_path):
        assert "R@10 lies above chance in 2 of 4 results." in text
        assert "10.0\N{DAGGER} [" in text or "10.0<sup>\N{DAGGER}</sup>" in text


def test_a_control_above_chance_is_not_hidden(tmp_path: Path) -> None:
    runs = [results(), results(control="shuffled-captions")]
    markdown, _ = written(content(*runs), tmp_path)
    assert "in 2 of 2 results of controls" in markdown
    assert (
        r"The control (AV\_T, shuffled captions) on MSR-VTT: R@10 **lies above chance**" in markdown
    )


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    _, html = written(content(results(), num_steps=20), tmp_path)
    assert "data:image/svg+xml" in html
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_pictures_have_alternative_texts(tmp_path: Path) -> None:
    _, html = written(content(results()), tmp_path)
    pictures = re.findall(r"<img[^>]*>", html)
    assert any(base64.b64encode(JPEG).decode() in picture for picture in pictures)
    assert all(re.search(r'alt="[^"]+"', picture) for picture in pictures)
    assert 'aria-label="No frame of found0"' in html


def test_what_files_say_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    attack = '<script>alert("x")</script> | *a* [b](c) $x_1$ {{ 7 * 7 }}\n# head'
    skipped = [SkippedVideo(video_id=attack, step="resize", reason="empty", detail=attack)]
    report = content(
        results(text=attack), title=attack, skipped=skipped, provenance={attack: {attack: attack}}
    )
    markdown, html = written(report, tmp_path)
    assert "<script" not in html
    assert not re.search(r"(?<!\\)<script", markdown)
    assert "49" not in re.sub(r"data:[^\"]*", "", html).split("<h2", 1)[0]
    assert all(attack.splitlines()[1] != line for line in markdown.splitlines())


def test_markdown_shows_text_as_it_is() -> None:
    assert escape_markdown("a_b|<i>\n#c") == r"a\_b\|\<i\> \#c"


def test_the_same_input_gives_the_same_bytes_and_untouched_files(tmp_path: Path) -> None:
    first, second = content(results(), num_steps=20), content(results(), num_steps=20)
    assert written(first, tmp_path / "a") == written(second, tmp_path / "b")
    before = [path.stat() for path in write_report(first, tmp_path / "a")]
    after = [path.stat() for path in write_report(second, tmp_path / "a")]
    assert [(s.st_ino, s.st_mtime_ns) for s in before] == [(s.st_ino, s.st_mtime_ns) for s in after]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.html", "report.md"]


def test_changed_input_changes_the_report(tmp_path: Path) -> None:
    before = written(content(results()), tmp_path)
    assert written(content(results(BY_CHANCE)), tmp_path) != before


@pytest.mark.parametrize(
    "weights, is_warned", [("random:0 (SHA-256 ab)", True), ("imagenet", False)]
)
def test_random_weights_are_announced(weights: str, is_warned: bool, tmp_path: Path) -> None:
    report = content(results(), provenance={"weights": {"video-resnet152": weights}})
    for text in written(report, tmp_path):
        assert ("RANDOM WEIGHTS" in text) == is_warned
        assert weights in text


def test_every_skipped_video_is_listed_and_counted(tmp_path: Path) -> None:
    skipped = [
        SkippedVideo(video_id=f"-id{i}", step="resize", reason="empty", detail=f"file {i} is empty")
        for i in range(3)
    ]
    markdown, html = written(content(results(), skipped=skipped), tmp_path)
    assert "- resize: 3 x empty" in markdown
    for skip in skipped:
        assert f"| {skip.video_id} | resize | empty | {skip.detail} |" in markdown
        assert f"<code>{skip.video_id}</code>" in html


def test_clips_without_input_are_told(tmp_path: Path) -> None:
    for text in written(content(results()), tmp_path):
        assert "YouCook2, audio alone: 7 of 100 clips lack what is compared with" in text


def test_what_is_asked_with_and_missing_is_told_once_for_all_directions(tmp_path: Path) -> None:
    run = results()
    part = run.benchmarks["youcook2"]
    queries = {
        key: dataclasses.replace(of_direction, num_unasked=5)
        if key in ("v2t", "v2a")
        else of_direction
        for key, of_direction in part.queries.items()
    }
    part = dataclasses.replace(part, queries=queries)
    run = dataclasses.replace(run, benchmarks={"youcook2": part})
    expected = (
        "YouCook2, sentences, by video (v2t); audio, by video (v2a): 5 of 100 clips lack what is "
        "asked with, or no word of it is known, and find nothing."
    )
    for text in written(content(run), tmp_path):
        assert text.count("what is asked with") == 1 and expected in text


def test_a_report_without_any_training_recorded_is_written(tmp_path: Path) -> None:
    assert "No run has recorded a step." in written(content(results()), tmp_path)[1]


def test_examples_go_from_the_best_over_the_median_to_the_worst() -> None:
    assert representatives([5, 0, 9, 3, 3]) == [1, 4, 2]
    assert representatives([4, 2]) == [1, 0]
    assert representatives([0, 0, 0, 0]) == [0, 2, 3]


def test_a_curve_is_thinned_out_by_averaging_neighbours() -> None:
    rows = [{"step": step, "loss": float(step % 2)} for step in range(400)]
    steps, values = thin_out(rows, "loss")
    assert steps[:2] == [0.5, 2.5]
    assert values == [0.5] * 200


def test_a_value_that_is_not_finite_leaves_a_gap_in_the_curve() -> None:
    rows = [{"step": step, "loss": [1.0, math.inf, math.nan][step]} for step in range(3)]
    _, values = thin_out(rows, "loss")
    assert [math.isnan(value) for value in values] == [False, True, True]


def test_stages_start_where_the_metrics_say() -> None:
    assert stage_starts(metrics(20)) == [10]


def test_curves_are_drawn_whatever_the_run_is_called() -> None:
    strange = dataclasses.replace(results(), run="$x^_ <b>")
    drawn = draw_curves([Run(results=strange, metrics=metrics(20))])
    assert drawn is not None
    assert base64.b64decode(drawn.partition(",")[2]).rstrip().endswith(b"</svg>")


def test_a_term_falls_from_its_first_epoch_to_its_last() -> None:
    assert fall(metrics(20), "loss") == Fall(first=9.8, last=8.3)
    assert fall(metrics(20), "loss/mms/audio-text") is None
