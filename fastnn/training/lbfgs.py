"""L-BFGS over all rows at once, for small data: SciPy's minimiser on the cost of a training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._threads import at_work
from ..kernels.records import COST_SUM, PENALTY_SUM, SCORE_SUM, WEIGHT_SUM
from ..optimizers import LBFGS
from .core import Core
from .loop import Run, divergence
from .rows import Rows, check_rows, weigh_classes


class HasCore(Protocol):
    """The part of a trainer that :func:`minimize` needs."""

    core: Core


def minimize(
    trainer: HasCore,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    max_iter: int = 200,
    max_evaluations: int = 15000,
    tol: float = 1e-4,
    callback: Callable[[Any], None] | None = None,
) -> Any:
    """Minimise the trainer's cost, including its L2 penalty, in place.

    Limited-memory BFGS (Byrd, Lu, Nocedal and Zhu, 1995) in SciPy's implementation. Its line search compares
    costs that differ little, so a float64 network gets much closer to the minimum than a float32 one.

    Parameters
    ----------
    trainer : Trainer
        Its network is changed in place.
    x : array-like or sparse matrix of shape (n, n_in)
    y : array-like of shape (n,) or (n, n_out)
    sample_weight : array-like of shape (n,), optional
    max_iter : int, default=200
        Largest number of iterations.
    max_evaluations : int, default=15000
        Largest number of evaluations of cost and gradient; a line search may take several.
    tol : float, default=1e-4
        Stop when no element of the gradient is larger than this.
    callback : callable, optional
        Called after every iteration with SciPy's intermediate result, or with the parameters.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``fun`` is the final cost, ``nit`` the number of iterations, and ``status`` is 0 if it converged.

    Raises
    ------
    ValueError, TypeError
        If the rows are not what network and loss take.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.MLP([1, 1], dtype="float64", seed=0)
    >>> trainer = fastnn.Trainer(net, loss="mse")
    >>> result = minimize(trainer, [[0], [1]], [1, 3], tol=1e-8)
    >>> net.predict([[2.0]]).round(4)
    array([5.])
    """
    options = {"maxfun": max_evaluations, "gtol": tol}
    core = trainer.core
    architecture, settings = core.network.architecture, core.settings
    rows = check_rows(architecture, settings.loss, x, y, sample_weight)
    rows = weigh_classes(rows, settings.class_weight, architecture.n_classes)
    return _minimize_rows(core, rows, _Penalty(core, rows), max_iter, callback, options)


def train_by_lbfgs(run: Run) -> None:
    """Train by L-BFGS instead of gradient descent; the driver of a run in which an iteration is an epoch."""
    rows, core, state = run.source.rows, run.core, run.state
    optimizer = core.settings.optimizer
    assert isinstance(optimizer, LBFGS)
    penalty, start = _Penalty(core, rows), time.perf_counter()

    def end_iteration(intermediate_result: Any) -> None:
        nonlocal start
        _, scores = core.score(rows.data, rows.n)
        weights = np.ones(rows.n) if rows.weights is None else rows.weights
        run.totals[PENALTY_SUM] = penalty.value() * rows.n
        run.totals[COST_SUM] = intermediate_result.fun * rows.n - run.totals[PENALTY_SUM]
        run.totals[SCORE_SUM] = (scores * weights).sum()
        run.totals[WEIGHT_SUM] = weights.sum()
        run.n_done = rows.n
        now = time.perf_counter()
        run.end_epoch(now - start)
        start = time.perf_counter()
        if state.stop_reason is not None:
            raise StopIteration

    options = {
        "maxfun": optimizer.max_fun,
        "gtol": optimizer.tol,
        "ftol": 0.0,
        "maxcor": optimizer.history_size,
    }
    n_epochs = run.n_epochs - len(state.history)
    result = _minimize_rows(core, rows, penalty, n_epochs, end_iteration, options)
    if not np.isfinite(result.fun):
        raise divergence(state, f"in epoch {state.epoch}")
    state.stop("epochs" if len(state.history) == run.n_epochs else "converged")


def _minimize_rows(
    core: Core,
    rows: Rows,
    penalty: _Penalty,
    max_iter: int,
    callback: Callable[[Any], None] | None,
    options: dict[str, Any],
) -> Any:
    """Minimise the cost of checked rows; `options` are SciPy's."""
    scipy_minimize = _checks.require("scipy.optimize", "sklearn").minimize
    layout = core.network.layout
    matrices = layout.weights(core.network.params)
    ends = np.cumsum([matrix.size for matrix in matrices])[:-1]

    def unpack(vector: np.ndarray) -> None:
        for matrix, values in zip(matrices, np.split(vector, ends), strict=True):
            matrix[:] = values.reshape(matrix.shape)

    def cost_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        unpack(vector)
        cost, flat = core.gradient(rows.data, rows.n)
        grads = layout.weights(flat)
        penalty.add_gradient(grads)
        return cost + penalty.value(), _pack(grads)

    with at_work():
        result = scipy_minimize(
            cost_and_gradient,
            _pack(matrices),
            method="L-BFGS-B",
            jac=True,
            callback=callback,
            options={"maxiter": max_iter, **options},
        )
    unpack(result.x)
    return result


class _Penalty:
    """The L2 penalty of a network's present weights, as it is added to the cost of some rows."""

    def __init__(self, core: Core, rows: Rows) -> None:
        layout = core.network.layout
        n_inputs = [layer["n_in"] for layer in layout.layers]
        matrices = layout.weights(core.network.params)
        self._penalised = [matrix[:n] for matrix, n in zip(matrices, n_inputs, strict=True)]
        self._decay = core.settings.l2 / (rows.n if rows.weights is None else rows.weights.sum())

    def value(self) -> float:
        if self._decay == 0:
            return 0.0
        return 0.5 * self._decay * sum(float(np.einsum("io,io->", w, w)) for w in self._penalised)

    def add_gradient(self, grads: list[np.ndarray]) -> None:
        if self._decay == 0:
            return
        for grad, w in zip(grads, self._penalised, strict=True):
            grad[: len(w)] += self._decay * w


def _pack(arrays: list[np.ndarray]) -> np.ndarray:
    """Concatenate the arrays in the precision that SciPy works in."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64, copy=False)
