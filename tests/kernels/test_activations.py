"""Activations in place, on ranges of rows and columns."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastnn.kernels import activations
from fastnn.kernels.activations import ACTIVATIONS, OUTPUTS, RELU, SIGMOID, SOFTMAX, TANH
from fastnn.kernels.sizes import PAD

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
every_output = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)


@pytest.fixture
def z(rng, dtype):
    """Moderate values and, in the last rows, ones at which a careless form overflows."""
    z = rng.uniform(-10, 10, (12, 32)).astype(dtype)
    z[-2], z[-1] = np.linspace(-1e4, 1e4, 32), np.linspace(-1e-6, 1e-6, 32)
    return z


@every_activation
def test_activate(z, dtype, activation):
    comp, ref = z.copy(), reference.doubled(z)
    activations.activate(comp, activation, 0, 12, 0, 32)
    reference.activate(ref, activation, 0, 12, 0, 32)
    # exp and tanh of the platform are good to some 2 eps; a sum and a quotient come on top.
    np.testing.assert_allclose(comp, ref, rtol=6 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@every_activation
def test_multiply_by_derivative(rng, dtype, activation):
    a = np.maximum(rng.uniform(-0.5, 1, (12, 20)), 0).astype(dtype)
    comp = rng.standard_normal((12, 20)).astype(dtype)
    ref = reference.doubled(comp)
    activations.multiply_by_derivative(comp, a, activation, 0, 12, 0, 20)
    reference.multiply_by_derivative(ref, reference.doubled(a), activation, 0, 12, 0, 20)
    # 1 - a rounds by eps / 2, absolutely: relative to what is left it may be more. |delta| is below 4.
    np.testing.assert_allclose(comp, ref, rtol=2 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@every_activation
def test_derivative_is_that_of_the_function(activation):
    z = np.array([[-3.0, -0.7, -0.1, 0.1, 0.7, 3.0]])
    # Central differences err by h^2 / 6 times a third derivative below 2 (3e-9), and by eps / h (2e-12).
    h, sides = 1e-4, []
    for side in (z + h, z - h, z):
        sides.append(side.copy())
        activations.activate(sides[-1], activation, 0, 1, 0, 6)
    comp = np.ones_like(z)
    activations.multiply_by_derivative(comp, sides[2], activation, 0, 1, 0, 6)
    np.testing.assert_allclose(comp, (sides[0] - sides[1]) / (2 * h), atol=4e-9)


@pytest.mark.parametrize("kernel", ["activate", "multiply_by_derivative"])
@every_activation
def test_outside_of_the_range_stays(z, dtype, kernel, activation):
    whole, comp = z.copy(), z.copy()
    others = () if kernel == "activate" else (np.full_like(z, 0.5),)
    getattr(activations, kernel)(whole, *others, activation, 0, 12, 0, 20)
    getattr(activations, kernel)(comp, *others, activation, 3, 9, 2, 19)
    np.testing.assert_array_equal(comp[3:9, 2:19], whole[3:9, 2:19])
    comp[3:9, 2:19] = z[3:9, 2:19]
    np.testing.assert_array_equal(comp, z)


@every_output
def test_nan_comes_through(z, output):
    z[5, [0, 7]] = np.nan  # the maximum of a row passes over them
    z[6, 19] = np.nan
    activations.activate_output(z, *np.empty((2, 12)), output, 20, 0, 12)
    is_nan = np.isnan(z[:, :20])
    assert is_nan[5, [0, 7]].all()
    assert is_nan[6, 19]
    assert is_nan.sum() == (40 if output == SOFTMAX else 3)


@pytest.mark.parametrize(("activation", "low", "high"), [(RELU, 0, 1e4), (TANH, -1, 1), (SIGMOID, 0, 1)])
def test_far_out_they_are_exact(dtype, activation, low, high):
    z = np.array([[-1e4, 1e4]], dtype)
    activations.activate(z, activation, 0, 1, 0, 2)
    np.testing.assert_array_equal(z, [[low, high]])


@every_output
def test_activate_output(z, dtype, output):
    comp, ref = z.copy(), reference.doubled(z)
    activations.activate_output(comp, *np.empty((2, 12)), output, 17, 1, 12)
    reference.activate_output(ref, None, None, output, 17, 1, 12)
    ref[ref > np.finfo(dtype).max] = np.inf  # of exp
    # As above; a softmax takes exp(z - max), where the difference, 20 at most but for the row of 1e4, whose
    # small terms are 0, has an error of up to 10 eps.
    rtol = (6 if output != SOFTMAX else 30) * np.finfo(dtype).eps
    np.testing.assert_allclose(comp[:, :17], ref[:, :17], rtol=rtol, atol=np.finfo(dtype).tiny)
    if output != SOFTMAX:  # which may write to the padding
        np.testing.assert_array_equal(comp[:, 17:], z[:, 17:])
    np.testing.assert_array_equal(comp[0], z[0])


@pytest.mark.parametrize("n_out", [*range(1, 20), 31, 32, 33, 48, 65])
def test_sums_and_largest_of_a_row(rng, dtype, poisoned, panelled, n_out):
    values = rng.integers(-9, 9, (5, n_out))  # of which every sum is exact
    rows, panels = poisoned(values, dtype), panelled(values, dtype, 7)
    for r in range(5):
        assert activations.row_max(rows, n_out, r) == values[r].max()
        assert activations.row_sum(rows, n_out, r) == values[r].sum()
        assert activations.row_sum(panels, n_out, r, 7 * PAD) == values[r].sum()
        assert activations.row_sum_of_squares(rows, n_out, r) == (values[r] ** 2).sum()


def test_softmax(dtype, poisoned):
    z = np.log(np.array([[1, 2, 5], [1, 1, 2], [0.25, 0.25, 0.25]])).astype(dtype)
    shifted = (z + np.array([[0], [1e3], [-1e3]])).astype(dtype)
    ref = [[1 / 8, 2 / 8, 5 / 8], [1 / 4, 1 / 4, 1 / 2], [1 / 3, 1 / 3, 1 / 3]]
    for comp, size in [(z, 1), (shifted, 1e3)]:
        comp = poisoned(comp, dtype)
        activations.softmax(comp, *np.empty((2, 3)), 3, 0, 3)
        # Values of a size are given to eps times it, and so is the logarithm of the result.
        np.testing.assert_allclose(comp[:, :3], ref, rtol=4 * size * np.finfo(dtype).eps)
