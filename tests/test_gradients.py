"""Gradients of whole networks: by hand, and against the slopes of the cost."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

import fastnn
from fastnn.kernels.activations import ACTIVATIONS

H = 1e-5  # of the central differences


def test_a_step_worked_by_hand(dtype):
    """One row through 2-2-1 sigmoids; with sigmoid(ln 3) = 3/4 all slopes are fractions."""
    ln3 = np.log(3)
    net = fastnn.MLP([2, 2, 1], "sigmoid", output="sigmoid", dtype=dtype, seed=0)
    net.weights[0][:] = [[ln3, ln3], [ln3, -ln3]]
    net.biases[0][:] = [-2 * ln3, ln3]
    net.weights[1][:] = [[2], [-2]]
    net.biases[1][:] = [-1 / 2]
    trainer = fastnn.Trainer(net, loss="mse", optimizer=fastnn.SGD(lr=2.0), batch_size=1)
    x, y = np.array([[1.0, 2.0]]), np.array([0.0])

    # hidden    z1 = 1 ln3 + 2 ln3 - 2 ln3 = ln3              a1 = 3/4
    #           z2 = 1 ln3 - 2 ln3 + ln3 = 0                  a2 = 1/2
    # output    z = 3/4 * 2 - 1/2 * 2 - 1/2 = 0               a = 1/2
    # cost      (1/2 - 0)^2 = 1/4
    # delta     2 (a - 0) a (1 - a) = 2 * 1/2 * 1/4 = 1/4
    # hidden    delta1 = 1/4 * 2 * a1 (1 - a1) = 1/2 * 3/16 = 3/32
    #           delta2 = 1/4 * -2 * a2 (1 - a2) = -1/2 * 1/4 = -1/8
    # slopes    input times delta, 1 being the input of the bias
    grads = [
        [[1 * 3 / 32, 1 * -1 / 8], [2 * 3 / 32, 2 * -1 / 8]],  # x1, x2
        [[3 / 4 * 1 / 4], [1 / 2 * 1 / 4]],  # a1, a2
        [3 / 32, -1 / 8],
        [1 / 4],
    ]
    # step      the old less 2 times the slope
    after = [
        [[ln3 - 3 / 16, ln3 + 1 / 4], [ln3 - 3 / 8, -ln3 + 1 / 2]],
        [[2 - 3 / 8], [-2 - 1 / 4]],
        [-2 * ln3 - 3 / 16, ln3 + 1 / 4],
        [-1 / 2 - 1 / 2],
    ]

    # A dozen roundings of numbers of size 1.
    close = {"rtol": 6 * np.finfo(dtype).eps}
    cost, *comp = trainer.gradient(x, y)
    np.testing.assert_allclose(cost, 1 / 4, **close)
    for grad, ref in zip(chain(*comp), grads, strict=True):
        np.testing.assert_allclose(grad, ref, **close)
    history = trainer.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_allclose(history.epochs[0].cost, 1 / 4, **close)
    for comp, ref in zip(net.weights + net.biases, after, strict=True):
        np.testing.assert_allclose(comp, ref, **close)


@pytest.fixture
def problem(rng):
    """Make a trainer of a float64 network of three layers, and eight rows."""

    def make(loss, activation, output=None):
        n_out = 1 if loss == "binary_cross_entropy" else 3
        net = fastnn.MLP([4, 6, 5, n_out], activation, output=output, dtype="float64", seed=rng)
        for b in net.biases:
            b[:] = rng.uniform(-0.5, 0.5, b.size)
        x = rng.standard_normal((8, 4))
        y = rng.integers(0, max(2, n_out), 8) if "entropy" in loss else rng.uniform(-1, 1, (8, n_out))
        return fastnn.Trainer(net, loss=loss), x, y

    return make


def away_from_kinks(net, x):
    """Whether no pre-activation of a ReLU changes its sign while a parameter moves by H."""
    a = x
    for w, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
        z = a @ w + b
        if np.abs(z).min() < 100 * H:
            return False
        a = np.maximum(z, 0)
    return True


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("cross_entropy", None),
        ("binary_cross_entropy", None),
        ("squared_error", None),
        *(("mse", output) for output in ("identity", "tanh", "sigmoid")),
    ],
)
def test_every_slope(problem, loss, output, activation):
    trainer, x, y = problem(loss, activation, output)
    net = trainer.net
    while activation == "relu" and not away_from_kinks(net, x):
        trainer, x, y = problem(loss, activation, output)
        net = trainer.net
    _, grad_weights, grad_biases = trainer.gradient(x, y)

    def slope(array, place):
        value, costs = array[place], []
        for step in (H, -H):
            array[place] = value + step
            costs.append(trainer.evaluate(x, y)["cost"])
        array[place] = value
        return (costs[0] - costs[1]) / (2 * H)

    for array, grad in zip(net.weights + net.biases, grad_weights + grad_biases, strict=True):
        ref = np.array([slope(array, place) for place in np.ndindex(array.shape)]).reshape(array.shape)
        # eps / H is 2e-11 of a cost of 1, and H^2 / 6 2e-11 of a third derivative: that much is absolute.
        np.testing.assert_allclose(grad, ref, rtol=1e-6, atol=1e-9 * max(1, np.abs(ref).max()))


def test_the_mean_does_not_know_how_often_a_row_comes(problem):
    trainer, x, y = problem("cross_entropy", "tanh")
    cost, *grads = trainer.gradient(x, y)
    thrice_cost, *thrice = trainer.gradient(np.tile(x, (3, 1)), np.tile(y, 3))
    # Sums of 24 terms instead of 8, of numbers of size 1: some eps.
    np.testing.assert_allclose(thrice_cost, cost, rtol=1e-14)
    for comp, ref in zip(chain(*thrice), chain(*grads), strict=True):
        np.testing.assert_allclose(comp, ref, rtol=1e-13, atol=1e-15)
