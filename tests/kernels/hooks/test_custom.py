"""Kernels made from the user's own functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastnn.kernels.hooks.custom import activation_kernel, loss_kernel


def softsign(z):
    return z / (1 + abs(z))


def softsign_slope(z):
    return 1 / (1 + abs(z)) ** 2


@pytest.mark.parametrize("derivative", [None, softsign_slope])
def test_an_activation_of_ones_own(derivative, rng):
    z = rng.standard_normal((5, 16))
    a, slopes = z.copy(), np.full_like(z, np.nan)
    activation_kernel(softsign, derivative)(a, slopes, 0.0, 1, 4, 16)
    np.testing.assert_allclose(a[1:4], softsign(z[1:4]), rtol=1e-14)
    np.testing.assert_allclose(slopes[1:4], softsign_slope(z[1:4]), rtol=1e-8)
    np.testing.assert_array_equal(a[[0, 4]], z[[0, 4]])  # rows outside the range are left alone
    assert np.isnan(slopes[[0, 4]]).all()


def test_a_wrong_derivative_is_refused():
    with pytest.raises(ValueError, match=r"derivative of activation 'softsign' is .* finite differences"):
        activation_kernel(softsign, softsign)
    with pytest.raises(ValueError, match=r"derivative of loss 'distance' is .* at a = "):
        loss_kernel(distance, distance)


def distance(a, y):
    return math.log1p((a - y) ** 2)


def test_what_numba_cannot_compile_is_refused():
    def opens(z):
        return open(str(z))

    with pytest.raises(TypeError, match="activation 'opens' cannot be compiled by numba"):
        activation_kernel(opens)
