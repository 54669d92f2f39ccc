"""Sources of rows, in memory or streamed, behind one interface, so that the loop need not know which.

A source yields the blocks of rows of an epoch (rows in memory are a single block) and remembers what a
training needs to resume within an epoch. It knows nothing about kernels, costs or updates.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Generator, Iterator
from typing import Any, Protocol

import numpy as np

from .. import _checks
from ..data.streams.stream import Stream, read_ahead
from ..kernels.batches import shuffle
from ..network.architecture import Architecture
from ..network.inputs import as_data
from .core import Core
from .rows import Rows, SpreadSums, check_rows, weigh_classes
from .settings import Settings


class Source(Protocol):
    """Rows to train on or to validate with.

    Attributes
    ----------
    n_rows : int
        Number of rows of an epoch.
    rows : Rows
        The current block; all rows, if they are in memory.
    begin : int
        Index, within the epoch, of the block's first row.
    is_streamed : bool
        Whether every pass over the rows reads them again.
    """

    n_rows: int
    rows: Rows
    begin: int
    is_streamed: bool

    @property
    def spread(self) -> float:
        """Squared error, per target, of predicting the mean, over the blocks yielded so far."""

    def blocks(self) -> Generator[Rows]:
        """Yield all rows block by block in their original order, to score them."""

    def start(self, n_done: int, n_epochs: int, rng: np.random.Generator | None) -> None:
        """Prepare to train epochs `n_done` to `n_epochs`; without rng, in the order that was restored."""

    def next_block(self, n_done: int, rng: np.random.Generator) -> Rows:
        """Return the next block to train on, after `n_done` rows of the epoch."""

    def end_block(self) -> None:
        """Record that all rows of the block have been trained on."""

    def end_epoch(self) -> None:
        """Record that the epoch has ended."""

    def close(self) -> None:
        """Stop reading."""

    def fingerprint(self) -> Any:
        """Return a value that identifies these rows."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the source's arrays for a checkpoint, for reading and writing in place."""

    @property
    def counters(self) -> dict[str, int]:
        """The source's numbers for a checkpoint; may be set."""

    @counters.setter
    def counters(self, counters: dict[str, int]) -> None: ...


class InMemory:
    """Rows in memory: one block per epoch, in a new order where they are shuffled.

    Parameters
    ----------
    rows : Rows
    shuffled : bool, default=False
    """

    is_streamed = False

    def __init__(self, rows: Rows, shuffled: bool = False) -> None:
        self.rows, self.n_rows, self.begin = rows, rows.n, 0
        self._is_shuffled = shuffled
        self._spread: float | None = None

    @property
    def spread(self) -> float:
        """See :class:`Source`; the same, to the bit, whatever order the rows are in."""
        if self._spread is None:
            sums = SpreadSums(self.rows.data.targets.shape[1])
            sums.add(SpreadSums.of_block(self.rows.sorted()))
            self._spread = sums.spread
        return self._spread

    def blocks(self) -> Generator[Rows]:
        """See :class:`Source`."""
        yield self.rows

    def start(self, n_done: int, n_epochs: int, rng: np.random.Generator | None) -> None:
        """See :class:`Source`."""

    def next_block(self, n_done: int, rng: np.random.Generator) -> Rows:
        """See :class:`Source`."""
        if self._is_shuffled and n_done == 0:
            shuffle(self.rows.data.indices, rng.integers(2**64, dtype=np.uint64))
        return self.rows

    def end_block(self) -> None:
        """See :class:`Source`."""

    def end_epoch(self) -> None:
        """See :class:`Source`."""

    def close(self) -> None:
        """See :class:`Source`."""

    def fingerprint(self) -> int:
        """See :class:`Source`; the order of the rows is left out, since training changes it."""
        data, total = self.rows.data, 0
        for array in (data.x, data.labels, data.targets, data.weights, data.starts, data.columns):
            total = zlib.crc32(np.ascontiguousarray(array).data, total)
        return total

    def arrays(self) -> dict[str, np.ndarray]:
        """See :class:`Source`."""
        return {"indices": self.rows.data.indices}

    @property
    def counters(self) -> dict[str, int]:
        """See :class:`Source`."""
        return {}

    @counters.setter
    def counters(self, counters: dict[str, int]) -> None:
        pass


class Streamed:
    """A stream's rows: blocks that a thread reads ahead of the training.

    Parameters
    ----------
    stream : Stream
    architecture : Architecture
    settings : Settings
    name : str
        Name of the stream in error messages.
    label_counts : ndarray of shape (n_classes,), optional
        Number of rows of each class, if class weights are balanced.
    """

    is_streamed = True

    def __init__(
        self,
        stream: Stream,
        architecture: Architecture,
        settings: Settings,
        name: str,
        label_counts: np.ndarray | None = None,
    ) -> None:
        if stream.n_rows < 1:
            raise ValueError(f"{name} is empty: expected at least one row.")
        if stream.n_features != architecture.sizes[0]:
            raise ValueError(
                f"{name} has {stream.n_features} features, but the network takes {architecture.sizes[0]}."
            )
        self._stream, self._architecture, self._settings = stream, architecture, settings
        self._label_counts = label_counts
        self.n_rows, self.begin = stream.n_rows, 0
        none = np.empty((0, architecture.sizes[0]), architecture.dtype)
        self.rows = Rows(as_data(none), none)
        self._sums = SpreadSums(settings.loss.n_targets(architecture.sizes[-1]))
        self._block_sums = self._sums.sums
        self._seed = 0  # for the order of the rows
        self._ready: Generator[tuple[Rows, np.ndarray]] = (_ for _ in ())

    @property
    def spread(self) -> float:
        """See :class:`Source`."""
        return self._sums.spread

    def blocks(self) -> Generator[Rows]:
        """See :class:`Source`."""
        self._sums.reset()
        with contextlib.closing(read_ahead(self._checked_blocks())) as ready:
            for rows, sums in ready:
                yield rows
                self._sums.add(sums)

    def start(self, n_done: int, n_epochs: int, rng: np.random.Generator | None) -> None:
        """See :class:`Source`."""
        if rng is not None and self._settings.shuffle:
            self._seed = int(rng.integers(2**64, dtype=np.uint64))
        self._ready = read_ahead(self._all_blocks_to_train(n_done, n_epochs))

    def next_block(self, n_done: int, rng: np.random.Generator) -> Rows:
        """See :class:`Source`."""
        self.rows, self._block_sums = next(self._ready)
        return self.rows

    def end_block(self) -> None:
        """See :class:`Source`."""
        self.begin += self.rows.n
        self._sums.add(self._block_sums)

    def end_epoch(self) -> None:
        """See :class:`Source`."""
        self.begin = 0
        self._sums.reset()

    def close(self) -> None:
        """See :class:`Source`."""
        self._ready.close()

    def fingerprint(self) -> str:
        """See :class:`Source`."""
        return self._stream.fingerprint()

    def arrays(self) -> dict[str, np.ndarray]:
        """See :class:`Source`."""
        return {"spread": self._sums.sums}

    @property
    def counters(self) -> dict[str, int]:
        """See :class:`Source`."""
        return {"begin": self.begin, "seed": self._seed}

    @counters.setter
    def counters(self, counters: dict[str, int]) -> None:
        self.begin, self._seed = counters["begin"], counters["seed"]

    def _checked_blocks(
        self, seed: int | None = None, first: int = 0, multiple: int = 1
    ) -> Iterator[tuple[Rows, np.ndarray]]:
        """Yield the checked blocks of an epoch from row `first` on, each with its sums for the spread."""
        stream, row = self._stream, first
        for x, y, *weights in stream.blocks(seed, first, multiple):
            if (row - first) % multiple:
                raise ValueError(
                    f"a block of the stream ends at row {row}: expected a multiple of {multiple} rows in "
                    "all but the last."
                )
            names = [f"{name} of the block from row {row} on" for name in ("x", "y", "weight")]
            rows = check_rows(self._architecture, self._settings.loss, x, y, *weights, names=names)
            row += rows.n
            if row > stream.n_rows:
                break
            yield rows, SpreadSums.of_block(rows)
        if row != stream.n_rows:
            more = " or more" if row > stream.n_rows else ""
            raise ValueError(
                f"the stream gave {row}{more} rows in an epoch, but its n_rows is {stream.n_rows}."
            )

    def _all_blocks_to_train(self, n_done: int, n_epochs: int) -> Iterator[tuple[Rows, np.ndarray]]:
        """Yield the blocks of all remaining epochs, so that the next is read while this one is validated."""
        settings, first = self._settings, self.begin  # a block with a checkpoint in it is read again
        n_classes = self._architecture.n_classes
        multiple = settings.rows_per_update(self.n_rows)
        for epoch in range(n_done, n_epochs):
            seed = None
            if settings.shuffle:
                sequence = np.random.SeedSequence([self._seed, epoch])
                seed = int(sequence.generate_state(1, np.uint64)[0])
            for rows, sums in self._checked_blocks(seed, first, multiple):
                check_sparse_if_lazy(rows, settings)
                # Do as much as possible here: whenever the training thread releases the interpreter lock, it
                # waits for this one, and training stands still.
                rows = weigh_classes(rows, settings.class_weight, n_classes, self._label_counts)
                yield rows.in_order(np.arange(rows.n)), sums
            first = 0


def check_sparse_if_lazy(rows: Rows, settings: Settings) -> None:
    """Raise ValueError if lazy updates are asked for but the rows are dense."""
    if settings.lazy and not rows.is_sparse:
        raise ValueError("lazy is for sparse rows, but x is dense.")


def open_sources(
    core: Core, data: tuple[Any, Any, Any], validation_data: Any, validation_fraction: float | None
) -> tuple[Source, Source | None]:
    """Check the data given to ``Trainer.fit``; return the sources to train on and to validate with.

    Parameters
    ----------
    core : Core
    data : tuple (x, y, sample_weight)
    validation_data, validation_fraction
        See :meth:`fastnn.Trainer.fit`.
    """
    (x, y, sample_weight), settings = data, core.settings
    architecture, rng = core.network.architecture, core.state.rng
    if isinstance(x, Stream):
        _refuse_with_stream(y, sample_weight, validation_fraction, settings)
        counts = None
        if settings.class_weight == "balanced":
            counts = _count_labels(x, architecture.n_classes)
        source = Streamed(x, architecture, settings, "x", counts)
        return source, open_held_out(validation_data, architecture, settings)
    rows = check_rows(architecture, settings.loss, x, y, sample_weight)
    check_sparse_if_lazy(rows, settings)
    order, held_out = np.arange(rows.n), None
    if validation_fraction is not None:
        if validation_data is not None:
            raise ValueError("give validation_data or validation_fraction, not both.")
        order, held_out = _split(rows, validation_fraction, rng)
    n_classes = architecture.n_classes
    to_train = InMemory(
        weigh_classes(rows.in_order(order), settings.class_weight, n_classes), settings.shuffle
    )
    to_validate = (
        open_held_out(validation_data, architecture, settings)
        if held_out is None
        else InMemory(rows.in_order(held_out))
    )
    for name, part in {"train on": to_train, "validate with": to_validate}.items():
        if part is not None and part.rows.weights is not None and not part.rows.weights.any():
            raise ValueError(f"the weights of all rows to {name} are 0.")
    return to_train, to_validate


def open_held_out(validation_data: Any, architecture: Architecture, settings: Settings) -> Source | None:
    """Check the rows given to validate with."""
    if validation_data is None:
        return None
    if isinstance(validation_data, Stream):
        return Streamed(validation_data, architecture, settings, "validation_data")
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            "validation_data must be a tuple (x_val, y_val) or (x_val, y_val, weight_val), or a Stream."
        )
    names = ("x_val", "y_val", "weight_val")
    return InMemory(check_rows(architecture, settings.loss, *validation_data, names=names))


def _count_labels(stream: Stream, n_classes: int) -> np.ndarray:
    """Count the rows of each class of a stream."""
    counts = stream.count_labels()
    if counts is None:
        raise ValueError(
            f"class_weight='balanced' needs the number of rows of each class, but "
            f"{type(stream).__name__}.count_labels() returns None: pass a dict of weights."
        )
    if len(counts) > n_classes:
        raise ValueError(
            f"the stream holds the label {len(counts) - 1}, but the classes are 0 to {n_classes - 1}."
        )
    return np.pad(counts, (0, n_classes - len(counts)))


def _split(rows: Rows, fraction: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of the rows at random; classes keep their proportions."""
    _checks.check_number("validation_fraction", fraction, 0.0, 1.0, open_low=True)
    split = _checks.require("sklearn.model_selection", "sklearn").train_test_split
    has_one_label = rows.data.labels.shape[1] == 1
    to_train, held_out = split(
        np.arange(rows.n),
        test_size=fraction,
        random_state=int(rng.integers(2**31)),
        stratify=rows.data.labels if has_one_label else None,
    )
    return to_train, held_out


def _refuse_with_stream(y: Any, sample_weight: Any, fraction: float | None, settings: Settings) -> None:
    """Raise ValueError for arguments that cannot be combined with a stream."""
    for name, given in {"y": y, "sample_weight": sample_weight}.items():
        if given is not None:
            raise ValueError(f"x is a stream, which brings its own {name}: expected {name}=None.")
    if fraction is not None:
        raise ValueError(
            "validation_fraction cannot be combined with a stream: use its split(), and pass one part as "
            "validation_data."
        )
    if settings.is_lbfgs:
        raise ValueError("optimizer 'lbfgs' needs all rows at once, but x is a stream.")
    if settings.batch_size is None:
        raise ValueError("batch_size=None takes all rows at once, but x is a stream: pass a number.")
