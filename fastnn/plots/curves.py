"""Learning curves: a column of a training's history over the epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from ..history import History
from .style import (
    BLUE,
    VERMILLION,
    as_written,
    format_number,
    label_line_ends,
    new_axes,
    one_line,
    set_headline,
    set_log_scale,
    set_number_ticks,
    spans_decades,
    text_color,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC_TITLES = {"r2": "R²"}  # all others are called by their names
Columns = dict[str, list[Any]]


def history_columns(history: History | Mapping[str, Any]) -> tuple[Columns, str, int | None]:
    """Return the columns, the metric's name and the restored epoch of a history in any of its forms."""
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


def curve_values(columns: Columns, name: str) -> np.ndarray:
    """Return a column as float64 numbers, NaN where it has none."""
    return np.array([np.nan if value is None else value for value in columns[name]], dtype=np.float64)


def best_index(columns: Columns, figure: str, best_epoch: int | None) -> int | None:
    """Return the index of the restored epoch, else that of the best value; None if there is neither."""
    if figure == "lr":
        return None
    if best_epoch in columns["epoch"]:
        return columns["epoch"].index(best_epoch)
    values = curve_values(columns, f"val_{figure}" if f"val_{figure}" in columns else figure)
    if figure not in ("cost", "metric") or not np.isfinite(values).any():
        return None
    return int(np.nanargmin(values) if figure == "cost" else np.nanargmax(values))


def learning_curve(
    history: History | Mapping[str, Any], figure: str = "cost", *, ax: Axes | None = None
) -> Axes:
    """Draw a figure of training over the epochs, with that of the validation rows where there is one.

    The epoch whose weights were restored is marked. If none was restored, the epoch of the lowest cost or the
    highest metric is marked, of the validation rows if there are any.

    Parameters
    ----------
    history : History or dict
        A dict holds the columns, as :meth:`fastnn.History.to_dict` returns them.
    figure : str, default="cost"
        A column of the history: "cost", "metric", "lr", "seconds", a metric of yours, a norm.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If `history` is not a history, is empty, or lacks the figure.

    Examples
    --------
    >>> import io
    >>> columns = {"epoch": [1, 2, 3], "cost": [1.0, 0.5, 0.4], "val_cost": [1.1, 0.6, 0.7]}
    >>> ax = learning_curve(columns)
    >>> [line.get_ydata().tolist() for line in ax.get_lines()[:2]]
    [[1.0, 0.5, 0.4], [1.1, 0.6, 0.7]]
    >>> ax.figure.savefig(io.BytesIO())
    """
    columns, metric_name, best_epoch = history_columns(history)
    if isinstance(figure, str) and figure == metric_name and figure not in columns:
        figure = "metric"
    _checks.check_name("figure", figure, [name for name in columns if name != "epoch"])
    if not columns["epoch"]:
        raise ValueError("the history is empty: expected at least one epoch.")
    epochs = np.array(columns["epoch"])
    names = {"training": figure, "validation": f"val_{figure}"}
    curves = {label: curve_values(columns, name) for label, name in names.items() if name in columns}
    colors = {"training": BLUE, "validation": VERMILLION}
    ax = new_axes(ax)
    marker = "o" if len(epochs) == 1 else None
    for label, values in curves.items():
        ax.plot(epochs, values, marker=marker, color=colors[label], linewidth=1.8, label=label)
    title = {"lr": "learning rate", "metric": METRIC_TITLES.get(metric_name, metric_name)}
    ax.set(xlabel="epoch", ylabel=one_line(title.get(figure, figure.replace("_", " "))))
    as_written(ax.yaxis)
    _scale_values(ax, figure, np.concatenate(list(curves.values())))
    set_number_ticks(ax.xaxis, integers=True)
    ax.margins(x=0.02)
    best = best_index(columns, figure, best_epoch)
    if best is not None:
        values = curves.get("validation", next(iter(curves.values())))
        ax.axvline(epochs[best], color=text_color(), linewidth=0.8, linestyle=":")
        ax.plot(epochs[best], values[best], "o", color=text_color(), markersize=5, fillstyle="none")
        word = "restored" if best_epoch in columns["epoch"] else "best"
        set_headline(ax, f"{word}: {format_number(values[best])}, epoch {epochs[best]:,}")
    ends = [
        (values[np.isfinite(values)][-1], label, colors[label])
        for label, values in curves.items()
        if np.isfinite(values).any()
    ]
    if len(ends) > 1:
        label_line_ends(ax, ends)
    return ax


def _scale_values(ax: Axes, figure: str, values: np.ndarray) -> None:
    """Choose scale and limits of the y axis for these values."""
    if "metric" not in figure and spans_decades(values):
        set_log_scale(ax)
        return
    set_number_ticks(ax.yaxis)
    finite = values[np.isfinite(values)]
    if figure == "metric" and finite.size and finite.min() < -1 < 0 < finite.max():
        # R squared in the first epochs of a regression can lie far below.
        ax.set_ylim(-1, finite.max() + 0.05 * (finite.max() + 1))
