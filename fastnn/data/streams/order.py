"""The order of a stream's rows: a matter of numbers only, known before anything is read.

A source consists of *pieces* (row groups of Parquet files, record batches, a whole array) and those of *runs*
of neighbouring rows, which are read at once. An epoch is an order of the runs, and a block a stretch of it
whose rows are shuffled. So training can resume in the middle of an epoch without reading what lies before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ... import _checks
from ...kernels.random_bits import GOLDEN, mix_bits

# Smallest numbers of runs and of pieces that a sample comes from, if there are that many.
SAMPLE_RUNS, SAMPLE_PIECES = 256, 32
# Rows whose share is looked up at a time.
_COUNTED_ROWS = 2**20


class Span(NamedTuple):
    """Rows that are read at once.

    Attributes
    ----------
    piece : int
    rows : ndarray of shape (n,), int64
        Row numbers, rising; of one run or, where spans are pieces, of all runs of a piece.
    is_last : bool
        True if no later row of the epoch is in the piece.
    """

    piece: int
    rows: np.ndarray
    is_last: bool


class Share(NamedTuple):
    """Rows that a split took: those whose random number lies in [low, high)."""

    salt: int
    low: float
    high: float

    def contains(self, rows: np.ndarray) -> np.ndarray:
        """Return a mask of the rows that are in the share."""
        bits = mix_bits((rows.astype(np.uint64) + np.uint64(1)) * GOLDEN + np.uint64(self.salt))
        number = (bits >> np.uint64(11)) * 2.0**-53
        return (number >= self.low) & (number < self.high)


def make_salt(*numbers: int) -> int:
    """Return 64 random bits that depend on all the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


class Window(NamedTuple):
    """A stretch of the rows of every run.

    Attributes
    ----------
    first : ndarray of shape (n_runs,), int64
        How many rows of each run are passed over.
    counts : ndarray of shape (n_runs,), int64
        How many rows follow them.
    """

    first: np.ndarray
    counts: np.ndarray


@dataclasses.dataclass(frozen=True)
class Runs:
    """The runs of a source, and which of their rows belong to a stream.

    Attributes
    ----------
    piece_starts : ndarray of shape (n_pieces,), int64
        Number of the first row of each piece.
    pieces, starts, stops : ndarray of shape (n_runs,), int64
        The piece of each run, and its rows.
    counts : ndarray of shape (n_runs,), int64
        Number of rows of each run that belong to the stream.
    n_open : int
        Number of pieces that may be open at once.
    spans_are_pieces : bool
        True if a block's rows of a piece are read together, whatever runs they are from.
    shares : tuple of Share
        A row belongs to the stream if it is in all of them.
    """

    piece_starts: np.ndarray
    pieces: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    counts: np.ndarray
    n_open: int
    spans_are_pieces: bool
    shares: tuple[Share, ...] = ()

    @classmethod
    def cut(
        cls, piece_rows: Sequence[int], run_rows: int, n_open: int = 1, *, spans_are_pieces: bool = False
    ) -> Runs:
        """Cut pieces with these numbers of rows into runs of at most `run_rows`."""
        ends = np.cumsum(np.asarray(piece_rows, np.int64))
        of_pieces = [np.arange(end - n, end, run_rows) for n, end in zip(piece_rows, ends, strict=True)]
        pieces = np.repeat(np.arange(len(piece_rows)), [len(starts) for starts in of_pieces])
        starts = np.concatenate(of_pieces) if of_pieces else np.empty(0, np.int64)
        stops = np.minimum(starts + run_rows, ends[pieces])
        return cls(ends - piece_rows, pieces, starts, stops, stops - starts, n_open, spans_are_pieces)

    @property
    def n_rows(self) -> int:
        """Number of rows of the stream."""
        return int(self.counts.sum())

    def take(self, share: Share) -> Runs:
        """Return the runs with those rows only that are in a share."""
        part = dataclasses.replace(self, shares=(*self.shares, share))
        counts = np.zeros_like(self.counts)
        for start in range(0, int(self.stops[-1]), _COUNTED_ROWS):
            rows = part._select(np.arange(start, min(start + _COUNTED_ROWS, self.stops[-1])))
            runs = np.searchsorted(self.starts, rows, "right") - 1
            counts += np.bincount(runs, minlength=len(counts))
        return dataclasses.replace(part, counts=counts)

    def _select(self, rows: np.ndarray) -> np.ndarray:
        """Return those of the rows, by number, that belong to the stream."""
        for share in self.shares:
            rows = rows[share.contains(rows)]
        return rows

    def rows_of(self, runs: np.ndarray, window: Window | None = None) -> np.ndarray:
        """Return the numbers of the rows of some runs that belong to the stream, and to a window."""
        lengths = self.stops[runs] - self.starts[runs]
        shifts = self.starts[runs] - (np.cumsum(lengths) - lengths)
        rows = self._select(np.arange(lengths.sum()) + np.repeat(shifts, lengths))
        if window is None:
            return rows
        counts = self.counts[runs]
        ends = np.cumsum(counts)
        position = np.arange(ends[-1]) - np.repeat(ends - counts + window.first[runs], counts)
        return rows[(position >= 0) & (position < np.repeat(window.counts[runs], counts))]

    def order(self, seed: int | None) -> np.ndarray:
        """Return the runs in the order of an epoch; as they stand if `seed` is None.

        Pieces come in random order, one after another. The runs of a piece are scattered over the time in
        which it and the pieces that may be open beside it have their turn.
        """
        if seed is None:
            return np.arange(len(self.starts))
        rng = _checks.make_rng(seed)
        turns = rng.permutation(len(self.piece_starts))
        scattered = self.n_open * rng.random(len(self.starts))
        return np.argsort(turns[self.pieces] + scattered, kind="stable")

    def blocks(
        self, order: np.ndarray, size: int, first: int = 0, window: Window | None = None
    ) -> Iterator[tuple[int, list[Span]]]:
        """Cut an order of runs into blocks of `size` rows.

        Parameters
        ----------
        order : ndarray of shape (n_runs,), int64
        size : int
        first : int, default=0
            A row of the epoch; blocks begin with the one that holds it.
        window : Window, optional
            Rows of each run to take only.

        Yields
        ------
        begin : int
            The row of the epoch with which the block begins.
        spans : list of Span
        """
        counts = self.counts if window is None else window.counts
        order = order[counts[order] > 0]
        ends = np.cumsum(counts[order])
        last = np.zeros(len(self.piece_starts), np.int64)
        last[self.pieces[order]] = np.arange(len(order))  # of several assignments, the last one holds
        n_rows = int(ends[-1]) if len(ends) else 0
        for begin in range(first // size * size, n_rows, size):
            end = min(begin + size, n_rows)
            k, stop = int(np.searchsorted(ends, begin, "right")), int(np.searchsorted(ends, end)) + 1
            runs = order[k:stop]
            n_passed, n_left = int(counts[runs[0]] - ends[k] + begin), int(ends[stop - 1] - end)
            rows = self.rows_of(runs, window)[n_passed:][: end - begin]
            of_runs = counts[runs]
            of_runs[0] -= n_passed
            of_runs[-1] -= n_left
            is_last = last[self.pieces[runs]] < (stop if n_left == 0 else stop - 1)
            yield begin, self._cut_spans(self.pieces[runs], rows, of_runs, is_last)

    def _cut_spans(
        self, pieces: np.ndarray, rows: np.ndarray, counts: np.ndarray, is_last: np.ndarray
    ) -> list[Span]:
        """Cut a number of rows of each of some runs into spans."""
        if self.spans_are_pieces:
            pieces, first, of_runs = np.unique(pieces, return_index=True, return_inverse=True)
            is_last = is_last[first]
            # The stable sort of 16-bit integers makes no comparisons.
            of_rows = np.repeat(of_runs.astype(np.uint16 if len(pieces) < 2**16 else np.int64), counts)
            rows, counts = rows[np.argsort(of_rows, kind="stable")], np.bincount(of_rows)
        parts = np.split(rows, np.cumsum(counts)[:-1])
        return [Span(int(p), part, bool(d)) for p, part, d in zip(pieces, parts, is_last, strict=True)]

    def sample(self, n: int, seed: int) -> Window:
        """Choose n rows from random places; n must be smaller than the number of rows."""
        rng = _checks.make_rng(seed)
        turns = rng.permutation(len(self.piece_starts))
        of_piece = np.bincount(self.pieces, self.counts, len(turns))
        n_pieces = max(SAMPLE_PIECES, 1 + int(np.searchsorted(np.cumsum(of_piece[np.argsort(turns)]), n)))
        runs = rng.permutation(np.flatnonzero((turns[self.pieces] < n_pieces) & (self.counts > 0)))
        most = -(-n // SAMPLE_RUNS)  # rows of a run
        if np.minimum(self.counts[runs], most).sum() < n:
            most = n
        counts = np.zeros_like(self.counts)
        counts[runs] = np.diff(np.minimum(np.cumsum(np.minimum(self.counts[runs], most)), n), prepend=0)
        return Window(rng.integers(self.counts - counts + 1), counts)
