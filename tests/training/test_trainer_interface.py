"""What the trainer and losses offer to those that build on them."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import _threads
from fastnn.training import lbfgs


def problem(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 4))
    return x, (x[:, 0] + x[:, 1] > 0.5).astype(int)


def make_trainer(**options):
    net = fastnn.MLP([4, 6, 1], activation="tanh", dtype="float64", seed=0)
    return fastnn.Trainer(net, **{"loss": "binary_cross_entropy", "seed": 0, "batch_size": 20, **options})


@pytest.mark.parametrize("nesterov", [False, True])
def test_change_lr_keeps_the_velocity(nesterov):
    """Momentum as scikit-learn has it: the velocity is made of each step's own rate."""
    x, y = problem()
    rates = [0.1, 0.5, 0.02]
    options = {"batch_size": None, "shuffle": False}
    comp = make_trainer(optimizer=fastnn.SGD(rates[0], 0.9, nesterov), **options)
    ref = make_trainer(**options)
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
        make_trainer().change_lr(0.1)
    with pytest.raises(ValueError, match="lr must lie"):
        make_trainer(optimizer="sgd").change_lr(0.0)


def test_averaged_is_what_training_ends_with():
    x, y = problem()
    seen = []

    def note(trainer, epoch):
        raw = trainer.net.params.copy()
        with trainer.averaged():
            seen.append(trainer.net.params.copy())
        assert np.array_equal(raw, trainer.net.params)
        assert not np.array_equal(raw, seen[-1])

    trainer = make_trainer(average=fastnn.EMA(0.9))
    trainer.fit(x, y, 3, callbacks=note, verbose=0)
    assert np.array_equal(seen[-1], trainer.net.params)
    with trainer.averaged():  # which the network has already
        assert np.array_equal(seen[-1], trainer.net.params)


def test_scaled_loss():
    x, y = problem()
    loss = fastnn.Loss("huber", delta=0.5)
    tripled = loss.scaled(3.0)
    net = fastnn.MLP([4, 6, 1], dtype="float64", seed=0)
    once, thrice = (
        fastnn.Trainer(copy.deepcopy(net), loss=loss).gradient(x, y.astype(float)) for loss in (loss, tripled)
    )
    assert thrice[0] == pytest.approx(3 * once[0])
    np.testing.assert_allclose(thrice[1][0], 3 * once[1][0])
    assert loss.scale == 1.0
    assert tripled != loss
    for other in (pickle.loads(pickle.dumps(tripled)), copy.deepcopy(tripled), loss.scaled(1.5).scaled(2.0)):
        assert other == tripled
        assert hash(other) == hash(tripled)
    assert repr(tripled) == "Loss('huber', delta=0.5).scaled(3.0)"
    assert loss.scaled(1.0) == loss
    with pytest.raises(ValueError, match="factor must lie"):
        loss.scaled(0.0)


def test_lbfgs_by_the_trainer():
    x, y = problem()
    trainer = make_trainer(optimizer=fastnn.LBFGS(tol=1e-4), batch_size=None, l2=0.5)
    history = trainer.fit(x, y, 200, verbose=0)
    assert history.stop_reason == "converged"
    _, grads, _ = trainer.gradient(x, y)
    slopes = [grad + 0.5 / len(x) * w for grad, w in zip(grads, trainer.net.weights, strict=True)]
    assert max(np.abs(slope).max() for slope in slopes) <= 1e-4


def test_lbfgs_minimises_with_class_weights():
    x, y = problem()
    options = {"optimizer": "lbfgs", "l2": 0.5}
    comp, ref = make_trainer(class_weight={0: 3.0}, **options), make_trainer(**options)
    lbfgs.minimize(comp, x, y, max_iter=5)
    lbfgs.minimize(ref, x, y, np.where(y == 0, 3.0, 1.0), max_iter=5)
    assert np.array_equal(comp.net.params, ref.net.params)


@pytest.mark.parametrize("how", ["fit", "minimize"])
def test_training_counts_as_work(how):
    """Else two Python threads, each between two calls of the other, would open teams for the same cores."""
    x, y = problem()
    at_work = []

    def note(*_):
        at_work.append(len(_threads._working))

    if how == "fit":
        make_trainer().fit(x, y, 2, callbacks=note, verbose=0)
    else:
        lbfgs.minimize(make_trainer(optimizer="lbfgs"), x, y, max_iter=2, callback=note)
    assert at_work == [1, 1]
    assert not _threads._working
