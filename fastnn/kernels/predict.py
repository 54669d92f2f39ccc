"""Prediction: the compiled calls that take rows forward through a network, and give its activated outputs.

Parallel over blocks of rows. Each part works in rows of its own of the workspace.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit, span
from .activations import activate_output
from .address import call_at, no_codes, no_words, pointer_to
from .batches import copy_row
from .records import HookContext, Network, Workspace, input_of
from .rows_phase import forward_rows, output_rows
from .simd import borrowed
from .sizes import ROW_BLOCK
from .team import share_start


@jit(inline=True)
def _predict(part, n_parts, out, x, data, sparse, network, work):
    """Activated outputs for the rows of x, or of data if sparse: the blocks of one part."""
    n_rows, n_in = out.shape[0], x.shape[1]
    block = min(ROW_BLOCK, work.capacity // n_parts)
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    layers = network.layers
    last = layers[network.n_layers - 1]
    a_in = input_of(layers[0], work)
    where = pointer_to(network), pointer_to(work)
    context = HookContext(where[0], where[1], part, n_parts, no_words(), 0, n_rows, np.bool_(False))
    for b in range(share_start(part, n_parts, n_blocks), share_start(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        if network.columns.size > 0:
            call_at(network.embed_hook, (context, x, no_words(), first - own, own, own + n))
        elif not sparse:
            for r in span(0, n):
                copy_row(a_in, work.capacity, own + np.int64(r), x, first + np.int64(r), n_in)
        forward_rows(network, work, data, sparse, context, first - own, own, own + n)
        a_out = output_rows(last, work, own, own + n)
        activate_output(a_out, work.row_loss, work.row_score, network.output, last.n_out, own, own + n)
        for r in span(0, n):
            for o in span(0, last.n_out):
                out[first + np.int64(r), o] = a_out[own + np.int64(r), o]


@jit
def predict_part(part, n_parts, out, x, layers, params, panels, output, activations, row_total, row_largest):
    """Activated outputs of a network without hooks: the share of one part.

    out : (n, n_out) (out)
    x : (n, n_in)
    layers, params, panels, output : of the network
    activations, row_total, row_largest : of the workspace, for as many rows as the last two have
    Arrays come one by one, so that a call from Python costs as little as it can.
    """
    out, x, layers = borrowed(out), borrowed(x), borrowed(layers)
    params, panels = borrowed(params), borrowed(panels)
    a, of_rows, row_largest = borrowed(activations), borrowed(row_total), borrowed(row_largest)
    network = Network(
        layers=layers,
        n_layers=layers.size,
        columns=no_words(),
        params=params,
        panels=panels,
        panels_t=params,
        output=output,
        running=params,
        embed_hook=0,
        forward_hook=0,
        backward_hook=0,
        gradient_hook=0,
        sparse_forward=0,
        sparse_sort=0,
        sparse_gradient=0,
        sparse_update=0,
        rows_coupled=np.bool_(False),
        seed=0,
    )
    # Nothing is read or written of what the forward pass does not need: any array of the type will do.
    work = Workspace(
        capacity=of_rows.size,
        activations=a,
        deltas=a,
        saved=a,
        row_scale=a,
        statistics=of_rows,
        codes=no_codes(),
        y=out,
        entries=no_codes(),
        values=out,
        counts=no_codes(),
        row_loss=of_rows,
        row_score=row_largest,
    )
    _predict(part, n_parts, out, x, x, np.bool_(False), network, work)


@jit
def predict_hooked_part(part, n_parts, out, x, network, work):
    """Activated outputs of any network: the share of one part; out and x as of :func:`predict_part`."""
    out, x, network, work = borrowed(out), borrowed(x), borrowed(network), borrowed(work)
    _predict(part, n_parts, out, x, x, np.bool_(False), network, work)


@jit
def predict_sparse_part(part, n_parts, out, data, network, work):
    """Activated outputs of any network for sparse rows: the share of one part; out as there."""
    out, data, network, work = borrowed(out), borrowed(data), borrowed(network), borrowed(work)
    _predict(part, n_parts, out, data.x, data, np.bool_(True), network, work)
