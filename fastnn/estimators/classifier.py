"""The classifier: class labels of any kind, one or several a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from .. import _checks
from ..losses import Loss
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..training.averages import EMA, SWA
from .base import Rows
from .fitting import FittableMLP, needs_epochs
from .parameters import CONSTRAINTS, Activations, Callbacks, checks_parameters, documented, keep_arguments


@documented
class MLPClassifier(ClassifierMixin, FittableMLP):
    """Multilayer perceptron classifier with scikit-learn's interface.

    Two classes have one logistic output, more have a softmax, and several labels a row have a logistic output
    each. The cross-entropy is minimised.

    Parameters
    ----------
    {common}
    class_weight : dict, "balanced" or None, default=None
        Factors on the sample weights in training, by class, 1 for a class that is not named; "balanced" makes
        all classes weigh the same. Several labels a row take a list of dicts.
    {own}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order; of several labels a row their numbers.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    classes_: np.ndarray

    def __init__(
        self,
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
        class_weight: dict[Any, float] | Sequence[dict[Any, float]] | str | None = None,
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
        classes: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Train for one epoch on a part of the data, from the present weights.

        The optimiser continues from the previous call, unless parameters have been set in between.

        Parameters
        ----------
        {part}
        classes : array-like of shape (n_classes,), optional
            All the classes; needed at the first call, except for several labels a row.
        {part_validation}
        """
        if not self._knows_targets():
            if classes is None and not type_of_target(y).startswith("multilabel"):
                raise ValueError("classes must be passed on the first call to partial_fit.")
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"classes={_checks.shown(classes)} differ from those of the first call, "
                f"{_checks.shown(self.classes_)}."
            )
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all the data at once: give the weights as a dict."
            )
        return self._fit(X, y, sample_weight, X_val, y_val, resume=True, classes=classes, incremental=True)

    # --- targets ----------------------------------------------------------------------------------------

    @property
    def _is_multilabel(self) -> bool:
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _knows_targets(self) -> bool:
        return hasattr(self, "classes_")

    def _learn_targets(self, y: np.ndarray, classes: ArrayLike | None) -> None:
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            self.classes_ = np.arange(y.shape[1])
            self.n_outputs_, self.out_activation_ = y.shape[1], "logistic"
            return
        y = column_or_1d(y)
        self.classes_ = unique_labels(y if classes is None else classes)
        is_binary = len(self.classes_) <= 2  # one logistic output, as in scikit-learn
        self.n_outputs_ = 1 if is_binary else len(self.classes_)
        self.out_activation_ = "logistic" if is_binary else "softmax"

    def _check_known_labels(self, y: np.ndarray, incremental: bool) -> None:
        found = set(unique_labels(y).tolist())
        known = set(self.classes_.tolist())
        if found - known or (found != known and not incremental):
            raise ValueError(
                f"y has the classes {sorted(found)}, but the network was made for {sorted(known)}."
            )

    def _encode_targets(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        if self._is_multilabel:
            if y.ndim != 2 or type_of_target(y) != "multilabel-indicator":
                raise ValueError(
                    f"y must hold {self.n_outputs_} labels of 0 or 1 per row, got shape {y.shape}."
                )
            return y
        encoder = LabelEncoder()
        encoder.classes_ = self.classes_
        return encoder.transform(y)

    def _weigh_rows(self, rows: Rows) -> np.ndarray | None:
        if self.class_weight is None:
            return rows.weight
        if isinstance(self.class_weight, dict) and not self._is_multilabel:
            labels = self.classes_.tolist()
            unknown = [label for label in self.class_weight if label not in labels]
            if unknown:
                raise ValueError(f"class_weight names {unknown}, but the classes are {labels}.")
            factors = np.array([self.class_weight.get(label, 1.0) for label in labels])[rows.targets]
        else:
            factors = compute_sample_weight(self.class_weight, rows.y)
        return factors if rows.weight is None else factors * rows.weight

    def _make_loss(self) -> Loss:
        return Loss("cross_entropy" if self.out_activation_ == "softmax" else "binary_cross_entropy")

    # --- prediction -------------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), of the network's dtype
            In the order of ``classes_``.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If X is not what the network takes.
        """
        p = self._predict_outputs(X)
        if len(self.classes_) == 1:
            return np.ones_like(p)
        return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), of the network's dtype
            -inf where a probability is 0.
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,), or int64 of shape (n_samples, n_classes)
            Labels from ``classes_``; of several labels a row 0 or 1 each.
        """
        outputs = self._predict_outputs(X)
        if self._is_multilabel:
            return (outputs > 0.5).astype(np.int64)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(axis=1)]
        return self.classes_[np.minimum(outputs[:, 0] > 0.5, len(self.classes_) - 1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
