"""Vectors, register tiles and matrix views: the intrinsics that the dense kernels are written with."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastnn.kernels import simd
from fastnn.kernels.sizes import TILE_ROWS, TILE_VECS

VECS = TILE_VECS[simd.WIDTH_BYTES]


@numba.njit
def pass_through(shape, out, source):
    simd.tile_store(simd.tile_load(shape, source, 2, 3), out, 1, 5)


@numba.njit
def add_outer(shape, out, left, row, right, col, n_sum):
    tile = simd.tile_zeros(shape)
    for k in range(n_sum):
        tile = simd.tile_add_outer(tile, left, row, k, right, col)
    simd.tile_store(tile, out, row, col)


@numba.njit
def run_tall(function, out, *args):
    function(simd.tile_shape(out, TILE_ROWS, VECS), out, *args)


@numba.njit
def run_low(function, out, *args):
    function(simd.tile_shape(out, 1, 1), out, *args)


@numba.njit
def view(flat, offset, n_rows, row_length):
    return simd.matrix(flat, offset, n_rows, row_length)


shapes = pytest.mark.parametrize(
    ("run", "n_rows", "n_vecs"), [(run_tall, TILE_ROWS, VECS), (run_low, 1, 1)], ids=["tall", "low"]
)


@shapes
def test_load_and_store(rng, dtype, run, n_rows, n_vecs):
    n_cols = n_vecs * simd.lanes(dtype)
    source = rng.standard_normal((n_rows + 3, n_cols + 4)).astype(dtype)
    comp = np.full((n_rows + 2, n_cols + 6), np.nan, dtype)
    ref = comp.copy()
    run(pass_through, comp, source)
    ref[1:-1, 5:-1] = source[2:-1, 3:-1]
    np.testing.assert_array_equal(comp, ref)


@shapes
@pytest.mark.parametrize("order", ["C", "F"])
def test_add_outer(rng, dtype, run, n_rows, n_vecs, order):
    n_cols = n_vecs * simd.lanes(dtype)
    left = rng.integers(-9, 9, (n_rows + 2, 5)).astype(dtype)
    right = rng.integers(-9, 9, (5, n_cols + 2)).astype(dtype)
    comp = np.full((n_rows + 2, n_cols + 2), np.nan, dtype)
    ref = comp.copy()
    # The transposed order is that of a transposed view, as in backward_weights.
    given = left if order == "C" else np.ascontiguousarray(left.T).T
    run(add_outer, comp, given, 1, right, 1, 5)
    ref[1:-1, 1:-1] = left[1:-1] @ right[:, 1:-1]  # exact: small integers
    np.testing.assert_array_equal(comp, ref)


@numba.njit
def add_scaled(out, right, row):
    shape = simd.tile_shape(out, 1, VECS)
    simd.tile_prefetch(shape, right, row, 1)
    tile = simd.tile_load(shape, out, 1, 1)
    simd.tile_store(simd.tile_add_scaled(tile, right[0, 0], right, row, 2), out, 1, 1)


def test_add_scaled(rng, dtype):
    n_cols = VECS * simd.lanes(dtype)
    right = rng.integers(-9, 9, (4, n_cols + 3)).astype(dtype)
    comp = rng.integers(-9, 9, (3, n_cols + 2)).astype(dtype)
    ref = comp.copy()
    add_scaled(comp, right, 3)
    ref[1, 1:-1] += right[0, 0] * right[3, 2:-1]  # exact: small integers
    np.testing.assert_array_equal(comp, ref)


def test_multiply_and_add_round_once_where_the_cpu_can(dtype):
    # (1 + e)(1 - e) - 1 = -e^2, all of which a product that is rounded first loses.
    e = np.finfo(dtype).eps
    left = np.array([[1, 1 + e]], dtype)
    right = np.repeat(np.array([[-1], [1 - e]], dtype), simd.lanes(dtype), axis=1)
    comp = np.empty((1, simd.lanes(dtype)), dtype)
    run_low(add_outer, comp, left, 0, right, 0, 2)
    np.testing.assert_array_equal(comp, np.full_like(comp, -(e**2) if simd.HAS_FMA else 0))


def test_matrix_is_a_view(dtype):
    flat = np.arange(40).astype(dtype)
    comp = view(flat, 5, 3, 7)
    np.testing.assert_array_equal(comp, flat[5:26].reshape(3, 7))
    comp[2, 6] = -1
    assert flat[25] == -1


def test_lanes():
    assert simd.lanes(np.float32) == 2 * simd.lanes(np.float64) == simd.WIDTH_BYTES // 4
    assert simd.WIDTH_BYTES in TILE_VECS


def test_padded():
    assert [simd.padded(n) for n in (1, 15, 16, 17, 32)] == [16, 16, 16, 32, 32]
