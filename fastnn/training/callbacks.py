"""Callbacks: the user's own code, called at certain points of training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from numpy.typing import ArrayLike

from .. import _checks
from ..history import Epoch, History
from ..network.mlp import MLP
from .settings import Settings


class TrainerLike(Protocol):
    """The part of :class:`fastnn.Trainer` that callbacks may read, set and call."""

    net: MLP
    settings: Settings
    lr: float

    @property
    def history(self) -> History:
        """Figures of all epochs so far."""

    @property
    def n_rows(self) -> int:
        """Number of rows to train on."""

    def stop(self, reason: str = "stopped") -> None:
        """End training."""

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Give the network its averaged weights within the block."""

    def gradient(
        self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[Any], list[Any]]:
        """Compute cost and gradient of some rows."""


class Batch(NamedTuple):
    """Figures of one step.

    Attributes
    ----------
    epoch : int
        Number of its epoch, counted from 1 as in the history.
    step : int
        Number of the step, counted from 1 over all calls of ``fit``.
    n_rows : int
        Number of rows in the batch.
    cost : float
        Mean loss of its rows before the update, without penalty.
    lr : float
        Learning rate of the update.
    """

    epoch: int
    step: int
    n_rows: int
    cost: float
    lr: float


class Callback:
    """Base class of callbacks: define the events that matter; all others do nothing.

    In every event, ``trainer.stop(reason)`` ends training, ``trainer.lr`` may be set, and network and history
    may be read. Defining ``on_batch_end`` has a cost: steps then run one at a time instead of many in one
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

    def on_fit_begin(self, trainer: TrainerLike) -> None:
        """Training is about to start; arguments have been checked."""

    def on_epoch_begin(self, trainer: TrainerLike) -> None:
        """An epoch is about to start."""

    def on_batch_end(self, trainer: TrainerLike, batch: Batch) -> None:
        """A step has been made."""

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:
        """An epoch has ended, validation included; the history holds it already."""

    def on_fit_end(self, trainer: TrainerLike) -> None:
        """Training has ended, for whatever reason, errors and Ctrl-C included."""


class _OnEpochEnd(Callback):
    """A plain function, called after every epoch."""

    def __init__(self, function: Callable[[Any, Epoch], Any]) -> None:
        self._function = function

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:
        self._function(trainer, epoch)


def as_callback(spec: Callback | Callable[[Any, Epoch], Any]) -> Callback:
    """Return a callback unchanged, and wrap a function ``f(trainer, epoch)`` to be called after epochs.

    Raises
    ------
    TypeError
        If the argument is neither.
    """
    if isinstance(spec, Callback):
        return spec
    if isinstance(spec, type):
        raise TypeError(
            f"a callback must be an object, got the class {spec.__name__}: use {spec.__name__}(...)."
        )
    if callable(spec):
        return _OnEpochEnd(spec)
    raise TypeError(
        f"a callback must be a fastnn.Callback or a function f(trainer, epoch), got {_checks.shown(spec)}."
    )


def wants_batches(callbacks: Iterable[Callback]) -> bool:
    """Return whether any of the callbacks defines ``on_batch_end``."""
    return any(
        getattr(callback.on_batch_end, "__func__", None) is not Callback.on_batch_end
        for callback in callbacks
    )


class CallbackList(Callback):
    """Several callbacks combined into one, called in order.

    Parameters
    ----------
    callbacks : Callback, callable, iterable of them, or None

    Attributes
    ----------
    wants_batches : bool
        Whether any of them defines ``on_batch_end``.

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

    def on_fit_begin(self, trainer: TrainerLike) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_fit_begin(trainer)

    def on_epoch_begin(self, trainer: TrainerLike) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_begin(trainer)

    def on_batch_end(self, trainer: TrainerLike, batch: Batch) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_batch_end(trainer, batch)

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:  # noqa: D102
        for callback in self.callbacks:
            callback.on_epoch_end(trainer, epoch)

    def on_fit_end(self, trainer: TrainerLike) -> None:
        """Call all callbacks, even if one raises: others have files to close."""
        with contextlib.ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_fit_end, trainer)
