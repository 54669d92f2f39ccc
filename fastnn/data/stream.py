"""Data larger than memory: blocks of shuffled rows, one after another, read ahead of the training.

A source is looked at as *pieces* (row groups of Parquet files, record batches, a whole array) and those as
*runs* of neighbouring rows, which are read at once. An epoch is an order of the runs; a block is what stands
at so many places of it, rows shuffled. The order is a matter of numbers only, so training can go on in its
midst without reading what lies before.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import queue
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import _checks

# A block holds about so many bytes of features, but no more rows than this. Up to 32 MiB malloc uses memory
# again that it has already; beyond, every block would be new pages.
BLOCK_BYTES, BLOCK_ROWS = 2**25, 2**17
# Of a block, so that it has rows of many places; and how much of an array is read at once.
RUNS_OF_BLOCK, RUN_BYTES = 16, 2**18
# Rows of a run of a table, and bytes of the pieces of one that are open at once.
TABLE_RUN_ROWS, OPEN_BYTES = 2**12, 2**27
# A sample comes from at least so many runs, and of so many pieces, if there are as many.
SAMPLE_RUNS, SAMPLE_PIECES = 64, 32

T = TypeVar("T")


def read_ahead(items: Iterable[T], n_ahead: int = 2) -> Generator[T, None, None]:
    """The items, made by a thread that is some of them ahead; what it raises is raised here.

    The thread starts with the first item that is asked for and has ended when the generator has, or has been
    closed.

    Examples
    --------
    >>> list(read_ahead(range(3)))
    [0, 1, 2]
    """
    ready: queue.SimpleQueue = queue.SimpleQueue()
    room, stopped, end = threading.Semaphore(n_ahead), threading.Event(), object()

    def read() -> None:
        made: Any = iter(items)
        try:
            while room.acquire() and not stopped.is_set():
                ready.put((next(made, end), None))
        except BaseException as error:  # whatever it is, it is for the one who asked
            ready.put((end, error))
        finally:
            if hasattr(made, "close"):
                made.close()

    thread = threading.Thread(target=read, name="fastnn-reader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
            item = None  # else it would be kept while the next is waited for
            room.release()
    finally:
        stopped.set()
        room.release()
        thread.join()


class Stream(ABC):
    """Rows that come block by block, for ``Trainer.fit(stream)`` and ``Trainer.evaluate(stream)``.

    Subclass it for data of your own; :class:`ArrayStream` and :class:`TableStream` read files.

    Attributes
    ----------
    n_rows : int
        Of an epoch.
    n_features : int

    Examples
    --------
    >>> class Squares(Stream):
    ...     n_rows, n_features = 1000, 1
    ...     def blocks(self, seed=None, first=0, multiple=1):
    ...         size = -(-100 // multiple) * multiple
    ...         for begin in range(first, self.n_rows, size):
    ...             x = np.arange(begin, min(begin + size, self.n_rows))[:, np.newaxis] / self.n_rows
    ...             yield x, x**2
    >>> [len(x) for x, y in Squares().blocks(multiple=32)]
    [128, 128, 128, 128, 128, 128, 128, 104]
    >>> import fastnn
    >>> trainer = fastnn.Trainer(fastnn.MLP([1, 8, 1], seed=0), loss="mse", shuffle=False)
    >>> len(trainer.fit(Squares(), epochs=2, verbose=0))
    2
    """

    n_rows: int
    n_features: int

    @abstractmethod
    def blocks(self, seed: int | None, first: int = 0, multiple: int = 1) -> Iterator[tuple[Any, ...]]:
        """An epoch's rows, block by block.

        Parameters
        ----------
        seed : int or None
            Of the order: the same seed gives the same rows in the same order. None: as they stand.
        first : int, default=0
            The row of the epoch to begin with, a multiple of `multiple`: what comes is what would have come
            from there on.
        multiple : int, default=1
            Every block but the last has a multiple of so many rows. The trainer asks for whole batches.

        Yields
        ------
        tuple (x, y) or (x, y, weight)
            Of at least one row, as ``Trainer.fit`` takes them.
        """

    def count_labels(self) -> np.ndarray | None:
        """How many rows have class 0, 1, ..., for ``class_weight="balanced"``; None if that is not known."""
        return None

    def fingerprint(self) -> str:
        """What tells this data from others, for checkpoints."""
        return f"{type(self).__name__} {self.n_rows} x {self.n_features}"


class Parts(NamedTuple):
    """What :meth:`ArrayStream.split` and :meth:`TableStream.split` give.

    Attributes
    ----------
    train : stream
    validation, test : stream or None
        None where the share is 0.
    """

    train: Any
    validation: Any
    test: Any


class _Share(NamedTuple):
    """Rows that a split took: those whose random number lies in [low, high)."""

    salt: int
    low: float
    high: float

    def has(self, rows: np.ndarray) -> np.ndarray:
        """Which of the rows it has, by number. The numbers are those of SplitMix64 (Steele et al., 2014)."""
        bits = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self.salt)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        number = ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
        return (number >= self.low) & (number < self.high)


class _Span(NamedTuple):
    """Rows of a run, to be read at once."""

    piece: int
    rows: np.ndarray  # their numbers, rising
    is_last: bool  # of its piece


def _number(*numbers: int) -> int:
    """64 random bits that depend on all of them."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class _Runs(Stream):
    """What streams of files share: order, splits, samples.

    Parameters
    ----------
    piece_rows : sequence of int
        How many rows each piece has.
    run_rows, block_rows : int
    n_open : int
        How many pieces may be open at once.
    """

    encoder: Any
    target: Any

    def _lay_out(self, piece_rows: Sequence[int], run_rows: int, block_rows: int, n_open: int) -> None:
        ends = np.cumsum(np.asarray(piece_rows, np.int64))
        starts = [np.arange(end - n, end, run_rows) for n, end in zip(piece_rows, ends, strict=True)]
        self._piece_starts = ends - piece_rows
        self._pieces = np.repeat(np.arange(len(piece_rows)), [len(of_piece) for of_piece in starts])
        self._starts = np.concatenate(starts) if starts else np.empty(0, np.int64)
        self._stops = np.minimum(self._starts + run_rows, ends[self._pieces])
        self.block_rows, self._n_open = block_rows, n_open
        self._shares: list[_Share] = []
        self._kept = self._stops - self._starts  # rows of each run that belong to the stream
        self.n_rows = int(self._kept.sum())

    # --- what the kinds of files differ in ----------------------------------------------------------

    @abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[Any]:
        """What :meth:`_raw` and :meth:`_block` read from, as long as it lasts."""

    @abstractmethod
    def _raw(self, source: Any, spans: list[_Span]) -> tuple[Any, np.ndarray]:
        """Rows and targets as they stand in the files."""

    @abstractmethod
    def _block(self, source: Any, spans: list[_Span], places: np.ndarray | None) -> tuple[Any, ...]:
        """Encoded rows, each at its place."""

    @abstractmethod
    def _labels(self, source: Any, spans: list[_Span]) -> np.ndarray:
        """Encoded targets alone."""

    # --- order --------------------------------------------------------------------------------------

    def _rows_of(self, run: int) -> np.ndarray:
        """The numbers of a run's rows that belong to the stream."""
        rows = np.arange(self._starts[run], self._stops[run])
        for share in self._shares:
            rows = rows[share.has(rows)]
        return rows

    def _order(self, seed: int | None) -> np.ndarray:
        """The runs, as an epoch takes them.

        Pieces come in random order, one after another; the runs of each lie scattered over the time from its
        turn until so many later as may be open at once.
        """
        if seed is None:
            return np.arange(len(self._starts))
        rng = np.random.default_rng(seed)
        turns = rng.permutation(len(self._piece_starts))
        scattered = self._n_open * rng.random(len(self._starts))
        return np.argsort(turns[self._pieces] + scattered, kind="stable")

    def _spans(self, order: np.ndarray, begin: int, end: int, ends: np.ndarray, last: np.ndarray):
        """What rows begin to end of an order are made of."""
        k = int(np.searchsorted(ends, begin, "right"))
        spans = []
        while begin < end:
            run = order[k]
            start = int(ends[k] - self._kept[run])
            rows = self._rows_of(run)[begin - start : end - start]
            piece = int(self._pieces[run])
            spans.append(_Span(piece, rows, bool(last[piece] == k) and end >= ends[k]))
            begin = int(ends[k])
            k += 1
            while k < len(order) and self._kept[order[k]] == 0:
                k += 1
        return spans

    def _walk(self, order: np.ndarray, size: int, first: int = 0) -> Iterator[tuple[int, list[_Span]]]:
        """Blocks of so many rows of an order of runs: where each begins, and what it is made of."""
        order = order[self._kept[order] > 0]
        ends = np.cumsum(self._kept[order])
        last = np.zeros(len(self._piece_starts), np.int64)
        last[self._pieces[order]] = np.arange(len(order))  # of several the last one stays
        n_rows = int(ends[-1]) if len(ends) else 0
        for begin in range(first // size * size, n_rows, size):
            yield begin, self._spans(order, begin, min(begin + size, n_rows), ends, last)

    def blocks(
        self, seed: int | None = None, first: int = 0, multiple: int = 1
    ) -> Iterator[tuple[Any, ...]]:
        """An epoch's rows, block by block: see :meth:`Stream.blocks`.

        Raises
        ------
        ValueError, OSError
            If a file is not what it was when the stream was made, or holds what cannot be trained on.
        """
        size = -(-self.block_rows // multiple) * multiple
        with self._open() as source:
            for begin, spans in self._walk(self._order(seed), size, first):
                places = None
                if seed is not None:
                    n_rows = sum(len(span.rows) for span in spans)
                    places = np.random.default_rng([seed, begin]).permutation(n_rows)
                block = self._block(source, spans, places)
                yield tuple(part[first - begin :] for part in block) if begin < first else block

    # --- parts --------------------------------------------------------------------------------------

    def split(self, *, validation: float = 0.0, test: float = 0.0, seed: int = 0) -> Parts:
        """Streams of disjoint rows.

        Where a row goes is told by a random number that its number and the seed give, so it stays there
        whatever else is read. The sizes are counted, and differ from the shares as chance has it.

        Parameters
        ----------
        validation, test : float in [0, 1), default=0.0
            Shares of the rows.
        seed : int, default=0

        Returns
        -------
        Parts
            A tuple (train, validation, test).

        Raises
        ------
        ValueError
            If nothing is left to train on.
        """
        _checks.check_number("validation", validation, 0.0, 1.0)
        _checks.check_number("test", test, 0.0, 1.0)
        if validation + test >= 1:
            raise ValueError(
                f"validation and test take {validation + test:g} of the rows: expected less than 1 in all."
            )
        salt = _number(_checks.check_count("seed", seed, 0), len(self._shares))
        bounds = {"test": (0.0, test), "validation": (test, test + validation), "train": (test + validation, 1.0)}
        parts = {
            name: self._part(_Share(salt, *bound)) if bound[0] < bound[1] else None
            for name, bound in bounds.items()
        }
        for name, part in parts.items():
            if part is not None and part.n_rows == 0:
                raise ValueError(f"of {self.n_rows} rows, none fell to {name}: expected a larger share of it.")
        return Parts(**parts)

    def _part(self, share: _Share) -> Any:
        part = copy.copy(self)
        part._shares = [*self._shares, share]
        part._kept = np.array([len(part._rows_of(run)) for run in range(len(self._starts))], np.int64)
        part.n_rows = int(part._kept.sum())
        return part

    def _pick(self, n: int | None, seed: int) -> Iterator[tuple[int, list[_Span]]]:
        """Blocks of n rows from random places, in the order in which they stand."""
        n = self.n_rows if n is None else min(_checks.check_count("n", n), self.n_rows)
        rng = np.random.default_rng(seed)
        turns = rng.permutation(len(self._piece_starts))
        of_piece = np.bincount(self._pieces, self._kept, len(turns))
        n_pieces = max(SAMPLE_PIECES, 1 + int(np.searchsorted(np.cumsum(of_piece[np.argsort(turns)]), n)))
        runs = rng.permutation(np.flatnonzero((turns[self._pieces] < n_pieces) & (self._kept > 0)))
        most = max(SAMPLE_RUNS, -(-n // SAMPLE_RUNS))  # of one run
        if np.minimum(self._kept[runs], most).sum() < n:
            most = n
        counts = np.diff(np.minimum(np.cumsum(np.minimum(self._kept[runs], most)), n), prepend=0)
        picked = copy.copy(self)
        picked._kept = np.zeros_like(self._kept)
        picked._kept[runs] = counts
        chosen = {}
        for run, count in zip(runs[counts > 0], counts[counts > 0], strict=True):
            start = int(rng.integers(self._kept[run] - count + 1))
            chosen[run] = self._rows_of(run)[start : start + count]
        picked._rows_of = chosen.__getitem__  # type: ignore[method-assign]
        yield from picked._walk(np.arange(len(self._starts)), self.block_rows)

    def sample(self, n: int, seed: int = 0) -> tuple[Any, np.ndarray]:
        """Some of the rows from random places, not encoded: what an encoder and a target can be fitted on.

        Parameters
        ----------
        n : int
            How many; all of them if there are fewer.
        seed : int, default=0

        Returns
        -------
        rows : ndarray of shape (n, ...) or pandas.DataFrame
        y : ndarray
            As they stand in the files.
        """
        with self._open() as source:
            spans = [span for _, spans in self._pick(n, seed) for span in spans]
            return self._raw(source, spans)

    def load(self, max_rows: int | None = None, seed: int = 0) -> tuple[Any, ...]:
        """The rows, or so many of them from random places, in memory: for ``validation_data``.

        Parameters
        ----------
        max_rows : int, optional
            All of them by default.
        seed : int, default=0

        Returns
        -------
        tuple (x, y) or (x, y, weight)
            Encoded.
        """
        with self._open() as source:
            blocks = [self._block(source, spans, None) for _, spans in self._pick(max_rows, seed)]
        if _checks.is_sparse(blocks[0][0]):
            vstack = _checks.require("scipy.sparse", "sklearn").vstack
            x = vstack([block[0] for block in blocks], format="csr")
            return x, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:])
        return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))

    def encoded(self, encoder: Any, target: Any = None) -> Any:
        """The same rows through an encoder, and what is to be predicted through a target.

        Parameters
        ----------
        encoder : Encoder or callable
            Fitted; a function takes rows and gives their features.
        target : Target, optional
            Fitted; by default what is to be predicted stays as it is.

        Returns
        -------
        stream
        """
        stream = copy.copy(self)
        stream.encoder, stream.target = encoder, target if target is not None else self.target
        stream.n_features = stream._count_features()
        return stream

    def _count_features(self) -> int:
        names = getattr(self.encoder, "feature_names", None)
        if names is not None:
            return len(names)
        with self._open() as source:
            spans = [_Span(int(self._pieces[0]), np.array([self._starts[0]]), True)]
            return self._block(source, spans, None)[0].shape[1]

    def count_labels(self) -> np.ndarray:
        """How many rows have class 0, 1, ...

        Raises
        ------
        ValueError
            If what is to be predicted is not class numbers.
        """
        counts = np.zeros(0, np.int64)
        with self._open() as source:
            for _, spans in self._walk(self._order(None), self.block_rows):
                y = self._labels(source, spans)
                if y.ndim > 1 or y.dtype.kind not in "iub" or y.min() < 0:
                    raise ValueError(f"y must hold class numbers 0, 1, ..., got {y.dtype} from {y.min()} on.")
                more = np.bincount(y, minlength=len(counts))
                counts = more + np.pad(counts, (0, len(more) - len(counts)))
        return counts

    def fingerprint(self) -> str:
        """What tells this data from others, for checkpoints: sizes, and a few of the rows."""
        sample = self._raw_sample()
        encoder = self.encoder.to_dict() if hasattr(self.encoder, "to_dict") else None
        told = [self._shares, self.block_rows, self._n_open, self._starts.tolist()[-3:], encoder, sample]
        crc = zlib.crc32(json.dumps(told, default=str).encode())
        return f"{super().fingerprint()} {crc:08x}"

    def _raw_sample(self) -> str:
        with self._open() as source:
            run = int(np.argmax(self._kept > 0))
            block = self._block(source, [_Span(int(self._pieces[run]), self._rows_of(run), True)], None)
        x = block[0].toarray() if _checks.is_sparse(block[0]) else block[0]
        return str([zlib.crc32(np.ascontiguousarray(part).data) for part in (x, *block[1:])])


def _refuse_non_finite(name: str, values: np.ndarray, spans: list[_Span], places) -> None:
    """Raise if there are values that are NaN or infinite, and say in which rows of the source."""
    with np.errstate(all="ignore"):
        if values.dtype.kind != "f" or np.isfinite(values.sum()):
            return
    wrong = ~np.isfinite(values)
    wrong = wrong.any(axis=tuple(range(1, wrong.ndim))) if wrong.ndim > 1 else wrong
    if not wrong.any():  # the sum was too large
        return
    rows = np.concatenate([span.rows for span in spans])
    rows = np.sort(rows[wrong if places is None else wrong[places]])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    listed = ", ".join(map(str, rows[:5]))
    raise ValueError(
        f"{name} has values that are NaN or infinite in row{'s' * (len(rows) > 1)} {listed}{more}: "
        "remove or impute them."
    )


def _at_places(parts: list[np.ndarray], places: np.ndarray | None) -> np.ndarray:
    """Parts one after another, then each row at its place."""
    together = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if places is None:
        return together
    out = np.empty_like(together)
    out[places] = together
    return out


# --- arrays ---------------------------------------------------------------------------------------------


class _Array:
    """An array whose rows are read by number: a .npy file, a memory map, or what can be sliced."""

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self._slices: Any = None
        self._path, self._offset = "", 0
        if isinstance(source, (str, os.PathLike)):
            source = self._map(os.fspath(source))
        if isinstance(source, np.memmap) and source.flags.c_contiguous and source.filename is not None:
            whole = source
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
                view = memoryview(out.reshape(-1).view(np.uint8))
                while len(view):
                    n_read = file.readinto(view)
                    if not n_read:
                        raise ValueError(
                            f"{self._path!r} ends before row {first + n}, but it had {self.shape[0]} rows: it "
                            "has been cut short or replaced."
                        )
                    view = view[n_read:]
                return out if n == len(rows) else out[rows - first]

            yield read


class ArrayStream(_Runs):
    """Rows of arrays that need not fit into memory, such as ``.npy`` files.

    Files are read in runs of neighbouring rows, not through a memory map: of the data only a few blocks are in
    memory at any time.

    Parameters
    ----------
    x : path-like, memory map or array-like of shape (n, ...)
        Of any type of numbers; anything that has a shape and a dtype and can be sliced will do. Rows of more
        dimensions are flattened.
    y : path-like, memory map or array-like of shape (n,) or (n, n_out)
    sample_weight : path-like, memory map or array-like of shape (n,), optional
    encoder : Encoder or callable, optional
        Fitted: gives features of rows as they stand in x. By default the numbers are the features.
    target : Target, optional
        Fitted: encodes y.
    block_rows : int, optional
        About how many rows are in memory and shuffled at once; by default what 32 MiB hold, 131,072 at most.
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
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        encoder: Any = None,
        target: Any = None,
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
        self.encoder, self.target = encoder, target
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
        return y if self.target is None else self.target.encode(y)

    def _block(self, source, spans, places):
        read_x, _, read_weight = source
        n_rows = sum(len(span.rows) for span in spans)
        raw_dtype = self.dtype if self.encoder is None else self._x.dtype
        x, at = np.empty((n_rows, *self._x.shape[1:]), raw_dtype), 0
        with np.errstate(over="ignore"):
            for span in spans:
                here = slice(at, at + len(span.rows))
                x[here if places is None else places[here]] = read_x(span.rows)
                at = here.stop
        if self.encoder is None:
            x = x.reshape(n_rows, -1)
        else:
            x = getattr(self.encoder, "transform", self.encoder)(x)
        y = _at_places([self._labels(source, spans)], places)
        block = [x, y]
        if read_weight is not None:
            block.append(_at_places([read_weight(span.rows) for span in spans], places))
        for name, part in zip(("x", "y", "sample_weight"), block, strict=False):
            _refuse_non_finite(name, part.data if _checks.is_sparse(part) else part, spans, places)
        return tuple(block)
