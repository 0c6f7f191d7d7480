"""Arrays and tensors in foreign pickles: numbers come through, and nothing acts."""

import collections
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mcn.data.restricted_pickle import load_plain_pickle

ARRAYS: dict[str, NDArray[Any]] = {
    "rows": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)),
    "part": np.arange(24, dtype="f2").reshape(4, 6)[::2],
    "empty": np.zeros((0, 3), "i2"),
    "single": np.array(3, "u1"),
    "truths": np.array([True, False]),
}
TENSORS = {
    "rows": torch.arange(6.0).reshape(2, 3),
    "turned": torch.arange(6).reshape(2, 3).T,
    "part": torch.arange(10.0)[2:5],
    "half": torch.ones(3).half(),
    "empty": torch.zeros(0),
}


class Acts:
    """Pickled as a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def pickled(path: Path, content: object, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numbers_come_through_whatever_wrote_them(tmp_path: Path, protocol: int) -> None:
    content = {
        "arrays": ARRAYS,
        "tensors": TENSORS,
        "ordered": collections.OrderedDict(a=1),
        "bytes": [b"", b"\xff"],
        "scalars": [np.float64(1.5), np.int32(7), np.bool_(True)],
        "swapped": np.arange(3, dtype=">f4"),
        "rough": torch.full((2,), 1.5, dtype=torch.bfloat16),
    }
    found = load_plain_pickle(pickled(tmp_path / "a.pickle", content, protocol))
    for name, array in ARRAYS.items():
        assert found["arrays"][name].dtype == array.dtype
        np.testing.assert_array_equal(found["arrays"][name], array)
    for name, tensor in TENSORS.items():
        assert found["tensors"][name].dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(found["tensors"][name], tensor.numpy())
    assert found["ordered"] == {"a": 1} and found["bytes"] == [b"", b"\xff"]
    assert found["scalars"] == [1.5, 7, True] and list(map(type, found["scalars"])) == [
        float,
        int,
        bool,
    ]
    assert found["swapped"].tolist() == [0, 1, 2] and found["rough"].tolist() == [1.5, 1.5]


def reconstructed(dtype: object, raw: object, shape: object = (1,)) -> Acts:
    """What NumPy's own array would be pickled as, with another dtype or other bytes."""
    reduced: Any = np.zeros(1).__reduce__()
    rebuild, arguments, _ = reduced
    return Acts(rebuild, *arguments, state=(1, shape, dtype, False, raw))


def dtype_with(flags: int) -> Acts:
    """A plain dtype that says of its numbers what only those of pointers may say."""
    return Acts(np.dtype, "f8", False, True, state=(3, "<", None, None, None, -1, -1, flags))


def tensor_of(storage: object, size: tuple[int, ...], stride: tuple[int, ...] = (1,)) -> Acts:
    rebuild = torch.ones(1).__reduce_ex__(2)[0]
    return Acts(rebuild, storage, 0, size, stride, False, collections.OrderedDict())


def storage_that_runs(trap: Path) -> Acts:
    """Numbers of a tensor that are a program."""
    held = io.BytesIO()
    torch.save({"a": Acts(os.mkdir, str(trap))}, held, _use_new_zipfile_serialization=False)
    load = torch.ones(1).storage().__reduce__()[0]
    return tensor_of(Acts(load, held.getvalue()), (1,))


def storage() -> object:
    return torch.ones(4).storage()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda trap: Acts(os.mkdir, str(trap)), "names posix.mkdir, which is neither"),
        (lambda _: np.array([object()]), "array of 'O8'"),
        (lambda _: np.array(["text"]), "array of 'U4'"),
        (lambda _: np.datetime64(1, "s"), "array of 'M8'"),
        (lambda _: np.zeros(1, [("a", "f4"), ("b", "O")]), "array of 'V12'"),
        (lambda _: reconstructed(np.dtype("f8"), b"\0" * 4), "whose bytes are not as many"),
        (lambda _: reconstructed(np.dtype("f8"), [object]), "names builtins.object"),
        (lambda _: reconstructed(np.dtype("f8"), [1.0]), "whose bytes are not as many"),
        (lambda _: reconstructed(np.dtype("f8"), b"", (-1,)), r"of shape \(-1,\)"),
        (lambda _: reconstructed(dtype_with(0x3F), b"\0" * 8), "of odd numbers"),
        (lambda _: reconstructed("f8", b"\0" * 8), "array of no type"),
        (lambda _: Acts(np.ndarray, (1 << 40,)), "array of no bytes"),
        (lambda _: Acts(np.zeros(1).__reduce__()[0], dict, (0,), b"b"), "names builtins.dict"),
        (lambda _: Acts(np.dtype, dict), "names builtins.dict"),
        (lambda trap: storage_that_runs(trap), "damaged, or more than numbers"),
        (lambda _: tensor_of(storage(), (5,)), r"shape \(5,\) in 4 numbers"),
        (lambda _: tensor_of(storage(), (4,), (2,)), "beyond its numbers"),
        (lambda _: tensor_of(storage(), (2,), (-1,)), "beyond its numbers"),
        (lambda _: tensor_of(storage(), (1 << 40, 2), (0, 0)), "in 4 numbers"),
        (lambda _: tensor_of(b"abcd", (1,)), "tensor of no storage"),
        (lambda _: torch.ones(1, dtype=torch.complex64), "only plain numbers"),
        (lambda _: torch.nn.Parameter(torch.ones(1)), r"names torch\._utils\._rebuild_parameter"),
    ],
)
def test_what_is_more_than_numbers_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    trap = tmp_path / "sprung"
    path = pickled(tmp_path / "hostile.pickle", [make(trap)])
    with pytest.raises(ValueError, match=rf"hostile\.pickle is not read.*({message})"):
        load_plain_pickle(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "changed", [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n"]
)
def test_a_pickle_cannot_change_what_it_names(tmp_path: Path, changed: bytes) -> None:
    path = tmp_path / "hostile.pickle"
    path.write_bytes(changed + b"}S'_called'\nI1\nsb.")  # BUILD with {"_called": 1}
    with pytest.raises(ValueError, match="changes a function that it names"):
        load_plain_pickle(path)
    whole = pickled(tmp_path / "whole.pickle", np.ones(2), protocol=2)
    assert load_plain_pickle(whole).tolist() == [1, 1]


def test_a_damaged_array_is_named_wherever_it_was_cut(tmp_path: Path) -> None:
    path = pickled(tmp_path / "a.pickle", [np.ones(2), torch.ones(2)])
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.pickle"):
            load_plain_pickle(path)
