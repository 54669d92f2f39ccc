"""Activation functions and their derivatives, chosen by code.

Each derivative is a function of the activation's *output*, so pre-activations need not be kept.
"""

from __future__ import annotations

import math

from .._jit import jit, span

ACTIVATIONS = {"identity": 0, "relu": 1, "tanh": 2, "sigmoid": 3}
IDENTITY, RELU, TANH, SIGMOID = ACTIVATIONS.values()
# The output layer may also have this one, which is a function of the whole row.
SOFTMAX = 4
OUTPUTS = {**ACTIVATIONS, "softmax": SOFTMAX}


@jit
def sigmoid(z):
    """``1 / (1 + exp(-z))``, without overflow for any z."""
    e = math.exp(-abs(z))
    return (1 if z >= 0 else e) / (1 + e)


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
                a[r, c] = math.tanh(a[r, c])
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
    if activation == RELU:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] = delta[r, c] if a[r, c] > 0 else 0
    elif activation == TANH:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] *= 1 - a[r, c] * a[r, c]
    elif activation == SIGMOID:
        for r in span(r0, r1):
            for c in span(c0, c1):
                delta[r, c] *= a[r, c] * (1 - a[r, c])


@jit
def softmax(a, n_out, r0, r1):
    """``a[r, o] = exp(a[r, o]) / sum_j exp(a[r, j])`` in place, for rows r0 to r1."""
    for r in span(r0, r1):
        largest = a[r, 0]
        for o in span(1, n_out):
            largest = max(largest, a[r, o])
        total = a.dtype.type(0)
        for o in span(0, n_out):
            a[r, o] = math.exp(a[r, o] - largest)
            total += a[r, o]
        for o in span(0, n_out):
            a[r, o] /= total


@jit
def activate_output(a, output, n_out, r0, r1):
    """The output layer's activation in place, for rows r0 to r1: any of OUTPUTS."""
    if output == SOFTMAX:
        softmax(a, n_out, r0, r1)
    else:
        activate(a, output, r0, r1, 0, n_out)
