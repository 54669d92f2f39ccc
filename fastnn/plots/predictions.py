"""Pictures that compare predictions with the truth: of classes, of probabilities and of values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..evaluation import wilson
from .arguments import check_labels, check_vector, class_numbers
from .style import (
    BLUE,
    VERMILLION,
    as_written,
    color_ramp,
    format_number,
    format_tick,
    new_axes,
    set_headline,
    set_number_ticks,
    shorten,
    size_in_points,
    text_color,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 3000  # more rows than this are counted in hexagons, not drawn one by one
SCATTER_SIZE = (5.0, 4.2)  # inches


def matrix_size(n_classes: int) -> tuple[float, float]:
    """Width and height, in inches, of a figure that suits a confusion matrix."""
    side = min(9.0, max(3.8, 1.6 + 0.3 * n_classes))
    return side * 1.1, side


def confusion_matrix(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    classes: Sequence[Any] | None = None,
    normalize: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many rows of each true class were predicted as each class.

    A cell's colour shows its share of the rows of its true class, so that rare classes are seen as well.

    Parameters
    ----------
    truth, prediction : array-like of shape (n,)
        Classes, or their numbers if `classes` is given.
    classes : sequence, optional
        All classes in their order.
    normalize : bool, default=False
        Write percentages of the rows of the true class instead of counts.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If lengths differ, or a label is not one of the classes.

    Examples
    --------
    >>> ax = confusion_matrix(["cat", "dog", "cat"], ["cat", "cat", "cat"])
    >>> ax.get_images()[0].get_array().tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    >>> [text.get_text() for text in ax.texts]
    ['2', '1']
    """
    truth, prediction = check_labels("truth", truth), check_labels("prediction", prediction)
    _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
    if classes is None:
        classes = np.unique(np.concatenate([truth, prediction])).tolist()
    classes, normalize = _checks.check_classes(classes), _checks.check_flag("normalize", normalize)
    numbers = class_numbers("truth", truth, classes), class_numbers("prediction", prediction, classes)
    n = len(classes)
    counts = _checks.require("sklearn.metrics", "sklearn").confusion_matrix(*numbers, labels=range(n))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    ax = new_axes(ax, matrix_size(n))
    # The square root makes few mistakes visible.
    shade = _checks.require("matplotlib.colors", "plots").PowerNorm(0.5, 0, 1)
    ax.imshow(shares, cmap=color_ramp(), norm=shade)
    ax.grid(False)
    names = [shorten(label) for label in classes]
    cell = _cell_size(ax, names)
    size = min(10.0, max(5.0, 0.75 * cell))
    shown = slice(None, None, math.ceil(1.1 * size / cell))
    wide = max(map(len, names)) * 0.6 * size > 0.95 * cell
    ax.set_xticks(range(n)[shown], names[shown], fontsize=size, rotation=90 if wide else 0)
    ax.set_yticks(range(n)[shown], names[shown], fontsize=size)
    as_written(ax.xaxis)
    as_written(ax.yaxis)
    ax.tick_params(length=0)
    ax.set(xlabel="predicted", ylabel="true")
    texts = [
        [f"{100 * share:.0f}" if normalize else f"{count:,}" for share, count in zip(*row, strict=True)]
        for row in zip(shares, counts, strict=True)
    ]
    longest = max(len(text) for row in texts for text in row)
    size = min(10.0, cell * 0.9 / (0.62 * longest), 0.7 * cell)
    if size >= 4.5:
        for i, j in np.argwhere(counts):
            color = "white" if shares[i, j] > 0.64 else text_color()
            ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=color)
    right = np.trace(counts) / counts.sum()
    unit = "% of true class" if normalize else "rows"
    set_headline(ax, f"{100 * right:.3g} % correct; cells: {unit}")
    return ax


def _cell_size(ax: Axes, names: list[str]) -> float:
    """Side of a cell, in points, of a square matrix with these names beside it."""
    width, height = size_in_points(ax)
    beside = 0.6 * max(map(len, names)) * min(10.0, min(width, height) / len(names))
    return max(1.0, min(width - beside, height - beside) / len(names))


class Calibration(NamedTuple):
    """Predicted probabilities and how often they came true, in bins of equal width.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
        Rows in each bin.
    predicted, observed : ndarray of shape (n_bins,)
        Means over the rows of a bin; NaN in a bin without rows.
    error : float
        The expected calibration error (Guo et al., 2017): the mean of |observed - predicted| over rows.

    Examples
    --------
    >>> curve = Calibration.of(np.array([False, True, True]), np.array([0.2, 0.4, 0.9]), 2)
    >>> curve.counts.tolist(), curve.observed.tolist(), round(curve.error, 3)
    ([2, 1], [0.5, 1.0], 0.167)
    """

    counts: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    error: float

    @classmethod
    def of(cls, hits: np.ndarray, p: np.ndarray, n_bins: int) -> Calibration:
        """Bin probabilities of shape (n,) and whether each came true, `hits` of shape (n,)."""
        bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
        counts = np.bincount(bins, minlength=n_bins)
        with np.errstate(invalid="ignore"):
            predicted, observed = (np.bincount(bins, v, n_bins) / counts for v in (p, hits))
        return cls(counts, predicted, observed, float(np.nansum(counts * abs(observed - predicted)) / len(p)))


class Outcomes(NamedTuple):
    """Probabilities that a classifier gave to rows, and whether each came true.

    Attributes
    ----------
    hits : ndarray of bool of shape (n,)
        True where the row is of the class that the probability is for.
    p : ndarray of shape (n,)
        For two classes the probability of the second, for more that of the predicted class; at most 1.
    binary : bool
        True for two classes.
    """

    hits: np.ndarray
    p: np.ndarray
    binary: bool


def outcomes_of(truth: ArrayLike, probabilities: ArrayLike, classes: Sequence[Any] | None) -> Outcomes:
    """Compare probabilities with the true classes; the arguments are those of :func:`calibration`."""
    truth, p = (
        check_labels("truth", truth),
        _checks.as_numbers("probabilities", probabilities).astype(np.float64),
    )
    if p.ndim not in (1, 2) or p.size == 0:
        raise ValueError(f"probabilities must have shape (n,) or (n, n_classes), got {p.shape}.")
    _checks.check_lengths("truth", len(truth), "probabilities", len(p))
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():  # NaN is neither
        raise ValueError("probabilities must lie in [0, 1]: pass those of predict_proba, not raw outputs.")
    p = np.minimum(p, 1.0)
    n_classes = p.shape[1] if p.ndim == 2 and p.shape[1] > 1 else 2
    if classes is None:
        found = np.unique(truth).tolist()
        numbered = truth.dtype.kind in "iub" and truth.min() >= 0 and truth.max() < n_classes
        classes = list(range(n_classes)) if numbered else found
    classes = _checks.check_classes(classes)
    if len(classes) != n_classes:
        raise ValueError(
            f"probabilities have {n_classes} classes, but there are {len(classes)}: pass classes= in "
            "the order of the columns."
        )
    number = class_numbers("truth", truth, list(classes))
    if n_classes == 2:
        return Outcomes(number == 1, p.reshape(len(p), -1)[:, -1], True)
    return Outcomes(number == p.argmax(axis=1), p.max(axis=1), False)


def calibration(
    truth: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: Sequence[Any] | None = None,
    n_bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each predicted probability came true: the reliability curve of a classifier.

    The probability is that of the second of two classes; of more classes, that of the predicted one. Vertical
    bars are 95 % intervals (Wilson, 1927); the bars below show how many rows each bin has. The expected
    calibration error is that of Guo et al. (2017).

    Parameters
    ----------
    truth : array-like of shape (n,)
        Classes, or their numbers.
    probabilities : array-like of shape (n, n_classes) or (n,)
        The output of ``predict_proba``, or the probability of the second of two classes.
    classes : sequence, optional
        All classes in the order of the columns.
    n_bins : int, default=10
        Bins of equal width from 0 to 1.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If shapes do not match, or a value is not a probability.

    Examples
    --------
    >>> ax = calibration([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], n_bins=2)
    >>> ax.get_lines()[1].get_xydata().tolist()
    [[0.25, 0.0], [0.75, 1.0]]
    """
    _checks.check_count("n_bins", n_bins, 2)
    outcomes = outcomes_of(truth, probabilities, classes)
    curve = Calibration.of(outcomes.hits, outcomes.p, n_bins)
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color=text_color(), linewidth=0.8, linestyle="--")
    some = curve.counts > 0
    n, x, y = curve.counts[some], curve.predicted[some], curve.observed[some]
    ax.plot(x, y, "o-", color=BLUE, linewidth=1.8, markersize=4.5)
    intervals = [wilson(round(share * rows), int(rows)) for share, rows in zip(y, n, strict=True)]
    ax.vlines(x, *zip(*intervals, strict=True), color=BLUE, linewidth=1.2)
    ax.bar(
        (np.arange(n_bins) + 0.5) / n_bins,
        0.15 * curve.counts / curve.counts.max(),
        0.9 / n_bins,
        bottom=-0.2,
        color=text_color(),
        alpha=0.35,
    )
    if outcomes.binary:
        name = "the second class" if classes is None else shorten(list(classes)[1])
        ax.set(xlabel=f"probability of {name}", ylabel="observed share")
        as_written(ax.xaxis)
    else:
        ax.set(xlabel="probability of the predicted class", ylabel="share predicted correctly")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.21, 1.04))
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.set_yticks(np.linspace(0, 1, 6))
    rows = f"{len(outcomes.hits):,} rows, at most {curve.counts.max():,} a bin"
    set_headline(ax, f"expected calibration error {curve.error:.3f}\n{rows}")
    return ax


def check_pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both as finite numbers of the same length."""
    truth, prediction = check_vector("truth", truth), check_vector("prediction", prediction)
    _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
    return truth, prediction


def r2_and_mae(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """Return R squared (NaN where the truth does not vary) and the mean absolute error."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    r2 = 1 - float(((truth - prediction) ** 2).sum()) / spread if spread > 0 else math.nan
    return r2, float(abs(truth - prediction).mean())


def predicted_against_true(truth: ArrayLike, prediction: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw the prediction of each row against its true value; correct ones lie on the dashed line.

    Parameters
    ----------
    truth, prediction : array-like of shape (n,)
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If lengths differ, or a value is not a finite number.

    Examples
    --------
    >>> ax = predicted_against_true([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    >>> ax.collections[0].get_offsets().tolist()
    [[1.0, 1.1], [2.0, 1.9], [3.0, 3.2]]
    >>> ax.get_title("left")
    'R² 0.97, mean absolute error 0.133'
    """
    truth, prediction = check_pair(truth, prediction)
    ax = new_axes(ax, SCATTER_SIZE)
    low, high = min(truth.min(), prediction.min()), max(truth.max(), prediction.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    ax.plot(limits, limits, color=text_color(), linewidth=0.8, linestyle="--", scalex=False, scaley=False)
    _draw_points(ax, truth, prediction)
    ax.set(xlim=limits, ylim=limits, xlabel="true", ylabel="predicted")
    r2, error = r2_and_mae(truth, prediction)
    set_headline(ax, f"R² {format_number(r2)}, mean absolute error {format_number(error)}")
    for axis in (ax.xaxis, ax.yaxis):
        set_number_ticks(axis)
    return ax


def residuals(truth: ArrayLike, prediction: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw residuals, true less predicted, against the predictions.

    With 200 rows or more, a line joins the medians of ten groups of equal size, in the order of the
    predictions: it lies at 0 where predictions are neither too high nor too low.

    Parameters
    ----------
    truth, prediction : array-like of shape (n,)
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If lengths differ, or a value is not a finite number.

    Examples
    --------
    >>> ax = residuals([1.0, 2.0, 3.0], [1.5, 1.5, 3.0])
    >>> ax.collections[0].get_offsets().tolist()
    [[1.5, -0.5], [1.5, 0.5], [3.0, 0.0]]
    """
    truth, prediction = check_pair(truth, prediction)
    ax = new_axes(ax)
    ax.axhline(0, color=text_color(), linewidth=0.8, linestyle="--")
    rest = truth - prediction
    _draw_points(ax, prediction, rest)
    if len(rest) >= 200:
        groups = np.array_split(np.argsort(prediction, kind="stable"), 10)
        medians = [(np.median(prediction[group]), np.median(rest[group])) for group in groups]
        ax.plot(*zip(*medians, strict=True), "o-", color=VERMILLION, linewidth=1.8, markersize=4)
        set_headline(ax, "line: running median")
    ax.set(xlabel="predicted", ylabel="true less predicted")
    for axis in (ax.xaxis, ax.yaxis):
        set_number_ticks(axis)
    return ax


def _draw_points(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw points; of many, how many there are in each hexagon of a grid."""
    if len(x) <= MOST_POINTS:
        alpha = float(np.clip(12 / math.sqrt(len(x)), 0.25, 0.8))
        ax.scatter(x, y, s=14, color=BLUE, alpha=alpha, linewidths=0, rasterized=len(x) > 500)
        return
    # A single row must be seen: the ramp does not begin at nothing.
    ramp = color_ramp(lowest_alpha=0.2)
    cells = ax.hexbin(x, y, gridsize=45, bins="log", mincnt=1, cmap=ramp, linewidths=0)
    bar = ax.figure.colorbar(cells, ax=ax, pad=0.02, shrink=0.8)
    bar.set_label("rows")
    bar.outline.set_visible(False)
    ticker = _checks.require("matplotlib.ticker", "plots")
    bar.ax.yaxis.set_major_formatter(ticker.FuncFormatter(format_tick))
