"""Plain NumPy twins of the kernels: same names, same arguments, no tiles, no blocks, no threads.

A twin computes in the dtype of the arrays it is given. The tests hand it float64 copies of a kernel's
arrays (:func:`doubled`), so that what differs is the kernel's rounding, and its errors.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels.activations import IDENTITY, RELU, SIGMOID, SOFTMAX, TANH
from fastnn.kernels.losses import BINARY_CROSS_ENTROPY, MSE
from fastnn.kernels.simd import padded
from fastnn.kernels.step import COST_SUM, FAILED, NOT_FINITE, ROWS_DONE, SCORE_SUM, STEPS_DONE
from fastnn.kernels.updates import ADAM


def doubled(value):
    """A copy of an array, or of a tuple's arrays, in float64; what is not of floats is only copied."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()
    if isinstance(value, tuple):
        parts = [doubled(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


# --- activations ------------------------------------------------------------------------------------


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


FUNCTIONS = {
    IDENTITY: lambda z: z,
    RELU: lambda z: np.where(z < 0, 0, z),
    TANH: np.tanh,
    SIGMOID: sigmoid,
}
DERIVATIVES = {  # as functions of a = f(z)
    IDENTITY: np.ones_like,
    RELU: lambda a: (a > 0).astype(a.dtype),
    TANH: lambda a: 1 - a**2,
    SIGMOID: lambda a: a * (1 - a),
}


def activate(a, activation, r0, r1, c0, c1):
    a[r0:r1, c0:c1] = FUNCTIONS[activation](a[r0:r1, c0:c1])


def multiply_by_derivative(delta, a, activation, r0, r1, c0, c1):
    delta[r0:r1, c0:c1] *= DERIVATIVES[activation](a[r0:r1, c0:c1])


def softmax(a, row_total, row_largest, n_out, r0, r1):
    z = a[r0:r1, :n_out]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    z[:] = e / e.sum(axis=1, keepdims=True)


def activate_output(a, row_total, row_largest, output, n_out, r0, r1):
    if output == SOFTMAX:
        softmax(a, row_total, row_largest, n_out, r0, r1)
    else:
        activate(a, output, r0, r1, 0, n_out)


# --- dense ------------------------------------------------------------------------------------------


def dense_forward(a_out, a_in, w, activation, n_out, r0, r1):
    a_out[r0:r1, :n_out] = a_in[r0:r1, : len(w)] @ w[:, :n_out]
    activate(a_out, activation, r0, r1, 0, n_out)
    a_out[r0:r1, n_out] = 1


def dense_backward_data(delta_in, delta, w_t, a_in, activation, n_in, n_out, r0, r1):
    delta_in[r0:r1, :n_in] = delta[r0:r1, :n_out] @ w_t[:, :n_in]
    multiply_by_derivative(delta_in, a_in, activation, r0, r1, 0, n_in)


def dense_backward_weights(grad_w, a_in, delta, n_rows, i0, i1, o0, o1):
    grad_w[i0:i1, o0:o1] = a_in[:n_rows, i0:i1].T @ delta[:n_rows, o0:o1]


# --- losses -----------------------------------------------------------------------------------------


def loss_and_delta(row_loss, row_score, delta, z, y, loss, scale, share, output, n_out, r0, r1):
    rows = slice(r0, r1)
    if loss == MSE:
        activate_output(z, row_loss, row_score, output, n_out, r0, r1)
    z, y = z[rows, :n_out], y[rows]
    if loss == MSE:
        squares = (z - y) ** 2
        losses, scores = squares.mean(axis=1), squares.sum(axis=1)
        slopes = 2 * (z - y) / n_out * DERIVATIVES[output](z)
    elif loss == BINARY_CROSS_ENTROPY:
        losses = (y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)).mean(axis=1)
        scores = ((z > 0) == (y > 0)).mean(axis=1)
        slopes = (sigmoid(z) - y) / n_out
    else:
        labels = y[:, 0].astype(int)
        is_label = np.eye(n_out)[labels]
        log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
        losses, scores = -log_p[np.arange(len(z)), labels], z.argmax(axis=1) == labels
        slopes = np.exp(log_p) - is_label
    row_loss[rows], row_score[rows] = scale * losses, scores
    delta[rows, : padded(n_out)] = 0
    delta[rows, :n_out] = scale * share * slopes


# --- updates and batches ----------------------------------------------------------------------------


def step_rates(settings, step, like):
    """The settings and the step themselves: the twin of `update` takes them as they are."""
    return settings, step


def update(w, g, m, v, rates, decay, i0, i1, o0, o1):
    settings, step = rates
    s = slice(i0, i1), slice(o0, o1)
    slope = g[s] + decay * w[s]
    if settings["kind"] == ADAM:
        beta1, beta2 = settings["beta1"], settings["beta2"]
        m[s] = beta1 * m[s] + (1 - beta1) * slope
        v[s] = beta2 * v[s] + (1 - beta2) * slope**2
        mean, mean_square = m[s] / (1 - beta1**step), v[s] / (1 - beta2**step)
        direction = mean / (np.sqrt(mean_square) + settings["eps"])
    elif settings["momentum"] > 0:
        m[s] = settings["momentum"] * m[s] + slope
        direction = slope + settings["momentum"] * m[s] if settings["nesterov"] else m[s]
    else:
        direction = slope
    new = w[s] - settings["lr"] * direction
    w[s] = np.where(np.isfinite(new), new, w[s])


def transpose(w_t, w, i0, i1, o0, o1):
    w_t[o0:o1, i0:i1] = w[i0:i1, o0:o1].T


def sum_of_squares(w, i0, i1, o0, o1):
    return (w[i0:i1, o0:o1].astype(np.float64) ** 2).sum()


def gather(a, y, data, first, skip, n_in, r0, r1):
    rows = np.arange(first + r0, first + r1)
    rows = data.indices[rows] if data.indices.size else rows
    a[r0:r1, :n_in] = data.x[rows]
    a[r0:r1, n_in] = 1
    y[r0:r1] = data.labels[rows] if data.labels.size else data.targets[rows]


# --- the step ---------------------------------------------------------------------------------------


def weights(layer, flat):
    """A layer's (n_in + 1, n_out) part of a flat vector, the bias in the last row."""
    n_rows, n_cols = layer["n_in"] + 1, layer["w_cols"]
    return flat[layer["w_start"] :][: n_rows * n_cols].reshape(n_rows, n_cols)[:, : layer["n_out"]]


def forward(network, data, first, n_rows):
    """The input of every layer, with its unit, for the rows from `first` on; their targets; the logits."""
    layers = network.layers
    a = np.empty((n_rows, layers[0]["n_in"] + 1))
    y = np.empty((n_rows, data.labels.shape[1] + data.targets.shape[1]))
    gather(a, y, data, first, 0, layers[0]["n_in"], 0, n_rows)
    inputs = [a]
    for layer in layers:
        a = np.empty((n_rows, layer["n_out"] + 1))
        w = weights(layer, network.params)
        dense_forward(a, inputs[-1], w, layer["activation"], layer["n_out"], 0, n_rows)
        inputs.append(a)
    return inputs[:-1], y, a[:, :-1]


def gradient(grads, network, work, data, objective, n_rows, first=0):
    """Works on plain matrices of its own; of `work` it writes the rows' losses and scores."""
    inputs, y, z = forward(network, data, first, n_rows)
    n_out = z.shape[1]
    delta = np.empty((n_rows, padded(n_out)))
    scalars = objective.loss, objective.scale, 1 / n_rows, network.output, n_out
    loss_and_delta(work.row_loss, work.row_score, delta, z, y, *scalars, 0, n_rows)
    for depth in reversed(range(len(inputs))):
        layer, a_in = network.layers[depth], inputs[depth]
        n_in, n_out = layer["n_in"], layer["n_out"]
        dense_backward_weights(weights(layer, grads), a_in, delta, n_rows, 0, n_in + 1, 0, n_out)
        if depth > 0:
            w_t, f = weights(layer, network.params)[:-1].T, network.layers[depth - 1]["activation"]
            delta_in = np.empty((n_rows, n_in))
            dense_backward_data(delta_in, delta, w_t, a_in, f, n_in, n_out, 0, n_rows)
            delta = delta_in
    return work.row_loss[:n_rows].mean()


def score_part(part, n_parts, losses, scores, network, work, data, objective):
    """All of the rows, whatever the part."""
    _, y, z = forward(network, data, 0, losses.size)
    n_out = z.shape[1]
    delta = np.empty((losses.size, padded(n_out)))
    scalars = objective.loss, objective.scale, 1.0, network.output, n_out
    loss_and_delta(losses, scores, delta, z, y, *scalars, 0, losses.size)


def predict_part(part, n_parts, out, x, layers, params, output, activations, row_total, row_largest):
    """All of the rows, whatever the part."""
    a = np.hstack([x, np.ones((len(x), 1))])
    for layer in layers:
        z = np.empty((len(x), layer["n_out"] + 1))
        dense_forward(z, a, weights(layer, params), layer["activation"], layer["n_out"], 0, len(x))
        a = z
    out[:] = a[:, :-1]
    activate_output(out, row_total, row_largest, output, out.shape[1], 0, len(x))


def train_part(part, n_parts, team, network, work, data, objective, optimizer, plan, totals):
    """All of the work, whatever the part; the transposed weights, which it does not read, are left."""
    first, n_rows, batch_size, step = plan
    settings = optimizer.settings[0]
    grads = np.zeros_like(network.params)
    vectors = network.params, grads, *(state if state.size else grads for state in (optimizer.m, optimizer.v))
    for start in range(first, first + n_rows, batch_size):
        n = min(batch_size, first + n_rows - start)
        cost = gradient(grads, network, work, data, objective, n, start)
        if not np.isfinite(cost):
            totals[FAILED] = NOT_FINITE
            return
        rates = step_rates(settings, step, network.params)
        for layer in network.layers:
            w, n_in, n_out = weights(layer, network.params), layer["n_in"], layer["n_out"]
            cost += settings["l2"] / (2 * n) * sum_of_squares(w, 0, n_in, 0, n_out)
            matrices = [weights(layer, flat) for flat in vectors]
            update(*matrices, rates, settings["l2"] / n, 0, n_in, 0, n_out)
            update(*matrices, rates, 0.0, n_in, n_in + 1, 0, n_out)
        totals[[COST_SUM, SCORE_SUM, STEPS_DONE, ROWS_DONE]] += n * cost, work.row_score[:n].sum(), 1, n
        step += 1


# --- a small training of everything, to be repeated in other processes ------------------------------


def train_everything(dtype="float32", n_threads=1):
    """Every loss, optimiser and activation on 50 rows of noise; figures that depend on all of it."""
    import fastnn

    rng = np.random.default_rng(0)
    x, classes, several = rng.standard_normal((50, 3)), rng.integers(0, 4, 50), rng.integers(0, 2, (50, 4))
    problems = {
        "cross_entropy": (classes, ["relu", "tanh"], fastnn.Adam(lr=0.01)),
        "binary_cross_entropy": (several, ["sigmoid"], fastnn.SGD(lr=0.1, momentum=0.9, nesterov=True)),
        "mse": (several, [], fastnn.SGD(lr=0.1)),
    }
    figures = []
    for loss, (y, activation, optimizer) in problems.items():
        sizes = [3, *(9 - k for k in range(len(activation))), 4]
        net = fastnn.MLP(sizes, activation, dtype=dtype, seed=0)
        options = {"optimizer": optimizer, "batch_size": 16, "l2": 0.1, "seed": 0, "n_threads": n_threads}
        trainer = fastnn.Trainer(net, loss=loss, **options)
        figures += trainer.fit(x, y, epochs=2, verbose=0).to_dict()["cost"]
        figures += trainer.evaluate(x, y).values()
        cost, grad_weights, grad_biases = trainer.gradient(x, y)
        figures += [cost, *(np.square(g).sum() for g in grad_weights + grad_biases)]
        figures += list(net.predict_raw(x[:3]).ravel())
    return [float(figure) for figure in figures]
