"""Loss of each row, and the delta of the output layer.

The *loss* belongs to one row; the *cost* is the mean of the losses over a batch. Delta is the gradient of
the cost with respect to the output layer's pre-activations, so it carries the 1 / n_rows of that mean.
Both cross-entropies are computed from the logits, never from probabilities, and stay finite as long as a
sum of the logits does.
"""

from __future__ import annotations

import math

import numpy as np

from .._jit import jit, span
from .activations import activate_output, exp_rows, multiply_by_derivative
from .exponential import sigmoid
from .simd import padded

LOSSES = {"mse": 0, "binary_cross_entropy": 1, "cross_entropy": 2}
MSE, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = LOSSES.values()


@jit(inline=True)
def _squared_error(row_loss, row_score, delta, a, y, scale, share, n_out, r0, r1):
    for r in span(r0, r1):
        total = 0.0
        for o in span(0, n_out):
            error = a[r, o] - y[r, o]
            total += error * error
            delta[r, o] = error * a.dtype.type(2 * scale * share / n_out)
        row_loss[r] = total * scale / n_out
        row_score[r] = total


@jit(inline=True)
def _binary_cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1):
    for r in span(r0, r1):
        total = 0.0
        hits = 0.0
        for o in span(0, n_out):
            # -log sigmoid(z) = log(1 + exp(-z)), turned so that exp never overflows
            total += max(z[r, o], 0) - z[r, o] * y[r, o] + math.log1p(math.exp(-abs(z[r, o])))
            hits += (z[r, o] > 0) == (y[r, o] > 0)
            delta[r, o] = (sigmoid(z[r, o]) - y[r, o]) * z.dtype.type(scale * share / n_out)
        row_loss[r] = total * scale / n_out
        row_score[r] = hits / n_out


@jit(inline=True)
def _cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1):
    for r in span(r0, r1):
        label = np.uint64(y[r, 0])
        total, best = exp_rows(delta, z, n_out, r)
        # In float64: else the size of the logits would round the logarithm away.
        row_loss[r] = (math.log(total) + (np.float64(z[r, best]) - z[r, label])) * scale
        row_score[r] = label == best
        weight = z.dtype.type(scale * share)
        norm = weight / total
        for o in span(0, n_out):
            delta[r, o] *= norm
        delta[r, label] -= weight


@jit
def loss_and_delta(row_loss, row_score, delta, z, y, loss, scale, share, output, n_out, r0, r1):
    """Loss and delta of rows r0 to r1; rows are independent.

    row_loss : (rows,) float64 (out): the loss of each row, times `scale`
    row_score : (rows,) float64 (out): the fraction of its outputs predicted right, or for ``mse`` its
    squared error, summed over the outputs
    delta : (rows, >= padded(n_out)) (out): d cost / d z, ``share`` being 1 / n_rows
    z : (rows, >= padded(n_out)) (in, out): the output layer before its activation. ``mse`` applies
    the activation `output` to it; the cross-entropies imply theirs and leave the logits.
    y : (rows, n_targets): target values, or the label in column 0 for ``cross_entropy``
    """
    if loss == MSE:
        activate_output(z, output, n_out, r0, r1)
        _squared_error(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)
        multiply_by_derivative(delta, z, output, r0, r1, 0, n_out)
    elif loss == BINARY_CROSS_ENTROPY:
        _binary_cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)
    else:
        _cross_entropy(row_loss, row_score, delta, z, y, scale, share, n_out, r0, r1)
    for r in span(r0, r1):
        for o in span(n_out, padded(n_out)):
            delta[r, o] = 0
