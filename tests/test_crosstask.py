from pathlib import Path

import numpy as np
import pytest

from mcn.data.crosstask import (
    StepSpan,
    Task,
    mark_seconds,
    read_annotations,
    read_spans,
    read_tasks,
    read_videos,
)

TASKS = """\
23521
Make Jello Shots
http://www.wikihow.com/Make-Jello-Shots
3
pour water,pour juice,stir mixture

59684
Build Simple Floating Shelves

2
cut shelve,attach shelve
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [TASKS, TASKS.replace("\n", "\r\n"), "\n" + TASKS + "\n\n"])
def test_tasks_are_read_with_their_steps_in_order(tmp_path: Path, text: str) -> None:
    assert read_tasks(write(tmp_path / "tasks_primary.txt", text)) == {
        "23521": Task("Make Jello Shots", ("pour water", "pour juice", "stir mixture")),
        "59684": Task("Build Simple Floating Shelves", ("cut shelve", "attach shelve")),
    }


@pytest.mark.parametrize(
    "text, message",
    [
        (TASKS.rsplit("\n", 2)[0], "line 7: the task that begins here has not 5 lines"),
        (TASKS.replace("\n3\n", "\n4\n"), "line 1: task 23521 has 3 steps, and not '4'"),
        (TASKS + "\n" + TASKS, "line 13: task 23521 is there twice"),
    ],
)
def test_a_task_that_is_not_right_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"tasks\.txt, {message}"):
        read_tasks(write(tmp_path / "tasks.txt", text))


def test_videos_are_read_with_their_tasks(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    text = "23521,-abc_DEF123,https://www.youtube.com/watch?v=-abc_DEF123\n59684,x,u\n"
    assert read_videos(write(path, text)) == [("23521", "-abc_DEF123"), ("59684", "x")]
    with pytest.raises(ValueError, match=r"videos\.csv, line 1: '23521,x' is not task,video,url"):
        read_videos(write(path, "23521,x\n"))
    with pytest.raises(ValueError, match=r"line 1: video id '\.\./x' holds a /"):
        read_videos(write(path, "23521,../x,u\n"))


def test_steps_are_counted_from_zero_and_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "23521__uAZw6L_R5g.csv", "1,33.54,39.94\n3,71.82,75.46\n3,5,6.0\n")
    assert read_spans(path, num_steps=3) == [
        StepSpan(0, 33.54, 39.94),
        StepSpan(2, 71.82, 75.46),
        StepSpan(2, 5.0, 6.0),
    ]


@pytest.mark.parametrize(
    "row", ["0,1,2", "4,1,2", "1,2,1", "1,-1,2", "1,nan,2", "1,1,inf", "one,1,2", "1.5,1,2"]
)
def test_a_span_that_is_none_is_named(tmp_path: Path, row: str) -> None:
    path = write(tmp_path / "a.csv", f"1,0,1\n{row}\n")
    with pytest.raises(ValueError, match=rf"a\.csv, line 2: '{row}' is no step from 1 to 3"):
        read_spans(path, num_steps=3)
    with pytest.raises(ValueError, match="line 1: '1,2' is not step,start,end"):
        read_spans(write(path, "1,2\n"), num_steps=3)


def test_begun_seconds_count_in_full_and_the_end_of_the_video_cuts_off() -> None:
    spans = [StepSpan(0, 1.2, 2.1), StepSpan(1, 2.0, 3.0), StepSpan(0, 4.9, 9.0)]
    marked = mark_seconds(spans, num_seconds=6, num_steps=3)
    expected = np.zeros((6, 3), dtype=bool)
    expected[[1, 2, 4, 5], 0] = True
    expected[2, 1] = True
    assert np.array_equal(marked, expected)


def test_annotations_are_found_by_task_whatever_the_id_of_the_video(tmp_path: Path) -> None:
    tasks = read_tasks(write(tmp_path / "tasks.txt", TASKS))
    for name in ("23521__uAZw6L_R5g", "59684_-tCQ4tCQdWE", "99999_other"):
        write(tmp_path / f"{name}.csv", "1,0,1\n")
    annotations = read_annotations(tmp_path, tasks)
    span = [StepSpan(0, 0.0, 1.0)]
    assert annotations == {("23521", "_uAZw6L_R5g"): span, ("59684", "-tCQ4tCQdWE"): span}
    with pytest.raises(FileNotFoundError, match=r"has no <task id>_<video id>\.csv of the 1 tasks"):
        read_annotations(tmp_path, {"1": Task("", ("a",))})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tasks.txt"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"tasks\.txt is no text in UTF-8"):
        read_tasks(path)
