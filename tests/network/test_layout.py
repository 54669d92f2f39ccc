"""Flat vectors: aligned, padded, every layer in a place of its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels.hooks.rows import BATCH_NORM, LAYER_NORM, N_STATISTICS
from fastnn.kernels.simd import padded
from fastnn.kernels.sizes import ALIAS_BYTES, GRAIN_COLS, PAD, TILE_ROWS
from fastnn.network.layout import ALIGN_BYTES, LayerSpec, Layout, aligned_zeros, row_length

# Alone, beside the edges of a row's padding, and where rows are moved off the power of two.
SIZES = [(1, 1), (3, 5, 2), (16, 15, 17, 16), (31, 512, 255, 256, 1)]


@pytest.fixture(params=SIZES, ids=str)
def sizes(request):
    return request.param


# Of the hidden layers in turn: a spec, the rows of parameters and the saved matrices that it needs.
SPECS = [
    (LayerSpec(norm=BATCH_NORM, prelu=True, dropout=0.5, hooked=True), 3, 3),
    (LayerSpec(), 0, 0),
    (LayerSpec(norm=LAYER_NORM, residual=True, alpha=0.1, hooked=True), 2, 3),
]
PLAIN = LayerSpec(), 0, 0


@pytest.fixture(params=[[PLAIN] * 3, SPECS], ids=["plain", "hooked"])
def specs(request, sizes):
    """As many as there are layers; the output layer's is plain."""
    return [*request.param[: len(sizes) - 2], PLAIN]


@pytest.fixture
def layout(sizes, specs, dtype):
    return Layout(sizes, [spec for spec, _, _ in specs], dtype)


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


def test_weights_are_views_in_places_of_their_own(layout, sizes, specs, dtype):
    flat = np.zeros(layout.n_params, dtype)
    views = layout.weights(flat)
    more = [n_more for _, n_more, _ in specs]
    pairs = pairwise(sizes)
    assert [view.shape for view in views] == [
        (n_in + 1 + n, n_out) for (n_in, n_out), n in zip(pairs, more, strict=True)
    ]
    for view in views:
        view += 1
    assert flat.sum() == sum(view.size for view in views)
    assert flat.max() == 1


@pytest.mark.parametrize("capacity", [1, 7])
def test_workspace(layout, sizes, specs, dtype, capacity):
    work = layout.workspace(capacity, 3)
    assert work.capacity == capacity
    assert work.y.shape == (capacity, 3)
    assert work.row_loss.shape == work.row_score.shape == (capacity,)
    assert {work.activations.dtype, work.deltas.dtype, work.y.dtype} == {dtype}

    # Every matrix of the table from its start to its end, once each: they fill the vectors exactly.
    ends = {"out": [0], "d": [0]}
    t_end = k_end = s_end = 0
    for layer, (n_in, n_out), (spec, _, n_saved) in zip(layout.layers, pairwise(sizes), specs, strict=True):
        assert (layer["hooked"], layer["norm"], layer["prelu"]) == (spec.hooked, spec.norm, spec.prelu)
        assert (layer["dropout"], layer["alpha"]) == (spec.dropout, spec.alpha)
        assert (layer["t_start"], layer["saved_start"], layer["s_start"]) == (t_end, k_end, s_end)
        # Nothing flows back through the first layer.
        is_first = layer["w_start"] == 0
        t_end += n_out * layer["t_cols"] if not is_first else 0
        k_end += n_saved * layer["w_cols"]
        s_end += layer["w_cols"] * (spec.norm == BATCH_NORM)
        assert (layer["n_in"], layer["n_out"]) == (n_in, n_out)
        # The unit stands beside the activations; the kernels write whole vectors of outputs.
        assert layer["in_cols"] > n_in
        assert layer["out_cols"] > n_out
        assert min(layer["out_cols"], layer["d_cols"], layer["w_cols"]) >= padded(n_out)
        assert layer["t_cols"] >= padded(n_in) or is_first
        assert layer["out_start"] == ends["out"][-1]
        assert layer["d_start"] == ends["d"][-1]
        ends["out"].append(layer["out_start"] + layer["out_cols"])
        ends["d"].append(layer["d_start"] + layer["d_cols"])
    for before, layer in pairwise(layout.layers):
        assert (layer["in_start"], layer["in_cols"]) == (before["out_start"], before["out_cols"])
    # The inputs are the last, so that sparse rows can do without.
    first = layout.layers[0]
    assert first["in_start"] == ends["out"][-1]
    assert capacity * (first["in_start"] + first["in_cols"]) == work.activations.size
    sparse = layout.workspace(capacity, 3, n_entries=5, n_parts=2)
    assert sparse.activations.size == capacity * (ends["out"][-1] + first["in_cols"] * first["residual"])
    assert sparse.entries.shape == sparse.values.shape == (4, 5)
    assert work.entries.size == work.values.size == work.counts.size == 0
    assert capacity * ends["d"][-1] == work.deltas.size
    assert t_end == layout.n_params_t
    assert capacity * k_end == work.saved.size
    assert (2 * s_end, N_STATISTICS * s_end) == (layout.n_running, work.statistics.size)
    has_scales = any(spec.norm == LAYER_NORM for spec, _, _ in specs)
    assert work.row_scale.size == (capacity * len(layout.layers) if has_scales else 0)
    assert layout.workspace(capacity, 3, backward=False).deltas.size == 0


def test_tables_of_embeddings(dtype):
    """Five numeric inputs, then vectors of 3 and of 20 numbers."""
    layout = Layout((28, 17, 2), [LayerSpec()] * 2, dtype, [(0, 5, 3), (4, 200, 20)])
    first, second = layout.layers[2:]
    assert layout.n_layers == 2
    assert layout.layers["column"].tolist() == [-1, -1, 0, 4]
    assert [first["input_start"], second["input_start"]] == [5, 8]
    assert layout.layers["t_cols"][0] >= padded(28)  # vectors learn, so that something flows back
    flat = np.zeros(layout.n_params, dtype)
    views = layout.weights(flat)
    assert [view.shape for view in views] == [(29, 17), (18, 2), (5, 3), (200, 20)]
    for view in views:
        view += 1
    assert flat.sum() == sum(view.size for view in views)
    assert flat.max() == 1
    # All tables learn from one matrix: the delta of the inputs, behind those of the layers.
    last = layout.layers[1]
    assert first["d_start"] == second["d_start"] == last["d_start"] + last["d_cols"]
    assert layout.n_deltas == first["d_start"] + first["d_cols"]
    assert first["d_cols"] == second["d_cols"] >= padded(28)
    # Of every tile of the penalty there is one place.
    ends = [*layout.layers["p_start"][1:], layout.n_sums]
    for layer, end in zip(layout.layers, ends, strict=True):
        n_tiles = -(-layer["w_rows"] // TILE_ROWS) * -(-layer["w_cols"] // GRAIN_COLS)
        assert end - layer["p_start"] == n_tiles
    assert layout.workspace(7, 1).codes.shape == (7, 2)
    assert Layout((28, 2), [LayerSpec()], dtype).workspace(7, 1).codes.shape == (7, 0)
