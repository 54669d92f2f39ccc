"""Map fastnn's rate over widths and batch sizes, and look for cliffs.

Each cell is a network of three layers of one width, trained with Adam on one thread (by default). The rate
counts the network's own columns; the *filled* rate also counts the padding that fills rows to whole vectors,
so it has no dips that padding explains. A cell is a cliff if its filled rate is below 70 % of both
neighbours' in its row or in its column.

With --shapes a table of single shapes follows: 1 and 5,000 outputs, 20 layers, batches of 1 and 10,000 rows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fastnn._threads import usable_cores
from fastnn.app.machine import describe, peak_gflops
from fastnn.kernels.simd import lanes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.common import Network, step_us

WIDTHS = [*range(1, 18), 24, 31, 32, 33, 48, 64, 65, 100, 128, 129, 200, 256, 257, 384, 500, 512, 1000, 1024]
BATCHES = [1, 2, 3, 6, 7, 8, 32, 33, 64, 128, 200, 512, 1024]
SHAPES = [
    Network((64, 64, 1), 64),
    Network((64, 64, 10), 64),
    Network((64, 64, 5000), 64),
    Network((5000, 64, 10), 64),
    Network((8, 5000, 1), 64),
    Network((64,) * 21, 64),
    Network((256,) * 21, 64),
    Network((1, 1, 1), 32),
    Network((784, 128, 10), 1),
    Network((784, 128, 10), 10_000),
    Network((64, 64, 10), 10_000),
    Network((17, 17, 17), 10_000),
]
CLIFF = 0.7


def filled_flops(network: Network, dtype: str) -> float:
    """Return the operations of a step with every row of weights padded to whole vectors."""
    n = lanes(dtype)
    filled = [-(-width // n) * n for width in network.sizes]
    forward = sum(n_in * n_out for n_in, n_out in zip(network.sizes, filled[1:], strict=False))
    data = sum(n_out * n_in for n_in, n_out in zip(filled[1:-1], network.sizes[2:], strict=True))
    return 2.0 * network.batch * (2 * forward + data)


def measure(network: Network, dtype: str, threads: int | None) -> dict[str, float]:
    """Return the time of a step in us, and its rates in GFLOP/s."""
    us = step_us(network, dtype=dtype, n_threads=threads)
    return {
        "us": us,
        "gflops": network.step_flops / us / 1e3,
        "filled_gflops": filled_flops(network, dtype) / us / 1e3,
    }


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


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the filled rates as shares of the peak in a heat map.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    widths, batches = report["widths"], report["batches"]
    shares = [
        [100 * cell["filled_gflops"] / report["peak_gflops"] for cell in row] for row in report["cells"]
    ]
    figure, axes = plt.subplots(
        figsize=(2 + 0.42 * len(widths), 1.5 + 0.36 * len(batches)), layout="constrained"
    )
    image = axes.imshow(shares, aspect="auto", cmap="viridis", vmin=0, vmax=100)
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            color = "white" if share < 60 else "black"
            axes.text(j, i, f"{share:.0f}", ha="center", va="center", color=color, fontsize=7)
    axes.set_xticks(range(len(widths)), widths, rotation=90)
    axes.set_yticks(range(len(batches)), batches)
    axes.set_xlabel("width of the three layers")
    axes.set_ylabel("batch")
    facts = report["machine"]
    what = f"{report['dtype']}, {report['threads'] or 'all'} thread(s), {facts['llvm_cpu']}"
    axes.set_title(
        f"Training step, % of the multiply-add peak, columns filled up to vectors; {what}", size=10
    )
    figure.colorbar(image, ax=axes, pad=0.01)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(
    width: Annotated[
        list[int] | None, typer.Option(help="Width in place of the default ones; may be repeated.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="Batch size in place of the default ones; may be repeated.")
    ] = None,
    shapes: Annotated[bool, typer.Option(help="Measure the single shapes, too.")] = True,
    threads: Annotated[int, typer.Option(min=0, help="Number of threads; 0 lets fastnn choose.")] = 1,
    dtype: Annotated[str, typer.Option()] = "float32",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them here; needs matplotlib.")] = None,
) -> None:
    """Map fastnn's rate over widths and batch sizes, and look for cliffs."""
    widths, batches, n_threads = width or WIDTHS, batch or BATCHES, threads or None
    cells = [
        [measure(Network((w, w, w), b), dtype, n_threads) for w in widths]
        for b in track(batches, "batches", transient=True)
    ]
    peak = peak_gflops(dtype, n_threads or usable_cores())
    report: dict[str, Any] = {
        "machine": describe(),
        "dtype": dtype,
        "threads": n_threads,
        "peak_gflops": peak,
        "widths": widths,
        "batches": batches,
        "cells": cells,
    }
    console = Console()
    if not console.is_terminal:
        console.width = 8 + 6 * len(widths)
    table = Table(
        title=f"GFLOP/s by batch (down) and width (across), {dtype}; peak {peak:.0f}", padding=(0, 0)
    )
    for heading in ("batch", *map(str, widths)):
        table.add_column(heading, justify="right")
    for b, row in zip(batches, cells, strict=True):
        table.add_row(str(b), *(f"{cell['gflops']:.3g}" for cell in row))
    console.print(table)
    for i, j in cliffs([[cell["filled_gflops"] for cell in row] for row in cells]):
        console.print(f"cliff: width {widths[j]}, batch {batches[i]}: {cells[i][j]['us']:.3g} us")
    if shapes:
        report["shapes"] = {f"{net.name}, {net.batch}": measure(net, dtype, n_threads) for net in SHAPES}
        table = Table("network, batch", "us", "GFLOP/s", "filled", title="Single shapes")
        for name, its in report["shapes"].items():
            name = (
                name
                if len(name) < 40
                else f"{name[:12]}... ({name.count('-')} layers){name[name.index(',') :]}"
            )
            table.add_row(name, f"{its['us']:,.4g}", f"{its['gflops']:.3g}", f"{its['filled_gflops']:.3g}")
        console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    if plot is not None:
        draw(report, plot)


if __name__ == "__main__":
    typer.run(main)
