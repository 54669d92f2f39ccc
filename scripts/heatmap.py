"""Map the rate of a dense layer's three passes over shapes, beside NumPy's OpenBLAS, and look for cliffs.

Each cell is a layer with as many inputs as outputs, on one thread; fastnn and NumPy take turns, and the
medians count. fastnn adds the bias and applies ReLU or its derivative, which NumPy's products do not. A cell
is a cliff if fastnn's rate is below 70 % of both neighbours' in its row or in its column; there the columns
count that fill the last panel, too, so that no cliff is only that.

With --shapes, layers of other shapes follow, such as one and 5,000 outputs.
"""

from __future__ import annotations

import enum
import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.children import SIMD, Child
from benchmarks.passes import PASSES, Shape, machine_facts, pass_rates

from fastnn.kernels.sizes import PAD

WIDTHS = [
    1,
    8,
    15,
    16,
    17,
    24,
    32,
    33,
    48,
    64,
    65,
    96,
    100,
    128,
    129,
    200,
    256,
    384,
    500,
    512,
    1000,
    1024,
    2048,
]
ROWS = [1, 2, 3, 6, 7, 16, 32, 33, 64, 128, 200, 240, 512, 1024]
SHAPES = [
    (64, 64, 1),
    (64, 64, 10),
    (64, 64, 5000),
    (64, 5000, 64),
    (64, 8, 5000),
    (128, 784, 10),
    (120, 784, 512),
    (10_000, 17, 17),
    (10_000, 64, 64),
    (10_000, 784, 128),
]
CLIFF = 0.7
LIBRARIES = ("fastnn", "NumPy")

Simd = enum.Enum("Simd", {name: name for name in SIMD}, type=str)
Dtype = enum.Enum("Dtype", {"float32": "float32", "float64": "float64"}, type=str)
Rates = dict[str, float]  # GFLOP/s by library


class Pair:
    """fastnn and NumPy, each in its own process, which take turns."""

    def __init__(self, simd: str, dtype: str, rounds: int, seconds: float) -> None:
        self._rounds, self._seconds = rounds, seconds
        self._children = {name: Child(pass_rates, name, dtype, simd=simd) for name in LIBRARIES}

    def rates(self, name: str, shape: Shape) -> Rates:
        """Return the median rate of a pass by library."""
        found: dict[str, list[float]] = {library: [] for library in LIBRARIES}
        for library in LIBRARIES * self._rounds:
            found[library].append(self._children[library].ask(name, shape, self._seconds))
        return {library: statistics.median(values) for library, values in found.items()}

    def close(self) -> None:
        """End both processes."""
        for child in self._children.values():
            child.close()


def cliffs(rates: list[list[float]]) -> list[tuple[int, int]]:
    """Return the cells of a table of rates that are far below both neighbours in their row or column."""
    found = []
    for i, row in enumerate(rates):
        for j, rate in enumerate(row):
            beside = row[max(0, j - 1) : j + 2]
            above = [other[j] for other in rates[max(0, i - 1) : i + 2]]
            if any(len(line) == 3 and rate < CLIFF * min(line[0], line[2]) for line in (beside, above)):
                found.append((i, j))
    return found


def measure(
    simd: str, dtype: str, rows: list[int], widths: list[int], shapes: bool, rounds: int, seconds: float
) -> dict[str, Any]:
    """Return the machine, its peak, and the rates of all cells and shapes, by pass."""
    with Child(machine_facts, dtype, simd=simd) as child:
        facts, peak = child.ask(1)
    pair = Pair(simd, dtype, rounds, seconds)
    try:
        # Pass by pass for each shape: a child keeps the arrays of the last shape only.
        grid = track(list(itertools.product(rows, widths)), f"{simd}, shapes", transient=True)
        cells = {(n, w): {name: pair.rates(name, (n, w, w)) for name in PASSES} for n, w in grid}
        single = {shape: {name: pair.rates(name, shape) for name in PASSES} for shape in SHAPES * shapes}
    finally:
        pair.close()
    return {
        "machine": facts,
        "simd": simd,
        "dtype": dtype,
        "peak_gflops": peak,
        "rows": rows,
        "widths": widths,
        "cells": {name: [[cells[n, w][name] for w in widths] for n in rows] for name in PASSES},
        "shapes": {" x ".join(map(str, shape)): rates for shape, rates in single.items()},
    }


def show(console: Console, report: dict[str, Any]) -> None:
    """Print a table for each pass, its cliffs, and a table of the single shapes."""
    rows, widths = report["rows"], report["widths"]
    facts = report["machine"]
    console.print(
        f"{facts['cpu']} (kernels for {facts['llvm_cpu']}, {facts['vector_bits']}-bit vectors), "
        f"{report['dtype']}, 1 thread; peak {report['peak_gflops']:.0f} GFLOP/s",
        soft_wrap=True,
    )
    for name in PASSES:
        cells = report["cells"][name]
        title = f"{name}: fastnn's GFLOP/s, and below, times NumPy's; by rows (down) and width (across)"
        table = Table("rows", title=title, padding=(0, 0))
        for width in widths:
            table.add_column(str(width), justify="right")
        for n, row in zip(rows, cells, strict=True):
            table.add_row(
                str(n), *(f"{its['fastnn']:.3g}\n{its['fastnn'] / its['NumPy']:.2f}" for its in row)
            )
        console.print(table)
        filled = [-(-width // PAD) * PAD / width for width in widths]
        rates = [[its["fastnn"] * more for its, more in zip(row, filled, strict=True)] for row in cells]
        for i, j in cliffs(rates):
            console.print(f"cliff: {name}, {rows[i]} rows, width {widths[j]}")
    if report["shapes"]:
        table = Table("rows x in x out", *PASSES, title="fastnn's GFLOP/s (times NumPy's)")
        for shape, rates in report["shapes"].items():
            table.add_row(
                shape,
                *(f"{its['fastnn']:.3g} ({its['fastnn'] / its['NumPy']:.2f})" for its in rates.values()),
            )
        console.print(table)


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw a row of two maps for each pass: shares of the peak, and the ratio to NumPy.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.colors import LogNorm

    rows, widths, peak = report["rows"], report["widths"], report["peak_gflops"]
    size = (3 + 0.8 * len(widths), 1.5 + 3 * (0.6 + 0.27 * len(rows)))
    figure, grid = plt.subplots(len(PASSES), 2, figsize=size, layout="constrained", squeeze=False)
    for name, (left, right) in zip(PASSES, grid, strict=True):
        cells = report["cells"][name]
        shares = [[100 * its["fastnn"] / peak for its in row] for row in cells]
        ratios = [[its["fastnn"] / its["NumPy"] for its in row] for row in cells]
        maps = [
            (left, shares, f"{name}: % of the multiply-add peak", "{:.0f}", {"vmin": 0, "vmax": 100}),
            (right, ratios, f"{name}: times NumPy's OpenBLAS", "{:.2g}", {"norm": LogNorm(0.5, 2)}),
        ]
        for axes, values, title, form, scale in maps:
            colors = "viridis" if axes is left else "RdYlGn"
            image = axes.imshow(values, aspect="auto", cmap=colors, **scale)
            for i, j in itertools.product(range(len(rows)), range(len(widths))):
                dark = axes is left and values[i][j] < 60
                text = {"ha": "center", "va": "center", "fontsize": 6, "color": "white" if dark else "black"}
                axes.text(j, i, form.format(values[i][j]), **text)
            axes.set_xticks(range(len(widths)), widths, rotation=90)
            axes.set_yticks(range(len(rows)), rows)
            axes.set_title(title, size=10)
            figure.colorbar(image, ax=axes, pad=0.01)
    facts = report["machine"]
    what = f"{facts['llvm_cpu']}, {facts['vector_bits']}-bit vectors, {report['dtype']}, 1 thread"
    figure.supxlabel(f"inputs and outputs of the layer; {what}", size=10)
    figure.supylabel("rows", size=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(
    width: Annotated[
        list[int] | None, typer.Option(help="Width in place of the default ones; may be repeated.")
    ] = None,
    rows: Annotated[
        list[int] | None, typer.Option(help="Rows in place of the default ones; may be repeated.")
    ] = None,
    simd: Annotated[
        list[Simd] | None, typer.Option(help="Width of vectors, native by default; may be repeated.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option()] = Dtype.float32,
    shapes: Annotated[bool, typer.Option(help="Measure the single shapes, too.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.01,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw them here, -native or -avx2 added; needs matplotlib.")
    ] = None,
) -> None:
    """Map the rate of a dense layer's three passes over shapes, beside NumPy's OpenBLAS."""
    console, reports = Console(), []
    if not console.is_terminal:
        console.width = 10 + 6 * len(width or WIDTHS) + 60  # a file has no width to keep to
    for its in simd or [Simd.native]:
        report = measure(its.value, dtype.value, rows or ROWS, width or WIDTHS, shapes, rounds, seconds)
        reports.append(report)
        show(console, report)
        if plot is not None:
            draw(report, plot.with_name(f"{plot.stem}-{its.value}{plot.suffix}"))
    if json_path is not None:
        json_path.write_text(json.dumps(reports, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
