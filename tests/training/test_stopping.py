"""When training ends, with which weights, and by which rule."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import EarlyStopping
from fastnn.history import Epoch
from fastnn.schedules import Adaptive, Plateau
from fastnn.training.stopping import Best
from training.examples import make_blobs_trainer, make_two_class_trainer

# --- the rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "costs", "stop", "best"),
    [
        ({"patience": 2}, [5, 4, 4.5, 4.2, 3], 4, 2),
        ({"patience": 2}, [5, 4, 4.5, 3.9, 4, 4], 6, 4),
        ({"patience": 1}, [5, 5], 2, 1),  # the same again is no improvement
        ({"patience": 2, "min_delta": 1.0}, [5, 4, 3.5, 3.2, 2], 4, 4),
        ({"patience": 2, "min_delta": 1.0}, [5, 4, 3.5, 2.5, 1.5], None, 5),
        ({"patience": 2}, [5, math.nan, math.nan, 4], 3, 1),
        ({"patience": 3}, [math.nan, math.nan, 2], None, 3),
    ],
)
@pytest.mark.parametrize("falls", [True, False])
def test_patience(options, costs, stop, best, falls):
    """Beside costs that should fall, the same negated, which should rise."""
    rule = EarlyStopping("cost", **options)
    weights = np.zeros(1)
    watcher = Best(rule, [weights], falls)
    stopped = None
    for number, cost in enumerate(costs, 1):
        weights[0] = number
        epoch = Epoch(number, cost if falls else -cost, 0.0, None, None, 1.0, 1.0)
        if watcher.observe(epoch, [weights]):
            stopped = number
            break
    assert stopped == stop
    assert watcher.restore([weights]) == best
    assert weights[0] == best


def test_without_a_finite_figure_nothing_is_restored():
    weights = np.zeros(1)
    watcher = Best(EarlyStopping("cost"), [weights], True)
    assert not watcher.observe(Epoch(1, math.nan, 0.0, None, None, 1.0, 1.0), [weights])
    assert watcher.restore([weights]) is None


# --- in training ------------------------------------------------------------------------------------


def share_of_ones(y_true, y_pred):
    return y_pred.mean()


def wrong_error(y_true, y_pred):
    return (y_true != y_pred).mean()


@pytest.mark.parametrize(
    ("monitor", "best"),
    [
        ("val_cost", np.argmin),
        ("val_metric", np.argmax),
        ("cost", np.argmin),
        ("metric", np.argmax),
        ("val_roc_auc", np.argmax),
        ("val_neg_log_loss", np.argmax),
        ("val_share_of_ones", np.argmax),
        ("val_wrong_error", np.argmin),  # by its name it should fall
    ],
)
def test_the_best_epoch_of_any_figure(noise, monitor, best):
    pytest.importorskip("sklearn")
    x, y, validation = noise
    trainer = fastnn.Trainer(
        fastnn.MLP([5, 32, 1], seed=0),
        loss="binary_cross_entropy",
        optimizer=fastnn.Adam(lr=0.01),
        batch_size=8,
        seed=0,
    )
    kept = {}
    history = trainer.fit(
        x,
        y,
        epochs=30,
        validation_data=validation,
        early_stopping=EarlyStopping(monitor, patience=6),
        metrics=["roc_auc", "neg_log_loss", share_of_ones, wrong_error],
        callbacks=lambda trainer, epoch: kept.update({epoch.epoch: trainer.net.params.copy()}),
        verbose=0,
    )
    figures = history.to_dict()[monitor]
    assert history.best_epoch == 1 + best(figures)
    np.testing.assert_array_equal(trainer.net.params, kept[history.best_epoch])
    if history.stop_reason == "early stopping":
        assert len(figures) == history.best_epoch + 6
    else:
        assert len(figures) == 30


def test_of_training_rows_where_none_are_held_out(noise):
    x, y, _ = noise
    rule = EarlyStopping("wrong_error", patience=3)
    history = make_two_class_trainer().fit(
        x, y, epochs=100, metrics=wrong_error, early_stopping=rule, verbose=0
    )
    errors = history.to_dict()["wrong_error"]
    assert history.stop_reason == "early stopping"
    assert history.best_epoch == 1 + np.argmin(errors) == len(errors) - 3


def test_every_call_looks_for_its_own_best(noise):
    x, y, validation = noise
    trainer, rule = make_two_class_trainer(), EarlyStopping(patience=3)
    for _ in range(2):
        before = len(trainer.history)
        history = trainer.fit(x, y, epochs=60, validation_data=validation, early_stopping=rule, verbose=0)
        costs = history.to_dict()["val_cost"][before:]
        assert history.best_epoch == before + 1 + np.argmin(costs)
        assert trainer.evaluate(*validation)["cost"] == min(costs)


def test_a_schedule_may_stop(noise):
    x, y, _ = noise
    trainer = make_two_class_trainer(schedule=Adaptive(patience=1, min_delta=10, min_lr=0.003))
    history = trainer.fit(x, y, epochs=50, verbose=0)
    assert history.stop_reason == "schedule"
    assert history.to_dict()["lr"] == pytest.approx([0.01, 0.01, 0.002])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"early_stopping": EarlyStopping("val_f1")}, ValueError, "monitor of early_stopping must be one of"),
        ({"early_stopping": EarlyStopping("val_roc_auc")}, ValueError, "must be one of .*, roc_auc, got"),
        ({"early_stopping": EarlyStopping("val_metric")}, ValueError, "'val_metric', but there is no valid"),
        ({"early_stopping": "val_cost"}, TypeError, r"early_stopping must be a fastnn\.EarlyStopping"),
        ({"early_stopping": EarlyStopping}, TypeError, r"early_stopping must be a fastnn\.EarlyStopping"),
    ],
)
def test_bad_rules(noise, options, error, message):
    x, y, _ = noise
    trainer = fastnn.Trainer(fastnn.MLP([5, 1], seed=0), loss="binary_cross_entropy")
    with pytest.raises(error, match=message):
        trainer.fit(x, y, metrics="roc_auc", verbose=0, **options)
    assert len(trainer.history) == 0


@pytest.mark.parametrize("schedule", [Plateau(), "plateau"])
def test_a_schedule_that_has_nothing_to_follow(noise, schedule):
    x, y, _ = noise
    with pytest.raises(ValueError, match="schedule monitors 'val_cost', but there is no validation_data"):
        make_two_class_trainer(schedule=schedule).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 1.5}, TypeError, "patience must be an integer"),
        ({"min_delta": -1}, ValueError, "min_delta must lie"),
        ({"monitor": None}, TypeError, "monitor must be a name"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**options)


def test_early_stopping_restores_the_best_weights():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)  # noise: validation must get worse
    validation = rng.standard_normal((40, 5)), rng.integers(0, 2, 40)
    trainer = make_blobs_trainer(sizes=(5, 64, 2), optimizer=fastnn.Adam(lr=0.01))
    rule = EarlyStopping(patience=5)
    history = trainer.fit(x, y, epochs=500, validation_data=validation, early_stopping=rule, verbose=0)
    costs = history.to_dict()["val_cost"]
    assert history.stop_reason == "early stopping"
    assert history.best_epoch == 1 + int(np.argmin(costs))
    assert len(costs) == history.best_epoch + 5
    assert trainer.evaluate(*validation)["cost"] == pytest.approx(min(costs), rel=1e-12)
    assert costs[-1] > min(costs)


def test_early_stopping_can_keep_the_last_weights_and_watch_a_metric(blobs):
    trainer = make_blobs_trainer()
    rule = EarlyStopping("val_metric", patience=3, min_delta=0.01, restore_best=False)
    history = trainer.fit(*blobs, epochs=500, validation_fraction=0.5, early_stopping=rule, verbose=0)
    assert history.stop_reason == "early stopping"
    assert history.best_epoch is None
