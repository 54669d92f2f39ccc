"""Arrays whose rows are read by number: ``.npy`` files, memory maps, and anything else that can be sliced."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks


class RowArray:
    """An array whose rows are read by number.

    Parameters
    ----------
    name : str
        Name of the argument in error messages.
    source : path-like, memory map or array-like
        A file, or a map of one that is stored row by row, is read without being mapped.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    row_bytes : int
    """

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self._slices: Any = None
        self._path, self._offset = "", 0
        if isinstance(source, (str, os.PathLike)):
            source = self._map(str(_checks.check_path(name, source)))
        if isinstance(source, np.memmap) and source.flags.c_contiguous and source.filename is not None:
            base: Any = source
            while isinstance(base.base, np.ndarray):
                base = base.base
            self._path = os.fspath(source.filename)
            self._offset = base.offset + source.ctypes.data - base.ctypes.data
        else:
            if not isinstance(getattr(source, "shape", None), tuple) or not hasattr(source, "dtype"):
                source = _checks.as_array(name, source)
            self._slices = source
        self.shape, self.dtype = tuple(source.shape), source.dtype
        if len(self.shape) == 0 or self.shape[0] == 0:
            raise ValueError(f"{name} is empty: expected at least one row.")
        if self.dtype.kind not in "iufb":
            raise ValueError(f"{name} must hold numbers, got dtype {self.dtype}.")
        self.row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])

    def _map(self, path: str) -> np.ndarray:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {path!r} to read {self.name} from.") from None
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{path!r} cannot be read as .npy: {error}.") from error
        if not isinstance(array, np.memmap):
            raise ValueError(f"{path!r} is an archive of arrays: expected a .npy file, which can be mapped.")
        if not array.flags.c_contiguous:
            raise ValueError(
                f"{path!r} is stored column by column: expected rows one after another, as "
                "np.save(path, np.ascontiguousarray(x)) writes them."
            )
        return array

    @contextlib.contextmanager
    def opened(self) -> Generator[Callable[[np.ndarray], np.ndarray]]:
        """Open the array: a function of the rising row numbers of a run, which returns the rows."""
        if self._slices is not None:
            yield lambda rows: np.asarray(self._slices[rows[0] : rows[-1] + 1])[rows - rows[0]]
            return
        try:
            file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            raise FileNotFoundError(f"the file {self._path!r} no longer exists.") from None
        with file:

            def read(rows: np.ndarray) -> np.ndarray:
                # Not through a map: its pages would count as memory of this process.
                first, n = int(rows[0]), int(rows[-1]) + 1 - int(rows[0])
                out = np.empty((n, *self.shape[1:]), self.dtype)
                file.seek(self._offset + first * self.row_bytes)
                view = memoryview(out.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
                while len(view):
                    n_read = file.readinto(view)
                    if not n_read:
                        raise ValueError(
                            f"{self._path!r} ends before row {first + n}, but it had {self.shape[0]} rows: "
                            "it has been cut short or replaced."
                        )
                    view = view[n_read:]
                return out if n == len(rows) else out[rows - first]

            yield read


def write_rows(paths: list[Path], blocks: Iterable[tuple[np.ndarray, ...]], n_rows: int) -> list[Path]:
    """Write the parts of all blocks to a ``.npy`` file each; existing files are replaced at the end.

    Parameters
    ----------
    paths : list of Path
        A file for each part that a block may have.
    blocks : iterable of tuple of ndarray
    n_rows : int
        Number of rows of all blocks together.

    Returns
    -------
    list of Path
        Files that were written, one for each part.

    Raises
    ------
    ValueError
        If the first part is sparse.
    """
    beside = [path.with_name(f".{path.name}.part") for path in paths]
    n_parts = 0
    try:
        with contextlib.ExitStack() as stack:
            files: list[Any] = []
            for block in blocks:
                if _checks.is_sparse(block[0]):
                    raise ValueError("store() writes .npy files, but the encoder gives sparse rows.")
                if not files:
                    n_parts = len(block)
                    files = [stack.enter_context(open(path, "wb")) for path in beside[:n_parts]]
                    for file, part in zip(files, block, strict=True):
                        header = np.lib.format.header_data_from_array_1_0(part)
                        np.lib.format.write_array_header_1_0(
                            file, header | {"shape": (n_rows, *part.shape[1:]), "fortran_order": False}
                        )
                for file, part in zip(files, block, strict=True):
                    file.write(np.ascontiguousarray(part).data)
        for path, made in zip(paths, beside[:n_parts], strict=False):
            os.replace(made, path)
    finally:
        for path in beside:
            path.unlink(missing_ok=True)
    return paths[:n_parts]
