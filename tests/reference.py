"""Plain NumPy twins of the kernels: same names, no tiles, no blocks, no threads.

They take the same arguments, but for those that say how a matrix is stored in panels: twins take it whole.
A twin computes in the dtype of the arrays it is given. The tests hand it float64 copies of a kernel's
arrays (:func:`doubled`), so that what differs is the kernel's rounding, and its errors.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels.activations import EXP, IDENTITY, RELU, SIGMOID, SOFTMAX, TANH
from fastnn.kernels.losses import BINARY_CROSS_ENTROPY, MSE
from fastnn.kernels.sizes import PAD
from fastnn.kernels.updates import ADAM, LR, ON_MEAN, ROOT


def doubled(value):
    """A copy of an array, or of a tuple's arrays, in float64; what is not of floats is only copied."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()
    if isinstance(value, tuple):
        parts = [doubled(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def to_panels(matrix):
    """A copy of a matrix of whole panels in panels: as an array of PAD columns, panel below panel."""
    return np.vstack(np.split(matrix, matrix.shape[1] // PAD, axis=1))


# --- activations ------------------------------------------------------------------------------------


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


FUNCTIONS = {
    IDENTITY: lambda z: z,
    RELU: lambda z: np.where(z < 0, 0, z),
    TANH: np.tanh,
    SIGMOID: sigmoid,
    EXP: np.exp,
}
DERIVATIVES = {  # as functions of a = f(z)
    IDENTITY: np.ones_like,
    RELU: lambda a: (a > 0).astype(a.dtype),
    TANH: lambda a: 1 - a**2,
    SIGMOID: lambda a: a * (1 - a),
    EXP: lambda a: a,
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


def dense_forward(a_out, a_in, w, activation, n_in, n_out, r0, r1):
    a_out[r0:r1, :n_out] = a_in[r0:r1, : n_in + 1] @ w[: n_in + 1, :n_out]
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
    delta[rows, :n_out] = scale * share * slopes


# --- updates and batches ----------------------------------------------------------------------------


def step_rates(settings, rates, index, like):
    """The settings and the row of rates themselves: the twin of `update` takes them as they are."""
    return settings, rates[index]


def update(w, g, m, v, rates, decay, i0, i1, o0, o1):
    settings, row = rates
    s = slice(i0, i1), slice(o0, o1)
    slope = g[s] + decay * w[s]
    if settings["kind"] == ADAM:
        beta1, beta2 = settings["beta1"], settings["beta2"]
        m[s] = beta1 * m[s] + (1 - beta1) * slope
        v[s] = beta2 * v[s] + (1 - beta2) * slope**2
        step = row[ON_MEAN] * m[s] / (row[ROOT] * np.sqrt(v[s]) + settings["eps"])
    elif settings["momentum"] > 0:
        m[s] = settings["momentum"] * m[s] + slope
        step = row[LR] * (slope + settings["momentum"] * m[s] if settings["nesterov"] else m[s])
    else:
        step = row[LR] * slope
    new = w[s] - step
    w[s] = np.where(np.isfinite(new), new, w[s])


def transpose(w_t, w, i0, i1, o0, o1):
    w_t[o0:o1, i0:i1] = w[i0:i1, o0:o1].T


def sum_of_squares(w, i0, i1, o0, o1):
    return (w[i0:i1, o0:o1].astype(np.float64) ** 2).sum()


def sum_of_absolutes(w, i0, i1, o0, o1):
    return np.abs(w[i0:i1, o0:o1].astype(np.float64)).sum()


def rows_of(data, start, stop):
    """Numbers of the rows from `start` to `stop` of the order."""
    places = np.arange(start, stop)
    return data.indices[places] if data.indices.size else places


def dense_x(data, n_in):
    """All rows as a matrix; values of a sparse row that share a column are added."""
    if not data.starts.size:
        return data.x
    x = np.zeros((data.starts.size - 1, n_in), data.x.dtype)
    rows = np.repeat(np.arange(len(x)), np.diff(data.starts))
    np.add.at(x, (rows, data.columns), data.x[0])
    return x


def gather(a, y, data, first, skip, n_in, r0, r1):
    rows = rows_of(data, first + r0, first + r1)
    a[r0:r1, :n_in] = dense_x(data, n_in)[rows]
    a[r0:r1, n_in] = 1
    y[r0:r1] = data.labels[rows] if data.labels.size else data.targets[rows]


def weight_of(data, start, stop):
    if not data.weights.size:
        return stop - start
    return data.weights[rows_of(data, start, stop)].sum() or float(stop - start)


def weigh_rows(row_loss, row_score, delta, data, first, n_out, r0, r1):
    weights = data.weights[rows_of(data, first + r0, first + r1)]
    row_loss[r0:r1] *= weights
    row_score[r0:r1] *= weights
    delta[r0:r1, :n_out] *= weights[:, np.newaxis]


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
        history = trainer.fit(x, y, epochs=2, verbose=0).to_dict()
        figures += history["cost"] + history["penalty"]
        figures += trainer.evaluate(x, y).values()
        cost, grad_weights, grad_biases = trainer.gradient(x, y)
        figures += [cost, *(np.square(g).sum() for g in grad_weights + grad_biases)]
        figures += list(net.predict_raw(x[:3]).ravel())
    return [float(figure) for figure in figures]
