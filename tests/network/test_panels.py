"""Weights in panels, as a user meets them: copies that follow `net.weights`, and outputs of every width."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import reference

import fastnn
from fastnn.kernels.simd import WIDTH_BYTES
from fastnn.kernels.sizes import PACKED_CALL_ROWS, PACKS_WEIGHTS, PAD, ROW_BLOCK

WIDE = 300, 300, 33  # of which no L1 holds the first weights
KINDS = {"plain": {}, "hooked": {"norm": "layer", "activation": "gelu"}}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def wide(request, dtype, monkeypatch):
    """A network with weights in panels on every CPU, and more rows than a call takes without them."""
    monkeypatch.setitem(PACKS_WEIGHTS, WIDTH_BYTES, True)
    net = fastnn.MLP(WIDE, **{"activation": "tanh"} | request.param, output="softmax", dtype=dtype, seed=0)
    assert net.compiled_network.layout.n_panels > 0
    x = np.random.default_rng(1).standard_normal((PACKED_CALL_ROWS + 5, WIDE[0])).astype(dtype)
    return net, x


@pytest.fixture(params=[0, 10**9], ids=["packed", "not packed"])
def packing(request, monkeypatch):
    """Let every call copy the weights into panels, or none."""
    monkeypatch.setattr("fastnn.network.predictor.PACKED_CALL_ROWS", request.param)


# --- predictors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
def test_panels_change_no_bit(wide, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    net, x = wide
    predict = net.predictor(n_threads=n_threads)
    plain = predict(x[: PACKED_CALL_ROWS - 1])
    for n_rows in (PACKED_CALL_ROWS, len(x)):
        np.testing.assert_array_equal(predict(x[:n_rows])[: len(plain)], plain)
    results = []
    for limit in (0, 10**9):
        monkeypatch.setattr("fastnn.network.predictor.PACKED_CALL_ROWS", limit)
        results.append(predict(x))
        np.testing.assert_array_equal(predict(x[:3]), plain[:3])
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("n_rows", [PACKED_CALL_ROWS - 1, PACKED_CALL_ROWS])
def test_the_number_of_rows_from_which_weights_are_packed(wide, n_rows, monkeypatch):
    (net, x), packed = wide, []
    monkeypatch.setattr("fastnn.network.compiled.pack_weights", lambda view: packed.append(view.panels.size))
    net.predictor()(x[:n_rows])
    assert packed == ([net.compiled_network.layout.n_panels] if n_rows >= PACKED_CALL_ROWS else [])


def test_a_predictor_follows_what_is_written_between_its_calls(wide, packing):
    net, x = wide
    predict = net.predictor()
    before = predict(x)
    for place in [(0, 0), (17, 16), (WIDE[0] - 1, WIDE[1] - 1)]:
        net.weights[0][place] += 3
        net.biases[0][place[1]] -= 1
        comp = predict(x)
        np.testing.assert_array_equal(comp, fastnn.network.Predictor(copy.deepcopy(net.compiled_network))(x))
        assert (comp != before).any()
        before = comp


def test_a_predictor_has_panels_of_its_own(wide, packing):
    """Those of the network are in use while a Trainer runs."""
    net, x = wide
    network = net.compiled_network.view(packed=True)
    for panels in (network.panels, network.panels_t):
        panels.fill(7)
    net.predictor()(x)
    net.predict(x)
    net.layer_outputs(x)
    for panels in (network.panels, network.panels_t):
        assert (panels == 7).all()


# --- what a user writes -----------------------------------------------------------------------------


def forward(net, x):
    """Outputs of every layer before the output activation, in float64."""
    outputs = []
    for w, b in zip(net.weights, net.biases, strict=True):
        x = x @ w.astype("f8") + b
        if len(outputs) < len(net.weights) - 1:
            x = np.tanh(x)
        outputs.append(x)
    return outputs


def test_weights_written_between_two_trainings(dtype, rng):
    """The next training begins with them, as one of a copied network does, and so do predictions."""
    net = fastnn.MLP(WIDE, "tanh", dtype=dtype, seed=0)
    x, y = rng.standard_normal((40, WIDE[0])).astype(dtype), rng.standard_normal((40, WIDE[-1]))
    options = {"loss": "mse", "optimizer": "sgd", "batch_size": 16, "shuffle": False}
    trainer = fastnn.Trainer(net, **options)
    trainer.fit(x, y, epochs=1, verbose=0)
    for w, b in zip(net.weights, net.biases, strict=True):
        w[1::7, 2::5] += 0.1
        b[::3] -= 0.2
    x_more = rng.standard_normal((PACKED_CALL_ROWS, WIDE[0])).astype(dtype)
    bound = 200 * np.finfo(dtype).eps  # sums of 300 products of numbers of size 1
    ref = forward(net, x_more)[-1]
    np.testing.assert_allclose(net.predict(x_more), ref, rtol=bound, atol=bound)
    twin = copy.deepcopy(net)
    trainer.fit(x, y, epochs=1, verbose=0)
    fastnn.Trainer(twin, **options).fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(net.params, twin.params)
    ref = forward(net, x_more)[-1]
    np.testing.assert_allclose(net.predict(x_more), ref, rtol=bound, atol=bound)


@pytest.mark.parametrize("sizes", [(5, PAD + 1, 3 * PAD, PAD - 1, 2), WIDE], ids=str)
def test_outputs_of_wide_hidden_layers(sizes, dtype, rng):
    net = fastnn.MLP(sizes, "tanh", dtype=dtype, seed=0)
    x = rng.standard_normal((ROW_BLOCK + 13, sizes[0])).astype(dtype)
    for _ in range(2):
        bound = 200 * np.finfo(dtype).eps  # sums of 300 products of numbers of size 1
        for comp, ref in zip(net.layer_outputs(x), forward(net, x), strict=True):
            assert comp.dtype == dtype
            np.testing.assert_allclose(comp, ref, rtol=bound, atol=bound)
        net.weights[0][:, PAD] *= -2


# --- outputs of every width -------------------------------------------------------------------------

LR, BATCH_SIZE, EPOCHS = 0.5, 16, 3
OUTPUTS = {"mse": "identity", "cross_entropy": "softmax", "huber": "identity"}


def output_delta(loss, z, y):
    """Gradient of the mean loss with respect to z."""
    if loss == "cross_entropy":
        z = z.copy()
        reference.softmax(z, None, None, z.shape[1], 0, len(z))
        return (z - np.eye(z.shape[1])[y]) / len(z)
    slopes = 2 * (z - y) if loss == "mse" else np.clip(z - y, -1, 1)
    return slopes / z.size


def descend(net, loss, x, y):
    """Return the weights and biases that plain descent leads to, in float64."""
    weights, biases = ([array.astype("f8") for array in arrays] for arrays in (net.weights, net.biases))
    for _ in range(EPOCHS):
        for first in range(0, len(x), BATCH_SIZE):
            activations, rows = [x[first : first + BATCH_SIZE].astype("f8")], y[first : first + BATCH_SIZE]
            for w, b in zip(weights[:-1], biases[:-1], strict=True):
                activations.append(np.tanh(activations[-1] @ w + b))
            delta = output_delta(loss, activations[-1] @ weights[-1] + biases[-1], rows)
            for w, b, a in zip(weights[::-1], biases[::-1], activations[::-1], strict=True):
                below = delta @ w.T * (1 - a**2)
                w -= LR * a.T @ delta
                b -= LR * delta.sum(axis=0)
                delta = below
    return weights, biases


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("hidden", [(), (20,), (33, 7)], ids=str)
@pytest.mark.parametrize("n_out", [PAD - 1, PAD, PAD + 1, 2 * PAD, 2 * PAD + 1])
def test_outputs_of_every_width(dtype, rng, n_out, hidden, loss):
    net = fastnn.MLP((9, *hidden, n_out), "tanh", output=OUTPUTS[loss], dtype=dtype, seed=0)
    x = rng.standard_normal((40, 9)).astype(dtype)
    y = rng.standard_normal((40, n_out)) if loss != "cross_entropy" else rng.integers(0, n_out, 40)
    weights, biases = descend(net, loss, x, y.astype(dtype) if loss != "cross_entropy" else y)
    trainer = fastnn.Trainer(
        net, loss=loss, optimizer=fastnn.SGD(lr=LR), batch_size=BATCH_SIZE, shuffle=False
    )
    before = net.params.copy()
    trainer.fit(x, y, epochs=EPOCHS, verbose=0)
    assert (net.params != before).any()
    # Nine steps, each with sums of up to 40 products of numbers of size 1.
    bound = 50 * np.finfo(dtype).eps
    for comp, ref in zip([*net.weights, *net.biases], [*weights, *biases], strict=True):
        np.testing.assert_allclose(comp, ref, rtol=bound, atol=bound)
    z = forward(net, x)[-1]
    if loss == "cross_entropy":
        reference.softmax(z, None, None, n_out, 0, len(z))
    np.testing.assert_allclose(net.predict_raw(x), z, rtol=bound, atol=bound)
