"""Optimiser updates over a range of the flat parameter vector, and the refresh of transposed weights."""

from __future__ import annotations

import math

import numpy as np

from .._jit import jit, span
from .simd import WIDTH_BYTES, transpose_square

OPTIMIZERS = {"sgd": 0, "adam": 1}
SGD, ADAM = OPTIMIZERS.values()

SETTINGS = np.dtype(
    (
        np.record,  # whose fields plain Python, too, reads as attributes
        [
            ("kind", np.int64),
            ("nesterov", np.int64),
            ("lr", np.float64),
            ("momentum", np.float64),
            ("beta1", np.float64),
            ("beta2", np.float64),
            ("eps", np.float64),
            ("l2", np.float64),
        ],
    )
)


@jit
def _finite_or(new, old):
    """`new` unless it is not finite: no update ever writes inf or NaN into a weight."""
    return new if abs(new) < np.inf else old


@jit(inline=True)
def _sgd(w, g, lr, decay, start, stop):
    for j in span(start, stop):
        w[j] = _finite_or(w[j] - lr * (g[j] + decay * w[j]), w[j])


@jit(inline=True)
def _momentum(w, g, m, lr, momentum, nesterov, decay, start, stop):
    for j in span(start, stop):
        slope = g[j] + decay * w[j]
        m[j] = momentum * m[j] + slope
        direction = slope + momentum * m[j] if nesterov else m[j]
        w[j] = _finite_or(w[j] - lr * direction, w[j])


@jit(inline=True)
def _adam(w, g, m, v, rate, root, eps, beta1, rest1, beta2, rest2, decay, start, stop):
    for j in span(start, stop):
        slope = g[j] + decay * w[j]
        m[j] = beta1 * m[j] + rest1 * slope
        v[j] = beta2 * v[j] + rest2 * (slope * slope)
        w[j] = _finite_or(w[j] - rate * m[j] / (math.sqrt(v[j]) * root + eps), w[j])


@jit
def update(w, g, m, v, settings, step, decay, start, stop):
    """One step of gradient descent on ``w[start:stop]``; elements are independent.

    w : (n,) (in, out); g : (n,), the gradient; m, v : (n,) (in, out), the optimiser's state, which
    plain gradient descent (momentum 0) does not touch. `step` counts from 1. `decay` is added to the
    slope as ``decay * w``: the gradient of the L2 penalty.

    SGD: Rumelhart et al. (1986); Nesterov's form as in Sutskever et al. (2013).
    Adam: Kingma and Ba (2015), algorithm 1, with the bias corrections taken out of the loop.
    """
    number = w.dtype.type
    if settings.kind == ADAM:
        rate = settings.lr / (1 - settings.beta1**step)
        root = 1 / math.sqrt(1 - settings.beta2**step)
        # 1 - beta is taken in float64: 1 - 0.999 in float32 is off by 1e-5.
        beta1, rest1 = number(settings.beta1), number(1 - settings.beta1)
        beta2, rest2 = number(settings.beta2), number(1 - settings.beta2)
        rate, root, eps = number(rate), number(root), number(settings.eps)
        decay = number(decay)
        _adam(w, g, m, v, rate, root, eps, beta1, rest1, beta2, rest2, decay, start, stop)
    elif settings.momentum == 0:
        _sgd(w, g, number(settings.lr), number(decay), start, stop)
    else:
        lr, momentum = number(settings.lr), number(settings.momentum)
        _momentum(w, g, m, lr, momentum, settings.nesterov, number(decay), start, stop)


@jit
def transpose(w_t, w, n_out, i0, i1):
    """``w_t[o, i] = w[i, o]`` for inputs i0 to i1; inputs are independent."""
    lanes = WIDTH_BYTES // w.itemsize
    whole_i, whole_o = i0 + (i1 - i0) // lanes * lanes, n_out // lanes * lanes
    for o in range(0, whole_o, lanes):
        for i in range(i0, whole_i, lanes):
            transpose_square(w_t, o, i, w, i, o)
    for o in span(0, n_out):
        for i in span(whole_i if o < whole_o else i0, i1):
            w_t[o, i] = w[i, o]


@jit
def sum_of_squares(w, start, stop):
    """``sum(w[start:stop] ** 2)`` in float64, in eight sums that are added at the end."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = (stop - start) // 8 * 8
    for j in range(start, start + whole, 8):
        s0 += np.float64(w[j]) * w[j]
        s1 += np.float64(w[j + 1]) * w[j + 1]
        s2 += np.float64(w[j + 2]) * w[j + 2]
        s3 += np.float64(w[j + 3]) * w[j + 3]
        s4 += np.float64(w[j + 4]) * w[j + 4]
        s5 += np.float64(w[j + 5]) * w[j + 5]
        s6 += np.float64(w[j + 6]) * w[j + 6]
        s7 += np.float64(w[j + 7]) * w[j + 7]
    for j in range(start + whole, stop):
        s0 += np.float64(w[j]) * w[j]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
