"""Annotations of UCF101, HMDB51 and ESC-50: who is whose test set, and what cannot be right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcn.data.labelled_videos import LabelledVideos
from mcn.data.probe_folder import has_labels, read_labels
from tests.probe_files import (
    ESC50_CLASSES,
    HMDB51_CLASSES,
    UCF101_CLASSES,
    write_esc50,
    write_hmdb51,
    write_ucf101,
)

WRITE: dict[str, Callable[[Path], None]] = {
    "ucf101": write_ucf101,
    "hmdb51": write_hmdb51,
    "esc50": write_esc50,
}


def read_after(folder: Path, name: str, file: str, old: str, new: str) -> LabelledVideos:
    """What is read of a benchmark in one of whose files `old` is `new`, the first time it comes."""
    WRITE[name](folder)
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return read_labels(folder)


@pytest.mark.parametrize("name", WRITE)
def test_every_clip_is_tested_once_and_trained_on_otherwise(tmp_path: Path, name: str) -> None:
    WRITE[name](tmp_path)
    labelled = read_labels(tmp_path)
    used = {video_id for split in labelled.splits for video_id in split.train + split.test}
    assert sorted(video for split in labelled.splits for video in split.test) == sorted(used)
    for split in labelled.splits:
        assert sorted(split.train + split.test) == sorted(used)
        groups_trained = {labelled.groups[video_id] for video_id in split.train}
        assert groups_trained.isdisjoint(labelled.groups[video_id] for video_id in split.test)


def test_ucf101s_clips_are_grouped_by_class_and_group(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    labelled = read_labels(tmp_path)
    assert labelled.classes == UCF101_CLASSES
    assert labelled.labels["v_Archery_g02_c01"] == 1
    assert labelled.groups["v_Archery_g02_c01"] == "Archery_g02"
    assert labelled.labels["v_HandStandPushups_g01_c02"] == 2
    assert len(set(labelled.groups.values())) == 9
    assert labelled.splits[1].test[:2] == ("v_ApplyEyeMakeup_g02_c01", "v_ApplyEyeMakeup_g02_c02")


def test_hmdb51s_clips_are_grouped_by_film_across_classes(tmp_path: Path) -> None:
    write_hmdb51(tmp_path)
    labelled = read_labels(tmp_path)
    assert labelled.classes == HMDB51_CLASSES
    clips = [v for v, film in labelled.groups.items() if film == "(Rad)Schlag_die_Bank!"]
    assert {labelled.labels[video_id] for video_id in clips} == {0, 1, 2}
    # The class is the last such word of a name, and climb_stairs is not climb.
    climb = "#20_Rhythm_clap_&_climb__climb_stairs_f_cm_np1_le_med_0"
    assert labelled.groups[climb] == "#20_Rhythm_clap_&_climb_"
    unused = "Look_At_Me_+_Interview_$HOME_climb_f_cm_np1_le_med_1"
    assert labelled.labels[unused] == 1
    assert all(unused not in split.train + split.test for split in labelled.splits)


def test_hmdb51_is_the_same_from_its_folder_and_from_the_csv(tmp_path: Path) -> None:
    write_hmdb51(tmp_path / "folder")
    write_hmdb51(tmp_path / "csv", as_csv=True)
    assert read_labels(tmp_path / "csv") == read_labels(tmp_path / "folder")


def test_esc50_is_judged_by_sound_and_the_others_by_pictures_first(tmp_path: Path) -> None:
    for name, write in WRITE.items():
        write(tmp_path / name)
    assert read_labels(tmp_path / "esc50").modalities == ("audio",)
    assert read_labels(tmp_path / "ucf101").modalities == ("video", "audio")
    assert read_labels(tmp_path / "hmdb51").modalities == ("video", "audio")


def test_esc50s_classes_come_in_the_order_of_their_targets(tmp_path: Path) -> None:
    write_esc50(tmp_path)
    labelled = read_labels(tmp_path)
    assert labelled.classes == ESC50_CLASSES
    assert labelled.labels["3-302-A-2"] == 2
    assert labelled.groups["3-302-A-2"] == "302"
    assert "3-302-A-2" in labelled.splits[2].test


def test_a_folder_without_an_annotation_says_which_are_known(tmp_path: Path) -> None:
    assert not has_labels(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"ucfTrainTestlist, testTrain.*meta/esc50.csv"):
        read_labels(tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ucf101", "ucfTrainTestlist/testlist03.txt"),
        ("ucf101", "ucfTrainTestlist/classInd.txt"),
        ("hmdb51", "testTrainMulti_7030_splits/climb_test_split2.txt"),
    ],
)
def test_a_missing_list_is_named(tmp_path: Path, name: str, file: str) -> None:
    WRITE[name](tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=Path(file).name):
        read_labels(tmp_path)


UCF = "ucfTrainTestlist"
HMDB = "testTrainMulti_7030_splits"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("ucf101", f"{UCF}/classInd.txt", "2 Archery", "3 Archery", "line 2: '3 Archery' is not 2"),
        ("ucf101", f"{UCF}/classInd.txt", "Archery", "ApplyEyeMakeup", "line 2: .*there twice"),
        ("ucf101", f"{UCF}/trainlist01.txt", "avi 1", "avi 2", "line 1: .*end in 1"),
        ("ucf101", f"{UCF}/trainlist02.txt", "avi 1", "avi", "line 1: .* is not CLASS/v_"),
        ("ucf101", f"{UCF}/trainlist01.txt", "Archery/", "Arch/", "line 5: 'Arch' is none of the"),
        ("ucf101", f"{UCF}/testlist01.txt", "g01_c02", "g02_c01", "g02_c01' is there again .*lin"),
        ("ucf101", f"{UCF}/testlist01.txt", "_c01", "", "line 1: .* is not CLASS/v_CLASS_g08"),
        ("hmdb51", f"{HMDB}/climb_test_split1.txt", " 2", " 3", "line 1: '3' is none of 0"),
        ("hmdb51", f"{HMDB}/climb_test_split1.txt", ".avi 2", "", "line 1: .* name of an .avi"),
        (
            "hmdb51",
            f"{HMDB}/climb_test_split2.txt",
            "climb_f",
            "cartwheel_f",
            "line 1: .*cartwheel_f_cm_np1_le_med_0' is there again in split 2",
        ),
        ("esc50", "meta/esc50.csv", ",1,0,dog", ",6,0,dog", "line 2: fold '6' is none of 1, 2"),
        ("esc50", "meta/esc50.csv", ",1,0,dog", ",1,x,dog", "line 2: target 'x' is not"),
        ("esc50", "meta/esc50.csv", ",1,0,dog", ",1,0,cat", "line 3: class 0 is 'dog' here, and"),
        ("esc50", "meta/esc50.csv", "1-100-B-0", "1-100-A-0", "line 3: video '1-100-A-0' is there"),
        ("esc50", "meta/esc50.csv", "src_file", "source", "has no column src_file"),
        ("esc50", "meta/esc50.csv", "1-100-A-0.wav", "", "line 2: video id '' is empty"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(
    tmp_path: Path, name: str, file: str, old: str, new: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        read_after(tmp_path, name, file, old, new)
    assert Path(file).name in str(raised.value)


def test_a_clip_cannot_be_of_two_classes(tmp_path: Path) -> None:
    write_hmdb51(tmp_path)
    splits = tmp_path / HMDB
    lines = (splits / "climb_test_split1.txt").read_text()
    (splits / "climb_test_split1.txt").write_text(lines + "x_climb_0.avi 1\n")
    with (splits / "cartwheel_test_split2.txt").open("a") as file:
        file.write("x_climb_0.avi 1\n")
    with pytest.raises(
        ValueError, match="'x_climb_0' is of class 'climb' here, and of 'cartwheel'"
    ):
        read_labels(tmp_path)


def test_a_split_with_nothing_to_test_is_refused(tmp_path: Path) -> None:
    write_ucf101(tmp_path)
    (tmp_path / UCF / "testlist02.txt").write_text("")
    with pytest.raises(ValueError, match="split 2 has 12 videos to train on and 0 to test"):
        read_labels(tmp_path)
