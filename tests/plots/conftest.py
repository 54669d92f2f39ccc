"""Fixtures of the picture tests: no figure is left open; a trained network and what was recorded of one."""

import pytest

import fastnn
from fastnn.training.recording import RecordBoundary, RecordHistograms
from plots.samples import MOONS, SIDES


@pytest.fixture(autouse=True)
def _no_figures():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def net():
    net = fastnn.MLP([2, 8, 2], "tanh", seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.02), seed=0)
    trainer.fit(MOONS, SIDES, epochs=30, verbose=0)
    return net


@pytest.fixture(scope="module")
def recorders():
    boundary, histograms = RecordBoundary(MOONS, every=2, resolution=9), RecordHistograms(MOONS, SIDES)
    net = fastnn.MLP([2, 8, 8, 1], "relu", seed=0)
    trainer = fastnn.Trainer(net, loss="binary_cross_entropy", seed=0)
    trainer.fit(MOONS, SIDES, epochs=4, callbacks=[boundary, histograms], verbose=0)
    return boundary, histograms
