"""L-BFGS over all rows at once, for small data: SciPy's minimiser on a trainer's cost and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks

if TYPE_CHECKING:
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
    scipy_minimize = _checks.require("scipy.optimize", "sklearn").minimize
    weights, biases = trainer.net.weights, trainer.net.biases
    arrays = [*weights, *biases]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    weighting = {} if sample_weight is None else {"sample_weight": sample_weight}
    decay = trainer.l2 / (
        np.shape(x)[0] if sample_weight is None else np.sum(sample_weight, dtype=np.float64)
    )

    def unpack(vector: np.ndarray) -> None:
        for array, values in zip(arrays, np.split(vector, ends), strict=True):
            array[:] = values.reshape(array.shape)

    def cost_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        unpack(vector)
        cost, grad_weights, grad_biases = trainer.gradient(x, y, **weighting)
        if decay > 0:
            cost += 0.5 * decay * sum(float(np.einsum("io,io->", w, w)) for w in weights)
            grad_weights = [grad + decay * w for grad, w in zip(grad_weights, weights, strict=True)]
        return cost, _pack([*grad_weights, *grad_biases])

    result = scipy_minimize(
        cost_and_gradient,
        _pack(arrays),
        method="L-BFGS-B",
        jac=True,
        callback=callback,
        options={"maxiter": max_iter, "maxfun": max_evaluations, "gtol": tol},
    )
    unpack(result.x)
    return result


def _pack(arrays: list[np.ndarray]) -> np.ndarray:
    """The arrays behind each other, in the precision that SciPy works in."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64, copy=False)
