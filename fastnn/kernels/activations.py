"""Activation functions and their derivatives, chosen by code.

Each derivative is a function of the activation's *output*, so pre-activations need not be kept.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit, span
from .exponential import exp_negative, sigmoid, tanh
from .simd import padded

ACTIVATIONS = {"identity": 0, "relu": 1, "tanh": 2, "sigmoid": 3}
IDENTITY, RELU, TANH, SIGMOID = ACTIVATIONS.values()
# The output layer may also have this one, which is a function of the whole row.
SOFTMAX = 4
OUTPUTS = {**ACTIVATIONS, "softmax": SOFTMAX}


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


@jit
def exp_rows(out, z, n_out, r):
    """``out[r, o] = exp(z[r, o] - max_o z[r, o])``; returns their sum, and where the maximum stands.

    out : (rows, >= padded(n_out)) (out); may be z. Padding columns are written as well: whole vectors are
    faster than the columns that are left over of one.
    """
    best = np.uint64(0)
    for o in span(1, n_out):
        if z[r, o] > z[r, best]:
            best = o
    largest = z[r, best]
    zero = z.dtype.type(0)
    for o in span(0, padded(n_out)):
        y = z[r, o] - largest
        out[r, o] = exp_negative(zero if y > zero else y)
    total = zero
    for o in span(0, n_out):
        total += out[r, o]
    return total, best


@jit
def softmax(a, n_out, r0, r1):
    """``a[r, o] = exp(a[r, o]) / sum_j exp(a[r, j])`` in place, for rows r0 to r1."""
    for r in span(r0, r1):
        total, _ = exp_rows(a, a, n_out, r)
        for o in span(0, n_out):
            a[r, o] /= total


@jit
def activate_output(a, output, n_out, r0, r1):
    """The output layer's activation in place, for rows r0 to r1: any of OUTPUTS.

    a : (rows, >= padded(n_out)) (in, out); softmax overwrites padding columns
    """
    if output == SOFTMAX:
        softmax(a, n_out, r0, r1)
    else:
        activate(a, output, r0, r1, 0, n_out)
