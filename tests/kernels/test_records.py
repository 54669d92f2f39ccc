"""Records: a layer's views are its own part of each buffer, and its tiles have separate places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastnn.kernels import records
from fastnn.kernels.sizes import GRAIN_COLS, TILE_ROWS


@pytest.mark.parametrize(
    ("view", "buffer", "n_cols"),
    [
        (records.input_of, "activations", "in_cols"),
        (records.output_of, "activations", "out_cols"),
        (records.delta_of, "deltas", "d_cols"),
    ],
)
def test_views_of_the_workspace(problem, view, buffer, n_cols):
    comp = problem(sparse=False)
    for layer in comp.network.layers[: comp.network.n_layers]:
        a = view(layer, comp.work)
        assert a.shape == (comp.work.capacity, layer[n_cols])
        assert np.shares_memory(a, getattr(comp.work, buffer))


def test_outputs_are_the_inputs_of_the_next_layer(problem):
    comp = problem(sparse=False)
    layers = comp.network.layers[: comp.network.n_layers]
    for layer, above in itertools.pairwise(layers):
        out, a_in = records.output_of(layer, comp.work), records.input_of(above, comp.work)
        assert out.ctypes.data == a_in.ctypes.data
        assert out.shape == a_in.shape


def test_weights_cover_the_parameters(problem):
    comp = problem()
    for layer in comp.network.layers:
        records.weights_of(layer, comp.network.params)[:] = 7
    assert (comp.network.params == 7).all()


def test_saved_matrices_do_not_overlap(problem):
    comp = problem()
    comp.work.saved.fill(0)
    for layer in comp.network.layers[: comp.network.n_layers]:
        if layer["hooked"]:
            n = 1 + (layer["norm"] > 0) + layer["prelu"] + layer["residual"]
            for number in range(n):
                records.saved_matrix(layer, comp.work, number)[:] += 1
    assert (comp.work.saved == 1).all()


def test_tiles_have_places_of_their_own(problem):
    comp = problem()
    found = [
        records.sum_index(layer, i, o)
        for layer in comp.network.layers
        for i in range(0, layer["w_rows"], TILE_ROWS)
        for o in range(0, layer["w_cols"], GRAIN_COLS)
    ]
    assert sorted(found) == list(range(comp.state.penalty.size))
