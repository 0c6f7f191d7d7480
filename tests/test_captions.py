import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcn.data.captions import Captions, read_captions

RAW: dict[str, dict[str, Any]] = {
    "-tCQ4tCQdWE": {
        "start": [0.41, 2, 73.71000000000002],
        "end": [3.91, 5.5, 75.0],
        "text": ["check pic tonight", "", "caf\u00e9, s'il vous pla\u00eet"],
    },
    "no captions": {"start": [], "end": [], "text": []},
}


def write_folder_of_csv(folder: Path) -> Path:
    folder.mkdir()
    (folder / "-tCQ4tCQdWE.csv").write_text(
        "start,end,text\n0.41,3.91,check pic tonight\n2,5.5,\n"
        '73.71000000000002,75.0,"caf\u00e9, s\'il vous pla\u00eet"\n',
        encoding="utf-8",
    )
    (folder / "no captions.csv").write_text("end,text,start\n")
    return folder


def write_json(path: Path, content: Any = RAW) -> Path:
    path.write_text(json.dumps(content))
    return path


def write_pickle(path: Path, content: Any = RAW, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def test_all_forms_hold_the_same_captions(tmp_path: Path) -> None:
    expected = {video_id: Captions(*columns.values()) for video_id, columns in RAW.items()}
    assert read_captions(write_json(tmp_path / "caption.json")) == expected
    assert read_captions(write_json(tmp_path / "raw_caption.json")) == expected
    assert read_captions(write_folder_of_csv(tmp_path / "csv")) == expected
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = write_pickle(tmp_path / "caption.pickle", protocol=protocol)
        assert read_captions(path) == expected
    assert read_captions(write_pickle(tmp_path / "pkl" / "caption.pkl")) == expected
    assert read_captions(tmp_path / "pkl") == expected


def test_every_line_keeps_its_place_whatever_its_text_and_its_times(tmp_path: Path) -> None:
    content = {
        "odd": {"start": [9, 3, -1], "end": [8, 3, 2], "text": [float("nan"), None, "spoken"]}
    }
    odd = read_captions(write_json(tmp_path / "caption.json", content))["odd"]
    assert odd == Captions([9.0, 3.0, -1.0], [8.0, 3.0, 2.0], ["", "", "spoken"])
    assert len(odd) == 3


def test_a_folder_gives_the_raw_captions_first(tmp_path: Path) -> None:
    folder = write_folder_of_csv(tmp_path / "captions")
    write_pickle(folder / "caption.pickle", {"pickled": RAW["no captions"]})
    assert list(read_captions(folder)) == ["pickled"]
    write_json(folder / "caption.json", {"stop words removed": RAW["no captions"]})
    assert list(read_captions(folder)) == ["stop words removed"]
    write_json(folder / "raw_caption.json", {"raw": RAW["no captions"]})
    assert list(read_captions(folder)) == ["raw"]


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"start": [0.0], "end": [1.0]}, "lacks text"),
        ([], "lacks start, end, text"),
        ({"start": [0.0], "end": [1.0], "text": "a"}, "are lists, not list, list, str"),
        ({"start": [0.0], "end": [1.0, 2.0], "text": ["a"]}, "1 starts, 2 ends, 1 texts"),
        ({"start": [0.0, None], "end": [1.0, 2.0], "text": ["a", "b"]}, "caption 1: None"),
        ({"start": [0.0], "end": [float("inf")], "text": ["a"]}, "caption 0: inf"),
        ({"start": ["soon"], "end": [1.0], "text": ["a"]}, "caption 0: 'soon'"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_video(
    tmp_path: Path, entry: object, message: str
) -> None:
    path = write_json(tmp_path / "caption.json", {"fine": RAW["no captions"], "bad": entry})
    with pytest.raises(ValueError, match=rf"caption\.json: video 'bad'.*{message}"):
        read_captions(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"start,end,text\n1,2,a\n\n1,2\n", "line 4: 2 fields instead of 3"),
        (b"start,end,text\n1,2,salt, pepper\n", "line 2: 4 fields instead of 3; .* in quotes"),
        (b"start,stop,text\n1,2,a\n", "has no column end"),
        (b"start,end,text\n1,2,\xff\n", "not a csv in UTF-8"),
        (b"", "has no column start, end, text"),
    ],
)
def test_a_malformed_csv_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.csv.*{message}"):
        read_captions(tmp_path)


def test_where_there_is_nothing_the_error_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no captions: put raw_caption\.json"):
        read_captions(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json is missing"):
        read_captions(tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match=r"not '\.txt'"):
        read_captions(write_json(tmp_path / "captions.txt"))


@pytest.mark.parametrize("content", [b'{"a": {"start"', b"[]", b"\xff"])
def test_a_file_that_is_no_caption_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "caption.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"caption\.json"):
        read_captions(path)


class Trap:
    """A pickle that would make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_cannot_run_anything(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    path = write_pickle(tmp_path / "caption.pickle", {"a": Trap(trap)})
    with pytest.raises(ValueError, match=r"caption\.pickle.*names posix\.mkdir"):
        read_captions(path)
    assert not trap.exists()


def test_a_pickle_of_anything_but_plain_data_is_refused_by_name(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "caption.pickle", {1: Captions([], [], [])})
    with pytest.raises(ValueError, match=r"names mcn\S*, .*load it yourself and save it without"):
        read_captions(path)


def test_times_may_be_numpys(tmp_path: Path) -> None:
    columns = RAW["-tCQ4tCQdWE"]
    expected = {"v": Captions(*columns.values())}
    of_numbers = {**columns, "start": [np.float64(second) for second in columns["start"]]}
    of_arrays = {**columns, "start": np.array(columns["start"]), "end": np.array(columns["end"])}
    for content in ({"v": of_numbers}, {"v": of_arrays}):
        assert read_captions(write_pickle(tmp_path / "caption.pickle", content)) == expected
    flat = {**columns, "start": np.array(1.0)}
    with pytest.raises(ValueError, match="'v': start, end and text are lists, not float"):
        read_captions(write_pickle(tmp_path / "caption.pickle", {"v": flat}))


def test_a_single_csv_is_one_video(tmp_path: Path) -> None:
    folder = write_folder_of_csv(tmp_path / "csv")
    found = read_captions(folder / "-tCQ4tCQdWE.csv")
    assert found == {"-tCQ4tCQdWE": Captions(*RAW["-tCQ4tCQdWE"].values())}


def test_a_damaged_pickle_is_named_wherever_it_was_cut(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "caption.pickle")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"caption\.pickle"):
            read_captions(path)
