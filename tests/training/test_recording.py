"""Callbacks that keep what a network looked like while it learnt."""

import numpy as np
import pytest

import fastnn
from fastnn.training.recording import Histogram, RecordBoundary, RecordHistograms, grid_axes, grid_points


@pytest.fixture
def problem(rng):
    x = rng.standard_normal((60, 2))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def make_trainer(loss="cross_entropy", n_out=2, activation="tanh", **options):
    net = fastnn.MLP([2, 8, 8, n_out], activation, seed=0, **options)
    return fastnn.Trainer(net, loss=loss, optimizer=fastnn.Adam(lr=0.01), seed=0)


def test_grid_axes_and_points():
    across, up = grid_axes([[0, 10], [2, 20]], 5)
    np.testing.assert_allclose(across, np.linspace(-0.2, 2.2, 5))
    np.testing.assert_allclose(up, np.linspace(9, 21, 5))
    points = grid_points(across, up).reshape(5, 5, 2)
    assert points[3, 1].tolist() == [across[1], up[3]]
    across, up = grid_axes([[1, 1]], 3)  # a single point has no spread
    assert across[0] < 1 < across[-1]


@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 2), ("binary_cross_entropy", 1), ("mse", 1)])
def test_boundary_is_what_the_network_said_then(problem, loss, n_out):
    x, y = problem
    seen = {}
    record = RecordBoundary(x, every=3, resolution=7)
    trainer = make_trainer(loss, n_out)
    points = grid_points(record.across, record.up)
    seen[0] = trainer.net.predict_raw(points)

    def watch(trainer, epoch):
        seen[epoch.epoch] = trainer.net.predict_raw(points)

    trainer.fit(x, y, epochs=5, callbacks=[record, watch], verbose=0)
    trainer.fit(x, y, epochs=2, callbacks=[record, watch], verbose=0)
    assert record.epochs == [0, 3, 6]
    for epoch, output in zip(record.epochs, record.outputs, strict=True):
        np.testing.assert_array_equal(output, seen[epoch].reshape(7, 7, n_out))


def test_chosen_epochs(problem):
    record = RecordBoundary(problem[0], epochs=[1, 4, 99], resolution=5)
    make_trainer().fit(*problem, epochs=5, callbacks=record, verbose=0)
    assert record.epochs == [1, 4]


def test_histograms_are_those_of_gradient_and_outputs(problem):
    x, y = problem
    record = RecordHistograms(x[:20], y[:20], every=2, n_bins=10)
    trainer = make_trainer()
    trainer.fit(x, y, epochs=4, callbacks=record, verbose=0)
    assert record.epochs == [0, 2, 4]
    assert record.names == ["layer 0 (tanh)", "layer 1 (tanh)", "layer 2 (softmax)"]
    _, grads, _ = trainer.gradient(x[:20], y[:20])
    for comp, grad in zip(record.gradients[-1], grads, strict=True):
        counts, edges = np.histogram(np.log10(np.abs(grad.astype(float))), 10)
        np.testing.assert_array_equal(comp.counts, counts)
        np.testing.assert_array_equal(comp.edges, edges)
    for comp, out in zip(record.activations[-1], trainer.net.layer_outputs(x[:20]), strict=True):
        np.testing.assert_array_equal(comp.counts, np.histogram(out.astype(float), 10)[0])
        assert comp.counts.sum() + comp.n_zero == out.size


def test_zeros_are_counted_apart():
    histogram = Histogram.of(np.array([0.0, 0.0, -0.1, 10.0, np.nan, np.inf]), 4, log10=True)
    assert histogram.n_zero == 2
    assert histogram.edges[[0, -1]].tolist() == [-1.0, 1.0]
    assert histogram.counts.sum() == 2
    assert Histogram.of(np.zeros(3), 4).counts.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.3}, {"norm": "batch"}, {"norm": "layer", "residual": True}]
)
def test_recording_changes_nothing(problem, options):
    nets = []
    for callbacks in ([], [RecordHistograms(*problem), RecordBoundary(problem[0], resolution=5)]):
        trainer = make_trainer(**options)
        trainer.fit(*problem, epochs=4, callbacks=callbacks, verbose=0)
        nets.append(trainer.net)
    for name, array in nets[0].parameters().items():
        np.testing.assert_array_equal(array, nets[1].parameters()[name])


def test_a_deep_sigmoid_network_loses_its_gradient_and_relu_does_not(rng):
    """Glorot and Bengio (2010): from layer to layer downwards the gradient shrinks."""
    x = rng.standard_normal((100, 10))
    y = (x[:, 0] > 0).astype(int)
    shrinks = {}
    for activation in ("sigmoid", "relu"):
        record = RecordHistograms(x, y, epochs=[0])
        net = fastnn.MLP([10, *[32] * 7, 2], activation, seed=0)
        fastnn.Trainer(net, loss="cross_entropy", seed=0).fit(x, y, epochs=1, callbacks=record, verbose=0)
        means = [np.average((h.edges[1:] + h.edges[:-1]) / 2, weights=h.counts) for h in record.gradients[0]]
        shrinks[activation] = means[6] - means[1]  # layers of one shape
    assert shrinks["sigmoid"] > 2.5  # powers of ten
    assert abs(shrinks["relu"]) < 0.5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RecordBoundary(np.zeros((4, 3))), ValueError, r"x must have 2 features.*got shape \(4, 3\)"),
        (lambda: RecordBoundary(np.zeros((0, 2))), ValueError, "at least one row"),
        (lambda: RecordBoundary([[np.nan, 1]]), ValueError, "finite values only"),
        (lambda: RecordBoundary([[0, 1]], every=0), ValueError, "every must be at least 1, got 0"),
        (lambda: RecordBoundary([[0, 1]], epochs=[-1]), ValueError, "epochs must be at least 0, got -1"),
        (lambda: RecordBoundary([[0, 1]], resolution=1), ValueError, "resolution must be at least 2"),
        (
            lambda: RecordBoundary([[0, 1]], resolution=10**9),
            ValueError,
            "needs 13.9 EiB for the points of",
        ),
        (lambda: RecordHistograms([[0, 1]], [0], n_bins=1), ValueError, "n_bins must be at least 2"),
        (lambda: RecordHistograms([[0, 1]], [0], every="2"), TypeError, "every must be an integer, got '2'"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_network_of_other_features(rng):
    x, y = rng.standard_normal((20, 3)), rng.integers(0, 2, 20)
    trainer = fastnn.Trainer(fastnn.MLP([3, 4, 2], seed=0), loss="cross_entropy", seed=0)
    with pytest.raises(ValueError, match="needs a network of 2 features, but it takes 3"):
        trainer.fit(x, y, epochs=1, callbacks=RecordBoundary(x[:, :2]), verbose=0)
