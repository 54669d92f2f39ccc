"""How good predictions are, how sure that is, and which rows they are worst at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from . import _checks

TASKS = ("classification", "regression")

# Rows to read in all resamples together, at most: about a second.
_WORK = 100_000_000
# Resamples that a standard error asks for (Efron and Tibshirani 1993, chapter 6), and percentiles.
_FEWEST, _ENOUGH = 50, 500

Weighted = Callable[[np.ndarray], float]


def evaluate_predictions(
    truth,
    prediction,
    *,
    probabilities=None,
    classes: Sequence[Any] | None = None,
    task: str | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, dict[str, Any]]:
    """Scores of predictions, each with an interval that says how far chance in the choice of rows may reach.

    Parameters
    ----------
    truth : array-like of shape (n,) or (n, n_out)
        Labels, or values.
    prediction : array-like of shape (n,) or (n, n_out)
        The same as predicted.
    probabilities : array-like of shape (n, n_classes), or (n,) of the second of two classes, optional
        Log loss and ROC AUC are given only with it.
    classes : sequence, optional
        What the columns of `probabilities` stand for; by default all labels, sorted. A label in `truth` that
        is none of them counts as one of probability 0.
    task : {"classification", "regression"}, optional
        By default classification, if there are probabilities or classes, or `prediction` holds no floats.
    seed : int, default=0
    n_resamples : int, default=1000
        Fewer are taken where rows times resamples would be more than about a second's work.
    confidence : float, default=0.95

    Returns
    -------
    dict of dict
        By name ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"; "r2", "mae", "rmse") a
        dict of "value", "low", "high", and "method", the interval's. A score that these rows do not define,
        such as the R squared of a single row, is left out. Several outputs are averaged, as by scikit-learn.

    Raises
    ------
    ValueError
        If shapes do not fit, numbers are not finite, or no label is among the classes.
    ImportError
        Where scikit-learn is not installed.

    Notes
    -----
    Rows are drawn with replacement, and the interval reaches between percentiles of the resamples' scores
    (Efron and Tibshirani 1993, *An Introduction to the Bootstrap*, chapter 13). Where there are so many rows
    that only few resamples are taken, it is the normal one about the value, with their standard deviation
    (chapter 12). Accuracy is a share of independent hits, of which more is known: it gets the score interval
    of Wilson (1927, *Journal of the American Statistical Association* 22), which is also honest where every
    row is right. ROC AUC of more than two classes is the mean of each class against the rest. A class that a
    resample lacks keeps its score of all rows.

    The interval knows of the choice of test rows only, not of that of training rows or of the seed.

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
    rng = np.random.default_rng(seed)
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


# No score lies beyond.
_BOUNDS = dict.fromkeys(("log_loss", "mae", "rmse"), (0.0, math.inf)) | {"r2": (-math.inf, 1.0)}


def _interval(name: str, value: float, sample: np.ndarray, confidence: float) -> dict[str, Any]:
    """Of a score with these scores of resamples."""
    if len(sample) >= _ENOUGH:
        low, high = np.quantile(sample, [(1 - confidence) / 2, (1 + confidence) / 2])
        return {"low": float(low), "high": float(high), "method": "bootstrap, percentiles"}
    spread = float(np.std(sample, ddof=1)) if len(sample) > 1 else 0.0
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    least, most = _BOUNDS.get(name, (0.0, 1.0))
    low, high = max(least, value - reach), min(most, value + reach)
    return {"low": low, "high": high, "method": "bootstrap, normal"}


def wilson(n_hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: the shares that a test does not reject (Wilson 1927).

    Examples
    --------
    >>> low, high = wilson(30, 30)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    share = n_hits / n
    middle = share + z2 / (2 * n)
    reach = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    low, high = (middle - reach) / (1 + z2 / n), (middle + reach) / (1 + z2 / n)
    # What rounding leaves at the ends would look like a claim.
    return (0.0 if n_hits == 0 else low), (1.0 if n_hits == n else high)


def row_losses(
    truth,
    prediction,
    probabilities=None,
    *,
    classes: Sequence[Any] | None = None,
    task: str | None = None,
) -> np.ndarray:
    """How wrong the prediction of each row is.

    Parameters
    ----------
    truth, prediction, probabilities, classes, task
        As in :func:`evaluate_predictions`.

    Returns
    -------
    ndarray of shape (n,), float64
        Minus the logarithm of the probability of the true class; without probabilities 1 where the class is
        wrong, else 0. In regression the squared error, averaged over outputs.

    Raises
    ------
    ValueError
        If shapes do not fit, or numbers are not finite.

    Examples
    --------
    >>> row_losses(["a", "b"], ["a", "a"], [[0.5, 0.5], [1.0, 0.0]]).round(2)
    array([ 0.69, 36.04])
    >>> row_losses([1.0, 2.0], [1.0, 4.0])
    array([0., 4.])
    """
    if _task(task, prediction, probabilities, classes) == "classification":
        return _Labels(truth, prediction, probabilities, classes).losses()
    y, output = _values(truth, prediction)
    return ((y - output) ** 2).mean(axis=1)


def worst_rows(losses, n: int = 20) -> np.ndarray:
    """Places of the largest losses, the largest first; of equal ones the first.

    Examples
    --------
    >>> worst_rows([0.1, 3.0, 0.0, 0.5], n=2)
    array([1, 3])
    """
    losses = np.asarray(losses, np.float64)
    return np.argsort(-losses, kind="stable")[: _checks.check_count("n", n, 0)]


def baseline(
    truth_train,
    truth_test,
    *,
    classes: Sequence[Any] | None = None,
    task: str | None = None,
) -> dict[str, float]:
    """Scores of one who knows nothing of the rows: always the most frequent class, or always the mean.

    Its probabilities are the classes' frequencies in training.

    Parameters
    ----------
    truth_train, truth_test : array-like of shape (n,) or (n, n_out)
        Labels or values of training rows, and of the rows to score.
    classes, task
        As in :func:`evaluate_predictions`; by default classification unless `truth_train` holds floats.

    Returns
    -------
    dict of float
        By the names of :func:`evaluate_predictions`.

    Raises
    ------
    ValueError
        If there are no rows, or shapes do not fit.
    ImportError
        Where scikit-learn is not installed.

    Examples
    --------
    >>> baseline(["a", "a", "b"], ["a", "b"])["accuracy"]
    0.5
    >>> baseline([1.0, 3.0], [2.0, 4.0])["mae"]
    1.0
    """
    _checks.require("sklearn", "sklearn")
    train, test = np.asarray(truth_train), np.asarray(truth_test)
    for name, values in (("truth_train", train), ("truth_test", test)):
        if len(values) == 0:
            raise ValueError(f"{name} is empty: expected at least one row.")
    if _task(task, train, None, classes) == "regression":
        return _regression(*_values(test, np.broadcast_to(train.mean(axis=0), test.shape)))[0]
    known = list(classes) if classes is not None else _sorted_labels(train)
    counts = np.bincount(_numbers("truth_train", train, known), minlength=len(known))[: len(known)]
    shares = np.broadcast_to(counts / counts.sum(), (len(test), len(known)))
    answers = np.full(len(test), int(counts.argmax()))
    # Numbers of classes, for labels of any kind; a class that training never saw has a number, too.
    test_numbers = _numbers("truth_test", test, known)
    return _classification(_Labels(test_numbers, answers, shares, range(len(known))))[0]


def _task(task: str | None, prediction, probabilities, classes) -> str:
    if task is not None:
        return _checks.check_name("task", task, TASKS)
    labels = probabilities is not None or classes is not None or np.asarray(prediction).dtype.kind != "f"
    return "classification" if labels else "regression"


def _sorted_labels(*labels: np.ndarray) -> list[Any]:
    found = {label for some in labels for label in some.ravel().tolist()}
    try:
        return sorted(found)
    except TypeError:  # numbers and strings, or None
        return sorted(found, key=str)


def _numbers(name: str, labels: np.ndarray, classes: list[Any]) -> np.ndarray:
    """Number of each label among the classes; labels beyond them get numbers beyond."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), a label a row, got {labels.shape}.")
    number = {label: k for k, label in enumerate(classes)}
    listed = labels.tolist()
    if listed and not any(label in number for label in listed):
        shown = ", ".join(map(repr, classes[:5]))
        raise ValueError(f"{name} holds {listed[0]!r}, and none of the classes ({shown}).")
    return np.array([number.setdefault(label, len(number)) for label in listed], np.int64)


class _Labels:
    """Truth and prediction as numbers of classes, with probabilities as they are judged."""

    def __init__(self, truth, prediction, probabilities, classes) -> None:
        truth, prediction = np.asarray(truth), np.asarray(prediction)
        if len(truth) == 0:
            raise ValueError("truth is empty: expected at least one row.")
        _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
        known = list(classes) if classes is not None else _sorted_labels(truth, prediction)
        self.truth = _numbers("truth", truth, known)
        self.prediction = _numbers("prediction", prediction, known)
        self.n_classes = max(len(known), int(self.truth.max()) + 1, int(self.prediction.max()) + 1)
        self.scores: np.ndarray | None = None
        if probabilities is None:
            return
        given = np.asarray(probabilities)
        _checks.check_lengths("truth", len(truth), "probabilities", len(given))
        if given.ndim == 1 or given.shape[1] == 1:
            given = np.column_stack([1 - given.ravel(), given.ravel()])
        if given.ndim != 2 or given.shape[1] != len(known):
            raise ValueError(
                f"probabilities must have a column for each of {len(known)} classes, got shape {given.shape}."
            )
        # As scikit-learn's log_loss: no better and no worse than the numbers' own precision can tell.
        self.epsilon = float(np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps)
        scores = given.astype(np.float64)
        if not np.isfinite(scores).all() or (scores < 0).any():
            raise ValueError("probabilities must be finite and at least 0.")
        self.scores = scores

    def losses(self) -> np.ndarray:
        """Minus the logarithm of the true class's probability, or 1 where a class is wrong."""
        if self.scores is None:
            return (self.truth != self.prediction).astype(np.float64)
        found = np.zeros(len(self.truth))
        known = self.truth < self.scores.shape[1]
        found[known] = self.scores[known, self.truth[known]]
        # In single precision they add up to 1 but roughly.
        found /= np.maximum(self.scores.sum(axis=1), self.epsilon)
        return -np.log(np.clip(found, self.epsilon, 1 - self.epsilon))


def _classification(labels: _Labels) -> tuple[dict[str, float], dict[str, Weighted]]:
    """Scores by scikit-learn, and the same as functions of the rows' weights."""
    from sklearn import metrics

    truth, prediction, k = labels.truth, labels.prediction, labels.n_classes
    present = np.unique(truth)
    seen = np.union1d(present, prediction)
    recalls = metrics.recall_score(truth, prediction, labels=present, average=None)
    f1s = metrics.f1_score(truth, prediction, labels=seen, average=None, zero_division=0.0)
    hits = (truth == prediction).astype(np.float64)

    # A class that is not among the rows of a resample keeps its score of all rows: left out of the mean, a
    # rare one that the model never finds would seem to be found now and then.
    def balanced(weights):
        true, right = np.bincount(truth, weights, k)[present], np.bincount(truth, weights * hits, k)[present]
        return float(np.mean(np.divide(right, true, out=recalls.copy(), where=true > 0)))

    def f1(weights):
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
    """What the area of each class against the rest asks of the sorted rows; of two classes one is enough."""
    scores = labels.scores
    assert scores is not None
    curves: dict[int, tuple[np.ndarray, ...]] = {}
    for c in [1] if scores.shape[1] == 2 else range(scores.shape[1]):
        positive = labels.truth == c
        if not 0 < positive.sum() < len(positive):
            continue
        order = np.argsort(scores[:, c], kind="stable")
        ranked = scores[order, c]
        mine = positive[order]
        # Between these places of the cumulated negatives lie those of the same score, of which half count.
        first = np.searchsorted(ranked, ranked[mine], "left")
        last = np.searchsorted(ranked, ranked[mine], "right")
        curves[c] = order, (~mine).astype(np.float64), order[mine], first, last
    return curves


def _mean_auc(curves: list[tuple[np.ndarray, ...]], areas: list[float], weights: np.ndarray) -> float:
    """Areas under ROC curves, averaged: the share of pairs, a positive and a negative, in the right order."""
    areas = list(areas)
    below = np.zeros(len(weights) + 1)
    for place, (order, negative, positives, first, last) in enumerate(curves):
        np.cumsum(weights[order] * negative, out=below[1:])
        mine = weights[positives]
        pairs = mine.sum() * below[-1]
        if pairs > 0:
            areas[place] = mine @ (below[first] + below[last]) / (2 * pairs)
    return float(np.mean(areas))


def _values(truth, prediction) -> tuple[np.ndarray, np.ndarray]:
    """Both as finite float64 matrices of the same shape (n, n_out)."""
    found = []
    for name, values in (("truth", truth), ("prediction", prediction)):
        values = np.asarray(values)
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"{name} is empty: expected at least one row.")
        values = values.reshape(len(values), -1)
        found.append(_checks.check_targets(name, values, values.shape[1], np.dtype(np.float64)))
    y, output = found
    _checks.check_lengths("truth", len(y), "prediction", len(output))
    if y.shape != output.shape:
        raise ValueError(
            f"truth has {y.shape[1]} outputs and prediction has {output.shape[1]}: expected as many."
        )
    return y, output


def _regression(y: np.ndarray, output: np.ndarray) -> tuple[dict[str, float], dict[str, Weighted]]:
    """Scores by scikit-learn, and the same as functions of the rows' weights."""
    from sklearn import metrics

    absolute, square = np.abs(y - output), (y - output) ** 2
    centred = y - y.mean(axis=0)  # so that the squares keep their digits
    moments = np.hstack([square, centred, centred**2])
    n_out = y.shape[1]

    def r2(weights):
        error, first, second = np.split(weights @ moments / weights.sum(), [n_out, 2 * n_out])
        spread = second - first**2
        if (spread <= 0).any():  # the same row again and again
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
