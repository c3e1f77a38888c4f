"""Arrays that the processes of a machine share: in a file without a name, which each process maps. Torch-free.

The file goes away with the last process that has it open, however that process ends. Whoever unpickles the arrays gets
a handle to the same file, not a copy.
"""

import mmap
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing import reduction
from typing import Any, BinaryIO, cast

import numpy as np

from ...hub.errors import GoodviewsError

_ALIGNED_BYTES = 64
_Places = dict[str, tuple[str, tuple[int, ...], int]]  # type, shape and first byte of each array


class SharedArrays(Mapping[str, np.ndarray]):
    """Arrays by name, read-only. They are written once and the given ones may then be forgotten."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Raises GoodviewsError where the folder of temporary files has no room for them."""
        try:
            self._map(*_write(arrays))
        except OSError as error:
            size = sum(array.nbytes for array in arrays.values()) / 1e6
            raise GoodviewsError(
                f"The labels need {size:,.0f} MB in {tempfile.gettempdir()}: {error.strerror}. Free space there, or "
                "set TMPDIR to another folder."
            ) from None

    def _map(self, file: BinaryIO, places: _Places) -> None:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file, self._places = file, places
        self._arrays = {
            name: np.frombuffer(content, kind, count=int(np.prod(shape)), offset=first).reshape(shape)
            for name, (kind, shape, first) in places.items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        if not hasattr(reduction, "DupFd"):  # on Windows each process has a copy
            return SharedArrays, ({name: np.array(array) for name, array in self.items()},)
        return _attach, (reduction.DupFd(self._file.fileno()), self._places)


def _write(arrays: Mapping[str, np.ndarray]) -> tuple[BinaryIO, _Places]:
    """A file with all of them, one after the other."""
    file = cast(BinaryIO, tempfile.TemporaryFile(prefix="goodviews-"))  # noqa: SIM115, it lives as long as the arrays
    places: _Places = {}
    end = 0
    for name, array in arrays.items():
        start = end + -end % _ALIGNED_BYTES
        file.write(bytes(start - end))
        file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        places[name], end = (array.dtype.str, array.shape, start), start + array.nbytes
    file.write(bytes(_ALIGNED_BYTES))  # an empty file cannot be mapped
    file.flush()
    return file, places


def _attach(handle: Any, places: _Places) -> SharedArrays:
    """In another process, or in this one: the arrays of an open file."""
    arrays = SharedArrays.__new__(SharedArrays)
    arrays._map(open(handle.detach(), "rb"), places)  # noqa: SIM115, PTH123, an open file has no path
    return arrays
