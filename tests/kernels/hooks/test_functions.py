"""The functions of one number: their error in units of the last place, and that LLVM vectorises them."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest
from reference_hooks import normal_cdf, normal_density

from fastnn._jit import jit
from fastnn.kernels import exponential
from fastnn.kernels.hooks import functions
from fastnn.kernels.simd import HAS_FMA, WIDTH_BYTES


@jit
def exp_all(out, x):
    for j in range(x.size):
        out[j] = exponential.exp(x[j])


@jit
def expm1_all(out, x):
    for j in range(x.size):
        out[j] = functions.exp_and_expm1_negative(x[j])[1]


@jit
def sigmoid_of_minus_all(out, x):
    for j in range(x.size):
        out[j] = functions.sigmoids(x[j])[1]


@jit
def softplus_all(out, x):
    for j in range(x.size):
        out[j] = functions.softplus_of(x[j])


@jit
def log_cosh_all(out, x):
    for j in range(x.size):
        out[j] = functions.log_cosh_of(x[j])


@jit
def cdf_all(out, x):
    for j in range(x.size):
        out[j] = functions.normal(x[j])[0]


@jit
def density_all(out, x):
    for j in range(x.size):
        out[j] = functions.normal(x[j])[1]


def log_cosh(x):
    return np.where(x < 1, np.log1p(2 * np.sinh(x / 2) ** 2), np.logaddexp(x, -x) - np.log(np.longdouble(2)))


CASES = [
    # The last number is the bound stated where the function stands; where none is stated, it follows from
    # those of what it is made of: 1 for exp, 3 for log1p, half a unit for each operation more.
    (exp_all, np.exp, [-1], 87, 708, 1.1),
    (exp_all, np.exp, [1], 88.7, 709.7, 1.1),
    (expm1_all, np.expm1, [-1], 87, 708, 2),
    (sigmoid_of_minus_all, lambda x: 1 / (1 + np.exp(x)), [-1, 1], 87, 708, 3),
    (softplus_all, lambda x: np.logaddexp(x, np.longdouble(0)), [-1, 1], 87, 708, 5),
    (log_cosh_all, log_cosh, [1], 1e4, 1e4, 5),
    (cdf_all, normal_cdf, [-1, 1], 13.1, 37.5, 6),
    (density_all, normal_density, [-1, 1], 13.1, 37.5, 3),
]
KERNELS = list(dict.fromkeys(case[0] for case in CASES))


@pytest.mark.parametrize(("kernel", "function", "signs", "limit32", "limit64", "most_ulp"), CASES)
def test_error(rng, dtype, kernel, function, signs, limit32, limit64, most_ulp):
    if not HAS_FMA and kernel in (cdf_all, density_all):
        pytest.skip("without fused multiply-add the square in the exponent is rounded")
    limit = limit32 if dtype == np.float32 else limit64
    x = np.concatenate([rng.uniform(0, limit, 50_000), 10.0 ** rng.uniform(-15, 1, 50_000)])
    x = np.concatenate([sign * x for sign in signs]).astype(dtype)
    comp = np.empty_like(x)
    kernel(comp, x)
    with np.errstate(under="ignore"):
        ref = function(x.astype(np.longdouble))
        ulp = np.spacing(np.abs(ref.astype(dtype))).astype(np.longdouble)
    normal = np.abs(ref) >= np.finfo(dtype).tiny  # less may be 0
    assert normal.mean() > 0.7
    assert np.max(np.abs(comp - ref)[normal] / ulp[normal]) <= most_ulp


@pytest.mark.parametrize(
    ("kernel", "at_minus", "at_0", "at_plus"),
    [
        (exp_all, 0, 1, np.inf),
        (sigmoid_of_minus_all, 1, 0.5, 0),
        (softplus_all, 0, np.log(2), np.inf),
        (log_cosh_all, np.inf, 0, np.inf),
        (cdf_all, 0, 0.5, 1),
        (density_all, 0, 1 / np.sqrt(2 * np.pi), 0),
    ],
)
def test_ends(dtype, kernel, at_minus, at_0, at_plus):
    x = np.array([-np.inf, 0, np.inf, np.nan], dtype)
    comp = np.empty_like(x)
    kernel(comp, x)
    # Some units of the last place at 0; the ends are exact.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(comp, [at_minus, at_0, at_plus, np.nan], rtol=4 * eps)


def test_inside(dtype):
    x = np.array([-np.inf, -1e4, -2, 0, 3, 1e4, np.inf, np.nan], dtype)
    comp = [functions.inside(value) for value in x]
    np.testing.assert_array_equal(comp, [-1000, -1000, -2, 0, 3, 1000, 1000, np.nan])


def test_log_or_zero(dtype):
    comp = [functions.log_or_zero(dtype.type(value)) for value in (0, 1, 2)]
    np.testing.assert_allclose(comp, [0, 0, np.log(2)], rtol=2 * np.finfo(dtype).eps)


@pytest.mark.skipif(WIDTH_BYTES < 64, reason="looks for the names of 512-bit registers")
@pytest.mark.parametrize("kernel", KERNELS)
def test_vectorised(dtype, kernel):
    x = np.zeros(1, dtype)
    compiled = numba.njit(kernel.py_func, error_model="numpy")  # code from the cache has no listing
    compiled(x.copy(), x)
    assembly = "\n".join(compiled.inspect_asm().values())
    letter = "s" if dtype == np.float32 else "d"
    assert re.search(rf"vfmadd\w+p{letter}\s.*%[yz]mm", assembly)
    assert not re.search(r"\$(exp|expm1|log|log1p|erfc?|tanh)f?,", assembly)
