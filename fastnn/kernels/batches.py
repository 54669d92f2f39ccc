"""The order of the rows, and their way into the workspace: the only copy of data a training step makes."""

from __future__ import annotations

import numba
import numpy as np

from .._jit import jit, span
from .random_bits import GOLDEN, mix_bits
from .simd import CACHE_LINE, borrowed, line_copy, prefetch
from .sizes import BYTES_AHEAD, FETCHED_BYTES, PAD, ROWS_AHEAD

_mix = jit(mix_bits, inline=True)


@jit
def _split_mix(state):
    """Next state of the generator, and its 64 random bits."""
    state += GOLDEN
    return state, _mix(state)


if numba.config.DISABLE_JIT:  # arithmetic modulo 2**64 is meant, of which NumPy would warn
    _split_mix = np.errstate(over="ignore")(_split_mix)


@jit
def shuffle(indices, seed):
    """Put the indices in a random order, in place, from a seed of 64 bits.

    The swaps of Fisher and Yates (1938), with the numbers of SplitMix64 (Steele et al. 2014) brought into
    range without bias by Lemire's product (2019). For up to 2**32 indices.
    """
    state = np.uint64(seed)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    for last in range(indices.size - 1, 0, -1):
        n = np.uint64(last + 1)
        while True:
            state, bits = _split_mix(state)
            product = (bits >> half) * n
            # For each place equally many products have a low half of at least 2**32 mod n. The second
            # test, with its division, is hardly ever made.
            if (product & low) >= n or (product & low) >= (low - n + np.uint64(1)) % n:
                break
        place = product >> half
        indices[last], indices[place] = indices[place], indices[last]


@jit(inline=True)
def row_at(data, place):
    """Row of the data at a place in the order."""
    return data.indices[place] if data.indices.size > 0 else place


@jit(inline=True)
def _fetch(data, row, n_in):
    """Prefetch a row of the data; in random order no hardware prefetcher finds it.

    Into L1: prefetching into L2 only gains next to nothing (64-64-10 on 8 MB of rows: 12.8 us a step, against
    11.5).
    """
    for i in range(0, n_in, CACHE_LINE // data.x.itemsize):
        prefetch(data.x, row, i, 1, 1)
    if data.labels.size > 0:
        prefetch(data.labels, row, 0, 1, 1)
    else:
        prefetch(data.targets, row, 0, 1, 1)


@jit
def copy_to_panels(panels, a, panel_rows, r0, r1, c0, c1):
    """``panels[r, c] = a[r, c]`` for rows r0 to r1 and columns c0 to c1; elements are independent.

    panels : (panel_rows, >= c1) in panels (out)
    a : (>= r1, >= c1), of whole rows
    c0, c1 : multiples of PAD
    """
    for panel in range(c0 // PAD, c1 // PAD):
        for r in range(r0, r1):
            line_copy(panels, panel * panel_rows + r, 0, a, r, panel * PAD)


@jit
def copy_from_panels(a, panels, panel_rows, r0, r1, c0, c1):
    """``a[r, c] = panels[r, c]``: the way back of :func:`copy_to_panels`."""
    for panel in range(c0 // PAD, c1 // PAD):
        for r in range(r0, r1):
            line_copy(a, r, panel * PAD, panels, panel * panel_rows + r, 0)


@jit(inline=True)
def copy_row(a, capacity, r, x, row, n_in):
    """``a[r, :n_in] = x[row]``, and the unit that the bias multiplies in column n_in.

    a : (capacity, > n_in) in panels (out)
    """
    whole = n_in // PAD
    for panel in range(whole):
        line_copy(a, panel * capacity + r, 0, x, row, panel * PAD)
    rest, col = np.uint64(whole * capacity + r), np.uint64(whole * PAD)
    for c in span(0, n_in % PAD):
        a[rest, c] = x[np.uint64(row), col + c]
    a[rest, n_in % PAD] = 1


@jit
def gather(a, y, data, capacity, first, skip, n_in, r0, r1):
    """Copy rows of the data into the batch: ``a[r, :n_in] = x[row]``, where row = indices[first + r].

    a : (capacity, > n_in) in panels (out): the network's input, with the unit in column n_in
    y : (rows, n_targets) (out): target values, or labels as numbers
    data : Data; row = first + r where it has no indices
    n_in : 0 leaves the features, and the unit, to a hook
    skip : number of rows between r1 and the rows that this thread will gather next
    Rows r0 to r1; they are independent. Rows to come are prefetched meanwhile, those of the next batch too.
    """
    data = borrowed(data)
    n_ahead = max(1, min(ROWS_AHEAD, BYTES_AHEAD // (max(1, n_in) * a.itemsize)))
    n_all = data.indices.size if data.indices.size > 0 else data.x.shape[0]
    if n_in == 0 or data.x.size * a.itemsize < FETCHED_BYTES:
        n_all = 0
    for r in span(r0, r1):
        place = first + np.int64(r)
        ahead = place + n_ahead if place + n_ahead < first + r1 else place + n_ahead + skip
        if ahead < n_all:
            _fetch(data, row_at(data, ahead), n_in)
        row = np.int64(row_at(data, place))
        if n_in > 0:
            copy_row(a, capacity, np.int64(r), data.x, row, n_in)
        for j in span(0, data.labels.shape[1]):
            y[r, j] = data.labels[row, j]
        for j in span(0, data.targets.shape[1]):
            y[r, j] = data.targets[row, j]


@jit
def _sum_at(weights, indices, start, stop):
    """Sum of weights, in the order of the indices; the number of rows if all weights are 0."""
    total = 0.0
    for place in range(start, stop):
        total += weights[indices[place]] if indices.size > 0 else weights[place]
    return total if total > 0 else np.float64(stop - start)


@jit(inline=True)
def weight_of(data, start, stop):
    """Total weight of the rows from `start` to `stop` of the order; never 0."""
    total = np.float64(stop - start)
    if data.weights.size > 0:
        total = _sum_at(data.weights, data.indices, start, stop)
    return total


@jit
def weigh_rows(row_loss, row_score, delta, data, first, n_out, r0, r1):
    """Multiply losses, scores and deltas of rows r0 to r1 by the rows' weights; rows are independent."""
    data = borrowed(data)
    for r in range(r0, r1):
        weight = data.weights[row_at(data, first + r)]
        row_loss[r] *= weight
        row_score[r] *= weight
        for o in span(0, n_out):
            delta[r, o] *= delta.dtype.type(weight)
