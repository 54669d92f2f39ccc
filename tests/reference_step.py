"""Plain NumPy twins of the training step: same names, same arguments, no blocks and no threads.

They work on plain matrices of their own, in float64; of the workspace they write the rows' losses and
scores. The panels of the weights, which they do not read, are left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import reference
import reference_hooks
import reference_updates
from reference import weight_of

from fastnn.kernels import address
from fastnn.kernels.hooks.rows import BATCH_NORM, MOMENTUM, NORM_EPS
from fastnn.kernels.records import (
    COST_SUM,
    FAILED,
    NOT_FINITE,
    PENALTY_SUM,
    ROWS_DONE,
    SCORE_SUM,
    STEPS_DONE,
    WEIGHT_SUM,
)
from fastnn.kernels.updates import Terms


def name_at(function):
    """The name of the kernel at an address."""
    return address._functions[function].__name__


def weights(layer, flat):
    """A layer's part of a flat vector: weights, bias, and the rows below it."""
    n_rows, n_cols = layer["w_rows"], layer["w_cols"]
    return flat[layer["w_start"] :][: n_rows * n_cols].reshape(n_rows, n_cols)[:, : layer["n_out"]]


def running_of(layer, network):
    """Running mean and variance of a layer's batch normalisation."""
    n_cols = layer["w_cols"]
    return network.running[2 * layer["s_start"] :][: 2 * n_cols].reshape(2, n_cols)[:, : layer["n_out"]]


# --- rows of a hooked layer --------------------------------------------------------------------------


def mix(bits):
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def mask(seed, step, depth, rate, n_rows, n_cols):
    """Factors that dropout puts on the batch's rows: SplitMix64 for each row, lowbias32 for its elements."""
    seeds, steps, depths = (np.array([value], np.uint64) for value in (seed, step, depth + 1))
    key = mix(seeds + np.uint64(0x9E3779B97F4A7C15) * steps)
    key = mix(key + (depths << np.uint64(32)) + np.arange(n_rows, dtype=np.uint64))
    key = (key >> np.uint64(32)).astype(np.uint32)[:, np.newaxis]
    bits = key + np.arange(n_cols, dtype=np.uint32) * np.uint32(0x9E3779B9)
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    bits ^= bits >> np.uint32(16)
    return (bits >= rate * 2.0**32) / (1 - rate)


class Passed(NamedTuple):
    """Values of a layer's forward pass that its backward pass needs; None for what the layer lacks."""

    a_in: np.ndarray
    a: np.ndarray
    slopes: np.ndarray  # d output / d normalised z, without what a residual connection adds
    below: np.ndarray | None  # d output / d slope of a prelu
    normed: np.ndarray | None
    scale: np.ndarray | None  # 1 / deviation


def forward_hook(network, depth, a_in, z, step, learns):
    """From z to the layer's output."""
    layer = network.layers[depth]
    shift, gain, slope = parameters_below(layer, weights(layer, network.params))
    normed = scale = below = None
    if layer["norm"]:
        axis = 0 if layer["norm"] == BATCH_NORM else 1
        mean, variance = z.mean(axis, keepdims=True), z.var(axis, keepdims=True)
        if layer["norm"] == BATCH_NORM:
            running, n_rows = running_of(layer, network), len(z)
            if step == 0:
                mean, variance = running
            elif learns:
                unbiased = variance[0] * n_rows / max(1, n_rows - 1)
                running += MOMENTUM * (np.stack([mean[0], unbiased]) - running)
        scale = 1 / np.sqrt(variance + NORM_EPS)
        normed = (z - mean) * scale
        z = gain * normed + shift
    if layer["prelu"]:
        a, slopes, below = np.where(z > 0, z, slope * z), np.where(z > 0, 1, slope), np.minimum(z, 0)
    elif layer["hooked"]:
        a, slopes = z.copy(), np.empty_like(z)
        activate = reference_hooks.ACTIVATIONS[name_at(layer["function"])]
        activate(a, slopes, layer["alpha"], 0, len(a), layer["n_out"])
    else:
        a = reference.FUNCTIONS[layer["activation"]](z)
        slopes = reference.DERIVATIVES[layer["activation"]](a)
    if layer["dropout"] > 0 and step > 0:
        factors = mask(network.seed, step, depth, layer["dropout"], *a.shape)
        a, slopes = a * factors, slopes * factors
        below = None if below is None else below * factors
    if layer["residual"]:
        a = a + a_in[:, :-1]
    return Passed(a_in, a, slopes, below, normed, scale)


def parameters_below(layer, w):
    """Shift, gain and learned slope; None for what the layer does not have."""
    rows = list(w[layer["n_in"] + 1 :])
    shift, gain = (rows.pop(0), rows.pop(0)) if layer["norm"] else (None, None)
    return shift, gain, rows.pop(0) if layer["prelu"] else None


def backward_hook(network, depth, passed, delta):
    """From d cost / d output to d cost / d z, and the gradients of the parameters below the bias."""
    layer = network.layers[depth]
    _, gain, _ = parameters_below(layer, weights(layer, network.params))
    of_slope = [] if passed.below is None else [(delta * passed.below).sum(axis=0)]
    delta = delta * passed.slopes
    if passed.normed is None:
        return delta, of_slope
    of_norm = [delta.sum(axis=0), (delta * passed.normed).sum(axis=0)]
    axis, delta = 0 if layer["norm"] == BATCH_NORM else 1, delta * gain
    mean, product = delta.mean(axis, keepdims=True), (delta * passed.normed).mean(axis, keepdims=True)
    return passed.scale * (delta - mean - passed.normed * product), of_norm + of_slope


# --- embeddings -------------------------------------------------------------------------------------


def tables_of(network):
    """Places in `layers` of the embeddings."""
    return range(network.n_layers, len(network.layers))


def embed(network, x):
    """Numeric features in their order, then the vector of each embedded column's category."""
    if not network.columns.size:
        return x
    parts = [x[:, network.columns >= 0]]
    for table in network.layers[network.n_layers :]:
        parts.append(weights(table, network.params)[x[:, table["column"]].astype(int)])
    return np.hstack(parts)


def gradients_of_vectors(network, grads, x, d_in):
    """From d cost / d inputs of the first layer to the gradient of every category's vector."""
    end = d_in.shape[1]
    for table in reversed(network.layers[network.n_layers :]):
        codes, start = x[:, table["column"]].astype(int), end - table["n_out"]
        is_category = codes == np.arange(table["n_in"])[:, np.newaxis]
        weights(table, grads)[:] = is_category.astype(np.float64) @ d_in[:, start:end]
        end = start


# --- the step ---------------------------------------------------------------------------------------


def with_unit(a):
    return np.hstack([a, np.ones((len(a), 1))])


def forward(network, x, step, learns=False):
    """Values of these rows that every layer's backward pass needs; the last one's `a` are the logits."""
    a, entry = embed(network, x), network.layers[0]
    if step > 0 and entry["input_dropout"] > 0:
        a = a * mask(network.seed, step, -1, entry["input_dropout"], *a.shape)
    passes = []
    for depth, layer in enumerate(network.layers[: network.n_layers]):
        a_in = with_unit(a)
        z = np.empty((len(a), layer["n_out"] + 1))
        w = weights(layer, network.params)
        reference.dense_forward(z, a_in, w, reference.IDENTITY, layer["n_in"], layer["n_out"], 0, len(a))
        passes.append(forward_hook(network, depth, a_in, z[:, :-1], step, learns))
        a = passes[-1].a
    return passes


def rows_and_targets(network, data, first, n_rows):
    n_in = network.columns.size or network.layers[0]["n_in"]
    a, y = np.empty((n_rows, n_in + 1)), np.empty((n_rows, data.labels.shape[1] + data.targets.shape[1]))
    reference.gather(a, y, data, first, 0, n_in, 0, n_rows)
    return a[:, :-1], y


def loss_rows(row_loss, row_score, z, y, network, data, objective, first, total):
    """Write losses and scores of the rows; return delta."""
    n_rows, n_out = z.shape
    delta, z = np.empty_like(z), z.copy()
    scalars = objective.scale, 1 / total, network.output, n_out, 0, n_rows
    if objective.function:
        kernel = reference_hooks.LOSSES[name_at(objective.function)]
        kernel(row_loss, row_score, delta, z, y, objective.numbers, *scalars)
    else:
        reference.loss_and_delta(row_loss, row_score, delta, z, y, objective.loss, *scalars)
    if data.weights.size:
        reference.weigh_rows(row_loss, row_score, delta, data, first, n_out, 0, n_rows)
    return delta


def gradient_of_batch(grads, network, work, data, objective, first, n_rows, total, step, learns):
    """Gradient of the batch from `first` on, as a part of rows whose weights sum to `total`."""
    x, y = rows_and_targets(network, data, first, n_rows)
    passes = forward(network, x, step, learns)
    z = passes[-1].a
    d_out = loss_rows(work.row_loss, work.row_score, z, y, network, data, objective, first, total)
    for depth in reversed(range(len(passes))):
        layer, passed = network.layers[depth], passes[depth]
        n_in, n_out = layer["n_in"], layer["n_out"]
        last = depth + 1 == len(passes)  # whose delta the loss has made
        delta, below = (d_out, []) if last else backward_hook(network, depth, passed, d_out)
        grad, w = weights(layer, grads), weights(layer, network.params)
        reference.dense_backward_weights(grad, passed.a_in, delta, n_rows, 0, n_in + 1, 0, n_out)
        for row, values in enumerate(below, n_in + 1):
            grad[row] = values
        d_in = np.empty((n_rows, n_in))
        reference.dense_backward_data(
            d_in, delta, w[:n_in].T, passed.a_in, reference.IDENTITY, n_in, n_out, 0, n_rows
        )
        d_out = d_in + d_out if layer["residual"] else d_in
    if step > 0 and network.layers[0]["input_dropout"] > 0:
        d_out = d_out * mask(network.seed, step, -1, network.layers[0]["input_dropout"], *d_out.shape)
    gradients_of_vectors(network, grads, x, d_out)


def gradient(grads, network, work, data, objective, n_rows):
    total = weight_of(data, 0, n_rows)
    gradient_of_batch(grads, network, work, data, objective, 0, n_rows, total, 1, False)
    return work.row_loss[:n_rows].sum() / total


def score_part(part, n_parts, losses, scores, network, work, data, objective):
    """Take all rows, whatever the part."""
    x, y = rows_and_targets(network, data, 0, losses.size)
    z = forward(network, x, step=0)[-1].a
    loss_rows(losses, scores, z, y, network, data, objective, 0, 1.0)


def predict_hooked_part(part, n_parts, out, x, network, work):
    """Take all rows, whatever the part."""
    out[:] = forward(network, x, step=0)[-1].a
    reference.activate_output(out, None, None, network.output, out.shape[1], 0, len(x))


def update_weights(network, state, grads, index, total):
    """Update all weights with their gradient; return the penalty of the weights before."""
    settings, penalty = state.settings[0], 0.0
    l2, l1 = settings["l2"] / total, settings["l1"] / total
    states = state.m, state.v, state.u
    vectors = [network.params, grads, *(state if state.size else np.zeros_like(grads) for state in states)]
    row = state.rates[index]
    for depth, layer in enumerate(network.layers):
        (w, *rest), n_in, n_out = [weights(layer, flat) for flat in vectors], layer["n_in"], layer["n_out"]
        penalty += l2 / 2 * reference.sum_of_squares(w, 0, n_in, 0, n_out)
        penalty += l1 * reference.sum_of_absolutes(w, 0, n_in, 0, n_out)
        for rows, of_l2, of_l1, decay, factor in [
            ((0, n_in), l2, l1, settings["decay"], state.factors[depth, 0]),
            ((n_in, len(w)), 0.0, 0.0, 0.0, state.factors[depth, 1]),
        ]:
            if settings["update_hook"]:
                kernel = getattr(reference_updates, name_at(settings["update_hook"]))
                terms = Terms(1.0, settings["clip_value"], of_l2, of_l1, factor, decay)
                kernel(w, *rest, state.constants, row, terms, *rows, 0, n_out)
            else:
                rates = reference.step_rates(settings, state.rates, index, w)
                reference.update(w, *rest[:3], rates, of_l2, *rows, 0, n_out)
    return penalty


def after_update(network, state):
    settings = state.settings[0]
    for depth, layer in enumerate(network.layers):
        w = weights(layer, network.params)
        if settings["max_norm"] > 0 and depth not in tables_of(network):
            norms = np.sqrt((w[: layer["n_in"]] ** 2).sum(axis=0))
            w[: layer["n_in"]] *= np.minimum(1, settings["max_norm"] / norms)
        if state.average.size:
            average = weights(layer, state.average)
            average += (1 - settings["average_decay"]) * (w - average)


def train_part(part, n_parts, team, network, work, data, objective, state, plan, totals):
    """Do all of the work, whatever the part."""
    first, n_rows, batch_size, step = plan
    settings, end = state.settings[0], first + n_rows
    group_size = batch_size * settings["accumulate"]
    fresh, full_grad = np.zeros_like(network.params), state.full_grad
    while first < end:
        n = min(batch_size, end - first)
        index = first // group_size
        begin, stop = (
            (index * group_size, len(data.indices)) if settings["accumulate"] > 1 else (first, first + n)
        )
        stop = min(stop, begin + group_size)
        total, weight = weight_of(data, begin, stop), weight_of(data, first, first + n)
        gradient_of_batch(fresh, network, work, data, objective, first, n, total, step, learns=True)
        cost = work.row_loss[:n].sum() / weight
        if not np.isfinite(cost):
            totals[FAILED] = NOT_FINITE
            return
        done = [COST_SUM, SCORE_SUM, WEIGHT_SUM, STEPS_DONE, ROWS_DONE]
        totals[done] += cost * n, work.row_score[:n].sum(), weight, 1, n
        grads = fresh
        if full_grad.size:
            grads = full_grad
            grads[:] = fresh + (0 if first == begin else grads)
        if first + n == stop:
            if settings["clip_norm"] > 0:
                norm = np.sqrt(sum((weights(layer, grads) ** 2).sum() for layer in network.layers))
                grads = grads * min(1, settings["clip_norm"] / (norm + 1e-6))
            totals[PENALTY_SUM] += update_weights(network, state, grads, index, total) * (stop - begin)
            after_update(network, state)
        step += 1
        first += n
