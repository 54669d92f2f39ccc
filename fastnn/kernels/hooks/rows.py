"""Hooks on rows: from a layer's product to its output and back, and embeddings.

``z -> normalisation -> activation -> dropout -> residual connection -> output``

A layer that has any of these, or an activation the core does not know, is *hooked*: its forward pass saves
in the workspace what its backward pass needs. Activations and deltas lie in panels (see :mod:`..simd`); they
are copied into whole rows, in which loops are long, and back. Its saved matrices, (capacity, d_cols)
each, are in this order:

1. the slopes of activation and dropout together, d output / d normalised z
2. normalised values, before gain and shift (if the layer is normalised)
3. min(z, 0), with dropout: what a learned slope is multiplied by (if its activation is prelu)
4. the gradient of what a residual connection carries around the layer (if it has one), in panels
5. the whole rows that the hook is at work on

The backward pass overwrites the first three with each row's part of the gradient of shift, gain and learned
slope: the rows of the layer's weights below the bias, in this order.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ..._jit import jit, span
from ..activations import row_sum
from ..address import call_at, value_at
from ..batches import copy_from_panels, copy_to_panels
from ..random_bits import GOLDEN, mix_bits
from ..records import batch_panels, delta_of, input_of, output_of, saved_matrix, weights_of
from ..simd import (
    WIDTH_BYTES,
    as_one_row,
    borrowed,
    matrix,
    padded,
    tile_add,
    tile_multiply,
    vector_load,
    vector_sum,
)
from ..sizes import PAD
from ..team import owned_columns, team_meet

NORMS = {"batch": 1, "layer": 2}
BATCH_NORM, LAYER_NORM = NORMS.values()
NORM_EPS = 1e-5  # added to a variance
MOMENTUM = 0.1  # weight of a batch in the running statistics
MEAN, SCALE, SUM_DELTA, SUM_PRODUCT, N_STATISTICS = range(5)


_mix = jit(mix_bits, inline=True)


@jit
def row_key(seed, step, depth, r):
    """32 random bits of a row, from which those of its elements are made."""
    key = _mix(np.uint64(seed) + GOLDEN * np.uint64(step))
    key = _mix(key + (np.uint64(depth + 1) << np.uint64(32)) + np.uint64(r))
    return np.uint32(key >> np.uint64(32))


@jit
def random_of(key, c):
    """32 random bits of column c: a hash of two multiplications (Wellons, 2018, "lowbias32")."""
    bits = np.uint32(key + np.uint32(c) * np.uint32(0x9E3779B9))
    bits = np.uint32((bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D))
    bits = np.uint32((bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B))
    return bits ^ (bits >> np.uint32(16))


if numba.config.DISABLE_JIT:  # arithmetic modulo 2**64 and 2**32 is meant, of which NumPy would warn
    row_key, random_of = map(np.errstate(over="ignore"), (row_key, random_of))


@jit
def drop_limit(rate):
    """Limit below which the random number of an element drops it."""
    return np.uint32(min(rate * 4294967296.0, 4294967295.0))


@jit
def drop(a, network, rate, context, depth, n_out, r0, r1):
    """Set a share `rate` of ``a[r, :n_out]`` to 0, and scale the rest up (Srivastava et al., 2014).

    The choice depends on seed, step, layer, row and column alone: another matrix loses the same elements.
    """
    limit = drop_limit(rate)
    zero, scale = a.dtype.type(0), a.dtype.type(1 / (1 - rate))
    for r in span(r0, r1):
        key = row_key(network.seed, context.step, depth, r)
        for c in span(0, n_out):
            a[r, c] *= zero if random_of(key, c) < limit else scale


@jit
def drop_panels(a, capacity, network, rate, context, depth, n_out, r0, r1):
    """Set a share `rate` of ``a[r, :n_out]`` to 0, and scale the rest up (Srivastava et al., 2014).

    a : (capacity, > n_out) in panels (in, out); padding columns are treated alike
    The choice depends on seed, step, layer, row and column alone: another matrix loses the same elements.
    """
    limit = drop_limit(rate)
    zero, scale = a.dtype.type(0), a.dtype.type(1 / (1 - rate))
    for r in span(r0, r1):
        key = row_key(network.seed, context.step, depth, r)
        for panel in range(padded(n_out) // PAD):
            row, first = np.uint64(panel * capacity) + r, np.uint32(panel * PAD)
            for c in span(0, PAD):
                a[row, c] *= zero if random_of(key, first + np.uint32(c)) < limit else scale


@jit
def _set_unit(a, capacity, n_cols, r0, r1):
    """Write the unit behind the first `n_cols` columns again, which loops over whole panels have changed."""
    first, place = n_cols // PAD * capacity, np.uint64(n_cols % PAD)
    for row in span(first + r0, first + r1):
        a[row, place] = 1


@jit
def _batch_statistics(statistics, running, z, context, o0, o1):
    """Mean and scale of columns o0 to o1 over the rows of the batch; two passes, for the variance."""
    n_rows = context.n_rows
    for o in span(o0, o1):
        statistics[MEAN, o] = statistics[SCALE, o] = 0
    for r in span(0, n_rows):
        for o in span(o0, o1):
            statistics[MEAN, o] += z[r, o]
    for o in span(o0, o1):
        statistics[MEAN, o] /= n_rows
    for r in span(0, n_rows):
        for o in span(o0, o1):
            statistics[SCALE, o] += (z[r, o] - statistics[MEAN, o]) ** 2
    for o in span(o0, o1):
        variance = statistics[SCALE, o] / n_rows
        statistics[SCALE, o] = 1 / math.sqrt(variance + NORM_EPS)
        spread = variance * n_rows / max(1, n_rows - 1)
        if context.learns and np.isfinite(spread):
            running[0, o] += running.dtype.type(MOMENTUM * (statistics[MEAN, o] - running[0, o]))
            running[1, o] += running.dtype.type(MOMENTUM * (spread - running[1, o]))


@jit
def _batch_norm(z, normed, gain, shift, statistics, running, context, n_out, r0, r1):
    """``z = gain (z - mean) / sqrt(variance + eps) + shift`` (Ioffe and Szegedy, 2015).

    Mean and variance are those of the batch in training, else the running ones. Each part sums columns of
    its own over all rows, between two barriers.
    """
    if context.step > 0:
        team_meet(context.team, context.n_parts)
        o0, o1 = owned_columns(context.part, context.n_parts, n_out)
        _batch_statistics(statistics, running, z, context, o0, o1)
        team_meet(context.team, context.n_parts)
    number = z.dtype.type
    for r in span(r0, r1):
        for o in span(0, n_out):
            if context.step > 0:
                mean, scale = number(statistics[MEAN, o]), number(statistics[SCALE, o])
            else:
                mean, scale = running[0, o], number(1) / math.sqrt(running[1, o] + number(NORM_EPS))
            normed[r, o] = (z[r, o] - mean) * scale
            z[r, o] = gain[o] * normed[r, o] + shift[o]


@jit
def row_dot(a, b, n_out, r):
    """``sum(a[r, :n_out] * b[r, :n_out])``, a vector at a time."""
    lanes = WIDTH_BYTES // a.itemsize
    zero = a.dtype.type(0)
    total = tile_multiply(vector_load(a, r, 0, PAD, n_out, zero), vector_load(b, r, 0, PAD, n_out, zero))
    for o in range(lanes, n_out, lanes):
        product = tile_multiply(
            vector_load(a, r, o, PAD, n_out, zero), vector_load(b, r, o, PAD, n_out, zero)
        )
        total = tile_add(total, product)
    return vector_sum(total)


@jit
def _layer_norm(z, normed, row_scale, gain, shift, n_out, r0, r1):
    """Layer normalisation: mean and variance are those of each row (Ba, Kiros and Hinton, 2016)."""
    number = z.dtype.type
    for r in span(r0, r1):
        mean = row_sum(z, n_out, np.intp(r)) / number(n_out)
        for o in span(0, n_out):
            normed[r, o] = z[r, o] - mean
        variance = row_dot(normed, normed, n_out, np.intp(r)) / number(n_out)
        scale = number(1) / math.sqrt(variance + number(NORM_EPS))
        row_scale[r] = scale
        for o in span(0, n_out):
            normed[r, o] *= scale
            z[r, o] = gain[o] * normed[r, o] + shift[o]


@jit
def _prelu(a, slopes, below, slope, n_out, r0, r1):
    """``a = z`` for z > 0, else ``slope z`` with a learned slope for each output (He et al., 2015)."""
    zero, one = a.dtype.type(0), a.dtype.type(1)
    for r in span(r0, r1):
        for o in span(0, n_out):
            z = a[r, o]
            below[r, o] = zero if z > zero else z
            slopes[r, o] = one if z > zero else slope[o]
            a[r, o] = z if z > zero else slope[o] * z


@jit
def embed_rows_hook(context, x, indices, first, r0, r1):
    """Fill the first layer's inputs for rows r0 to r1: features, and the vectors of categories.

    x : (n, n_features): row r of the batch is row indices[first + r] of x, or first + r without indices
    """
    network, work = value_at(context.network), value_at(context.work)
    x, indices = borrowed(x), borrowed(indices)
    a, n_in, capacity = input_of(network.layers[0], work), network.layers[0].n_in, work.capacity
    for r in range(r0, r1):
        row = indices[first + r] if indices.size > 0 else first + r
        for c in range(network.columns.size):
            i = network.columns[c]
            if i >= 0:
                a[i // PAD * capacity + r, i % PAD] = x[row, c]
        for number in range(network.layers.size - network.n_layers):
            table = network.layers[network.n_layers + number]
            code = np.int64(x[row, table.column])
            vectors = weights_of(table, network.params)
            work.codes[r, number] = code
            for o in range(table.n_out):
                i = table.input_start + o
                a[i // PAD * capacity + r, i % PAD] = vectors[code, o]
        a[n_in // PAD * capacity + r, n_in % PAD] = 1


@jit
def sum_gradient_hook(grad_w, context, depth, i0, i1, o0, o1):
    """Gradient of a layer's parameters below the bias, or of an embedding: sums over the rows of the batch.

    grad_w : (>= i1, >= o1) (out); rows i0 to i1 that are neither weights nor biases, columns o0 to o1
    The parts that backward_rows_hook left of each row are added in the order of the rows; elements are
    independent.
    """
    network, work, n_rows = value_at(context.network), value_at(context.work), context.n_rows
    layer = network.layers[depth]
    if layer.column >= 0:
        _sum_of_categories(grad_w, layer, work, depth - network.n_layers, n_rows, i0, i1, o0, o1)
        return
    first = 0 if layer.norm > 0 else 1  # without a normalisation the first matrix is of slopes
    for i in range(max(i0, layer.n_in + 1), i1):
        of_rows = saved_matrix(layer, work, first + i - layer.n_in - 1)
        for o in span(o0, o1):
            grad_w[i, o] = 0
        for r in span(0, n_rows):
            for o in span(o0, o1):
                grad_w[i, o] += of_rows[r, o]


@jit
def _sum_of_categories(grad_w, layer, work, number, n_rows, i0, i1, o0, o1):
    """``grad_w[i, o] = sum delta[r, o]`` over the rows r of category i."""
    delta, capacity = delta_of(layer, work), work.capacity
    for i in range(i0, i1):
        for o in span(o0, o1):
            grad_w[i, o] = 0
    for r in range(n_rows):
        i = work.codes[r, number]
        if i0 <= i and i < i1:
            for o in range(o0, min(o1, layer.n_out)):
                place = layer.input_start + o
                grad_w[i, o] += delta[place // PAD * capacity + r, place % PAD]


@jit
def forward_rows_hook(context, depth, r0, r1):
    """From z to the output of layer `depth`, rows r0 to r1; with depth -1, dropout of the input."""
    network, work = value_at(context.network), value_at(context.work)
    context, capacity = borrowed(context), work.capacity
    if depth < 0:
        layer = network.layers[0]
        a = input_of(layer, work)
        drop_panels(a, capacity, network, layer.input_dropout, context, depth, layer.n_in, r0, r1)
        _set_unit(a, capacity, layer.n_in, r0, r1)
        return
    layer = network.layers[depth]
    n_out, i_shift = layer.n_out, layer.n_in + 1
    panels, w = output_of(layer, work), weights_of(layer, network.params)
    a = saved_matrix(layer, work, _number_of_rows(layer))
    copy_from_panels(a, panels, capacity, r0, r1, np.intp(0), layer.d_cols)
    slopes = saved_matrix(layer, work, 0)
    if layer.norm > 0:
        shift, gain, normed = w[i_shift], w[i_shift + 1], saved_matrix(layer, work, 1)
        if layer.norm == BATCH_NORM:
            statistics = matrix(work.statistics, N_STATISTICS * layer.s_start, N_STATISTICS, layer.w_cols)
            running = matrix(network.running, 2 * layer.s_start, 2, layer.w_cols)
            _batch_norm(a, normed, gain, shift, statistics, running, context, n_out, r0, r1)
        else:
            row_scale = work.row_scale[depth * work.capacity :]
            _layer_norm(a, normed, row_scale, gain, shift, n_out, r0, r1)
    n_norm = 1 if layer.norm > 0 else 0
    below = saved_matrix(layer, work, 1 + n_norm)
    if layer.prelu > 0:
        _prelu(a, slopes, below, w[i_shift + 2 * n_norm], n_out, r0, r1)
    else:
        call_at(layer.function, (a, slopes, layer.alpha, r0, r1, n_out))
    if layer.dropout > 0 and context.step > 0:
        drop(a, network, layer.dropout, context, depth, n_out, r0, r1)
        drop(slopes, network, layer.dropout, context, depth, n_out, r0, r1)
        if layer.prelu > 0:
            drop(below, network, layer.dropout, context, depth, n_out, r0, r1)
    copy_to_panels(panels, a, capacity, r0, r1, np.intp(0), layer.d_cols)
    if layer.residual > 0:
        _add_panels(panels, input_of(layer, work), np.bool_(False), capacity, n_out, r0, r1)
    _set_unit(panels, capacity, n_out, r0, r1)


@jit
def _add_panels(out, a, fresh, capacity, n_out, r0, r1):
    """``out[r, o] = a[r, o]`` if fresh, else add it; both are in panels, padding included."""
    for panel in range(padded(n_out) // PAD):
        to = as_one_row(out, panel * capacity + r0, panel * capacity + r1)
        of = as_one_row(a, panel * capacity + r0, panel * capacity + r1)
        for place in span(0, to.size):
            to[0, place] = of[0, place] if fresh else to[0, place] + of[0, place]


@jit
def _multiply(out, a, n_out, r0, r1):
    """``out[r, o] *= a[r, o]``, and 0 in the padding of `out`, which the gradient reads."""
    for r in span(r0, r1):
        for o in span(0, n_out):
            out[r, o] *= a[r, o]
        for o in span(n_out, out.shape[1]):
            out[r, o] = 0


@jit
def _batch_norm_back(delta, normed, gain, statistics, running, context, n_out, r0, r1):
    """From d cost / d z after the batch normalisation to before it.

    Mean and scale depend on all rows of the batch, but for the running ones, which are constants.
    """
    if context.step == 0:
        for r in span(r0, r1):
            for o in span(0, n_out):
                scale = delta.dtype.type(1) / math.sqrt(running[1, o] + delta.dtype.type(NORM_EPS))
                delta[r, o] *= gain[o] * scale
        return
    team_meet(context.team, context.n_parts)
    o0, o1 = owned_columns(context.part, context.n_parts, n_out)
    for o in span(o0, o1):
        statistics[SUM_DELTA, o] = statistics[SUM_PRODUCT, o] = 0
    for r in span(0, context.n_rows):
        for o in span(o0, o1):
            statistics[SUM_DELTA, o] += delta[r, o]
            statistics[SUM_PRODUCT, o] += delta[r, o] * normed[r, o]
    team_meet(context.team, context.n_parts)
    number = delta.dtype.type
    share = 1 / context.n_rows
    for r in span(r0, r1):
        for o in span(0, n_out):
            mean = number(statistics[SUM_DELTA, o] * share)
            product = number(statistics[SUM_PRODUCT, o] * share)
            rest = delta[r, o] - mean - normed[r, o] * product
            delta[r, o] = gain[o] * number(statistics[SCALE, o]) * rest


@jit
def _layer_norm_back(delta, normed, row_scale, gain, n_out, r0, r1):
    """From d cost / d z after the layer normalisation to before it; mean and scale depend on the row."""
    number = delta.dtype.type
    share = number(1 / n_out)
    for r in span(r0, r1):
        for o in span(0, n_out):
            delta[r, o] *= gain[o]
        mean = share * row_sum(delta, n_out, np.intp(r))
        product = share * row_dot(delta, normed, n_out, np.intp(r))
        for o in span(0, n_out):
            delta[r, o] = row_scale[r] * (delta[r, o] - mean - normed[r, o] * product)


@jit
def backward_rows_hook(context, depth, r0, r1):
    """From d cost / d output of layer `depth`, as the next layer's product gives it, to delta; rows r0 to r1.

    What a residual connection of the layer above carries is added first. The saved matrices become the
    rows' parts of the gradient of shift, gain and learned slope.
    """
    network, work = value_at(context.network), value_at(context.work)
    context, capacity = borrowed(context), work.capacity
    above = network.layers[depth + 1]
    # Below the first layer are the inputs that embeddings were looked up into.
    layer = network.layers[depth if depth >= 0 else network.n_layers]
    panels, n_out = delta_of(layer, work), above.n_in
    n_norm = 1 if layer.norm > 0 else 0
    if above.residual > 0:
        _add_panels(panels, carried_of(above, work), np.bool_(False), capacity, n_out, r0, r1)
    if depth < 0:
        if above.input_dropout > 0 and context.step > 0:
            drop_panels(panels, capacity, network, above.input_dropout, context, depth, n_out, r0, r1)
        return
    if layer.residual > 0:
        _add_panels(carried_of(layer, work), panels, np.bool_(True), capacity, n_out, r0, r1)
    delta = saved_matrix(layer, work, _number_of_rows(layer))
    copy_from_panels(delta, panels, capacity, r0, r1, np.intp(0), layer.d_cols)
    slopes = saved_matrix(layer, work, 0)
    if layer.prelu > 0:
        _multiply(saved_matrix(layer, work, 1 + n_norm), delta, n_out, r0, r1)
    _multiply(delta, slopes, n_out, r0, r1)
    if layer.norm > 0:
        normed = saved_matrix(layer, work, 1)
        gain = weights_of(layer, network.params)[layer.n_in + 2]
        for r in span(r0, r1):
            for o in span(0, layer.d_cols):
                slopes[r, o] = delta[r, o]
        if layer.norm == BATCH_NORM:
            statistics = matrix(work.statistics, N_STATISTICS * layer.s_start, N_STATISTICS, layer.w_cols)
            running = matrix(network.running, 2 * layer.s_start, 2, layer.w_cols)
            _batch_norm_back(delta, normed, gain, statistics, running, context, n_out, r0, r1)
        else:
            row_scale = work.row_scale[depth * work.capacity :]
            _layer_norm_back(delta, normed, row_scale, gain, n_out, r0, r1)
        _multiply(normed, slopes, n_out, r0, r1)
    copy_to_panels(panels, delta, capacity, r0, r1, np.intp(0), layer.d_cols)


@jit
def _number_of_carried(layer):
    """Number of the saved matrix for what a residual connection carries."""
    return 1 + (1 if layer.norm > 0 else 0) + (1 if layer.prelu > 0 else 0)


@jit
def _number_of_rows(layer):
    """Number of the saved matrix for the rows that the hook is at work on: it is the last."""
    return _number_of_carried(layer) + (1 if layer.residual > 0 else 0)


@jit
def carried_of(layer, work):
    """The saved matrix for what a residual connection carries, in panels."""
    start = layer.saved_start + _number_of_carried(layer) * layer.d_cols
    return batch_panels(work.saved, start, layer.d_cols, work)
