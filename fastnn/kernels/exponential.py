"""exp, sigmoid and tanh that LLVM can vectorise; numba would call the C library once an element.

All are built on one function, ``exp(y) - 1`` for y <= 0: with ``y = n ln 2 + r``, n whole and
``|r| <= ln 2 / 2``, it is ``2**n (exp(r) - 1) + (2**n - 1)``, where ``exp(r) - 1`` is a Taylor polynomial,
long enough for the dtype. There is no branch. Where exp would be less than the smallest normal number it
is 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .simd import fused_multiply_add


class _Format(NamedTuple):
    """What differs between the dtypes."""

    least: float  # exp of it is just above the smallest normal number
    rounder: float  # adding it rounds to a whole number, which stands in the lowest bits then
    mantissa_bits: int
    one_bits: int  # 1.0 as an integer
    ln2_high: float  # so few bits that n times it is exact
    ln2_low: float
    coefficients: tuple[float, ...]  # of r**k in exp(r), highest k first, down to 2


def _taylor(degree: int) -> tuple[float, ...]:
    return tuple(1.0 / math.factorial(k) for k in range(degree, 1, -1))


_LN2_HIGH_32, _LN2_HIGH_64 = 0.693359375, 0.693147180369123816490

# The first term left out, at |r| = ln 2 / 2, is 5e-9 of the result, and 4e-18.
_FORMATS = {
    types.float32: _Format(
        -87.0, 1.5 * 2.0**23, 23, 0x3F800000, _LN2_HIGH_32, -2.12194440054690583e-4, _taylor(7)
    ),
    types.float64: _Format(
        -708.0, 1.5 * 2.0**52, 52, 0x3FF0000000000000, _LN2_HIGH_64, 1.90821492927058770e-10, _taylor(13)
    ),
}


@intrinsic
def _power_of_two(typingctx, rounded):
    """``2.0**n`` from n plus the rounder of its dtype."""
    form = _FORMATS[rounded]

    def codegen(context, builder, signature, args):
        width = ir.IntType(rounded.bitwidth)
        bits = builder.bitcast(args[0], width)
        shifted = builder.shl(bits, ir.Constant(width, form.mantissa_bits))
        total = builder.add(shifted, ir.Constant(width, form.one_bits))
        return builder.bitcast(total, args[0].type)

    return rounded(rounded), codegen


def _expm1_parts(y):
    """``(q, scale)`` such that ``exp(y) = scale * q + scale``, for y <= 0."""
    return np.expm1(y), y.dtype.type(1)


@overload(_expm1_parts)
def _expm1_parts_compiled(y):
    number, form = y, _FORMATS[y]
    least, rounder, log2_e = form.least, form.rounder, math.log2(math.e)
    ln2_high, ln2_low, coefficients = form.ln2_high, form.ln2_low, form.coefficients

    def compiled(y):
        underflow = y < number(least)
        y = number(least) if underflow else y
        rounded = fused_multiply_add(y, number(log2_e), number(rounder))
        n = rounded - number(rounder)
        r = fused_multiply_add(n, number(-ln2_high), y)
        r = fused_multiply_add(n, number(-ln2_low), r)
        p = number(coefficients[0])
        for k in range(1, len(coefficients)):
            p = fused_multiply_add(p, r, number(coefficients[k]))
        q = fused_multiply_add(p * r, r, r)
        return q, number(0) if underflow else _power_of_two(rounded)

    return compiled


def exp_negative(y):
    """exp(y) for y <= 0; at most 1 unit in the last place off."""
    q, scale = _expm1_parts(y)
    return fused_multiply_add(scale, q, scale)


def sigmoid(z):
    """``1 / (1 + exp(-z))`` for any z; at most 3 units in the last place off."""
    e = exp_negative(-abs(z))
    return (z.dtype.type(1) if z >= 0 else e) / (1 + e)


def tanh(z):
    """``-expm1(-2 |z|) / (2 + expm1(-2 |z|))`` with the sign of z; at most 3 units in the last place off."""
    q, scale = _expm1_parts(-2 * abs(z))
    e = fused_multiply_add(scale, q, scale - 1)
    t = -e / (2 + e)
    return t if z >= 0 else -t


@overload(exp_negative)
def _exp_negative_compiled(y):
    return exp_negative


@overload(sigmoid)
def _sigmoid_compiled(z):
    number = z  # a bare 1 would make float64 of float32

    def compiled(z):
        e = exp_negative(-abs(z))
        return (number(1) if z >= number(0) else e) / (number(1) + e)

    return compiled


@overload(tanh)
def _tanh_compiled(z):
    number = z

    def compiled(z):
        q, scale = _expm1_parts(number(-2) * abs(z))
        e = fused_multiply_add(scale, q, scale - number(1))
        t = -e / (number(2) + e)
        return t if z >= number(0) else -t

    return compiled
