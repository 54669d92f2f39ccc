"""L-BFGS: it finds a minimum, and refuses what it cannot follow."""

import numpy as np
import pytest

import fastnn
from fastnn import _threads
from fastnn.training import lbfgs
from training.examples import (
    make_binary_rows,
    make_binary_trainer,
    make_whole_batch_trainer,
)


def test_lbfgs_by_the_trainer():
    x, y = make_binary_rows()
    trainer = make_binary_trainer(optimizer=fastnn.LBFGS(tol=1e-4), batch_size=None, l2=0.5)
    history = trainer.fit(x, y, 200, verbose=0)
    assert history.stop_reason == "converged"
    _, grads, _ = trainer.gradient(x, y)
    slopes = [grad + 0.5 / len(x) * w for grad, w in zip(grads, trainer.net.weights, strict=True)]
    assert max(np.abs(slope).max() for slope in slopes) <= 1e-4


def test_lbfgs_minimises_with_class_weights():
    x, y = make_binary_rows()
    options = {"optimizer": "lbfgs", "l2": 0.5}
    comp, ref = make_binary_trainer(class_weight={0: 3.0}, **options), make_binary_trainer(**options)
    lbfgs.minimize(comp, x, y, max_iter=5)
    lbfgs.minimize(ref, x, y, np.where(y == 0, 3.0, 1.0), max_iter=5)
    assert np.array_equal(comp.net.params, ref.net.params)


@pytest.mark.parametrize("how", ["fit", "minimize"])
def test_training_counts_as_work(how):
    """Else two Python threads, each between two calls of the other, would open teams for the same cores."""
    x, y = make_binary_rows()
    at_work = []

    def note(*_):
        at_work.append(len(_threads._working))

    if how == "fit":
        make_binary_trainer().fit(x, y, 2, callbacks=note, verbose=0)
    else:
        lbfgs.minimize(make_binary_trainer(optimizer="lbfgs"), x, y, max_iter=2, callback=note)
    assert at_work == [1, 1]
    assert not _threads._working


@pytest.mark.parametrize("fraction", [None, 0.25])
def test_lbfgs_finds_a_minimum(three_classes, fraction):
    """A layer alone with a penalty has one, where the slope is 0; the rest of the trainer serves it, too."""
    x, y = three_classes
    weights, events = 1 + np.arange(60) % 3, []
    net = fastnn.MLP([4, 3], dtype="float64", seed=0)
    trainer = make_whole_batch_trainer(net, optimizer=fastnn.LBFGS(tol=1e-8), l2=1.0, class_weight={0: 2.0})
    history = trainer.fit(
        x,
        y,
        epochs=200,
        sample_weight=weights,
        validation_fraction=fraction,
        metrics="accuracy",
        callbacks=lambda trainer, epoch: events.append(epoch),
        verbose=0,
    )
    assert history.stop_reason == "converged"
    assert events == history.epochs
    minimised = [epoch.cost + epoch.penalty for epoch in history.epochs]
    assert minimised == sorted(minimised, reverse=True)
    if fraction is None:
        weights = weights * np.where(y == 0, 2.0, 1.0)
        cost, (grad_w,), (grad_b,) = trainer.gradient(x, y, sample_weight=weights)
        penalty = 0.5 * (net.weights[0] ** 2).sum() / weights.sum()
        assert np.abs(grad_w + net.weights[0] / weights.sum()).max() < 1e-8
        assert np.abs(grad_b).max() < 1e-8
        assert history.epochs[-1].cost == pytest.approx(cost, rel=1e-12)
        assert history.epochs[-1].penalty == pytest.approx(penalty, rel=1e-12)
    else:
        assert trainer.n_rows == 45


def test_lbfgs_ends_as_others_do(three_classes):
    trainer = make_whole_batch_trainer(optimizer="lbfgs")
    assert len(trainer.fit(*three_classes, epochs=3, verbose=0)) == 3
    assert trainer.history.stop_reason == "epochs"
    trainer.fit(*three_classes, epochs=9, callbacks=lambda trainer, epoch: trainer.stop("enough"), verbose=0)
    assert (len(trainer.history), trainer.history.stop_reason) == (4, "enough")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"l1": 0.1}, "l1"), ({"accumulate": 2}, "accumulate"), ({"schedule": "cosine"}, "a schedule")],
)
def test_lbfgs_refuses_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=f"optimizer 'lbfgs' cannot be combined with {message}"):
        make_whole_batch_trainer(optimizer="lbfgs", **options)
    with pytest.raises(ValueError, match="cannot be combined with dropout"):
        make_whole_batch_trainer(fastnn.MLP([4, 7, 3], dropout=0.1), optimizer="lbfgs")
