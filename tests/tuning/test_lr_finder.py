"""The learning-rate range test: what it measures, suggests and draws, and what it leaves alone."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn.training.callbacks import Batch
from fastnn.tuning.lr_finder import LRCurve, find_lr


class StepwiseTrainer:
    """A trainer of one call of `fastnn.Trainer` a step, with the interface that find_lr needs."""

    def __init__(self, net, *, loss="mse", batch_size=16, schedule=None, seed=None):
        self.net, self.loss, self.batch_size, self.schedule = net, loss, batch_size, schedule
        self.settings = SimpleNamespace(loss=loss, batch_size=batch_size, schedule=schedule)
        self.state = SimpleNamespace(rng=np.random.default_rng(seed))
        self.stopped = None

    def stop(self, reason):
        self.stopped = reason

    def fit(self, x, y, epochs, *, callbacks, verbose):
        n_steps, step = -(-len(x) // self.batch_size), 0
        for epoch in range(epochs):
            rates = self.schedule.rates(0.01, epoch, epochs, n_steps, epoch * len(x), {})
            order = self.state.rng.permutation(len(x))
            for i in range(n_steps):
                rows = order[i * self.batch_size : (i + 1) * self.batch_size]
                sgd = fastnn.SGD(lr=float(rates[i]))
                one = fastnn.Trainer(self.net, loss=self.loss, optimizer=sgd, batch_size=None, shuffle=False)
                cost = one.fit(x[rows], y[rows], epochs=1, verbose=0).epochs[-1].cost
                step += 1
                for callback in callbacks:
                    callback.on_batch_end(self, Batch(epoch + 1, step, len(rows), cost, rates[i]))
                if self.stopped:
                    return


def real_trainer(net, **options):
    return fastnn.Trainer(net, optimizer=fastnn.SGD(), **{"loss": "mse", "batch_size": 16} | options)


needs_stop = pytest.mark.skipif(not hasattr(fastnn.Trainer, "stop"), reason="the trainer cannot be stopped")
both = pytest.mark.parametrize("make", [StepwiseTrainer, pytest.param(real_trainer, marks=needs_stop)])


@pytest.fixture
def problem(rng):
    """A linear problem, and the rate from which gradient descent on all its rows diverges."""
    x = rng.standard_normal((64, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.standard_normal(64)
    with_bias = np.column_stack([x, np.ones(64)])
    return x, y, 2 / np.linalg.eigvalsh(2 * with_bias.T @ with_bias / 64)[-1]


@both
def test_finds_where_training_falls_and_where_it_breaks(make, problem):
    x, y, critical = problem
    curve = find_lr(make(fastnn.MLP([3, 1], seed=0), batch_size=64), x, y)
    np.testing.assert_allclose(curve.lrs, np.geomspace(1e-6, 10, 100)[: len(curve.lrs)], rtol=1e-12)
    assert critical < curve.lrs[-1] < 10  # it stopped after the rate at which steps grow
    assert critical / 300 < curve.suggestion < critical
    assert curve.costs.min() < curve.costs[0] / 10


@both
def test_leaves_network_and_trainer_alone(make, problem):
    x, y, _ = problem
    net = fastnn.MLP([3, 8, 1], seed=0)
    trainer = make(net, seed=5)
    before, draws = net.params.copy(), trainer.state.rng.bit_generator.state
    curve = find_lr(trainer, x, y)
    assert np.array_equal(net.params, before)
    assert trainer.net is net
    assert trainer.state.rng.bit_generator.state == draws
    again = find_lr(trainer, x, y)
    assert np.array_equal(curve.costs, again.costs)


@both
def test_range_and_number_of_steps(make, problem):
    x, y, critical = problem
    curve = find_lr(
        make(fastnn.MLP([3, 1], seed=0)), x, y, min_lr=critical / 1e4, max_lr=critical / 10, n_steps=37
    )
    np.testing.assert_allclose(curve.lrs, np.geomspace(critical / 1e4, critical / 10, 37), rtol=1e-12)


def test_weights_of_rows(problem):
    """A row that weighs nothing is as if it were not there."""
    x, y, critical = problem
    weights = np.repeat([1.0, 0.0], 32)
    noisy = np.where(weights > 0, y, 1e3 * y)
    options = {"max_lr": critical, "n_steps": 30}
    trainers = [real_trainer(fastnn.MLP([3, 1], dtype="float64", seed=0), batch_size=None) for _ in range(2)]
    comp = find_lr(trainers[0], x, noisy, sample_weight=weights, **options)
    ref = find_lr(trainers[1], x[:32], y[:32], **options)
    np.testing.assert_allclose(comp.costs, ref.costs, rtol=1e-12)


def test_a_trainer_with_all_options(rng):
    x, y = rng.standard_normal((64, 3)), rng.integers(0, 3, 64)
    trainer = fastnn.Trainer(
        fastnn.MLP([3, 8, 3], dropout=0.1, norm="batch", seed=0),
        loss=fastnn.Loss("cross_entropy", label_smoothing=0.1),
        optimizer=fastnn.AdamW(),
        schedule="plateau",  # for which there would be nothing to follow
        average=fastnn.EMA(),
        class_weight="balanced",
        rate_factors={0: 0.5},
        accumulate=2,
        clip_norm=1.0,
        l1=0.1,
        max_norm=2.0,
        batch_size=16,
    )
    curve = find_lr(trainer, x, y, n_steps=20)
    assert 2 <= len(curve.lrs) <= 20
    assert len(trainer.history) == 0


class Scripted:
    """A trainer whose batches cost what is written."""

    def __init__(self, net, *, costs, schedule=None, seed=None):
        self.net, self.costs, self.schedule = net, costs, schedule
        self.settings = SimpleNamespace(costs=costs)
        self.told = []

    def stop(self, reason):
        self.told.append(reason)

    def fit(self, x, y, epochs, *, callbacks, verbose):
        rates = self.schedule.rates(0.1, 0, epochs, len(self.costs), 0, {})
        for i, cost in enumerate(self.costs):
            if cost is None:
                raise fastnn.DivergenceError
            callbacks[0].on_batch_end(self, Batch(1, i + 1, 1, cost, rates[i]))


def test_smoothing_evens_out_and_shifts_nothing():
    step = np.arange(100)
    costs = np.where(step < 50, 1.0, 0.5) + 0.2 * (-1.0) ** step
    rough, smooth = (
        find_lr(Scripted(None, costs=costs), None, None, smoothing=smoothing).costs
        for smoothing in (0.0, 0.8)
    )
    assert np.array_equal(rough, costs)
    assert np.ptp(smooth[10:20]) < 0.2 * np.ptp(rough[10:20])
    assert 48 <= np.argmax(smooth < 0.75) <= 52


@pytest.mark.parametrize(
    ("costs", "n_kept"),
    [
        ([1.0, 0.9, 0.5, 1.9, 2.1, 0.1], 5),  # more than four times the lowest
        ([1.0, 0.9, 0.5, np.nan, 0.1], 3),
        ([1.0, 0.9, 0.5, None], 3),
        ([-1.0, -2.0, 3.9, 4.1, -5.0], 4),
        ([1.0] * 30, 20),
    ],
)
def test_when_it_ends(costs, n_kept):
    curve = find_lr(Scripted(None, costs=costs), None, None, n_steps=20, smoothing=0.0)
    assert len(curve.lrs) == len(curve.costs) == n_kept


def test_a_last_cost_beyond_all_measure_hides_nothing():
    falling = np.linspace(1.0, 0.1, 30).tolist()
    ref = find_lr(Scripted(None, costs=falling), None, None, n_steps=40)
    comp = find_lr(Scripted(None, costs=[*falling, 1e12]), None, None, n_steps=40)
    assert comp.costs[:20] == pytest.approx(ref.costs[:20], rel=0.05)


def test_suggestion():
    lrs = np.geomspace(1e-4, 1, 5)
    assert LRCurve(lrs, np.array([1, 0.9, 0.4, 0.3, 0.35])).suggestion == lrs[1]
    assert LRCurve(lrs, np.array([1, 0.9, 0.2, 9.0, 0.3])).suggestion == lrs[2]  # a rebound is no fall
    assert LRCurve(lrs, np.array([1, 1.1, 1.2, 1.3, 1.4])).suggestion is None


@pytest.mark.parametrize("costs", [[1, 0.9, 0.4, 0.3, 0.35], [1, 1.1, 1.2, 1.3, 1.4]])
def test_plot(tmp_path, costs):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    curve = LRCurve(np.geomspace(1e-4, 1, 5), np.array(costs))
    figure = curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "learning rate"
    assert "cost" in axes.get_ylabel()
    labels = [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []
    assert labels == ([f"suggestion: {curve.suggestion:.2g}"] if curve.suggestion else [])
    assert pyplot.get_fignums() == []


def test_plot_into_axes_of_the_caller(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    figure, ax = pyplot.subplots()
    curve = LRCurve(np.geomspace(1e-4, 1, 5), np.array([1, 0.9, 0.4, 0.3, 0.35]))
    assert curve.plot(tmp_path / "curve.png", ax=ax) is figure
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), np.column_stack([curve.lrs, curve.costs]))
    assert pyplot.get_fignums() == [figure.number]  # it stays the caller's
    pyplot.close(figure)


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn-core\[plots\]"'):
        LRCurve(np.array([1.0, 2.0]), np.array([2.0, 1.0])).plot()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_lr": 0}, ValueError, r"min_lr must lie in \(0, inf\), got 0"),
        ({"max_lr": 1e-7}, ValueError, r"max_lr must lie in \(1e-06, inf\), got 1e-07"),
        ({"n_steps": 1}, ValueError, "n_steps must be at least 2, got 1"),
        ({"smoothing": 1}, ValueError, r"smoothing must lie in \[0, 1\), got 1"),
        ({"min_lr": "small"}, TypeError, "min_lr must be a number, got 'small'"),
    ],
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        find_lr(Scripted(None, costs=[1.0]), None, None, **options)


def test_a_network_that_diverges_at_once():
    for costs in ([None], [np.inf], [1.0, None]):
        with pytest.raises(ValueError, match=r"the cost already diverges at min_lr=0\.1: try a smaller one"):
            find_lr(Scripted(None, costs=costs), None, None, min_lr=0.1)
