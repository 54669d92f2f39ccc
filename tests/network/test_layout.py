"""Flat vectors: aligned, padded, every layer in a place of its own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels.caches import L1_BYTES
from fastnn.kernels.hooks.rows import BATCH_NORM, LAYER_NORM, N_STATISTICS
from fastnn.kernels.simd import WIDTH_BYTES, padded
from fastnn.kernels.sizes import ALIAS_BYTES, GRAIN_COLS, PACKS_WEIGHTS, PAD
from fastnn.network.layout import (
    ALIGN_BYTES,
    LayerSpec,
    Layout,
    aligned_zeros,
    from_panels,
    panel_length,
    row_length,
)

# Alone, beside the edges of a panel, with an output of one panel and of several, and larger than L1.
SIZES = [(1, 1), (3, 5, 2), (16, 15, 17, 16), (15, 16, 17), (31, 512, 255, 256, 33)]


@pytest.fixture(params=SIZES, ids=str)
def sizes(request):
    return request.param


# Of the hidden layers in turn: a spec, the rows of parameters and the saved matrices that it needs.
SPECS = [
    (LayerSpec(norm=BATCH_NORM, prelu=True, dropout=0.5, hooked=True), 3, 4),
    (LayerSpec(), 0, 0),
    (LayerSpec(norm=LAYER_NORM, residual=True, alpha=0.1, hooked=True), 2, 4),
]
PLAIN = LayerSpec(), 0, 0


@pytest.fixture(params=[[PLAIN] * 3, SPECS], ids=["plain", "hooked"])
def specs(request, sizes):
    """As many as there are layers; the output layer's is plain."""
    return [*request.param[: len(sizes) - 2], PLAIN]


@pytest.fixture(params=[False, True], ids=["whole rows", "packed"])
def packs(request, monkeypatch):
    """Whether weights are copied into panels, whatever the vectors of this CPU are."""
    monkeypatch.setitem(PACKS_WEIGHTS, WIDTH_BYTES, request.param)
    return request.param


@pytest.fixture
def layout(sizes, specs, dtype, packs):
    return Layout(sizes, [spec for spec, _, _ in specs], dtype)


@pytest.mark.parametrize("shape", [1, 7, (3, 5), (100, 33)])
def test_aligned_zeros(dtype, shape):
    for _ in range(20):  # luck would not last
        comp = aligned_zeros(shape, dtype)
        assert comp.ctypes.data % ALIGN_BYTES == 0
        assert comp.flags.c_contiguous
        assert comp.flags.writeable
        np.testing.assert_array_equal(comp, np.zeros(shape, dtype), strict=True)


def test_row_length():
    for n in range(1, 3000):
        length = row_length(n)
        assert length % PAD == 0
        assert n <= length < n + PAD


def test_panel_length():
    """An odd number of rows, of a cache line or two each: panels begin in all sets of a cache in turn."""
    for n in range(1, 3000):
        assert panel_length(n) % 2 == 1
        assert n <= panel_length(n) <= n + 1


@pytest.mark.parametrize(("n_rows", "n_cols"), [(1, 1), (5, 16), (3, 17), (7, 48)])
def test_from_panels(n_rows, n_cols, dtype):
    """The element [r, c] is in panel c // PAD, each panel behind the other."""
    panels = np.arange(n_rows * row_length(n_cols), dtype=dtype)
    comp = from_panels(panels, n_rows)
    assert comp.shape == (n_rows, row_length(n_cols))
    for r, c in np.ndindex(comp.shape):
        assert comp[r, c] == panels[(c // PAD * n_rows + r) * PAD + c % PAD]
    comp[:] = -1
    assert (panels >= 0).all()  # it is a copy


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


@pytest.mark.parametrize("capacity", [1, 7, 8])
def test_workspace(layout, dtype, capacity):
    work = layout.workspace(capacity, 3)
    n_rows = panel_length(capacity)
    assert work.capacity == n_rows
    assert work.y.shape == (n_rows, 3)
    assert work.row_loss.shape == work.row_score.shape == (n_rows,)
    assert {work.activations.dtype, work.deltas.dtype, work.y.dtype} == {dtype}
    assert work.activations.size == n_rows * layout.n_activations
    assert work.deltas.size == n_rows * layout.n_deltas
    assert work.saved.size == n_rows * layout.n_saved
    assert work.statistics.size == layout.n_statistics
    assert work.entries.size == work.values.size == work.counts.size == 0
    assert work.row_scale.size == (n_rows * len(layout.layers) if LAYER_NORM in layout.layers["norm"] else 0)
    assert layout.workspace(capacity, 3, backward=False).deltas.size == 0


def test_workspace_of_sparse_rows(layout):
    """It has no inputs, unless a residual connection adds them."""
    sparse = layout.workspace(7, 3, n_entries=5, n_parts=2)
    n_inputs = layout.layers["in_cols"][0]
    assert layout.n_inputs == n_inputs
    n_missing = 0 if layout.layers["residual"][0] else n_inputs
    assert sparse.activations.size == 7 * (layout.n_activations - n_missing)
    assert sparse.entries.shape == sparse.values.shape == (4, 5)


def filled(places):
    """The end of the places (start, length), which follow each other without a gap."""
    end = 0
    for start, length in sorted(places):
        assert start == end
        end += length
    return end


def test_matrices_of_a_batch_fill_their_vectors(layout, sizes, specs):
    """Every matrix has a place of its own: whole panels, with room for the unit beside activations."""
    layers, last = layout.layers, layout.layers[-1]
    for layer, (n_in, n_out), (spec, _, _) in zip(layers, pairwise(sizes), specs, strict=True):
        assert (layer["hooked"], layer["norm"], layer["prelu"]) == (spec.hooked, spec.norm, spec.prelu)
        assert (layer["dropout"], layer["alpha"]) == (spec.dropout, spec.alpha)
        assert (layer["n_in"], layer["n_out"]) == (n_in, n_out)
        assert (layer["in_cols"], layer["out_cols"]) == (padded(n_in + 1), padded(n_out + 1))
        assert layer["d_cols"] == padded(n_out)
    for before, layer in pairwise(layers):
        assert (layer["in_start"], layer["in_cols"]) == (before["out_start"], before["out_cols"])
    activations = [(layers["in_start"][0], layers["in_cols"][0])]
    activations += [(layer["out_start"], layer["out_cols"]) for layer in layers]
    deltas = [(layer["d_start"], layer["d_cols"]) for layer in layers]
    # z and delta of the output are there in whole rows, too; one panel has whole rows itself.
    if last["d_cols"] > PAD:
        activations.append((last["z_start"], last["d_cols"]))
        deltas.append((last["dz_start"], last["d_cols"]))
    else:
        assert (last["z_start"], last["dz_start"]) == (last["out_start"], last["d_start"])
    assert filled(activations) == layout.n_activations
    # The inputs are the last, so that sparse rows can do without.
    assert max(activations) == activations[0]
    assert filled(deltas) == layout.n_deltas
    saved = [
        (layer["saved_start"], n * layer["d_cols"]) for layer, (*_, n) in zip(layers, specs, strict=True)
    ]
    assert filled(saved) == layout.n_saved
    normed = [(layer["s_start"], layer["w_cols"]) for layer in layers if layer["norm"] == BATCH_NORM]
    s_end = filled(normed)
    assert (2 * s_end, N_STATISTICS * s_end) == (layout.n_running, layout.n_statistics)


def test_weights_in_panels(layout, dtype, packs):
    """Weights of several panels that L1 does not hold, with the bias; an odd number of rows."""
    places = []
    for layer in layout.layers:
        n_bytes = layer["w_rows"] * layer["d_cols"] * dtype.itemsize
        is_packed = packs and layer["n_out"] > PAD and n_bytes > L1_BYTES
        assert (layer["panel_rows"] > 0) == is_packed
        if is_packed:
            assert layer["panel_rows"] == panel_length(layer["n_in"] + 1)
            places.append((layer["panel_start"], layer["panel_rows"] * layer["d_cols"]))
    assert filled(places) == layout.n_panels


def test_rows_of_weights_off_the_power_of_two(layout, dtype):
    """Where products read whole rows, these do not share cache sets."""
    for layer in layout.layers:
        is_aliased = layer["d_cols"] * dtype.itemsize % ALIAS_BYTES == 0
        assert layer["w_cols"] == layer["d_cols"] + (PAD if is_aliased else 0)


def test_weights_are_laid_out_alike_on_every_cpu(sizes, specs, dtype, monkeypatch):
    """Else a checkpoint of one CPU could not be read on another."""
    layouts = []
    for packs in (False, True):
        monkeypatch.setitem(PACKS_WEIGHTS, WIDTH_BYTES, packs)
        layouts.append(Layout(sizes, [spec for spec, _, _ in specs], dtype))
    names = ["w_start", "w_rows", "w_cols"]
    np.testing.assert_array_equal(layouts[0].layers[names], layouts[1].layers[names])


def test_transposed_weights(layout):
    """Those of every layer but the first, through which nothing flows back."""
    places = []
    for layer in layout.layers[1:]:
        assert layer["t_rows"] % 2 == 1
        assert layer["t_rows"] >= padded(layer["n_out"])  # whole squares are transposed
        assert layer["t_cols"] == padded(layer["n_in"])
        places.append((layer["t_start"], layer["t_rows"] * layer["t_cols"]))
    assert filled(places) == layout.n_panels_t
    assert layout.layers[["t_rows", "t_cols"]][0].item() == (0, 0)


@pytest.mark.parametrize("capacity", [1, 6])
def test_hidden_outputs(layout, sizes, dtype, capacity):
    work = layout.workspace(capacity, 1)
    n_rows, refs = work.capacity, []
    for layer in layout.layers[:-1]:
        ref = np.arange(n_rows * layer["out_cols"]).reshape(n_rows, -1).astype(dtype) + 1
        panels = work.activations[layer["out_start"] * n_rows :][: ref.size].reshape(-1, n_rows, PAD)
        for number, panel in enumerate(panels):
            panel[:] = ref[:, number * PAD :][:, :PAD]
        refs.append(ref[:, : layer["n_out"]])
    assert len(refs) == len(sizes) - 2
    for comp, ref in zip(layout.hidden_outputs(work), refs, strict=True):
        np.testing.assert_array_equal(comp, ref, strict=True)


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
        n_tiles = -(-layer["w_rows"] // PAD) * -(-layer["w_cols"] // GRAIN_COLS)
        assert end - layer["p_start"] == n_tiles
    assert layout.workspace(7, 1).codes.shape == (7, 2)
    assert Layout((28, 2), [LayerSpec()], dtype).workspace(7, 1).codes.shape == (7, 0)
