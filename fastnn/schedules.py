"""Learning-rate schedules: the rate of every step, from the optimiser's own rate.

A schedule never changes. What it must remember between epochs is in a dict that the trainer keeps, so one
schedule can serve several trainers, and a resumed training continues where it stopped.

The file is longer than most because it is a catalogue: one class per schedule, with its rule and source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from . import _checks
from .history import MONITORS, Epoch

Json = dict[str, Any]  # of values that JSON can hold


class Schedule:
    """A rule for the learning rate; derive from it for a rule of your own.

    Attributes
    ----------
    monitor : str or None
        Name of the figure of an epoch that the schedule depends on, if any.

    Examples
    --------
    >>> class Halved(Schedule):
    ...     def rates(self, lr, epoch, n_epochs, n_steps, n_seen, state):
    ...         return np.full(n_steps, lr / 2)
    >>> Halved().rates(0.1, epoch=0, n_epochs=5, n_steps=2, n_seen=0, state={})
    array([0.05, 0.05])
    """

    monitor: str | None = None

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:
        """Return the learning rates of an epoch's steps.

        Parameters
        ----------
        lr : float
            The optimiser's own rate.
        epoch : int
            Number of epochs done before, over all calls of ``fit``.
        n_epochs : int
            Number of epochs planned in all, including those done.
        n_steps : int
            Number of steps of this epoch.
        n_seen : int
            Number of rows trained on before this epoch; a row counts once per epoch.
        state : dict
            State of the schedule; JSON must be able to hold it.

        Returns
        -------
        ndarray of shape (n_steps,), float64
        """
        raise NotImplementedError

    def observe(self, record: Epoch, state: Json) -> bool:
        """Record an epoch that has ended; return True to stop training."""
        return False

    def _monitored(self, record: Epoch) -> float:
        """Return the monitored figure, negated if higher is better."""
        value = getattr(record, str(self.monitor))
        if value is None:
            raise ValueError(
                f"{type(self).__name__} monitors {self.monitor!r}, but there is no validation_data "
                "and no validation_fraction."
            )
        return -value if str(self.monitor).endswith("metric") else value


def _progress(epoch: int, n_steps: int) -> ndarray:
    """Return the number of epochs done before each step of an epoch, as a fraction."""
    return epoch + np.arange(n_steps) / n_steps


def _cosine(start: float, end: float, share: ndarray) -> ndarray:
    """Return the values between `start` and `end` on half a cosine, at these shares of the way."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


@dataclass(frozen=True)
class Constant(Schedule):
    """The optimiser's own rate at all steps.

    Examples
    --------
    >>> Constant().rates(0.1, epoch=7, n_epochs=10, n_steps=2, n_seen=0, state={})
    array([0.1, 0.1])
    """

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        return np.full(n_steps, float(lr))


@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by a factor at regular intervals.

    Parameters
    ----------
    every : int
        Number of epochs between two changes.
    factor : float, default=0.1

    Examples
    --------
    >>> Step(every=2, factor=0.5).rates(0.1, epoch=4, n_epochs=10, n_steps=2, n_seen=0, state={})
    array([0.025, 0.025])
    """

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _checks.check_count("every", self.every)
        _checks.check_number("factor", self.factor, 0.0, open_low=True)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        return np.full(n_steps, lr * self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class Milestones(Schedule):
    """The rate is multiplied by a factor at given epochs.

    Parameters
    ----------
    epochs : sequence of int
        Numbers of epochs after which the rate changes, in ascending order.
    factor : float, default=0.1

    Examples
    --------
    >>> Milestones([30, 60]).rates(1.0, epoch=30, n_epochs=90, n_steps=2, n_seen=0, state={})
    array([0.1, 0.1])
    """

    epochs: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.epochs, str) or not isinstance(self.epochs, (Sequence, np.ndarray)):
            raise TypeError(f"epochs must be a sequence of integers, got {_checks.shown(self.epochs)}.")
        epochs = tuple(_checks.check_count(f"epochs[{i}]", epoch) for i, epoch in enumerate(self.epochs))
        if not epochs or list(epochs) != sorted(set(epochs)):
            raise ValueError(f"epochs must hold at least one number, in ascending order, got {list(epochs)}.")
        object.__setattr__(self, "epochs", epochs)
        _checks.check_number("factor", self.factor, 0.0, open_low=True)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        n_passed = sum(milestone <= epoch for milestone in self.epochs)
        return np.full(n_steps, lr * self.factor**n_passed)


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate is multiplied by a factor after every epoch.

    Parameters
    ----------
    factor : float

    Examples
    --------
    >>> Exponential(0.5).rates(0.1, epoch=1, n_epochs=10, n_steps=2, n_seen=0, state={})
    array([0.05, 0.05])
    """

    factor: float

    def __post_init__(self) -> None:
        _checks.check_number("factor", self.factor, 0.0, open_low=True)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        return np.full(n_steps, lr * self.factor**epoch)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """scikit-learn's "invscaling": the rate is ``lr / (n_seen + 1) ** power``, constant within an epoch.

    Parameters
    ----------
    power : float, default=0.5

    Examples
    --------
    >>> InverseScaling().rates(0.1, epoch=1, n_epochs=10, n_steps=2, n_seen=99, state={})
    array([0.01, 0.01])
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        _checks.check_number("power", self.power, 0.0)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        return np.full(n_steps, lr / (n_seen + 1) ** self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """The rate falls along half a cosine, step by step (Loshchilov and Hutter, 2017, without restarts).

    Parameters
    ----------
    min_lr : float, default=0.0
        Rate at the end.
    epochs : int, optional
        Number of epochs of the fall, after which the rate stays at `min_lr`; by default the whole run.

    Examples
    --------
    >>> Cosine().rates(0.1, epoch=0, n_epochs=1, n_steps=4, n_seen=0, state={}).round(3)
    array([0.1  , 0.085, 0.05 , 0.015])
    """

    min_lr: float = 0.0
    epochs: int | None = None

    def __post_init__(self) -> None:
        _checks.check_number("min_lr", self.min_lr, 0.0)
        if self.epochs is not None:
            _checks.check_count("epochs", self.epochs)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        share = _progress(epoch, n_steps) / (self.epochs or n_epochs)
        return _cosine(lr, self.min_lr, np.minimum(share, 1.0))


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half a cosine with restarts: SGDR (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    period : int, default=10
        Number of epochs from the start to the first restart.
    growth : int, default=1
        Factor by which each period is longer than the one before.
    min_lr : float, default=0.0
        Rate at the end of a period.

    Examples
    --------
    >>> schedule = CosineRestarts(period=2, growth=2)
    >>> [float(schedule.rates(1.0, epoch, 10, 1, 0, {})[0].round(2)) for epoch in range(7)]
    [1.0, 0.5, 1.0, 0.85, 0.5, 0.15, 1.0]
    """

    period: int = 10
    growth: int = 1
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        _checks.check_count("period", self.period)
        _checks.check_count("growth", self.growth)
        _checks.check_number("min_lr", self.min_lr, 0.0)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        start, period = 0, self.period
        while epoch >= start + period:
            start, period = start + period, period * self.growth
        return _cosine(lr, self.min_lr, _progress(epoch - start, n_steps) / period)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One rise and one longer fall over the whole run, step by step (Smith and Topin, 2018).

    Both follow half a cosine, as in PyTorch's OneCycleLR; the momentum does not change.

    Parameters
    ----------
    max_lr : float, optional
        The highest rate; by default the optimiser's own.
    pct_start : float in (0, 1), default=0.3
        Share of the steps in which the rate rises.
    div_factor : float, default=25.0
        The first rate is ``max_lr / div_factor``.
    final_div_factor : float, default=1e4
        The last rate is the first one divided by this.

    Examples
    --------
    >>> OneCycle(0.1).rates(0.001, epoch=0, n_epochs=1, n_steps=10, n_seen=0, state={}).round(3)
    array([0.004, 0.052, 0.1  , 0.095, 0.081, 0.061, 0.039, 0.019, 0.005, 0.   ])
    """

    max_lr: float | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        if self.max_lr is not None:
            _checks.check_number("max_lr", self.max_lr, 0.0, open_low=True)
        _checks.check_number("pct_start", self.pct_start, 0.0, 1.0, open_low=True)
        _checks.check_number("div_factor", self.div_factor, 1.0)
        _checks.check_number("final_div_factor", self.final_div_factor, 1.0)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        highest = self.max_lr or lr
        lowest = highest / self.div_factor
        last = n_epochs * n_steps - 1
        peak = self.pct_start * n_epochs * n_steps - 1
        step = epoch * n_steps + np.arange(n_steps)
        rise = _cosine(lowest, highest, step / max(peak, 1.0))
        fall = _cosine(
            highest, lowest / self.final_div_factor, np.minimum((step - peak) / (last - peak), 1.0)
        )
        return np.where(step < peak, rise, fall)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Another schedule with reduced rates at the start (Goyal et al., 2017).

    The factor on the rates rises linearly from `start_factor` to 1, step by step. The other schedule runs
    from the first step, too.

    Parameters
    ----------
    then : Schedule, str or callable, default="constant"
        The other schedule, see :func:`as_schedule`.
    epochs : float, optional
    steps : int, optional
        Length of the warm-up, in epochs or in steps; exactly one of the two.
    start_factor : float in [0, 1), default=0.1
        Factor on the first rate.

    Examples
    --------
    >>> WarmUp("cosine", epochs=5).then
    Cosine(min_lr=0.0, epochs=None)
    >>> WarmUp(steps=4, start_factor=0.2).rates(1.0, epoch=0, n_epochs=9, n_steps=6, n_seen=0, state={})
    array([0.2, 0.4, 0.6, 0.8, 1. , 1. ])
    """

    then: Schedule | str | Callable[[float, float], float] | None = None
    epochs: float | None = None
    steps: int | None = None
    start_factor: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", as_schedule(self.then))
        if (self.epochs is None) == (self.steps is None):
            found = f"epochs={_checks.shown(self.epochs)}, steps={_checks.shown(self.steps)}"
            raise ValueError(f"WarmUp takes either epochs or steps, got {found}.")
        if self.epochs is not None:
            _checks.check_number("epochs", self.epochs, 0.0, open_low=True)
        if self.steps is not None:
            _checks.check_count("steps", self.steps)
        _checks.check_number("start_factor", self.start_factor, 0.0, 1.0)

    @property
    def monitor(self) -> str | None:  # type: ignore[override]
        """Name of the figure that the other schedule depends on."""
        return as_schedule(self.then).monitor

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        rates = as_schedule(self.then).rates(lr, epoch, n_epochs, n_steps, n_seen, state)
        n_warm = self.steps or float(self.epochs or 0) * n_steps
        share = np.minimum((epoch * n_steps + np.arange(n_steps)) / n_warm, 1.0)
        return rates * (self.start_factor + (1 - self.start_factor) * share)

    def observe(self, record: Epoch, state: Json) -> bool:  # noqa: D102
        return as_schedule(self.then).observe(record, state)


@dataclass(frozen=True)
class Plateau(Schedule):
    """The rate is multiplied by a factor when a figure has not improved for some epochs.

    It follows PyTorch's ReduceLROnPlateau with ``threshold_mode="abs"``, whose patience is one less.

    Parameters
    ----------
    factor : float in (0, 1), default=0.1
    patience : int, default=10
        Number of epochs in a row without improvement after which the rate falls and the count restarts.
    min_delta : float, default=1e-4
        Smallest change of the figure, since its last improvement, that counts as one.
    min_lr : float, default=0.0
        Lower bound of the rate.
    monitor : {"val_cost", "val_metric", "cost", "metric"}, default="val_cost"
        Name of the figure; lower costs and higher metrics are better.

    Examples
    --------
    >>> schedule, state = Plateau(patience=1, monitor="cost"), {}
    >>> for cost in (0.7, 0.7):
    ...     _ = schedule.observe(Epoch(1, cost, 0.5, None, None, 1.0, 100.0), state)
    >>> schedule.rates(0.5, epoch=2, n_epochs=5, n_steps=2, n_seen=200, state=state)
    array([0.05, 0.05])
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    min_lr: float = 0.0
    monitor: str = "val_cost"

    def __post_init__(self) -> None:
        _check_monitoring(self)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        lowest = min(lr, self.min_lr)
        return np.full(n_steps, max(lr * self.factor ** state.get("cuts", 0), lowest))

    def observe(self, record: Epoch, state: Json) -> bool:  # noqa: D102
        value = self._monitored(record)
        if value < state.get("best", math.inf) - self.min_delta:
            state["best"], state["waited"] = value, 0
        else:
            state["waited"] = state.get("waited", 0) + 1
        if state["waited"] >= self.patience:
            state["cuts"], state["waited"] = state.get("cuts", 0) + 1, 0
        return False


@dataclass(frozen=True)
class Adaptive(Schedule):
    """scikit-learn's "adaptive": the rate falls at every plateau, and training stops when it is very small.

    Parameters
    ----------
    factor : float in (0, 1), default=0.2
    patience : int, default=10
        Number of epochs in a row without improvement after which the rate falls and the count restarts;
        scikit-learn's ``n_iter_no_change`` is one less.
    min_delta : float, default=1e-4
        Smallest change of the figure, compared with its best value, that counts as an improvement.
    min_lr : float, default=1e-6
        Training stops at the end of a plateau at this rate or a lower one.
    monitor : {"val_cost", "val_metric", "cost", "metric"}, default="cost"
        Name of the figure; lower costs and higher metrics are better. The cost is without the penalty, which
        scikit-learn's includes.

    Examples
    --------
    >>> schedule, state = Adaptive(patience=1), {}
    >>> rates = []
    >>> for epoch in range(3):
    ...     rates.append(float(schedule.rates(0.5, epoch, 9, 2, 100 * epoch, state)[0].round(3)))
    ...     _ = schedule.observe(Epoch(epoch + 1, 0.7, 0.5, None, None, 1.0, 100.0), state)
    >>> rates
    [0.5, 0.5, 0.1]
    """

    factor: float = 0.2
    patience: int = 10
    min_delta: float = 1e-4
    min_lr: float = 1e-6
    monitor: str = "cost"

    def __post_init__(self) -> None:
        _check_monitoring(self)

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        state["lr"] = float(lr * self.factor ** state.get("cuts", 0))
        return np.full(n_steps, state["lr"])

    def observe(self, record: Epoch, state: Json) -> bool:  # noqa: D102
        value, best = self._monitored(record), state.get("best", math.inf)
        state["waited"] = 0 if value <= best - self.min_delta else state.get("waited", 0) + 1
        if value < best:
            state["best"] = value
        if state["waited"] < self.patience:
            return False
        if state["lr"] <= self.min_lr:
            return True
        state["cuts"], state["waited"] = state.get("cuts", 0) + 1, 0
        return False


def _check_monitoring(schedule: Plateau | Adaptive) -> None:
    """Check the settings of a schedule that depends on a figure."""
    _checks.check_number("factor", schedule.factor, 0.0, 1.0, open_low=True)
    _checks.check_count("patience", schedule.patience)
    _checks.check_number("min_delta", schedule.min_delta, 0.0)
    _checks.check_number("min_lr", schedule.min_lr, 0.0)
    _checks.check_name("monitor", schedule.monitor, MONITORS)


@dataclass(frozen=True)
class Function(Schedule):
    """A function of time of the user's own.

    Parameters
    ----------
    function : callable
        ``function(epoch, lr)`` returns the rate of a step from the optimiser's own rate. `epoch` is a float,
        the number of epochs done before that step: 2.5 is in the middle of the third epoch.

    Examples
    --------
    >>> Function(lambda epoch, lr: lr / (1 + epoch)).rates(0.1, 0, 5, n_steps=2, n_seen=0, state={}).round(3)
    array([0.1  , 0.067])
    """

    function: Callable[[float, float], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must be a callable f(epoch, lr), got {_checks.shown(self.function)}.")

    def rates(self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: Json) -> ndarray:  # noqa: D102
        rates = np.empty(n_steps)
        for i, done in enumerate(_progress(epoch, n_steps).tolist()):
            name = f"the schedule's rate at epoch {done:g}"
            rates[i] = _checks.check_number(name, self.function(done, lr), 0.0)
        return rates


# Schedules that need no arguments.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "adaptive": Adaptive,
}


def as_schedule(spec: Schedule | str | Callable[[float, float], float] | None) -> Schedule:
    """Return a schedule from its name or function, or the schedule itself.

    Parameters
    ----------
    spec : Schedule, str, callable or None
        A name stands for the schedule with its defaults: "constant", "inverse_scaling", "cosine",
        "cosine_restarts", "one_cycle", "plateau" or "adaptive"; None for "constant". A callable is
        ``f(epoch, lr)``, see :class:`Function`.

    Raises
    ------
    ValueError
        If there is no schedule of that name.
    TypeError
        If `spec` is something else.

    Examples
    --------
    >>> as_schedule("cosine")
    Cosine(min_lr=0.0, epochs=None)
    """
    if spec is None:
        return Constant()
    if isinstance(spec, str):
        return SCHEDULES[_checks.check_name("schedule", spec, SCHEDULES)]()
    if isinstance(spec, Schedule):
        return spec
    if isinstance(spec, type):
        raise TypeError(
            f"schedule must be an object, got the class {spec.__name__}: use {spec.__name__}(...)."
        )
    if callable(spec):
        return Function(spec)
    raise TypeError(
        f"schedule must be one of {', '.join(SCHEDULES)}, a schedule such as fastnn.schedules.Step(10), "
        f"or a function f(epoch, lr), got {_checks.shown(spec)}."
    )
