"""The second phase of a training step: gradient and update of the weights of all layers.

Parallel over weights: every part takes its share of the parameter vector, block by block, and computes the
gradient of a block, updates it, and renews its panels while all of it is in L2.
"""

from __future__ import annotations

import math

from .._jit import jit, span
from .address import call_at, pointer_to
from .batches import copy_to_panels
from .dense import dense_backward_weights
from .records import delta_of, input_of, panels_of, sum_index, transposed_of, weights_of
from .simd import matrix, padded
from .sizes import BLOCK_COLS, GRAIN_COLS, PAD
from .team import share_start
from .updates import step_rates, sum_of_absolutes, sum_of_squares, transpose, update, update_at

# What weights_phase does with the gradient: use it at once; add it to the gradient of the whole update; use
# that gradient.
AT_ONCE, COLLECT, USE = range(3)


@jit(inline=True)
def _cut(place, size, n, grain):
    """The multiple of `grain`, or n, that divides n things as `place` divides `size`."""
    grains = (n + grain - 1) // grain
    place = min(max(place, 0), size)
    return min(n, (place * grains + size // 2) // size * grain)


@jit(inline=True)
def _weights_share(part, n_parts, network, layer):
    """Rows i0 to i1 and columns o0 to o1 of the layer's weights that the part owns.

    Every part owns an equal share of the parameter vector, cut where tiles end: a range of rows of the
    layers that it reaches into, or of columns where a layer has few rows.
    """
    n_rows, n_cols, size = layer.w_rows, padded(layer.n_out), layer.w_rows * layer.w_cols
    begin = share_start(part, n_parts, network.params.size) - layer.w_start
    end = share_start(part + 1, n_parts, network.params.size) - layer.w_start
    if n_rows * GRAIN_COLS >= n_cols * PAD:
        return _cut(begin, size, n_rows, PAD), _cut(end, size, n_rows, PAD), 0, n_cols
    return 0, n_rows, _cut(begin, size, n_cols, GRAIN_COLS), _cut(end, size, n_cols, GRAIN_COLS)


@jit
def _sum_tiles(sums, layer, w, n_rows, l2, l1, i0, i1, o0, o1):
    """``l2 / 2 sum(w ** 2) + l1 sum(|w|)`` of every tile, over rows below n_rows.

    sums : (n_sums,) float64 (out)
    w : (>= i1, >= o1)
    """
    for tile in range(i0 // PAD * PAD, i1, PAD):  # lazy steps begin at the bias, within a tile
        i, stop = max(i0, tile), min(n_rows, min(i1, tile + PAD))
        for o in range(o0, o1, GRAIN_COLS):
            o_stop = min(padded(layer.n_out), min(o1, o + GRAIN_COLS))
            index = sum_index(layer, i, o)
            sums[index] = 0.5 * l2 * sum_of_squares(w, i, stop, o, o_stop)
            if l1 > 0:
                sums[index] += l1 * sum_of_absolutes(w, i, stop, o, o_stop)


@jit(inline=True)
def _update_block(layer, depth, network, state, grad_start, rates, index, l2, l1, i0, i1, o0, o1):
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
    g = matrix(state.grad, grad_start - shift, grad_rows, grad_cols)
    w, m = matrix(network.params, start, n_rows, n_cols), matrix(state.m, start, n_rows, n_cols)
    v, u = matrix(state.v, start, n_rows, n_cols), matrix(state.u, start, n_rows, n_cols)
    settings = state.settings[0]
    if settings.update_hook == 0:
        update(w, g, m, v, rates, l2, i0, i_weights, o0, o_weights)
        update(w, g, m, v, rates, 0.0, i_bias, i1, o_bias, o1)
    else:
        of_weights = state.factors[depth, 0], l2, l1, settings.decay
        of_rest = state.factors[depth, 1], 0.0, 0.0, 0.0
        row = state.rates[index]
        update_at(settings, state, row, w, g, m, v, u, of_weights, i0, i_weights, o0, o_weights)
        update_at(settings, state, row, w, g, m, v, u, of_rest, i_bias, i1, o_bias, o1)


@jit
def _collect(full_grad, grad_w, fresh, i0, i1, o0, o1):
    """Write a block of the gradient into the gradient of the whole update, or add it."""
    for i in span(i0, i1):
        for o in span(o0, o1):
            full_grad[i, o] = grad_w[i, o] if fresh else full_grad[i, o] + grad_w[i, o]


@jit
def _use(grad_w, full_grad, scale, i0, i1, o0, o1):
    """``grad_w[i, o] = scale full_grad[i, o]`` for a block."""
    scale = grad_w.dtype.type(scale)
    for i in span(i0, i1):
        for o in span(o0, o1):
            grad_w[i, o] = full_grad[i, o] * scale


@jit
def pack(layer, network, i0, i1, o0, o1):
    """Renew the panels of a block of one layer's weights; i0, o0 and o1 are multiples of PAD."""
    w = weights_of(layer, network.params)
    if layer.panel_rows > 0 and network.panels.size > 0:
        panels, _ = panels_of(layer, network)
        copy_to_panels(panels, w, layer.panel_rows, i0, min(i1, layer.n_in + 1), o0, o1)
    if layer.t_cols > 0 and network.panels_t.size > 0:
        w_t = transposed_of(layer, network)
        transpose(w_t, w, layer.t_rows, i0, max(i0, min(i1, layer.n_in)), o0, o1)


@jit(inline=True)
def weights_phase(context, network, work, data, state, first, index, total, mode, fresh, scale):
    """Gradient and update of the part's weights, and of their panels, block by block.

    first : where the batch begins in the order of the data
    index : row of state.rates
    total : weight of all rows that the update is for
    mode : AT_ONCE for all of it, COLLECT for the gradient only, USE for the rest
    fresh : whether COLLECT overwrites
    scale : factor on the gradient of USE
    """
    settings = state.settings[0]
    rates = step_rates(settings, state.rates, index, network.params)
    l2, l1 = settings.l2 / total, settings.l1 / total
    grad_start, capacity = context.part * state.grad.shape[1], work.capacity
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        i_begin, i_end, o_begin, o_end = _weights_share(context.part, context.n_parts, network, layer)
        sparse = depth == 0 and data.starts.size > 0
        i_middle = i_begin
        if sparse and mode != USE:
            call_at(network.sparse_sort, (context, pointer_to(data), first, i_begin, i_end))
            if settings.skips_absent > 0:
                i_middle = max(i_begin, min(i_end, layer.n_in))
        w, a_in, delta = weights_of(layer, network.params), input_of(layer, work), delta_of(layer, work)
        full_grad = weights_of(layer, state.full_grad)
        for i0 in range(i_middle, i_end, settings.block_rows):
            i1 = min(i_end, i0 + settings.block_rows)
            for o0 in range(o_begin, o_end, BLOCK_COLS):
                o1 = min(o_end, o0 + BLOCK_COLS)
                n_cols = o1 - o0
                # a matrix of which [i0, o0] is the first element
                grad_w = matrix(state.grad, grad_start - i0 * n_cols - o0, i1, n_cols)
                if mode == USE:
                    _use(grad_w, full_grad, scale, i0, i1, o0, o1)
                else:
                    stop = min(i1, layer.n_in + 1) if layer.column < 0 else i0
                    if sparse:
                        call_at(network.sparse_gradient, (grad_w, context, i0, stop, o0, o1))
                    else:
                        dense_backward_weights(
                            grad_w, a_in, delta, capacity, context.n_rows, i0, stop, o0, o1
                        )
                    if i1 > stop:
                        call_at(network.gradient_hook, (grad_w, context, depth, i0, i1, o0, o1))
                if mode == COLLECT:
                    _collect(full_grad, grad_w, fresh, i0, i1, o0, o1)
                    if settings.clip_norm > 0:
                        _sum_tiles(state.norms, layer, full_grad, layer.w_rows, 2.0, 0.0, i0, i1, o0, o1)
                else:
                    if l2 + l1 > 0:
                        _sum_tiles(state.penalty, layer, w, layer.n_in, l2, l1, i0, i1, o0, o1)
                    _update_block(
                        layer, depth, network, state, grad_start, rates, index, l2, l1, i0, i1, o0, o1
                    )
                    if not sparse:
                        pack(layer, network, i0, i1, o0, o1)
        if i_middle > i_begin:
            call_at(network.sparse_update, (context, state, index, l2, l1, i_begin, i_middle, o_begin, o_end))


@jit(inline=True)
def clip_factor(state):
    """Factor on the full gradient that brings its norm down to the limit; all parts add up the same sums."""
    limit = state.settings[0].clip_norm
    if limit == 0:
        return 1.0
    return min(1.0, limit / (math.sqrt(state.norms.sum()) + 1e-6))
