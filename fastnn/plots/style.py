"""The look of all pictures: colours, axes, tick marks, numbers and labels.

The first colours are those of Okabe and Ito (2008) that stand out from both white and black and that
colour-blind readers can distinguish. Text and frames keep matplotlib's own colours, so that dark styles work.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#C1619A"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, "#8A8000", "#7F7F7F", "#3B9BDD", "#B04A4A")
MARKERS = "os^DvPX*"
FIGURE_SIZE = (5.4, 3.8)  # inches; its text is readable 400 pixels wide
DECADES = 30.0  # values that differ by this factor get a logarithmic axis


def new_axes(ax: Axes | None = None, size: tuple[float, float] = FIGURE_SIZE) -> Axes:
    """Put the given Axes, or those of a new figure, into the style of this package.

    Parameters
    ----------
    ax : matplotlib Axes, optional
    size : tuple of float, default=(5.4, 3.8)
        Width and height of a new figure in inches.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    matplotlib = _checks.require("matplotlib", "plots")
    if ax is None:
        plt = _checks.require("matplotlib.pyplot", "plots")
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, _checks.require("matplotlib.axes", "plots").Axes):
        raise TypeError(f"ax must be Axes of matplotlib, got {_checks.shown(ax)}.")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=matplotlib.rcParams["text.color"], alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)
    return ax


def text_color() -> str:
    """Colour of text, and of the lines that belong to it, in the current matplotlib style."""
    return _checks.require("matplotlib", "plots").rcParams["text.color"]


def color_ramp(
    high: str = BLUE, low: str | None = None, *, lowest_alpha: float = 0.0
) -> LinearSegmentedColormap:
    """Return a colour map from the background, which shines through, to `high`.

    With `low` it diverges: from `low` through the background to `high`.
    """
    colors = _checks.require("matplotlib.colors", "plots")
    stops = [(*colors.to_rgb(high), lowest_alpha), (*colors.to_rgb(high), 1.0)]
    if low is None:
        return colors.LinearSegmentedColormap.from_list("fastnn", stops)
    stops = [(*colors.to_rgb(low), 1.0), (*colors.to_rgb(low), lowest_alpha), *stops]
    positions = [0.0, 0.5, 0.5, 1.0]
    return colors.LinearSegmentedColormap.from_list("fastnn", list(zip(positions, stops, strict=True)), N=512)


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of the Axes in points, before the layout gives a part of them to labels."""
    box, points = ax.get_window_extent(), 72 / ax.figure.dpi
    return box.width * points, box.height * points


def set_number_ticks(axis: Any, integers: bool = False) -> None:
    """Set as many ticks on the x or y axis as fit, with thousands separated."""
    ticker = _checks.require("matplotlib.ticker", "plots")
    width, height = size_in_points(axis.axes)
    n = int(np.clip(width / 50 if axis.axis_name == "x" else height / 30, 3, 8))
    steps = [1, 2, 5, 10] if integers else [1, 2, 2.5, 5, 10]
    fewest = 1 if integers else 2
    axis.set_major_locator(ticker.MaxNLocator(n, steps=steps, integer=integers, min_n_ticks=fewest))
    axis.set_major_formatter(ticker.FuncFormatter(format_tick))


def format_tick(value: float, _position: int | None = None) -> str:
    """Format a number for the tick marks of an axis.

    Examples
    --------
    >>> format_tick(12345.0), format_tick(0.25)
    ('12,345', '0.25')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return text.replace("-", "\N{MINUS SIGN}")


def format_number(value: float) -> str:
    """Format a number for a sentence or a headline.

    Examples
    --------
    >>> format_number(12345.6), format_number(0.98765), format_number(1e-7)
    ('12,346', '0.988', '1e-07')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}") if text.startswith("-") else text


def one_line(label: Any) -> str:
    r"""Return a label as text of one line, without characters that no font and no XML can show.

    Examples
    --------
    >>> one_line("a\nb\x1bc")
    'a b�c'
    """
    text = " ".join(str(label).split())
    if text.isprintable():
        return text
    kept = (letter for letter in text if unicodedata.category(letter) != "Cf")  # such as marks of direction
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in kept)


def shorten(label: Any, n_letters: int = 16) -> str:
    """Return a label as text of one line, cut to `n_letters`.

    Examples
    --------
    >>> shorten("Iris versicolor", 8)
    'Iris ve…'
    """
    text = one_line(label)
    return text if len(text) <= n_letters else text[: n_letters - 1] + "…"


def as_written(artist: Any) -> None:
    """Show the texts of an artist as they are written: no $ begins a formula, whatever the settings."""
    for text in artist.findobj(_checks.require("matplotlib.text", "plots").Text):
        text.set_parse_math(False)
        text.set_usetex(False)


def spans_decades(values: np.ndarray) -> bool:
    """Return whether all finite values are positive and the largest is many times the smallest."""
    finite = values[np.isfinite(values)]
    return bool(finite.size > 1 and finite.min() > 0 and finite.max() >= DECADES * finite.min())


def set_log_scale(ax: Axes) -> None:
    """Make the y axis logarithmic; if it spans few decades, also label values between the powers."""
    ticker = _checks.require("matplotlib.ticker", "plots")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high / low < 1e3:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 3) if high / low > 50 else (1, 2, 5)))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(format_tick))  # matplotlib's own writes formulas
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def label_line_ends(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write the names of lines beside the right edge, at the heights where they end, clear of each other.

    Parameters
    ----------
    ax : matplotlib Axes
    ends : sequence of (float, str, str)
        The height of each line's end in data, the line's name and its colour.
    """
    gap = 12 / size_in_points(ax)[1]
    ax.get_ylim()  # brings the limits up to date, which the transformation alone does not
    to_axes = ax.transData + ax.transAxes.inverted()
    in_axes = sorted((float(to_axes.transform((1, y))[1]), label, color) for y, label, color in ends)
    lowest = 0.02
    for k, (end, label, color) in enumerate(in_axes):
        highest = 0.98 - (len(in_axes) - 1 - k) * gap
        height = max(lowest, min(end, highest))
        beside: dict[str, Any] = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "va": "center",
        }
        ax.annotate("\N{BLACK SQUARE}", (1, height), (4, 0), color=color, fontsize=7, **beside)
        as_written(ax.annotate(one_line(label), (1, height), (12, 0), fontsize=9, **beside))
        lowest = height + gap


def set_headline(ax: Axes, text: str) -> None:
    """Write the main figures above the Axes, where they hide nothing."""
    as_written(ax.set_title(text, fontsize=9, loc="left"))
