"""Streams of arrays: memory-mapped .npy files, and whatever can be sliced."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from .runs import BLOCK_ROWS, RUNS_OF_BLOCK, RunStream, in_order

# A block holds about so many bytes of features: malloc then takes memory again that it has already. Beyond
# 32 MiB every block is new pages, and reading took twice the time. And how much of a file is read at once.
BLOCK_BYTES, RUN_BYTES = 2**24, 2**18


class _Array:
    """An array whose rows are read by number: a .npy file, a memory map, or what can be sliced."""

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self._slices: Any = None
        self._path, self._offset = "", 0
        if isinstance(source, (str, os.PathLike)):
            source = self._map(os.fspath(source))
        if isinstance(source, np.memmap) and source.flags.c_contiguous and source.filename is not None:
            whole: Any = source
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            self._path = os.fspath(source.filename)
            self._offset = whole.offset + source.ctypes.data - whole.ctypes.data
        else:
            if not hasattr(source, "shape") or not hasattr(source, "dtype"):
                source = np.asarray(source)
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
        """A function of row numbers, rising ones of one run, that gives the rows."""
        if self._slices is not None:
            yield lambda rows: np.asarray(self._slices[rows[0] : rows[-1] + 1])[rows - rows[0]]
            return
        try:
            file = open(self._path, "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {self._path!r} any more.") from None
        with file:

            def read(rows: np.ndarray) -> np.ndarray:
                # Not through the map, whose pages would count as memory of this process.
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
    """Write the parts of blocks to a .npy file each, beside and then renamed; the paths that were written."""
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


class ArrayStream(RunStream):
    """Rows of arrays that need not fit into memory, such as ``.npy`` files.

    Files are read in runs of neighbouring rows, not through a memory map: only a few blocks are in memory at
    any time.

    Parameters
    ----------
    x : path-like, memory map or array-like of shape (n, ...)
        Of any type of numbers; anything that has a shape and a dtype and can be sliced will do. Rows of more
        dimensions are flattened.
    y : path-like, memory map or array-like of shape (n,) or (n, n_out)
    sample_weight : path-like, memory map or array-like of shape (n,), optional
    encoder : Encoder or callable, optional
        Fitted: gives features of rows as they stand in x. By default the numbers are the features.
    target_encoder : Target, optional
        Fitted: encodes y.
    block_rows : int, optional
        About how many rows are in memory and shuffled at once; by default what 16 MiB hold, 131,072 at most.
    run_rows : int, optional
        How many neighbouring rows are read at once; by default what 256 KiB hold, a sixteenth of a block at
        most.
    dtype : {"float32", "float64"}, default="float32"
        Of the features; that of the network.

    Raises
    ------
    ValueError
        If files are damaged, or lengths differ.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((5000, 3))
    >>> stream = ArrayStream(x, x.sum(axis=1) > 0, block_rows=512)
    >>> train, validation, test = stream.split(validation=0.1, test=0.1)
    >>> train.n_rows + validation.n_rows + test.n_rows
    5000
    >>> import fastnn
    >>> trainer = fastnn.Trainer(fastnn.MLP([3, 8, 1], seed=0), loss="binary_cross_entropy", seed=0)
    >>> history = trainer.fit(train, epochs=5, validation_data=validation, verbose=0)
    >>> trainer.evaluate(test)["accuracy"] > 0.95
    True
    >>> np.concatenate([trainer.net.predict(x) for x, y in test.blocks()]).shape == (test.n_rows,)
    True
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        encoder: Any = None,
        target_encoder: Any = None,
        block_rows: int | None = None,
        run_rows: int | None = None,
        dtype: Any = "float32",
    ) -> None:
        self.dtype = _checks.check_dtype(dtype)
        self._x, self._y = _Array("x", x), _Array("y", y)
        self._weight = None if sample_weight is None else _Array("sample_weight", sample_weight)
        n_rows = self._x.shape[0]
        for array in (self._y, self._weight):
            if array is not None:
                _checks.check_lengths("x", n_rows, array.name, array.shape[0])
        n_values = math.prod(self._x.shape[1:])
        if block_rows is None:
            block_rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (self.dtype.itemsize * max(1, n_values))))
        _checks.check_count("block_rows", block_rows)
        if run_rows is None:
            fit = RUN_BYTES // max(1, self._x.row_bytes)
            run_rows = max(1, min(fit, -(-block_rows // RUNS_OF_BLOCK)))
        self._lay_out([n_rows], _checks.check_count("run_rows", run_rows), block_rows, 1)
        self.encoder, self.target_encoder = encoder, target_encoder
        self.n_features = n_values if encoder is None else self._count_features()

    @contextlib.contextmanager
    def _open(self) -> Generator[list[Any]]:
        with contextlib.ExitStack() as stack:
            arrays = (self._x, self._y, self._weight)
            yield [None if array is None else stack.enter_context(array.opened()) for array in arrays]

    def _raw(self, source, spans):
        return tuple(np.concatenate([read(span.rows) for span in spans]) for read in source[:2])

    def _labels(self, source, spans):
        y = np.concatenate([source[1](span.rows) for span in spans])
        return y if self.target_encoder is None else self.target_encoder.encode(y)

    def _block(self, source, spans, order):
        read_x, _, read_weight = source
        n_rows = sum(len(span.rows) for span in spans)
        raw_dtype = self.dtype if self.encoder is None else self._x.dtype
        x, at, places = np.empty((n_rows, *self._x.shape[1:]), raw_dtype), 0, None
        if order is not None:
            places = np.empty(n_rows, np.int64)
            places[order] = np.arange(n_rows)
        with np.errstate(over="ignore"):
            for span in spans:
                here = slice(at, at + len(span.rows))
                x[here if places is None else places[here]] = read_x(span.rows)
                at = here.stop
        if self.encoder is None:
            x = x.reshape(n_rows, -1)
        else:
            x = getattr(self.encoder, "transform", self.encoder)(x)
        block = [x, in_order(self._labels(source, spans), order)]
        if read_weight is not None:
            block.append(in_order(np.concatenate([read_weight(span.rows) for span in spans]), order))
        for name, part in zip(("x", "y", "sample_weight"), block, strict=False):
            if not _checks.is_sparse(part):  # else the trainer looks
                self._refuse_non_finite(name, part, spans, order)
        return tuple(block)
