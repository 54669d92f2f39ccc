"""exp, sigmoid, tanh and log: their error in units of the last place, and that LLVM vectorises them."""

import re

import numba
import numpy as np
import pytest

from fastnn._jit import jit
from fastnn.kernels.exponential import exp_negative, log1p_positive, log_normal, sigmoid, tanh
from fastnn.kernels.simd import WIDTH_BYTES


@jit
def exp_all(out, x):
    for j in range(x.size):
        out[j] = exp_negative(x[j])


@jit
def sigmoid_all(out, x):
    for j in range(x.size):
        out[j] = sigmoid(x[j])


@jit
def tanh_all(out, x):
    for j in range(x.size):
        out[j] = tanh(x[j])


@jit
def log_all(out, x):
    for j in range(x.size):
        out[j] = log_normal(x[j])


@jit
def log1p_all(out, x):
    for j in range(x.size):
        out[j] = log1p_positive(x[j])


def arguments(rng, dtype, signs):
    """All sizes: uniform up to where exp underflows, and every order of magnitude below 10."""
    limit = {"float32": 87, "float64": 708}[dtype.name]
    x = np.concatenate([rng.uniform(0, limit, 100_000), 10.0 ** rng.uniform(-30, 1, 100_000)])
    return np.concatenate([sign * x for sign in signs]).astype(dtype)


@pytest.mark.parametrize(
    ("kernel", "function", "signs", "most_ulp"),
    [
        # The stated bounds; the reference is in long double, which is exact beside them.
        (exp_all, np.exp, [-1], 1),
        (sigmoid_all, lambda z: 1 / (1 + np.exp(-z)), [-1, 1], 3),
        (tanh_all, np.tanh, [-1, 1], 3),
        (log_all, np.log, [1], 2),
        (log1p_all, np.log1p, [1], 3),
    ],
)
def test_error(rng, dtype, kernel, function, signs, most_ulp):
    x = arguments(rng, dtype, signs)
    comp = np.empty_like(x)
    kernel(comp, x)
    ref = function(x.astype(np.longdouble))
    ulp = np.spacing(np.abs(ref.astype(dtype))).astype(np.longdouble)
    assert np.max(np.abs(comp - ref) / ulp) <= most_ulp


@pytest.mark.parametrize(
    ("kernel", "x", "ref"),
    [
        (exp_all, [0.0, -1e4, -np.inf, np.nan], [1.0, 0.0, 0.0, np.nan]),
        (sigmoid_all, [0.0, 1e4, -1e4, np.inf, -np.inf, np.nan], [0.5, 1.0, 0.0, 1.0, 0.0, np.nan]),
        (tanh_all, [0.0, 1e4, -1e4, np.inf, -np.inf, np.nan], [0.0, 1.0, -1.0, 1.0, -1.0, np.nan]),
        (log_all, [1.0, np.nan], [0.0, np.nan]),
        (log1p_all, [0.0, np.nan], [0.0, np.nan]),
    ],
)
def test_ends(dtype, kernel, x, ref):
    comp = np.empty(len(x), dtype)
    kernel(comp, np.array(x, dtype))
    np.testing.assert_array_equal(comp, ref)


@pytest.mark.skipif(WIDTH_BYTES < 64, reason="looks for the names of 512-bit registers")
@pytest.mark.parametrize("kernel", [exp_all, sigmoid_all, tanh_all, log_all, log1p_all])
def test_vectorised(kernel):
    x = np.zeros(1, np.float32)
    compiled = numba.njit(kernel.py_func, error_model="numpy")  # code from the cache has no listing
    compiled(x.copy(), x)
    assembly = "\n".join(compiled.inspect_asm().values())
    assert re.search(r"vfmadd\w+ps\s.*%[yz]mm", assembly)
    assert not re.search(r"\b(expf|logf|log1pf)\b", assembly)
