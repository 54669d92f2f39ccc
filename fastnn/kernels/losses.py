"""Loss of each row, and the delta of the output layer.

The *loss* belongs to one row; the *cost* is the mean of the losses over a batch. Delta is the gradient of
the cost with respect to the output layer's pre-activations, so it carries the 1 / n_rows of that mean.
Both cross-entropies are computed from the logits, never from probabilities, and stay finite as long as a
sum of the logits does.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit, span
from .activations import activate_output, exp_rows, multiply_by_derivative, row_sum, row_sum_of_squares
from .exponential import exp_negative, log1p_positive, log_normal
from .simd import WIDTH_BYTES, padded, tile_store, vector_load
from .sizes import PAD

LOSSES = {"mse": 0, "binary_cross_entropy": 1, "cross_entropy": 2}
MSE, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = LOSSES.values()


@jit(inline=True)
def _squared_error(row_loss, row_score, delta, a, y, scale, share, n_out, r0, r1):
    weight = a.dtype.type(2 * scale * share / n_out)
    for r in span(r0, r1):
        for o in span(0, n_out):
            delta[r, o] = a[r, o] - y[r, o]
        total = row_sum_of_squares(delta, n_out, np.intp(r))
        row_loss[r] = total * (scale / n_out)
        row_score[r] = total
        for o in span(0, n_out):
            delta[r, o] *= weight


@jit(inline=True)
def _binary_cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    weight = z.dtype.type(scale * share / n_out)
    for r in span(r0, r1):
        hits = 0
        for o in span(0, n_out):
            hits += (z[r, o] > zero) == (y[r, o] > zero)
        row_score[r] = hits / n_out
        for o in span(0, n_out):
            # -log sigmoid(z) = log(1 + exp(-z)), turned so that exp never overflows
            logit, e = z[r, o], exp_negative(-abs(z[r, o]))
            delta[r, o] = ((one if logit >= zero else e) / (one + e) - y[r, o]) * weight
            z[r, o] = (zero if logit < zero else logit) - logit * y[r, o] + log1p_positive(e)
        row_loss[r] = row_sum(z, n_out, np.intp(r)) * (scale / n_out)


@jit(inline=True)
def _is_first(z, r, label):
    """True if no class before the label has the same logit: of equal logits the first is predicted."""
    n_equal = 0
    for o in span(0, label):
        n_equal += z[r, o] == z[r, label]
    return n_equal == 0


@jit(inline=True)
def _cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1):
    weight = z.dtype.type(scale * share)
    exp_rows(delta, row_loss, row_score, z, n_out, r0, r1)
    for r in span(r0, r1):
        norm = weight / z.dtype.type(row_loss[r])
        for o in span(0, padded(n_out)):
            delta[r, o] *= norm
        label = np.uint64(y[r, 0])
        delta[r, label] -= weight
        # How far the label's logit is below the largest; in float64, else its size would round the
        # logarithm away.
        row_score[r] -= z[r, label]
    for r in span(r0, r1):
        row_loss[r] = (log_normal(row_loss[r]) + row_score[r]) * scale
    for r in span(r0, r1):
        row_score[r] = row_score[r] == 0 and _is_first(z, r, np.uint64(y[r, 0]))


@jit
def loss_and_delta(row_loss, row_score, delta, z, y, loss, scale, share, output, n_out, r0, r1):
    """Loss and delta of rows r0 to r1; rows are independent.

    row_loss : (rows,) float64 (out): the loss of each row, times `scale`
    row_score : (rows,) float64 (out): the fraction of its outputs predicted right, or for ``mse`` its
    squared error, summed over the outputs
    delta : (rows, >= padded(n_out)) (out): d cost / d z, where `share` is 1 / n_rows; its padding may hold
    anything
    z : (rows, >= padded(n_out)) (in, out): the output layer before its activation. ``mse`` applies
    the activation `output` to it; the cross-entropies imply theirs, and leave values that nothing reads.
    y : (rows, n_targets): target values, or the label in column 0 for ``cross_entropy``
    """
    if loss == MSE:
        activate_output(z, row_loss, row_score, output, n_out, r0, r1)
        _squared_error(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)
        multiply_by_derivative(delta, z, output, r0, r1, np.intp(0), n_out)
    elif loss == BINARY_CROSS_ENTROPY:
        _binary_cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)
    else:
        _cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)


@jit
def clear_padding(delta, n_out, r0, r1):
    """``delta[r, o] = 0`` in the padding columns, which the gradient of the weights reads.

    Whole vectors are written: LLVM would turn every row into a call of memset.
    """
    lanes, zero = WIDTH_BYTES // delta.itemsize, delta.dtype.type(0)
    for r in range(r0, r1):
        for o in range(n_out // lanes * lanes, padded(n_out), lanes):
            tile_store(vector_load(delta, r, o, PAD, n_out, zero), delta, r, o, PAD)
