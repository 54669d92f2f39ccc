"""A network as a table."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import MLP

WIDTH = 100


def summary(net: MLP) -> str:
    """Layers, shapes, parameters, memory and work of a network; see :meth:`fastnn.MLP.summary`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("layer", "shape", "then"):
        table.add_column(name)
    for name in ("parameters", "memory", "FLOPs a row"):
        table.add_column(name, justify="right")
    size = net.dtype.itemsize
    counts: dict[str, int] = {}
    for name, array in net.parameters().items():
        if not name.endswith(("running_mean", "running_variance")):
            place = name.rpartition(".")[0]
            counts[place] = counts.get(place, 0) + array.size
    for column, (n_categories, width) in net.embeddings.items():
        count = counts[f"embeddings.{column}"]
        table.add_row(
            f"feature {column}", f"{n_categories} → {width}", "", f"{count:,}", n_bytes(count * size), "0"
        )
    widths = net._widths
    n_flops = 0
    for depth, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        count, flops = counts[f"layers.{depth}"], 2 * n_in * n_out
        n_flops += flops
        table.add_row(
            str(depth),
            f"{n_in} → {n_out}",
            _then(net, depth),
            f"{count:,}",
            n_bytes(count * size),
            f"{flops:,}",
        )
    table.add_section()
    table.add_row(
        "all", "", "", f"{net.n_params:,}", n_bytes(net.n_params * size), f"{n_flops:,}", style="bold"
    )
    text = io.StringIO()
    # Else a notebook would show the table, and there would be no text of it.
    Console(file=text, width=WIDTH, color_system=None, force_jupyter=False).print(table)
    lines = [line[1:].rstrip() for line in text.getvalue().splitlines() if line.strip()]
    layout = net._layout
    row = size * (layout.n_activations + layout.n_deltas + layout.n_kept)
    lines.append(
        f"Training with Adam takes 4 times the {n_bytes(net.n_params * size)} of the parameters, and "
        f"{n_bytes(row)} a row of the batch;\na step about {3 * n_flops:,} FLOPs a row."
    )
    return "\n".join(lines)


def _then(net: MLP, depth: int) -> str:
    """What follows a layer's product."""
    if depth == len(net.activations):
        return net.output or "chosen by the loss"
    parts = [f"{net.norm[depth]} norm"] if net.norm[depth] else []
    parts.append(net.activations[depth].name)
    if net.dropout[depth] > 0:
        parts.append(f"dropout {net.dropout[depth]:g}")
    if net.residual[depth]:
        parts.append("+ input")
    return ", ".join(parts)


def n_bytes(n: float) -> str:
    """A number of bytes as people write it."""
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"
