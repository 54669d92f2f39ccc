"""Streams of arrays: ``.npy`` files, memory maps, and anything else that can be sliced."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ... import _checks
from .npy import RowArray, write_rows
from .order import Runs, Span
from .runs import BLOCK_ROWS, RUNS_OF_BLOCK, RunStream, in_order
from .stream import read_ahead

# Approximate bytes of features in a block: malloc reuses memory of this size. Beyond 32 MiB every block
# gets new pages, and reading took twice the time. The second is the bytes of a file that are read at once.
BLOCK_BYTES, RUN_BYTES = 2**24, 2**18


def store_rows(stream: RunStream, folder: str | os.PathLike[str], seed: int | None = 0) -> ArrayStream:
    """Encode all rows once, and write them to ``.npy`` files, which are fast to read.

    For data that takes long to decode and encode, and is trained on for several epochs.

    Parameters
    ----------
    folder : path-like
        Made if there is none. Gets x.npy, y.npy and, if there are weights, weight.npy, in place of existing
        files of these names.
    seed : int or None, default=0
        Seed for the order in which rows are written; None keeps their order.

    Returns
    -------
    ArrayStream

    Raises
    ------
    OSError
        If the files cannot be written; existing ones are then untouched.
    ValueError
        If rows are sparse.
    """
    folder = _checks.check_path("folder", folder)
    folder.mkdir(parents=True, exist_ok=True)
    if seed is not None:
        seed = _checks.check_count("seed", seed, 0, _checks.LARGEST_SEED)
    with contextlib.closing(read_ahead(stream.blocks(seed))) as blocks:
        paths = write_rows([folder / f"{name}.npy" for name in ("x", "y", "weight")], blocks, stream.n_rows)
    weight = paths[2] if len(paths) > 2 else None
    dtype = np.load(paths[0], mmap_mode="r").dtype
    return ArrayStream(paths[0], paths[1], sample_weight=weight, dtype=dtype)


class ArrayStream(RunStream):
    """Rows of arrays that need not fit into memory, such as ``.npy`` files.

    Files are read in runs of neighbouring rows, not through a memory map: only a few blocks are in memory at
    any time.

    Parameters
    ----------
    x : path-like, memory map or array-like of shape (n, ...)
        Numbers of any type; any object that has a shape and a dtype and can be sliced will do. Rows of more
        dimensions are flattened.
    y : path-like, memory map or array-like of shape (n,) or (n, n_out)
    sample_weight : path-like, memory map or array-like of shape (n,), optional
    encoder : Encoder or callable, optional
        Fitted encoder of raw rows of x. By default, the numbers are the features.
    target_encoder : Target, optional
        Fitted target that encodes y.
    block_rows : int, optional
        Approximate number of rows in memory and shuffled at once; by default 16 MiB, at most 131,072.
    run_rows : int, optional
        Number of neighbouring rows that are read at once; by default 256 KiB, at most a sixteenth of a block.
    dtype : {"float32", "float64"}, default="float32"
        Data type of the features, which must be the network's.

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
        dtype: DTypeLike = "float32",
    ) -> None:
        self.dtype = _checks.check_dtype(dtype)
        self._x, self._y = RowArray("x", x), RowArray("y", y)
        self._weight = None if sample_weight is None else RowArray("sample_weight", sample_weight)
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
        runs = Runs.cut([n_rows], _checks.check_count("run_rows", run_rows))
        super().__init__(runs, block_rows, encoder, target_encoder)
        self.n_features = n_values if encoder is None else self._count_features()

    store = store_rows

    @contextlib.contextmanager
    def _open(self) -> Generator[list[Any]]:
        with contextlib.ExitStack() as stack:
            arrays = (self._x, self._y, self._weight)
            yield [None if array is None else stack.enter_context(array.opened()) for array in arrays]

    def _read_raw(self, source: list[Any], spans: list[Span]) -> tuple[Any, np.ndarray]:
        x, y = (np.concatenate([read(span.rows) for span in spans]) for read in source[:2])
        return x, y

    def _read_raw_labels(self, source: list[Any], spans: list[Span]) -> np.ndarray:
        return np.concatenate([source[1](span.rows) for span in spans])

    def _encode_labels(self, y: np.ndarray) -> np.ndarray:
        return y if self.target_encoder is None else self.target_encoder.encode(y)

    def _block(self, source: list[Any], spans: list[Span], order: np.ndarray | None) -> tuple[Any, ...]:
        read_x, _, read_weight = source
        n_rows = sum(len(span.rows) for span in spans)
        raw_dtype = self.dtype if self.encoder is None else self._x.dtype
        x = np.empty((n_rows, *self._x.shape[1:]), raw_dtype)
        slots = None  # the row of x for each row that is read
        if order is not None:
            slots = np.empty(n_rows, np.int64)
            slots[order] = np.arange(n_rows)
        begin = 0
        with np.errstate(over="ignore"):
            for span in spans:
                part = slice(begin, begin + len(span.rows))
                x[part if slots is None else slots[part]] = read_x(span.rows)
                begin = part.stop
        if self.encoder is None:
            x = x.reshape(n_rows, -1)
        else:
            x = getattr(self.encoder, "transform", self.encoder)(x)
        y = self._encode_labels(self._read_raw_labels(source, spans))
        block = [x, in_order(y, order)]
        if read_weight is not None:
            block.append(in_order(np.concatenate([read_weight(span.rows) for span in spans]), order))
        self._check_block(block, ("x", "y", "sample_weight"), spans, order)
        return tuple(block)
