import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcn.data.manifest import Video, from_folder, from_howto100m, read_manifest, write_manifest
from mcn.data.rows import ROWS_AT_ONCE, read_fields

HOWTO100M = """\
video_id,category_1,category_2,rank,{task}
nVbIUDjzWY4,Cars & Other Vehicles,Motorcycles,27,52907
-CTWYgVPVNc,Food and Entertaining,"Drinks, hot",1,105222
nVbIUDjzWY4,Hobbies and Crafts,,3,9
gone_in2023,Food and Entertaining,Recipes,2,105222
"""


def raw_folder(root: Path, *names: str) -> Path:
    folder = root / "raw"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    videos = [
        Video("b", "raw/b.mp4", "Food, and more", 61.48, 1843),
        Video("-a"),
        Video('q"uote', 'raw/q"uote.webm', "", 0.1 + 0.2),
    ]
    path = tmp_path / "root" / "manifest.csv"
    write_manifest(path, videos)
    assert list(read_manifest(path)) == videos
    assert path.read_text().splitlines()[:3] == [
        "video_id,path,category,seconds,frames",
        'b,raw/b.mp4,"Food, and more",61.48,1843',
        "-a,,,,",
    ]
    assert list(path.parent.iterdir()) == [path]


def test_two_who_write_a_manifest_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"

    def videos() -> Iterator[Video]:
        yield Video("a")
        write_manifest(path, [Video("other")])  # by a process of another node with the same number
        yield Video("b")

    write_manifest(path, videos())
    assert list(read_manifest(path)) == [Video("a"), Video("b")]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("task", ["task_id", "task"])
def test_howto100m_gives_each_video_once_with_its_raw_file(tmp_path: Path, task: str) -> None:
    csv_path = tmp_path / "HowTo100M_v1.csv"
    csv_path.write_text(HOWTO100M.format(task=task))
    raw = raw_folder(tmp_path, "-CTWYgVPVNc.webm", "nVbIUDjzWY4.MP4", "unknown.mp4", "notes.txt")
    assert list(from_howto100m(csv_path, raw)) == [
        Video("nVbIUDjzWY4", "raw/nVbIUDjzWY4.MP4", "Cars & Other Vehicles"),
        Video("-CTWYgVPVNc", "raw/-CTWYgVPVNc.webm", "Food and Entertaining"),
        Video("gone_in2023", "", "Food and Entertaining"),
    ]


def test_before_the_download_no_video_has_a_file(tmp_path: Path) -> None:
    csv_path = tmp_path / "HowTo100M_v1.csv"
    csv_path.write_text(HOWTO100M.format(task="task_id"))
    videos = from_howto100m(csv_path, tmp_path / "raw")
    assert [video.path for video in videos] == [""] * 3


def test_a_folder_gives_its_videos_by_id_and_nothing_else(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "b.mkv", "-a.mp4", "c.mp4.part", "c.info.json", ".hidden")
    (raw / "folder.mp4").mkdir()
    os.mkfifo(raw / "fifo.mp4")
    assert from_folder(raw) == [Video("-a", "raw/-a.mp4"), Video("b", "raw/b.mkv")]


def test_of_two_files_with_one_id_the_first_by_name_is_taken(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "a.webm", "a.mp4", "a.mkv")
    assert from_folder(raw) == [Video("a", "raw/a.mkv")]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="raw is missing: put the videos there"):
        from_folder(tmp_path / "raw")


@pytest.mark.parametrize("video_id", ["", ".", "..", "../etc", "a/b", "a\0b", "a" * 201])
def test_an_id_that_is_no_file_name_is_refused_with_its_line(tmp_path: Path, video_id: str) -> None:
    howto100m, manifest = tmp_path / "HowTo100M_v1.csv", tmp_path / "manifest.csv"
    howto100m.write_text(f"video_id,category_1,task\nfine,Food,1\n{video_id},Food,1\n")
    with pytest.raises(ValueError, match=r"HowTo100M_v1\.csv, line 3: video id"):
        from_howto100m(howto100m, tmp_path / "raw")
    write_manifest(manifest, [Video("fine"), Video("fine too"), Video(video_id)])
    with pytest.raises(ValueError, match=r"manifest\.csv, line 4: video id"):
        read_manifest(manifest)


def test_files_whose_names_are_no_ids_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = raw_folder(tmp_path, "a.mp4", "._a.mp4", f"{'b' * 201}.mp4", ".hidden.mp4")
    Path(os.fsdecode(bytes(raw) + b"/\xff.mp4")).touch()
    assert [video.video_id for video in from_folder(raw)] == [".hidden", "a"]
    said = capsys.readouterr().err
    assert "2 files" in said and "has 201 bytes" in said and r"'\udcff' is not UTF-8" in said


@pytest.mark.parametrize("lines_end", ["\n", "\r\n"])
def test_odd_but_sound_rows_are_read_as_line_by_line(tmp_path: Path, lines_end: str) -> None:
    lines = ["\ufeffframes;note;path;seconds;category;video_id", "", '7;;raw/-a.mp4;0.5;"x;y";-a']
    many = [f";;;;{number};v{number}" for number in range(2 * ROWS_AT_ONCE)]
    lines += [*many, "", '30;"two', 'lines";;1e3;é;"q""uote"', ";;;;;ünicode"]
    path = tmp_path / "manifest.csv"
    path.write_text(lines_end.join(lines), encoding="utf-8", newline="")
    videos = list(read_manifest(path))
    assert [videos[0], *videos[-2:]] == [
        Video("-a", "raw/-a.mp4", "x;y", 0.5, 7),
        Video('q"uote', "", "é", 1000.0, 30),
        Video("ünicode"),
    ]
    assert [video.category for video in videos[1:-2]] == [str(n) for n in range(2 * ROWS_AT_ONCE)]
    assert [tuple(row) for _, row in read_fields(path, ("video_id", "category"))] == [
        (video.video_id, video.category) for video in videos
    ]


@pytest.mark.parametrize(
    "rows, message",
    [
        ("a,,,,\na,,,,\n", "line 3: video 'a' is also in .*line 2"),
        ("a,,,soon,\n", "line 2: could not convert string to float: 'soon'"),
        ("a,,,1.5,2.5\n", "line 2: invalid literal"),
        ("a,raw/a.mp4\n", "line 2: 2 fields instead of 5"),
        ("a,,,,\n" + "b\n" * 2, "line 3: 1 fields instead of 5"),
        ("é,,,,\né,,,,\n", "line 3: video 'é' is also in .*line 2"),
    ],
)
def test_a_malformed_manifest_is_refused_with_its_line(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(f"video_id,path,category,seconds,frames\n{rows}")
    with pytest.raises(ValueError, match=rf"manifest\.csv.*{message}"):
        read_manifest(path)


def test_a_csv_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("video_path\na.mp4\n")
    with pytest.raises(ValueError, match="has no column video_id, path, category"):
        read_manifest(path)
