"""L-BFGS over all rows at once, for small data: SciPy's minimiser on a trainer's cost and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._threads import at_work

if TYPE_CHECKING:
    from ..kernels.records import Data
    from .trainer import Trainer


def minimize(
    trainer: Trainer,
    x,
    y,
    sample_weight=None,
    *,
    max_iter: int = 200,
    max_evaluations: int = 15000,
    tol: float = 1e-4,
    callback: Callable[[Any], None] | None = None,
):
    """Minimise the trainer's cost, its L2 penalty included, in place.

    Limited-memory BFGS (Byrd, Lu, Nocedal and Zhu, 1995) as SciPy has it. Its line search compares costs
    that differ by little: a float64 network gets much nearer to the minimum than a float32 one.

    Parameters
    ----------
    trainer : Trainer
        Its network is changed in place.
    x, y : array-like
        As :meth:`Trainer.gradient` takes them, as is `sample_weight`.
    sample_weight : array-like of shape (n,), optional
    max_iter : int, default=200
    max_evaluations : int, default=15000
        Of cost and gradient; a line search may take several.
    tol : float, default=1e-4
        Stop where no element of the gradient is larger.
    callback : callable, optional
        Called after every iteration with what SciPy says of it, or with its parameters.

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``fun`` is the cost that was reached, ``nit`` the number of iterations, and ``status`` is 0 where
        it converged.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.MLP([1, 1], dtype="float64", seed=0)
    >>> trainer = fastnn.Trainer(net, loss="mse")
    >>> result = minimize(trainer, [[0], [1]], [1, 3], tol=1e-8)
    >>> net.predict([[2.0]]).round(4)
    array([5.])
    """
    rows = trainer._weigh_classes(trainer._check_rows(x, y, sample_weight))
    return minimize_rows(
        trainer,
        rows.data,
        max_iter=max_iter,
        callback=callback,
        options={"maxfun": max_evaluations, "gtol": tol},
    )


def minimize_rows(
    trainer: Trainer,
    data: Data,
    *,
    max_iter: int,
    callback: Callable[[Any], None] | None,
    options: dict[str, Any],
):
    """As :func:`minimize`, of data that has been checked, with options of SciPy's."""
    scipy_minimize = _checks.require("scipy.optimize", "sklearn").minimize
    net, n_rows = trainer.net, data.starts.size - 1 if data.starts.size else len(data.x)
    matrices = net._layout.weights(net.params)
    ends = np.cumsum([matrix.size for matrix in matrices])[:-1]
    n_inputs = [layer["n_in"] for layer in net._layout.layers]  # the rows that bear a penalty
    penalised = [matrix[:n] for matrix, n in zip(matrices, n_inputs, strict=True)]
    decay = trainer.l2 / (data.weights.sum() if data.weights.size else n_rows)

    def unpack(vector: np.ndarray) -> None:
        for matrix, values in zip(matrices, np.split(vector, ends), strict=True):
            matrix[:] = values.reshape(matrix.shape)

    def cost_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        unpack(vector)
        cost, flat = trainer._gradient_of(data, n_rows)
        grads = net._layout.weights(flat)
        if decay > 0:
            cost += 0.5 * decay * sum(float(np.einsum("io,io->", w, w)) for w in penalised)
            for grad, w, n in zip(grads, penalised, n_inputs, strict=True):
                grad[:n] += decay * w
        return cost, _pack(grads)

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


def _pack(arrays: list[np.ndarray]) -> np.ndarray:
    """The arrays behind each other, in the precision that SciPy works in."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64, copy=False)
