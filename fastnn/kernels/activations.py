"""Activation functions and their derivatives, chosen by code.

Each derivative is a function of the activation's *output*, so pre-activations need not be kept.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit, span
from .exponential import exp, exp_negative, sigmoid, tanh
from .simd import (
    WIDTH_BYTES,
    padded,
    tile_add,
    tile_max,
    tile_multiply,
    vector_load,
    vector_max,
    vector_sum,
)
from .sizes import PAD, ROW_GROUP

ACTIVATIONS = {"identity": 0, "relu": 1, "tanh": 2, "sigmoid": 3}
IDENTITY, RELU, TANH, SIGMOID = ACTIVATIONS.values()
# The output layer may also have these; softmax is a function of the whole row.
SOFTMAX, EXP = 4, 5
OUTPUTS = {**ACTIVATIONS, "softmax": SOFTMAX, "exp": EXP}


@jit
def activate(a, activation, r0, r1, c0, c1):
    """``a[r, c] = f(a[r, c])`` in place.

    a : (rows, cols) (in, out): pre-activations in, activations out
    Rows r0 to r1, columns c0 to c1; elements are independent.
    """
    if activation == RELU:
        for r in span(r0, r1):
            for c in span(c0, c1):
                # Not max(z, 0): that would turn a NaN into 0 and hide a divergence.
                a[r, c] = 0 if a[r, c] < 0 else a[r, c]
    elif activation == TANH:
        for r in span(r0, r1):
            for c in span(c0, c1):
                a[r, c] = tanh(a[r, c])
    elif activation == SIGMOID:
        for r in span(r0, r1):
            for c in span(c0, c1):
                a[r, c] = sigmoid(a[r, c])
    elif activation == EXP:
        for r in span(r0, r1):
            for c in span(c0, c1):
                a[r, c] = exp(a[r, c])


@jit
def multiply_by_derivative(delta, a, activation, r0, r1, c0, c1):
    """``delta[r, c] *= f'(z)``, with f' computed from ``a[r, c] = f(z)``.

    delta : (rows, cols) (in, out)
    a : (rows, cols)
    Rows r0 to r1, columns c0 to c1; elements are independent.
    """
    one = a.dtype.type(1)  # a bare 1 would make float64 of float32
    if activation == RELU:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] = delta[r, c] if a[r, c] > 0 else 0
    elif activation == TANH:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] *= one - a[r, c] * a[r, c]
    elif activation == SIGMOID:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] *= a[r, c] * (one - a[r, c])
    elif activation == EXP:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] *= a[r, c]


@jit
def row_max(z, n_out, r):
    """``max(z[r, :n_out])`` of a matrix of whole rows; NaN are passed over."""
    lanes = WIDTH_BYTES // z.itemsize
    lowest = z.dtype.type(-np.inf)
    most = vector_load(z, r, 0, PAD, n_out, lowest)
    for o in range(lanes, n_out, lanes):
        most = tile_max(most, vector_load(z, r, o, PAD, n_out, lowest))
    return vector_max(most)


@jit
def row_sum(z, n_out, r, stride=PAD):
    """``sum(z[r, :n_out])``, a vector at a time; z is in panels, or of whole rows."""
    lanes = WIDTH_BYTES // z.itemsize
    zero = z.dtype.type(0)
    total = vector_load(z, r, 0, stride, n_out, zero)
    for o in range(lanes, n_out, lanes):
        total = tile_add(total, vector_load(z, r, o, stride, n_out, zero))
    return vector_sum(total)


@jit
def row_sum_of_squares(z, n_out, r):
    """``sum(z[r, :n_out] ** 2)``, a vector at a time; z is of whole rows."""
    lanes = WIDTH_BYTES // z.itemsize
    zero = z.dtype.type(0)
    part = vector_load(z, r, 0, PAD, n_out, zero)
    total = tile_multiply(part, part)
    for o in range(lanes, n_out, lanes):
        part = vector_load(z, r, o, PAD, n_out, zero)
        total = tile_add(total, tile_multiply(part, part))
    return vector_sum(total)


@jit
def exp_rows(out, row_total, row_largest, z, n_out, r0, r1):
    """``out[r, o] = exp(z[r, o] - max_o z[r, o])``, for rows r0 to r1; rows are independent.

    out : (rows, >= padded(n_out)) (out); may be z. Padding columns are written as well: whole vectors are
    faster than the columns that are left over of one.
    row_total, row_largest : (rows,) float64 (out): the sum of each row of `out`, the maximum of `z`
    """
    zero = z.dtype.type(0)
    # Three passes over a few rows, not one row after the other: a row's maximum, exponentials and sum wait
    # for each other, while those of other rows can go on (17 ns a row of 10 outputs, against 42).
    for g0 in range(r0, r1, ROW_GROUP):
        g1 = min(r1, g0 + ROW_GROUP)
        for r in range(g0, g1):
            row_largest[r] = row_max(z, n_out, r)
        for r in span(g0, g1):
            largest = z.dtype.type(row_largest[r])
            for o in span(0, padded(n_out)):
                y = z[r, o] - largest
                out[r, o] = exp_negative(zero if y > zero else y)
        for r in range(g0, g1):
            row_total[r] = row_sum(out, n_out, r)


@jit
def softmax(a, row_total, row_largest, n_out, r0, r1):
    """``a[r, o] = exp(a[r, o]) / sum_j exp(a[r, j])`` in place, for rows r0 to r1."""
    exp_rows(a, row_total, row_largest, a, n_out, r0, r1)
    for r in span(r0, r1):
        total = a.dtype.type(row_total[r])
        for o in span(0, padded(n_out)):
            a[r, o] /= total


@jit
def activate_output(a, row_total, row_largest, output, n_out, r0, r1):
    """The output layer's activation in place, for rows r0 to r1: any of OUTPUTS.

    a : (rows, >= padded(n_out)) (in, out); softmax overwrites padding columns
    row_total, row_largest : (rows,) float64: room for softmax to work in
    """
    if output == SOFTMAX:
        softmax(a, row_total, row_largest, n_out, r0, r1)
    else:
        activate(a, output, r0, r1, np.intp(0), n_out)
