"""What stands in a restricted pickle for the functions that rebuild arrays and tensors of numbers.

NumPy's own take a dtype from the pickle, whose flags can make pointers of the writer's choice out
of the bytes; torch's unpickles once more what a storage holds, freely. So neither is called with
what the pickle says: the type is one of a list of plain ones, the bytes are as many as the shape
needs, and a storage is read with weights only. Tensors become arrays.
"""

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

_PLAIN_DTYPE = re.compile(r"b1|i[1248]|u[1248]|f[248]")
"""Booleans, integers and floating-point numbers; no objects, texts, records or times."""

_NO_MORE_OF_DTYPE = (None, None, None, -1, -1, 0)
"""What the state of a plain dtype says besides version and byte order: no fields, no flags."""


class _Named:
    """What a pickle gets for a name: it may call it or hand it on, and change nothing about it."""

    __slots__ = ("_called",)

    def __init__(self, called: Callable[..., Any]) -> None:
        self._called = called

    def __call__(self, *arguments: Any) -> Any:
        return self._called(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("it changes a function that it names")


class _Dtype:
    """A plain dtype while it is rebuilt."""

    __slots__ = ("found",)

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(
                f"it holds an array of {name!r}, and only plain numbers are read"
            )
        self.found = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *others = state
        if order not in ("<", ">", "|", "=") or tuple(others) != _NO_MORE_OF_DTYPE:
            raise pickle.UnpicklingError(f"it holds an array of odd numbers: {state!r}")
        self.found = self.found.newbyteorder(order)


class _Array(NDArray[Any]):
    """An array that is told its contents once it is there, as NumPy's are."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, is_fortran, raw = state
        checked = _dtype_of(dtype)
        _check_bytes(shape, checked, raw)
        told: Any = (version, shape, checked, bool(is_fortran), raw)
        super().__setstate__(told)


_NDARRAY = _Named(lambda *_: _refuse("it makes an array of no bytes"))


def _reconstruct(subtype: Any, shape: Any, kind: Any) -> _Array:
    if subtype is not _NDARRAY:
        _refuse("it makes an array of a type of its own")
    return _Array(0, np.uint8)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    """As protocol 5 writes them."""
    checked = _dtype_of(dtype)
    _check_bytes(shape, checked, raw)
    if axes is not None or order not in ("C", "F"):
        _refuse(f"it holds an array in order {order!r}, {axes!r}")
    return np.frombuffer(bytearray(raw), checked).reshape(shape, order=order).view(_Array)


def _scalar(dtype: Any, raw: Any) -> Any:
    """The number as one of Python's."""
    checked = _dtype_of(dtype)
    _check_bytes((), checked, raw)
    return np.frombuffer(raw, checked)[0].item()


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes, as protocols before 3 write them."""
    if not isinstance(text, str) or encoding != "latin1":
        _refuse(f"it encodes {type(text).__name__} by {encoding!r}")
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> bytes:
    """The same of none."""
    return b"" if not arguments else _refuse("it makes bytes of other things")


def _no_entries(*arguments: Any) -> dict[Any, Any]:
    """An ordered dict, which dicts are; its entries follow."""
    return {} if not arguments else _refuse("it makes a dict of other things")


class _Storage:
    """The numbers of a tensor, or of several."""

    __slots__ = ("numbers",)

    def __init__(self, raw: Any) -> None:
        import torch  # seconds, and captions have no tensors

        if not isinstance(raw, bytes):
            _refuse(f"it holds a tensor of {type(raw).__name__}")
        try:
            found = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            raise pickle.UnpicklingError(
                "it holds a tensor whose numbers are damaged, or more than numbers"
            ) from error
        if not isinstance(found, torch.storage.TypedStorage) or not (
            found.dtype.is_floating_point or _PLAIN_DTYPE.fullmatch(_name_of(found.dtype))
        ):
            _refuse(f"it holds a tensor of {type(found).__name__}, and only plain numbers are read")
        self.numbers = torch.empty(0, dtype=found.dtype).set_(found)

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("it changes the numbers of a tensor")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Array:
    """As an array of its own."""
    if not isinstance(storage, _Storage):
        _refuse("it makes a tensor of no storage")
    _check_shape(size)
    if math.prod(size) > len(storage.numbers):
        _refuse(f"it holds a tensor of shape {size!r} in {len(storage.numbers)} numbers")
    try:
        view = storage.numbers.as_strided(size, stride, offset)
    except RuntimeError as error:
        raise pickle.UnpicklingError(f"it holds a tensor beyond its numbers: {error}") from error
    # NumPy has no numbers of eight bits of mantissa.
    wide = view.float() if str(view.dtype) == "torch.bfloat16" else view
    return wide.numpy().copy().view(_Array)


def _name_of(dtype: Any) -> str:
    """As NumPy calls it: int64 is i8, and bool b1."""
    return str(np.dtype(str(dtype).removeprefix("torch.")).str[1:])


def _dtype_of(dtype: Any) -> "np.dtype[Any]":
    if not isinstance(dtype, _Dtype):
        _refuse("it holds an array of no type")
    return dtype.found


def _check_bytes(shape: Any, dtype: "np.dtype[Any]", raw: Any) -> None:
    _check_shape(shape)
    if not isinstance(raw, bytes | bytearray) or len(raw) != math.prod(shape) * dtype.itemsize:
        _refuse(f"it holds an array of shape {shape!r} whose bytes are not as many")


def _check_shape(shape: Any) -> None:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        _refuse(f"it holds an array of shape {shape!r}")


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(what)


_STAND_INS = {
    "numpy.core.multiarray._reconstruct": _Named(_reconstruct),
    "numpy.core.multiarray.scalar": _Named(_scalar),
    "numpy.core.numeric._frombuffer": _Named(_from_buffer),
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _Named(_Dtype),
    "torch._utils._rebuild_tensor_v2": _Named(_tensor),
    "torch.storage._load_from_bytes": _Named(_Storage),
    "collections.OrderedDict": _Named(_no_entries),
    "_codecs.encode": _Named(_encode),
    "builtins.bytes": _Named(_no_bytes),
}


def stand_in(module_name: str, global_name: str) -> Any:
    """What a pickle gets for this name; None where it gets nothing."""
    module = module_name.replace("numpy._core.", "numpy.core.").replace("__builtin__", "builtins")
    return _STAND_INS.get(f"{module}.{global_name}")
