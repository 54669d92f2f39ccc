"""Single steps: the bits of fit for every option, rows that need conversion, and what is refused."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import fastnn
from fastnn.training.loop import DivergenceError

N, BATCH, EPOCHS = 41, 8, 3  # the last batch is short


def _rows(n_in=6, n_classes=3, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, n_in)).astype(dtype), rng.integers(0, n_classes, N)


def _both(x, y, sample_weight=None, *, net=None, **options):
    """Train by fit, and by single steps on the same batches; return both trainers."""
    options = {"loss": "cross_entropy", "shuffle": False, "seed": 0, "batch_size": BATCH} | options
    net = {"sizes": [6, 33, 3], "seed": 0} | (net or {})
    by_fit, by_steps = (fastnn.Trainer(fastnn.MLP(**net), **options) for _ in range(2))
    by_fit.fit(x, y, epochs=EPOCHS, sample_weight=sample_weight, verbose=0)
    n_rows = BATCH * options.get("accumulate", 1)
    by_steps.plan_steps(-(-N // n_rows), EPOCHS)
    for _ in range(EPOCHS):
        for first in range(0, N, n_rows):
            part = slice(first, first + n_rows)
            weight = None if sample_weight is None else sample_weight[part]
            assert isinstance(by_steps.step(x[part], y[part], weight), float)
    return by_fit, by_steps


OPTIONS = {
    "adam": {},
    "momentum": {"optimizer": fastnn.SGD(0.1, momentum=0.9)},
    "by address": {"optimizer": "radam"},
    "cosine": {"schedule": "cosine"},
    "one cycle": {"schedule": "one_cycle"},
    "inverse scaling": {"schedule": "inverse_scaling"},
    "penalties": {"l1": 0.1, "l2": 0.1},
    "clipping": {"clip_value": 0.01, "clip_norm": 0.05},
    "max_norm": {"max_norm": 0.5},
    "rates by layer": {"rate_factors": {0: 0.5, "bias": 2.0}},
    "EMA": {"average": fastnn.EMA(0.9)},
    "class weights": {"class_weight": {0: 2.0, 2: 0.5}},
    "one thread": {"n_threads": 1},
    "dropout": {"net": {"dropout": 0.3, "input_dropout": 0.1}},
    "hooked": {"net": {"norm": "batch", "activation": "gelu"}},
    "float64": {"net": {"dtype": "float64"}},
    "wide": {"net": {"sizes": [6, 700, 700, 3]}, "n_threads": 2},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_steps_are_those_of_fit_to_the_bit(options):
    x, y = _rows(dtype=options.get("net", {}).get("dtype", "float32"))
    by_fit, by_steps = _both(x, y, **options)
    np.testing.assert_array_equal(by_steps.net.params, by_fit.net.params)
    np.testing.assert_array_equal(by_steps.net.compiled_network.running, by_fit.net.compiled_network.running)
    state = by_steps.state
    assert (state.n_batches, state.n_updates, state.n_seen) == (
        by_fit.state.n_batches,
        by_fit.state.n_updates,
        by_fit.state.n_seen,
    )


def test_accumulated_steps_are_those_of_fit_to_the_bit():
    x, y = (np.concatenate([a, a])[:48] for a in _rows())
    trainers = [
        fastnn.Trainer(
            fastnn.MLP([6, 33, 3], seed=0), loss="cross_entropy", shuffle=False, batch_size=8, accumulate=3
        )
        for _ in range(2)
    ]
    trainers[0].fit(x, y, epochs=1, verbose=0)
    for first in (0, 24):
        trainers[1].step(x[first : first + 24], y[first : first + 24])
    np.testing.assert_array_equal(trainers[1].net.params, trainers[0].net.params)
    assert trainers[1].state.n_batches == 6


@pytest.mark.parametrize("loss", ["mse", "poisson", "binary_cross_entropy"])
def test_targets_of_other_kinds(loss):
    x, y = _rows(n_classes=2)
    by_fit, by_steps = _both(x, y.astype("float32"), loss=loss, net={"sizes": [6, 9, 1]})
    np.testing.assert_array_equal(by_steps.net.params, by_fit.net.params)


def test_rows_that_are_converted_or_weighted():
    x, y = _rows()
    weights = np.linspace(0.5, 2, N)
    wanted = _both(x, y, weights)[0].net.params
    as_given = [
        (x.tolist(), y.tolist()),
        (x.astype("float64"), y.astype("int8")),
        (np.asfortranarray(x), y.astype("int32")),
        (x, y[:, np.newaxis]),
    ]
    for x_given, y_given in as_given:
        by_steps = _both(x_given, y_given, weights)[1]
        np.testing.assert_array_equal(by_steps.net.params, wanted)
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(_both(read_only, y, weights)[1].net.params, wanted)


@pytest.mark.parametrize("lazy", [False, True])
def test_sparse_rows(lazy):
    x, y = _rows(n_in=50)
    x = sparse.csr_matrix(np.where(np.abs(x) > 1.5, x, 0))
    by_fit, by_steps = _both(x, y, net={"sizes": [50, 33, 3]}, lazy=lazy)
    np.testing.assert_array_equal(by_steps.net.params, by_fit.net.params)
    assert isinstance(by_steps.step(x.toarray(), y), float) or lazy


def test_embedded_columns():
    x, y = _rows()
    x[:, 2] = np.arange(N) % 5
    by_fit, by_steps = _both(x, y, net={"embeddings": {2: (5, 3)}})
    np.testing.assert_array_equal(by_steps.net.params, by_fit.net.params)
    x[3, 2] = 5
    with pytest.raises(ValueError, match="x"):
        by_steps.step(x, y)


def test_the_cost_is_that_of_the_batch_with_its_penalty():
    x, y = _rows()
    trainer = fastnn.Trainer(fastnn.MLP([6, 9, 3], dtype="float64", seed=0), loss="cross_entropy", l2=0.5)
    penalty = 0.25 * sum((w**2).sum() for w in trainer.net.weights) / N
    cost = trainer.evaluate(x, y)["cost"]
    assert trainer.step(x, y) == pytest.approx(cost + penalty, rel=1e-12)


def test_what_others_write_counts():
    x, y = _rows()
    trainers = [fastnn.Trainer(fastnn.MLP([6, 33, 3], seed=0), loss="cross_entropy") for _ in range(2)]
    for trainer in trainers:
        trainer.step(x, y)
        trainer.net.weights[1][:] = 0.1
        trainer.lr = 0.03
    first, again = trainers[0].step(x, y), fastnn.Trainer(trainers[1].net, loss="cross_entropy").step(x, y)
    assert first == again
    trainers[0].lr = 0.0
    before = trainers[0].net.params.copy()
    trainers[0].step(x, y)
    np.testing.assert_array_equal(trainers[0].net.params, before)


def test_steps_and_fits_in_turn_and_through_a_pickle():
    x, y = _rows()
    trainers = [
        fastnn.Trainer(
            fastnn.MLP([6, 33, 3], seed=0), loss="cross_entropy", average=fastnn.EMA(0.9), shuffle=False
        )
        for _ in range(2)
    ]
    for trainer in trainers:
        trainer.fit(x, y, epochs=1, verbose=0)
        trainer.step(x, y)
    trainers[0] = pickle.loads(pickle.dumps(trainers[0]))
    for trainer in trainers:
        trainer.step(x, y)
        trainer.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(trainers[0].net.params, trainers[1].net.params)
    assert len(trainers[0].history) == 2


def test_after_the_planned_steps_the_rate_stays():
    x, y = _rows()
    trainer = fastnn.Trainer(
        fastnn.MLP([6, 3], seed=0), loss="cross_entropy", optimizer=fastnn.SGD(1.0), schedule="cosine"
    )
    trainer.plan_steps(2, 2)
    moved = []
    for _ in range(6):
        trainer.net.params[:] = 0
        trainer.step(x, y)
        moved.append(np.abs(trainer.net.params).max())
    rates = (1 + np.cos(np.pi * np.array([0, 1, 2, 3, 3, 3]) / 4)) / 2
    np.testing.assert_allclose(np.array(moved) / moved[0], rates, rtol=1e-5)


@pytest.mark.parametrize("output", ["identity", "tanh", "sigmoid", "softmax", "exp"])
@pytest.mark.parametrize("n_out", [2, 17])
def test_a_gradient_from_outside(output, n_out):
    """The gradient of a cost of all rows together, checked by central differences."""
    rng = np.random.default_rng(1)
    x, goal = rng.standard_normal((7, 4)), rng.standard_normal((7, n_out))
    net = fastnn.MLP([4, 5, n_out], output=output, activation="tanh", dtype="float64", seed=0)

    def cost():
        return (net.predict_raw(x) * goal).sum() ** 2

    loss = "cross_entropy" if output == "softmax" else "mse"
    trainer = fastnn.Trainer(net, loss=loss, optimizer=fastnn.SGD(1e-3))
    inner = (net.predict_raw(x) * goal).sum()
    before = {name: view.copy() for name, view in net.parameters().items()}
    slopes = {}
    for name, view in net.parameters().items():
        slopes[name] = np.empty(view.shape)
        for place in np.ndindex(view.shape):
            sides = []
            for h in (1e-6, -1e-6):
                view[place] = before[name][place] + h
                sides.append(cost())
            view[place] = before[name][place]
            slopes[name][place] = (sides[0] - sides[1]) / 2e-6
    got = trainer.step(x, output_grad=2 * inner * goal)
    assert got == pytest.approx(2 * inner**2, rel=1e-12)
    for name, view in net.parameters().items():
        np.testing.assert_allclose((before[name] - view) / 1e-3, slopes[name], rtol=1e-5, atol=1e-6)


def test_gradients_and_losses_in_turn():
    x, y = _rows()
    trainer = fastnn.Trainer(fastnn.MLP([6, 9, 3], seed=0), loss="cross_entropy")
    for _ in range(2):
        trainer.step(x, y)
        trainer.step(x, output_grad=np.zeros((N, 3)))
    assert trainer.state.n_updates == 4


def _trainer(**options):
    return fastnn.Trainer(fastnn.MLP([6, 9, 3], seed=0), **{"loss": "cross_entropy"} | options)


def test_a_batch_that_is_wrong_changes_nothing():
    x, y = _rows()
    trainer = _trainer()
    bad = x.copy()
    bad[4, 2] = np.nan
    before = trainer.net.params.copy()
    for x_given, y_given, match in [
        (bad, y, "x .*NaN"),
        (x, y + 1, "y .*3"),
        (x, -y, "y .*-"),
        (x[:, :4], y, "x .*6"),
        (x[:0], y[:0], "x"),
        (x, y[:-1], "rows"),
        (x, None, "y"),
    ]:
        with pytest.raises((ValueError, TypeError), match=match):
            trainer.step(x_given, y_given)
    with pytest.raises(ValueError, match="output_grad"):
        trainer.step(x, y, output_grad=np.zeros((N, 3)))
    with pytest.raises(ValueError, match="output_grad"):
        trainer.step(x, output_grad=np.zeros((N, 2)))
    with pytest.raises(ValueError, match="sample_weight"):
        trainer.step(x, y, np.zeros(N))
    np.testing.assert_array_equal(trainer.net.params, before)
    assert trainer.state.n_updates == 0


def test_a_cost_that_overflows():
    x, y = _rows()
    trainer = _trainer()
    trainer.net.weights[0][:] = 1e38
    with pytest.raises(DivergenceError, match="single step"):
        trainer.step(x, y)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"optimizer": "lbfgs"}, "lbfgs"),
        ({"class_weight": "balanced"}, "balanced"),
        ({"schedule": "cosine"}, "plan_steps"),
    ],
)
def test_what_needs_all_rows_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        _trainer(**options).step(*_rows())
