"""NumPy's arrays and numbers out of a pickle, without NumPy's own unpickling.

A pickle names NumPy's helpers and hands them raw parts. NumPy trusts those parts: a made-up dtype can make it take
bytes for pointers. Here the parts go to the stand-ins below, which make arrays of plain numbers from them and refuse
everything else. They stand for the names in STAND_INS, those of NumPy 1 and of NumPy 2.
"""

import pickle
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_PLAIN = re.compile(r"[<>|=]?(?:f[248]|[iu][1248]|b1)")


class PlainDtype:
    """A dtype of plain numbers; its pickled state tells nothing but the byte order."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False):
        if not isinstance(name, str) or not _PLAIN.fullmatch(name):
            raise pickle.UnpicklingError("its arrays hold something else than plain numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class ArrayType:
    """Stands where a pickle names the class of an array."""


class PlainArray:
    """An array; a pickle makes it empty, by NumPy's `_reconstruct`, and sets its content."""

    def __init__(self, kind: Any = ArrayType, shape: Any = (0,), typecode: Any = b"b"):
        if kind is not ArrayType:
            raise pickle.UnpicklingError("its arrays are of a class of their own")
        self.value = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        self.value = _array(content, dtype, shape, "F" if is_fortran else "C")


def array_of_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PlainArray:
    """A pickled array of protocol 5."""
    made = PlainArray()
    made.value = _array(content, dtype, shape, "F" if order == "F" else "C")
    return made


def scalar(dtype: Any, content: Any) -> float | int | bool:
    """A pickled number of NumPy's, as Python's own."""
    number: float | int | bool = _array(content, dtype, (), "C").item()
    return number


def encode(text: Any, encoding: Any) -> bytes:
    """Bytes that protocol 2 writes as a text."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it asks for an encoding other than latin1")
    return text.encode("latin1")


def _array(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, PlainDtype) or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("its arrays hold something else than plain numbers")
    if not isinstance(shape, Sequence) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise pickle.UnpicklingError("an array's shape is no list of sizes")
    return np.frombuffer(content, dtype.dtype).reshape(tuple(shape), order=order)


STAND_INS: dict[tuple[str, str], Any] = {("numpy", "dtype"): PlainDtype, ("numpy", "ndarray"): ArrayType}
for _core in ("numpy.core", "numpy._core"):
    STAND_INS[f"{_core}.multiarray", "scalar"] = scalar
    STAND_INS[f"{_core}.multiarray", "_reconstruct"] = PlainArray
    STAND_INS[f"{_core}.numeric", "_frombuffer"] = array_of_buffer
