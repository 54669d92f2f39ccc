"""Flat vectors: aligned, padded, every layer in a place of its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastnn._tuning import ALIAS_BYTES, PAD
from fastnn.buffers import ALIGN_BYTES, Layout, aligned_zeros, row_length
from fastnn.kernels.simd import padded

# Alone, beside the edges of a row's padding, and where rows are moved off the power of two.
SIZES = [(1, 1), (3, 5, 2), (16, 15, 17, 16), (31, 512, 255, 256, 1)]


@pytest.fixture(params=SIZES, ids=str)
def sizes(request):
    return request.param


@pytest.fixture
def layout(sizes, dtype):
    return Layout(sizes, [0] * (len(sizes) - 1), dtype)


@pytest.mark.parametrize("shape", [1, 7, (3, 5), (100, 33)])
def test_aligned_zeros(dtype, shape):
    for _ in range(20):  # luck would not last
        comp = aligned_zeros(shape, dtype)
        assert comp.ctypes.data % ALIGN_BYTES == 0
        assert comp.flags.c_contiguous
        assert comp.flags.writeable
        np.testing.assert_array_equal(comp, np.zeros(shape, dtype), strict=True)


@pytest.mark.parametrize("itemsize", [4, 8])
def test_row_length(itemsize):
    for n in range(1, 3000):
        length = row_length(n, itemsize)
        assert length % PAD == 0
        assert length * itemsize % ALIAS_BYTES != 0
        assert n <= length < n + 2 * PAD
        assert length < n + PAD or padded(n) * itemsize % ALIAS_BYTES == 0


def test_weights_are_views_in_places_of_their_own(layout, sizes, dtype):
    flat = np.zeros(layout.n_params, dtype)
    views = layout.weights(flat)
    assert [view.shape for view in views] == [(n_in + 1, n_out) for n_in, n_out in pairwise(sizes)]
    for view in views:
        view += 1
    assert flat.sum() == sum(view.size for view in views)
    assert flat.max() == 1


def test_transposed_are_views_in_places_of_their_own(layout, sizes, dtype):
    flat = np.zeros(layout.n_params_t, dtype)
    views = layout.transposed(flat)
    # Nothing flows back through the first layer.
    assert [view.shape for view in views] == [(n_out, n_in) for n_in, n_out in pairwise(sizes[1:])]
    for view in views:
        view += 1
    assert flat.sum() == sum(view.size for view in views)
    assert flat.max(initial=1) == 1


@pytest.mark.parametrize("capacity", [1, 7])
def test_workspace(layout, sizes, dtype, capacity):
    work = layout.workspace(capacity, 3)
    assert work.capacity == capacity
    assert work.y.shape == (capacity, 3)
    assert work.row_loss.shape == work.row_score.shape == (capacity,)
    assert {work.activations.dtype, work.deltas.dtype, work.y.dtype} == {dtype}

    # Every matrix of the table from its start to its end, once each: they fill the vectors exactly.
    ends = {"in": [0], "out": [], "d": [0]}
    for layer, (n_in, n_out) in zip(layout.layers, pairwise(sizes), strict=True):
        assert (layer["n_in"], layer["n_out"]) == (n_in, n_out)
        # The unit stands beside the activations; the kernels write whole vectors of outputs.
        assert layer["in_cols"] > n_in
        assert layer["out_cols"] > n_out
        assert min(layer["out_cols"], layer["d_cols"], layer["w_cols"]) >= padded(n_out)
        assert layer["t_cols"] >= padded(n_in)
        assert layer["in_start"] == ends["in"][-1]
        assert layer["d_start"] == ends["d"][-1]
        ends["in"].append(layer["in_start"] + layer["in_cols"])
        ends["out"].append(layer["out_start"] + layer["out_cols"])
        ends["d"].append(layer["d_start"] + layer["d_cols"])
        assert layer["out_start"] == ends["in"][-1]
    assert capacity * ends["out"][-1] == work.activations.size
    assert capacity * ends["d"][-1] == work.deltas.size
