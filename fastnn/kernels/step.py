"""The training step, and the compiled calls that run many of them.

A step has two phases, each parallel over what it writes, with a barrier after each:

rows
    Every thread takes its slice of the batch through the whole network, a block of rows at a time:
    gather, forward, loss, backward_data. Rows do not depend on each other, so no thread waits.
weights
    Every thread takes its share of the weight rows of all layers: backward_weights, update, transpose.

There is one compiled form of each call and dtype. Architecture, activations, loss and optimiser are data.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numba.core import types

from .._jit import jit, span
from .activations import activate_output
from .address import call_at, no_codes, no_words, pointer_to
from .batches import gather, weigh_rows, weight_of
from .dense import dense_backward_data, dense_backward_weights, dense_forward
from .losses import clear_padding, loss_and_delta
from .simd import borrowed, matrix, padded
from .sizes import BLOCK_COLS, BLOCK_ROWS, GRAIN_COLS, ROW_BLOCK, TILE_ROWS
from .team import team_assemble, team_meet
from .updates import Terms, step_rates, sum_of_absolutes, sum_of_squares, transpose, update

LAYER = np.dtype(
    (
        np.record,
        [
            (name, np.int64)
            for name in (
                "n_in",
                "n_out",
                "activation",
                "w_start",  # weights: (w_rows, w_cols) in params, grads and optimiser state
                "w_rows",  # n_in, the bias, and a row for each kind of other parameters, one an output
                "w_cols",
                "t_start",  # transposed weights: (n_out, t_cols)
                "t_cols",
                "in_start",  # activations that come in: (capacity, in_cols); starts count rows of 1
                "in_cols",
                "out_start",  # activations that go out
                "out_cols",
                "d_start",  # delta: (capacity, d_cols)
                "d_cols",
                "p_start",  # sums over tiles: an entry for every TILE_ROWS x GRAIN_COLS weights
                # The rest is for the hooks, which see to the rows of this layer if:
                "kept",
                "function",  # activation by address
                "k_start",  # matrices kept from forward to backward: (capacity, w_cols) each
                "norm",
                "prelu",
                "residual",
                "s_start",  # statistics of a batch normalisation: see hooks/rows.py
                "column",  # of an embedding, which is the features' column; of a layer -1
                "place",  # of an embedding: where its vector begins among the first layer's inputs
            )
        ]
        + [(name, np.float64) for name in ("alpha", "dropout", "input_dropout")],
    )
)
# Places in the array of totals that a call reports through.
COST_SUM, SCORE_SUM, WEIGHT_SUM, STEPS_DONE, ROWS_DONE, FAILED, N_TOTALS = range(7)
NOT_FINITE, NOT_TOGETHER = 1, 2
# What weights_phase does with the gradient: use it at once, add it to the others of an update, use those.
AT_ONCE, COLLECT, USE = range(3)


class Network(NamedTuple):
    """What the kernels see of a network.

    The transposed weights are a copy: a step keeps them up, `transpose_weights` makes them anew.
    """

    layers: np.ndarray  # (n_layers + n_embeddings,) LAYER: first the layers
    n_layers: int
    columns: np.ndarray  # of each feature, its place among the inputs; -1 if embedded. Empty if none is.
    params: np.ndarray
    params_t: np.ndarray
    output: int  # activation of the output layer by code; the layer table has identity there
    running: np.ndarray  # running mean and variance of batch normalisations
    enter: int  # address of the hook that looks up embeddings
    finish: int  # address of the hook that ends the forward pass of a kept layer
    unwind: int  # and of the one that begins its backward pass
    sum_up: int  # and of the one that sums the gradient of other parameters than weights and biases
    sparse_forward: int  # of the hook that takes sparse rows through the first layer
    sparse_sort: int  # of the one that sorts their entries by feature
    sparse_gradient: int  # of the one that sums the gradient of the first layer's weights from them
    sparse_update: int  # of the one that updates the weights of features that the batch has, and no others
    together: bool  # whether the rows of a batch depend on each other
    seed: int  # of dropout


class Workspace(NamedTuple):
    """Buffers of one batch of at most `capacity` rows."""

    capacity: int
    activations: np.ndarray
    deltas: np.ndarray
    kept: np.ndarray
    row_scale: np.ndarray  # (n_layers * capacity,) of layer normalisations
    statistics: np.ndarray  # float64, of batch normalisations
    codes: np.ndarray  # (capacity, n_embeddings) int64: the categories of the rows
    y: np.ndarray  # (capacity, n_targets)
    entries: np.ndarray  # (2 * parts, entries of a batch) int64: those of sparse rows, and room to sort them
    values: np.ndarray  # of the same shape: what they hold
    counts: np.ndarray  # (parts, hooks.sparse.N_COUNTS) int64: of the sort
    row_loss: np.ndarray  # (capacity,) float64
    row_score: np.ndarray  # (capacity,) float64


class Data(NamedTuple):
    """Rows to train on or to score; what is not there has size 0."""

    x: np.ndarray  # (n, n_in), or (1, number of entries) if sparse
    labels: np.ndarray  # (n, n_labels) int32
    targets: np.ndarray  # (n, n_out)
    indices: np.ndarray  # (n,) int64
    weights: np.ndarray  # (n,) float64
    starts: np.ndarray  # (n + 1,) int64: where the entries of a sparse row begin
    columns: np.ndarray  # (number of entries,) int32


class Objective(NamedTuple):
    """The loss by code or by address, the factor it is scaled by, and its own numbers."""

    loss: int
    scale: float
    function: int
    numbers: np.ndarray


class Optimizer(NamedTuple):
    """Settings and state of the update, and what it keeps in between."""

    settings: np.ndarray  # (1,) updates.SETTINGS
    constants: np.ndarray  # float64: the optimiser's own numbers
    rates: np.ndarray  # (updates of an epoch, N_RATES) float64
    factors: np.ndarray  # (size of layers, 2) float64: on the learning rate, of weights and of the rest
    m: np.ndarray
    v: np.ndarray
    u: np.ndarray
    grad: np.ndarray  # (parts, size of a block): the gradient of the block of weights each part is at
    whole: np.ndarray  # (n_params,), or of size 0 if every block's gradient is used at once
    average: np.ndarray  # (n_params,) or of size 0: mean of the weights over steps
    penalty: np.ndarray  # (n_sums,) float64: penalty of the weights, tile by tile
    norms: np.ndarray  # (n_sums,) float64: squared gradient, tile by tile, if it is clipped by norm


class Turn(NamedTuple):
    """Who works on what batch, in which step: what hooks are told."""

    network: Network  # in compiled code, as the workspace, by pointer
    work: Workspace

    part: int
    n_parts: int
    team: np.ndarray
    step: int  # of training, from 1; 0 to predict
    n_rows: int  # of the batch
    learns: bool  # whether running statistics take note of the batch


def turn_type(network: Network, work: Workspace):
    """The numba type of a turn as hooks get it from compiled code."""
    kinds = [
        pointer_type(network),
        pointer_type(work),
        types.intp,
        types.intp,
        types.Array(types.int64, 1, "C"),
        types.intp,
        types.intp,
        types.boolean,
    ]
    return types.NamedTuple(kinds, Turn)  # type: ignore[attr-defined]


def pointer_type(value):
    """The numba type of what :func:`pointer_to` gives of it."""
    return types.CPointer(numba.typeof(value))


@jit(inline=True)
def weights_of(layer, flat):
    """Weights, bias and what stands below, (w_rows, w_cols), in a vector laid out as the parameters."""
    return matrix(flat, layer.w_start, layer.w_rows, layer.w_cols)


@jit(inline=True)
def _transposed(layer, network):
    return matrix(network.params_t, layer.t_start, layer.n_out, layer.t_cols)


@jit(inline=True)
def input_of(layer, work):
    """Activations that come in, (capacity, in_cols)."""
    return matrix(work.activations, layer.in_start * work.capacity, work.capacity, layer.in_cols)


@jit(inline=True)
def output_of(layer, work):
    """Activations that go out, (capacity, out_cols)."""
    return matrix(work.activations, layer.out_start * work.capacity, work.capacity, layer.out_cols)


@jit(inline=True)
def delta_of(layer, work):
    """Gradient of the cost with respect to z, (capacity, d_cols)."""
    return matrix(work.deltas, layer.d_start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def kept_matrix(layer, work, number):
    """One of the matrices that a kept layer has: (capacity, w_cols)."""
    start = layer.k_start + number * layer.w_cols
    return matrix(work.kept, start * work.capacity, work.capacity, layer.w_cols)


@jit(inline=True)
def _tiled(n):
    """`n` rows rounded up to whole tiles."""
    return (n + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@jit(inline=True)
def _share(part, n_parts, n):
    """Where the part's share of n things begins; the next part's share begins where it ends."""
    return part * n // n_parts


@jit(inline=True)
def enter_rows(network, work, data, turn, first, skip, r0, r1):
    """Rows r0 to r1 of the batch: features, embedded if need be, and targets; of sparse rows these only."""
    layer = network.layers[0]
    embeds, sparse = network.columns.size > 0, data.starts.size > 0
    n_in = 0 if embeds or sparse else layer.n_in
    gather(input_of(layer, work), work.y, data, first, skip, n_in, r0, r1)
    if embeds:
        call_at(network.enter, (turn, data.x, data.indices, first, r0, r1))
    if layer.input_dropout > 0 and turn.step > 0 and not sparse:
        call_at(network.finish, (turn, -1, r0, r1))


@jit(inline=True)
def forward_rows(network, work, data, sparse, turn, first, r0, r1):
    """Activations of every layer for rows r0 to r1 of the workspace; data are read only if sparse."""
    for depth in range(network.n_layers):
        layer = network.layers[depth]
        if sparse and depth == 0:
            call_at(network.sparse_forward, (turn, pointer_to(data), first, r0, r1))
        else:
            w = weights_of(layer, network.params)
            a_in, a_out = input_of(layer, work), output_of(layer, work)
            dense_forward(a_out, a_in, w, layer.activation, layer.n_in, layer.n_out, r0, r1)
        if layer.kept > 0:
            call_at(network.finish, (turn, depth, r0, r1))


@jit(inline=True)
def loss_rows(network, work, data, objective, first, total, r0, r1):
    """Loss, score and output delta for rows r0 to r1 of a batch whose rows weigh `total`."""
    layer = network.layers[network.n_layers - 1]
    delta, z = delta_of(layer, work), output_of(layer, work)
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


@jit(inline=True)
def backward_rows(network, work, turn, r0, r1):
    """Deltas of every layer but the last, for rows r0 to r1."""
    for depth in range(network.n_layers - 1, 0, -1):
        layer, before = network.layers[depth], network.layers[depth - 1]
        dense_backward_data(
            delta_of(before, work),
            delta_of(layer, work),
            _transposed(layer, network),
            input_of(layer, work),
            before.activation,
            layer.n_in,
            layer.n_out,
            r0,
            r1,
        )
        if before.kept > 0:
            call_at(network.unwind, (turn, depth - 1, r0, r1))
    if network.columns.size > 0:
        layer, inputs = network.layers[0], network.layers[network.n_layers]
        delta_in, delta = delta_of(inputs, work), delta_of(layer, work)
        w_t, a_in = _transposed(layer, network), input_of(layer, work)
        dense_backward_data(delta_in, delta, w_t, a_in, inputs.activation, layer.n_in, layer.n_out, r0, r1)
        if layer.input_dropout > 0 or layer.residual > 0:
            call_at(network.unwind, (turn, -1, r0, r1))


@jit(inline=True)
def rows_phase(turn, network, work, data, objective, first, total):
    """The part's rows of the batch, through the network and back; rows of the batch weigh `total`."""
    part, n_parts, n_rows = turn.part, turn.n_parts, turn.n_rows
    n_tiles = (n_rows + TILE_ROWS - 1) // TILE_ROWS
    row = begin = _share(part, n_parts, n_tiles) * TILE_ROWS
    end = min(n_rows, _share(part + 1, n_parts, n_tiles) * TILE_ROWS)
    # Rows that depend on each other go through all at once: a part meets the others at every such layer,
    # even if it has no rows itself.
    block = max(n_rows, 1) if network.together else ROW_BLOCK
    sparse = data.starts.size > 0
    goes_on = row < end or network.together
    while goes_on:
        # The blocks that are left share the rows that are left: each reads all the weights, so that a
        # small last one would cost as much as a full one.
        n_left = max(1, (end - row + block - 1) // block)
        stop = max(row, min(end, row + _tiled((end - row + n_left - 1) // n_left)))
        skip = n_rows - end + begin if stop == end else 0
        enter_rows(network, work, data, turn, first, skip, row, stop)
        forward_rows(network, work, data, sparse, turn, first, row, stop)
        loss_rows(network, work, data, objective, first, total, row, stop)
        backward_rows(network, work, turn, row, stop)
        row = stop
        goes_on = row < end


@jit(inline=True)
def _cut(place, size, n, grain):
    """The multiple of `grain`, or n, that divides n things as `place` divides `size`."""
    grains = (n + grain - 1) // grain
    place = min(max(place, 0), size)
    return min(n, (place * grains + size // 2) // size * grain)


@jit(inline=True)
def _weights_share(part, n_parts, network, layer):
    """Rows i0 to i1 and columns o0 to o1 of the layer's weights are the part's.

    Each part owns an equal share of the parameter vector, cut where tiles end: a range of rows of the
    layers it reaches into, or of columns where a layer has few rows.
    """
    n_rows, n_cols = layer.w_rows, layer.w_cols
    size = n_rows * n_cols
    begin = _share(part, n_parts, network.params.size) - layer.w_start
    end = _share(part + 1, n_parts, network.params.size) - layer.w_start
    if n_rows * GRAIN_COLS >= n_cols * TILE_ROWS:
        return _cut(begin, size, n_rows, TILE_ROWS), _cut(end, size, n_rows, TILE_ROWS), 0, n_cols
    return 0, n_rows, _cut(begin, size, n_cols, GRAIN_COLS), _cut(end, size, n_cols, GRAIN_COLS)


@jit
def _sum_tiles(sums, layer, w, n_rows, l2, l1, i0, i1, o0, o1):
    """``l2 / 2 sum(w ** 2) + l1 sum(|w|)`` over the rows below n_rows, of each tile to its place."""
    per_row = (layer.w_cols + GRAIN_COLS - 1) // GRAIN_COLS
    for i in range(i0, i1, TILE_ROWS):
        stop = min(n_rows, min(i1, i + TILE_ROWS))
        for o in range(o0, o1, GRAIN_COLS):
            o_stop = min(padded(layer.n_out), min(o1, o + GRAIN_COLS))
            place = layer.p_start + i // TILE_ROWS * per_row + o // GRAIN_COLS
            sums[place] = 0.5 * l2 * sum_of_squares(w, i, stop, o, o_stop)
            if l1 > 0:
                sums[place] += l1 * sum_of_absolutes(w, i, stop, o, o_stop)


@jit(inline=True)
def _update_block(layer, depth, network, optimizer, grad_start, rates, index, l2, l1, i0, i1, o0, o1):
    """Update a block of one layer's weights with its gradient; only weights bear a penalty."""
    n_rows, n_cols, i_bias = layer.w_rows, layer.w_cols, max(i0, min(i1, layer.n_in))
    if o1 - o0 == n_cols:  # rows that follow each other in memory: one long row
        shift = i0 * n_cols
        o0, o_bias, o1 = shift, i_bias * n_cols, i1 * n_cols
        n_rows, n_cols = 1, n_rows * n_cols
        grad_rows, grad_cols = n_rows, n_cols
        i0, i_weights, i_bias, i1 = 0, 1, 0, 1
        o_weights = o_bias
    else:
        grad_rows, grad_cols = i1, o1 - o0
        shift = i0 * grad_cols + o0
        i_weights, o_bias, o_weights = i_bias, o0, o1
    start = layer.w_start
    g = matrix(optimizer.grad, grad_start - shift, grad_rows, grad_cols)
    w, m = matrix(network.params, start, n_rows, n_cols), matrix(optimizer.m, start, n_rows, n_cols)
    v, u = matrix(optimizer.v, start, n_rows, n_cols), matrix(optimizer.u, start, n_rows, n_cols)
    settings = optimizer.settings[0]
    if settings.update == 0:
        update(w, g, m, v, rates, l2, i0, i_weights, o0, o_weights)
        update(w, g, m, v, rates, 0.0, i_bias, i1, o_bias, o1)
    else:
        of_weights = optimizer.factors[depth, 0], l2, l1, settings.decay
        of_rest = optimizer.factors[depth, 1], 0.0, 0.0, 0.0
        row = optimizer.rates[index]
        update_at(settings, optimizer, row, w, g, m, v, u, of_weights, i0, i_weights, o0, o_weights)
        update_at(settings, optimizer, row, w, g, m, v, u, of_rest, i_bias, i1, o_bias, o1)


@jit
def update_at(settings, optimizer, row, w, g, m, v, u, numbers, i0, i1, o0, o1):
    """Update ``w[i0:i1, o0:o1]`` by the kernel whose address stands in the settings."""
    factor, l2, l1, decay = numbers
    number = w.dtype.type
    terms = Terms(
        scale=number(1),
        limit=number(settings.limit),
        l2=number(l2),
        l1=number(l1),
        rate=number(factor),
        decay=number(decay),
    )
    call_at(settings.update, (w, g, m, v, u, optimizer.constants, row, terms, i0, i1, o0, o1))


@jit
def _collect(whole, grad_w, fresh, i0, i1, o0, o1):
    """Write a block of the gradient into the whole, or add it."""
    for i in span(i0, i1):
        for o in span(o0, o1):
            whole[i, o] = grad_w[i, o] if fresh else whole[i, o] + grad_w[i, o]


@jit
def _use(grad_w, whole, scale, i0, i1, o0, o1):
    """A block of the whole gradient, scaled."""
    scale = grad_w.dtype.type(scale)
    for i in span(i0, i1):
        for o in span(o0, o1):
            grad_w[i, o] = whole[i, o] * scale


@jit(inline=True)
def weights_phase(turn, network, work, data, optimizer, first, index, total, mode, fresh, scale):
    """Gradient and update of the part's weights, and the transposed copy of them, block by block.

    first : where the batch begins in the order of the data
    index : the row of the optimiser's rates
    total : what the rows weigh that the update is for
    mode : AT_ONCE for all of it, COLLECT for the gradient only, USE for the rest
    fresh : whether COLLECT begins anew
    scale : factor on the gradient of USE
    """
    settings = optimizer.settings[0]
    rates = step_rates(settings, optimizer.rates, index, network.params)
    l2, l1 = settings.l2 / total, settings.l1 / total
    grad_start = turn.part * optimizer.grad.shape[1]
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        i_begin, i_end, o_begin, o_end = _weights_share(turn.part, turn.n_parts, network, layer)
        sparse = depth == 0 and data.starts.size > 0
        i_middle = i_begin
        if sparse and mode != USE:
            call_at(network.sparse_sort, (turn, pointer_to(data), first, i_begin, i_end))
            if settings.skip > 0:
                i_middle = max(i_begin, min(i_end, layer.n_in))
        w, a_in, delta = weights_of(layer, network.params), input_of(layer, work), delta_of(layer, work)
        whole = weights_of(layer, optimizer.whole)
        for i0 in range(i_middle, i_end, BLOCK_ROWS):
            i1 = min(i_end, i0 + BLOCK_ROWS)
            for o0 in range(o_begin, o_end, BLOCK_COLS):
                o1 = min(o_end, o0 + BLOCK_COLS)
                n_cols = o1 - o0
                # a matrix of which [i0, o0] is the first element
                grad_w = matrix(optimizer.grad, grad_start - i0 * n_cols - o0, i1, n_cols)
                if mode == USE:
                    _use(grad_w, whole, scale, i0, i1, o0, o1)
                else:
                    stop = min(i1, layer.n_in + 1) if layer.column < 0 else i0
                    if sparse:
                        call_at(network.sparse_gradient, (grad_w, turn, i0, stop, o0, o1))
                    else:
                        dense_backward_weights(grad_w, a_in, delta, turn.n_rows, i0, stop, o0, o1)
                    if i1 > stop:
                        call_at(network.sum_up, (grad_w, turn, depth, i0, i1, o0, o1))
                if mode == COLLECT:
                    _collect(whole, grad_w, fresh, i0, i1, o0, o1)
                    if settings.clip_norm > 0:
                        _sum_tiles(optimizer.norms, layer, whole, layer.w_rows, 2.0, 0.0, i0, i1, o0, o1)
                else:
                    if l2 + l1 > 0:
                        _sum_tiles(optimizer.penalty, layer, w, layer.n_in, l2, l1, i0, i1, o0, o1)
                    _update_block(
                        layer, depth, network, optimizer, grad_start, rates, index, l2, l1, i0, i1, o0, o1
                    )
                    if layer.t_cols > 0:
                        w_t = _transposed(layer, network)
                        transpose(w_t, w, i0, max(i0, min(i1, layer.n_in)), o0, min(o1, layer.n_out))
        if i_middle > i_begin:
            call_at(
                network.sparse_update, (turn, optimizer, index, l2, l1, i_begin, i_middle, o_begin, o_end)
            )


@jit(inline=True)
def _clip_factor(optimizer):
    """What brings the norm of the whole gradient down to its limit; every part adds up the same sums."""
    limit = optimizer.settings[0].clip_norm
    if limit == 0:
        return 1.0
    return min(1.0, limit / (math.sqrt(optimizer.norms.sum()) + 1e-6))


@jit
def train_part(part, n_parts, team, network, work, data, objective, optimizer, plan, totals):
    """Train on ``indices[first : first + n_rows]`` in batches: what one part of n_parts does of it.

    plan : (first, n_rows, batch_size, step), the last counting batches from 1
    totals : (N_TOTALS,) float64 (in, out): sums over what was done are added, by part 0
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, optimizer = borrowed(objective), borrowed(optimizer)
    team, totals = borrowed(team), borrowed(totals)
    network_at, work_at = pointer_to(network), pointer_to(work)
    first, n_rows, batch_size, step = plan
    settings = optimizer.settings[0]
    if not team_assemble(team, n_parts):
        totals[FAILED] = NOT_TOGETHER
        return
    end = first + n_rows
    while first < end:
        n = min(batch_size, end - first)
        # The update is for this batch, or for a group of them.
        begin, stop = first, first + n
        if settings.every > 1:
            begin = first // (batch_size * settings.every) * batch_size * settings.every
            stop = min(data.indices.size, begin + batch_size * settings.every)
        index = first // (batch_size * settings.every)
        total = weight_of(data, begin, stop)
        turn = Turn(network_at, work_at, part, n_parts, team, step, n, np.bool_(True))
        rows_phase(turn, network, work, data, objective, first, total)
        team_meet(team, n_parts)
        # Every part adds up the losses, so that all take the same decision without another barrier.
        cost = score = 0.0
        for r in range(n):
            cost += work.row_loss[r]
            score += work.row_score[r]
        if not np.isfinite(cost):
            if part == 0:
                totals[FAILED] = NOT_FINITE
            return
        if part == 0:
            weight = weight_of(data, first, first + n)
            totals[COST_SUM] += cost * (n / weight)
            totals[SCORE_SUM] += score
            totals[WEIGHT_SUM] += weight
            totals[STEPS_DONE] += 1
            totals[ROWS_DONE] += n
        updates = first + n == stop
        mode, scale = COLLECT if optimizer.whole.size > 0 else AT_ONCE, 1.0
        goes_on = True
        while goes_on:
            fresh = first == begin
            weights_phase(turn, network, work, data, optimizer, first, index, total, mode, fresh, scale)
            goes_on = mode == COLLECT and updates
            if goes_on:
                team_meet(team, n_parts)
                mode, scale = USE, _clip_factor(optimizer)
        if updates and settings.after != 0:
            team_meet(team, n_parts)
            call_at(settings.after, (turn, optimizer))
        team_meet(team, n_parts)
        if part == 0 and updates and settings.l2 + settings.l1 > 0:
            # The totals weigh a batch's cost by its rows.
            totals[COST_SUM] += optimizer.penalty.sum() * (stop - begin)
        step += 1
        first += n


@jit
def transpose_weights(network):
    """Bring the transposed weights in line with the parameters, which others than a step may have written."""
    for depth in range(network.n_layers):
        layer = network.layers[depth]
        w_t, w = _transposed(layer, network), weights_of(layer, network.params)
        if layer.t_cols > 0:
            transpose(w_t, w, np.intp(0), layer.n_in, np.intp(0), layer.n_out)


@jit
def gradient(grads, network, work, data, objective, n_rows):
    """Forward, loss and gradient of the first n_rows of the data; returns the cost.

    grads : (n_params,) (out), laid out as the parameters; padding columns are written as 0
    Rows are dropped out and normalised as in the first step of a training.
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, grads = borrowed(objective), borrowed(grads)
    turn = Turn(pointer_to(network), pointer_to(work), 0, 1, no_words(), 1, n_rows, np.bool_(False))
    total = weight_of(data, 0, n_rows)
    rows_phase(turn, network, work, data, objective, 0, total)
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        grad_w, a_in, delta = weights_of(layer, grads), input_of(layer, work), delta_of(layer, work)
        n_cols = padded(layer.n_out)
        stop = layer.n_in + 1 if layer.column < 0 else 0
        if depth == 0 and data.starts.size > 0:
            call_at(network.sparse_sort, (turn, pointer_to(data), 0, 0, layer.w_rows))
            call_at(network.sparse_gradient, (grad_w, turn, 0, stop, 0, n_cols))
        else:
            dense_backward_weights(grad_w, a_in, delta, n_rows, 0, stop, 0, n_cols)
        if layer.w_rows > stop:
            call_at(network.sum_up, (grad_w, turn, depth, 0, layer.w_rows, 0, n_cols))
    return work.row_loss[:n_rows].sum() / total


@jit
def score_part(part, n_parts, losses, scores, network, work, data, objective):
    """Loss and score of rows of the data, every one or those of its indices: the blocks of one part.

    losses, scores : (n,) float64 (out): see loss_and_delta
    Each part works in rows of its own of the workspace.
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, losses, scores = borrowed(objective), borrowed(losses), borrowed(scores)
    n_rows = losses.size
    block = work.capacity // n_parts
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    where = pointer_to(network), pointer_to(work)
    turn = Turn(where[0], where[1], part, n_parts, no_words(), 0, n_rows, np.bool_(False))
    for b in range(_share(part, n_parts, n_blocks), _share(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        enter_rows(network, work, data, turn, first - own, 0, own, own + n)
        forward_rows(network, work, data, data.starts.size > 0, turn, first - own, own, own + n)
        loss_rows(network, work, data, objective, first - own, float(n_rows), own, own + n)
        for r in range(n):
            losses[first + r] = work.row_loss[own + r]
            scores[first + r] = work.row_score[own + r]


@jit(inline=True)
def _predict(part, n_parts, out, x, data, sparse, network, work):
    """The network's activated outputs for the rows of x, or of data if sparse: the blocks of one part."""
    n_rows, n_in = out.shape[0], x.shape[1]
    block = min(ROW_BLOCK, work.capacity // n_parts)
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    layers = network.layers
    last = layers[network.n_layers - 1]
    a_in, a_out = input_of(layers[0], work), output_of(last, work)
    where = pointer_to(network), pointer_to(work)
    turn = Turn(where[0], where[1], part, n_parts, no_words(), 0, n_rows, np.bool_(False))
    for b in range(_share(part, n_parts, n_blocks), _share(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        if network.columns.size > 0:
            call_at(network.enter, (turn, x, no_words(), first - own, own, own + n))
        elif not sparse:
            for r in span(0, n):
                for i in span(0, n_in):
                    a_in[own + np.int64(r), i] = x[first + np.int64(r), i]
                a_in[own + np.int64(r), n_in] = 1
        forward_rows(network, work, data, sparse, turn, first - own, own, own + n)
        activate_output(a_out, work.row_loss, work.row_score, network.output, last.n_out, own, own + n)
        for r in span(0, n):
            for o in span(0, last.n_out):
                out[first + np.int64(r), o] = a_out[own + np.int64(r), o]


@jit
def predict_part(part, n_parts, out, x, layers, params, output, activations, row_total, row_largest):
    """The activated outputs of a network that no hook sees to, for the rows of x.

    out : (n, n_out) (out)
    x : (n, n_in)
    activations, row_total, row_largest : the workspace, for as many rows as the last two have
    Takes arrays one by one, for a call from Python to cost as little as it can. Each part works in rows of
    its own of the workspace.
    """
    out, x, layers, params = borrowed(out), borrowed(x), borrowed(layers), borrowed(params)
    a, of_rows, row_largest = borrowed(activations), borrowed(row_total), borrowed(row_largest)
    none, no, codes = no_words(), np.bool_(False), no_codes()
    network = Network(
        layers, layers.size, none, params, params, output, params, 0, 0, 0, 0, 0, 0, 0, 0, no, 0
    )
    work = Workspace(of_rows.size, a, a, a, a, of_rows, codes, out, codes, out, codes, of_rows, row_largest)
    _predict(part, n_parts, out, x, x, no, network, work)


@jit
def predict_kept_part(part, n_parts, out, x, network, work):
    """The activated outputs of any network; arguments as of :func:`predict_part`."""
    out, x, network, work = borrowed(out), borrowed(x), borrowed(network), borrowed(work)
    _predict(part, n_parts, out, x, x, np.bool_(False), network, work)


@jit
def predict_sparse_part(part, n_parts, out, data, network, work):
    """The activated outputs of any network for sparse rows; arguments as of :func:`predict_part`."""
    out, data, network, work = borrowed(out), borrowed(data), borrowed(network), borrowed(work)
    _predict(part, n_parts, out, data.x, data, np.bool_(True), network, work)
