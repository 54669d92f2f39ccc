"""Optimisers as kernels: one step of ``w[i0:i1, o0:o1]``, with all that :class:`Terms` can ask for.

They read alike. A first line turns the step's numbers into the dtype; then for every element

    slope = clip(scale * g) + l2 * w + l1 * sign(w)
    step  = the optimiser's own formula of slope and states
    w    -= rate * lr * decay * w + step

All have the contract's signature, ``(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1)``, where a state
is named for what it holds: the first state is called m by most, and v by those that keep no mean of slopes.

`rates` are float64, one row of the table that ``Optimizer.rates`` makes, in which stands whatever changes
with the step and not with the element:

    LR         the learning rate itself
    ON_MEAN    the learning rate on m, with every correction that can be taken out of the loop
    ROOT       factor on sqrt(v) that corrects its bias
    EPS        what is then added to the denominator
    ON_SLOPE   the learning rate on the slope itself, in NAdam
"""

from __future__ import annotations

import math

import numpy as np

from ..._jit import jit, span
from ..updates import EPS, LR, ON_MEAN, ON_SLOPE, ROOT, finite_or


@jit(inline=True)
def _slope(g, w, terms):
    """The gradient, scaled and clipped, with that of the penalties; NaN stays NaN."""
    g = g * terms.scale
    g = terms.limit if g > terms.limit else g
    g = -terms.limit if g < -terms.limit else g
    return g + (terms.l2 * w + terms.l1 * np.sign(w))


@jit(inline=True)
def _moved(w, step, shrink):
    """``(1 - shrink) * w - step``; in float32, 1 - shrink itself would lose most of a small shrink."""
    return finite_or(w - (shrink * w + step), w)


@jit
def _rates(w, rates, terms):
    """The learning rate and the share of w that the decoupled decay takes off, as numbers of the dtype."""
    lr = rates[LR] * terms.rate
    return w.dtype.type(lr), w.dtype.type(lr * terms.decay)


@jit
def _adaptive_rates(w, rates, terms):
    """The learning rate on m and the denominator's factor and summand, as numbers of the dtype."""
    number = w.dtype.type
    return number(rates[ON_MEAN] * terms.rate), number(rates[ROOT]), number(rates[EPS])


@jit
def _betas(w, constants):
    """beta1, 1 - beta1, beta2, 1 - beta2, as numbers of the dtype."""
    number = w.dtype.type
    return number(constants[0]), number(constants[1]), number(constants[2]), number(constants[3])


@jit
def sgd(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """``step = lr * slope``; no state, no constants."""
    lr, shrink = _rates(w, rates, terms)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            w[i, o] = _moved(w[i, o], lr * slope, shrink)


@jit
def momentum(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """``m = momentum * m + slope``, ``step = lr * m``, or ``lr * (slope + momentum * m)`` by Nesterov.

    m : the running sum of slopes. constants : momentum, and 1 for Nesterov's form or 0.
    Rumelhart et al. (1986); Sutskever et al. (2013).
    """
    lr, shrink = _rates(w, rates, terms)
    keep, nesterov = w.dtype.type(constants[0]), constants[1] > 0
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            m[i, o] = keep * m[i, o] + slope
            direction = slope + keep * m[i, o] if nesterov else m[i, o]
            w[i, o] = _moved(w[i, o], lr * direction, shrink)


@jit
def rmsprop(w, g, v, m, u, constants, rates, terms, i0, i1, o0, o1):
    """``v = alpha * v + (1 - alpha) * slope**2``, ``step = lr * slope / (sqrt(v) + eps)``.

    v : the running mean of squares. constants : alpha, 1 - alpha, eps, momentum (0 here).
    Tieleman and Hinton (2012).
    """
    lr, shrink = _rates(w, rates, terms)
    alpha, rest, eps, _ = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            v[i, o] = alpha * v[i, o] + rest * (slope * slope)
            w[i, o] = _moved(w[i, o], lr * (slope / (math.sqrt(v[i, o]) + eps)), shrink)


@jit
def rmsprop_momentum(w, g, v, m, u, constants, rates, terms, i0, i1, o0, o1):
    """RMSprop with momentum: ``m = momentum * m + slope / (sqrt(v) + eps)``, ``step = lr * m``.

    v, m : the running mean of squares, the running sum of directions. constants : as of :func:`rmsprop`.
    """
    lr, shrink = _rates(w, rates, terms)
    alpha, rest, eps, keep = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            v[i, o] = alpha * v[i, o] + rest * (slope * slope)
            m[i, o] = keep * m[i, o] + slope / (math.sqrt(v[i, o]) + eps)
            w[i, o] = _moved(w[i, o], lr * m[i, o], shrink)


@jit
def rmsprop_centered(w, g, v, m, u, constants, rates, terms, i0, i1, o0, o1):
    """:func:`rmsprop_momentum` with the variance ``v - u**2`` in place of v; Graves (2013).

    v, m, u : as there, and the running mean of slopes. constants : as there; momentum may be 0.
    """
    lr, shrink = _rates(w, rates, terms)
    alpha, rest, eps, keep = _betas(w, constants)
    # A difference below this share of v is its rounding, and may be negative, which has no root.
    noise = np.finfo(w.dtype).eps
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            v[i, o] = alpha * v[i, o] + rest * (slope * slope)
            u[i, o] = alpha * u[i, o] + rest * slope
            variance, least = v[i, o] - u[i, o] * u[i, o], noise * v[i, o]
            variance = least if variance < least else variance
            m[i, o] = keep * m[i, o] + slope / (math.sqrt(variance) + eps)
            w[i, o] = _moved(w[i, o], lr * m[i, o], shrink)


@jit
def adagrad(w, g, v, m, u, constants, rates, terms, i0, i1, o0, o1):
    """``v = v + slope**2``, ``step = lr * slope / (sqrt(v) + eps)``; Duchi et al. (2011).

    v : the sum of squares. constants : eps.
    """
    lr, shrink = _rates(w, rates, terms)
    eps = w.dtype.type(constants[0])
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            v[i, o] = v[i, o] + slope * slope
            w[i, o] = _moved(w[i, o], lr * (slope / (math.sqrt(v[i, o]) + eps)), shrink)


@jit
def adadelta(w, g, v, u, m, constants, rates, terms, i0, i1, o0, o1):
    """``step = lr * d`` with ``d = sqrt((u + eps) / (v + eps)) * slope``; Zeiler (2012).

    v, u : the running means of slope**2 and of d**2. constants : rho, 1 - rho, eps.
    """
    lr, shrink = _rates(w, rates, terms)
    number = w.dtype.type
    rho, rest, eps = number(constants[0]), number(constants[1]), number(constants[2])
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            v[i, o] = rho * v[i, o] + rest * (slope * slope)
            d = math.sqrt(u[i, o] + eps) / math.sqrt(v[i, o] + eps) * slope
            u[i, o] = rho * u[i, o] + rest * (d * d)
            w[i, o] = _moved(w[i, o], lr * d, shrink)


@jit
def adam(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """``step = on_mean * m / (root * sqrt(v) + eps)``; Adam, and RAdam, by their rates.

    m, v : the running means of slopes and of squares. constants : beta1, 1 - beta1, beta2, 1 - beta2.
    Kingma and Ba (2015); Loshchilov and Hutter (2019) with a decay; Liu et al. (2020).
    """
    _, shrink = _rates(w, rates, terms)
    on_mean, root, eps = _adaptive_rates(w, rates, terms)
    beta1, rest1, beta2, rest2 = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            m[i, o] = beta1 * m[i, o] + rest1 * slope
            v[i, o] = beta2 * v[i, o] + rest2 * (slope * slope)
            step = on_mean * m[i, o] / (math.sqrt(v[i, o]) * root + eps)
            w[i, o] = _moved(w[i, o], step, shrink)


@jit
def amsgrad(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """:func:`adam` with the largest v so far in place of v; Reddi et al. (2018).

    m, v, u : as there, and the largest v. constants : as there.
    """
    _, shrink = _rates(w, rates, terms)
    on_mean, root, eps = _adaptive_rates(w, rates, terms)
    beta1, rest1, beta2, rest2 = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            m[i, o] = beta1 * m[i, o] + rest1 * slope
            v[i, o] = beta2 * v[i, o] + rest2 * (slope * slope)
            u[i, o] = u[i, o] if u[i, o] > v[i, o] else v[i, o]
            step = on_mean * m[i, o] / (math.sqrt(u[i, o]) * root + eps)
            w[i, o] = _moved(w[i, o], step, shrink)


@jit
def nadam(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """``step = (on_mean * m + on_slope * slope) / (root * sqrt(v) + eps)``; Dozat (2016).

    m, v, constants : as in :func:`adam`.
    """
    _, shrink = _rates(w, rates, terms)
    on_mean, root, eps = _adaptive_rates(w, rates, terms)
    on_slope = w.dtype.type(rates[ON_SLOPE] * terms.rate)
    beta1, rest1, beta2, rest2 = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            m[i, o] = beta1 * m[i, o] + rest1 * slope
            v[i, o] = beta2 * v[i, o] + rest2 * (slope * slope)
            step = (on_mean * m[i, o] + on_slope * slope) / (math.sqrt(v[i, o]) * root + eps)
            w[i, o] = _moved(w[i, o], step, shrink)


@jit
def lion(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1):
    """``step = lr * sign(beta1 * m + (1 - beta1) * slope)``, then ``m = beta2 * m + (1 - beta2) * slope``.

    m : the running mean of slopes. constants : as in :func:`adam`. Chen et al. (2023).
    """
    lr, shrink = _rates(w, rates, terms)
    beta1, rest1, beta2, rest2 = _betas(w, constants)
    for i in span(i0, i1):
        for o in span(o0, o1):
            slope = _slope(g[i, o], w[i, o], terms)
            direction = np.sign(beta1 * m[i, o] + rest1 * slope)
            m[i, o] = beta2 * m[i, o] + rest2 * slope
            w[i, o] = _moved(w[i, o], lr * direction, shrink)
