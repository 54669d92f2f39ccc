"""Learning-rate range test: which rates make the cost fall, and from which rate on it diverges."""

from __future__ import annotations

import contextlib
import copy
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..schedules import Schedule
from ..training.callbacks import Batch, Callback
from ..training.loop import DivergenceError
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIVERGENCE_FACTOR = 4.0  # times the lowest cost so far, as in fast.ai


@dataclass(frozen=True)
class LRCurve:
    """Result of :func:`find_lr`.

    Attributes
    ----------
    lrs : ndarray of shape (n,)
        Learning rates, increasing.
    costs : ndarray of shape (n,)
        Smoothed cost of the batch at each rate.
    suggestion : float or None
        The rate at which the cost falls most steeply; None if it never falls.

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
        # after the lowest cost, a fall is only a rebound
        slopes = np.gradient(self.costs[: best + 1], np.log(self.lrs[: best + 1]))
        return float(self.lrs[np.argmin(slopes)])

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Axes | None = None) -> Figure:
        """Draw the cost against the rate, with the suggestion.

        Parameters
        ----------
        path : path-like, optional
            Also write the figure to this file, in the format of its suffix.
        ax : matplotlib Axes, optional
            Draw into these; a new figure by default.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from ..plots.style import BLUE, VERMILLION, new_axes

        is_own, ax = ax is None, new_axes(ax)
        figure: Any = ax.figure
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
    """A rate that grows from `min_lr` to `max_lr` by the same factor each step, in `n_sweep` steps."""

    min_lr: float
    max_lr: float
    n_sweep: int

    def rates(
        self, lr: float, epoch: int, n_epochs: int, n_steps: int, n_seen: int, state: dict[str, Any]
    ) -> np.ndarray:
        step = np.minimum(epoch * n_steps + np.arange(n_steps), self.n_sweep - 1)
        return self.min_lr * (self.max_lr / self.min_lr) ** (step / (self.n_sweep - 1))


class _SweepRecorder(Callback):
    """Records rates and costs of batches, until there are `n_steps` of them or the cost diverges."""

    def __init__(self, n_steps: int, smoothing: float) -> None:
        self._n_steps = n_steps
        self._smoothing = smoothing
        self._done = False
        self._best = math.inf
        self.lrs: list[float] = []
        self.costs: list[float] = []

    def on_batch_end(self, trainer: Any, batch: Batch) -> None:
        if self._done:  # batches that were under way when the trainer was stopped
            return
        if np.isfinite(batch.cost):
            self.lrs.append(batch.lr)
            self.costs.append(batch.cost)
            weights = self._smoothing ** np.arange(len(self.costs))[::-1]
            mean = float(np.average(self.costs, weights=weights))
            # a positive cost diverges above four times the lowest; this form suits negative costs, too
            diverged = mean > self._best + (DIVERGENCE_FACTOR - 1) * abs(self._best)
            self._best = min(self._best, mean)
            self._done = diverged or len(self.costs) == self._n_steps
        else:
            self._done = True
        if self._done:
            trainer.stop("end of the learning-rate range test")


def _smooth(costs: np.ndarray, smoothing: float) -> np.ndarray:
    """Return weighted means over the neighbours on both sides, so that nothing is shifted."""
    kernel = smoothing ** np.abs(np.arange(1 - len(costs), len(costs)))
    return np.convolve(costs, kernel, "valid") / np.convolve(np.ones(len(costs)), kernel, "valid")


def _copy_trainer(trainer: Any, **changes: Any) -> Any:
    """Return a new trainer of a copy of the network, with the settings of `trainer` except for `changes`."""
    return type(trainer)(copy.deepcopy(trainer.net), **vars(trainer.settings) | changes)


def find_lr(
    trainer: Trainer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    n_steps: int = 100,
    smoothing: float = 0.8,
    seed: int | None = 0,
    sample_weight: ArrayLike | None = None,
) -> LRCurve:
    """Try increasing learning rates on a copy of the network: the range test (Smith, 2017).

    Parameters
    ----------
    trainer : Trainer
        Neither it nor its network changes; the copy is trained with its settings and a new optimiser.
    x, y : array-like
        As in ``Trainer.fit``.
    min_lr, max_lr : float, default=1e-6, 10.0
        Rates of the first and the last step; the rate grows by the same factor every step.
    n_steps : int, default=100
        At most; the test ends early if the cost exceeds four times its lowest value.
    smoothing : float in [0, 1), default=0.8
        Weight of a neighbouring step's cost relative to a step's own; 0 turns smoothing off.
    seed : int, optional
        For the order of the rows.
    sample_weight : array-like of shape (n,), optional
        As in ``Trainer.fit``.

    Returns
    -------
    LRCurve
        Rates, smoothed costs, and a suggestion.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, or the cost already diverges at `min_lr`.

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
    if not (hasattr(trainer, "fit") and hasattr(trainer, "net")):
        raise TypeError(f"trainer must be a fastnn.Trainer, got {_checks.shown(trainer)}.")
    _checks.check_number("min_lr", min_lr, 0.0, open_low=True)
    _checks.check_number("max_lr", max_lr, min_lr, open_low=True)
    _checks.check_count("n_steps", n_steps, 2)
    _checks.check_number("smoothing", smoothing, 0.0, 1.0)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    recorder = _SweepRecorder(n_steps, float(smoothing))
    copied = _copy_trainer(trainer, schedule=_Sweep(min_lr, max_lr, n_steps), seed=seed)
    with contextlib.suppress(DivergenceError):
        copied.fit(x, y, epochs=n_steps, callbacks=[recorder], verbose=0, **weights)
    if len(recorder.costs) < 2:
        raise ValueError(f"the cost already diverges at min_lr={min_lr:g}: try a smaller one.")
    costs = np.array(recorder.costs)
    costs[-1] = min(costs[-1], costs[:-1].max())  # a cost of 1e9 would hide its neighbours
    return LRCurve(np.array(recorder.lrs), _smooth(costs, smoothing))
