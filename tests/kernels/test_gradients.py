"""Gradients of whole networks: by hand, and against the slopes of the cost."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from problems import Case, draw_categories, make_data, make_net, make_objective, make_targets

import fastnn
from fastnn.activations import NAMES
from fastnn.kernels import step
from fastnn.losses import LOSSES, Loss, as_loss

H = 1e-5  # of the central differences
KINK = 1e-3


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


def make_gradient(case, seed):
    """A function that gives cost and gradient of a float64 network, and the parameters it depends on."""
    rng = np.random.default_rng(seed)
    net, loss, n_out = make_net(case, "float64", rng), as_loss(case.loss), case.sizes[-1]
    x = rng.standard_normal((8, case.sizes[0]))
    draw_categories(x, net, rng)
    data = make_data(loss, x, make_targets(loss, n_out, 8, rng), n_out)
    data = data._replace(weights=rng.uniform(0.5, 1.5, 8))
    work = net.compiled_network.layout.workspace(8, data.labels.shape[1] + data.targets.shape[1])
    network, objective = net.compiled_network.view(seed=seed, packed=True), make_objective(loss, net.dtype)

    def gradient():
        flat = np.zeros_like(net.params)
        step.pack_weights(network)
        cost = step.gradient(flat, network, work, data, objective, 8)
        return cost, net.compiled_network.layout.weights(flat)

    return gradient, net.compiled_network.layout.weights(net.params)


def slopes(gradient, matrices):
    """Differences of the cost to both sides, for each parameter."""
    here = gradient()[0]
    for matrix in matrices:
        sides = np.empty((2, *matrix.shape))
        for place in np.ndindex(matrix.shape):
            value = matrix[place]
            for side, h in enumerate((H, -H)):
                matrix[place] = value + h
                sides[side][place] = (gradient()[0] - here) / h
            matrix[place] = value
        yield sides


def check_every_slope(case):
    for seed in range(100):
        gradient, matrices = make_gradient(case, seed)
        sides = list(slopes(gradient, matrices))
        # The slopes to both sides of a kink differ, by far more than H times a second derivative.
        if max(np.abs(right - left).max() for right, left in sides) < KINK:
            break
    else:
        pytest.fail("a kink at every try")
    _, grads = gradient()
    for grad, (right, left) in zip(grads, sides, strict=True):
        ref = (right + left) / 2
        # eps / H is 2e-11 of a cost of 1, and H^2 / 6 2e-11 of a third derivative: that much is absolute.
        np.testing.assert_allclose(grad, ref, rtol=1e-6, atol=2e-9 * max(1, np.abs(ref).max()))
    assert all(grad.any() for grad in grads)


# Each loss with its parameters, or as many numbers as it takes.
PARAMETERS = {
    "huber": {"delta": 0.6},
    "quantile": {"levels": 0.3},
    "tweedie": {"power": 1.3},
    "binary_focal": {"gamma": 1.5, "alpha": 0.3},
    "focal": {"gamma": 1.5, "alpha": 0.7},
}
SMOOTHED = [Loss(name, label_smoothing=0.2) for name in ("cross_entropy", "binary_cross_entropy")]
EVERY_LOSS = [*(Loss(name, **PARAMETERS.get(name, {})) for name in LOSSES), *SMOOTHED]


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=str)
def test_every_loss(loss):
    check_every_slope(Case((4, 6, 3), "tanh", loss.output or "identity", loss))


@pytest.mark.parametrize("output", ["tanh", "sigmoid", "exp", "relu"])
@pytest.mark.parametrize("loss", ["mse", "log_cosh"])  # in the core, and by address
def test_every_output(output, loss):
    check_every_slope(Case((4, 6, 3), "tanh", output, loss))


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize(("loss", "output"), [("cross_entropy", "softmax"), ("squared_error", "identity")])
def test_every_activation(activation, loss, output):
    check_every_slope(Case((4, 6, 5, 3), activation, output, loss))


LAYERS = {
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer"},
    "residual": {"residual": True},
    "dropout": {"dropout": 0.3},
    "input dropout": {"input_dropout": 0.3},
    "residual around batch norm": {"norm": "batch", "residual": [False, True, False]},
    "residual around layer norm": {"norm": [None, "layer", "layer"], "residual": [False, False, True]},
    "mixture": {
        "norm": ["batch", None, "layer"],
        "residual": [False, True, True],
        "dropout": [0.2, 0.3, 0.0],
        "input_dropout": 0.1,
    },
}


@pytest.mark.parametrize("activation", ["tanh", "silu", "prelu"])  # the core's, by address, with slopes
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_every_kind_of_layer(options, activation):
    check_every_slope(Case((4, 5, 5, 5, 3), activation, "softmax", "cross_entropy", options))


EMBEDDINGS = {
    "one": {"embeddings": {1: (3, 2)}},
    "of one number, and of one category": {"embeddings": {0: (4, 1), 2: (1, 1), 3: (1, 3)}},
    "every column, no hidden layer": {"embeddings": {0: (3, 2), 1: (2, 1), 2: (2, 2), 3: (4, 3)}},
    "input dropout": {"embeddings": {0: (3, 2), 3: (3, 2)}, "input_dropout": 0.3},
    "residual first layer": {"embeddings": {3: (3, 3)}, "residual": [True, False]},
    "all": {
        "embeddings": {0: (3, 2), 3: (2, 2)},
        "input_dropout": 0.2,
        "residual": [True, True],
        "norm": ["batch", "layer"],
        "dropout": [0.2, 0.0],
    },
}


@pytest.mark.parametrize("activation", ["tanh", "silu", "prelu"])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(name, activation):
    sizes = (4, 3) if "no hidden layer" in name else (4, 6, 6, 3)
    check_every_slope(Case(sizes, activation, "softmax", "cross_entropy", EMBEDDINGS[name]))


@pytest.fixture
def problem(rng):
    """Make a trainer of a float64 network of three layers, and eight rows."""

    def make(loss, activation):
        net = fastnn.MLP([4, 6, 5, 3], activation, dtype="float64", seed=rng)
        return fastnn.Trainer(net, loss=loss), rng.standard_normal((8, 4)), rng.integers(0, 3, 8)

    return make


def test_the_mean_does_not_know_how_often_a_row_comes(problem):
    trainer, x, y = problem("cross_entropy", "tanh")
    cost, *grads = trainer.gradient(x, y)
    thrice_cost, *thrice = trainer.gradient(np.tile(x, (3, 1)), np.tile(y, 3))
    # Sums of 24 terms instead of 8, of numbers of size 1: some eps.
    np.testing.assert_allclose(thrice_cost, cost, rtol=1e-14)
    for comp, ref in zip(chain(*thrice), chain(*grads), strict=True):
        np.testing.assert_allclose(comp, ref, rtol=1e-13, atol=1e-15)
