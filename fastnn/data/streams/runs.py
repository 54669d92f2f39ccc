"""What streams of files share: an order of the rows that is known beforehand, splits, and samples.

A source is looked at as *pieces* (row groups of Parquet files, record batches, a whole array) and those as
*runs* of neighbouring rows, which are read at once. An epoch is an order of the runs; a block is what stands
at so many places of it, rows shuffled. The order is a matter of numbers only, so training can go on in its
midst without reading what lies before.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import _checks
from .stream import Stream, read_ahead

# A block has no more rows than this; it has rows of at least so many runs, which so come from many places.
BLOCK_ROWS, RUNS_OF_BLOCK = 2**17, 16
# A sample comes from at least so many runs, and of so many pieces, if there are as many.
SAMPLE_RUNS, SAMPLE_PIECES = 256, 32
# At a time, to know how many rows fall to a part.
_COUNTED_ROWS = 2**20


def in_order(rows: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """The rows, shuffled: row k is row ``order[k]``."""
    return rows if order is None else np.take(rows, order, axis=0)


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


class Span(NamedTuple):
    """Rows that are read at once: of a run or, where a piece is read as a whole, all those of a piece."""

    piece: int
    rows: np.ndarray  # their numbers; of a run rising
    is_last: bool  # of its piece


def _number(*numbers: int) -> int:
    """64 random bits that depend on all of them."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class RunStream(Stream):
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
    target_encoder: Any
    _by_piece = False  # whether a block's rows of a piece are read together, of whatever runs they are

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
    def _raw(self, source: Any, spans: list[Span]) -> tuple[Any, np.ndarray]:
        """Rows and targets as they stand in the files."""

    @abstractmethod
    def _block(self, source: Any, spans: list[Span], order: np.ndarray | None) -> tuple[Any, ...]:
        """Encoded rows, of which row k is row ``order[k]`` of the spans."""

    @abstractmethod
    def _labels(self, source: Any, spans: list[Span]) -> np.ndarray:
        """Encoded targets alone."""

    # --- order --------------------------------------------------------------------------------------

    def _of_stream(self, rows: np.ndarray) -> np.ndarray:
        """Those of the rows that belong to the stream, by number."""
        for share in self._shares:
            rows = rows[share.has(rows)]
        return rows

    def _rows_of(self, runs: np.ndarray) -> np.ndarray:
        """The numbers of the rows of some runs that belong to the stream."""
        lengths = self._stops[runs] - self._starts[runs]
        shifts = self._starts[runs] - (np.cumsum(lengths) - lengths)
        return self._of_stream(np.arange(lengths.sum()) + np.repeat(shifts, lengths))

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

    def _spans(
        self, order: np.ndarray, begin: int, end: int, ends: np.ndarray, last: np.ndarray
    ) -> list[Span]:
        """What rows begin to end of an order are made of."""
        k, stop = int(np.searchsorted(ends, begin, "right")), int(np.searchsorted(ends, end)) + 1
        runs = order[k:stop]
        counts = self._kept[runs]
        skipped, left = int(counts[0] - ends[k] + begin), int(ends[stop - 1] - end)
        rows = self._rows_of(runs)[skipped:][: end - begin]
        counts[0] -= skipped
        counts[-1] -= left
        pieces = self._pieces[runs]
        if self._by_piece:
            pieces, of_runs = np.unique(pieces, return_inverse=True)
            # Of 16 bits the stable sort takes no comparisons.
            of_rows = np.repeat(of_runs.astype(np.uint16 if len(pieces) < 2**16 else np.int64), counts)
            rows, counts = rows[np.argsort(of_rows, kind="stable")], np.bincount(of_rows)
        done = last[pieces] < (stop if left == 0 else stop - 1)
        parts = np.split(rows, np.cumsum(counts)[:-1])
        return [Span(int(p), part, bool(d)) for p, part, d in zip(pieces, parts, done, strict=True)]

    def _walk(self, order: np.ndarray, size: int, first: int = 0) -> Iterator[tuple[int, list[Span]]]:
        """Blocks of so many rows of an order of runs: where each begins, and what it is made of."""
        order = order[self._kept[order] > 0]
        ends = np.cumsum(self._kept[order])
        last = np.zeros(len(self._piece_starts), np.int64)
        last[self._pieces[order]] = np.arange(len(order))  # of several the last one stays
        n_rows = int(ends[-1]) if len(ends) else 0
        for begin in range(first // size * size, n_rows, size):
            yield begin, self._spans(order, begin, min(begin + size, n_rows), ends, last)

    def blocks(self, seed: int | None = None, first: int = 0, multiple: int = 1) -> Iterator[tuple[Any, ...]]:
        """An epoch's rows, block by block: see :meth:`Stream.blocks`.

        Raises
        ------
        ValueError, OSError
            If a file is not what it was when the stream was made, or holds what cannot be trained on.
        """
        size = -(-self.block_rows // multiple) * multiple
        with self._open() as source:
            for begin, spans in self._walk(self._order(seed), size, first):
                order = None
                if seed is not None:
                    n_rows = sum(len(span.rows) for span in spans)
                    order = np.random.default_rng([seed, begin]).permutation(n_rows)
                block = self._block(source, spans, order)
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
        bounds = {
            "test": (0.0, test),
            "validation": (test, test + validation),
            "train": (test + validation, 1.0),
        }
        parts = {
            name: self._part(_Share(salt, *bound)) if bound[0] < bound[1] else None
            for name, bound in bounds.items()
        }
        for name, part in parts.items():
            if part is not None and part.n_rows == 0:
                raise ValueError(
                    f"of {self.n_rows} rows, none fell to {name}: expected a larger share of it."
                )
        return Parts(**parts)

    def _part(self, share: _Share) -> Any:
        part = copy.copy(self)
        part._shares = [*self._shares, share]
        part._kept = np.zeros_like(self._kept)
        for start in range(0, int(self._stops[-1]), _COUNTED_ROWS):
            rows = np.arange(start, min(start + _COUNTED_ROWS, self._stops[-1]))
            runs = np.searchsorted(self._starts, part._of_stream(rows), "right") - 1
            part._kept += np.bincount(runs, minlength=len(part._kept))
        part.n_rows = int(part._kept.sum())
        return part

    def _pick(self, n: int | None, seed: int) -> Iterator[tuple[int, list[Span]]]:
        """Blocks of n rows from random places, in the order in which they stand."""
        if n is None or _checks.check_count("n", n) >= self.n_rows:
            yield from self._walk(self._order(None), self.block_rows)
            return
        rng = np.random.default_rng(seed)
        turns = rng.permutation(len(self._piece_starts))
        of_piece = np.bincount(self._pieces, self._kept, len(turns))
        n_pieces = max(SAMPLE_PIECES, 1 + int(np.searchsorted(np.cumsum(of_piece[np.argsort(turns)]), n)))
        runs = rng.permutation(np.flatnonzero((turns[self._pieces] < n_pieces) & (self._kept > 0)))
        most = -(-n // SAMPLE_RUNS)  # of one run
        if np.minimum(self._kept[runs], most).sum() < n:
            most = n
        counts = np.diff(np.minimum(np.cumsum(np.minimum(self._kept[runs], most)), n), prepend=0)
        picked = copy.copy(self)
        picked._kept = np.zeros_like(self._kept)
        picked._kept[runs] = counts
        first = rng.integers(self._kept - picked._kept + 1)

        def rows_of(runs: np.ndarray) -> np.ndarray:
            rows, kept = self._rows_of(runs), self._kept[runs]
            ends = np.cumsum(kept)
            place = np.arange(ends[-1]) - np.repeat(ends - kept + first[runs], kept)
            return rows[(place >= 0) & (place < np.repeat(picked._kept[runs], kept))]

        picked._rows_of = rows_of  # type: ignore[method-assign]
        yield from picked._walk(np.arange(len(self._starts)), self.block_rows)

    def sample(self, n: int, seed: int = 0, *, numbers: bool = False) -> tuple[Any, ...]:
        """Some of the rows from random places, not encoded: what an encoder and a target can be fitted on.

        Parameters
        ----------
        n : int
            How many; all of them if there are fewer.
        seed : int, default=0
        numbers : bool, default=False
            Whether the first of three is the rows' numbers in their source.

        Returns
        -------
        rows : ndarray of shape (n, ...) or pandas.DataFrame
        y : ndarray
            As they stand in the files.
        """
        with self._open() as source:
            spans = [span for _, spans in self._pick(n, seed) for span in spans]
            found = self._raw(source, spans)
        return (np.concatenate([span.rows for span in spans]), *found) if numbers else found

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

    def store(self, folder: str | os.PathLike[str], seed: int | None = 0) -> Any:
        """Encode all rows once, and write them to ``.npy`` files, from which they are read fast.

        For data that takes long to decode and encode, and is trained on for several epochs.

        Parameters
        ----------
        folder : path-like
            Made if there is none. Gets x.npy, y.npy and, if there are weights, weight.npy, in place of such
            files that are there.
        seed : int or None, default=0
            Of the order in which rows are written. None: as they stand.

        Returns
        -------
        ArrayStream

        Raises
        ------
        OSError
            If the files cannot be written; what stood there before is then untouched.
        ValueError
            If rows are sparse.
        """
        from .arrays import ArrayStream, write_rows

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(read_ahead(self.blocks(seed))) as blocks:
            paths = write_rows([folder / f"{name}.npy" for name in ("x", "y", "weight")], blocks, self.n_rows)
        weight = paths[2] if len(paths) > 2 else None
        dtype = np.load(paths[0], mmap_mode="r").dtype
        return ArrayStream(paths[0], paths[1], sample_weight=weight, dtype=dtype)

    def encoded(self, encoder: Any, target_encoder: Any = None) -> Any:
        """The same rows through an encoder, and what is to be predicted through a target.

        Parameters
        ----------
        encoder : Encoder or callable
            Fitted; a function takes rows and gives their features.
        target_encoder : Target, optional
            Fitted; by default that of this stream, if it has one.

        Returns
        -------
        stream
        """
        stream = copy.copy(self)
        stream.encoder = encoder
        if target_encoder is not None:
            stream.target_encoder = target_encoder
        stream.n_features = stream._count_features()
        return stream

    def _where(self, row: int) -> str:
        """A row of the source in words."""
        return str(row)

    def _refuse_rows(self, name: str, problem: str, wrong: np.ndarray, spans: list[Span], order) -> None:
        """Raise, and say which rows of the source are wrong."""
        rows = np.concatenate([span.rows for span in spans])
        rows = np.sort(in_order(rows, order)[wrong])
        more = f" and {len(rows) - 5} more of this block" if len(rows) > 5 else ""
        listed = ", ".join(self._where(int(row)) for row in rows[:5])
        raise ValueError(
            f"{name} {problem} in row{'s' * (len(rows) > 1)} {listed}{more}: remove or impute them."
        )

    def _refuse_non_finite(self, name: str, values: np.ndarray, spans: list[Span], order) -> None:
        """Raise if there are values that are NaN or infinite."""
        with np.errstate(all="ignore"):
            if values.dtype.kind != "f" or np.isfinite(values.sum()):
                return  # a sum is finite unless a value is not, or it overflows
        wrong = ~np.isfinite(values)
        wrong = wrong.any(axis=tuple(range(1, wrong.ndim))) if wrong.ndim > 1 else wrong
        if wrong.any():
            self._refuse_rows(name, "has values that are NaN or infinite", wrong, spans, order)

    def _count_features(self) -> int:
        names = getattr(self.encoder, "feature_names", None)
        if names is not None:
            return len(names)
        with self._open() as source:
            spans = [Span(int(self._pieces[0]), np.array([self._starts[0]]), True)]
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

    def distinct_labels(self) -> np.ndarray:
        """All labels that there are, sorted, as they stand in the files."""
        seen: set[Any] = set()

        class Watcher:
            """Stands in for a target, and takes note of what it is to encode."""

            def encode(self, y: np.ndarray) -> np.ndarray:
                seen.update(np.unique(y).tolist())
                return np.zeros(len(y), np.int64)

        stream = copy.copy(self)
        stream.target_encoder = Watcher()
        with stream._open() as source:
            for _, spans in stream._walk(stream._order(None), stream.block_rows):
                stream._labels(source, spans)
        return np.array(sorted(seen))

    def fingerprint(self) -> str:
        """What tells this data from others, for checkpoints: sizes, and a few of the rows."""
        sample = self._raw_sample()
        encoder = self.encoder.to_dict() if hasattr(self.encoder, "to_dict") else None
        told = [self._shares, self.block_rows, self._n_open, self._starts.tolist()[-3:], encoder, sample]
        crc = zlib.crc32(json.dumps(told, default=str).encode())
        return f"{super().fingerprint()} {crc:08x}"

    def _raw_sample(self) -> str:
        with self._open() as source:
            run = np.flatnonzero(self._kept)[:1]
            block = self._block(source, [Span(int(self._pieces[run[0]]), self._rows_of(run), True)], None)
        x = block[0].toarray() if _checks.is_sparse(block[0]) else block[0]
        return str([zlib.crc32(np.ascontiguousarray(part).data) for part in (x, *block[1:])])
