"""Judgement of rows without training: cost, metric and losses."""

import numpy as np
import pytest

from training.examples import make_blobs_trainer


def test_loss_per_row_and_cost_over_the_batch(blobs):
    trainer = make_blobs_trainer()
    losses = trainer.losses(*blobs)
    x, y = blobs
    ref = -np.log(trainer.net.predict_proba(x)[np.arange(len(y)), y])
    # log(1 + small) in float32 carries the rounding of the 1: 6e-8, here a few times
    np.testing.assert_allclose(losses, ref, rtol=1e-5, atol=5e-7)
    scores = trainer.evaluate(x, y)
    assert scores["cost"] == losses.mean()
    assert scores["accuracy"] == pytest.approx((trainer.net.predict(x) == y).mean(), abs=1e-12)


def test_r2_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 4))
    y = x @ rng.standard_normal(4) + 5
    trainer = make_blobs_trainer("mse", (4, 8, 1))
    trainer.fit(x, y, epochs=20, verbose=0)
    assert trainer.evaluate(x, y)["r2"] == pytest.approx(
        metrics.r2_score(y, trainer.net.predict(x)), rel=1e-5
    )
    assert make_blobs_trainer("mse", (4, 1)).evaluate(x, np.ones(300))["r2"] == 0


def test_squared_error_is_half_of_mse():
    x, y = np.random.default_rng(0).standard_normal((2, 30, 4))
    mse, half = (make_blobs_trainer(loss, (4, 4)).evaluate(x, y)["cost"] for loss in ("mse", "squared_error"))
    assert half == pytest.approx(mse / 2, rel=1e-12)
