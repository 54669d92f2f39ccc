"""Trainer: what its methods return, and what they refuse."""

import numpy as np
import pytest

import fastnn
from fastnn import EarlyStopping
from training.examples import make_binary_rows, make_binary_trainer, make_blobs_trainer


def test_fit_again_trains_on(blobs):
    once, twice = make_blobs_trainer(), make_blobs_trainer()
    once.fit(*blobs, epochs=6, verbose=0)
    twice.fit(*blobs, epochs=4, verbose=0)
    assert twice.fit(*blobs, epochs=2, verbose=0) is twice.history
    assert [epoch.epoch for epoch in twice.history.epochs] == [1, 2, 3, 4, 5, 6]
    # the order of rows is drawn anew in the second call, so only the course is the same, not the bits
    assert twice.history.epochs[-1].cost == pytest.approx(once.history.epochs[-1].cost, rel=0.1)
    ordered, ordered_twice = make_blobs_trainer(shuffle=False), make_blobs_trainer(shuffle=False)
    ordered.fit(*blobs, epochs=6, verbose=0)
    ordered_twice.fit(*blobs, epochs=4, verbose=0)
    ordered_twice.fit(*blobs, epochs=2, verbose=0)
    assert np.array_equal(ordered.net.params, ordered_twice.net.params)


def test_cost_is_weighted_by_the_size_of_the_batch(blobs):
    x, y = blobs[0][:70], blobs[1][:70]  # batches of 32, 32 and 6
    trainer = make_blobs_trainer(optimizer=fastnn.SGD(lr=1e-12), shuffle=False)
    before = trainer.losses(x, y).mean()
    epoch = trainer.fit(x, y, epochs=1, verbose=0).epochs[0]
    assert epoch.cost == pytest.approx(before, rel=1e-6)  # a rate of 1e-12 leaves float32 weights alone


def test_history_is_a_table(blobs):
    pandas = pytest.importorskip("pandas")
    history = make_blobs_trainer().fit(*blobs, epochs=3, validation_data=blobs, verbose=0)
    columns = history.to_dict()
    assert list(columns) == [
        "epoch", "cost", "metric", "val_cost", "val_metric", "seconds", "samples_per_second", "lr",
    ]  # fmt: skip
    assert isinstance(history.to_frame(), pandas.DataFrame)
    assert history.to_frame().shape == (3, 7)
    lines = str(history).splitlines()
    assert lines[0].split("  ")[0] == "epoch"
    assert "val accuracy" in lines[0]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4
    without = make_blobs_trainer().fit(*blobs, epochs=1, verbose=0)
    assert "val_cost" not in without.to_dict()


def test_costs_of_training_and_validation_are_on_one_scale(blobs):
    """A penalty stands apart, however large; with the same weights both costs are the same."""
    options = {"optimizer": fastnn.SGD(lr=1e-12), "batch_size": None, "l2": 100.0, "l1": 10.0}
    epoch = make_blobs_trainer(**options).fit(*blobs, epochs=1, validation_data=blobs, verbose=0).epochs[0]
    assert epoch.cost == pytest.approx(epoch.val_cost, rel=1e-6)
    assert epoch.penalty > 2 * epoch.cost
    plain = make_blobs_trainer().fit(*blobs, epochs=1, verbose=0)
    assert plain.epochs[0].penalty is None
    assert "penalty" not in plain.to_dict()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must lie"),
        ({"validation_data": np.zeros((2, 2))}, TypeError, "tuple"),
        ({"validation_data": ([[0, 0]], [0, 1])}, ValueError, "x_val has 1 rows and y_val has 2"),
        ({"validation_data": ([[0, 0]], [5])}, ValueError, "y_val holds the label 5"),
        ({"early_stopping": EarlyStopping()}, ValueError, "no validation_data"),
        (
            {"early_stopping": EarlyStopping("val_los")},
            ValueError,
            "monitor of early_stopping must be one of",
        ),
    ],
)
def test_bad_fit(blobs, options, error, message):
    with pytest.raises(error, match=message):
        make_blobs_trainer().fit(*blobs, **({"epochs": 1, "verbose": 0} | options))


@pytest.mark.parametrize("nesterov", [False, True])
def test_change_lr_keeps_the_velocity(nesterov):
    """Momentum as scikit-learn has it: the velocity is made of each step's own rate."""
    x, y = make_binary_rows()
    rates = [0.1, 0.5, 0.02]
    options = {"batch_size": None, "shuffle": False}
    comp = make_binary_trainer(optimizer=fastnn.SGD(rates[0], 0.9, nesterov), **options)
    ref = make_binary_trainer(**options)
    velocities = [np.zeros_like(w) for w in ref.net.weights + ref.net.biases]
    for rate in rates:
        if rate != comp.lr:
            comp.change_lr(rate)
        comp.fit(x, y, 1, verbose=0)
        _, weights, biases = ref.gradient(x, y)
        arrays = ref.net.weights + ref.net.biases
        for w, velocity, grad in zip(arrays, velocities, weights + biases, strict=True):
            velocity[:] = 0.9 * velocity - rate * grad
            w += 0.9 * velocity - rate * grad if nesterov else velocity
    for ours, theirs in zip(comp.net.weights, ref.net.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_change_lr_is_for_momentum():
    with pytest.raises(ValueError, match="change_lr is for SGD's momentum, but the optimiser is Adam"):
        make_binary_trainer().change_lr(0.1)
    with pytest.raises(ValueError, match="lr must lie"):
        make_binary_trainer(optimizer="sgd").change_lr(0.0)


def test_a_fit_that_is_refused_does_not_change_the_number_of_rows(blobs):
    trainer = make_blobs_trainer()
    trainer.fit(*blobs, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="no validation_data"):
        trainer.fit(blobs[0][:9], blobs[1][:9], early_stopping=EarlyStopping(), verbose=0)
    assert trainer.n_rows == 400


def test_a_setting_assigned_to_the_trainer_is_an_error():
    with pytest.raises(AttributeError, match="batch_size"):
        make_blobs_trainer().batch_size = 64


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": EarlyStopping(monitor="val_r2")},
        {"metrics": ["no such metric"]},
        {"checkpoint": 3},
        {"callbacks": [3]},
        {"sample_weight": [1.0] + [0.0] * 59},
        {"epochs": 10**30},
    ],
)
def test_a_refused_call_draws_nothing(options):
    pytest.importorskip("sklearn")
    rows = make_binary_rows()
    trainer, ref = make_binary_trainer(), make_binary_trainer()
    with pytest.raises((ValueError, TypeError)):
        trainer.fit(*rows, validation_fraction=0.3, **{"epochs": 2, "verbose": 0} | options)
    for each in (trainer, ref):
        each.fit(*rows, epochs=2, validation_fraction=0.3, verbose=0)
    assert np.array_equal(trainer.net.params, ref.net.params)
    assert len(trainer.history) == 2
