"""The regressor: one or several values a row, with a choice of losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions

from ..losses import ALIASES, LOSSES, Loss, as_loss
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..training.averages import EMA, SWA
from .fitting import FittableMLP, needs_epochs
from .parameters import CONSTRAINTS, Activations, Callbacks, checks_parameters, documented, keep_arguments

REGRESSION_LOSSES = {name for name in {*LOSSES, *ALIASES} if as_loss(name).is_regression}


@documented
class MLPRegressor(RegressorMixin, FittableMLP):
    """Multilayer perceptron regressor with scikit-learn's interface.

    Parameters
    ----------
    loss : str, Loss or callable, default="squared_error"
        "squared_error" (half of it), "poisson", another of :class:`fastnn.Loss` for values such as "mae",
        "huber" or "quantile", or a function ``loss(a, y)``; summed over the outputs.
    {common}
    {own}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(hidden_layer_sizes=(50,), learning_rate_init=0.02, max_iter=500, random_state=0)
    >>> bool(model.fit(X, y / y.std()).score(X, y / y.std()) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions(REGRESSION_LOSSES), Loss, callable],
    }

    def __init__(
        self,
        loss: str | Loss | Callable[[float, float], float] = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: Activations = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Schedule | Callable[[float, float], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        init: str | None = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        norm: str | Sequence[str | None] | None = None,
        residual: bool | Sequence[bool] = False,
        l1_ratio: float = 0.0,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        lazy: bool = False,
        average: EMA | SWA | None = None,
        scoring: str | Callable[..., float] | None = None,
        callbacks: Callbacks = None,
        dtype: DTypeLike | None = None,
        n_threads: int | None = None,
    ) -> None:
        keep_arguments(self, locals())

    @needs_epochs
    @checks_parameters
    @documented
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> MLPRegressor:
        """Train for one epoch on a part of the data, from the present weights.

        The optimiser continues from the previous call, unless parameters have been set in between.

        Parameters
        ----------
        {part}
        {part_validation}
        """
        return self._fit(X, y, sample_weight, X_val, y_val, resume=True, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), of the network's dtype

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If X is not what the network takes.
        """
        outputs = self._predict_outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    # --- targets ----------------------------------------------------------------------------------------

    def _knows_targets(self) -> bool:
        return hasattr(self, "out_activation_")

    def _learn_targets(self, y: np.ndarray, classes: ArrayLike | None) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = self._make_loss().output or "identity"

    def _encode_targets(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return self._make_loss().check_targets("y", y, self.n_outputs_, dtype)

    def _make_loss(self) -> Loss:
        return as_loss(self.loss)
