"""Plain NumPy twins of the kernels in fastnn/kernels/hooks: same names, same arguments."""

from __future__ import annotations

import math

import numpy as np
from reference import DERIVATIVES, SOFTMAX, activate_output
from reference import sigmoid as sigmoid_of

# --- activations ------------------------------------------------------------------------------------

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def normal_density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.longdouble(math.pi))


def normal_cdf(x):
    """Good to an eps of float64: the C library's erfc, moved on by what its argument lost in rounding."""
    exact = -x / np.sqrt(np.longdouble(2))
    rounded = exact.astype(np.float64)
    erfc = np.vectorize(math.erfc)(rounded).astype(np.longdouble)
    return (erfc - 2 * np.exp(-exact * exact) / np.sqrt(np.longdouble(math.pi)) * (exact - rounded)) / 2


def silu_of_line(z, steepness, slope):
    """z sigmoid(s), and its derivative, for s of the given slope."""
    s, rest = sigmoid_of(steepness), sigmoid_of(-steepness)
    return z * s, s + z * slope * s * rest


def gelu_tanh_of(z):
    c = 2 * np.sqrt(2 / np.pi)
    return silu_of_line(z, c * (z + 0.044715 * z**3), c * (1 + 3 * 0.044715 * z**2))


def mish_of(z):
    t = np.tanh(np.logaddexp(0, z))
    return z * t, t + z * (1 - t**2) * sigmoid_of(z)


def elu_of(z, alpha):
    below = np.minimum(z, 0)
    return np.where(z > 0, z, alpha * np.expm1(below)), np.where(z > 0, 1, alpha * np.exp(below))


# f(z) and f'(z)
TERMS = {
    "identity": lambda z, alpha: (z, np.ones_like(z)),
    "relu": lambda z, alpha: (np.maximum(z, 0), z > 0),
    "tanh": lambda z, alpha: (np.tanh(z), 1 - np.tanh(z) ** 2),
    "sigmoid": lambda z, alpha: (sigmoid_of(z), sigmoid_of(z) * sigmoid_of(-z)),
    "leaky_relu": lambda z, alpha: (np.where(z > 0, z, alpha * z), np.where(z > 0, 1, alpha)),
    "elu": elu_of,
    "selu": lambda z, alpha: SELU_SCALE * np.array(elu_of(z, SELU_ALPHA)),
    "gelu": lambda z, alpha: (z * normal_cdf(z), normal_cdf(z) + z * normal_density(z)),
    "gelu_tanh": lambda z, alpha: gelu_tanh_of(z),
    "silu": lambda z, alpha: silu_of_line(z, z, 1),
    "mish": lambda z, alpha: mish_of(z),
    "softplus": lambda z, alpha: (np.logaddexp(0, z), sigmoid_of(z)),
    "hard_sigmoid": lambda z, alpha: (np.clip(z + 3, 0, 6) / 6, (np.abs(z) < 3) / 6),
    "hard_swish": lambda z, alpha: (
        z * np.clip(z + 3, 0, 6) / 6,
        np.where(np.abs(z) < 3, z / 3 + 0.5, z > 0),
    ),
    "exp": lambda z, alpha: (np.exp(z), np.exp(z)),
}


def _activation(name):
    def kernel(a, slopes, alpha, r0, r1, n_out):
        a[r0:r1, :n_out], slopes[r0:r1, :n_out] = TERMS[name](a[r0:r1, :n_out], alpha)

    return kernel


ACTIVATIONS = {name: _activation(name) for name in TERMS}


# --- losses -----------------------------------------------------------------------------------------


def xlogy(y, x):
    return y * np.log(np.where(y > 0, x, 1))


def squared(error):
    return error**2


def huber_of(a, y, numbers):
    e, limit = a - y, numbers[0]
    near = np.clip(e, -limit, limit)
    return near * (e - near / 2), near, squared(e)


def quantile_of(a, y, numbers):
    e = a - y
    slope = np.where(e > 0, 1 - numbers, np.where(e < 0, -numbers, 0))
    return slope * e, slope, squared(e)


def log_cosh_of(a, y, numbers):
    e = a - y
    return np.log1p(2 * np.sinh(np.abs(e) / 2) ** 2), np.tanh(e), squared(e)


def poisson_of(z, y, numbers):
    m = np.exp(z)
    return xlogy(y, y / m) - y + m, m - y, squared(m - y)


def gamma_of(z, y, numbers):
    m = np.exp(z)
    return np.log(m / y) + y / m - 1, 1 - y / m, squared(m - y)


def tweedie_of(z, y, numbers):
    (p,), m = numbers, np.exp(z)
    loss = y ** (2 - p) / ((1 - p) * (2 - p)) - y * m ** (1 - p) / (1 - p) + m ** (2 - p) / (2 - p)
    return loss, m ** (2 - p) - y * m ** (1 - p), squared(m - y)


def log_sigmoid(z):
    return -np.logaddexp(0, -z)


def binary_cross_entropy_of(z, y, numbers):
    t = (1 - numbers[0]) * y + numbers[0] / 2
    return -t * log_sigmoid(z) - (1 - t) * log_sigmoid(-z), sigmoid_of(z) - t


def binary_focal_of(z, y, numbers):
    focus, alpha = numbers
    sign = 2 * y - 1
    weight = np.where(y > 0, alpha, 1 - alpha) if alpha >= 0 else 1
    log_p, p, rest = log_sigmoid(sign * z), sigmoid_of(sign * z), sigmoid_of(-sign * z)
    return -weight * rest**focus * log_p, weight * sign * rest**focus * (focus * p * log_p - rest)


def hinge_of(z, y, numbers):
    sign = 2 * y - 1
    short = np.maximum(0, 1 - sign * z)
    return short, np.where(short > 0, -sign, 0)


def squared_hinge_of(z, y, numbers):
    short, slope = hinge_of(z, y, numbers)
    return short**2, 2 * short * slope


# loss, slope and score of each output, from the activation
OF_OUTPUTS = {
    "mae": lambda a, y, numbers: (np.abs(a - y), np.sign(a - y), squared(a - y)),
    "huber": huber_of,
    "log_cosh": log_cosh_of,
    "quantile": quantile_of,
}
# from z
OF_LOGITS = {
    "poisson": poisson_of,
    "gamma": gamma_of,
    "tweedie": tweedie_of,
    "binary_cross_entropy": binary_cross_entropy_of,
    "binary_focal": binary_focal_of,
    "hinge": hinge_of,
    "squared_hinge": squared_hinge_of,
}


def log_softmax(z):
    return z - np.logaddexp.reduce(z, axis=1, keepdims=True)


def cross_entropy_of_rows(z, y, numbers):
    target = (1 - numbers[0]) * y + numbers[0] / y.shape[1]
    return -(target * log_softmax(z)).sum(axis=1), np.exp(log_softmax(z)) - target


def focal_of_rows(z, y, numbers):
    focus, alpha = numbers
    p = np.exp(log_softmax(z))
    log_own, rest = (y * log_softmax(z)).sum(axis=1), ((1 - y) * p).sum(axis=1)
    slope = alpha * (focus * rest ** (focus - 1) * (1 - rest) * log_own - rest**focus)
    return -alpha * rest**focus * log_own, slope[:, np.newaxis] * (y - p)


def multiclass_hinge_of_rows(z, y, numbers):
    others = np.where(y > 0, -np.inf, z)
    short = np.maximum(0, 1 + others.max(axis=1) - (y * z).sum(axis=1))
    rival = np.eye(y.shape[1])[others.argmax(axis=1)]
    return short, (rival - y) * (short > 0)[:, np.newaxis]


def kl_divergence_of_rows(z, y, numbers):
    return (xlogy(y, y) - y * log_softmax(z)).sum(axis=1), np.exp(log_softmax(z)) - y


# loss and slopes of each row, from z; y has a column a class
OF_ROWS = {
    "cross_entropy": cross_entropy_of_rows,
    "focal": focal_of_rows,
    "multiclass_hinge": multiclass_hinge_of_rows,
    "kl_divergence": kl_divergence_of_rows,
}


def linear(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
    rows = slice(r0, r1)
    a, y = z[rows, :n_out], y[rows]
    activate_output(z, None, None, output, n_out, r0, r1)
    row_loss[rows], row_score[rows] = scale * (a * y).sum(axis=1), 0
    slopes = (y - (a * y).sum(axis=1, keepdims=True)) * a if output == SOFTMAX else y * DERIVATIVES[output](a)
    delta[rows, :n_out] = scale * share * slopes


def _loss(name):
    def kernel(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
        rows = slice(r0, r1)
        z_out, y = z[rows, :n_out], y[rows]
        if name in OF_ROWS:
            y = np.eye(n_out)[y[:, 0].astype(int)] if name != "kl_divergence" else y
            losses, slopes = OF_ROWS[name](z_out, y, numbers)
            scores = z_out.argmax(axis=1) == y.argmax(axis=1)
        elif name in OF_OUTPUTS:
            activate_output(z, None, None, output, n_out, r0, r1)
            losses, slopes, scores = OF_OUTPUTS[name](z_out, y, numbers)
            losses, scores = losses.mean(axis=1), scores.sum(axis=1)
            slopes = slopes * DERIVATIVES[output](z_out) / n_out
        else:
            losses, slopes, *scores = OF_LOGITS[name](z_out, y, numbers)
            losses, slopes = losses.mean(axis=1), slopes / n_out
            scores = scores[0].sum(axis=1) if scores else ((z_out > 0) == (y > 0)).mean(axis=1)
        row_loss[rows], row_score[rows] = scale * losses, scores
        delta[rows, :n_out] = scale * share * slopes

    return kernel


LOSSES = {name: _loss(name) for name in [*OF_OUTPUTS, *OF_LOGITS, *OF_ROWS]} | {"linear": linear}


# --- every kernel on a few numbers, to be repeated in other processes ---------------------------------


def run_everything(dtype="float32"):
    """Sums of what each kernel writes, with and without compilation."""
    from fastnn.activations import NAMES, Activation
    from fastnn.losses import LOSSES, Loss

    rng, figures = np.random.default_rng(0), {}
    for name in NAMES:
        kernel, a = Activation(name).kernel, rng.uniform(-3, 3, (2, 16)).astype(dtype)
        if kernel is not None:
            slopes = np.zeros_like(a)
            kernel(a, slopes, 0.3, 0, 2, 5)
            figures[name] = [float(a[:, :5].sum()), float(slopes.sum())]
    for name in LOSSES:
        loss = Loss(name, label_smoothing=0.1) if name.endswith("cross_entropy") else Loss(name)
        if loss.kernel is not None:
            of_rows, z = np.zeros((2, 2)), rng.uniform(-2, 2, (2, 16)).astype(dtype)
            y = {"class": [[2.0], [0]], "probabilities": np.full((2, 5), 0.2)}.get(loss.kind)
            y = np.array(rng.integers(0, 2, (2, 5)) + (loss.kind == "positive") if y is None else y, dtype)
            delta = np.zeros_like(z)
            loss.kernel(*of_rows, delta, z, y, loss.numbers, 1.0, 0.5, 0, 5, 0, 2)
            figures[f"loss {name}"] = [*of_rows.sum(axis=1), float(np.abs(delta[:, :5]).sum())]
    return figures
