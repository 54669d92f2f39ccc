"""The interface of streams, whose rows come block by block; and a thread that reads ahead."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def read_ahead(items: Iterable[T], n_ahead: int = 2) -> Generator[T, None, None]:
    """Yield the items, which a thread makes ahead of time; errors of the thread are raised here.

    The thread starts when the first item is asked for, and has ended when the generator is exhausted or
    closed.

    Parameters
    ----------
    items : iterable
    n_ahead : int, default=2
        How many items may be made and not yet asked for.

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
        except BaseException as error:  # also KeyboardInterrupt: the consumer raises it
            ready.put((end, error))
        finally:
            if hasattr(made, "close"):
                made.close()

    thread = threading.Thread(target=read, name="fastnn-reader", daemon=True)
    thread.start()
    try:
        while True:
            if not thread.is_alive() and ready.empty():
                raise RuntimeError("a stream cannot be read on in a forked child: its reader is not in it.")
            item, error = ready.get()
            room.release()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
            item = None  # frees the item while the next is waited for
    finally:
        if thread.is_alive():  # in a forked child, it is not, and may have left the two locked
            stopped.set()
            room.release()
            thread.join()


class Stream(ABC):
    """Rows that come block by block, for ``Trainer.fit(stream)`` and ``Trainer.evaluate(stream)``.

    Subclass it for your own data; :class:`ArrayStream` and :class:`TableStream` read files.

    Attributes
    ----------
    n_rows : int
        Number of rows of an epoch.
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
        """Yield an epoch's rows, block by block.

        Parameters
        ----------
        seed : int or None
            Seed of the order: the same seed gives the same order of rows. None keeps their own order.
        first : int, default=0
            First row of the epoch to yield, a multiple of `multiple`: rows before it are skipped, which does
            not change the others.
        multiple : int, default=1
            The size of every block but the last is a multiple of it. The trainer asks for whole batches.

        Yields
        ------
        tuple (x, y) or (x, y, weight)
            Arrays of at least one row, as ``Trainer.fit`` takes them.
        """

    def count_labels(self) -> np.ndarray | None:
        """Count the rows of class 0, 1, ..., for ``class_weight="balanced"``; None if they are unknown."""
        return None

    def fingerprint(self) -> str:
        """Return a text that identifies this data for checkpoints."""
        return f"{type(self).__name__} {self.n_rows} x {self.n_features}"
