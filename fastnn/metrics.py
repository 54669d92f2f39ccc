"""Metrics of a network's outputs, by name or from a function."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from . import _checks

# For each task a truth and outputs that a metric which goes with it can judge.
_EXAMPLES: dict[str, tuple[list, list]] = {
    "binary": ([0, 1, 0, 1], [0.2, 0.8, 0.6, 0.4]),
    "multiclass": (
        [0, 1, 2, 0],
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.25, 0.5, 0.25]],
    ),
    "multilabel": ([[0, 1, 0], [1, 0, 1], [1, 1, 0]], [[0.2, 0.6, 0.2], [0.8, 0.4, 0.7], [0.6, 0.3, 0.6]]),
    "regression": ([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 3.0, 3.5]),
}


def _accuracy(y_true: np.ndarray, y_pred: np.ndarray, sample_weight=None) -> float:
    """Share of what is predicted right; of several labels, each counts."""
    hits = y_true == y_pred
    return np.average(hits.mean(axis=1) if hits.ndim == 2 else hits, weights=sample_weight)


def _r2(y_true: np.ndarray, y_pred: np.ndarray, sample_weight=None) -> float:
    """R squared over all outputs together; 0 where the targets do not vary."""
    weights = np.ones(len(y_true)) if sample_weight is None else sample_weight
    spread = weights @ (y_true - np.average(y_true, axis=0, weights=weights)) ** 2
    error = weights @ (y_true - y_pred) ** 2
    return 1.0 - np.sum(error) / np.sum(spread) if np.sum(spread) > 0 else 0.0


# The trainer's own two, which need no scikit-learn.
NATIVE: dict[str, Callable[..., float]] = {"accuracy": _accuracy, "r2": _r2}


def _decide(task: str, output: np.ndarray) -> np.ndarray:
    """Classes, labels or values from outputs, as ``MLP.predict`` does it."""
    if task == "multiclass":
        return output.argmax(axis=1)
    return output if task == "regression" else (output > 0.5).astype(np.int64)


@functools.cache
def _stand_ins() -> dict[str, type]:
    """Estimators that scorers can ask, by task; their X are the outputs, so they have nothing to learn."""
    _checks.require("sklearn.base", "sklearn")
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Regressor(RegressorMixin, BaseEstimator):
        def predict(self, X):
            return X

    class Multiclass(ClassifierMixin, BaseEstimator):
        task = "multiclass"
        classes_ = np.arange(3)  # from three on, scorers take all columns as they are

        def predict(self, X):
            return _decide(self.task, X)

        def predict_proba(self, X):
            return X

    class Multilabel(Multiclass):
        task = "multilabel"

    class Binary(Multiclass):
        task = "binary"
        classes_ = np.arange(2)

        def predict_proba(self, X):
            return np.column_stack([1 - X, X])

    return {"binary": Binary, "multiclass": Multiclass, "multilabel": Multilabel, "regression": Regressor}


@dataclass(frozen=True)
class Metric:
    """A figure of how well outputs fit the truth; :func:`as_metric` makes it.

    Parameters
    ----------
    name : str
    task : {"binary", "multiclass", "multilabel", "regression"}
    function : callable
        A scorer of scikit-learn, or ``f(y_true, y_pred)`` with, perhaps, ``sample_weight``.
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

    def __call__(self, y_true, output, sample_weight=None) -> float:
        """The figure.

        Parameters
        ----------
        y_true : array-like of shape (n,), (n, 1) or (n, n_out)
            Class numbers, labels 0 and 1, or values.
        output : array-like of shape (n,) or (n, n_out)
            What ``MLP.predict_proba`` or ``MLP.predict_raw`` gives.
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

    def _shaped(self, name: str, values) -> np.ndarray:
        """Without the second dimension where it says nothing, or raise."""
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
        except ValueError:  # a builtin may tell nothing of itself
            return False
        return "sample_weight" in parameters


def _is_scorer(function) -> bool:
    """Whether it was made by ``sklearn.metrics.make_scorer``."""
    return hasattr(function, "_score_func")


def as_metric(spec: Any, task: str) -> Metric:
    """A metric from its name, a function, or a scorer.

    Parameters
    ----------
    spec : str, callable or Metric
        "accuracy" and "r2" are the trainer's own: of several labels each counts, and several outputs
        count together. All other names are those of scikit-learn's scorers, such as "roc_auc", "f1_macro",
        "neg_log_loss" or "neg_mean_absolute_error", of which a higher one is always better.
        A function ``f(y_true, y_pred)``, or with a third parameter `sample_weight`, gets classes, labels
        or values; as in scikit-learn, it falls as the network gets better if its name ends in "_error",
        "_loss" or "_deviance", else it rises, unless its attribute ``higher_is_better`` says otherwise.
        What ``sklearn.metrics.make_scorer`` makes may ask for probabilities.
    task : {"binary", "multiclass", "multilabel", "regression"}

    Returns
    -------
    Metric

    Raises
    ------
    ValueError
        If there is no metric of that name, or it does not go with the task.
    TypeError
        If it is something else.
    ImportError
        If it needs scikit-learn, which is not installed.

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
        raise TypeError(f"a metric must be a name or a function f(y_true, y_pred), got {spec!r}.")
    function = getattr(spec, "_score_func", spec)
    name = getattr(function, "__name__", type(function).__name__)
    falls = name.endswith(("_error", "_loss", "_deviance")) and not _is_scorer(spec)
    return Metric(name, task, spec, bool(getattr(spec, "higher_is_better", not falls)))


def _named(name: str, task: str) -> Metric:
    """The metric of that name, once it has been tried on data of the task."""
    if name in NATIVE:
        if (name == "r2") != (task == "regression"):
            raise ValueError(f"metric {name!r} does not go with a {task} task.")
        return Metric(name, task, NATIVE[name])
    metrics = _checks.require("sklearn.metrics", "sklearn")
    names = metrics.get_scorer_names()
    if name not in names:
        close = get_close_matches(name, [*NATIVE, *names], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"metric must be accuracy, r2 or one of sklearn.metrics.get_scorer_names(), got {name!r}.{hint}"
        )
    metric = Metric(name, task, metrics.get_scorer(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric(*_EXAMPLES[task])
    except Exception as error:  # scikit-learn raises what it likes
        reason = str(error).partition("\n")[0]
        raise ValueError(f"metric {name!r} does not go with a {task} task: {reason}") from error
    return metric
