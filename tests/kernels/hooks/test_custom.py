"""Kernels made from the user's own functions."""

from __future__ import annotations

import gc
import math
import weakref

import numba
import numpy as np
import pytest

from fastnn.kernels.hooks import custom
from fastnn.kernels.hooks.custom import activation_kernel, loss_kernel

compiles = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


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


@compiles
def test_what_numba_cannot_compile_is_refused():
    def opens(z):
        return open(str(z))

    with pytest.raises(TypeError, match="activation 'opens' cannot be compiled by numba"):
        activation_kernel(opens)


def of(kernel, z=2.0):
    """The activation that a kernel computes of a number."""
    a, slopes = np.full((1, 16), z), np.empty((1, 16))
    kernel(a, slopes, 0.0, 0, 1, 1)
    return a[0, 0]


@compiles
def test_functions_that_compute_the_same_share_a_kernel():
    def make(k):
        return lambda z: k * z

    kernels = [activation_kernel(make(k)) for k in (1.0, 2.0, 1.0, 2.0)]
    assert kernels[0] is kernels[2]
    assert kernels[1] is kernels[3]
    assert [of(kernel) for kernel in kernels] == [2.0, 4.0, 2.0, 4.0]
    assert activation_kernel(make(1.0), lambda z: 1.0 + 0 * z) is not kernels[0]
    losses = [loss_kernel(lambda a, y: (a - y) ** 2) for _ in range(2)]
    assert losses[0] is losses[1]


@compiles
def test_values_that_change_are_seen():
    """numba freezes what a function reads, so each of these is a function of its own."""
    table, values = np.array([1.0, 2.0]), {"k": 1.0}
    in_array = lambda: lambda z: z * table[1]  # noqa: E731
    in_global = lambda: eval("lambda z: z * k", values)  # noqa: E731
    first = [activation_kernel(make()) for make in (in_array, in_global)]
    table[1], values["k"] = 5.0, 5.0
    second = [activation_kernel(make()) for make in (in_array, in_global)]
    assert [of(kernel) for kernel in first + second] == [4.0, 2.0, 10.0, 10.0]


@compiles
def test_a_dispatcher_made_anew():
    def make(k):
        return numba.njit(lambda z: k * z)

    assert activation_kernel(make(1.0)) is activation_kernel(make(1.0))
    mine = make(1.0)
    assert mine(2.0) == 2.0  # compiled by its owner, at a time that is not known
    assert activation_kernel(mine) is activation_kernel(mine)
    assert activation_kernel(mine) is not activation_kernel(make(1.0))


@compiles
def test_kernels_out_of_use_are_forgotten(monkeypatch):
    monkeypatch.setattr(custom, "_MOST_KERNELS", 2)
    make_kernel = custom._shared(custom.activation_kernel.__wrapped__)
    kernels = [weakref.ref(make_kernel(eval(f"lambda z: {k} * z"))) for k in range(4)]
    gc.collect()
    assert [kernel() is None for kernel in kernels] == [True, True, False, False]
