"""Plain NumPy twins of the kernels in fastnn/kernels/hooks: same names, same arguments."""

from __future__ import annotations

import math

import numpy as np
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
