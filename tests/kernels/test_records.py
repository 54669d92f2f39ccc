"""Records: a layer's views are its own part of each buffer, and its tiles have separate places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastnn.kernels import records
from fastnn.kernels.sizes import GRAIN_COLS, PAD
from fastnn.network.layout import from_panels


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
        assert from_panels(a, comp.work.capacity).shape == (comp.work.capacity, layer[n_cols])
        assert np.shares_memory(a, getattr(comp.work, buffer))


def test_outputs_are_the_inputs_of_the_next_layer(problem):
    comp = problem(sparse=False)
    layers = comp.network.layers[: comp.network.n_layers]
    for layer, above in itertools.pairwise(layers):
        out, a_in = records.output_of(layer, comp.work), records.input_of(above, comp.work)
        assert out.ctypes.data == a_in.ctypes.data
        assert out.shape == a_in.shape


@pytest.mark.parametrize(
    ("rows_of", "panels_of", "buffer"),
    [
        (records.output_rows_of, records.output_of, "activations"),
        (records.output_delta_of, records.delta_of, "deltas"),
    ],
)
def test_rows_of_the_output_layer(problem, rows_of, panels_of, buffer):
    """One panel has whole rows; of several, the rows are another matrix, where nothing else is."""
    comp = problem(sparse=False)
    layers, work = comp.network.layers[: comp.network.n_layers], comp.work
    rows, panels = rows_of(layers[-1], work), panels_of(layers[-1], work)
    assert rows.shape == (work.capacity, layers[-1]["w_cols"])
    assert np.shares_memory(rows, getattr(work, buffer))
    if layers[-1]["w_cols"] == PAD:
        assert rows.ctypes.data == panels.ctypes.data
        return
    views = records.input_of, records.output_of, records.delta_of
    for view, layer in itertools.product(views, comp.network.layers):
        assert not np.shares_memory(rows, view(layer, work))


def test_panels_of_weights(problem):
    """Where weights have panels, these hold them; else they are read as they are."""
    network = problem().network
    for layer in network.layers[: network.n_layers]:
        w = records.weights_of(layer, network.params)
        panels, stride = records.panels_of(layer, network)
        if layer["panel_rows"] == 0:
            assert panels.ctypes.data == w.ctypes.data
            assert (panels.shape, stride) == (w.shape, PAD)
            continue
        assert stride == layer["panel_rows"] * PAD
        assert np.shares_memory(panels, network.panels)
        n_rows = layer["n_in"] + 1
        comp = from_panels(panels, layer["panel_rows"])
        np.testing.assert_array_equal(comp[:n_rows], w[:n_rows])
        assert np.isnan(comp[n_rows:]).all()
        without = network._replace(panels=network.panels[:0])
        assert records.panels_of(layer, without)[0].ctypes.data == w.ctypes.data


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
            n = 2 + (layer["norm"] > 0) + layer["prelu"] + layer["residual"]
            for number in range(n):
                records.saved_matrix(layer, comp.work, number)[:] += 1
    assert (comp.work.saved == 1).all()


def test_tiles_have_places_of_their_own(problem):
    comp = problem()
    found = [
        records.sum_index(layer, i, o)
        for layer in comp.network.layers
        for i in range(0, layer["w_rows"], PAD)
        for o in range(0, layer["n_out"], GRAIN_COLS)
    ]
    assert sorted(found) == list(range(comp.state.penalty.size))
