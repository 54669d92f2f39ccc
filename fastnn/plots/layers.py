"""Pictures of a network's layers: their gradients and outputs over training, and first-layer weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _checks
from ..network.mlp import MLP
from ..training.recording import Histogram, RecordHistograms
from .arguments import check_recorded
from .style import (
    BLUE,
    VERMILLION,
    as_written,
    color_ramp,
    label_line_ends,
    new_axes,
    set_headline,
    set_number_ticks,
    size_in_points,
    text_color,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EPOCHS = 200  # drawn beside each other
RIDGE_HEIGHT = 0.85  # of the distance between two ridges
SHEET_WIDTH = 4.6  # inches, of a figure of first-layer weights


def histograms(
    recorder: RecordHistograms,
    kind: Literal["gradients", "activations"] = "gradients",
    *,
    layer: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how large the gradients, or the outputs, of layers were over training.

    All layers are drawn as ridges, the first layer at the bottom, at the start of training (line) and at its
    end (filled): a gradient vanishes where the ridges move to the left from layer to layer downwards. A
    single layer is drawn with the epochs from left to right, at most 200 of them, deeper where more values
    are.

    Parameters
    ----------
    recorder : RecordHistograms
        After a training in which it was a callback.
    kind : {"gradients", "activations"}, default="gradients"
        Gradients are shown by their absolute values on a logarithmic axis.
    layer : int, optional
        Draw this layer only, counted from 0, or from -1 backwards.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If `recorder` is not a RecordHistograms or has recorded nothing, or there is no such layer.

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
    check_recorded(recorder.epochs)
    recorded = recorder.gradients if kind == "gradients" else recorder.activations
    n_layers = len(recorder.names)
    quantity = "size of the weight gradient" if kind == "gradients" else "outputs"
    if layer is None:
        ax = new_axes(ax, (5.4, max(3.0, 1.2 + 0.45 * n_layers)))
        _draw_ridges(ax, recorded, recorder)
        if kind == "gradients":
            _label_powers(ax.xaxis)
        ax.set(xlabel=quantity)
        return ax
    if isinstance(layer, bool) or not isinstance(layer, int) or not -n_layers <= layer < n_layers:
        raise ValueError(
            f"layer must be a number from {-n_layers} to {n_layers - 1}, got {_checks.shown(layer)}."
        )
    ax = new_axes(ax)
    shown = slice(None, None, -(-len(recorded) // MOST_EPOCHS))
    _draw_epochs(ax, [layers[layer] for layers in recorded[shown]], recorder.epochs[shown])
    set_headline(ax, recorder.names[layer])
    if kind == "gradients":
        _label_powers(ax.yaxis)
    ax.set(xlabel="epoch", ylabel=quantity)
    return ax


def _label_powers(axis: Any) -> None:
    """Label the axis of logarithms to base 10 with powers of 10."""
    ticker = _checks.require("matplotlib.ticker", "plots")
    n_ticks = int(np.clip(size_in_points(axis.axes)[axis.axis_name == "y"] / 60, 2, 6))
    axis.set_major_locator(ticker.MaxNLocator(nbins=n_ticks, integer=True))
    axis.set_major_formatter(ticker.FuncFormatter(lambda power, _: f"$10^{{{power:.0f}}}$"))


def _draw_ridges(ax: Axes, recorded: list[list[Histogram]], recorder: RecordHistograms) -> None:
    """Draw a ridge for each layer, with its first and its last record and its share of zeros."""
    n_layers, several = len(recorder.names), len(recorded) > 1
    for depth in range(n_layers):
        first, last = recorded[0][depth], recorded[-1][depth]
        z = 2 * (n_layers - depth)
        x, height = _outline(last)
        top = depth + RIDGE_HEIGHT * height
        ax.fill_between(x, depth, top, color=BLUE, alpha=0.55, linewidth=0, zorder=z)
        if several:
            x, height = _outline(first)
            ax.plot(x, depth + RIDGE_HEIGHT * height, color=text_color(), linewidth=0.9, zorder=z + 1)
        zeros = last.n_zero / max(1, last.n_zero + last.counts.sum())
        if zeros >= 0.005:
            ax.annotate(
                f"{100 * zeros:.0f} % are 0",
                (1, depth),
                (3, 1),
                fontsize=8,
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
            )
    ends = [histogram for layers in (recorded[0], recorded[-1]) for histogram in layers]
    ends = [histogram for histogram in ends if histogram.counts.any()]
    if ends:  # a few values far away would leave no room for the others
        low = min(_quantile(histogram, 0.002) for histogram in ends)
        high = max(_quantile(histogram, 0.998) for histogram in ends)
        margin = 0.04 * (high - low) or 1.0
        ax.set_xlim(low - margin, high + margin)
    ax.set_yticks(range(n_layers), recorder.names, fontsize=9)
    as_written(ax.yaxis)
    ax.set_ylim(-0.1, n_layers)
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    line = f"; line: epoch {recorder.epochs[0]:,}" if several else ""
    set_headline(ax, f"filled: epoch {recorder.epochs[-1]:,}{line}")


def _draw_epochs(ax: Axes, recorded: list[Histogram], epochs: list[int]) -> None:
    """Draw a column for each epoch, deeper where more values are, and a line through their medians."""
    edges = np.array(epochs, dtype=np.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    half = (middles[0] - edges[0]) if len(edges) > 1 else 0.5
    edges = np.concatenate([[edges[0] - half], middles, [edges[-1] + half]])
    highest = max(float(_density(histogram).max()) for histogram in recorded) or 1.0
    ax.grid(False)
    for k, histogram in enumerate(recorded):
        ax.pcolormesh(
            edges[k : k + 2],
            histogram.edges,
            np.sqrt(_density(histogram) / highest)[:, np.newaxis],
            cmap=color_ramp(),
            vmin=0,
            vmax=1,
            rasterized=True,
        )
    set_number_ticks(ax.xaxis, integers=True)
    medians = [_quantile(histogram, 0.5) for histogram in recorded]
    ax.plot(epochs, medians, color=VERMILLION, linewidth=1.5)
    label_line_ends(ax, [(medians[-1], "median", VERMILLION)])


def _density(histogram: Histogram) -> np.ndarray:
    """Share of the values in each bin, per unit of the axis."""
    widths = np.diff(histogram.edges)
    return histogram.counts / max(1, histogram.counts.sum()) / widths


def _outline(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a histogram in steps, its highest bin 1."""
    counts = histogram.counts / max(1, histogram.counts.max())
    return np.repeat(histogram.edges, 2), np.concatenate([[0.0], np.repeat(counts, 2), [0.0]])


def _quantile(histogram: Histogram, share: float) -> float:
    """Value below which a share of the values lies, interpolated within its bin."""
    totals = np.concatenate([[0], np.cumsum(histogram.counts)])
    return float(np.interp(share * totals[-1], totals, histogram.edges))


def first_layer_weights(net: MLP, shape: Sequence[int], *, n: int = 25, ax: Axes | None = None) -> Axes:
    """Draw the weights into each unit of the first layer as an image, blue above 0 and red below.

    Parameters
    ----------
    net : MLP
        A network whose features are pixels.
    shape : (height, width) or (height, width, 3)
    n : int, default=25
        Number of units to draw, from the first; all if there are fewer.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If `net` is not a network, or takes another number of features than the shape has pixels.

    Examples
    --------
    >>> import fastnn
    >>> ax = first_layer_weights(fastnn.MLP([64, 16, 10], seed=0), (8, 8))
    >>> ax.get_images()[0].get_array().shape  # 4 x 4 images of 8 x 8 pixels, 1 between them
    (35, 35)
    """
    if not isinstance(net, MLP):
        raise TypeError(f"net must be a fastnn.MLP, got {type(net).__name__}.")
    sides = _checks.check_items("shape", shape, "integers")
    shape = tuple(_checks.check_count("a side of shape", side) for side in sides)
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
    corners = [(k // n_across * (height + 1), k % n_across * (width + 1)) for k in range(n)]
    sheet = np.full((n_down * (height + 1) - 1, n_across * (width + 1) - 1, *shape[2:]), np.nan)
    for k, (top, left) in enumerate(corners):
        sheet[top : top + height, left : left + width] = weights[:, k].reshape(shape)
    ax = new_axes(ax, (SHEET_WIDTH, SHEET_WIDTH * n_down / n_across + 0.3))
    if len(shape) == 3:
        alpha = np.isfinite(sheet[..., :1]).astype(float)
        ax.imshow(np.dstack([np.nan_to_num(0.5 + sheet / (2 * limit)).clip(0, 1), alpha]))
    else:
        ramp = color_ramp(BLUE, VERMILLION)
        ax.imshow(sheet, cmap=ramp, vmin=-limit, vmax=limit, interpolation="nearest")
    patches = _checks.require("matplotlib.patches", "plots")
    frame = {"fill": False, "edgecolor": text_color(), "alpha": 0.3, "linewidth": 0.5}
    for top, left in corners:
        ax.add_patch(patches.Rectangle((left - 0.5, top - 0.5), width, height, **frame))
    ax.set(xlim=(-1, sheet.shape[1]), ylim=(sheet.shape[0], -1))
    ax.set_axis_off()
    return ax
