"""Trials: what they are judged by, and diverging ones."""

import json
import math

import numpy as np
import pytest

from fastnn import Loss
from fastnn.history import Epoch
from fastnn.tuning.recipe import Recipe
from fastnn.tuning.space import DEFAULTS
from fastnn.tuning.trial import TrialMonitor, plain_cost
from tuning.searches import HELD_OUT, ROWS, SPACE, search

pytest.importorskip("optuna")


def test_trials_are_judged_without_label_smoothing():
    smoothed = {**SPACE, "label_smoothing": 0.3, "lr": (1e-3, 1e-2, "log")}
    result = search(space=smoothed, n_trials=2)
    trainer = result.fit(*ROWS, validation_data=HELD_OUT, verbose=0)
    probabilities = trainer.net.predict_proba(HELD_OUT[0])
    cost = -np.log(probabilities[np.arange(len(HELD_OUT[1])), HELD_OUT[1]]).mean()
    assert result.score == pytest.approx(cost, rel=1e-5)
    assert trainer.settings.loss.parameters["label_smoothing"] == 0.3


def test_diverged_trials_are_bad_and_no_crash():
    space = {"lr": [1e-3, 1e30], "optimizer": "sgd", "activation": "relu", "norm": None}
    result = search(loss="mse", validation_data=ROWS, space=space, n_trials=10)
    endings = {trial.settings["lr"]: trial.ending for trial in result.trials}
    assert endings[1e30] == "diverged"
    assert result.settings["lr"] == 1e-3
    assert all(math.isinf(trial.score) for trial in result.trials if trial.ending == "diverged")
    json.dumps(result.settings)


def test_the_plain_cost_is_that_of_the_loss_without_smoothing():
    for loss, y, n_out in (("cross_entropy", HELD_OUT[1], 2), ("binary_cross_entropy", HELD_OUT[1], 1)):
        recipe = Recipe(4, n_out, Loss(loss))
        trainer = recipe.make_trainer({**DEFAULTS, "label_smoothing": 0.3})
        metric = plain_cost(trainer, Loss(loss), (HELD_OUT[0], y))
        history = trainer.fit(*ROWS, epochs=1, validation_data=(HELD_OUT[0], y), metrics=metric, verbose=0)
        plain = recipe.make_trainer(DEFAULTS)
        plain.net.params[:] = trainer.net.params
        assert history.epochs[-1].figure("val_plain_cost") == plain.evaluate(HELD_OUT[0], y)["cost"]


class Stoppable:
    reason = None

    def stop(self, reason):
        self.reason = reason


def test_a_monitor_keeps_the_best_epoch_and_stops_on_demand():
    def epoch(number, cost):
        return Epoch(number, 1.0, 0.5, cost, 0.5, 0.1, 100.0)

    told = []
    monitor = TrialMonitor(lambda number, cost: told.append((number, cost)) or number == 4)
    trainer = Stoppable()
    for number, cost in enumerate([0.5, 0.3, math.nan], 1):
        monitor.on_epoch_end(trainer, epoch(number, cost))
    assert (monitor.best, monitor.best_epoch, monitor.n_epochs, trainer.reason) == (0.3, 2, 3, None)
    assert told == [(1, 0.5), (2, 0.3), (3, math.inf)]
    monitor.on_epoch_end(trainer, epoch(4, 0.4))
    assert trainer.reason == "pruned"
    TrialMonitor(is_interrupted=lambda: True).on_epoch_end(trainer, epoch(1, 0.5))
    assert trainer.reason == "interrupted"
