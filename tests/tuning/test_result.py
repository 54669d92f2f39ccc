"""Results: trainers with the best settings, importances and the table of trials."""

import math

import pytest

from fastnn import Loss
from fastnn.tuning.trial import plain_cost
from tuning.searches import HELD_OUT, ROWS


def test_fit_with_validation_data_repeats_the_best_trial(found):
    trainer = found.fit(*ROWS, validation_data=HELD_OUT, verbose=0)
    cost = plain_cost(trainer, Loss("cross_entropy"), HELD_OUT).function(None, None)
    assert cost == pytest.approx(found.score, rel=1e-12)
    assert trainer.history.best_epoch == found.best.best_epoch


def test_fit_without_validation_data_trains_as_long_as_the_best_epoch(found):
    trainer = found.fit(*ROWS, verbose=0)
    assert len(trainer.history) == found.best.best_epoch
    assert trainer.settings.batch_size == found.settings["batch_size"]
    assert len(found.make_trainer().history) == 0


def test_importances_and_frame(found):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    importances = found.importances()
    assert set(importances) == set(found.study.user_attrs["searched"])
    assert math.fsum(importances.values()) == pytest.approx(1)
    frame = found.to_frame()
    assert frame.score.tolist() == [trial.score for trial in found.trials]
    assert frame.loc[1, "width"] == 32
