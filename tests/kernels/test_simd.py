"""Vectors, register tiles and matrix views: the intrinsics that the dense kernels are written with."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import reference

from fastnn.kernels import simd
from fastnn.kernels.sizes import PAD, TILE_ROWS, TILE_VECS
from fastnn.network.layout import from_panels

VECS = TILE_VECS[simd.WIDTH_BYTES]
N_COLS = 7 * PAD


@numba.njit
def pass_through(shape, out, source, col, out_stride, stride):
    simd.tile_store(simd.tile_load(shape, source, 2, col, stride), out, 1, col, out_stride)


@numba.njit
def repeat(shape, out, source, col, out_stride, stride):
    simd.tile_store(simd.tile_repeat(shape, source, 2, col, stride), out, 1, col, out_stride)


@numba.njit
def add_down(shape, out, left, right, col, out_stride, stride):
    tile = simd.tile_zeros(shape)
    for k in range(5):
        tile = simd.tile_add_outer(tile, left, 2, k, 1, right, k, col, stride)
    simd.tile_store(tile, out, 1, col, out_stride)


@numba.njit
def add_across(shape, out, left, right, col, out_stride, stride):
    tile = simd.tile_zeros(shape)
    for k in range(5):
        tile = simd.tile_add_outer(tile, left, k, 2, 0, right, k, col, stride)
    simd.tile_store(tile, out, 1, col, out_stride)


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


@pytest.fixture(params=["panels", "whole rows"])
def stored(request, dtype):
    """Store a matrix of whole panels in one of both forms; return it with the stride of its panels."""

    def make(values):
        if request.param == "panels":
            return reference.to_panels(values.astype(dtype)), len(values) * PAD
        return values.astype(dtype), PAD

    return make


def in_rows(array, n_rows):
    """The matrix of `n_rows` rows that is stored in either form."""
    return array.copy() if len(array) == n_rows else from_panels(array, n_rows)


def columns_of(n_vecs, dtype):
    """Every range of columns a tile may have: inside of a panel, or from the beginning of one on."""
    n = n_vecs * simd.lanes(dtype)
    return [slice(start, start + n) for start in range(0, 3 * PAD, min(n, PAD))]


@shapes
def test_load_and_store(rng, dtype, stored, run, n_rows, n_vecs):
    for columns in columns_of(n_vecs, dtype):
        values = rng.standard_normal((n_rows + 3, N_COLS)).astype(dtype)
        (comp, out_stride), (source, stride) = stored(np.full((n_rows + 2, N_COLS), np.nan)), stored(values)
        run(pass_through, comp, source, columns.start, out_stride, stride)
        ref = np.full((n_rows + 2, N_COLS), np.nan)
        ref[1:-1, columns] = values[2:-1, columns]
        np.testing.assert_array_equal(in_rows(comp, n_rows + 2), ref)


@shapes
def test_repeat(rng, dtype, stored, run, n_rows, n_vecs):
    for columns in columns_of(n_vecs, dtype):
        values = rng.standard_normal((4, N_COLS)).astype(dtype)
        (comp, out_stride), (source, stride) = stored(np.full((n_rows + 2, N_COLS), np.nan)), stored(values)
        run(repeat, comp, source, columns.start, out_stride, stride)
        ref = np.full((n_rows + 2, N_COLS), np.nan)
        ref[1:-1, columns] = values[2, columns]
        np.testing.assert_array_equal(in_rows(comp, n_rows + 2), ref)


@shapes
@pytest.mark.parametrize("add", [add_down, add_across], ids=["down", "across"])
def test_add_outer(rng, dtype, stored, run, n_rows, n_vecs, add):
    for columns in columns_of(n_vecs, dtype):
        left = rng.integers(-9, 9, (n_rows, 5))
        panel = np.full((12, PAD), np.nan, dtype)
        if add is add_down:
            panel[2 : 2 + n_rows, :5] = left
        else:
            panel[:5, 2 : 2 + n_rows] = left.T
        values = rng.integers(-9, 9, (6, N_COLS))
        (comp, out_stride), (right, stride) = stored(np.full((n_rows + 2, N_COLS), np.nan)), stored(values)
        run(add, comp, panel, right, columns.start, out_stride, stride)
        ref = np.full((n_rows + 2, N_COLS), np.nan)
        ref[1:-1, columns] = left @ values[:5, columns]  # exact: small integers
        np.testing.assert_array_equal(in_rows(comp, n_rows + 2), ref)


@numba.njit
def add_scaled(out, right, row, col, out_stride, stride):
    shape = simd.tile_shape(out, 1, VECS)
    simd.tile_prefetch(shape, right, row, col, stride, 1)
    tile = simd.tile_load(shape, out, 1, col, out_stride)
    simd.tile_store(simd.tile_add_scaled(tile, right[0, 0], right, row, col, stride), out, 1, col, out_stride)


def test_add_scaled(rng, dtype, stored):
    for columns in columns_of(VECS, dtype):
        values, ref = rng.integers(-9, 9, (4, N_COLS)), rng.integers(-9, 9, (3, N_COLS))
        (comp, out_stride), (right, stride) = stored(ref), stored(values)
        add_scaled(comp, right, 3, columns.start, out_stride, stride)
        ref[1, columns] += values[0, 0] * values[3, columns]  # exact: small integers
        np.testing.assert_array_equal(in_rows(comp, 3), ref)


@numba.njit
def row_with_fill(out, source, col, stride, stop):
    fill = source.dtype.type(7)
    simd.tile_store(simd.vector_load(source, 2, col, stride, stop, fill), out, 0, 0, PAD)


def test_vector_load_fills_from_a_column_on(rng, dtype, stored):
    values = rng.standard_normal((4, 3 * PAD)).astype(dtype)
    source, stride = stored(values)
    n = simd.lanes(dtype)
    for col in range(0, 3 * PAD, n):
        for stop in (0, col, col + 1, col + n - 1, col + n, 3 * PAD):
            comp = np.full((1, PAD), np.nan, dtype)
            row_with_fill(comp, source, col, stride, stop)
            ref = np.where(np.arange(col, col + n) < stop, values[2, col : col + n], 7)
            np.testing.assert_array_equal(comp[0, :n], ref)
            assert np.isnan(comp[0, n:]).all()


@numba.njit
def copy_line(out, source):
    simd.line_copy(out, 2, PAD, source, 1, 2 * PAD)


def test_line_copy(rng, dtype):
    source = rng.standard_normal((3, 4 * PAD)).astype(dtype)
    comp = np.full((4, 3 * PAD), np.nan, dtype)
    ref = comp.copy()
    copy_line(comp, source)
    ref[2, PAD : 2 * PAD] = source[1, 2 * PAD : 3 * PAD]
    np.testing.assert_array_equal(comp, ref)


@numba.njit
def one_row(array, r0, r1):
    return simd.as_one_row(array, r0, r1)


def test_as_one_row_is_a_view(dtype):
    array = np.arange(6 * PAD).astype(dtype).reshape(6, PAD)
    comp = one_row(array, 2, 5)
    np.testing.assert_array_equal(comp, array[2:5].reshape(1, -1))
    comp[0, -1] = -1
    assert array[4, -1] == -1


def test_multiply_and_add_round_once_where_the_cpu_can(dtype):
    # (1 + e)(1 - e) - 1 = -e^2, all of which a product that is rounded first loses.
    e, n = np.finfo(dtype).eps, simd.lanes(dtype)
    left, right = np.zeros((3, PAD), dtype), np.zeros((5, PAD), dtype)
    left[2, :2], right[:2] = [1, 1 + e], [[-1], [1 - e]]
    comp = np.full((2, PAD), np.nan, dtype)
    run_low(add_down, comp, left, right, 0, PAD, PAD)
    np.testing.assert_array_equal(comp[1, :n], np.full(n, -(e**2) if simd.HAS_FMA else 0))


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
