"""Optimiser updates over a range of the flat parameter vector, and the refresh of transposed weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._jit import jit, span
from .address import call_at
from .simd import WIDTH_BYTES, transpose_square
from .sizes import PAD

OPTIMIZERS = {"sgd": 0, "adam": 1}
SGD, ADAM = OPTIMIZERS.values()

UPDATE_SETTINGS = np.dtype(
    (
        np.record,  # so that uncompiled Python reads its fields as attributes
        [
            (name, np.int64)
            for name in (
                "kind",
                "nesterov",
                "update_hook",
                "after_hook",
                "accumulate",
                "skips_absent",
                "block_rows",
            )
        ]
        + [
            (name, np.float64)
            for name in (
                "momentum",
                "beta1",
                "beta2",
                "eps",
                "l2",
                "l1",
                "clip_value",
                "decay",
                "clip_norm",
                "max_norm",
                "average_decay",
            )
        ],
    )
)
# Columns of the table of rates, which has a row for each update of an epoch; see hooks/updates.py.
LR, ON_MEAN, ROOT, EPS, ON_SLOPE, N_RATES = range(6)


class Rates(NamedTuple):
    """Settings of one step of the core's own optimisers: numbers of the dtype, computed once a step."""

    kind: int
    nesterov: bool
    lr: float  # for Adam with both bias corrections that can be taken out of the loop
    momentum: float
    beta1: float
    rest1: float  # 1 - beta1, taken in float64: 1 - 0.999 in float32 is off by 1e-5
    beta2: float
    rest2: float
    root: float  # the factor on sqrt(v) that corrects its bias
    eps: float


class Terms(NamedTuple):
    """Treatment of gradient and weight around the formula of an update by address; numbers of the dtype."""

    scale: float  # factor on the gradient
    limit: float  # the gradient is then clipped to [-limit, limit]; inf for none
    l2: float  # then l2 * w is added
    l1: float  # and l1 * sign(w)
    rate: float  # factor on the learning rate
    decay: float  # decoupled: w shrinks by rate * lr * decay * w


@jit
def step_rates(settings, rates, index, like):
    """Settings and rates of one step, as numbers of the dtype of array `like`."""
    number = like.dtype.type
    return Rates(
        settings.kind,
        settings.nesterov > 0,
        number(rates[index, ON_MEAN if settings.kind == ADAM else LR]),
        number(settings.momentum),
        number(settings.beta1),
        number(1 - settings.beta1),
        number(settings.beta2),
        number(1 - settings.beta2),
        number(rates[index, ROOT]),
        number(settings.eps),
    )


@jit
def finite_or(new, old):
    """Return `new` if it is finite, else `old`: no update ever writes inf or NaN into a weight."""
    return new if abs(new) < np.inf else old


@jit(inline=True)
def _sgd(w, g, rates, decay, i0, i1, o0, o1):
    for i in span(i0, i1):
        for o in span(o0, o1):
            w[i, o] = finite_or(w[i, o] - rates.lr * (g[i, o] + decay * w[i, o]), w[i, o])


@jit(inline=True)
def _momentum(w, g, m, rates, decay, i0, i1, o0, o1):
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = g[i, o] + decay * w[i, o]
            m[i, o] = rates.momentum * m[i, o] + slope
            direction = slope + rates.momentum * m[i, o] if rates.nesterov else m[i, o]
            w[i, o] = finite_or(w[i, o] - rates.lr * direction, w[i, o])


@jit(inline=True)
def _adam(w, g, m, v, rates, decay, i0, i1, o0, o1):
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = g[i, o] + decay * w[i, o]
            m[i, o] = rates.beta1 * m[i, o] + rates.rest1 * slope
            v[i, o] = rates.beta2 * v[i, o] + rates.rest2 * (slope * slope)
            step = rates.lr * m[i, o] / (math.sqrt(v[i, o]) * rates.root + rates.eps)
            w[i, o] = finite_or(w[i, o] - step, w[i, o])


@jit
def update(w, g, m, v, rates, decay, i0, i1, o0, o1):
    """One step of gradient descent on ``w[i0:i1, o0:o1]``; elements are independent.

    w : (rows, cols) (in, out)
    g : (rows, cols), the gradient
    m, v : (rows, cols) (in, out), the optimiser's state; plain gradient descent (momentum 0) has none
    decay : ``decay * w``, the gradient of the L2 penalty, is added to the slope

    SGD: Rumelhart et al. (1986); Nesterov's form as in Sutskever et al. (2013).
    Adam: Kingma and Ba (2015), algorithm 1, with the bias corrections taken out of the loop.
    """
    decay = w.dtype.type(decay)
    if rates.kind == ADAM:
        _adam(w, g, m, v, rates, decay, i0, i1, o0, o1)
    elif rates.momentum > 0:
        _momentum(w, g, m, rates, decay, i0, i1, o0, o1)
    else:
        _sgd(w, g, rates, decay, i0, i1, o0, o1)


@jit
def update_at(settings, state, row, w, g, m, v, u, numbers, i0, i1, o0, o1):
    """Update ``w[i0:i1, o0:o1]`` by the kernel whose address is in the settings; see :mod:`.hooks`.

    numbers : factor on the learning rate, l2, l1, and the decoupled decay
    """
    factor, l2, l1, decay = numbers
    number = w.dtype.type
    terms = Terms(
        scale=number(1),
        limit=number(settings.clip_value),
        l2=number(l2),
        l1=number(l1),
        rate=number(factor),
        decay=number(decay),
    )
    call_at(settings.update_hook, (w, g, m, v, u, state.constants, row, terms, i0, i1, o0, o1))


@jit
def transpose(w_t, w, panel_rows, i0, i1, o0, o1):
    """``w_t[o, i] = w[i, o]`` for inputs i0 to i1 and outputs o0 to o1; elements are independent.

    w_t : (panel_rows, >= i1) in panels (out)
    w : (>= i1, >= o1), of whole rows
    i0, o0, o1 : multiples of PAD
    """
    lanes = WIDTH_BYTES // w.itemsize
    whole = i0 + (i1 - i0) // lanes * lanes
    for i in range(i0, whole, lanes):
        first, place = i // PAD * panel_rows, i % PAD
        for o in range(o0, o1, lanes):
            transpose_square(w_t, first + o, place, w, i, o)
    for i in range(whole, i1):
        first, place = np.uint64(i // PAD * panel_rows), np.uint64(i % PAD)
        for o in span(o0, o1):
            w_t[first + o, place] = w[np.uint64(i), o]


@jit
def sum_of_squares(w, i0, i1, o0, o1):
    """``sum(w[i0:i1, o0:o1] ** 2)`` in float64, in eight sums that are added at the end.

    o1 - o0 is a multiple of 8.
    """
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for i in range(i0, i1):
        for o in range(o0, o1, 8):
            s0 += np.float64(w[i, o]) * w[i, o]
            s1 += np.float64(w[i, o + 1]) * w[i, o + 1]
            s2 += np.float64(w[i, o + 2]) * w[i, o + 2]
            s3 += np.float64(w[i, o + 3]) * w[i, o + 3]
            s4 += np.float64(w[i, o + 4]) * w[i, o + 4]
            s5 += np.float64(w[i, o + 5]) * w[i, o + 5]
            s6 += np.float64(w[i, o + 6]) * w[i, o + 6]
            s7 += np.float64(w[i, o + 7]) * w[i, o + 7]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@jit
def sum_of_absolutes(w, i0, i1, o0, o1):
    """``sum(abs(w[i0:i1, o0:o1]))`` in float64, in four sums; o1 - o0 is a multiple of 8."""
    s0 = s1 = s2 = s3 = 0.0
    for i in range(i0, i1):
        for o in range(o0, o1, 4):
            s0 += abs(np.float64(w[i, o]))
            s1 += abs(np.float64(w[i, o + 1]))
            s2 += abs(np.float64(w[i, o + 2]))
            s3 += abs(np.float64(w[i, o + 3]))
    return (s0 + s1) + (s2 + s3)
