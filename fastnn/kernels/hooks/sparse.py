"""Sparse rows and the weights of the first layer: its three passes, without a dense copy of the rows.

``forward``
    ``z[r, :] = bias + sum_k value_k w[column_k, :]`` over the entries k of a row: as many rows of weights as
    it has entries are read, whatever the number of features.
``backward_weights``
    ``grad_w[i, :] = sum_r x[r, i] delta[r, :]``. Each part sorts the batch's entries in its share of the
    weights by feature (radix sort, which keeps the order of the rows), and then finds those of a block of
    weights behind each other.
``update``
    By the core, block by block, or here: only the weights of features that the batch has.

Every sum is taken in the order of the dense kernels, with entries of 0 left out: where the columns
of each row rise, the results have the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..._jit import jit, span
from ..activations import activate
from ..address import value_at
from ..batches import row_at
from ..records import delta_of, input_of, output_of, sum_index, weights_of
from ..simd import (
    CACHE_LINE,
    WIDTH_BYTES,
    as_one_row,
    borrowed,
    matrix,
    padded,
    prefetch,
    tile_add_scaled,
    tile_prefetch,
    tile_repeat,
    tile_shape,
    tile_store,
    tile_zeros,
)
from ..sizes import BLOCK_COLS, ENTRIES_AHEAD, GRAIN_COLS, PAD, WEIGHTS_AHEAD
from ..updates import step_rates, sum_of_absolutes, sum_of_squares, update, update_at
from .rows import drop_limit, random_of, row_key

DIGIT_BITS = 11  # of a feature's number, by which one pass of the sort goes
N_DIGITS = 1 << DIGIT_BITS
# Behind the counts of the digits: how many entries are sorted, and in which half of the room they stand.
N_SORTED, HALF, N_COUNTS = range(N_DIGITS, N_DIGITS + 3)


class _Dropout(NamedTuple):
    """Dropout of the values of one row."""

    on: bool
    key: int
    limit: int
    scale: float


@jit
def _dropout(network, context, r, like):
    """Dropout of row r of the batch, as of a dense row."""
    rate = network.layers[0].input_dropout if context.step > 0 else 0.0
    key = row_key(network.seed, context.step, -1, r)
    return _Dropout(rate > 0, key, drop_limit(rate), like.dtype.type(1 / (1 - rate)))


@jit
def _value(values, k, c, dropout):
    """Value of entry k, of column c, after dropout."""
    value = values[0, k]
    if dropout.on:
        value *= values.dtype.type(0) if random_of(dropout.key, c) < dropout.limit else dropout.scale
    return value


@jit
def _row_tile(shape, out, stride, w, values, columns, begin, end, n_in, r, col, dropout):
    """Product of a row in a few columns, in registers."""
    tile, last = tile_repeat(shape, w, n_in, col, PAD), np.uint64(end - 1)
    for k in span(begin, end):
        tile_prefetch(shape, w, np.intp(columns[min(k + np.uint64(ENTRIES_AHEAD), last)]), col, PAD, 1)
        c = columns[k]
        tile = tile_add_scaled(tile, _value(values, k, c, dropout), w, np.intp(c), col, PAD)
    tile_store(tile, out, r, col, stride)


@jit
def _row_product(out, stride, w, values, columns, begin, end, n_in, r, n_cols, dropout):
    """``out[r, :n_cols] = bias + sum value_k w[column_k, :n_cols]`` over entries `begin` to `end`.

    out : in panels that are `stride` elements apart (out)
    """
    lanes, col = WIDTH_BYTES // out.itemsize, np.intp(0)
    while col + 8 * lanes <= n_cols:
        shape = tile_shape(out, 1, 8)
        _row_tile(shape, out, stride, w, values, columns, begin, end, n_in, r, col, dropout)
        col += 8 * lanes
    while col + 4 * lanes <= n_cols:
        shape = tile_shape(out, 1, 4)
        _row_tile(shape, out, stride, w, values, columns, begin, end, n_in, r, col, dropout)
        col += 4 * lanes
    while col + 2 * lanes <= n_cols:
        shape = tile_shape(out, 1, 2)
        _row_tile(shape, out, stride, w, values, columns, begin, end, n_in, r, col, dropout)
        col += 2 * lanes
    while col < n_cols:
        shape = tile_shape(out, 1, 1)
        _row_tile(shape, out, stride, w, values, columns, begin, end, n_in, r, col, dropout)
        col += lanes


@jit
def sparse_forward(context, data, first, r0, r1):
    """Output of the first layer for rows r0 to r1 of the batch, which begins at `first` of the order.

    Row slices are independent.
    """
    network, work, data = value_at(context.network), value_at(context.work), value_at(data)
    context, layer = borrowed(context), network.layers[0]
    w, out, a_in = weights_of(layer, network.params), output_of(layer, work), input_of(layer, work)
    values, columns, n_in, n_out = data.x, data.columns, layer.n_in, layer.n_out
    capacity, stride = work.capacity, work.capacity * PAD
    for r in range(r0, r1):
        row = row_at(data, first + r)
        begin, end = data.starts[row], data.starts[row + 1]
        dropout = _dropout(network, context, r, values)
        _row_product(out, stride, w, values, columns, begin, end, n_in, r, padded(n_out), dropout)
        if layer.residual > 0:  # which adds the features themselves
            for i in range(n_in):
                a_in[i // PAD * capacity + r, i % PAD] = 0
            for k in span(begin, end):
                c = np.int64(columns[k])
                a_in[c // PAD * capacity + r, c % PAD] += _value(values, k, columns[k], dropout)
    for panel in range(padded(n_out) // PAD):
        z = as_one_row(out, panel * capacity + r0, panel * capacity + r1)
        activate(z, layer.activation, np.intp(0), np.intp(1), np.intp(0), z.size)
    for r in range(r0, r1):
        out[n_out // PAD * capacity + r, n_out % PAD] = 1


@jit
def _halves(work, part):
    """The part's own buffers: two rows of entries, two of values, and the counts."""
    n = work.entries.shape[1]
    start = 2 * part * n
    return matrix(work.entries, start, 2, n), matrix(work.values, start, 2, n), work.counts[part]


@jit
def _collect(entries, held, data, network, context, first, i0, i1):
    """Collect the entries in columns i0 to i1 that dropout leaves, row by row; return their number."""
    values, columns = data.x, data.columns
    n = np.uint64(0)
    for r in range(context.n_rows):
        row = row_at(data, first + r)
        dropout = _dropout(network, context, r, values)
        for k in span(data.starts[row], data.starts[row + 1]):
            c = np.int64(columns[k])
            if i0 <= c and c < i1 and not (dropout.on and random_of(dropout.key, c) < dropout.limit):
                entries[0, n] = c << 32 | r
                held[0, n] = values[0, k] * dropout.scale
                n += np.uint64(1)
    return n


@jit
def _sort_by_digit(entries, held, counts, n, half, i0, shift, n_digits):
    """Move the entries into the other half, in the order of one digit of their columns."""
    other = 1 - half
    for digit in span(0, n_digits):
        counts[digit] = 0
    mask = n_digits - 1
    for k in span(0, n):
        counts[np.uint64(((entries[half, k] >> 32) - i0) >> shift & mask)] += 1
    total = 0
    for digit in span(0, n_digits):
        total += counts[digit]
        counts[digit] = total - counts[digit]
    for k in span(0, n):
        digit = np.uint64(((entries[half, k] >> 32) - i0) >> shift & mask)
        place = np.uint64(counts[digit])
        counts[digit] += 1
        entries[other, place] = entries[half, k]
        held[other, place] = held[half, k]


@jit
def sparse_sort(context, data, first, i0, i1):
    """Sort the entries of the batch in rows i0 to i1 of the weights by these rows, for the other two hooks.

    An entry is its row of weights (upper 32 bits) and its row of the batch, with its value after dropout
    beside it. Entries of one row of weights are in the order of the batch. Each part has buffers of its own.
    """
    network, work, data = value_at(context.network), value_at(context.work), value_at(data)
    context = borrowed(context)
    entries, held, counts = _halves(work, context.part)
    n = _collect(entries, held, data, network, context, first, i0, i1)
    n_bits, half = 0, 0
    while i1 - i0 > 1 << n_bits:
        n_bits += 1
    n_passes = (n_bits + DIGIT_BITS - 1) // DIGIT_BITS
    for number in range(n_passes):
        width = (n_bits + n_passes - 1) // n_passes
        _sort_by_digit(entries, held, counts, n, half, i0, number * width, 1 << width)
        half = 1 - half
    counts[N_SORTED], counts[HALF] = n, half


@jit
def _sum_tile(shape, grad_w, entries, held, half, begin, end, delta, stride, i, col):
    """``grad_w[i, col:] = sum value * delta[r, col:]`` over some entries, in registers."""
    tile = tile_zeros(shape)
    for k in span(begin, end):
        r = entries[half, k] & 0xFFFFFFFF
        tile = tile_add_scaled(tile, held[half, k], delta, r, col, stride)
    tile_store(tile, grad_w, i, col, PAD)


@jit
def _sum_row(grad_w, entries, held, half, begin, end, delta, stride, i, o0, o1):
    """The gradient of row i of the weights, columns o0 to o1, from its entries; 0 if there are none.

    delta : in panels that are `stride` elements apart
    """
    lanes = WIDTH_BYTES // grad_w.itemsize
    col = np.intp(o0)
    while col + 8 * lanes <= o1:
        _sum_tile(tile_shape(grad_w, 1, 8), grad_w, entries, held, half, begin, end, delta, stride, i, col)
        col += 8 * lanes
    while col + 4 * lanes <= o1:
        _sum_tile(tile_shape(grad_w, 1, 4), grad_w, entries, held, half, begin, end, delta, stride, i, col)
        col += 4 * lanes
    while col + 2 * lanes <= o1:
        _sum_tile(tile_shape(grad_w, 1, 2), grad_w, entries, held, half, begin, end, delta, stride, i, col)
        col += 2 * lanes
    while col < o1:
        _sum_tile(tile_shape(grad_w, 1, 1), grad_w, entries, held, half, begin, end, delta, stride, i, col)
        col += lanes


@jit
def _end_of_row(entries, half, n, place):
    """End of the entries that share a row of weights with the entry at `place`."""
    i = entries[half, place] >> 32
    while place < n and entries[half, place] >> 32 == i:
        place += 1
    return place


@jit
def _first_of(entries, half, n, i0):
    """First entry of row i0 of the weights, or of a later row."""
    low, high = np.int64(0), n
    while low < high:
        middle = (low + high) // 2
        if entries[half, middle] >> 32 < i0:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _sum_rows(out, i, a, capacity, n_rows, o0, o1):
    """``out[i, o] = sum_r a[r, o]`` over the rows of the batch, in their order.

    a : (capacity, >= o1) in panels
    o0, o1 : multiples of PAD
    """
    i = np.uint64(i)
    for panel in span(o0 // PAD, o1 // PAD):
        first, col = panel * np.uint64(capacity), panel * np.uint64(PAD)
        for c in span(0, PAD):
            out[i, col + c] = 0
        for r in span(0, n_rows):
            for c in span(0, PAD):
                out[i, col + c] += a[first + r, c]


@jit
def sparse_gradient(grad_w, context, i0, i1, o0, o1):
    """``grad_w[i, o] = sum_r x[r, i] delta[r, o]`` of sorted entries, the bias as row n_in.

    grad_w : (>= i1, >= o1) (out)
    Rows i0 to i1 and columns o0 to o1, which is a number of whole panels; the sum is in the order of the
    batch.
    """
    network, work = value_at(context.network), value_at(context.work)
    grad_w = borrowed(grad_w)
    layer = network.layers[0]
    entries, held, counts = _halves(work, context.part)
    n, half, delta = counts[N_SORTED], counts[HALF], delta_of(layer, work)
    place = _first_of(entries, half, n, i0)
    for i in range(i0, min(i1, layer.n_in)):
        begin = place
        if place < n and entries[half, place] >> 32 == i:
            place = _end_of_row(entries, half, n, place)
        _sum_row(grad_w, entries, held, half, begin, place, delta, work.capacity * PAD, i, o0, o1)
    if i0 <= layer.n_in and layer.n_in < i1:
        _sum_rows(grad_w, layer.n_in, delta, work.capacity, context.n_rows, o0, o1)


@jit
def _fetch(w, i, o0, o1):
    """Prefetch a row of weights."""
    for o in range(o0, o1, CACHE_LINE // w.itemsize):
        prefetch(w, i, o, 1, 1)


@jit
def sparse_update(context, state, index, l2, l1, i0, i1, o0, o1):
    """Gradient and update of the rows of weights that have entries; the others stay as they are.

    Rows i0 to i1, all of them weights, and columns o0 to o1; all sorted entries are theirs. The penalty is
    that of the rows that move.
    """
    network, work, state = value_at(context.network), value_at(context.work), borrowed(state)
    layer, settings = network.layers[0], state.settings[0]
    entries, held, counts = _halves(work, context.part)
    n, half, delta = counts[N_SORTED], counts[HALF], delta_of(layer, work)
    w, m = weights_of(layer, network.params), weights_of(layer, state.m)
    v, u = weights_of(layer, state.v), weights_of(layer, state.u)
    rates = step_rates(settings, state.rates, index, network.params)
    numbers, row = (state.factors[0, 0], l2, l1, settings.decay), state.rates[index]
    if l2 + l1 > 0:
        for i in range(i0, i1, PAD):
            for o in range(o0, o1, GRAIN_COLS):
                state.penalty[sum_index(layer, i, o)] = 0
    grad_start = context.part * state.grad.shape[1]
    place = np.int64(0)
    while place < n:
        i, begin, place = entries[half, place] >> 32, place, _end_of_row(entries, half, n, place)
        ahead = entries[half, min(place + WEIGHTS_AHEAD, n - 1)] >> 32
        for array in (w, m, v):  # prefetching memory that is not there does no harm
            _fetch(array, ahead, o0, o1)
        if l2 + l1 > 0:
            for o in range(o0, o1, GRAIN_COLS):
                stop = min(padded(layer.n_out), min(o1, o + GRAIN_COLS))
                cost = 0.5 * l2 * sum_of_squares(w, i, i + 1, o, stop)
                cost += l1 * sum_of_absolutes(w, i, i + 1, o, stop)
                state.penalty[sum_index(layer, i, o)] += cost
        for o in range(o0, o1, BLOCK_COLS):
            stop = min(o1, o + BLOCK_COLS)
            grad_w = matrix(state.grad, grad_start - i * (stop - o) - o, i + 1, stop - o)
            _sum_row(grad_w, entries, held, half, begin, place, delta, work.capacity * PAD, i, o, stop)
            if settings.update_hook == 0:
                update(w, grad_w, m, v, rates, l2, i, i + 1, o, stop)
            else:
                update_at(settings, state, row, w, grad_w, m, v, u, numbers, i, i + 1, o, stop)
