"""A network as a table of text."""

from __future__ import annotations

import io
import itertools

from .._memory import size_text
from .architecture import Architecture
from .layout import Layout

WIDTH = 100
HEADER = ("layer", "shape", "then", "parameters", "memory", "FLOPs a row")


def table_rows(architecture: Architecture, layout: Layout) -> list[tuple[str, ...]]:
    """Return the cells of the table below :data:`HEADER`; the last row sums up the whole network."""
    size = architecture.dtype.itemsize
    counts: dict[str, int] = {}
    for name, count in layout.n_learnt().items():
        owner = name.rpartition(".")[0]
        counts[owner] = counts.get(owner, 0) + count
    table: list[tuple[str, ...]] = []
    for column, (n_categories, width) in architecture.embeddings.items():
        count = counts[f"embeddings.{column}"]
        shape = f"{n_categories} → {width}"
        table.append((f"feature {column}", shape, "", f"{count:,}", size_text(count * size), "0"))
    for depth, (n_in, n_out) in enumerate(itertools.pairwise(architecture.widths)):
        count, shape = counts[f"layers.{depth}"], f"{n_in} → {n_out}"
        flops = f"{2 * n_in * n_out:,}"
        then = _following(architecture, depth)
        table.append((str(depth), shape, then, f"{count:,}", size_text(count * size), flops))
    total = sum(counts.values())
    table.append(("all", "", "", f"{total:,}", size_text(total * size), f"{_n_flops(architecture):,}"))
    return table


def summary(architecture: Architecture, layout: Layout) -> str:
    """Describe layers, shapes, parameters, memory and work; see :meth:`fastnn.MLP.summary`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:3] else "right")
    *layers, total = table_rows(architecture, layout)
    for layer in layers:
        table.add_row(*layer)
    table.add_section()
    table.add_row(*total, style="bold")
    text = io.StringIO()
    # In a notebook, rich would display the table itself and leave no text to return.
    Console(file=text, width=WIDTH, color_system=None, force_jupyter=False).print(table)
    lines = [line[1:].rstrip() for line in text.getvalue().splitlines() if line.strip()]
    size = architecture.dtype.itemsize
    row = size * (layout.n_activations + layout.n_deltas + layout.n_saved)
    lines.append(
        f"Training with Adam takes about 5 times the {total[4]} of the parameters, and\n"
        f"{size_text(row)} per row of the batch; a step about {3 * _n_flops(architecture):,} FLOPs per row."
    )
    return "\n".join(lines)


def _n_flops(architecture: Architecture) -> int:
    return sum(2 * n_in * n_out for n_in, n_out in itertools.pairwise(architecture.widths))


def _following(architecture: Architecture, depth: int) -> str:
    """Name what follows the product of a layer."""
    if depth == architecture.n_hidden:
        return architecture.output or "chosen by the loss"
    norm, dropout = architecture.norm[depth], architecture.dropout[depth]
    parts = [f"{norm} norm"] if norm else []
    parts.append(architecture.activations[depth].name)
    if dropout > 0:
        parts.append(f"dropout {dropout:g}")
    if architecture.residual[depth]:
        parts.append("+ input")
    return ", ".join(parts)
