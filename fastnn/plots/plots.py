"""Pictures of training, of what a network learnt, and of how well it predicts.

Every function takes the Axes to draw into, or makes a figure, and returns the Axes. The first colours are
those of Okabe and Ito (2008) that stand out from white and from black, which the colour-blind can tell
apart; text and frames have matplotlib's own colours, so that a dark style does what it should.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _checks
from ..history import History
from ..network.files import write_atomically
from ..network.mlp import MLP, load
from ..training.recording import Histogram, RecordBoundary, RecordHistograms, grid_points, plane

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#C1619A"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, "#8A8000", "#7F7F7F", "#3B9BDD", "#B04A4A")
MARKERS = "os^DvPX*"
SIZE = (5.4, 3.8)  # inches; its text is readable 400 pixels wide
DECADES = 30.0  # figures that differ by this factor get a logarithmic axis
COLUMNS = 200  # at most so many epochs are drawn beside each other
DENSE = 3000  # more points than this are counted, not drawn one by one
_METRIC_NAMES = {"accuracy": "accuracy", "r2": "R²"}


# --- style ------------------------------------------------------------------------------------------


def new_axes(ax: Axes | None = None, size: tuple[float, float] = SIZE) -> Axes:
    """The Axes given, or those of a new figure, in the style of this module.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    matplotlib = _checks.require("matplotlib", "plots")
    if ax is None:
        plt = _checks.require("matplotlib.pyplot", "plots")
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    assert ax is not None
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=matplotlib.rcParams["text.color"], alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def _ink() -> str:
    return _checks.require("matplotlib", "plots").rcParams["text.color"]


def _ramp(high: str = BLUE, low: str | None = None):
    """A colour map from the background, which shines through, to `high`; to `low` on the other side."""
    colors = _checks.require("matplotlib.colors", "plots")
    stops = [(*colors.to_rgb(high), 0.0), (*colors.to_rgb(high), 1.0)]
    if low is not None:
        stops = [(*colors.to_rgb(low), 1.0), (*colors.to_rgb(low), 0.0), *stops]
        places = [0.0, 0.5, 0.5, 1.0]
        return colors.LinearSegmentedColormap.from_list(
            "fastnn", list(zip(places, stops, strict=True)), N=512
        )
    return colors.LinearSegmentedColormap.from_list("fastnn", stops)


def _room(ax: Any) -> tuple[float, float]:
    """Width and height of the Axes in points, before what stands around them takes its part."""
    box, points = ax.get_window_extent(), 72 / ax.figure.dpi
    return box.width * points, box.height * points


def _count_axis(axis: Any, integers: bool = False) -> None:
    """Ticks with thousands separated, as many as there is room for."""
    ticker = _checks.require("matplotlib.ticker", "plots")
    width, height = _room(axis.axes)
    n = int(np.clip(width / 50 if axis.axis_name == "x" else height / 30, 3, 8))
    steps = [1, 2, 5, 10] if integers else [1, 2, 2.5, 5, 10]
    least = 1 if integers else 2
    axis.set_major_locator(ticker.MaxNLocator(n, steps=steps, integer=integers, min_n_ticks=least))
    axis.set_major_formatter(ticker.FuncFormatter(_tick))


def _tick(value: float, _place: int | None = None) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return finite.size > 1 and finite.min() > 0 and finite.max() >= DECADES * finite.min()


def _log_axis(ax: Any) -> None:
    """A logarithmic y axis; where it spans little more than a decade, numbers in between are shown, too."""
    ticker = _checks.require("matplotlib.ticker", "plots")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high / low < 1e3:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 3) if high / low > 50 else (1, 2, 5)))
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(_tick))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def _number(value: Any) -> str:
    """A figure in a sentence or beside a curve."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}") if text.startswith("-") else text


def _label_ends(ax: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names of lines beside the right edge, at the heights (in data) where they end, clear of each other."""
    gap = 12 / _room(ax)[1]
    ax.get_ylim()  # brings the limits up to date, which the transformation alone does not
    to_axes = ax.transData + ax.transAxes.inverted()
    places = sorted((float(to_axes.transform((1, y))[1]), label, color) for y, label, color in ends)
    low = 0.02
    for k, (at, label, color) in enumerate(places):
        high = 0.98 - (len(places) - 1 - k) * gap
        low = max(low, min(at, high))
        beside = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center"}
        ax.annotate("\N{BLACK SQUARE}", (1, low), (4, 0), color=color, fontsize=7, **beside)
        ax.annotate(label, (1, low), (12, 0), fontsize=9, **beside)
        low += gap


def _say(ax: Any, text: str) -> None:
    """The main figures above the Axes, where they hide nothing."""
    ax.set_title(text, fontsize=9, loc="left")


def _vector(name: str, values) -> np.ndarray:
    """Finite numbers, (n,)."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, but it does not convert: {error}.") from None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have shape (n,), one number a row, got {array.shape}: draw one output."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite.")
    return array


def _labels(name: str, values) -> np.ndarray:
    """Labels of any kind, (n,)."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), one label a row, got {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    return array


def _as_numbers(name: str, values: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Numbers of classes; `values` are classes, or their numbers already."""
    place = {label: number for number, label in enumerate(classes)}
    items = values.tolist()
    if all(item in place for item in items):
        return np.array([place[item] for item in items])
    if values.dtype.kind in "iub" and values.min() >= 0 and values.max() < len(classes):
        return values.astype(np.int64)
    strange = next(item for item in items if item not in place)
    raise ValueError(f"{name} holds {strange!r}, which is none of the {len(classes)} classes.")


# --- training ---------------------------------------------------------------------------------------


def _columns(history) -> tuple[dict[str, list], str, int | None]:
    """Columns, the metric's name and the best epoch of a history in any of its forms."""
    if isinstance(history, History):
        return history.to_dict(), history.metric_name, history.best_epoch
    columns = history.get("columns") if isinstance(history, Mapping) else None
    if isinstance(history, Mapping) and isinstance(columns, Mapping) and "epoch" in columns:
        return dict(columns), history.get("metric_name", "metric"), history.get("best_epoch")
    if isinstance(history, Mapping) and "epoch" in history:
        return dict(history), "metric", None
    raise TypeError(
        f"history must be a fastnn.History or the dict of its columns, got {type(history).__name__}."
    )


def _curve(columns: dict[str, list], name: str) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in columns[name]], dtype=np.float64)


def _best(columns: dict[str, list], figure: str, best_epoch: int | None) -> int | None:
    """Where in the columns the best epoch is."""
    if figure == "lr":
        return None
    if best_epoch in columns["epoch"]:
        return columns["epoch"].index(best_epoch)
    values = _curve(columns, f"val_{figure}" if f"val_{figure}" in columns else figure)
    if figure not in ("cost", "metric") or not np.isfinite(values).any():
        return None
    return int(np.nanargmin(values) if figure == "cost" else np.nanargmax(values))


def learning_curve(history, figure: str = "cost", *, ax: Axes | None = None) -> Axes:
    """A figure of training over the epochs, with that of the validation rows where there is one.

    The epoch whose weights were restored is marked; else the one of the lowest cost or the highest metric, of
    the validation rows if there are any.

    Parameters
    ----------
    history : History or dict
        Or its columns, as :meth:`fastnn.History.to_dict` gives them.
    figure : str, default="cost"
        A column of the history: "cost", "metric", "lr", "seconds", a metric of yours, a norm.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If the history is none, or empty, or lacks the figure.

    Examples
    --------
    >>> columns = {"epoch": [1, 2, 3], "cost": [1.0, 0.5, 0.4], "val_cost": [1.1, 0.6, 0.7]}
    >>> ax = learning_curve(columns)
    >>> [line.get_ydata().tolist() for line in ax.get_lines()[:2]]
    [[1.0, 0.5, 0.4], [1.1, 0.6, 0.7]]
    >>> ax.figure.savefig(io.BytesIO())
    """
    columns, metric_name, best_epoch = _columns(history)
    if figure == metric_name and figure not in columns:
        figure = "metric"
    _checks.check_name("figure", figure, [name for name in columns if name != "epoch"])
    if not columns["epoch"]:
        raise ValueError("the history is empty: expected at least one epoch.")
    epochs = np.array(columns["epoch"])
    names = {"training": figure, "validation": f"val_{figure}"}
    curves = {label: _curve(columns, name) for label, name in names.items() if name in columns}
    ax = new_axes(ax)
    marker = "o" if len(epochs) == 1 else None
    for (label, values), color in zip(curves.items(), (BLUE, VERMILLION), strict=False):
        ax.plot(epochs, values, marker=marker, color=color, linewidth=1.8, label=label)
    title = {"lr": "learning rate", "metric": _METRIC_NAMES.get(metric_name, metric_name)}
    ax.set(xlabel="epoch", ylabel=title.get(figure, figure.replace("_", " ")))
    together = np.concatenate(list(curves.values()))
    if "metric" not in figure and _spans_decades(together):
        _log_axis(ax)
    else:
        _count_axis(ax.yaxis)
        finite = together[np.isfinite(together)]
        if figure == "metric" and finite.size and finite.min() < -1 < 0 < finite.max():
            # The first epochs of a regression can be far below.
            ax.set_ylim(-1, finite.max() + 0.05 * (finite.max() + 1))
    _count_axis(ax.xaxis, integers=True)
    ax.margins(x=0.02)
    best = _best(columns, figure, best_epoch)
    if best is not None:
        values = curves.get("validation", next(iter(curves.values())))
        ax.axvline(epochs[best], color=_ink(), linewidth=0.8, linestyle=":")
        ax.plot(epochs[best], values[best], "o", color=_ink(), markersize=5, fillstyle="none")
        word = "kept" if best_epoch in columns["epoch"] else "best"
        _say(ax, f"{word}: {_number(values[best])}, epoch {epochs[best]:,}")
    ends = [
        (values[np.isfinite(values)][-1], label, color)
        for (label, values), color in zip(curves.items(), (BLUE, VERMILLION), strict=False)
        if np.isfinite(values).any()
    ]
    if len(ends) > 1:
        _label_ends(ax, ends)
    return ax


# --- predictions ------------------------------------------------------------------------------------


def _cell_points(ax: Any, names: list[str]) -> float:
    """How large a cell of a square matrix with these names beside it will be, in points."""
    width, height = _room(ax)
    beside = 0.6 * max(map(len, names)) * min(10.0, min(width, height) / len(names))
    return max(1.0, min(width - beside, height - beside) / len(names))


def _short(label: Any, most: int = 16) -> str:
    text = str(label)
    return text if len(text) <= most else text[: most - 1] + "…"


def confusion_matrix(
    truth,
    prediction,
    *,
    classes: Sequence[Any] | None = None,
    normalize: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """How many rows of each class were taken for which.

    A cell's colour is its share of the rows of its true class, so that rare classes are seen as well.

    Parameters
    ----------
    truth, prediction : array-like of shape (n,)
        Classes, or their numbers if `classes` is given.
    classes : sequence, optional
        All classes in their order.
    normalize : bool, default=False
        Write percentages of the rows of the true class in place of counts.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If lengths differ, or a label is none of the classes.

    Examples
    --------
    >>> ax = confusion_matrix(["cat", "dog", "cat"], ["cat", "cat", "cat"])
    >>> ax.get_images()[0].get_array().tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    >>> [text.get_text() for text in ax.texts]
    ['2', '1']
    """
    truth, prediction = _labels("truth", truth), _labels("prediction", prediction)
    _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
    if classes is None:
        classes = np.unique(np.concatenate([truth, prediction])).tolist()
    classes = list(classes)
    pair = _as_numbers("truth", truth, classes), _as_numbers("prediction", prediction, classes)
    n = len(classes)
    counts = _checks.require("sklearn.metrics", "sklearn").confusion_matrix(*pair, labels=range(n))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = min(9.0, max(3.8, 1.6 + 0.3 * n))
    ax = new_axes(ax, (side * 1.1, side))
    # By its square root: else few mistakes are not seen.
    shade = _checks.require("matplotlib.colors", "plots").PowerNorm(0.5, 0, 1)
    ax.imshow(shares, cmap=_ramp(), norm=shade)
    ax.grid(False)
    names = [_short(label) for label in classes]
    cell = _cell_points(ax, names)
    size = min(10.0, max(5.0, 0.75 * cell))
    some = slice(None, None, math.ceil(1.1 * size / cell))
    wide = max(map(len, names)) * 0.6 * size > 0.95 * cell
    ax.set_xticks(range(n)[some], names[some], fontsize=size, rotation=90 if wide else 0)
    ax.set_yticks(range(n)[some], names[some], fontsize=size)
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
            color = "white" if shares[i, j] > 0.64 else _ink()
            ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=color)
    right = np.trace(counts) / counts.sum()
    what = "% of the true class" if normalize else "rows"
    _say(ax, f"{100 * right:.3g} % right; numbers are {what}")
    return ax


class Calibration(NamedTuple):
    """Predicted probabilities and how often they came true, in bins of equal width.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
    predicted, observed : ndarray of shape (n_bins,)
        Means over the rows of a bin; NaN where there are none.
    error : float
        The expected calibration error (Guo et al., 2017): the mean of |observed - predicted| over rows.
    """

    counts: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    error: float

    @classmethod
    def of(cls, hits: np.ndarray, p: np.ndarray, n_bins: int) -> Calibration:
        """Of probabilities, and whether each came true."""
        bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
        counts = np.bincount(bins, minlength=n_bins)
        with np.errstate(invalid="ignore"):
            predicted, observed = (np.bincount(bins, v, n_bins) / counts for v in (p, hits))
        return cls(counts, predicted, observed, float(np.nansum(counts * abs(observed - predicted)) / len(p)))


def _outcomes(truth, probabilities, classes) -> tuple[np.ndarray, np.ndarray, bool]:
    """Whether what was predicted came true, how probable it was said to be, and if there are two classes."""
    truth, p = _labels("truth", truth), np.asarray(probabilities, dtype=np.float64)
    if p.ndim not in (1, 2) or p.size == 0:
        raise ValueError(f"probabilities must have shape (n,) or (n, n_classes), got {p.shape}.")
    _checks.check_lengths("truth", len(truth), "probabilities", len(p))
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():  # NaN is neither
        raise ValueError("probabilities must lie in [0, 1]: pass those of predict_proba, not raw outputs.")
    n_classes = p.shape[1] if p.ndim == 2 and p.shape[1] > 1 else 2
    if classes is None:
        found = np.unique(truth).tolist()
        numbers = truth.dtype.kind in "iub" and truth.min() >= 0 and truth.max() < n_classes
        classes = list(range(n_classes)) if numbers else found
    if len(classes) != n_classes:
        raise ValueError(
            f"probabilities have {n_classes} classes, but there are {len(classes)}: pass classes= in "
            "the order of the columns."
        )
    number = _as_numbers("truth", truth, list(classes))
    if n_classes == 2:
        return number == 1, p.reshape(len(p), -1)[:, -1], True
    return number == p.argmax(axis=1), p.max(axis=1), False


def calibration(
    truth, probabilities, *, classes: Sequence[Any] | None = None, n_bins: int = 10, ax: Axes | None = None
) -> Axes:
    """How often what a classifier gave a probability came true: the reliability curve.

    Of two classes that of the second; of more that of the class predicted. Vertical bars are 95 % intervals
    (Wilson, 1927); below, how many rows each bin has. The expected calibration error is that of Guo et al.
    (2017).

    Parameters
    ----------
    truth : array-like of shape (n,)
        Classes, or their numbers.
    probabilities : array-like of shape (n,) or (n, n_classes)
        As ``predict_proba`` gives them, or those of the second class.
    classes : sequence, optional
        In the order of the columns.
    n_bins : int, default=10
        Bins of equal width from 0 to 1.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If shapes do not fit, or a probability is none.

    Examples
    --------
    >>> ax = calibration([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], n_bins=2)
    >>> ax.get_lines()[1].get_xydata().tolist()
    [[0.25, 0.0], [0.75, 1.0]]
    """
    _checks.check_count("n_bins", n_bins, 2)
    hits, p, binary = _outcomes(truth, probabilities, classes)
    curve = Calibration.of(hits, np.minimum(p, 1.0), n_bins)
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color=_ink(), linewidth=0.8, linestyle="--")
    some = curve.counts > 0
    n, x, y = curve.counts[some], curve.predicted[some], curve.observed[some]
    ax.plot(x, y, "o-", color=BLUE, linewidth=1.8, markersize=4.5)
    z = 1.96
    middle = (y + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(y * (1 - y) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    ax.vlines(x, middle - half, middle + half, color=BLUE, linewidth=1.2)
    ax.bar(
        (np.arange(n_bins) + 0.5) / n_bins,
        0.15 * curve.counts / curve.counts.max(),
        0.9 / n_bins,
        bottom=-0.2,
        color=_ink(),
        alpha=0.35,
    )
    if binary:
        name = "the second class" if classes is None else _short(list(classes)[1])
        ax.set(xlabel=f"probability of {name}", ylabel="share that came true")
    else:
        ax.set(xlabel="probability of the class predicted", ylabel="share predicted right")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.21, 1.04))
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.set_yticks(np.linspace(0, 1, 6))
    rows = f"{len(hits):,} rows, at most {curve.counts.max():,} a bin"
    _say(ax, f"expected calibration error {curve.error:.3f}\n{rows}")
    return ax


def _cloud(ax: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Points, or how many of them are where."""
    if len(x) <= DENSE:
        alpha = float(np.clip(12 / math.sqrt(len(x)), 0.25, 0.8))
        ax.scatter(x, y, s=14, color=BLUE, alpha=alpha, linewidths=0, rasterized=len(x) > 500)
        return
    # From faint, not from nothing: a single row must be seen.
    colors = _checks.require("matplotlib.colors", "plots")
    rgb = colors.to_rgb(BLUE)
    ramp = colors.LinearSegmentedColormap.from_list("fastnn", [(*rgb, 0.2), (*rgb, 1.0)])
    cells = ax.hexbin(x, y, gridsize=45, bins="log", mincnt=1, cmap=ramp, linewidths=0)
    bar = ax.figure.colorbar(cells, ax=ax, pad=0.02, shrink=0.8)
    bar.set_label("rows")
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(_checks.require("matplotlib.ticker", "plots").FuncFormatter(_tick))


def _pair(truth, prediction) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = _vector("truth", truth), _vector("prediction", prediction)
    _checks.check_lengths("truth", len(truth), "prediction", len(prediction))
    return truth, prediction


def _scores(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    """R squared (NaN where the truth does not vary), and the mean absolute error."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    r2 = 1 - float(((truth - prediction) ** 2).sum()) / spread if spread > 0 else math.nan
    return r2, float(abs(truth - prediction).mean())


def predicted_against_true(truth, prediction, *, ax: Axes | None = None) -> Axes:
    """What was predicted of each row against what is true; right on the dashed line.

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
        If lengths differ, or a value is no finite number.

    Examples
    --------
    >>> ax = predicted_against_true([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    >>> ax.collections[0].get_offsets().tolist()
    [[1.0, 1.1], [2.0, 1.9], [3.0, 3.2]]
    >>> ax.get_title("left")
    'R² 0.97, mean absolute error 0.133'
    """
    truth, prediction = _pair(truth, prediction)
    ax = new_axes(ax, (5.0, 4.2))
    low, high = min(truth.min(), prediction.min()), max(truth.max(), prediction.max())
    room = 0.04 * (high - low) or 1.0
    limits = (low - room, high + room)
    ax.plot(limits, limits, color=_ink(), linewidth=0.8, linestyle="--", scalex=False, scaley=False)
    _cloud(ax, truth, prediction)
    ax.set(xlim=limits, ylim=limits, xlabel="true", ylabel="predicted")
    r2, error = _scores(truth, prediction)
    _say(ax, f"R² {_number(r2)}, mean absolute error {_number(error)}")
    for axis in (ax.xaxis, ax.yaxis):
        _count_axis(axis)
    return ax


def residuals(truth, prediction, *, ax: Axes | None = None) -> Axes:
    """What each prediction lacks, truth less prediction, against the prediction.

    Where there are 200 rows or more, a line follows the medians of ten equal parts of them: it lies at 0
    where predictions are neither too high nor too low.

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
        If lengths differ, or a value is no finite number.

    Examples
    --------
    >>> ax = residuals([1.0, 2.0, 3.0], [1.5, 1.5, 3.0])
    >>> ax.collections[0].get_offsets().tolist()
    [[1.5, -0.5], [1.5, 0.5], [3.0, 0.0]]
    """
    truth, prediction = _pair(truth, prediction)
    ax = new_axes(ax)
    ax.axhline(0, color=_ink(), linewidth=0.8, linestyle="--")
    rest = truth - prediction
    _cloud(ax, prediction, rest)
    if len(rest) >= 200:
        parts = np.array_split(np.argsort(prediction, kind="stable"), 10)
        middles = [(np.median(prediction[part]), np.median(rest[part])) for part in parts]
        ax.plot(*zip(*middles, strict=True), "o-", color=VERMILLION, linewidth=1.8, markersize=4)
        _say(ax, "line: running median")
    ax.set(xlabel="predicted", ylabel="true less predicted")
    for axis in (ax.xaxis, ax.yaxis):
        _count_axis(axis)
    return ax


# --- what was learnt --------------------------------------------------------------------------------


def _surface(model, points: np.ndarray) -> tuple[np.ndarray, bool, list | None]:
    """Outputs at points, (n, k); whether they are of classes; and the classes' labels, if known."""
    if isinstance(model, MLP):
        if model.sizes[0] != 2:
            raise ValueError(
                f"decision_boundary needs a network of 2 features, but it takes {model.sizes[0]}."
            )
        return *_of_classes(model.predict_raw(points), model.output), None
    task = getattr(getattr(model, "target", None), "task", "classification")
    classes = getattr(model, "classes_", getattr(getattr(model, "target", None), "classes", None))
    if hasattr(model, "predict_proba") and task == "classification":
        return *_of_classes(np.asarray(model.predict_proba(points)), "softmax"), _listed(classes)
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise TypeError(
            f"decision_boundary needs a network, an estimator or a function of x, got {type(model).__name__}."
        )
    out = np.asarray(predict(points))
    if len(out) != len(points):
        raise ValueError(f"the function gave {len(out)} values for {len(points)} rows: expected as many.")
    if out.ndim == 1 and out.dtype.kind != "f":  # labels
        labels = _listed(classes) or np.unique(out).tolist()
        return np.eye(len(labels))[_as_numbers("the prediction", out, labels)], True, labels
    return *_of_classes(out, None), None


def _listed(classes) -> list | None:
    return None if classes is None else list(classes)


def _of_classes(out: np.ndarray, output: str | None) -> tuple[np.ndarray, bool]:
    """Outputs as a column a class, where they are of classes."""
    out = out.reshape(len(out), -1)
    if output == "sigmoid" and out.shape[1] == 1:
        out = np.hstack([1 - out, out])
    return out, out.shape[1] > 1


def decision_boundary(predict_or_net, x, y=None, *, ax: Axes | None = None, resolution: int = 200) -> Axes:
    """What is predicted all over the plane of a problem with two features, and the rows on top.

    Of classes: the areas of each, deeper where it is more probable, and the lines between them. Of a number:
    its height, and lines of equal height.

    Parameters
    ----------
    predict_or_net : MLP, estimator, Model or callable
        A function gets x, (n, 2), and gives labels, probabilities (n, n_classes) or numbers (n,).
    x : array-like of shape (n, 2)
    y : array-like of shape (n,), optional
    ax : matplotlib Axes, optional
    resolution : int, default=200
        Points along each axis at which it is asked.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If the problem does not have two features, or lengths differ.

    Examples
    --------
    >>> ax = decision_boundary(lambda x: x[:, 0] > x[:, 1], [[0, 1], [1, 0]], [0, 1], resolution=20)
    >>> ax.get_images()[0].get_array().shape
    (20, 20, 4)
    """
    across, up = plane(x, resolution)
    if y is not None:
        _checks.check_lengths("x", len(x), "y", len(y))
    out, of_classes, labels = _surface(predict_or_net, grid_points(across, up))
    ax = new_axes(ax, (4.8, 4.2))
    return _draw_plane(ax, across, up, out, of_classes, labels, x, y)


def _draw_plane(ax: Any, across, up, out, of_classes: bool, labels, x, y) -> Axes:
    colors = _checks.require("matplotlib.colors", "plots")
    shape = (len(up), len(across))
    extent = (across[0], across[-1], up[0], up[-1])
    ax.grid(False)
    if of_classes:
        winner, n_classes = out.argmax(axis=1), out.shape[1]
        palette = np.array([colors.to_rgb(COLORS[k % len(COLORS)]) for k in range(n_classes)])
        top = np.partition(out, -2, axis=1)[:, -2:]
        lead = top[:, 1] - top[:, 0]
        lead = lead / max(float(lead.max()), 1.0)
        image = np.column_stack([palette[winner], 0.12 + 0.38 * lead]).reshape(*shape, 4)
        ax.imshow(image, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
        for k in range(n_classes if n_classes > 2 else 1):
            margin = out[:, k] - np.delete(out, k, axis=1).max(axis=1)
            if margin.min() < 0 < margin.max():
                ax.contour(across, up, margin.reshape(shape), [0.0], colors=_ink(), linewidths=1.0)
    else:
        heights = out[:, 0].reshape(shape)
        both = heights.ravel() if y is None else np.append(heights, _vector("y", y))
        scale = colors.Normalize(both.min(), both.max())
        ax.imshow(heights, extent=extent, origin="lower", aspect="auto", cmap=_ramp(), norm=scale)
        if np.ptp(heights) > 0:
            lines = ax.contour(across, up, heights, 6, colors=_ink(), linewidths=0.7, linestyles="-")
            ax.clabel(lines, fontsize=8, fmt=_tick)
    _draw_rows(ax, x, y, out.shape[1] if of_classes else 0, labels, None if of_classes else scale)
    ax.set(xlim=extent[:2], ylim=extent[2:], xlabel="feature 0", ylabel="feature 1")
    return ax


def _draw_rows(ax: Any, x, y, n_classes: int, labels: list | None, scale) -> None:
    """The rows themselves: of classes by colour and shape; of numbers by how high they are."""
    x = np.asarray(x, dtype=np.float64)
    size = float(np.clip(600 / math.sqrt(len(x)), 8, 28))
    look: dict[str, Any] = {"s": size, "linewidths": 0.5, "edgecolors": "white"}
    if y is None:
        ax.scatter(*x.T, color=_ink(), **look)
        return
    y = _labels("y", y)
    if n_classes == 0:
        ax.scatter(*x.T, c=_vector("y", y), cmap=_ramp(), norm=scale, **look | {"edgecolors": _ink()})
        return
    if labels is None:
        whole = y.dtype.kind in "iub" or (y.dtype.kind == "f" and not (y % 1).any())
        y = y.astype(np.int64) if whole else y
        labels = list(range(n_classes)) if whole else np.unique(y).tolist()
    number = _as_numbers("y", y, labels)
    for k, label in enumerate(labels):
        if (number == k).any():
            of_class: dict[str, Any] = {"color": COLORS[k % len(COLORS)], "marker": MARKERS[k % len(MARKERS)]}
            ax.scatter(*x[number == k].T, **of_class, **look, label=_short(label))
    if len(labels) <= len(COLORS):
        ax.legend(
            title=None,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            handletextpad=0.1,
            fontsize=9,
        )


def boundary_animation(
    recorder: RecordBoundary, x, y=None, *, ax: Axes | None = None, interval: int = 120
) -> FuncAnimation:
    """The decision boundary while the network learnt, a frame for every epoch recorded.

    Parameters
    ----------
    recorder : RecordBoundary
        After a training that it was a callback of.
    x : array-like of shape (n, 2)
    y : array-like of shape (n,), optional
    ax : matplotlib Axes, optional
        Cleared for every frame.
    interval : int, default=120
        Milliseconds a frame.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Keep it until it is saved: ``.save("boundary.gif", writer="pillow")``, or ``.to_jshtml()`` in a
        notebook.

    Raises
    ------
    ValueError, TypeError
        If the recorder is none, or has recorded nothing.

    Examples
    --------
    >>> import fastnn, pathlib, tempfile
    >>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> record = RecordBoundary(x, every=10, resolution=10)
    >>> trainer = fastnn.Trainer(fastnn.MLP([2, 8, 2], "tanh", seed=0), loss="cross_entropy", seed=0)
    >>> history = trainer.fit(x, y, epochs=20, callbacks=record, verbose=0)
    >>> animation = boundary_animation(record, x, y)
    >>> animation.save(pathlib.Path(tempfile.mkdtemp()) / "boundary.gif", writer="pillow")
    """
    if not isinstance(recorder, RecordBoundary):
        raise TypeError(f"recorder must be a RecordBoundary, got {type(recorder).__name__}.")
    _need_epochs(recorder)
    plane(x, 2)
    if y is not None:
        _checks.check_lengths("x", len(x), "y", len(y))
    axes = new_axes(ax, (4.8, 4.2))

    def draw(k: int) -> list:
        axes.clear()
        flat = recorder.outputs[k].reshape(-1, recorder.outputs[k].shape[-1])
        out, of_classes = _of_classes(flat, recorder.output)
        _draw_plane(new_axes(axes), recorder.across, recorder.up, out, of_classes, None, x, y)
        _say(axes, f"epoch {recorder.epochs[k]:,}")
        return []

    animation = _checks.require("matplotlib.animation", "plots")
    return animation.FuncAnimation(
        axes.figure, draw, frames=len(recorder.epochs), init_func=list, interval=interval
    )


def _need_epochs(recorder) -> None:
    if not recorder.epochs:
        raise ValueError("the recorder has recorded nothing: pass it to fit as a callback first.")


def _density(histogram: Histogram) -> np.ndarray:
    """Share of the values in the bins for each unit of the axis."""
    widths = np.diff(histogram.edges)
    return histogram.counts / max(1, histogram.counts.sum()) / widths


def histograms(
    recorder: RecordHistograms,
    kind: str = "gradients",
    *,
    layer: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Sizes of the gradient, or outputs, of layers over training.

    Of all layers: a ridge each, the first at the bottom, at the start of training (line) and at its end
    (filled). A gradient vanishes where the ridges move to the left from layer to layer downwards. Of one
    layer: the epochs from left to right, deeper where more values are, at most 200 of them.

    Parameters
    ----------
    recorder : RecordHistograms
        After a training that it was a callback of.
    kind : {"gradients", "activations"}, default="gradients"
        Gradients by their absolute value on a logarithmic axis.
    layer : int, optional
        Of this layer only, from 0, or from -1 backwards.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If the recorder is none or has recorded nothing, or there is no such layer.

    Examples
    --------
    >>> import fastnn
    >>> x = np.random.default_rng(0).standard_normal((64, 4))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> record = RecordHistograms(x, y)
    >>> trainer = fastnn.Trainer(fastnn.MLP([4, 8, 2], seed=0), loss="cross_entropy", seed=0)
    >>> history = trainer.fit(x, y, epochs=3, callbacks=record, verbose=0)
    >>> [label.get_text() for label in histograms(record).get_yticklabels()]
    ['layer 0 (relu)', 'layer 1 (softmax)']
    """
    if not isinstance(recorder, RecordHistograms):
        raise TypeError(f"recorder must be a RecordHistograms, got {type(recorder).__name__}.")
    _checks.check_name("kind", kind, ["gradients", "activations"])
    _need_epochs(recorder)
    recorded = recorder.gradients if kind == "gradients" else recorder.activations
    n_layers = len(recorder.names)
    if layer is None:
        ax = new_axes(ax, (5.4, max(3.0, 1.2 + 0.45 * n_layers)))
        _draw_ridges(ax, recorded, recorder)
        axis: Any = ax.xaxis
    else:
        if isinstance(layer, bool) or not isinstance(layer, int) or not -n_layers <= layer < n_layers:
            raise ValueError(f"layer must be a number from {-n_layers} to {n_layers - 1}, got {layer!r}.")
        ax = new_axes(ax)
        some = slice(None, None, -(-len(recorded) // COLUMNS))
        _draw_epochs(ax, [layers[layer] for layers in recorded[some]], recorder.epochs[some])
        _say(ax, recorder.names[layer])
        axis = ax.yaxis
    if kind == "gradients":
        ticker = _checks.require("matplotlib.ticker", "plots")
        most = int(np.clip(_room(ax)[axis is ax.yaxis] / 60, 2, 6))
        axis.set_major_locator(ticker.MaxNLocator(nbins=most, integer=True))
        axis.set_major_formatter(ticker.FuncFormatter(lambda power, _: f"$10^{{{power:.0f}}}$"))
    name = "size of the weights' gradient" if kind == "gradients" else "outputs"
    ax.set(**{"xlabel": name} if layer is None else {"ylabel": name, "xlabel": "epoch"})
    return ax


def _draw_ridges(ax: Any, recorded: list[list[Histogram]], recorder: RecordHistograms) -> None:
    """One ridge a layer, the first and the last record in it, and how many values are 0."""
    n_layers, several = len(recorder.names), len(recorded) > 1
    for depth in range(n_layers):
        first, last = recorded[0][depth], recorded[-1][depth]
        z = 2 * (n_layers - depth)
        x, height = _outline(last)
        ax.fill_between(x, depth, depth + 0.85 * height, color=BLUE, alpha=0.55, linewidth=0, zorder=z)
        if several:
            x, height = _outline(first)
            ax.plot(x, depth + 0.85 * height, color=_ink(), linewidth=0.9, zorder=z + 1)
        zeros = last.n_zero / max(1, last.n_zero + last.counts.sum())
        if zeros >= 0.005:
            at = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            ax.annotate(f"{100 * zeros:.0f} % are 0", (1, depth), (3, 1), fontsize=8, **at)
    ends = [histogram for layers in (recorded[0], recorded[-1]) for histogram in layers]
    ends = [histogram for histogram in ends if histogram.counts.any()]
    if ends:  # a few values far away would leave the others no room
        low = min(_quantile(histogram, 0.002) for histogram in ends)
        high = max(_quantile(histogram, 0.998) for histogram in ends)
        room = 0.04 * (high - low) or 1.0
        ax.set_xlim(low - room, high + room)
    ax.set_yticks(range(n_layers), recorder.names, fontsize=9)
    ax.set_ylim(-0.1, n_layers)
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    line = f"; line: epoch {recorder.epochs[0]:,}" if several else ""
    _say(ax, f"filled: epoch {recorder.epochs[-1]:,}{line}")


def _outline(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """A histogram as a stepped outline, its highest bin 1."""
    counts = histogram.counts / max(1, histogram.counts.max())
    return np.repeat(histogram.edges, 2), np.concatenate([[0.0], np.repeat(counts, 2), [0.0]])


def _draw_epochs(ax: Any, recorded: list[Histogram], epochs: list[int]) -> None:
    """One column an epoch, deeper where more values are, and a line through their medians."""
    edges = np.array(epochs, dtype=np.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    half = (middles[0] - edges[0]) if len(edges) > 1 else 0.5
    edges = np.concatenate([[edges[0] - half], middles, [edges[-1] + half]])
    most = max(float(_density(histogram).max()) for histogram in recorded) or 1.0
    ax.grid(False)
    for k, histogram in enumerate(recorded):
        ax.pcolormesh(
            edges[k : k + 2],
            histogram.edges,
            np.sqrt(_density(histogram) / most)[:, np.newaxis],
            cmap=_ramp(),
            vmin=0,
            vmax=1,
            rasterized=True,
        )
    _count_axis(ax.xaxis, integers=True)
    medians = [_quantile(histogram, 0.5) for histogram in recorded]
    ax.plot(epochs, medians, color=VERMILLION, linewidth=1.5)
    _label_ends(ax, [(medians[-1], "median", VERMILLION)])


def _quantile(histogram: Histogram, share: float) -> float:
    totals = np.concatenate([[0], np.cumsum(histogram.counts)])
    return float(np.interp(share * totals[-1], totals, histogram.edges))


def first_layer_weights(net: MLP, shape: Sequence[int], *, n: int = 25, ax: Axes | None = None) -> Axes:
    """The weights into each unit of the first layer as images, blue above 0 and red below.

    Parameters
    ----------
    net : MLP
        Whose features are pixels.
    shape : (height, width) or (height, width, 3)
    n : int, default=25
        Draw the first n units, or as many as there are.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the network's features are not as many as the shape's pixels.

    Examples
    --------
    >>> import fastnn
    >>> ax = first_layer_weights(fastnn.MLP([64, 16, 10], seed=0), (8, 8))
    >>> ax.get_images()[0].get_array().shape  # 4 x 4 images of 8 x 8 pixels, 1 between them
    (35, 35)
    """
    if not isinstance(net, MLP):
        raise TypeError(f"net must be a fastnn.MLP, got {type(net).__name__}.")
    shape = tuple(shape)
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
        raise ValueError(f"shape must be (height, width) or (height, width, 3), got {shape}.")
    weights = net.weights[0]
    if math.prod(shape) != len(weights):
        raise ValueError(
            f"the network takes {len(weights)} features, but an image of {shape} has {math.prod(shape)}."
        )
    n = min(_checks.check_count("n", n), weights.shape[1])
    limit = float(np.quantile(abs(weights[:, :n]), 0.995)) or 1.0
    n_across = math.ceil(math.sqrt(n))
    n_down = -(-n // n_across)
    height, width = shape[:2]
    sheet = np.full((n_down * (height + 1) - 1, n_across * (width + 1) - 1, *shape[2:]), np.nan)
    for k in range(n):
        top, left = k // n_across * (height + 1), k % n_across * (width + 1)
        sheet[top : top + height, left : left + width] = weights[:, k].reshape(shape)
    ax = new_axes(ax, (4.6, 4.6 * n_down / n_across + 0.3))
    if len(shape) == 3:
        seen = np.isfinite(sheet[..., :1]).astype(float)
        ax.imshow(np.dstack([np.nan_to_num(0.5 + sheet / (2 * limit)).clip(0, 1), seen]))
    else:
        ax.imshow(sheet, cmap=_ramp(BLUE, VERMILLION), vmin=-limit, vmax=limit, interpolation="nearest")
    _frame_images(ax, n, n_across, height, width)
    ax.set(xlim=(-1, sheet.shape[1]), ylim=(sheet.shape[0], -1))
    ax.set_axis_off()
    return ax


def _frame_images(ax: Any, n: int, n_across: int, height: int, width: int) -> None:
    patches = _checks.require("matplotlib.patches", "plots")
    for k in range(n):
        corner = k % n_across * (width + 1) - 0.5, k // n_across * (height + 1) - 0.5
        ax.add_patch(
            patches.Rectangle(corner, width, height, fill=False, edgecolor=_ink(), alpha=0.3, linewidth=0.5)
        )


class _Scored:
    """A network or model as scikit-learn's inspection wants it."""

    def __init__(self, predict: Callable, classifies: bool) -> None:
        self._predict, self._classifies = predict, classifies

    def fit(self, x, y):  # asked for, never called
        return self

    def score(self, x, y) -> float:
        prediction = np.asarray(self._predict(x))
        if self._classifies:
            return float((prediction == np.asarray(y)).mean())
        return float(_checks.require("sklearn.metrics", "sklearn").r2_score(y, prediction))


def permutation_importance(
    estimator_or_model_or_net,
    x,
    y,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    n_repeats: int = 10,
    seed: int = 0,
) -> Axes:
    """How much worse the score gets when one feature's values are shuffled between rows (Breiman, 2001).

    The score is accuracy or R squared; of an estimator, its own. Bars show the standard deviation over
    repetitions. At most 20 features are drawn, those that matter most; fewer where there is no room.

    Parameters
    ----------
    estimator_or_model_or_net : estimator, Model or MLP
    x : array or data frame of shape (n, n_features)
        As it predicts from; rows it was not trained on tell more.
    y : array-like of shape (n,)
    names : sequence of str, optional
        Of the features; those of the data frame by default.
    ax : matplotlib Axes, optional
    n_repeats : int, default=10
    seed : int, default=0

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here.

    Examples
    --------
    >>> import fastnn
    >>> x = np.random.default_rng(0).standard_normal((200, 3))
    >>> y = (x[:, 1] > 0).astype(int)
    >>> net = fastnn.MLP([3, 8, 2], seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.01), seed=0)
    >>> history = trainer.fit(x, y, epochs=20, verbose=0)
    >>> ax = permutation_importance(net, x, y, names=["a", "b", "c"])
    >>> ax.get_yticklabels()[-1].get_text()  # the most important is on top
    'b'
    """
    model = estimator_or_model_or_net
    inspection = _checks.require("sklearn.inspection", "sklearn")
    x = x if hasattr(x, "iloc") else np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"x must have 2 dimensions (rows, features), got shape {x.shape}.")
    y = _labels("y", y)
    _checks.check_lengths("x", len(x), "y", len(y))
    if isinstance(model, MLP):
        model = _Scored(model.predict, model.output in ("softmax", "sigmoid"))
    elif hasattr(model, "target") and not hasattr(model, "score"):
        model = _Scored(model.predict, model.target.task == "classification")
    elif not hasattr(model, "score"):
        raise TypeError(f"expected an estimator, a Model or a network, got {type(model).__name__}.")
    if names is None:
        names = (
            [str(name) for name in x.columns]
            if hasattr(x, "columns")
            else [f"feature {k}" for k in range(x.shape[1])]
        )
    if len(names) != x.shape[1]:
        raise ValueError(f"names has {len(names)} entries, but x has {x.shape[1]} features.")
    _checks.check_count("n_repeats", n_repeats)
    result = inspection.permutation_importance(model, x, y, n_repeats=n_repeats, random_state=seed)
    ax = new_axes(ax, (5.4, 1.2 + 0.26 * min(20, len(names))))
    most = int(np.clip(_room(ax)[1] / 11, 1, 20))
    order = np.argsort(result.importances_mean, kind="stable")[-most:]
    mean, deviation = result.importances_mean[order], result.importances_std[order]
    ax.barh(range(len(order)), mean, color=BLUE, height=0.7, xerr=deviation, ecolor=_ink(), capsize=2)
    ax.set_yticks(range(len(order)), [_short(names[k], 28) for k in order], fontsize=9)
    ax.tick_params(axis="y", length=0)
    ax.axvline(0, color=_ink(), linewidth=0.8)
    ax.grid(False, axis="y")
    ax.set_xlabel("loss of score when shuffled")
    return ax


# --- a run's pictures -------------------------------------------------------------------------------


class Picture(NamedTuple):
    """A picture of a run.

    Attributes
    ----------
    name : str
        Fit for a file's name.
    title : str
    alt : str
        What is seen, in words and figures.
    draw : callable
        Draws it: ``draw(ax)``. The figure should have ``layout="constrained"``.
    size : tuple of float
        Of a figure that suits it, in inches.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[Any], Any]
    size: tuple[float, float] = SIZE


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{str(path.parent)!r} is not a run's folder: there is no {path.name} in it.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} is damaged: expected a JSON object.")
    return content


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Name the file in whatever its content makes go wrong."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from None


def _read_test(path: Path) -> dict[str, list[str]]:
    """Columns of a run's test rows."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    if any(len(line) != len(header) for line in lines):
        raise ValueError("its lines have different numbers of fields.")
    several = [name.removeprefix("truth_") for name in header if name.startswith("truth_")]
    wanted = [f"{part}_{name}" for name in several for part in ("truth", "prediction")]
    missing = [name for name in wanted or ("truth", "prediction") if name not in header]
    if missing:
        raise ValueError(f"it has no column {missing[0]}, only {', '.join(header) or 'none'}.")
    return {name: [line[k] for line in lines] for k, name in enumerate(header)}


def _by_target(test: dict[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    """The columns of each target under its name; those of the only one under none."""
    if "truth" in test:
        return {"": test}
    names = [name.removeprefix("truth_") for name in test if name.startswith("truth_")]
    return {name: {part: test[f"{part}_{name}"] for part in ("truth", "prediction")} for name in names}


def run_pictures(run_folder: str | os.PathLike[str]) -> list[Picture]:
    """All pictures that go with a run: of its history, its test rows and its network.

    Parameters
    ----------
    run_folder : path-like

    Returns
    -------
    list of Picture

    Raises
    ------
    FileNotFoundError
        If it is no run's folder.
    ValueError
        If a file in it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> columns = {"epoch": [1, 2], "cost": [1.2, 0.3]}
    >>> text = json.dumps({"metric_name": "accuracy", "best_epoch": None, "columns": columns})
    >>> _ = (folder / "history.json").write_text(text)
    >>> _ = (folder / "summary.json").write_text("{}")
    >>> [picture.alt for picture in run_pictures(folder)]
    ['Training cost falls from 1.2 to 0.3 in 2 epochs.']
    """
    folder = Path(run_folder)
    history, summary = _read_json(folder / "history.json"), _read_json(folder / "summary.json")
    pictures = []
    with _blaming(folder / "history.json"):
        pictures += _history_pictures(history, summary.get("training") or {})
    if (folder / "test.csv").is_file():
        with _blaming(folder / "test.csv"):
            test, data = _read_test(folder / "test.csv"), summary.get("data", {})
            for k, (target, columns) in enumerate(_by_target(test).items()):
                if not columns["truth"]:
                    continue
                for picture in _test_pictures(columns, data.get("task"), data.get("classes")):
                    if target:
                        name, title = f"{picture.name}_{k}", f"{picture.title}: {target}"
                        picture = picture._replace(name=name, title=title)
                    pictures.append(picture)
    if (folder / "model.safetensors").is_file():
        pictures += _network_pictures(load(folder / "model.safetensors"))
    return pictures


def _history_pictures(history: dict[str, Any], training: dict[str, Any]) -> list[Picture]:
    columns, metric_name, best_epoch = _columns(history)
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("its columns have different lengths.")
    if not columns["epoch"]:
        return []
    metric = _METRIC_NAMES.get(metric_name, metric_name)
    titles = {"cost": "Cost over training", "metric": f"{metric[0].upper()}{metric[1:]} over training"}
    rates = columns.get("lr", [])
    if len(set(rates)) > 1:
        titles["lr"] = "Learning rate"
    if any(training.get(name) for name in ("l1", "l2")):
        titles["cost"] += ", of training with the penalty"

    def picture(figure: str, title: str) -> Picture:
        name = {"metric": metric, "lr": "learning rate"}.get(figure, figure)
        return Picture(
            {"metric": metric_name, "lr": "learning_rate"}.get(figure, figure),
            title,
            _curve_in_words(columns, figure, name, best_epoch),
            lambda ax: learning_curve(history, figure, ax=ax),
        )

    return [picture(figure, title) for figure, title in titles.items() if figure in columns]


def _curve_in_words(columns: dict[str, list], figure: str, name: str, best_epoch: int | None) -> str:
    values = _curve(columns, figure)
    first, last = values[0], values[-1]
    verb = "falls" if last < first else "rises" if last > first else "stays"
    way = f"at {_number(last)}" if last == first else f"from {_number(first)} to {_number(last)}"
    n = len(values)
    begin = f"{name} {verb}" if figure == "lr" else f"training {name} {verb}"
    text = f"{begin[0].upper()}{begin[1:]} {way} in {n:,} epoch{'s' * (n > 1)}"
    best = _best(columns, figure, None)
    if f"val_{figure}" in columns and best is not None:
        there = _curve(columns, f"val_{figure}")
        extreme = "lowest" if figure == "cost" else "highest"
        text += (
            f"; validation {name} is {extreme}, {_number(there[best])}, at epoch {columns['epoch'][best]:,}, "
            f"and {_number(there[-1])} at the end"
        )
    if best_epoch is not None and figure != "lr":
        text += f"; the weights of epoch {best_epoch:,} were kept"
    return text + "."


def _test_pictures(test: dict[str, list[str]], task: str | None, classes: list | None) -> list[Picture]:
    n = len(test["truth"])
    if task == "regression":
        truth, prediction = _pair(test["truth"], test["prediction"])
        r2, error = _scores(truth, prediction)
        rest = truth - prediction
        return [
            Picture(
                "predicted_against_true",
                "Predicted against true",
                f"Predictions of {n:,} test rows against their true values, which run from "
                f"{_number(truth.min())} to {_number(truth.max())}: R² is {_number(r2)}, the mean absolute "
                f"error {_number(error)}.",
                lambda ax: predicted_against_true(truth, prediction, ax=ax),
                (5.0, 4.2),
            ),
            Picture(
                "residuals",
                "Residuals",
                f"True less predicted values of {n:,} test rows: the "
                f"median is {_number(np.median(rest))}, and "
                f"nine of ten lie between {_number(np.quantile(rest, 0.05))} and "
                f"{_number(np.quantile(rest, 0.95))}.",
                lambda ax: residuals(truth, prediction, ax=ax),
            ),
        ]
    truth_labels, predicted = test["truth"], test["prediction"]
    labels = [str(label) for label in classes or []]
    if not labels or not set(truth_labels + predicted) <= set(labels):
        labels = sorted(set(labels) | set(truth_labels) | set(predicted))
    side = min(9.0, max(3.8, 1.6 + 0.3 * len(labels)))
    pictures = [
        Picture(
            "confusion_matrix",
            "Confusion matrix",
            _confusion_in_words(truth_labels, predicted),
            lambda ax: confusion_matrix(truth_labels, predicted, classes=labels, ax=ax),
            (side * 1.1, side),
        )
    ]
    if all(f"p_{label}" in test for label in labels) and len(labels) > 1:
        p = np.array([test[f"p_{label}"] for label in labels], dtype=np.float64).T
        hits, confidence, binary = _outcomes(truth_labels, p, labels)
        curve = Calibration.of(hits, np.minimum(confidence, 1.0), 10)
        what = f"The mean predicted probability of {labels[1]}" if binary else "Mean confidence"
        came = "the share of such rows" if binary else "the share predicted right"
        pictures.append(
            Picture(
                "calibration",
                "Calibration",
                f"{what} over {n:,} test rows is {100 * confidence.mean():.3g} %, {came} "
                f"{100 * hits.mean():.3g} %; the expected calibration error is {curve.error:.3f}.",
                lambda ax: calibration(truth_labels, p, classes=labels, ax=ax),
            )
        )
    return pictures


def _confusion_in_words(truth: list[str], prediction: list[str]) -> str:
    pairs = list(zip(truth, prediction, strict=True))
    n_right = sum(a == b for a, b in pairs)
    text = f"{n_right:,} of {len(pairs):,} test rows are predicted right"
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    if wrong:
        (worst, count), *_ = wrong.most_common(1)
        times = "once" if count == 1 else f"{count:,} times"
        text += f"; the commonest mistake is to take {worst[0]} for {worst[1]} ({times})"
    return text + "."


def _network_pictures(net: MLP) -> list[Picture]:
    """The first layer's weights, where the features are pixels."""
    encoder = net.metadata.get("encoder") or {}
    if encoder.get("kind") == "images":
        shape = (*encoder.get("size", ()), *((3,) if encoder.get("mode") == "RGB" else ()))
    elif encoder.get("kind") == "array":
        shape = tuple(encoder.get("shape") or ())
    else:
        return []
    images = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not images or math.prod(shape) != len(net.weights[0]) or min(shape[:2]) < 4:
        return []
    n = min(25, net.sizes[1])
    colours = "blue where a bright pixel excites the unit and red where it inhibits"
    if len(shape) == 3:
        colours = "in each colour light where it excites the unit and dark where it inhibits"
    return [
        Picture(
            "first_layer_weights",
            "Weights of the first layer",
            f"The weights into {n} of the {net.sizes[1]:,} units of the first layer as "
            f"images of {shape[0]} x {shape[1]} pixels, {colours}.",
            lambda ax: first_layer_weights(net, shape, n=n, ax=ax),
            (4.6, 4.6),
        )
    ]


def save_pictures(run_folder: str | os.PathLike[str]) -> list[Path]:
    """Write the pictures of a run into its folder, as ``pictures/NAME.png``, each in one step.

    Parameters
    ----------
    run_folder : path-like

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`run_pictures`.
    OSError
        If a file cannot be written.
    """
    figures = _checks.require("matplotlib.figure", "plots")
    pictures = run_pictures(run_folder)
    folder = Path(run_folder) / "pictures"
    folder.mkdir(exist_ok=True)
    paths = []
    for picture in pictures:
        figure = figures.Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure.add_subplot())
        figure.suptitle(picture.title, fontsize=11, x=0.02, ha="left")
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150, metadata={"Description": picture.alt})
        paths.append(folder / f"{picture.name}.png")
        write_atomically(paths[-1], content.getvalue())
    return paths
