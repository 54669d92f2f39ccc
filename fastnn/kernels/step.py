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

from typing import NamedTuple

import numpy as np

from .._jit import jit, span
from .._tuning import BLOCK_COLS, BLOCK_ROWS, GRAIN_COLS, ROW_BLOCK, TILE_ROWS
from .activations import activate_output
from .batches import gather
from .dense import dense_backward_data, dense_backward_weights, dense_forward
from .losses import loss_and_delta
from .simd import matrix, padded
from .team import team_assemble, team_meet
from .updates import step_rates, sum_of_squares, transpose, update

LAYER = np.dtype(
    (
        np.record,
        [
            (name, np.int64)
            for name in (
                "n_in",
                "n_out",
                "activation",
                "w_start",  # weights: (n_in + 1, w_cols) in params, grads and optimiser state
                "w_cols",
                "t_start",  # transposed weights: (n_out, t_cols)
                "t_cols",
                "in_start",  # activations that come in: (capacity, in_cols); starts count rows of 1
                "in_cols",
                "out_start",  # activations that go out
                "out_cols",
                "d_start",  # delta: (capacity, d_cols)
                "d_cols",
                "p_start",  # penalty: an entry for every TILE_ROWS x GRAIN_COLS weights
            )
        ],
    )
)
# Places in the array of totals that a call reports through.
COST_SUM, SCORE_SUM, STEPS_DONE, ROWS_DONE, FAILED, N_TOTALS = range(6)
NOT_FINITE, NOT_TOGETHER = 1, 2


class Network(NamedTuple):
    """What the kernels see of a network.

    The transposed weights are a copy: a step keeps them up, `transpose_weights` makes them anew.
    """

    layers: np.ndarray  # (n_layers,) LAYER
    params: np.ndarray
    params_t: np.ndarray
    output: int  # activation of the output layer by code; the layer table has identity there


class Workspace(NamedTuple):
    """Buffers of one batch of at most `capacity` rows."""

    capacity: int
    activations: np.ndarray
    deltas: np.ndarray
    y: np.ndarray  # (capacity, n_targets)
    row_loss: np.ndarray  # (capacity,) float64
    row_score: np.ndarray  # (capacity,) float64


class Data(NamedTuple):
    """Rows to train on or to score; the empty ones of labels, targets and indices have size 0."""

    x: np.ndarray  # (n, n_in)
    labels: np.ndarray  # (n, n_labels) int32
    targets: np.ndarray  # (n, n_out)
    indices: np.ndarray  # (n,) int64


class Objective(NamedTuple):
    """The loss by code, and the factor it is scaled by."""

    loss: int
    scale: float


class Optimizer(NamedTuple):
    """Settings and state of the update, and what it keeps in between."""

    settings: np.ndarray  # (1,) updates.SETTINGS
    m: np.ndarray
    v: np.ndarray
    grad: np.ndarray  # (parts, size of a block): the gradient of the block of weights each part is at
    penalty: np.ndarray  # (n_penalties,) float64: sums of squared weights


@jit(inline=True)
def _weights(layer, flat):
    return matrix(flat, layer.w_start, layer.n_in + 1, layer.w_cols)


@jit(inline=True)
def _transposed(layer, network):
    return matrix(network.params_t, layer.t_start, layer.n_out, layer.t_cols)


@jit(inline=True)
def _input(layer, work):
    return matrix(work.activations, layer.in_start * work.capacity, work.capacity, layer.in_cols)


@jit(inline=True)
def _output(layer, work):
    return matrix(work.activations, layer.out_start * work.capacity, work.capacity, layer.out_cols)


@jit(inline=True)
def _delta(layer, work):
    return matrix(work.deltas, layer.d_start * work.capacity, work.capacity, layer.d_cols)


@jit(inline=True)
def _tiled(n):
    """`n` rows rounded up to whole tiles."""
    return (n + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS


@jit(inline=True)
def _share(part, n_parts, n):
    """Where the part's share of n things begins; the next part's share begins where it ends."""
    return part * n // n_parts


@jit(inline=True)
def forward_rows(network, work, r0, r1):
    """Activations of every layer for rows r0 to r1 of the workspace."""
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        w = _weights(layer, network.params)
        a_in, a_out = _input(layer, work), _output(layer, work)
        dense_forward(a_out, a_in, w, layer.activation, layer.n_out, r0, r1)


@jit(inline=True)
def loss_rows(network, work, objective, n_rows, r0, r1):
    """Loss, score and output delta for rows r0 to r1 of a batch of n_rows."""
    layer = network.layers[network.layers.size - 1]
    loss_and_delta(
        work.row_loss,
        work.row_score,
        _delta(layer, work),
        _output(layer, work),
        work.y,
        objective.loss,
        objective.scale,
        1 / n_rows,
        network.output,
        layer.n_out,
        r0,
        r1,
    )


@jit(inline=True)
def backward_rows(network, work, r0, r1):
    """Deltas of every layer but the last, for rows r0 to r1."""
    for depth in range(network.layers.size - 1, 0, -1):
        layer, before = network.layers[depth], network.layers[depth - 1]
        dense_backward_data(
            _delta(before, work),
            _delta(layer, work),
            _transposed(layer, network),
            _input(layer, work),
            before.activation,
            layer.n_in,
            layer.n_out,
            r0,
            r1,
        )


@jit(inline=True)
def rows_phase(part, n_parts, network, work, data, objective, first, n_rows):
    """The part's rows of the batch, through the network and back."""
    n_tiles = (n_rows + TILE_ROWS - 1) // TILE_ROWS
    row = begin = _share(part, n_parts, n_tiles) * TILE_ROWS
    end = min(n_rows, _share(part + 1, n_parts, n_tiles) * TILE_ROWS)
    entry = network.layers[0]
    while row < end:
        # The blocks that are left share the rows that are left: each reads all the weights, so that a
        # small last one would cost as much as a full one.
        n_left = (end - row + ROW_BLOCK - 1) // ROW_BLOCK
        stop = min(end, row + _tiled((end - row + n_left - 1) // n_left))
        skip = n_rows - end + begin if stop == end else 0
        gather(_input(entry, work), work.y, data, first, skip, entry.n_in, row, stop)
        forward_rows(network, work, row, stop)
        loss_rows(network, work, objective, n_rows, row, stop)
        backward_rows(network, work, row, stop)
        row = stop


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
    n_rows, n_cols = layer.n_in + 1, layer.w_cols
    size = n_rows * n_cols
    begin = _share(part, n_parts, network.params.size) - layer.w_start
    end = _share(part + 1, n_parts, network.params.size) - layer.w_start
    if n_rows * GRAIN_COLS >= n_cols * TILE_ROWS:
        return _cut(begin, size, n_rows, TILE_ROWS), _cut(end, size, n_rows, TILE_ROWS), 0, n_cols
    return 0, n_rows, _cut(begin, size, n_cols, GRAIN_COLS), _cut(end, size, n_cols, GRAIN_COLS)


@jit
def _penalty(penalty, layer, w, i0, i1, o0, o1):
    """Sums of squares of the weights in whole tiles and grains, each to its place."""
    per_row = (layer.w_cols + GRAIN_COLS - 1) // GRAIN_COLS
    for i in range(i0, i1, TILE_ROWS):
        for o in range(o0, o1, GRAIN_COLS):
            place = layer.p_start + i // TILE_ROWS * per_row + o // GRAIN_COLS
            penalty[place] = sum_of_squares(w, i, min(i1, i + TILE_ROWS), o, min(o1, o + GRAIN_COLS))


@jit(inline=True)
def _update_block(layer, network, optimizer, grad_start, rates, decay, i0, i1, o0, o1):
    """Update a block of one layer's weights with its gradient; the bias's row is not decayed."""
    params, m, v, grad = network.params, optimizer.m, optimizer.v, optimizer.grad
    n_rows, n_cols = layer.n_in + 1, layer.w_cols
    i_bias = min(i1, layer.n_in)
    if o1 - o0 == n_cols:  # rows that follow each other in memory: one long row
        start, first, n = layer.w_start, i0 * n_cols, n_rows * n_cols
        w, g = matrix(params, start, 1, n), matrix(grad, grad_start - first, 1, n)
        m, v = matrix(m, start, 1, n), matrix(v, start, 1, n)
        row, end = np.intp(0), np.intp(1)  # bare numbers would be types of their own, with code of their own
        update(w, g, m, v, rates, decay, row, end, first, i_bias * n_cols)
        if i_bias < i1:
            update(w, g, m, v, rates, 0.0, row, end, i_bias * n_cols, i1 * n_cols)
    else:
        w, g = _weights(layer, params), _block_gradient(optimizer, grad_start, i0, o0, o1)
        m, v = _weights(layer, m), _weights(layer, v)
        update(w, g, m, v, rates, decay, i0, i_bias, o0, o1)
        if i_bias < i1:
            update(w, g, m, v, rates, 0.0, i_bias, i1, o0, o1)


@jit(inline=True)
def _block_gradient(optimizer, grad_start, i0, o0, o1):
    """The gradient of a block, in a matrix where ``[i0, o0]`` is its first element."""
    n_cols = o1 - o0
    return matrix(optimizer.grad, grad_start - i0 * n_cols - o0, i0 + BLOCK_ROWS, n_cols)


@jit(inline=True)
def weights_phase(part, n_parts, network, work, optimizer, step, n_rows):
    """Gradient and update of the part's weights, and the transposed copy of them, block by block."""
    settings = optimizer.settings[0]
    rates = step_rates(settings, step, network.params)
    decay = settings.l2 / n_rows
    grad_start = part * optimizer.grad.shape[1]
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        i_begin, i_end, o_begin, o_end = _weights_share(part, n_parts, network, layer)
        w, a_in, delta = _weights(layer, network.params), _input(layer, work), _delta(layer, work)
        for i0 in range(i_begin, i_end, BLOCK_ROWS):
            i1 = min(i_end, i0 + BLOCK_ROWS)
            for o0 in range(o_begin, o_end, BLOCK_COLS):
                o1 = min(o_end, o0 + BLOCK_COLS)
                grad_w = _block_gradient(optimizer, grad_start, i0, o0, o1)
                dense_backward_weights(grad_w, a_in, delta, n_rows, i0, i1, o0, o1)
                if decay > 0:
                    _penalty(optimizer.penalty, layer, w, i0, min(i1, layer.n_in), o0, o1)
                _update_block(layer, network, optimizer, grad_start, rates, decay, i0, i1, o0, o1)
                if depth > 0:
                    w_t = _transposed(layer, network)
                    transpose(w_t, w, i0, min(i1, layer.n_in), o0, min(o1, layer.n_out))


@jit
def train_part(part, n_parts, team, network, work, data, objective, optimizer, plan, totals):
    """Train on ``indices[first : first + n_rows]`` in batches: what one part of n_parts does of it.

    plan : (first, n_rows, batch_size, step), the last counting updates from 1
    totals : (N_TOTALS,) float64 (in, out): sums over what was done are added, by part 0
    """
    first, n_rows, batch_size, step = plan
    if not team_assemble(team, n_parts):
        totals[FAILED] = NOT_TOGETHER
        return
    end = first + n_rows
    while first < end:
        n = min(batch_size, end - first)
        rows_phase(part, n_parts, network, work, data, objective, first, n)
        team_meet(team, n_parts)
        # Every part adds up the losses, so that all take the same decision without another barrier.
        cost = work.row_loss[:n].sum()
        if not np.isfinite(cost):
            if part == 0:
                totals[FAILED] = NOT_FINITE
            return
        if part == 0:
            totals[COST_SUM] += cost
            totals[SCORE_SUM] += work.row_score[:n].sum()
            totals[STEPS_DONE] += 1
            totals[ROWS_DONE] += n
        weights_phase(part, n_parts, network, work, optimizer, step, n)
        team_meet(team, n_parts)
        if part == 0 and optimizer.settings[0].l2 > 0:
            # The penalty of one batch is l2 / 2n sum(w ** 2); the totals weigh it by its n rows.
            totals[COST_SUM] += 0.5 * optimizer.settings[0].l2 * optimizer.penalty.sum()
        step += 1
        first += n


@jit
def transpose_weights(network):
    """Bring the transposed weights in line with the parameters, which others than a step may have written."""
    for depth in range(1, network.layers.size):
        layer = network.layers[depth]
        w_t, w = _transposed(layer, network), _weights(layer, network.params)
        transpose(w_t, w, np.intp(0), layer.n_in, np.intp(0), layer.n_out)


@jit
def gradient(grads, network, work, data, objective, n_rows):
    """Forward, loss and gradient of the first n_rows of the data; returns the cost.

    grads : (n_params,) (out), laid out as the parameters; padding columns are written as 0
    """
    rows_phase(0, 1, network, work, data, objective, 0, n_rows)
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        grad_w, a_in, delta = _weights(layer, grads), _input(layer, work), _delta(layer, work)
        dense_backward_weights(grad_w, a_in, delta, n_rows, 0, layer.n_in + 1, 0, padded(layer.n_out))
    return work.row_loss[:n_rows].sum() / n_rows


@jit
def score_part(part, n_parts, losses, scores, network, work, data, objective):
    """Loss and score of rows of the data, every one or those of its indices: the blocks of one part.

    losses, scores : (n,) float64 (out): see loss_and_delta
    Each part works in rows of its own of the workspace.
    """
    n_rows = losses.size
    block = work.capacity // n_parts
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    entry = network.layers[0]
    for b in range(_share(part, n_parts, n_blocks), _share(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        gather(_input(entry, work), work.y, data, first - own, 0, entry.n_in, own, own + n)
        forward_rows(network, work, own, own + n)
        loss_rows(network, work, objective, n_rows, own, own + n)
        for r in range(n):
            losses[first + r] = work.row_loss[own + r]
            scores[first + r] = work.row_score[own + r]


@jit
def predict_part(part, n_parts, out, x, layers, params, output, activations, row_total, row_largest):
    """The network's activated outputs for the rows of x: the blocks of rows of one part.

    out : (n, n_out) (out)
    x : (n, n_in)
    activations, row_total, row_largest : the workspace, for as many rows as the last two have
    Takes arrays one by one, for a call from Python to cost as little as it can. Each part works in rows of
    its own of the workspace.
    """
    n_rows, n_in = x.shape
    capacity = row_total.size
    network = Network(layers, params, params, output)
    work = Workspace(capacity, activations, activations, out, row_total, row_largest)
    block = min(ROW_BLOCK, capacity // n_parts)
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    last = layers[layers.size - 1]
    a_in, a_out = _input(layers[0], work), _output(last, work)
    for b in range(_share(part, n_parts, n_blocks), _share(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        for r in span(0, n):
            for i in span(0, n_in):
                a_in[own + np.int64(r), i] = x[first + np.int64(r), i]
            a_in[own + np.int64(r), n_in] = 1
        forward_rows(network, work, own, own + n)
        activate_output(a_out, row_total, row_largest, output, last.n_out, own, own + n)
        for r in span(0, n):
            for o in span(0, last.n_out):
                out[first + np.int64(r), o] = a_out[own + np.int64(r), o]
