"""Activations with their slopes, a compiled function each.

The functions of one number, ``<name>_terms(z, alpha)``, give f(z) and f'(z); the kernels, by the same names
without ``_terms``, apply them to a block. Their signature is that of :mod:`fastnn.kernels.hooks`.
"""

from __future__ import annotations

import math

from ..._jit import jit, span
from ..exponential import exp as exp_of
from ..exponential import exp_negative
from ..exponential import sigmoid as sigmoid_of
from ..exponential import tanh as tanh_of
from .functions import exp_and_expm1_negative, inside, normal, number, sigmoids, softplus_of

# Klambauer et al. (2017): with these, mean 0 and variance 1 are a fixed point.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934
# Hendrycks and Gimpel (2016): Phi(z) is nearly sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3)).
GELU_LINE, GELU_CUBE = 2.0 * math.sqrt(2.0 / math.pi), 2.0 * math.sqrt(2.0 / math.pi) * 0.044715


@jit(inline=True)
def apply_terms(terms, a, slopes, alpha, r0, r1, n_out):
    """``a[r, o], slopes[r, o] = terms(a[r, o], alpha)``; taken in by each kernel with its own `terms`."""
    alpha = a.dtype.type(alpha)
    for r in span(r0, r1):
        for o in span(0, n_out):
            a[r, o], slopes[r, o] = terms(a[r, o], alpha)


@jit
def identity_terms(z, alpha):
    """``z``."""
    return z, number(1.0, z)


@jit
def relu_terms(z, alpha):
    """``max(z, 0)``, but NaN of NaN."""
    zero = number(0.0, z)
    return zero if z < zero else z, number(1.0, z) if z > zero else zero


@jit
def tanh_terms(z, alpha):
    """``tanh(z)``."""
    t = tanh_of(z)
    return t, number(1.0, z) - t * t


@jit
def sigmoid_terms(z, alpha):
    """``1 / (1 + exp(-z))``."""
    s = sigmoid_of(z)
    return s, s * (number(1.0, z) - s)


@jit
def leaky_relu_terms(z, alpha):
    """``z if z > 0 else alpha z`` (Maas et al., 2013)."""
    above = z > number(0.0, z)
    return z if above else alpha * z, number(1.0, z) if above else alpha


@jit
def elu_terms(z, alpha):
    """``z if z > 0 else alpha (exp(z) - 1)`` (Clevert et al., 2016)."""
    zero = number(0.0, z)
    above = z > zero
    e, expm1 = exp_and_expm1_negative(zero if above else z)
    return z if above else alpha * expm1, number(1.0, z) if above else alpha * e


@jit
def selu_terms(z, alpha):
    """``scale (z if z > 0 else a (exp(z) - 1))`` with fixed numbers (Klambauer et al., 2017)."""
    scale = number(SELU_SCALE, z)
    value, slope = elu_terms(z, number(SELU_ALPHA, z))
    return scale * value, scale * slope


@jit
def gelu_terms(z, alpha):
    """``z Phi(z)`` with the normal distribution function Phi (Hendrycks and Gimpel, 2016)."""
    near = inside(z)
    cdf, density = normal(z)
    return (z if z > near else near) * cdf, cdf + near * density


@jit
def gelu_tanh_terms(z, alpha):
    """``z sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3))`` (Hendrycks and Gimpel, 2016)."""
    near = inside(z)
    square = near * near
    line, cube = number(GELU_LINE, z), number(GELU_CUBE, z)
    s, rest = sigmoids(near * (line + cube * square))
    steepness = line + number(3.0, z) * cube * square
    return (z if z > near else near) * s, s + near * steepness * (s * rest)


@jit
def silu_terms(z, alpha):
    """``z sigmoid(z)`` (Elfwing et al., 2018; Ramachandran et al., 2017, as swish)."""
    near = inside(z)
    s, rest = sigmoids(z)
    return (z if z > near else near) * s, s + near * (s * rest)


@jit
def mish_terms(z, alpha):
    """``z tanh(log(1 + exp(z)))`` (Misra, 2020).

    With ``n = exp(z) (exp(z) + 2)`` the tanh is ``n / (n + 2)``; for z > 0 all is divided by exp(2 z).
    """
    one, two, four = number(1.0, z), number(2.0, z), number(4.0, z)
    near, above = inside(z), z > number(0.0, z)
    e = exp_negative(-abs(z))
    n = one + two * e if above else e * (e + two)
    below = n + (two * e * e if above else two)
    t = n / below
    slope = four * (one + e) * e * (e if above else one) / (below * below)
    return (z if z > near else near) * t, t + near * slope


@jit
def softplus_terms(z, alpha):
    """``log(1 + exp(z))`` (Dugas et al., 2001)."""
    return softplus_of(z), sigmoid_of(z)


@jit
def hard_sigmoid_terms(z, alpha):
    """``min(max(z + 3, 0), 6) / 6`` (Howard et al., 2019)."""
    zero, three, six, sixth = number(0.0, z), number(3.0, z), number(6.0, z), number(1.0 / 6.0, z)
    t = z + three
    t = zero if t < zero else t
    t = six if t > six else t
    return t * sixth, sixth if abs(z) < three else zero


@jit
def hard_swish_terms(z, alpha):
    """``z hard_sigmoid(z)`` (Howard et al., 2019)."""
    near = inside(z)
    s, slope = hard_sigmoid_terms(z, alpha)
    return (z if z > near else near) * s, s + near * slope


@jit
def exp_terms(z, alpha):
    """``exp(z)``."""
    e = exp_of(z)
    return e, e


@jit
def identity(a, slopes, alpha, r0, r1, n_out):
    """``a = z``."""
    apply_terms(identity_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def relu(a, slopes, alpha, r0, r1, n_out):
    """``a = max(z, 0)``."""
    apply_terms(relu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def tanh(a, slopes, alpha, r0, r1, n_out):
    """``a = tanh(z)``."""
    apply_terms(tanh_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def sigmoid(a, slopes, alpha, r0, r1, n_out):
    """``a = 1 / (1 + exp(-z))``."""
    apply_terms(sigmoid_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def leaky_relu(a, slopes, alpha, r0, r1, n_out):
    """``a = z if z > 0 else alpha z``."""
    apply_terms(leaky_relu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def elu(a, slopes, alpha, r0, r1, n_out):
    """``a = z if z > 0 else alpha (exp(z) - 1)``."""
    apply_terms(elu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def selu(a, slopes, alpha, r0, r1, n_out):
    """``a = scale elu(z)``, with fixed numbers."""
    apply_terms(selu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def gelu(a, slopes, alpha, r0, r1, n_out):
    """``a = z Phi(z)``."""
    apply_terms(gelu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def gelu_tanh(a, slopes, alpha, r0, r1, n_out):
    """``a = z sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3))``."""
    apply_terms(gelu_tanh_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def silu(a, slopes, alpha, r0, r1, n_out):
    """``a = z sigmoid(z)``."""
    apply_terms(silu_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def mish(a, slopes, alpha, r0, r1, n_out):
    """``a = z tanh(softplus(z))``."""
    apply_terms(mish_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def softplus(a, slopes, alpha, r0, r1, n_out):
    """``a = log(1 + exp(z))``."""
    apply_terms(softplus_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def hard_sigmoid(a, slopes, alpha, r0, r1, n_out):
    """``a = min(max(z + 3, 0), 6) / 6``."""
    apply_terms(hard_sigmoid_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def hard_swish(a, slopes, alpha, r0, r1, n_out):
    """``a = z hard_sigmoid(z)``."""
    apply_terms(hard_swish_terms, a, slopes, alpha, r0, r1, n_out)


@jit
def exp(a, slopes, alpha, r0, r1, n_out):
    """``a = exp(z)``."""
    apply_terms(exp_terms, a, slopes, alpha, r0, r1, n_out)
