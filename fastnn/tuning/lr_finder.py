"""The learning-rate range test."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from ..schedules import Schedule
from ..training.callbacks import Batch, Callback
from ..training.trainer import DivergenceError, Trainer

DIVERGED = 4.0  # times the best cost so far; fast.ai's number


@dataclass(frozen=True)
class LRCurve:
    """What :func:`find_lr` saw.

    Attributes
    ----------
    lrs : ndarray of shape (n,)
        Learning rates, rising.
    costs : ndarray of shape (n,)
        Smoothed cost of the batch at each rate.
    suggestion : float or None
        The rate at which the cost falls most steeply; None where it never falls.

    Examples
    --------
    >>> lrs = np.logspace(-4, 0, 9)
    >>> curve = LRCurve(lrs, np.array([1, 1, 0.9, 0.5, 0.2, 0.1, 0.1, 0.5, 2]))
    >>> round(curve.suggestion, 4)
    0.0032
    """

    lrs: np.ndarray
    costs: np.ndarray

    @property
    def suggestion(self) -> float | None:
        """The rate at which the cost falls most steeply."""
        best = int(np.argmin(self.costs))
        if best == 0:
            return None
        # beyond the lowest cost a fall is only a rebound
        slopes = np.gradient(self.costs[: best + 1], np.log(self.lrs[: best + 1]))
        return float(self.lrs[np.argmin(slopes)])

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None):
        """Draw the cost against the rate, with the suggestion.

        Parameters
        ----------
        path : path-like, optional
            Also write the figure there, as its suffix says.
        ax : matplotlib Axes, optional
            Draw into these; by default a figure is made.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            Where matplotlib is not installed.
        """
        from ..plots.style import BLUE, VERMILLION, new_axes

        is_own, ax = ax is None, new_axes(ax)
        figure = ax.figure
        ax.plot(self.lrs, self.costs, color=BLUE, linewidth=1.8)
        if self.suggestion is not None:
            cost = self.costs[np.searchsorted(self.lrs, self.suggestion)]
            ax.plot(self.suggestion, cost, "o", color=VERMILLION, label=f"suggestion: {self.suggestion:.2g}")
            ax.axvline(self.suggestion, color=VERMILLION, linewidth=0.8, linestyle="--")
            ax.legend(frameon=False)
        ax.set(xscale="log", xlabel="learning rate", ylabel="cost (smoothed)")
        ax.set_title("Learning-rate range test", fontsize=11, loc="left")
        if path is not None:
            figure.savefig(path, dpi=150)
            if is_own:
                _checks.require("matplotlib.pyplot", "plots").close(figure)
        return figure


@dataclass(frozen=True)
class _Sweep(Schedule):
    """From `min_lr` by equal factors to `max_lr`, in `n_sweep` steps."""

    min_lr: float
    max_lr: float
    n_sweep: int

    def rates(self, lr, epoch, n_epochs, n_steps, n_seen, state):
        step = np.minimum(epoch * n_steps + np.arange(n_steps), self.n_sweep - 1)
        return self.min_lr * (self.max_lr / self.min_lr) ** (step / (self.n_sweep - 1))


class _Record(Callback):
    """Rates and costs of batches, until there are `n_steps` of them or the cost diverges."""

    def __init__(self, n_steps: int, smoothing: float) -> None:
        self._n_steps = n_steps
        self._smoothing = smoothing
        self._done = False
        self._best = math.inf
        self.lrs: list[float] = []
        self.costs: list[float] = []

    def on_batch_end(self, trainer: Any, batch: Batch) -> None:
        if self._done:  # of batches that came before the trainer stopped
            return
        if np.isfinite(batch.cost):
            self.lrs.append(batch.lr)
            self.costs.append(batch.cost)
            weights = self._smoothing ** np.arange(len(self.costs))[::-1]
            mean = float(np.average(self.costs, weights=weights))
            # for a positive cost: above four times the best
            diverged = mean > self._best + (DIVERGED - 1) * abs(self._best)
            self._best = min(self._best, mean)
            self._done = diverged or len(self.costs) == self._n_steps
        else:
            self._done = True
        if self._done:
            trainer.stop("end of the learning-rate range test")


def _smooth(costs: np.ndarray, smoothing: float) -> np.ndarray:
    """Means over the neighbours on both sides, so that nothing is shifted."""
    kernel = smoothing ** np.abs(np.arange(1 - len(costs), len(costs)))
    return np.convolve(costs, kernel, "valid") / np.convolve(np.ones(len(costs)), kernel, "valid")


def _fresh(trainer: Any, **changes) -> Any:
    """A new trainer of a copy of the network, with the settings of `trainer` but for `changes`."""
    changes["net"] = copy.deepcopy(trainer.net)
    names = inspect.signature(type(trainer)).parameters
    return type(trainer)(**{name: getattr(trainer, name) for name in names if name not in changes}, **changes)


def find_lr(
    trainer: Trainer,
    x,
    y,
    *,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    n_steps: int = 100,
    smoothing: float = 0.8,
    seed: int | None = 0,
    sample_weight=None,
) -> LRCurve:
    """Try rising learning rates on a copy of the network: the range test (Smith, 2017).

    Parameters
    ----------
    trainer : Trainer
        It and its network stay as they are; the copy is trained with its settings and a fresh optimiser.
    x, y : array-like
        As in ``Trainer.fit``.
    min_lr, max_lr : float, default=1e-6, 10.0
        The rate of the first and of the last step; it grows by the same factor every step.
    n_steps : int, default=100
        At most this many; fewer where the cost comes to four times its lowest.
    smoothing : float in [0, 1), default=0.8
        Weight of a step's cost on that of its neighbour; 0 smooths nothing.
    seed : int, optional
        Of the order of the rows.
    sample_weight : array-like of shape (n,), optional
        As in ``Trainer.fit``.

    Returns
    -------
    LRCurve
        With rates, smoothed costs, and a suggestion.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here, or the cost diverges at `min_lr` already.

    Examples
    --------
    >>> import fastnn
    >>> x = np.random.default_rng(0).standard_normal((500, 4))
    >>> y = x.sum(axis=1) > 0
    >>> net = fastnn.MLP([4, 16, 1], seed=0)
    >>> trainer = fastnn.Trainer(net, loss="binary_cross_entropy", optimizer="sgd")
    >>> curve = find_lr(trainer, x, y)
    >>> 0.01 < curve.suggestion < 1
    True
    >>> trainer.lr = curve.suggestion
    """
    _checks.check_number("min_lr", min_lr, 0.0, open_low=True)
    _checks.check_number("max_lr", max_lr, min_lr, open_low=True)
    _checks.check_count("n_steps", n_steps, 2)
    _checks.check_number("smoothing", smoothing, 0.0, 1.0)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    record = _Record(n_steps, float(smoothing))
    copied = _fresh(trainer, schedule=_Sweep(min_lr, max_lr, n_steps), seed=seed)
    with contextlib.suppress(DivergenceError):
        copied.fit(x, y, epochs=n_steps, callbacks=[record], verbose=0, **weights)
    if len(record.costs) < 2:
        raise ValueError(f"the cost diverges at min_lr={min_lr:g} already: try a smaller one.")
    costs = np.array(record.costs)
    costs[-1] = min(costs[-1], costs[:-1].max())  # one of 1e9 would drown its neighbours
    return LRCurve(np.array(record.lrs), _smooth(costs, smoothing))
