"""Functions of one number that the activations and losses here are made of, without a branch or a call.

They take a float32 or a float64 and give the same; LLVM vectorises a loop over them. A NaN comes through.
Infinity counts as the end of the range at which nothing changes any more, so that no ``0 * inf`` arises.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba.core import types
from numba.extending import overload

from ..._jit import jit
from ..exponential import _expm1_parts, exp_negative, log1p_positive, log_normal
from ..simd import fused_multiply_add

# Beyond it every function here has become a straight line, or overflows, in both dtypes.
FAR = 1000.0


def number(value, like):
    """`value` in the dtype of the number `like`: a bare literal would make float64 of float32."""
    return like.dtype.type(value)


@overload(number)
def _number_compiled(value, like):
    kind = like
    return lambda value, like: kind(value)


@jit
def inside(z):
    """z, but at least -FAR and at most FAR."""
    far = number(FAR, z)
    z = far if z > far else z
    return -far if z < -far else z


@jit
def exp_and_expm1_negative(y):
    """``(exp(y), exp(y) - 1)`` for y <= 0."""
    q, scale = _expm1_parts(y)
    return fused_multiply_add(scale, q, scale), fused_multiply_add(scale, q, scale - number(1.0, y))


@jit
def log_or_zero(y):
    """log(y) for y > 0, and 0 otherwise, for ``y log(y)`` and the like, which are 0 at 0."""
    return log_normal(y if y > number(0.0, y) else number(1.0, y))


@jit
def sigmoids(z):
    """``(sigmoid(z), sigmoid(-z))``, neither as the difference of the other from 1."""
    zero, one = number(0.0, z), number(1.0, z)
    e = exp_negative(-abs(z))
    near, far = one / (one + e), e / (one + e)
    return near if z >= zero else far, far if z >= zero else near


@jit
def softplus_of(z):
    """``log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))``."""
    zero = number(0.0, z)
    return (zero if z < zero else z) + log1p_positive(exp_negative(-abs(z)))


@jit
def log_cosh_of(x):
    """log(cosh(x)); at most 5 units in the last place off, for small x as well, where it is x^2 / 2.

    With ``m = exp(-|x|) - 1``, ``cosh(x) - 1 = m^2 / (2 exp(-|x|))``.
    """
    most = number(40.0, x)  # exp(-80) is nothing beside 1
    size = abs(x)
    e, m = exp_and_expm1_negative(-(most if size > most else size))
    near = log1p_positive(m * m / (e + e))
    return size - number(math.log(2.0), x) if size > most else near


class _Mills(NamedTuple):
    """``(1 + x) Q(x) / phi(x)`` as a polynomial of ``t = (x - k) / (x + k)``.

    The form is that of Shepherd and Laframboise (1981) for erfc; the coefficients interpolate at
    Chebyshev's nodes, up to `most`, where Q is 0 in the dtype.
    """

    k: float
    most: float
    coefficients: tuple[float, ...]  # of t**j, highest j first


# Off by at most 2.3e-9 and 1.4e-17 of the value.
_MILLS = {
    types.float32: _Mills(
        4.0,
        14.0,
        (
            -0.0001840201183,
            -0.0001616375931,
            0.001734074993,
            -0.0007547841564,
            -0.0125406614,
            0.04496798132,
            -0.08070747903,
            0.07168963439,
            0.03509185224,
            -0.2423996471,
            1.183261915,
        ),
    ),
    types.float64: _Mills(
        5.0,
        38.5,
        (
            1.96048779143688634e-9,
            1.01984342783615157e-8,
            8.89348657669427521e-10,
            -8.06225368740702688e-8,
            -5.51721988375996533e-8,
            4.98921881199663035e-7,
            3.12816112011404667e-7,
            -3.28380352332086154e-6,
            -1.72999539214654475e-7,
            0.0000227130959518182847,
            -0.000024806704995818079,
            -0.00013437542318384825,
            0.000457044051094180072,
            0.0000195308719330814112,
            -0.00420129033742768111,
            0.0163482312524286013,
            -0.0380265921859923683,
            0.0615050458421152457,
            -0.0661776007790528301,
            0.0250721793015789702,
            0.0777815988687363089,
            -0.229487538252112611,
            1.15684862829189459,
        ),
    ),
}


def _normal_for(kind, form: _Mills):
    """The function :func:`normal` of numbers of a dtype, which `kind` makes."""
    k, most, coefficients = form
    # Two halves: they run side by side, and LLVM unrolls a loop of 12 steps, not one of 23.
    even, odd = coefficients[::2], coefficients[1::2]
    peak = 1.0 / math.sqrt(2.0 * math.pi)

    def normal_of(z):
        x = kind(most) if abs(z) > kind(most) else abs(z)
        square = x * x
        # What the square loses in rounding would be multiplied by 30 in the tail, in float64 by 700.
        lost = fused_multiply_add(x, x, -square)
        density = exp_negative(kind(-0.5) * square)
        density = fused_multiply_add(density, kind(-0.5) * lost, density) * kind(peak)
        t = (x - kind(k)) / (x + kind(k))
        square = t * t
        p, q = kind(even[0]), kind(odd[0])
        for j in range(1, len(even)):
            p = fused_multiply_add(p, square, kind(even[j]))
        for j in range(1, len(odd)):
            q = fused_multiply_add(q, square, kind(odd[j]))
        p = fused_multiply_add(q, t, p)
        tail = density * p / (kind(1) + x)
        return kind(1) - tail if z > kind(0) else tail, density

    return normal_of


def normal(z):
    """Distribution function and density of the normal distribution; at most 6 units in the last place off.

    Both from one exponential, and in relative precision in either tail, which an erf near -1 lacks:
    ``Phi(-x) = phi(x) M(x)`` with a polynomial for Mills' ratio M.
    """
    return _normal_for(z.dtype.type, _MILLS[getattr(types, z.dtype.name)])(z)


@overload(normal)
def _normal_compiled(z):
    return _normal_for(z, _MILLS[z])
