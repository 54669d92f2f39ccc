"""The first phase of a training step: the rows of a batch forward through the network, and back.

Parallel over rows: every part takes its slice of the batch through the whole network, a block of rows at a
time (load, forward, loss, backward). Rows do not depend on each other, so no part waits, unless a batch
normalisation couples them.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit
from .address import call_at, pointer_to
from .batches import copy_from_panels, copy_to_panels, gather, weigh_rows
from .dense import dense_backward_data, dense_forward
from .losses import clear_padding, loss_and_delta
from .records import (
    delta_of,
    input_of,
    output_delta_of,
    output_of,
    output_rows_of,
    panels_of,
    transposed_of,
)
from .sizes import GRAIN_ROWS, PAD, ROW_BLOCK, TILE_ROWS
from .team import share_start


@jit(inline=True)
def load_rows(network, work, data, context, first, skip, r0, r1):
    """Fill rows r0 to r1 of the workspace: features, embedded where asked for, and targets.

    Row r is row ``first + r`` of the data's order. Of sparse rows only the targets are loaded.
    """
    layer = network.layers[0]
    embeds, sparse = network.columns.size > 0, data.starts.size > 0
    n_in = 0 if embeds or sparse else layer.n_in
    gather(input_of(layer, work), work.y, data, work.capacity, first, skip, n_in, r0, r1)
    if embeds:
        call_at(network.embed_hook, (context, data.x, data.indices, first, r0, r1))
    if layer.input_dropout > 0 and context.step > 0 and not sparse:
        call_at(network.forward_hook, (context, -1, r0, r1))


@jit(inline=True)
def forward_rows(network, work, data, sparse, context, first, r0, r1):
    """Activations of every layer for rows r0 to r1 of the workspace; data are read only if sparse."""
    for depth in range(network.n_layers):
        layer = network.layers[depth]
        if sparse and depth == 0:
            call_at(network.sparse_forward, (context, pointer_to(data), first, r0, r1))
        else:
            w, stride = panels_of(layer, network)
            a_in, a_out = input_of(layer, work), output_of(layer, work)
            n_in, n_out = layer.n_in, layer.n_out
            dense_forward(a_out, a_in, w, work.capacity, stride, layer.activation, n_in, n_out, r0, r1)
        if layer.hooked > 0:
            call_at(network.forward_hook, (context, depth, r0, r1))


@jit(inline=True)
def output_rows(layer, work, r0, r1):
    """The output layer's z of rows r0 to r1 in whole rows."""
    z, panels = output_rows_of(layer, work), output_of(layer, work)
    if layer.d_cols > PAD:
        copy_from_panels(z, panels, work.capacity, r0, r1, np.intp(0), layer.d_cols)
    return z


@jit(inline=True)
def loss_rows(network, work, data, objective, first, total, r0, r1):
    """Loss, score and output delta of rows r0 to r1 of a batch whose rows weigh `total`."""
    layer = network.layers[network.n_layers - 1]
    delta, z = output_delta_of(layer, work), output_rows(layer, work, r0, r1)
    row_loss, row_score, y, n_out = work.row_loss, work.row_score, work.y, layer.n_out
    loss, scale, share, output = objective.loss, objective.scale, 1 / total, network.output
    if objective.function != 0:
        numbers = objective.numbers
        arguments = (row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1)
        call_at(objective.function, arguments)
    else:
        loss_and_delta(row_loss, row_score, delta, z, y, loss, scale, share, output, n_out, r0, r1)
    clear_padding(delta, n_out, r0, r1)
    if data.weights.size > 0:
        weigh_rows(row_loss, row_score, delta, data, first, n_out, r0, r1)
    if layer.d_cols > PAD:
        panels = delta_of(layer, work)
        copy_to_panels(panels, delta, work.capacity, r0, r1, np.intp(0), layer.d_cols)


@jit(inline=True)
def backward_rows(network, work, context, r0, r1):
    """Deltas of every layer but the last, and of embedded inputs, for rows r0 to r1."""
    for depth in range(network.n_layers - 1, 0, -1):
        layer, before = network.layers[depth], network.layers[depth - 1]
        dense_backward_data(
            delta_of(before, work),
            delta_of(layer, work),
            transposed_of(layer, network),
            work.capacity,
            layer.t_rows * PAD,
            input_of(layer, work),
            before.activation,
            layer.n_in,
            layer.n_out,
            r0,
            r1,
        )
        if before.hooked > 0:
            call_at(network.backward_hook, (context, depth - 1, r0, r1))
    if network.columns.size > 0:
        layer, inputs = network.layers[0], network.layers[network.n_layers]
        delta_in, delta = delta_of(inputs, work), delta_of(layer, work)
        w_t, a_in = transposed_of(layer, network), input_of(layer, work)
        n_in, n_out, stride = layer.n_in, layer.n_out, layer.t_rows * PAD
        dense_backward_data(
            delta_in, delta, w_t, work.capacity, stride, a_in, inputs.activation, n_in, n_out, r0, r1
        )
        if layer.input_dropout > 0 or layer.residual > 0:
            call_at(network.backward_hook, (context, -1, r0, r1))


@jit(inline=True)
def rows_phase(context, network, work, data, objective, first, total):
    """Take the part's rows of a batch through the network and back.

    first : where the batch begins in the order of the data
    total : weight of all rows of the batch
    Written are the part's rows of activations, deltas, row_loss and row_score.
    """
    part, n_parts, n_rows = context.part, context.n_parts, context.n_rows
    n_grains = (n_rows + GRAIN_ROWS - 1) // GRAIN_ROWS
    row = begin = share_start(part, n_parts, n_grains) * GRAIN_ROWS
    end = min(n_rows, share_start(part + 1, n_parts, n_grains) * GRAIN_ROWS)
    # Coupled rows go through all at once: a part meets the others at every such layer, even if it has no
    # rows itself.
    block = max(n_rows, 1) if network.rows_coupled else ROW_BLOCK
    sparse = data.starts.size > 0
    goes_on = row < end or network.rows_coupled
    while goes_on:
        # The remaining blocks share the remaining rows: each block reads all the weights, so a small last
        # one would cost as much as a full one.
        n_left = max(1, (end - row + block - 1) // block)
        n = (end - row + n_left - 1) // n_left
        stop = max(row, min(end, row + (n + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS))
        skip = n_rows - end + begin if stop == end else 0
        load_rows(network, work, data, context, first, skip, row, stop)
        forward_rows(network, work, data, sparse, context, first, row, stop)
        loss_rows(network, work, data, objective, first, total, row, stop)
        backward_rows(network, work, context, row, stop)
        row = stop
        goes_on = row < end
