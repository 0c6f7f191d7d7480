import hashlib
import json
import math
from pathlib import Path

import pytest

from mcn.data.benchmarks import BenchmarkClip, read_msrvtt, read_youcook2
from mcn.root import REPOSITORY

REAL = REPOSITORY.parent / "shared" / "data"

YOUCOOK2 = """\
end,start,task,text,video_id
60,47,226,pick the ends off the beans,xHr8X2Wpmno
89.5,67,226,"combine salt, oil and lemon",xHr8X2Wpmno
12,5,101,pick the ends off the beans,-Ab_cdefghi
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_youcook2_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    clips = read_youcook2(write(tmp_path / "a.csv", YOUCOOK2))
    assert clips == [
        BenchmarkClip("xHr8X2Wpmno", 47.0, 60.0, "pick the ends off the beans"),
        BenchmarkClip("xHr8X2Wpmno", 67.0, 89.5, "combine salt, oil and lemon"),
        BenchmarkClip("-Ab_cdefghi", 5.0, 12.0, "pick the ends off the beans"),
    ]
    other_order = "video_id,text,start,end\nxHr8X2Wpmno,pick the ends off the beans,47,60\n"
    assert read_youcook2(write(tmp_path / "b.csv", other_order)) == clips[:1]


def test_a_clip_is_the_tuple_of_its_parts(tmp_path: Path) -> None:
    clip, *_ = read_youcook2(write(tmp_path / "a.csv", YOUCOOK2))
    video_id, start_seconds, end_seconds, text = clip
    assert (video_id, start_seconds, end_seconds) == ("xHr8X2Wpmno", 47.0, 60.0)
    assert text == clip.text == "pick the ends off the beans"
    assert clip._fields == ("video_id", "start_seconds", "end_seconds", "text")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_msrvtt_is_read_with_either_delimiter(tmp_path: Path, delimiter: str) -> None:
    header = delimiter.join(["key", "vid_key", "video_id", "sentence"])
    row = delimiter.join(["ret0", "msr9770", "video9770", '"a man, or so; talks"'])
    clips = read_msrvtt(write(tmp_path / "a.csv", f"{header}\r\n{row}\r\n"))
    assert clips == [BenchmarkClip("video9770", 0.0, math.inf, "a man, or so; talks")]


def test_msrvtt_of_the_official_json_is_whole_videos_too(tmp_path: Path) -> None:
    content = {
        "videos": [{"video_id": "video0", "start time": 137.72, "end time": 149.44}],
        "sentences": [
            {"video_id": "video0", "caption": "a car drives", "sen_id": 0},
            {"video_id": "video0", "caption": "a car is shown", "sen_id": 1},
        ],
    }
    clips = read_msrvtt(write(tmp_path / "videodatainfo.json", json.dumps(content)))
    assert clips == [
        BenchmarkClip("video0", 0.0, math.inf, "a car drives"),
        BenchmarkClip("video0", 0.0, math.inf, "a car is shown"),
    ]


@pytest.mark.parametrize(
    "row, message",
    [
        ("60,60,1,stir,abc", "line 2: a clip from '60' to '60' seconds"),
        ("60,-1,1,stir,abc", "from '-1'"),
        ("inf,0,1,stir,abc", "to 'inf'"),
        (",0,1,stir,abc", "to ''"),
        ("9,0,1,stir,../abc", r"line 2: video id '\.\./abc' holds a /"),
        ("9,0,1,stir,", "video id '' is empty"),
        ("9,0,1,stir", "line 2: 4 fields instead of 5"),
    ],
)
def test_a_row_that_is_no_clip_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path / "youcook.csv", f"end,start,task,text,video_id\n{row}\n")
    with pytest.raises(ValueError, match=rf"youcook\.csv.*{message}"):
        read_youcook2(path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"sentences": [{"video_id": "a"}]}', '{"sen'])
def test_another_json_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"other\.json is not MSR-VTT's"):
        read_msrvtt(write(tmp_path / "other.json", content))


def test_an_annotation_of_another_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.csv has no column sentence"):
        read_msrvtt(write(tmp_path / "a.csv", YOUCOOK2))


def real_file(name: str, md5: str) -> Path:
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand")
    assert hashlib.md5(path.read_bytes()).hexdigest() == md5
    return path


def test_the_real_youcook2_has_its_published_clips() -> None:
    clips = read_youcook2(real_file("validation_youcook.csv", "1670eb1c6c67a5e3053914b461007f37"))
    assert len(clips) == 3350
    assert len({clip.video_id for clip in clips}) == 436
    assert len({clip.text for clip in clips}) == 3273
    lengths = [clip.end_seconds - clip.start_seconds for clip in clips]
    assert (min(lengths), max(lengths)) == (1, 199)
    assert sum(lengths) / len(lengths) == pytest.approx(19.7, abs=0.05)


def test_the_real_msrvtt_test_set_has_its_published_clips() -> None:
    clips = read_msrvtt(real_file("msrvtt_test.csv", "612aec578f1324a550ecc552b3bdbf6c"))
    assert len(clips) == len({clip.video_id for clip in clips}) == 1000
    assert clips[0] == BenchmarkClip(
        "video9770", 0.0, math.inf, "a person is connecting something to system"
    )
