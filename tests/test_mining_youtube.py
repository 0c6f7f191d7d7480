from pathlib import Path

import pytest

from mcn.data.mining_youtube import (
    read_classes,
    read_ground_truth,
    read_mining_youtube,
    read_transcript,
    text_of_class,
)

CLASSES = {"background": 0, "crack_egg": 1, "add_butter": 2}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "0 background\n1 crack_egg\n2 add_butter\n",
        "2 add_butter\r\n\r\n0 background\r\n1 crack_egg",
        "background \ncrack_egg \nadd_butter \n",
    ],
    ids=["numbered", "in another order", "bare names"],
)
def test_classes_have_the_numbers_of_the_file(tmp_path: Path, text: str) -> None:
    assert read_classes(write(tmp_path / "mapping.txt", text)) == CLASSES


@pytest.mark.parametrize(
    "text, message",
    [
        ("0 a\nb c d\n", "line 2: 'b c d' is no number and name"),
        ("0 a\n-1 b\n", "line 2: '-1 b' is no number and name"),
        ("0 a\n1 a\n", "line 2: class 'a' or its number 1 is there twice"),
        ("0 a\n0 b\n", "line 2: class 'b' or its number 0 is there twice"),
    ],
)
def test_a_class_that_is_none_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"mapping\.txt, {message}"):
        read_classes(write(tmp_path / "mapping.txt", text))


def test_a_class_stands_for_its_words() -> None:
    assert text_of_class("crack_egg") == "crack egg"


def test_a_transcript_is_one_line_of_names(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = "background crack_egg background add_butter crack_egg\n"
    assert read_transcript(write(path, text), CLASSES) == (0, 1, 0, 2, 1)
    for text, count in (("", 0), ("crack_egg\nadd_butter\n", 2)):
        with pytest.raises(ValueError, match=rf"a\.txt has {count} transcripts"):
            read_transcript(write(path, text), CLASSES)
    with pytest.raises(ValueError, match=r"a\.txt: 'fry' is none of the 3 classes"):
        read_transcript(write(path, "crack_egg fry\n"), CLASSES)


def test_the_ground_truth_is_a_name_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    frames = read_ground_truth(write(path, "background\ncrack_egg\ncrack_egg\n"), CLASSES)
    assert frames.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match=r"a\.txt, line 2: '' is none"):
        read_ground_truth(write(path, "background\n\ncrack_egg\n"), CLASSES)
    with pytest.raises(ValueError, match=r"a\.txt, line 1: 'crack_egg background' is none"):
        read_ground_truth(write(path, "crack_egg background\n"), CLASSES)


def test_videos_are_found_by_their_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="groundTruth has no <video id>"):
        read_mining_youtube(tmp_path, CLASSES)
    write(tmp_path / "transcripts" / "-2TGG1WFF3A.txt", "background crack_egg\n")
    write(tmp_path / "groundTruth" / "-2TGG1WFF3A.txt", "background\ncrack_egg\n")
    videos = read_mining_youtube(tmp_path, CLASSES)
    assert list(videos) == ["-2TGG1WFF3A"]
    assert videos["-2TGG1WFF3A"].transcript == (0, 1)
    assert videos["-2TGG1WFF3A"].frame_classes.tolist() == [0, 1]
    write(tmp_path / "groundTruth" / "other.txt", "background\n")
    with pytest.raises(FileNotFoundError, match=r"transcripts/other\.txt"):
        read_mining_youtube(tmp_path, CLASSES)
