"""exp, sigmoid, tanh and log that LLVM can vectorise; numba would call the C library once an element.

All but the logarithm are built on one function, ``exp(y) - 1`` for y <= 0: with ``y = n ln 2 + r``, n whole
and ``|r| <= ln 2 / 2``, it is ``2**n (exp(r) - 1) + (2**n - 1)``, where ``exp(r) - 1`` is a Taylor
polynomial, long enough for the dtype. There is no branch. Where exp would be less than the smallest normal
number it is 0.

The logarithm of ``2**n m``, with m from sqrt(1/2) to sqrt(2), is ``n ln 2 + 2 atanh((m - 1) / (m + 1))``.
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
    """Constants that differ between the dtypes."""

    least: float  # exp of it is just above the smallest normal number
    rounder: float  # adding it rounds to a whole number, which stands in the lowest bits then
    mantissa_bits: int
    one_bits: int  # 1.0 as an integer
    ln2_high: float  # so few bits that n times it is exact
    ln2_low: float
    coefficients: tuple[float, ...]  # of r**k in exp(r), highest k first, down to 2
    root_bits: int  # sqrt(1/2) as an integer
    log_coefficients: tuple[float, ...]  # of s**(2 k + 1) in 2 atanh(s), highest k first, down to 1


def _taylor(degree: int) -> tuple[float, ...]:
    return tuple(1.0 / math.factorial(k) for k in range(degree, 1, -1))


def _atanh(terms: int) -> tuple[float, ...]:
    return tuple(2.0 / (2 * k + 1) for k in range(terms, 0, -1))


_LN2_HIGH_32, _LN2_HIGH_64 = 0.693359375, 0.693147180369123816490

# The first term left out is 5e-9 and 4e-18 of the result at |r| = ln 2 / 2; 2e-9 and 6e-19 at |s| = 0.1716.
_FORMATS = {
    types.float32: _Format(
        least=-87.0,
        rounder=1.5 * 2.0**23,
        mantissa_bits=23,
        one_bits=0x3F800000,
        ln2_high=_LN2_HIGH_32,
        ln2_low=-2.12194440054690583e-4,
        coefficients=_taylor(7),
        root_bits=0x3F3504F3,
        log_coefficients=_atanh(4),
    ),
    types.float64: _Format(
        least=-708.0,
        rounder=1.5 * 2.0**52,
        mantissa_bits=52,
        one_bits=0x3FF0000000000000,
        ln2_high=_LN2_HIGH_64,
        ln2_low=1.90821492927058770e-10,
        coefficients=_taylor(13),
        root_bits=0x3FE6A09E667F3BCD,
        log_coefficients=_atanh(10),
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


@intrinsic
def _exponent_and_mantissa(typingctx, x):
    """``(n, m)`` such that ``x = 2**n m``, with m from sqrt(1/2) to sqrt(2), for normal x > 0."""
    form = _FORMATS[x]

    def codegen(context, builder, signature, args):
        width, number = ir.IntType(x.bitwidth), args[0].type
        bits = builder.bitcast(args[0], width)
        above = builder.sub(bits, ir.Constant(width, form.root_bits))
        n = builder.ashr(above, ir.Constant(width, form.mantissa_bits))
        m = builder.sub(bits, builder.shl(n, ir.Constant(width, form.mantissa_bits)))
        # n plus the rounder, as bits, is a float whose lowest bits are n: no conversion, which AVX2 lacks.
        rounder = builder.bitcast(ir.Constant(number, form.rounder), width)
        n = builder.fsub(builder.bitcast(builder.add(n, rounder), number), ir.Constant(number, form.rounder))
        return context.make_tuple(builder, signature.return_type, [n, builder.bitcast(m, number)])

    return types.UniTuple(x, 2)(x), codegen


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


def exp(z):
    """exp(z) for any z; at most 1.1 units in the last place off, 0 where it would not be a normal number."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(z)


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


def log_normal(x):
    """log(x) for positive normal x; at most 2 units in the last place off."""
    return np.log(x)


def log1p_positive(x):
    """log(1 + x) for x from 0 on; at most 3 units in the last place off."""
    return np.log1p(x)


@overload(log_normal)
def _log_normal_compiled(x):
    number, form = x, _FORMATS[x]
    ln2_high, ln2_low, coefficients = form.ln2_high, form.ln2_low, form.log_coefficients

    def compiled(x):
        n, m = _exponent_and_mantissa(x)
        f = m - number(1)
        s = f / (number(2) + f)
        z = s * s
        p = number(coefficients[0])
        for k in range(1, len(coefficients)):
            p = fused_multiply_add(p, z, number(coefficients[k]))
        # 2 s = f - s f: the rounding of s then counts only where it is multiplied by f.
        tail = fused_multiply_add(s * z, p, fused_multiply_add(-s, f, n * number(ln2_low)))
        return fused_multiply_add(n, number(ln2_high), f + tail) if x == x else x

    return compiled


@overload(log1p_positive)
def _log1p_positive_compiled(x):
    number = x

    def compiled(x):
        # What 1 + x loses in rounding is put back: log(u + c) = log(u) + c / u for a tiny c.
        u = number(1) + x
        return log_normal(u) + (x - (u - number(1))) / u

    return compiled


@overload(exp_negative)
def _exp_negative_compiled(y):
    return exp_negative


@overload(exp)
def _exp_compiled(z):
    kind, form = z, _FORMATS[z]
    least, rounder, log2_e = form.least, form.rounder, math.log2(math.e)
    most = -form.least + 2.0  # exp of it overflows, yet only just
    ln2_high, ln2_low, coefficients = form.ln2_high, form.ln2_low, form.coefficients

    def compiled(z):
        underflow = z < kind(least)
        y = kind(least) if underflow else (kind(most) if z > kind(most) else z)
        rounded = fused_multiply_add(y, kind(log2_e), kind(rounder))
        n = rounded - kind(rounder)
        r = fused_multiply_add(n, kind(-ln2_high), y)
        r = fused_multiply_add(n, kind(-ln2_low), r)
        p = kind(coefficients[0])
        for k in range(1, len(coefficients)):
            p = fused_multiply_add(p, r, kind(coefficients[k]))
        q = fused_multiply_add(p * r, r, r)
        # 2**n itself may overflow where the result does not: half of it, and then twice the result.
        above = y > kind(0)
        scale = _power_of_two(rounded - (kind(1) if above else kind(0)))
        result = fused_multiply_add(scale, q, scale) * (kind(2) if above else kind(1))
        return kind(0) if underflow else result

    return compiled


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
