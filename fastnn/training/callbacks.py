"""Callbacks: what a user has done at certain moments of training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..history import Epoch

if TYPE_CHECKING:
    from .trainer import Trainer


class Batch(NamedTuple):
    """What one step did.

    Attributes
    ----------
    epoch : int
        The epoch it belongs to, counted from 1 as in the history.
    step : int
        Counted from 1 over all calls of ``fit``.
    n_rows : int
    cost : float
        Mean loss of its rows before its update, with the penalty, if any.
    lr : float
        Learning rate of its update.
    """

    epoch: int
    step: int
    n_rows: int
    cost: float
    lr: float


class Callback:
    """Subclass it and define the events that matter; all others do nothing.

    In every one of them ``trainer.stop(reason)`` ends training, ``trainer.lr`` may be set, and network and
    history may be read. ``on_batch_end`` has a price: steps then come one at a time instead of many in one
    compiled call.

    Examples
    --------
    >>> class StopAt(Callback):
    ...     def __init__(self, cost):
    ...         self.cost = cost
    ...     def on_epoch_end(self, trainer, epoch):
    ...         if epoch.cost < self.cost:
    ...             trainer.stop(f"the cost fell below {self.cost}")
    >>> StopAt(0.1).on_epoch_end(None, Epoch(1, 0.5, 0.75, None, None, 0.1, 1000.0))
    """

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Training is about to start; arguments have been checked."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """An epoch is about to start."""

    def on_batch_end(self, trainer: Trainer, batch: Batch) -> None:
        """A step has been made."""

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        """An epoch has ended, validation included; the history holds it already."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Training has ended, by whatever reason: an error and Ctrl-C are reasons too."""


class _OnEpochEnd(Callback):
    """A plain function, told of every epoch."""

    def __init__(self, function: Callable[[Any, Epoch], Any]) -> None:
        self._function = function

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:
        self._function(trainer, epoch)


def as_callback(spec: Callback | Callable[[Any, Epoch], Any]) -> Callback:
    """A callback, or a plain function ``f(trainer, epoch)`` as one that acts at the end of epochs.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(spec, Callback):
        return spec
    if isinstance(spec, type):
        raise TypeError(
            f"a callback must be an object, got the class {spec.__name__}: use {spec.__name__}(...)."
        )
    if callable(spec):
        return _OnEpochEnd(spec)
    raise TypeError(f"a callback must be a fastnn.Callback or a function f(trainer, epoch), got {spec!r}.")


def wants_batches(callbacks: Iterable[Callback]) -> bool:
    """Whether any of them listens to ``on_batch_end``."""
    return any(
        getattr(callback.on_batch_end, "__func__", None) is not Callback.on_batch_end
        for callback in callbacks
    )


class CallbackList(Callback):
    """Several callbacks as one, told in their order.

    Parameters
    ----------
    callbacks : Callback, callable, iterable of them, or None

    Attributes
    ----------
    wants_batches : bool
        Whether any of them listens to ``on_batch_end``.

    Examples
    --------
    >>> callbacks = CallbackList(lambda trainer, epoch: print("cost", epoch.cost))
    >>> callbacks.on_epoch_end(None, Epoch(1, 0.5, 0.75, None, None, 0.1, 1000.0))
    cost 0.5
    >>> callbacks.wants_batches
    False
    """

    def __init__(self, callbacks: Any = None) -> None:
        if callbacks is None:
            callbacks = ()
        elif isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            callbacks = (callbacks,)
        self.callbacks: list[Callback] = []
        for callback in callbacks:
            nested = isinstance(callback, CallbackList)
            self.callbacks += callback.callbacks if nested else [as_callback(callback)]
        self.wants_batches = wants_batches(self.callbacks)

    def on_fit_begin(self, trainer: Trainer) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_fit_begin(trainer)

    def on_epoch_begin(self, trainer: Trainer) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_begin(trainer)

    def on_batch_end(self, trainer: Trainer, batch: Batch) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_batch_end(trainer, batch)

    def on_epoch_end(self, trainer: Trainer, epoch: Epoch) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_end(trainer, epoch)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Tell all of them, even where one raises: others have files to close."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_fit_end, trainer)
