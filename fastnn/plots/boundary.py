"""Pictures of predictions all over the plane of two features, still and animated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..network.mlp import MLP
from ..training.recording import RecordBoundary, grid_axes, grid_points
from .arguments import check_labels, check_recorded, check_vector, class_numbers
from .style import (
    COLORS,
    MARKERS,
    as_written,
    color_ramp,
    format_tick,
    new_axes,
    set_headline,
    shorten,
    text_color,
)

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

PLANE_SIZE = (4.8, 4.2)  # inches


class Predictor(Protocol):
    """An estimator or a model: anything that predicts from x."""

    def predict(self, x: Any, /) -> Any:
        """Return labels or numbers, one a row of x."""
        ...


class Surface(NamedTuple):
    """Outputs on a grid.

    Attributes
    ----------
    across, up : ndarray of shape (n_across,) and (n_up,)
        Values of the two features.
    outputs : ndarray of shape (n_up * n_across, k)
        Row by row; of classes a column each.
    is_class : bool
        True if the columns of `outputs` are classes.
    labels : list or None
        The labels of the classes, if they are known.
    """

    across: np.ndarray
    up: np.ndarray
    outputs: np.ndarray
    is_class: bool
    labels: list[Any] | None

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Edges of the grid: left, right, bottom, top."""
        return float(self.across[0]), float(self.across[-1]), float(self.up[0]), float(self.up[-1])


def decision_boundary(
    predict_or_net: MLP | Predictor | Callable[[np.ndarray], ArrayLike],
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    resolution: int = 200,
) -> Axes:
    """Draw the predictions all over the plane of a problem with two features, and its rows on top.

    Classes are shown as areas, deeper where the class is more probable, and the lines between them. A number
    is shown as height, with lines of equal height.

    Parameters
    ----------
    predict_or_net : MLP, estimator, Model or callable
        A function takes x of shape (n, 2) and returns labels (n,), probabilities (n, n_classes) or numbers
        (n,).
    x : array-like of shape (n, 2)
    y : array-like of shape (n,), optional
    ax : matplotlib Axes, optional
    resolution : int, default=200
        Number of grid points along each axis.

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
    across, up = grid_axes(x, resolution)
    x = np.asarray(x, dtype=np.float64)
    if y is not None:
        y = check_labels("y", y)
        _checks.check_lengths("x", len(x), "y", len(y))
    surface = Surface(across, up, *_predict_grid(predict_or_net, grid_points(across, up)))
    return _draw_plane(new_axes(ax, PLANE_SIZE), surface, x, y)


def _predict_grid(model: Any, points: np.ndarray) -> tuple[np.ndarray, bool, list[Any] | None]:
    """Return outputs at points, (n, k), whether their columns are classes, and the classes, if known."""
    if isinstance(model, MLP):
        if model.sizes[0] != 2:
            raise ValueError(
                f"decision_boundary needs a network of 2 features, but it takes {model.sizes[0]}."
            )
        return *_class_columns(model.predict_raw(points), model.output), None
    task = getattr(getattr(model, "target", None), "task", "classification")
    classes = getattr(model, "classes_", getattr(getattr(model, "target", None), "classes", None))
    labels = None if classes is None else list(classes)
    if hasattr(model, "predict_proba") and task == "classification":
        return *_class_columns(np.asarray(model.predict_proba(points)), "softmax"), labels
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise TypeError(
            f"decision_boundary needs a network, an estimator or a function of x, got {type(model).__name__}."
        )
    out = _checks.as_rows("what the function returned", predict(points))
    if len(out) != len(points):
        raise ValueError(
            f"the function returned {len(out)} values for {len(points)} rows: expected one for each row."
        )
    if out.ndim == 1 and out.dtype.kind != "f":  # labels
        labels = labels or np.unique(out).tolist()
        return np.eye(len(labels))[class_numbers("the prediction", out, labels)], True, labels
    return *_class_columns(out, None), None


def _class_columns(out: np.ndarray, output: str | None) -> tuple[np.ndarray, bool]:
    """Return outputs as a matrix, (n, k), and whether its columns are classes."""
    out = out.reshape(len(out), -1)
    if output == "sigmoid" and out.shape[1] == 1:
        out = np.hstack([1 - out, out])
    return out, out.shape[1] > 1


def _draw_plane(ax: Axes, surface: Surface, x: np.ndarray, y: np.ndarray | None) -> Axes:
    ax.grid(False)
    if surface.is_class:
        _draw_classes(ax, surface)
        _draw_labelled_rows(ax, surface, x, y)
    else:
        _draw_heights(ax, surface, x, y)
    left, right, bottom, top = surface.extent
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="feature 0", ylabel="feature 1")
    return ax


def _draw_classes(ax: Axes, surface: Surface) -> None:
    """Draw the areas of the classes, deeper where a class leads by more, and the lines between them."""
    colors = _checks.require("matplotlib.colors", "plots")
    across, up, out = surface.across, surface.up, surface.outputs
    shape = (len(up), len(across))
    winner, n_classes = out.argmax(axis=1), out.shape[1]
    palette = np.array([colors.to_rgb(COLORS[k % len(COLORS)]) for k in range(n_classes)])
    top = np.partition(out, -2, axis=1)[:, -2:]
    lead = top[:, 1] - top[:, 0]
    lead = lead / max(float(lead.max()), 1.0)
    image = np.column_stack([palette[winner], 0.12 + 0.38 * lead]).reshape(*shape, 4)
    ax.imshow(image, extent=surface.extent, origin="lower", aspect="auto", interpolation="nearest")
    for k in range(n_classes if n_classes > 2 else 1):
        margin = out[:, k] - np.delete(out, k, axis=1).max(axis=1)
        if margin.min() < 0 < margin.max():
            ax.contour(across, up, margin.reshape(shape), [0.0], colors=text_color(), linewidths=1.0)


def _draw_heights(ax: Axes, surface: Surface, x: np.ndarray, y: np.ndarray | None) -> None:
    """Draw a number as height with lines of equal height, and the rows in the colours of their own values."""
    colors = _checks.require("matplotlib.colors", "plots")
    across, up = surface.across, surface.up
    heights = surface.outputs[:, 0].reshape(len(up), len(across))
    values = None if y is None else check_vector("y", y)
    shown = heights.ravel() if values is None else np.append(heights, values)
    scale = colors.Normalize(shown.min(), shown.max())
    ax.imshow(heights, extent=surface.extent, origin="lower", aspect="auto", cmap=color_ramp(), norm=scale)
    if np.ptp(heights) > 0:
        lines = ax.contour(across, up, heights, 6, colors=text_color(), linewidths=0.7, linestyles="-")
        ax.clabel(lines, fontsize=8, fmt=format_tick)
    look = _row_look(len(x))
    if values is None:
        ax.scatter(*x.T, color=text_color(), **look)
    else:
        look["edgecolors"] = text_color()
        ax.scatter(x[:, 0], x[:, 1], c=values, cmap=color_ramp(), norm=scale, **look)


def _row_look(n_rows: int) -> dict[str, Any]:
    """Return size and edges of the markers for a number of rows."""
    size = float(np.clip(600 / math.sqrt(n_rows), 8, 28))
    return {"s": size, "linewidths": 0.5, "edgecolors": "white"}


def _draw_labelled_rows(ax: Axes, surface: Surface, x: np.ndarray, y: np.ndarray | None) -> None:
    """Draw the rows in the colour and shape of their classes, with a legend."""
    look = _row_look(len(x))
    if y is None:
        ax.scatter(*x.T, color=text_color(), **look)
        return
    numbers, labels = _number_labels(y, surface)
    for k, label in enumerate(labels):
        rows = numbers == k
        if rows.any():
            color, marker = COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)]
            ax.scatter(*x[rows].T, color=color, marker=marker, **look, label=shorten(label))
    if len(labels) <= len(COLORS):
        legend = ax.legend(
            title=None,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            handletextpad=0.1,
            fontsize=9,
        )
        as_written(legend)


def _number_labels(y: np.ndarray, surface: Surface) -> tuple[np.ndarray, Sequence[Any]]:
    """Return the number of each row's class and the labels of all classes."""
    labels = surface.labels
    if labels is None:
        integral = y.dtype.kind in "iub" or (y.dtype.kind == "f" and not (y % 1).any())
        y = y.astype(np.int64) if integral else y
        labels = list(range(surface.outputs.shape[1])) if integral else np.unique(y).tolist()
    return class_numbers("y", y, labels), labels


def boundary_animation(
    recorder: RecordBoundary,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    interval: int = 120,
) -> FuncAnimation:
    """Animate the decision boundary while the network learnt, one frame for each recorded epoch.

    Parameters
    ----------
    recorder : RecordBoundary
        After a training in which it was a callback.
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
        If `recorder` is not a RecordBoundary, or has recorded nothing.

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
    check_recorded(recorder.epochs)
    _checks.check_number("interval", interval, 0.0, open_low=True)
    grid_axes(x, 2)
    rows = np.asarray(x, dtype=np.float64)
    labels = None if y is None else check_labels("y", y)
    if labels is not None:
        _checks.check_lengths("x", len(rows), "y", len(labels))
    axes = new_axes(ax, PLANE_SIZE)

    def draw_frame(k: int) -> list[Any]:
        axes.clear()
        flat = recorder.outputs[k].reshape(-1, recorder.outputs[k].shape[-1])
        surface = Surface(recorder.across, recorder.up, *_class_columns(flat, recorder.output), None)
        _draw_plane(new_axes(axes), surface, rows, labels)
        set_headline(axes, f"epoch {recorder.epochs[k]:,}")
        return []

    animation = _checks.require("matplotlib.animation", "plots")
    return animation.FuncAnimation(
        axes.figure, draw_frame, frames=len(recorder.epochs), init_func=list, interval=interval
    )
