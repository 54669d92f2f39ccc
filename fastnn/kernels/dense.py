"""The three passes of a dense layer, on one register-tiled product.

``forward`` computes a layer's activations, ``backward_data`` the gradient with respect to its inputs,
``backward_weights`` the gradient with respect to its weights. Each is ``out = left @ right`` with another
left and right; the right one is always read along its rows, so nothing is packed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._jit import jit, span
from .activations import activate, multiply_by_derivative
from .simd import WIDTH_BYTES, padded, prefetch, tile_add_outer, tile_load, tile_shape, tile_store, tile_zeros
from .sizes import FETCHED_LEFT_BYTES, K_BLOCK, PREFETCH_STEP, TILE_ROWS, TILE_VECS

_VECS = TILE_VECS[WIDTH_BYTES]
_PANEL_BYTES = _VECS * WIDTH_BYTES
_LEFT_AHEAD = 4 * TILE_ROWS  # columns of its memory; a cache line has room for 16 float32


class _Ahead(NamedTuple):
    """Memory that is prefetched while a panel is computed.

    Of the right operand the next panel: rows `start` to `stop` of column `col`. Of a transposed left one, if
    `left`, what later tiles read: each step of the sum is in another row of memory, which another core may
    have written last.
    """

    col: int
    start: int
    stop: int
    left: bool


@jit
def _tile_product(shape, out, left, right, row, col, k0, k1, ahead, row_ahead):
    """Compute a tile, and prefetch the rows of `ahead` from `row_ahead` on; return the next of them."""
    tile = tile_load(shape, out, row, col) if k0 > 0 else tile_zeros(shape)
    k = k0
    while k < k1:
        if row_ahead < ahead.stop:
            prefetch(right, row_ahead, ahead.col, _PANEL_BYTES, 2)
            row_ahead += 1
        stop = min(k1, k + PREFETCH_STEP)
        if ahead.left:
            for step in range(k, stop):
                prefetch(left, row + _LEFT_AHEAD, step, 1, 2)
        while k < stop:
            tile = tile_add_outer(tile, left, row, k, right, col)
            k += 1
    tile_store(tile, out, row, col)
    return row_ahead


@jit(inline=True)
def _tiles(shape, height, out, left, right, row, row1, col, k0, k1, ahead, row_ahead):
    """Compute as many tiles of a height as fit; return the row after them, and the next row to prefetch."""
    while row + height <= row1:
        row_ahead = _tile_product(shape, out, left, right, row, col, k0, k1, ahead, row_ahead)
        row += height
    return row, row_ahead


@jit
def _widest_panel_product(out, left, right, row0, row1, col, col0, col1, k0, k1, n_k):
    """Compute the widest panel of columns that fits between `col` and `col1`; return its width."""
    lanes = WIDTH_BYTES // out.itemsize
    next_col = col + _VECS * lanes
    # The left operand is prefetched once: then it is in L2 for the panels that follow.
    left_too = left.flags.f_contiguous and col == col0 and left.size * out.itemsize > FETCHED_LEFT_BYTES
    ahead = _Ahead(next_col, k0, k1, left_too)
    if next_col >= col1:
        ahead = _Ahead(col0, k1, min(n_k, k1 + K_BLOCK), left_too)
    if next_col <= col1:
        tall, pair = tile_shape(out, TILE_ROWS, _VECS), tile_shape(out, 2, _VECS)
        row, fetched = _tiles(tall, TILE_ROWS, out, left, right, row0, row1, col, k0, k1, ahead, ahead.start)
        row, fetched = _tiles(pair, 2, out, left, right, row, row1, col, k0, k1, ahead, fetched)
        _tiles(tile_shape(out, 1, _VECS), 1, out, left, right, row, row1, col, k0, k1, ahead, fetched)
        return _VECS * lanes
    if col + 2 * lanes <= col1:
        tall = tile_shape(out, TILE_ROWS, 2)
        row, fetched = _tiles(tall, TILE_ROWS, out, left, right, row0, row1, col, k0, k1, ahead, ahead.start)
        _tiles(tile_shape(out, 1, 2), 1, out, left, right, row, row1, col, k0, k1, ahead, fetched)
        return 2 * lanes
    tall = tile_shape(out, TILE_ROWS, 1)
    row, fetched = _tiles(tall, TILE_ROWS, out, left, right, row0, row1, col, k0, k1, ahead, ahead.start)
    _tiles(tile_shape(out, 1, 1), 1, out, left, right, row, row1, col, k0, k1, ahead, fetched)
    return lanes


@jit
def _rows_product(out, left, right, a, activation, is_forward, n_cols, n_k, r0, r1):
    """``out = left @ right``, then the activation, or its derivative from the activations `a`."""
    col0 = np.intp(0)  # a bare 0 would be a type of its own, with compiled code of its own
    for k0 in range(0, n_k, K_BLOCK):
        k1 = min(n_k, k0 + K_BLOCK)
        col = col0
        while col < n_cols:
            width = _widest_panel_product(out, left, right, r0, r1, col, col0, n_cols, k0, k1, n_k)
            if k1 == n_k and is_forward:
                activate(out, activation, r0, r1, col, col + width)
            elif k1 == n_k:
                multiply_by_derivative(out, a, activation, r0, r1, col, col + width)
            col += width


@jit(inline=True)
def dense_forward(a_out, a_in, w, activation, n_in, n_out, r0, r1):
    """Activations of a layer: ``a_out[r, o] = f(sum_i a_in[r, i] w[i, o])``, the sum over the unit too.

    a_out : (rows, >= padded(n_out + 1)) (out); the unit is written to column n_out
    a_in : (rows, > n_in), with the unit in column n_in
    w : (> n_in, >= padded(n_out)), the bias in row n_in
    Rows r0 to r1 are computed; row slices are independent.
    """
    _rows_product(a_out, a_in, w, a_in, activation, np.bool_(True), padded(n_out), n_in + 1, r0, r1)
    for r in span(r0, r1):
        a_out[r, n_out] = 1


@jit(inline=True)
def dense_backward_data(delta_in, delta, w_t, a_in, activation, n_in, n_out, r0, r1):
    """Delta of the layer before: ``delta_in[r, i] = f'(a_in[r, i]) sum_o delta[r, o] w[i, o]``.

    delta_in : (rows, >= padded(n_in)) (out)
    delta : (rows, >= n_out)
    w_t : (n_out, >= padded(n_in)), the transposed weights without the bias
    a_in : (rows, >= padded(n_in)), the activations of the layer before; f is its activation
    Rows r0 to r1 are computed; row slices are independent.
    """
    _rows_product(delta_in, delta, w_t, a_in, activation, np.bool_(False), padded(n_in), n_out, r0, r1)


@jit
def dense_backward_weights(grad_w, a_in, delta, n_rows, i0, i1, o0, o1):
    """Gradient of the cost: ``grad_w[i, o] = sum_r a_in[r, i] delta[r, o]``, the bias as row n_in.

    grad_w : (n_in + 1, >= o1) (out)
    a_in : (rows, > n_in), with the unit in column n_in
    delta : (rows, >= o1); its rows already carry the 1 / n_rows of the mean
    Rows i0 to i1 and columns o0 to o1, which is a number of whole vectors, are computed; all elements are
    independent.
    """
    a_in_t = a_in.T
    for k0 in range(0, n_rows, K_BLOCK):
        k1 = min(n_rows, k0 + K_BLOCK)
        col = o0
        while col < o1:
            col += _widest_panel_product(grad_w, a_in_t, delta, i0, i1, col, o0, o1, k0, k1, n_rows)
