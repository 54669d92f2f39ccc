"""The three passes of a dense layer, on one register-tiled product.

``forward`` computes a layer's activations, ``backward_data`` the gradient with respect to its inputs,
``backward_weights`` the gradient with respect to its weights. Each is ``out = left @ right`` with another
left and right. All of them lie in panels (see :mod:`.simd`), written so by the pass that makes them, and
nothing is packed here; the weights of forward may also be of whole rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._jit import jit, span
from .activations import activate, multiply_by_derivative
from .simd import (
    WIDTH_BYTES,
    as_one_row,
    padded,
    tile_add_outer,
    tile_load,
    tile_prefetch,
    tile_repeat,
    tile_shape,
    tile_store,
    tile_zeros,
)
from .sizes import (
    FETCHED_ROWS,
    GRADIENT_LOW_ROWS,
    HAS_NARROW_TILES,
    LOW_ROWS,
    NARROW_ROWS,
    PAD,
    TILE_ROWS,
    TILE_VECS,
    sum_block,
)

_VECS = TILE_VECS[WIDTH_BYTES]
_HAS_NARROW = HAS_NARROW_TILES[WIDTH_BYTES]
_LOW_ROWS = LOW_ROWS[WIDTH_BYTES]
K_BLOCK = sum_block(WIDTH_BYTES)


class _Ahead(NamedTuple):
    """Rows `start` to `stop` of the right operand, from column `col` on: fetched while a tile is summed."""

    col: int
    start: int
    stop: int


@jit
def _tile(shape, out, left, right, capacity, stride, row_bias, row, col, k0, k1, ahead, row_ahead):
    """Compute a tile of :func:`_rows_product`; return the next of the rows to fetch."""
    own = capacity * PAD
    if k0 > 0:
        tile = tile_load(shape, out, row, col, own)
    elif row_bias >= 0:
        tile = tile_repeat(shape, right, row_bias, col, stride)
    else:
        tile = tile_zeros(shape)
    for start in range(k0, k1, PAD):
        for k in range(row_ahead, min(ahead.stop, row_ahead + FETCHED_ROWS)):
            tile_prefetch(shape, right, k, ahead.col, stride, 2)
        row_ahead += FETCHED_ROWS
        left_row = start // PAD * capacity + row
        for place in range(min(PAD, k1 - start)):
            tile = tile_add_outer(tile, left, left_row, place, 1, right, start + place, col, stride)
    tile_store(tile, out, row, col, own)
    return row_ahead


@jit(inline=True)
def _tiles(
    shape, height, out, left, right, capacity, stride, row_bias, row, row1, col, k0, k1, ahead, row_ahead
):
    """Compute as many tiles of a height as fit; return the row after them, and the next row to fetch."""
    while row + height <= row1:
        row_ahead = _tile(
            shape, out, left, right, capacity, stride, row_bias, row, col, k0, k1, ahead, row_ahead
        )
        row += height
    return row, row_ahead


@jit(inline=True)
def _columns(n_vecs, height, out, left, right, capacity, stride, row_bias, row, row1, col, k0, k1, ahead):
    """Compute the columns of `n_vecs` vectors from `col` on, in tiles of `height` rows; both are literals."""
    tall, low = tile_shape(out, height, n_vecs), tile_shape(out, _LOW_ROWS, n_vecs)
    n_tall, fetched = (row1 - row) // height, ahead.start
    if height % _LOW_ROWS > 0 and n_tall > 0 and (row1 - row) % height in (2, 3):
        n_tall -= 1  # two low tiles in its place take in the rows that it leaves over
    stop = row + n_tall * height
    row, fetched = _tiles(
        tall, height, out, left, right, capacity, stride, row_bias, row, stop, col, k0, k1, ahead, fetched
    )
    row, fetched = _tiles(
        low, _LOW_ROWS, out, left, right, capacity, stride, row_bias, row, row1, col, k0, k1, ahead, fetched
    )
    one = tile_shape(out, 1, n_vecs)
    _tiles(one, 1, out, left, right, capacity, stride, row_bias, row, row1, col, k0, k1, ahead, fetched)


@jit
def _rows_product(out, left, right, capacity, stride, row_bias, a, activation, n_cols, n_k, r0, r1):
    """``out = left @ right``, then the activation, or its derivative from the activations `a`.

    out, left, a : in panels of `capacity` rows
    right : in panels that are `stride` elements apart, or of whole rows
    row_bias : in forward, the row of `right` that is added to the product; -1 in backward
    """
    zero, one = np.intp(0), np.intp(1)  # bare ones would be types of their own, with code of their own
    lanes = WIDTH_BYTES // out.itemsize
    for k0 in range(0, n_k, K_BLOCK):
        k1 = min(n_k, k0 + K_BLOCK)
        col = zero
        while col < n_cols:
            width = _VECS * lanes
            ahead = _Ahead(col + width, k0, k1)
            if col + width >= n_cols:
                ahead = _Ahead(zero, k1, min(n_k, k1 + K_BLOCK))
            if not _HAS_NARROW or col + width <= n_cols:
                _columns(
                    _VECS, TILE_ROWS, out, left, right, capacity, stride, row_bias, r0, r1, col, k0, k1, ahead
                )
            else:
                width = lanes
                _columns(
                    1, NARROW_ROWS, out, left, right, capacity, stride, row_bias, r0, r1, col, k0, k1, ahead
                )
            col += width
            if k1 == n_k and col % PAD == 0:
                for panel in range((col - max(width, PAD)) // PAD, col // PAD):
                    z = as_one_row(out, panel * capacity + r0, panel * capacity + r1)
                    if row_bias >= 0:
                        activate(z, activation, zero, one, zero, z.size)
                    else:
                        below = as_one_row(a, panel * capacity + r0, panel * capacity + r1)
                        multiply_by_derivative(z, below, activation, zero, one, zero, z.size)


@jit(inline=True)
def dense_forward(a_out, a_in, w, capacity, stride, activation, n_in, n_out, r0, r1):
    """Activations of a layer: ``a_out[r, o] = f(bias[o] + sum_i a_in[r, i] w[i, o])``.

    a_out : (capacity, padded(n_out + 1)) in panels (out); the unit is written to column n_out
    a_in : (capacity, >= padded(n_in)) in panels
    w : (> n_in, >= padded(n_out)), the bias in row n_in; in panels that are `stride` elements apart, or of
    whole rows, where `stride` is PAD
    Rows r0 to r1 are computed; row slices are independent.
    """
    _rows_product(a_out, a_in, w, capacity, stride, n_in, a_in, activation, padded(n_out), n_in, r0, r1)
    of_unit = n_out // PAD * capacity
    for r in span(of_unit + r0, of_unit + r1):
        a_out[r, n_out % PAD] = 1


@jit(inline=True)
def dense_backward_data(delta_in, delta, w_t, capacity, stride, a_in, activation, n_in, n_out, r0, r1):
    """Delta of the layer before: ``delta_in[r, i] = f'(a_in[r, i]) sum_o delta[r, o] w[i, o]``.

    delta_in : (capacity, padded(n_in)) in panels (out)
    delta : (capacity, padded(n_out)) in panels
    w_t : (n_out, padded(n_in)) in panels that are `stride` elements apart: the transposed weights without
    the bias
    a_in : (capacity, >= padded(n_in)) in panels, the activations of the layer before; f is its activation
    Rows r0 to r1 are computed; row slices are independent.
    """
    no_bias = np.intp(-1)
    _rows_product(
        delta_in, delta, w_t, capacity, stride, no_bias, a_in, activation, padded(n_in), n_out, r0, r1
    )


@jit
def _gradient_tile(shape, grad_w, a_in, delta, capacity, row, col, k0, k1):
    """Compute a tile of :func:`dense_backward_weights`; its rows are columns of one panel of a_in."""
    tile = tile_load(shape, grad_w, row, col, PAD) if k0 > 0 else tile_zeros(shape)
    first, place = row // PAD * capacity, row % PAD
    for k in range(k0, k1):
        tile = tile_add_outer(tile, a_in, first + k, place, 0, delta, k, col, capacity * PAD)
    tile_store(tile, grad_w, row, col, PAD)


@jit(inline=True)
def _gradient_columns(n_vecs, height, grad_w, a_in, delta, capacity, row, row1, col, k0, k1):
    """Compute the columns of `n_vecs` vectors from `col` on, in tiles of `height` rows; both are literals."""
    while row < row1:
        n_left = min(row1 - row, PAD - row % PAD)  # in this panel of a_in
        if n_left >= height:
            shape = tile_shape(grad_w, height, n_vecs)
            _gradient_tile(shape, grad_w, a_in, delta, capacity, row, col, k0, k1)
            row += height
        elif n_left >= GRADIENT_LOW_ROWS:
            shape = tile_shape(grad_w, GRADIENT_LOW_ROWS, n_vecs)
            _gradient_tile(shape, grad_w, a_in, delta, capacity, row, col, k0, k1)
            row += GRADIENT_LOW_ROWS
        else:
            shape = tile_shape(grad_w, 1, n_vecs)
            _gradient_tile(shape, grad_w, a_in, delta, capacity, row, col, k0, k1)
            row += 1


@jit
def dense_backward_weights(grad_w, a_in, delta, capacity, n_rows, i0, i1, o0, o1):
    """Gradient of the cost: ``grad_w[i, o] = sum_r a_in[r, i] delta[r, o]``, the bias as row n_in.

    grad_w : (n_in + 1, >= o1) (out)
    a_in : (capacity, padded(n_in + 1)) in panels, with the unit in column n_in
    delta : (capacity, >= o1) in panels; its rows already carry the 1 / n_rows of the mean
    Rows i0 to i1 and columns o0 to o1, which is a number of whole panels, are computed; all elements are
    independent.
    """
    lanes = WIDTH_BYTES // grad_w.itemsize
    for k0 in range(0, n_rows, K_BLOCK):
        k1 = min(n_rows, k0 + K_BLOCK)
        col = np.intp(o0)
        while col < o1:
            if not _HAS_NARROW or col + _VECS * lanes <= o1:
                _gradient_columns(
                    _VECS, TILE_ROWS, grad_w, a_in, delta, capacity, np.intp(i0), i1, col, k0, k1
                )
                col += _VECS * lanes
            else:
                _gradient_columns(1, NARROW_ROWS, grad_w, a_in, delta, capacity, np.intp(i0), i1, col, k0, k1)
                col += lanes
