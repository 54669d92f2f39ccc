"""A network as a table."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mlp import MLP

WIDTH = 100


HEADER = ("layer", "shape", "then", "parameters", "memory", "FLOPs a row")


def rows(net: MLP) -> list[tuple[str, ...]]:
    """Cells of the table below :data:`HEADER`; the last row is that of the whole network."""
    size = net.dtype.itemsize
    counts: dict[str, int] = {}
    for name, array in net.parameters().items():
        if not name.endswith(("running_mean", "running_variance")):
            place = name.rpartition(".")[0]
            counts[place] = counts.get(place, 0) + array.size
    table: list[tuple[str, ...]] = []
    for column, (n_categories, width) in net.embeddings.items():
        count = counts[f"embeddings.{column}"]
        shape = f"{n_categories} → {width}"
        table.append((f"feature {column}", shape, "", f"{count:,}", n_bytes(count * size), "0"))
    for depth, (n_in, n_out) in enumerate(itertools.pairwise(net._widths)):
        count, shape = counts[f"layers.{depth}"], f"{n_in} → {n_out}"
        flops = f"{2 * n_in * n_out:,}"
        table.append((str(depth), shape, _then(net, depth), f"{count:,}", n_bytes(count * size), flops))
    all_bytes = n_bytes(net.n_params * size)
    table.append(("all", "", "", f"{net.n_params:,}", all_bytes, f"{_n_flops(net):,}"))
    return table


def _n_flops(net: MLP) -> int:
    return sum(2 * n_in * n_out for n_in, n_out in itertools.pairwise(net._widths))


def summary(net: MLP) -> str:
    """Layers, shapes, parameters, memory and work of a network; see :meth:`fastnn.MLP.summary`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:3] else "right")
    *layers, whole = rows(net)
    for layer in layers:
        table.add_row(*layer)
    table.add_section()
    table.add_row(*whole, style="bold")
    text = io.StringIO()
    # Else a notebook would show the table, and there would be no text of it.
    Console(file=text, width=WIDTH, color_system=None, force_jupyter=False).print(table)
    lines = [line[1:].rstrip() for line in text.getvalue().splitlines() if line.strip()]
    size, layout = net.dtype.itemsize, net._layout
    row = size * (layout.n_activations + layout.n_deltas + layout.n_saved)
    lines.append(
        f"Training with Adam takes 4 times the {n_bytes(net.n_params * size)} of the parameters, and "
        f"{n_bytes(row)} a row of the batch;\na step about {3 * _n_flops(net):,} FLOPs a row."
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
