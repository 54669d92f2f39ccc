"""Losses with the delta they begin the backward pass with, a compiled function each.

Most are means over a row's outputs. Of these the functions of one number, ``<name>_terms``, give loss, slope
and score of one output; the kernels, by the same names without ``_terms``, apply them to rows. Their
signature is that of :mod:`fastnn.kernels.hooks`. Those whose output activation is free are functions of the
activation; the others are computed from z, before the output activation that they imply.

A score is the squared error, summed over the outputs, or the fraction of them that is predicted right.
"""

from __future__ import annotations

import numpy as np

from ..._jit import jit, span
from ..activations import SOFTMAX, activate_output, exp_rows, multiply_by_derivative, row_max, row_sum
from ..exponential import exp, exp_negative, log1p_positive, log_normal, sigmoid, tanh
from ..losses import _is_first
from ..simd import padded
from .functions import log_cosh_of, log_or_zero, number, sigmoids, softplus_of

TINY = float(np.finfo(np.float64).tiny)


@jit(inline=True)
def apply_terms(terms, row_loss, row_score, delta, a, y, p, q, scale, share, per_score, n_out, r0, r1):
    """Losses, scores and slopes by ``terms(a[r, o], y[r, o], p, q)``; taken in by each kernel with its own.

    Each of the three starts from the targets and stands in delta's row, so that it can be computed and summed
    in whole vectors: ten outputs one by one take up to 8 times as long. What of the terms is not used, LLVM
    leaves out; terms are inlined as source, since LLVM calls what is large and used three times.
    """
    p, q = a.dtype.type(p), a.dtype.type(q)
    weight = a.dtype.type(scale * share / n_out)
    for r in span(r0, r1):
        for o in span(0, n_out):
            delta[r, o] = y[r, o]
        for o in span(0, padded(n_out)):
            delta[r, o] = terms(a[r, o], delta[r, o], p, q)[0]
        row_loss[r] = row_sum(delta, n_out, np.intp(r)) * (scale / n_out)
        for o in span(0, n_out):
            delta[r, o] = y[r, o]
        for o in span(0, padded(n_out)):
            delta[r, o] = terms(a[r, o], delta[r, o], p, q)[2]
        row_score[r] = row_sum(delta, n_out, np.intp(r)) * per_score
        for o in span(0, n_out):
            delta[r, o] = y[r, o]
        for o in span(0, padded(n_out)):
            delta[r, o] = terms(a[r, o], delta[r, o], p, q)[1] * weight


@jit(inline=True)
def apply_to_output(terms, row_loss, row_score, delta, z, y, p, q, scale, share, output, n_out, r0, r1):
    """Apply the output activation, then the terms, and take the slopes back to z."""
    activate_output(z, row_loss, row_score, output, n_out, r0, r1)
    apply_terms(terms, row_loss, row_score, delta, z, y, p, q, scale, share, 1.0, n_out, r0, r1)
    multiply_by_derivative(delta, z, output, r0, r1, np.intp(0), n_out)


# --- values, with any output activation --------------------------------------------------------------


@jit(inline=True)
def mae_terms(a, y, p, q):
    """``|a - y|``."""
    zero, one = number(0.0, a), number(1.0, a)
    error = a - y
    return abs(error), (one if error > zero else (-one if error < zero else error)), error * error


@jit(inline=True)
def huber_terms(a, y, limit, q):
    """``e^2 / 2`` of ``e = |a - y|`` up to the limit, from there on the tangent (Huber, 1964)."""
    error = a - y
    size = abs(error)
    near = limit if size > limit else size
    slope = near if error > number(0.0, a) else -near
    return near * (size - number(0.5, a) * near), slope, error * error


@jit(inline=True)
def log_cosh_terms(a, y, p, q):
    """``log(cosh(a - y))``."""
    error = a - y
    return log_cosh_of(error), tanh(error), error * error


@jit(inline=True)
def quantile_terms(a, y, level, q):
    """``level (y - a)`` where a is below y, else ``(1 - level) (a - y)`` (Koenker and Bassett, 1978)."""
    zero, rest = number(0.0, a), number(1.0, a) - level
    error = a - y
    slope = rest if error > zero else (-level if error < zero else error)
    return slope * error, slope, error * error


@jit
def mae(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o |a - y|``."""
    apply_to_output(
        mae_terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, output, n_out, r0, r1
    )


@jit
def huber(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o (e^2 / 2 if e < limit else limit (e - limit / 2))``, ``e = |a - y|``; numbers: limit."""
    limit = numbers[0]
    apply_to_output(
        huber_terms, row_loss, row_score, delta, z, y, limit, 0.0, scale, share, output, n_out, r0, r1
    )


@jit
def log_cosh(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o log(cosh(a - y))``."""
    apply_to_output(
        log_cosh_terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, output, n_out, r0, r1
    )


@jit
def _quantile_at(a, y, numbers, r, o):
    """The terms of one output, with its level and its target."""
    level = numbers[o if numbers.size > 1 else 0]
    target = y[r, o if y.shape[1] > 1 else 0]
    return quantile_terms(a[r, o], target, a.dtype.type(level), a.dtype.type(0))


@jit
def quantile(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o max(level (y - a), (level - 1) (y - a))``; numbers: the level, or one for each output.

    Of several outputs and one target each is a quantile of that target.
    """
    weight = z.dtype.type(scale * share / n_out)
    activate_output(z, row_loss, row_score, output, n_out, r0, r1)
    for r in range(r0, r1):
        for o in range(n_out):
            delta[r, o] = _quantile_at(z, y, numbers, r, o)[0]
        row_loss[r] = row_sum(delta, n_out, r) * (scale / n_out)
        for o in range(n_out):
            delta[r, o] = _quantile_at(z, y, numbers, r, o)[2]
        row_score[r] = row_sum(delta, n_out, r)
        for o in range(n_out):
            delta[r, o] = _quantile_at(z, y, numbers, r, o)[1] * weight
    multiply_by_derivative(delta, z, output, r0, r1, np.intp(0), n_out)


# --- counts and amounts, from the logarithm of their mean ---------------------------------------------


@jit(inline=True)
def poisson_terms(z, y, p, q):
    """``y log(y / m) - y + m`` with ``m = exp(z)``, half of a Poisson distribution's deviance."""
    mean = exp(z)
    error = mean - y
    return error + y * (log_or_zero(y) - z), error, error * error


@jit(inline=True)
def gamma_terms(z, y, p, q):
    """``y / m - log(y / m) - 1`` with ``m = exp(z)``, half of a gamma distribution's deviance."""
    one = number(1.0, z)
    lead = z - log_or_zero(y)
    ratio, error = exp(-lead), exp(z) - y
    return lead + (ratio - one), one - ratio, error * error


@jit(inline=True)
def tweedie_terms(z, y, power, q):
    """``y^b / (a b) - y m^a / a + m^b / b``, ``m = exp(z)``, ``a = 1 - power``, ``b = 2 - power``.

    Half of the deviance of a Tweedie distribution with a power between 1 and 2: sums of a number of gamma
    amounts that a Poisson distribution gives (Jorgensen, 1987).
    """
    zero = number(0.0, z)
    a, b = number(1.0, z) - power, number(2.0, z) - power
    ratio = exp(a * z)
    below = y * ratio if y > zero else zero  # ratio may be infinite
    above, error = exp(b * z), exp(z) - y
    own = exp(b * log_or_zero(y)) if y > zero else zero
    return own / (a * b) - below / a + above / b, above - below, error * error


@jit
def poisson(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o (y log(y / m) - y + m)``, ``m = exp(z)``."""
    apply_terms(poisson_terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, 1.0, n_out, r0, r1)


@jit
def gamma(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o (y / m - log(y / m) - 1)``, ``m = exp(z)``."""
    apply_terms(gamma_terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, 1.0, n_out, r0, r1)


@jit
def tweedie(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """Mean over the outputs of half the deviance of :func:`tweedie_terms`; numbers: the power."""
    power = numbers[0]
    apply_terms(tweedie_terms, row_loss, row_score, delta, z, y, power, 0.0, scale, share, 1.0, n_out, r0, r1)


# --- labels 0 and 1 of each output --------------------------------------------------------------------


@jit
def is_right(z, y):
    """1 if an output above 0 says that the label is 1, else 0."""
    zero = number(0.0, z)
    return number(1.0, z) if (z > zero) == (y > zero) else zero


@jit(inline=True)
def binary_cross_entropy_terms(z, y, smoothing, q):
    """``-t log(s) - (1 - t) log(1 - s)``, ``s = sigmoid(z)``, ``t = (1 - smoothing) y + smoothing / 2``."""
    target = y + smoothing * (number(0.5, z) - y)
    return softplus_of(z) - z * target, sigmoid(z) - target, is_right(z, y)


@jit(inline=True)
def binary_focal_terms(z, y, focus, alpha):
    """``-w (1 - s)^focus log(s)``, s the label's probability (Lin et al., 2017).

    w is alpha for label 1 and 1 - alpha for label 0; with an alpha below 0 it is 1 for both.
    """
    zero, one = number(0.0, z), number(1.0, z)
    positive = y > zero
    logit = z if positive else -z  # of the label
    weight = alpha if positive else one - alpha
    weight = one if alpha < zero else weight
    s, rest = sigmoids(logit)
    tail = log1p_positive(exp_negative(-abs(logit)))
    cost = tail + (zero if logit > zero else -logit)  # -log(s)
    factor = weight * exp_negative(-focus * (tail + (logit if logit > zero else zero)))
    slope = -factor * (focus * s * cost + rest)
    return factor * cost, slope if positive else -slope, is_right(z, y)


@jit(inline=True)
def hinge_terms(z, y, p, q):
    """``max(0, 1 - t z)`` with ``t = 2 y - 1`` (Cortes and Vapnik, 1995)."""
    zero, one = number(0.0, z), number(1.0, z)
    sign = y + y - one
    short = one - sign * z
    return zero if short < zero else short, -sign if short > zero else zero, is_right(z, y)


@jit(inline=True)
def squared_hinge_terms(z, y, p, q):
    """``max(0, 1 - t z)^2`` with ``t = 2 y - 1``."""
    zero, one = number(0.0, z), number(1.0, z)
    sign = y + y - one
    short = one - sign * z
    short = zero if short < zero else short
    return short * short, number(-2.0, z) * sign * short, is_right(z, y)


@jit
def binary_cross_entropy(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o (log(1 + exp(z)) - t z)``, ``t = (1 - smoothing) y + smoothing / 2``; numbers: smoothing."""
    terms, smoothing = binary_cross_entropy_terms, numbers[0]
    per = 1.0 / n_out
    apply_terms(terms, row_loss, row_score, delta, z, y, smoothing, 0.0, scale, share, per, n_out, r0, r1)


@jit
def binary_focal(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o (-w (1 - s)^focus log(s))``, s the label's probability; numbers: focus, alpha."""
    terms, focus, alpha = binary_focal_terms, numbers[0], numbers[1]
    per = 1.0 / n_out
    apply_terms(terms, row_loss, row_score, delta, z, y, focus, alpha, scale, share, per, n_out, r0, r1)


@jit
def hinge(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o max(0, 1 - t z)``, ``t = 2 y - 1``."""
    per = 1.0 / n_out
    apply_terms(hinge_terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, per, n_out, r0, r1)


@jit
def squared_hinge(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``mean_o max(0, 1 - t z)^2``, ``t = 2 y - 1``."""
    terms, per = squared_hinge_terms, 1.0 / n_out
    apply_terms(terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, per, n_out, r0, r1)


# --- one class of several -----------------------------------------------------------------------------


@jit
def cross_entropy(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``-sum_o t log(softmax(z))``, ``t = (1 - smoothing) [o is the label] + smoothing / n_out``.

    numbers: smoothing (Szegedy et al., 2016). z is overwritten.
    """
    smoothing = numbers[0]
    weight = z.dtype.type(scale * share)
    at_label, everywhere = (
        z.dtype.type(scale * share * (1.0 - smoothing)),
        weight * z.dtype.type(smoothing / n_out),
    )
    exp_rows(delta, row_loss, row_score, z, n_out, r0, r1)
    for r in span(r0, r1):
        norm = weight / z.dtype.type(row_loss[r])
        label, largest = np.uint64(y[r, 0]), z.dtype.type(row_score[r])
        gap = row_score[r] - z[r, label]
        right = gap == 0 and _is_first(z, r, label)
        for o in span(0, n_out):
            delta[r, o] = delta[r, o] * norm - everywhere
            z[r, o] = largest - z[r, o]
        delta[r, label] -= at_label
        gap += smoothing * (row_sum(z, n_out, np.intp(r)) / n_out - gap)
        row_loss[r] = (log_normal(row_loss[r]) + gap) * scale
        row_score[r] = right


@jit
def focal(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``-alpha (1 - s)^focus log(s)``, s the label's softmax (Lin et al., 2017); numbers: focus, alpha."""
    focus, alpha = numbers[0], numbers[1]
    exp_rows(delta, row_loss, row_score, z, n_out, r0, r1)
    for r in span(r0, r1):
        label = np.uint64(y[r, 0])
        gap = row_score[r] - z[r, label]
        row_score[r] = gap == 0 and _is_first(z, r, label)
        # 1 - s from the others alone, of which a sure row has next to nothing.
        own = np.float64(delta[r, label])
        delta[r, label] = 0
        others = row_sum(delta, n_out, np.intp(r)) + np.float64(0)
        s, rest = own / (own + others), others / (own + others)
        cost = log1p_positive(others + (own - 1.0)) + gap  # -log(s)
        factor = alpha * exp_negative(focus * log_normal(rest + TINY))
        row_loss[r] = factor * cost * scale
        # d loss / d z_label is -factor (focus s cost / rest + 1) (1 - s), and the others' share in it s_o.
        slope = factor * (focus * s * cost / (rest + TINY) + 1.0) * scale * share
        norm = z.dtype.type(slope / (own + others))
        for o in span(0, n_out):
            delta[r, o] *= norm
        delta[r, label] = -slope * rest


@jit
def multiclass_hinge(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``max(0, 1 + max_{o is not the label} z - z_label)`` (Crammer and Singer, 2001)."""
    weight = z.dtype.type(scale * share)
    for r in span(r0, r1):
        label = np.uint64(y[r, 0])
        own = z[r, label]
        total = row_sum(z, n_out, np.intp(r))  # NaN if one of them is, which a maximum passes over
        z[r, label] = -np.inf
        best = row_max(z, n_out, np.intp(r))
        rival = np.uint64(0)
        for o in span(0, n_out):
            delta[r, o] = 0
            rival = o if z[r, o] == best and z[r, rival] != best else rival
        z[r, label] = own
        ahead = np.float64(own) - np.float64(best)
        row_score[r] = ahead > 0 or (ahead == 0 and label < rival)
        short = 0.0 if ahead > 1 else 1.0 - ahead
        row_loss[r] = (total if total != total else short) * scale
        if ahead < 1:
            delta[r, rival] = weight
            delta[r, label] = -weight


@jit
def kl_divergence(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``sum_o y log(y / softmax(z))``, y probabilities that sum to 1 (Kullback and Leibler, 1951).

    A row counts as right if its most probable class is. z is overwritten.
    """
    weight = z.dtype.type(scale * share)
    exp_rows(delta, row_loss, row_score, z, n_out, r0, r1)
    for r in span(r0, r1):
        norm, largest = weight / z.dtype.type(row_loss[r]), z.dtype.type(row_score[r])
        label = np.uint64(0)
        for o in span(0, n_out):
            label = o if y[r, o] > y[r, label] else label
        row_score[r] = z[r, label] == largest and _is_first(z, r, label)
        for o in span(0, n_out):
            delta[r, o] = delta[r, o] * norm - y[r, o] * weight
            z[r, o] = y[r, o] * (log_or_zero(y[r, o]) + (largest - z[r, o]))
        row_loss[r] = (row_sum(z, n_out, np.intp(r)) + log_normal(row_loss[r])) * scale


# --- a gradient from outside --------------------------------------------------------------------------


@jit
def linear(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    """``sum_o y a``: its slope by the outputs a, y, is the gradient of a cost that is computed elsewhere."""
    weight = z.dtype.type(scale * share)
    activate_output(z, row_loss, row_score, output, n_out, r0, r1)
    for r in span(r0, r1):
        for o in span(0, n_out):
            delta[r, o] = y[r, o] * z[r, o]
        total = row_sum(delta, n_out, np.intp(r))
        row_loss[r], row_score[r] = total * scale, 0.0
        mean = z.dtype.type(total)
        if output == SOFTMAX:
            for o in span(0, n_out):
                delta[r, o] = (y[r, o] - mean) * z[r, o] * weight
        else:
            for o in span(0, n_out):
                delta[r, o] = y[r, o] * weight
    multiply_by_derivative(delta, z, output, r0, r1, np.intp(0), n_out)
