"""The part of both estimators that does not train: checks, fitted attributes, prediction and pickling."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from .. import _checks
from ..kernels.sizes import ROW_BLOCK
from ..losses import Loss
from ..network.mlp import MLP
from .fitted import FittedNetwork
from .parameters import CONSTRAINTS
from .tasks import CallbackSupportMixin


@contextlib.contextmanager
def _beyond_limits_refused() -> Iterator[None]:
    """Name what scikit-learn's checks do not: numbers that no float holds, arrays that no memory holds."""
    try:
        yield
    except OverflowError:
        raise ValueError("X, y and sample_weight must hold numbers that a float can represent.") from None
    except MemoryError:
        raise ValueError("X and y do not fit into the memory.") from None


class Rows(NamedTuple):
    """Checked rows.

    Attributes
    ----------
    x : ndarray or CSR matrix of shape (n, n_features)
    y : ndarray of shape (n,) or (n, n_outputs)
        Labels or values, as scorers take them.
    targets : ndarray
        y encoded for the trainer: class numbers, labels of 0 or 1, or values.
    weight : ndarray of shape (n,) or None
        Sample weights.
    """

    x: Any
    y: np.ndarray
    targets: np.ndarray
    weight: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> Rows:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[indices]
        return Rows(self.x[indices], self.y[indices], self.targets[indices], weight)


class BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):
    """Base class of classifier and regressor, without training.

    ``coefs_`` and ``intercepts_`` are views of the parameters of a network, see :meth:`_fitted_network`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    n_features_in_: int
    n_outputs_: int
    out_activation_: str
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    _fitted: FittedNetwork

    # --- what classifier and regressor do differently ---------------------------------------------------

    @abstractmethod
    def _knows_targets(self) -> bool:
        """Return True if outputs and, of a classifier, classes are settled."""

    @abstractmethod
    def _learn_targets(self, y: np.ndarray, classes: ArrayLike | None) -> None:
        """Settle ``n_outputs_`` and ``out_activation_``, and a classifier's ``classes_``."""

    @abstractmethod
    def _encode_targets(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return targets as the trainer takes them."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss that is minimised, the mean over several outputs."""

    def _check_known_labels(self, y: np.ndarray, incremental: bool) -> None:
        """Raise ValueError for labels that the present network was not made for."""

    def _weigh_rows(self, rows: Rows) -> np.ndarray | None:
        """Return the weights of rows in training: sample weights times those of the classes."""
        return rows.weight

    # --- checks -----------------------------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, dtype: Any, reset: bool) -> tuple[Any, np.ndarray]:
        for name, given in {"X": X, "y": y}.items():
            _checks.check_copy(name, given)
        with _beyond_limits_refused():
            X, y = validate_data(
                self,
                X,
                y,
                accept_sparse="csr",
                dtype=dtype,
                order="C",
                multi_output=True,
                y_numeric=not is_classifier(self),
                reset=reset,
            )
        y = y.toarray() if sparse.issparse(y) else y
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _check_weight(self, sample_weight: Any, X: Any) -> np.ndarray | None:
        if sample_weight is None:
            return None
        with _beyond_limits_refused():
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not sample_weight.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return sample_weight

    def _check_validation(self, X_val: Any, y_val: Any, dtype: np.dtype) -> Rows | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together, got only one of them.")
        if X_val is None:
            return None
        X_val, y_val = self._check_data(X_val, y_val, dtype, reset=False)
        return Rows(X_val, y_val, self._encode_targets(y_val, dtype))

    def _check_sizes(self, n_features: int) -> list[int]:
        """Return the sizes of all layers."""
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        if not all(isinstance(size, Integral) and int(size) > 0 for size in hidden):
            raise ValueError(
                f"hidden_layer_sizes must hold integers > 0, got {_checks.shown(self.hidden_layer_sizes)}."
            )
        return [n_features, *hidden, self.n_outputs_]

    def _allowed_dtypes(self, given: np.dtype | None = None) -> list[np.dtype]:
        """Return the dtypes that a network may have, the default first; for `given` weights only one."""
        if self.dtype is not None:
            return [_checks.check_dtype(self.dtype)]
        double, single = np.dtype(np.float64), np.dtype(np.float32)
        if given is None:
            return [double, single]
        return [single] if given == single else [double]

    # --- the network ------------------------------------------------------------------------------------

    def _new_network(self, sizes: list[int], dtype: np.dtype, init: str = "zeros", seed: int = 0) -> MLP:
        return MLP(
            sizes,
            self.activation,
            output="sigmoid" if self.out_activation_ == "logistic" else self.out_activation_,
            init=init,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            norm=self.norm,
            residual=self.residual,
            dtype=dtype,
            seed=seed,
        )

    def _initial_network(self, sizes: list[int], dtype: np.dtype, rng: np.random.RandomState) -> MLP:
        """Return an untrained network, initialised by ``init`` or, by default, as scikit-learn does."""
        if self.init is not None:
            return self._new_network(sizes, dtype, init=self.init, seed=int(rng.randint(2**31)))
        net = self._new_network(sizes, dtype)
        # Glorot and Bengio (2010), for biases too: the numbers that scikit-learn draws
        names = [activation.name for activation in net.activations]
        is_logistic = isinstance(self.activation, str) and self.activation == "logistic"
        names.append(names[-1] if names else "sigmoid" if is_logistic else "")
        for w, bias, name in zip(net.weights, net.biases, names, strict=True):
            bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / sum(w.shape))
            w[:] = rng.uniform(-bound, bound, w.shape)
            bias[:] = rng.uniform(-bound, bound, bias.shape)
        return net

    def _set_network(self, net: MLP) -> None:
        self.__dict__.update(FittedNetwork(net).attributes)

    def _fitted_network(self) -> FittedNetwork:
        """Return the network of ``coefs_`` and ``intercepts_``, which the caller may have replaced."""
        fitted = getattr(self, "_fitted", None)
        if fitted is not None and fitted.holds(self.coefs_, self.intercepts_):
            return fitted
        sizes = [*(np.shape(w)[0] for w in self.coefs_), np.shape(self.coefs_[-1])[1]]
        if fitted is None or list(fitted.net.sizes) != sizes:
            dtype = self._allowed_dtypes(np.asarray(self.coefs_[0]).dtype)[0]
            fitted = FittedNetwork(self._new_network(sizes, dtype))
        fitted.assign(self.coefs_, self.intercepts_)
        self.__dict__.update(fitted.attributes)
        return fitted

    # --- prediction -------------------------------------------------------------------------------------

    def _predict_outputs(self, X: Any) -> np.ndarray:
        """Check rows, and return the network's outputs for them, (n, n_outputs)."""
        if not self._passes_checks(X):
            check_is_fitted(self, "coefs_")
            dtype = self._fitted_network().net.dtype
            with _beyond_limits_refused():
                X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        fitted = self._fitted_network()
        if X.shape[0] <= ROW_BLOCK and not sparse.issparse(X):
            return fitted.predictor(X)
        return fitted.net.predict_raw(X, n_threads=self.n_threads)

    def _passes_checks(self, X: Any) -> bool:
        """Return True for a few rows that scikit-learn's checks, which take far longer, would pass as is."""
        return (
            type(X) is np.ndarray
            and hasattr(self, "_fitted")
            and not hasattr(self, "feature_names_in_")
            and X.dtype == self._fitted.net.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and 0 < len(X) <= ROW_BLOCK
            and X.flags.c_contiguous
            and bool(np.isfinite(X).all())
        )

    # --- pickling ---------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the network once, and never the data."""
        if not hasattr(self, "_fitted"):
            return super().__getstate__()
        self._fitted_network()
        state = dict(super().__getstate__())
        del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_fitted"):
            self.__dict__.update(self._fitted.attributes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
