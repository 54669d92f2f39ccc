"""Arrays of HDF5 files that may come from a stranger: nothing but what the file itself holds is read.

HDF5 has links to other files, and data sets whose content is in other files. None of them is followed. A data
set may claim any size, written or not: sizes are compared with the file's before memory is taken.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._unpack import check_unpacked

_HEAP = b"GCOL\x01\x00\x00\x00"


class Hdf5Reader:
    """Groups and arrays of an open HDF5 file.

    Parameters
    ----------
    file : h5py.File
    n_bytes : int
        Size of the file.

    Attributes
    ----------
    n_numbers : int
        Number of numbers of all arrays that were read.
    """

    def __init__(self, file: Any, n_bytes: int) -> None:
        self.file, self._n_bytes = file, n_bytes
        self._h5py = _checks.require("h5py", "keras")
        self._n_plain = self._n_packed = self.n_numbers = 0

    def find(self, group: Any, path: str) -> Any:
        """Return the group or data set at a path below a group.

        Raises
        ------
        KeyError
            If there is none.
        ValueError
            If a link leads there: all of HDF5's names are links, but only plain ones do not leave the file.
        """
        for name in filter(None, path.split("/")):
            link = group.get(name, getlink=True) if isinstance(group, self._h5py.Group) else None
            if link is None:
                raise KeyError(path)
            if not isinstance(link, self._h5py.HardLink):
                raise ValueError(f"{path!r} is a {type(link).__name__}, which may lead out of the file.")
            group = group[name]
        return group

    def has(self, group: Any, name: str) -> bool:
        """Return whether a group has an entry of that name, without following it."""
        return group.get(name, getlink=True) is not None

    def groups(self, group: Any) -> Iterator[tuple[str, Any]]:
        """Yield the names and groups directly below a group."""
        for name in group:
            found = self.find(group, name)
            if isinstance(found, self._h5py.Group):
                yield name, found

    def read(self, group: Any, path: str) -> np.ndarray:
        """Return the array of numbers at a path below a group.

        Raises
        ------
        KeyError, ValueError
            If there is none, its content is not in the file, or it claims more than the file holds.
        """
        data = self.find(group, path)
        if not isinstance(data, self._h5py.Dataset) or data.shape is None or data.dtype.kind not in "fiub":
            raise ValueError(f"{path!r} is not an array of numbers.")
        if data.is_virtual or data.external:
            raise ValueError(f"the content of {path!r} is in another file.")
        n_stored = data.id.get_storage_size()
        if data.id.get_create_plist().get_nfilters() > 0:  # whole chunks are unpacked
            self._n_packed += max(data.nbytes, math.prod(data.chunks) * data.dtype.itemsize)
            check_unpacked(self._n_packed, min(n_stored, self._n_bytes), f"the array {path!r}")
        else:
            self._n_plain += data.nbytes
            if data.nbytes > n_stored or self._n_plain > self._n_bytes:
                raise ValueError(f"{path!r} claims {data.nbytes} bytes, more than the file holds.")
        self.n_numbers += data.size
        return data[()]


@contextmanager
def open_hdf5(source: Path | bytes) -> Iterator[Hdf5Reader]:
    """Open an HDF5 file, or its content.

    Raises
    ------
    ValueError
        If it is damaged or another kind of file.
    ImportError
        If h5py is not installed.
    """
    h5py = _checks.require("h5py", "keras")
    n_bytes = len(source) if isinstance(source, bytes) else os.stat(source).st_size
    if isinstance(source, bytes):
        _check_heaps(source)
    elif n_bytes > 0:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check_heaps(content)
    try:
        with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
            yield Hdf5Reader(file, n_bytes)
    except OSError as error:
        raise ValueError(f"it is damaged, or neither a .keras nor an HDF5 file ({error}).") from None


def _check_heaps(content: bytes | mmap.mmap) -> None:
    """Raise ValueError if an object does not fit into the heap, of texts, that it is in.

    HDF5 2.0.0 follows such objects without end. A heap is "GCOL", 1 and three zeros, its size, and objects: a
    number, a count, and a size, with the content padded to 8 bytes; number 0 is the space that is left.
    """
    start = content.find(_HEAP)
    while start >= 0:
        (end,) = struct.unpack_from("<Q", content, start + 8) if start + 16 <= len(content) else (0,)
        if end > len(content) - start:
            raise ValueError("it is damaged: a heap is larger than the file.")
        place = 16
        while place + 16 <= end:
            number, size = struct.unpack_from("<H6xQ", content, start + place)
            step = size if number == 0 else 16 + -(-size // 8) * 8
            if not 16 <= step <= end - place:
                raise ValueError("it is damaged: an object does not fit into the heap that it is in.")
            place += step
        start = content.find(_HEAP, start + 8)
