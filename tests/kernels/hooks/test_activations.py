"""Activations by address: values and slopes on ranges of rows and columns."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest
import reference
import reference_hooks

from fastnn.kernels.hooks import activations
from fastnn.kernels.simd import HAS_FMA, WIDTH_BYTES

NAMES = list(reference_hooks.ACTIVATIONS)
every_activation = pytest.mark.parametrize("name", NAMES)
ALPHA = 0.3
# Where a function is an interval's constant on the left, and on the right.
ENDS = {
    "relu": (0, None),
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1),
    "hard_swish": (0, None),
}
ENDS |= dict.fromkeys(["gelu", "gelu_tanh", "silu", "mish"], (0, None)) | {"softplus": (0, None)}
ENDS |= {"elu": (-ALPHA, None), "selu": (-1.7580993408473766, None), "identity": (None, None)}
ENDS |= {"leaky_relu": (-ALPHA * 1e4, None), "exp": (0, np.inf)}


@pytest.fixture
def z(rng, dtype):
    z = rng.uniform(-10, 10, (12, 20)).astype(dtype)
    z[-1] = np.linspace(-1e-6, 1e-6, 20)
    return z


def run(name, a, alpha=ALPHA):
    """The kernel on all of a copy of `a`."""
    value, slopes = a.copy(), np.full_like(a, np.nan)
    getattr(activations, name)(value, slopes, alpha, 0, len(a), a.shape[1])
    return value, slopes


@every_activation
def test_against_the_twin(z, dtype, poisoned, name):
    comp = poisoned(z, dtype), poisoned(np.full_like(z, np.nan), dtype)
    ref = reference.doubled(comp)
    getattr(activations, name)(*comp, ALPHA, 0, 12, 20)
    reference_hooks.ACTIVATIONS[name](*ref, ALPHA, 0, 12, 20)
    eps = np.finfo(dtype).eps
    # The functions are good to 6 units in the last place, products of them to 10. Only
    # gelu_tanh's sigmoid has a rounded argument: 2 (10 + 44.7) sqrt(2 / pi) = 87 at most, by 3 eps / 2.
    rtol = (140 if name == "gelu_tanh" else 10) * eps
    if name == "gelu" and not HAS_FMA:  # z^2 / 2, up to 50, is then rounded in the exponent
        rtol += 25 * eps
    np.testing.assert_allclose(comp[0], ref[0], rtol=rtol, atol=np.finfo(dtype).tiny)
    # A slope is a sum of terms below 10, which may cancel; one of 87 times the above in gelu_tanh's tail.
    np.testing.assert_allclose(comp[1], ref[1], rtol=rtol, atol=10 * eps)


@every_activation
def test_slope_is_that_of_the_value(name):
    z = np.array([[-3.3, -2.0, -0.7, -0.1, 0.1, 0.7, 2.0, 3.3]])
    # Central differences err by h^2 / 6 times a third derivative below 30 (5e-8), and by eps / h (2e-12).
    h = 1e-4
    (above, _), (below, _), (_, comp) = (run(name, side) for side in (z + h, z - h, z))
    np.testing.assert_allclose(comp, (above - below) / (2 * h), atol=5e-8)


@every_activation
def test_outside_of_the_range_stays(z, name):
    whole, whole_slopes = run(name, z)
    comp, slopes = z.copy(), np.full_like(z, 7)
    getattr(activations, name)(comp, slopes, ALPHA, 3, 9, 17)
    np.testing.assert_array_equal(comp[3:9, :17], whole[3:9, :17])
    np.testing.assert_array_equal(slopes[3:9, :17], whole_slopes[3:9, :17])
    comp[3:9, :17], slopes[3:9, :17] = z[3:9, :17], 7
    np.testing.assert_array_equal(comp, z)
    np.testing.assert_array_equal(slopes, 7)


@every_activation
def test_nan_comes_through(z, name):
    is_nan = np.zeros(z.shape, bool)
    is_nan[5, [0, 7]] = is_nan[6, 19] = True
    z[is_nan] = np.nan
    np.testing.assert_array_equal(np.isnan(run(name, z)[0]), is_nan)


@every_activation
@pytest.mark.parametrize("size", [1e4, "largest", np.inf])
def test_far_out(dtype, name, size):
    size = np.finfo(dtype).max if size == "largest" else size
    value, slopes = run(name, np.array([[-size, size]], dtype))
    low, high = ENDS[name]
    linear = -ALPHA * size if name == "leaky_relu" else -size
    low = linear if low is None or name == "leaky_relu" else low
    with np.errstate(over="ignore"):  # selu's of the largest number is infinite
        high = (1.0507009873554805 if name == "selu" else 1.0) * size if high is None else high
        ref = np.array([[low, high]]).astype(dtype)
    # They are exact, but for the rounding of constants.
    np.testing.assert_allclose(value, ref, rtol=2 * np.finfo(dtype).eps)
    assert not np.isnan(slopes).any()


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in NAMES if name != "exp"])
def test_pytorch_agrees(z, dtype, name):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    peers = {
        "identity": lambda z: z * 1,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "leaky_relu": lambda z: functional.leaky_relu(z, ALPHA),
        "elu": lambda z: functional.elu(z, ALPHA),
        "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
        "hard_sigmoid": functional.hardsigmoid,
        "hard_swish": functional.hardswish,
    }
    z[0, :3] = -3, 0, 3  # where there are kinks, the same side is taken
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    y = peers.get(name, getattr(functional, name, None))(x)
    y.sum().backward()
    comp, slopes = run(name, z)
    # As against the twin; but PyTorch has hardsigmoid's slope 1/6 in single precision, and gelu's tails from
    # 1 + tanh, rounded at 1, times z, 10 at most, and times the steepness 2 * 11.5 as well for the slope.
    eps = np.finfo(dtype).eps
    rtol = (140 if name == "gelu_tanh" else 10) * eps
    atol = {"hard_sigmoid": np.finfo(np.float32).eps / 6, "gelu_tanh": 230 * eps}.get(name, 10 * eps)
    np.testing.assert_allclose(comp, y.detach().numpy(), rtol=rtol, atol=10 * eps)
    np.testing.assert_allclose(slopes, x.grad.numpy(), rtol=rtol, atol=atol)


@pytest.mark.skipif(WIDTH_BYTES < 64, reason="looks for the names of 512-bit registers")
@every_activation
def test_vectorised(dtype, name):
    compiled = numba.njit(getattr(activations, name).py_func, error_model="numpy")
    a = np.zeros((1, 1), dtype)
    compiled(a, a.copy(), 1.0, 0, 1, 1)
    assembly = "\n".join(compiled.inspect_asm().values())
    # Arithmetic on whole vectors; the identity only moves them.
    operation = "mov" if name == "identity" else "(fmadd|mul|max|cmp)"
    pattern = rf"v{operation}\w*p[sd]\s.*%[yz]mm"
    assert re.search(pattern, assembly)
    assert not re.search(r"\$(exp|expm1|log|log1p|erfc?|tanh)f?,", assembly)
