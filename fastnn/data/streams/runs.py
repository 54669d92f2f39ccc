"""The base class of streams of files: blocks in a shuffled order, splits, samples.

Which rows come when is decided in `order.py`; a subclass defines how they are read.
"""

from __future__ import annotations

import contextlib
import copy
import json
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ... import _checks
from .order import Runs, Share, Span, make_salt
from .stream import Stream

# Largest number of rows of a block, and smallest number of runs, anywhere in the files, that they come from.
BLOCK_ROWS, RUNS_OF_BLOCK = 2**17, 16

_Stream = TypeVar("_Stream", bound="RunStream")


def in_order(rows: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Shuffle rows: row k becomes row ``order[k]`` of them; None leaves them as they are."""
    return rows if order is None else np.take(rows, order, axis=0)


class Parts(NamedTuple):
    """The streams that :meth:`ArrayStream.split` and :meth:`TableStream.split` return.

    Attributes
    ----------
    train : stream
    validation, test : stream or None
        None where the share is 0.
    """

    train: Any
    validation: Any
    test: Any


class RunStream(Stream):
    """A stream of files that are read in runs of neighbouring rows.

    Parameters
    ----------
    runs : Runs
    block_rows : int
        About how many rows are shuffled and encoded at once.
    encoder : Encoder or callable, optional
    target_encoder : Target, optional
    """

    encoder: Any
    target_encoder: Any

    def __init__(self, runs: Runs, block_rows: int, encoder: Any = None, target_encoder: Any = None) -> None:
        self._runs, self.block_rows, self.n_rows = runs, block_rows, runs.n_rows
        _check_encoders(encoder, target_encoder)
        self.encoder, self.target_encoder = encoder, target_encoder

    # --- how files are read -------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> contextlib.AbstractContextManager[Any]:
        """Open the source from which the other methods read."""

    @abstractmethod
    def _read_raw(self, source: Any, spans: list[Span]) -> tuple[Any, np.ndarray]:
        """Return rows and targets as stored in the files."""

    @abstractmethod
    def _read_raw_labels(self, source: Any, spans: list[Span]) -> np.ndarray:
        """Return targets alone, as stored in the files."""

    @abstractmethod
    def _encode_labels(self, y: np.ndarray) -> np.ndarray:
        """Encode targets."""

    @abstractmethod
    def _block(self, source: Any, spans: list[Span], order: np.ndarray | None) -> tuple[Any, ...]:
        """Return encoded rows, of which row k is row ``order[k]`` of the spans."""

    def _describe_row(self, row: int) -> str:
        """Name a row of the source in words."""
        return str(row)

    # --- blocks -------------------------------------------------------------------------------------

    def blocks(self, seed: int | None = None, first: int = 0, multiple: int = 1) -> Iterator[tuple[Any, ...]]:
        """Yield an epoch's rows, block by block: see :meth:`Stream.blocks`.

        Raises
        ------
        ValueError, OSError
            If a file has changed since the stream was made, or holds values that cannot be trained on.
        """
        size = -(-self.block_rows // multiple) * multiple
        with self._open() as source:
            for begin, spans in self._runs.blocks(self._runs.order(seed), size, first):
                order = None
                if seed is not None:
                    n_rows = sum(len(span.rows) for span in spans)
                    order = np.random.default_rng([seed, begin]).permutation(n_rows)
                block = self._block(source, spans, order)
                yield tuple(part[first - begin :] for part in block) if begin < first else block

    def _spans(self, n: int | None = None, seed: int = 0) -> Iterator[list[Span]]:
        """Yield blocks of n rows from random places, or of all rows, in the order of the source."""
        window = None
        n = None if n is None else _checks.check_count("n", n)
        if n is not None and n < self.n_rows:
            window = self._runs.sample(n, seed)
        for _, spans in self._runs.blocks(self._runs.order(None), self.block_rows, window=window):
            yield spans

    def sample(self, n: int, seed: int = 0, *, numbers: bool = False) -> tuple[Any, ...]:
        """Return some rows from random places, not encoded, to fit an encoder and a target on.

        Parameters
        ----------
        n : int
            Number of rows; all of them if there are fewer.
        seed : int, default=0
        numbers : bool, default=False
            Also return the rows' numbers in their source, before the others.

        Returns
        -------
        rows : ndarray of shape (n, ...) or pandas.DataFrame
        y : ndarray
            Targets as stored in the files.
        """
        numbers = _checks.check_flag("numbers", numbers)
        with self._open() as source:
            spans = [span for of_block in self._spans(n, seed) for span in of_block]
            found = self._read_raw(source, spans)
        return (np.concatenate([span.rows for span in spans]), *found) if numbers else found

    def load(self, max_rows: int | None = None, seed: int = 0) -> tuple[Any, ...]:
        """Load all rows, or some from random places, into memory: for ``validation_data``.

        Parameters
        ----------
        max_rows : int, optional
            By default all of them.
        seed : int, default=0

        Returns
        -------
        tuple (x, y) or (x, y, weight)
            Encoded.
        """
        with self._open() as source:
            blocks = [self._block(source, spans, None) for spans in self._spans(max_rows, seed)]
        if _checks.is_sparse(blocks[0][0]):
            vstack = _checks.require("scipy.sparse", "sklearn").vstack
            x = vstack([block[0] for block in blocks], format="csr")
            return x, *(np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:])
        return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))

    # --- parts, encoders ----------------------------------------------------------------------------

    def split(self, *, validation: float = 0.0, test: float = 0.0, seed: int = 0) -> Parts:
        """Split the rows at random into streams.

        The part of a row depends on its number and the seed only, so it is the same whatever else is read.
        The sizes are counted, and differ from the shares by chance.

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
            If a part would be empty.
        """
        _checks.check_number("validation", validation, 0.0, 1.0)
        _checks.check_number("test", test, 0.0, 1.0)
        if validation + test >= 1:
            raise ValueError(
                f"validation and test take {validation + test:g} of the rows: expected less than 1 in all."
            )
        salt = make_salt(_checks.check_count("seed", seed, 0, _checks.LARGEST_SEED), len(self._runs.shares))
        bounds = {
            "test": (0.0, test),
            "validation": (test, test + validation),
            "train": (test + validation, 1.0),
        }
        parts = {
            name: self._with_runs(self._runs.take(Share(salt, low, high))) if low < high else None
            for name, (low, high) in bounds.items()
        }
        for name, part in parts.items():
            if part is not None and part.n_rows == 0:
                raise ValueError(
                    f"of {self.n_rows} rows, none fell to {name}: expected a larger share of it."
                )
        return Parts(**parts)

    def _with_runs(self: _Stream, runs: Runs) -> _Stream:
        stream = copy.copy(self)
        stream._runs, stream.n_rows = runs, runs.n_rows
        return stream

    def encoded(self: _Stream, encoder: Any, target_encoder: Any = None) -> _Stream:
        """Return a stream of the same rows with an encoder, and a target.

        Parameters
        ----------
        encoder : Encoder or callable
            Fitted; a function takes rows and returns their features.
        target_encoder : Target, optional
            Fitted; by default that of this stream, if it has one.

        Returns
        -------
        stream
        """
        stream = copy.copy(self)
        _check_encoders(encoder, target_encoder)
        stream.encoder = encoder
        if target_encoder is not None:
            stream.target_encoder = target_encoder
        stream.n_features = stream._count_features()
        return stream

    def _count_features(self) -> int:
        names = getattr(self.encoder, "feature_names", None)
        if names is not None:
            return len(names)
        with self._open() as source:
            spans = [Span(int(self._runs.pieces[0]), self._runs.starts[:1], True)]
            x = self._block(source, spans, None)[0]
        if np.ndim(x) != 2:
            raise ValueError(f"encoder must return a matrix (rows, features), got shape {np.shape(x)}.")
        return x.shape[1]

    # --- checks -------------------------------------------------------------------------------------

    def _check_block(
        self, block: list[Any], names: tuple[str, ...], spans: list[Span], order: np.ndarray | None
    ) -> None:
        """Raise if a part of a block holds NaN or infinite values; the trainer checks sparse parts."""
        for name, values in zip(names, block, strict=False):
            if _checks.is_sparse(values) or values.dtype.kind != "f":
                continue
            with np.errstate(all="ignore"):
                if np.isfinite(values.sum()):  # a sum is finite unless a value is not, or it overflows
                    continue
            wrong = ~np.isfinite(values)
            wrong = wrong.any(axis=tuple(range(1, wrong.ndim))) if wrong.ndim > 1 else wrong
            if wrong.any():
                self._refuse_rows(name, "has values that are NaN or infinite", wrong, spans, order)

    def _refuse_rows(
        self, name: str, problem: str, wrong: np.ndarray, spans: list[Span], order: np.ndarray | None = None
    ) -> None:
        """Raise, and name the rows of the source that are wrong."""
        rows = np.concatenate([span.rows for span in spans])
        rows = np.sort(in_order(rows, order)[wrong])
        more = f" and {len(rows) - 5} more of this block" if len(rows) > 5 else ""
        listed = ", ".join(self._describe_row(int(row)) for row in rows[:5])
        raise ValueError(
            f"{name} {problem} in row{'s' * (len(rows) > 1)} {listed}{more}: remove or impute them."
        )

    # --- what the trainer asks for ------------------------------------------------------------------

    def count_labels(self) -> np.ndarray:
        """Count the rows of class 0, 1, ...

        Raises
        ------
        ValueError
            If the targets are not class numbers.
        """
        counts = np.zeros(0, np.int64)
        with self._open() as source:
            for spans in self._spans():
                y = self._encode_labels(self._read_raw_labels(source, spans))
                if y.ndim > 1 or y.dtype.kind not in "iub" or y.min() < 0:
                    raise ValueError(f"y must hold class numbers 0, 1, ..., got {y.dtype} from {y.min()} on.")
                more = np.bincount(y, minlength=len(counts))
                counts = more + np.pad(counts, (0, len(more) - len(counts)))
        return counts

    def distinct_labels(self) -> np.ndarray:
        """Return all labels that occur, sorted, as stored in the files."""
        seen: set[Any] = set()
        with self._open() as source:
            for spans in self._spans():
                seen.update(np.unique(self._read_raw_labels(source, spans)).tolist())
        return np.array(sorted(seen))

    def fingerprint(self) -> str:
        """Identify this data for checkpoints, by its sizes and a few of its rows."""
        runs = self._runs
        encoder = self.encoder.to_dict() if hasattr(self.encoder, "to_dict") else None
        first = np.flatnonzero(runs.counts)[:1]
        with self._open() as source:
            spans = [Span(int(runs.pieces[first[0]]), runs.rows_of(first), True)]
            block = self._block(source, spans, None)
        x = block[0].toarray() if _checks.is_sparse(block[0]) else block[0]
        sample = str([zlib.crc32(np.ascontiguousarray(part).data) for part in (x, *block[1:])])
        facts = [runs.shares, self.block_rows, runs.n_open, runs.starts.tolist()[-3:], encoder, sample]
        crc = zlib.crc32(json.dumps(facts, default=str).encode())
        return f"{super().fingerprint()} {crc:08x}"


def _check_encoders(encoder: Any, target_encoder: Any) -> None:
    """Raise TypeError for what cannot encode rows, or targets; None stands for neither."""
    encodes = hasattr(encoder, "transform") and not hasattr(encoder, "iloc")  # tables have both
    if encoder is not None and not encodes and not callable(encoder):
        raise TypeError(f"encoder must be an encoder or a function of rows, got {_checks.shown(encoder)}.")
    if target_encoder is not None and not hasattr(target_encoder, "encode"):
        raise TypeError(f"target_encoder must be a Target, got {_checks.shown(target_encoder)}.")
