"""Metrics of a network's outputs, by name or from a function or scorer of scikit-learn."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _checks

# For each task, true values and outputs with which a metric of that task can be computed.
_EXAMPLES: dict[str, tuple[list, list]] = {
    "binary": ([0, 1, 0, 1], [0.2, 0.8, 0.6, 0.4]),
    "multiclass": (
        [0, 1, 2, 0],
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]],
    ),
    "multilabel": ([[0, 1, 0], [1, 0, 1], [1, 1, 0]], [[0.2, 0.6, 0.2], [0.8, 0.4, 0.7], [0.6, 0.3, 0.6]]),
    "regression": ([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 3.0, 3.5]),
}


def _accuracy(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the share of correct predictions; with several labels per row, each label counts."""
    hits = y_true == y_pred
    return float(np.average(hits.mean(axis=1) if hits.ndim == 2 else hits, weights=sample_weight))


def _r2(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return R squared of all outputs taken together; 0 if the targets do not vary."""
    weights = np.ones(len(y_true)) if sample_weight is None else sample_weight
    mean = np.average(y_true, axis=0, weights=weights)
    # Not BLAS's sums, which `@` takes: they depend on the number of its threads.
    error, spread = (
        np.sum(weights * ((y_true - other) ** 2).reshape(len(y_true), -1).T) for other in (y_pred, mean)
    )
    return 1.0 - error / spread if spread > 0 else 0.0


# The trainer's own metrics, which do not need scikit-learn.
NATIVE: dict[str, Callable[..., float]] = {"accuracy": _accuracy, "r2": _r2}


def _decide(task: str, output: np.ndarray) -> np.ndarray:
    """Return classes, labels or values from outputs, in the way of ``MLP.predict``."""
    if task == "multiclass":
        return output.argmax(axis=1)
    return output if task == "regression" else (output > 0.5).astype(np.int64)


@functools.cache
def _stand_ins() -> dict[str, type]:
    """Return classes of estimators, by task, that scorers can call: their X are the network's outputs."""
    _checks.require("sklearn.base", "sklearn")
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Regressor(RegressorMixin, BaseEstimator):
        def predict(self, X: np.ndarray) -> np.ndarray:
            return X

    class Multiclass(ClassifierMixin, BaseEstimator):
        task = "multiclass"
        classes_ = np.arange(3)  # with three or more classes, scorers use all columns

        def predict(self, X: np.ndarray) -> np.ndarray:
            return _decide(self.task, X)

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return X

    class Multilabel(Multiclass):
        task = "multilabel"

    class Binary(Multiclass):
        task = "binary"
        classes_ = np.arange(2)

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return np.column_stack([1 - X, X])

    return {"binary": Binary, "multiclass": Multiclass, "multilabel": Multilabel, "regression": Regressor}


@dataclass(frozen=True)
class Metric:
    """A measure of how well outputs fit the true values; :func:`as_metric` makes it.

    Parameters
    ----------
    name : str
    task : {"binary", "multiclass", "multilabel", "regression"}
    function : callable
        A scorer of scikit-learn, or ``f(y_true, y_pred)``, with or without a third parameter
        ``sample_weight``.
    higher_is_better : bool, default=True

    Examples
    --------
    >>> accuracy = as_metric("accuracy", "binary")
    >>> accuracy(np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.3]))
    0.75
    """

    name: str
    task: str
    function: Callable[..., float]
    higher_is_better: bool = True

    def __call__(
        self, y_true: npt.ArrayLike, output: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Return the value of the metric.

        Parameters
        ----------
        y_true : array-like of shape (n,), (n, 1) or (n, n_out)
            Class numbers, labels 0 and 1, or values.
        output : array-like of shape (n,) or (n, n_out)
            Outputs of ``MLP.predict_proba`` or ``MLP.predict_raw``.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If shapes do not fit, or the metric does not take weights.
        """
        y_true, output = self._shaped("y_true", y_true), self._shaped("output", output)
        _checks.check_lengths("y_true", len(y_true), "output", len(output))
        options = {}
        if sample_weight is not None:
            options["sample_weight"] = np.asarray(sample_weight, np.float64)
            _checks.check_lengths("y_true", len(y_true), "sample_weight", len(options["sample_weight"]))
            if not self._takes_weights():
                raise ValueError(f"metric {self.name!r} does not take sample_weight.")
        if _is_scorer(self.function):
            return float(self.function(_stand_ins()[self.task](), output, y_true, **options))
        return float(self.function(y_true, _decide(self.task, output), **options))

    def _shaped(self, name: str, values: npt.ArrayLike) -> np.ndarray:
        """Return an array of the shape that the task needs; a second dimension of length 1 is dropped."""
        values = np.asarray(values)
        if values.ndim == 2 and values.shape[1] == 1 and self.task != "multilabel":
            values = values[:, 0]
        if name == "output" and self.task == "binary" and values.ndim == 2 and values.shape[1] == 2:
            values = values[:, 1]
        wanted = {"binary": (1,), "multiclass": (1 + (name == "output"),), "multilabel": (2,)}
        if values.ndim not in wanted.get(self.task, (1, 2)):
            raise ValueError(f"{name} of shape {values.shape} does not fit a {self.task} task.")
        return values

    def _takes_weights(self) -> bool:
        try:
            parameters = inspect.signature(getattr(self.function, "_score_func", self.function)).parameters
        except ValueError:  # a builtin without a signature
            return False
        return "sample_weight" in parameters


def _is_scorer(function: Callable[..., float]) -> bool:
    """Return whether a function was made by ``sklearn.metrics.make_scorer``."""
    return hasattr(function, "_score_func")


def as_metric(spec: Any, task: str) -> Metric:
    """Return a metric from its name, a function, or a scorer.

    Parameters
    ----------
    spec : str, callable or Metric
        "accuracy" and "r2" are the trainer's own: with several labels per row each counts, and several
        outputs are taken together. All other names are those of scikit-learn's scorers, such as "roc_auc",
        "f1_macro", "neg_log_loss" or "neg_mean_absolute_error", for which higher is always better.
        A function ``f(y_true, y_pred)``, with or without a third parameter `sample_weight`, is called with
        classes, labels or values. Its attribute ``higher_is_better`` tells whether higher is better; without
        it, lower is better if its name ends in "_error", "_loss" or "_deviance", as in scikit-learn.
        A scorer made by ``sklearn.metrics.make_scorer`` may also use probabilities.
    task : {"binary", "multiclass", "multilabel", "regression"}

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If there is no metric of that name, or it cannot be used for the task.
    TypeError
        If `spec` is something else.
    ImportError
        If the metric needs scikit-learn, which is not installed.

    Examples
    --------
    >>> import sklearn.metrics
    >>> y, p = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.3])
    >>> as_metric("roc_auc", "binary")(y, p)
    1.0
    >>> as_metric(sklearn.metrics.mean_absolute_error, "regression").higher_is_better
    False
    """
    _checks.check_name("task", task, _EXAMPLES)
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        return _named(spec, task)
    if not callable(spec):
        raise TypeError(
            f"a metric must be a name or a function f(y_true, y_pred), got {_checks.shown(spec)}."
        )
    function = getattr(spec, "_score_func", spec)
    name = getattr(function, "__name__", type(function).__name__)
    falls = name.endswith(("_error", "_loss", "_deviance")) and not _is_scorer(spec)
    return Metric(name, task, spec, bool(getattr(spec, "higher_is_better", not falls)))


def _named(name: str, task: str) -> Metric:
    """Return the metric of that name, after computing it once for an example of the task."""
    if name in NATIVE:
        if (name == "r2") != (task == "regression"):
            raise ValueError(f"metric {name!r} cannot be used for a {task} task.")
        return Metric(name, task, NATIVE[name])
    metrics = _checks.require("sklearn.metrics", "sklearn")
    names = metrics.get_scorer_names()
    if name not in names:
        nearest = _checks.nearest_name(name, [*NATIVE, *names])
        hint = "" if nearest is None else f" Did you mean {nearest!r}?"
        raise ValueError(
            "metric must be accuracy, r2 or one of sklearn.metrics.get_scorer_names(), got "
            f"{_checks.shown(name)}.{hint}"
        )
    metric = Metric(name, task, metrics.get_scorer(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric(*_EXAMPLES[task])
    except Exception as error:  # scikit-learn raises errors of many types
        reason = _checks.reason_of(error)
        raise ValueError(f"metric {name!r} cannot be used for a {task} task: {reason}") from error
    return metric
