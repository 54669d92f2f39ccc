"""Scores of predictions with confidence intervals, a baseline's scores, and the worst rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _checks
from ._labels import distinct_labels, find_classes, label_text

# What a target asks for; the tasks of :mod:`fastnn.metrics` are finer.
TASKS = ("classification", "regression")

# Most rows to read, all resamples taken together: about a second's work.
_WORK = 100_000_000
# Resamples needed for a standard error (Efron and Tibshirani 1993, chapter 6), and for percentiles.
_FEWEST, _ENOUGH = 50, 500

Weighted = Callable[[np.ndarray], float]  # a score as a function of the rows' weights


def evaluate_predictions(
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    *,
    probabilities: npt.ArrayLike | None = None,
    classes: Sequence[Any] | None = None,
    task: str | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, dict[str, Any]]:
    """Return scores of predictions, each with a confidence interval for the random choice of the rows.

    Parameters
    ----------
    truth : array-like of shape (n,) or (n, n_out)
        True labels or values.
    prediction : array-like of shape (n,) or (n, n_out)
        Predicted labels or values.
    probabilities : array-like of shape (n, n_classes), or (n,) of the second of two classes, optional
        Predicted probabilities, which log loss and ROC AUC need.
    classes : sequence, optional
        Labels of the columns of `probabilities`; by default all labels, sorted. A label in `truth` that is
        not among them counts as predicted with probability 0. Labels are compared by their text: 1, 1.0 and
        "1 " are the same.
    task : {"classification", "regression"}, optional
        By default classification if there are probabilities or classes, or `prediction` holds no floats.
    seed : int, default=0
        Seed of the resamples.
    n_resamples : int, default=1000
        Fewer resamples are taken where rows times resamples would be more than about a second's work.
    confidence : float in (0, 1), default=0.95

    Returns
    -------
    dict of dict
        For each score ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"; "r2", "mae",
        "rmse") a dict with its "value", the interval's ends "low" and "high", and the interval's "method". A
        score that these rows do not define, such as the R squared of a single row, is left out. Several
        outputs are averaged, as in scikit-learn.

    Raises
    ------
    ValueError
        If shapes do not fit, numbers are not finite, or no label is among the classes.
    ImportError
        If scikit-learn is not installed.

    Notes
    -----
    Rows are resampled with replacement, and the interval lies between percentiles of the resamples' scores
    (Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, chapter 13). If there are so many rows
    that only few resamples are taken, it is the normal interval with their standard deviation (chapter 12).
    Accuracy, a share of independent hits, has the score interval of Wilson (1927, *Journal of the American
    Statistical Association* 22), which also holds if every row is right. ROC AUC of more than two classes is
    the mean of each class against the rest. A class that is missing from a resample keeps its score of all
    rows.

    The interval covers the random choice of test rows, not that of training rows or of the seed.

    Examples
    --------
    >>> scores = evaluate_predictions(["a", "b", "b", "a"], ["a", "b", "a", "a"])
    >>> scores["accuracy"]["value"]
    0.75
    >>> round(scores["accuracy"]["low"], 3), round(scores["accuracy"]["high"], 3)
    (0.301, 0.954)
    >>> list(evaluate_predictions([1.0, 2.0, 3.0], [1.5, 2.0, 2.5]))
    ['r2', 'mae', 'rmse']
    """
    n_resamples = _checks.check_count("n_resamples", n_resamples)
    confidence = _checks.check_number("confidence", confidence, 0.0, 1.0, open_low=True)
    rng = _checks.make_rng(seed)
    _checks.require("sklearn", "sklearn")
    if _task(task, prediction, probabilities, classes) == "classification":
        labels = _Labels(truth, prediction, probabilities, classes)
        values, weighted = _classification(labels)
        n, cost = len(labels.truth), 2 + (0 if labels.scores is None else labels.scores.shape[1])
    else:
        y, output = _values(truth, prediction)
        values, weighted = _regression(y, output)
        n, cost = len(y), 2
    n_resamples = min(n_resamples, max(_FEWEST, _WORK // (n * cost)))
    found = np.empty((n_resamples, len(values)))
    for row in found:
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)
        row[:] = [weighted[name](weights) for name in values]
    intervals = {
        name: _interval(name, value, sample[np.isfinite(sample)], confidence)
        for (name, value), sample in zip(values.items(), found.T, strict=True)
    }
    if "accuracy" in values:
        low, high = wilson(round(values["accuracy"] * n), n, confidence)
        intervals["accuracy"] = {"low": low, "high": high, "method": "Wilson score"}
    return {name: {"value": value, **intervals[name]} for name, value in values.items()}


# Bounds of scores that may leave [0, 1], or that have only one bound.
_BOUNDS = dict.fromkeys(("log_loss", "mae", "rmse"), (0.0, math.inf)) | {"r2": (-math.inf, 1.0)}


def _interval(name: str, value: float, sample: np.ndarray, confidence: float) -> dict[str, Any]:
    """Return the interval of a score from the scores of its resamples."""
    if len(sample) >= _ENOUGH:
        low, high = np.quantile(sample, [(1 - confidence) / 2, (1 + confidence) / 2])
        return {"low": float(low), "high": float(high), "method": "bootstrap, percentiles"}
    spread = float(np.std(sample, ddof=1)) if len(sample) > 1 else 0.0
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    least, most = _BOUNDS.get(name, (0.0, 1.0))
    low, high = max(least, value - reach), min(most, value + reach)
    return {"low": low, "high": high, "method": "bootstrap, normal"}


def wilson(n_hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a share of hits, by SciPy.

    Examples
    --------
    >>> low, high = wilson(30, 30)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    from scipy.stats import binomtest

    n = _checks.check_count("n", n)
    n_hits = _checks.check_count("n_hits", n_hits, 0, n)
    confidence = _checks.check_number("confidence", confidence, 0.0, 1.0, open_low=True)
    interval = binomtest(n_hits, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def worst_rows(losses: npt.ArrayLike, n: int = 20) -> np.ndarray:
    """Return the indices of the n largest losses, largest first, equal ones in their order.

    Examples
    --------
    >>> worst_rows([0.1, 3.0, 0.0, 0.5], n=2)
    array([1, 3])
    """
    losses = _checks.as_finite("losses", losses)
    if losses.ndim != 1:
        raise ValueError(f"losses must have shape (n,), one loss per row, got {losses.shape}.")
    return np.argsort(-losses, kind="stable")[: _checks.check_count("n", n, 0)]


def baseline(
    truth_train: npt.ArrayLike,
    truth_test: npt.ArrayLike,
    *,
    classes: Sequence[Any] | None = None,
    task: str | None = None,
) -> dict[str, float]:
    """Return the scores of a predictor that ignores the features: the most frequent class, or the mean.

    Its probabilities are the class frequencies in training.

    Parameters
    ----------
    truth_train, truth_test : array-like of shape (n,) or (n, n_out)
        True labels or values of the training rows, and of the rows to score.
    classes, task
        See :func:`evaluate_predictions`; by default classification unless `truth_train` holds floats.

    Returns
    -------
    dict of float
        Scores by the names of :func:`evaluate_predictions`.

    Raises
    ------
    ValueError
        If there are no rows, or shapes do not fit.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> baseline(["a", "a", "b"], ["a", "b"])["accuracy"]
    0.5
    >>> baseline([1.0, 3.0], [2.0, 4.0])["mae"]
    1.0
    """
    _checks.require("sklearn", "sklearn")
    train, test = _checks.as_rows("truth_train", truth_train), _checks.as_rows("truth_test", truth_test)
    if _task(task, train, None, classes) == "regression":
        return _regression(*_values(test, np.broadcast_to(train.mean(axis=0), test.shape)))[0]
    known = _classes_of(train) if classes is None else _checks.check_classes(classes)
    counts = np.bincount(_numbers("truth_train", train, known), minlength=len(known))[: len(known)]
    shares = np.broadcast_to(counts / counts.sum(), (len(test), len(known)))
    answers = np.full(len(test), int(counts.argmax()))
    # Class numbers for labels of any kind; a class that is missing in training has a number, too.
    test_numbers = _numbers("truth_test", test, known)
    return _classification(_Labels(test_numbers, answers, shares, range(len(known))))[0]


def _task(
    task: str | None,
    prediction: npt.ArrayLike,
    probabilities: npt.ArrayLike | None,
    classes: Sequence[Any] | None,
) -> str:
    """Return the task that the user names, or that the predictions are of."""
    if task is not None:
        return _checks.check_name("task", task, TASKS)
    labels = probabilities is not None or classes is not None or np.asarray(prediction).dtype.kind != "f"
    return "classification" if labels else "regression"


def _labels_of(labels: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the distinct labels, and the index of each row's."""
    try:
        return distinct_labels(labels)
    except TypeError as error:
        raise ValueError(f"labels must be text, numbers or booleans: {error}.") from None


def _classes_of(*labels: np.ndarray) -> list[Any]:
    return find_classes(label for some in labels for label in _labels_of(some)[0])


def _numbers(name: str, labels: np.ndarray, classes: list[Any]) -> np.ndarray:
    """Return each label's index in `classes`; labels that are not in it get indices after its last."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), one label per row, got {labels.shape}.")
    number = {label_text(label): k for k, label in enumerate(classes)}
    distinct, inverse = _labels_of(labels)
    texts = list(map(label_text, distinct))
    if texts and not any(text in number for text in texts):
        shown = ", ".join(map(repr, classes[:5]))
        raise ValueError(
            f"{name} must hold labels of the classes ({shown}), got {_checks.shown(distinct[0])}."
        )
    return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)[inverse]


class _Labels:
    """Truth and prediction as class numbers, with the probabilities as float64 scores."""

    def __init__(
        self,
        truth: npt.ArrayLike,
        prediction: npt.ArrayLike,
        probabilities: npt.ArrayLike | None,
        classes: Sequence[Any] | None,
    ) -> None:
        truth, prediction = _checks.as_rows("truth", truth), _checks.as_rows("prediction", prediction)
        _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
        known = _classes_of(truth, prediction) if classes is None else _checks.check_classes(classes)
        self.truth = _numbers("truth", truth, known)
        self.prediction = _numbers("prediction", prediction, known)
        self.n_classes = max(len(known), int(self.truth.max()) + 1, int(self.prediction.max()) + 1)
        self.scores: np.ndarray | None = None
        if probabilities is None:
            return
        given = _checks.as_rows("probabilities", _checks.as_numbers("probabilities", probabilities))
        _checks.check_lengths("truth", len(truth), "probabilities", len(given))
        if given.ndim == 1 or given.shape[1] == 1:
            given = np.column_stack([1 - given.ravel(), given.ravel()])
        if given.ndim != 2 or given.shape[1] != len(known):
            raise ValueError(
                f"probabilities must have a column for each of {len(known)} classes, got shape {given.shape}."
            )
        # Like scikit-learn's log_loss: probabilities are clipped to the precision of their own dtype.
        self.epsilon = float(np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps)
        scores = given.astype(np.float64)
        if not np.isfinite(scores).all() or (scores < 0).any():
            raise ValueError("probabilities must be finite and at least 0.")
        self.scores = scores

    def losses(self) -> np.ndarray:
        """Return minus the logarithm of the true class's probability, for each row."""
        assert self.scores is not None
        found = np.zeros(len(self.truth))
        known = self.truth < self.scores.shape[1]
        found[known] = self.scores[known, self.truth[known]]
        # In single precision a row's sum differs from 1.
        found /= np.maximum(self.scores.sum(axis=1), self.epsilon)
        return -np.log(np.clip(found, self.epsilon, 1 - self.epsilon))


def _classification(labels: _Labels) -> tuple[dict[str, float], dict[str, Weighted]]:
    """Return the scores by scikit-learn, and each as a function of the rows' weights."""
    from sklearn import metrics

    truth, prediction, k = labels.truth, labels.prediction, labels.n_classes
    present = np.unique(truth)
    seen = np.union1d(present, prediction)
    recalls = metrics.recall_score(truth, prediction, labels=present, average=None)
    f1s = metrics.f1_score(truth, prediction, labels=seen, average=None, zero_division=0.0)
    hits = (truth == prediction).astype(np.float64)

    # A class that is missing from a resample keeps its score of all rows: if it were left out of the mean, a
    # rare class that the model never finds would seem to be found in some resamples.
    def balanced(weights: np.ndarray) -> float:
        true, right = np.bincount(truth, weights, k)[present], np.bincount(truth, weights * hits, k)[present]
        return float(np.mean(np.divide(right, true, out=recalls.copy(), where=true > 0)))

    def f1(weights: np.ndarray) -> float:
        both = (np.bincount(truth, weights, k) + np.bincount(prediction, weights, k))[seen]
        right = np.bincount(truth, weights * hits, k)[seen]
        return float(np.mean(np.divide(2 * right, both, out=f1s.copy(), where=both > 0)))

    values = {
        "accuracy": metrics.accuracy_score(truth, prediction),
        "balanced_accuracy": np.mean(recalls),
        "f1_macro": np.mean(f1s),
    }
    weighted: dict[str, Weighted] = {
        "accuracy": lambda weights: float(weights @ hits / weights.sum()),
        "balanced_accuracy": balanced,
        "f1_macro": f1,
    }
    if labels.scores is not None:
        losses = labels.losses()
        values["log_loss"] = losses.mean()
        weighted["log_loss"] = lambda weights: float(weights @ losses / weights.sum())
        curves = _auc_curves(labels)
        if curves:
            areas = [metrics.roc_auc_score(truth == c, labels.scores[:, c]) for c in curves]
            values["roc_auc"] = np.mean(areas)
            weighted["roc_auc"] = lambda weights: _mean_auc(list(curves.values()), areas, weights)
    return {name: float(value) for name, value in values.items()}, weighted


def _auc_curves(labels: _Labels) -> dict[int, tuple[np.ndarray, ...]]:
    """Return, for each class, the facts on the sorted rows that its ROC AUC against the rest needs.

    For two classes, the second is enough; a class with no rows, or with all of them, has no AUC.
    """
    scores = labels.scores
    assert scores is not None
    curves: dict[int, tuple[np.ndarray, ...]] = {}
    for c in [1] if scores.shape[1] == 2 else range(scores.shape[1]):
        positive = labels.truth == c
        if not 0 < positive.sum() < len(positive):
            continue
        order = np.argsort(scores[:, c], kind="stable")
        ranked = scores[order, c]
        hits = positive[order]
        # The negatives from `first` to `last` have the same score as the positive, and count half.
        first = np.searchsorted(ranked, ranked[hits], "left")
        last = np.searchsorted(ranked, ranked[hits], "right")
        curves[c] = order, (~hits).astype(np.float64), order[hits], first, last
    return curves


def _mean_auc(curves: list[tuple[np.ndarray, ...]], areas: list[float], weights: np.ndarray) -> float:
    """Return the mean area under ROC curves, an area being the share of correctly ordered pairs of rows."""
    areas = list(areas)
    below = np.zeros(len(weights) + 1)
    for k, (order, negative, positives, first, last) in enumerate(curves):
        np.cumsum(weights[order] * negative, out=below[1:])
        positive_weights = weights[positives]
        pairs = positive_weights.sum() * below[-1]
        if pairs > 0:
            areas[k] = positive_weights @ (below[first] + below[last]) / (2 * pairs)
    return float(np.mean(areas))


def _values(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both as finite float64 matrices of the same shape (n, n_out)."""
    found = []
    for name, values in (("truth", truth), ("prediction", prediction)):
        values = _checks.as_rows(name, values)
        values = values.reshape(len(values), -1)
        found.append(_checks.check_targets(name, values, values.shape[1], np.dtype(np.float64)))
    y, output = found
    _checks.check_lengths("truth", len(y), "prediction", len(output))
    if y.shape != output.shape:
        raise ValueError(
            f"truth has {y.shape[1]} outputs and prediction has {output.shape[1]}, expected the same number."
        )
    return y, output


def _regression(y: np.ndarray, output: np.ndarray) -> tuple[dict[str, float], dict[str, Weighted]]:
    """Return the scores by scikit-learn, and each as a function of the rows' weights."""
    from sklearn import metrics

    absolute, square = np.abs(y - output), (y - output) ** 2
    centred = y - y.mean(axis=0)  # against cancellation in the variance
    moments = np.hstack([square, centred, centred**2])
    n_out = y.shape[1]

    def r2(weights: np.ndarray) -> float:
        error, first, second = np.split(weights @ moments / weights.sum(), [n_out, 2 * n_out])
        spread = second - first**2
        if (spread <= 0).any():  # the resample repeats one row
            return math.nan
        return float(np.mean(1 - error / spread))

    values: dict[str, float] = {}
    weighted: dict[str, Weighted] = {}
    if (np.ptp(y, axis=0) > 0).all():
        values["r2"] = metrics.r2_score(y, output)
        weighted["r2"] = r2
    values["mae"] = metrics.mean_absolute_error(y, output)
    weighted["mae"] = lambda weights: float(np.mean(weights @ absolute / weights.sum()))
    values["rmse"] = metrics.root_mean_squared_error(y, output)
    weighted["rmse"] = lambda weights: float(np.mean(np.sqrt(weights @ square / weights.sum())))
    return {name: float(value) for name, value in values.items()}, weighted
