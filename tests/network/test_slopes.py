"""Derivatives by the inputs, beside central differences, PyTorch's, and themselves on other threads."""

import numpy as np
import pytest

import fastnn

NETWORKS = {
    "plain": {},
    "wide": {"sizes": [20, 33, 17]},
    "one layer": {"sizes": [4, 3]},
    "hooked": {"activation": "gelu"},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": "layer", "activation": "silu"},
    "dropout": {"dropout": 0.4, "input_dropout": 0.3},
    "residual": {"sizes": [8, 8, 8, 2], "residual": True, "activation": "softplus"},
    "softmax": {"output": "softmax"},
    "exp": {"output": "exp"},
    "embeddings": {"embeddings": {1: (5, 3), 3: (4, 2)}, "norm": "batch", "input_dropout": 0.3},
}


def _network(dtype="float64", **options):
    net = fastnn.MLP(**{"sizes": [4, 5, 3], "activation": "tanh", "seed": 0, "dtype": dtype} | options)
    rng = np.random.default_rng(1)
    net.compiled_network.running[:] = rng.uniform(0.5, 2, net.compiled_network.running.size)
    return net


def _rows(net, n):
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal((n, net.sizes[k])).astype(net.dtype) for k in (0, -1))
    for column, (n_categories, _) in net.embeddings.items():
        x[:, column] = np.arange(n) % n_categories
    return x, grad


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_central_differences(options):
    net = _network(**options)
    x, grad = _rows(net, 31)
    wanted = np.zeros((31, net.sizes[-1], net.sizes[0]))
    for i in set(range(net.sizes[0])) - set(net.embeddings):
        step = np.zeros(net.sizes[0])
        step[i] = 1e-6
        wanted[:, :, i] = (net.predict_raw(x + step) - net.predict_raw(x - step)) / 2e-6
    # eps times a value of 20 over the step, and third derivatives times its square
    close = {"rtol": 1e-7, "atol": 1e-8}
    np.testing.assert_allclose(net.jacobian(x), wanted, **close)
    np.testing.assert_allclose(
        net.input_gradient(x, grad), np.einsum("ro,roi->ri", grad, wanted), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_the_bits_depend_neither_on_threads_nor_on_the_other_rows(options):
    net = _network(**options, dtype="float32")
    x, grad = _rows(net, 1000)
    whole = net.input_gradient(x, grad, n_threads=1)
    np.testing.assert_array_equal(net.input_gradient(x, grad, n_threads=2), whole)
    np.testing.assert_array_equal(net.input_gradient(x[600:603], grad[600:603]), whole[600:603])


def test_it_leaves_the_network_as_it_is():
    net = _network(norm="batch")
    x, grad = _rows(net, 31)
    before = net.params.copy(), net.compiled_network.running.copy(), net.predict_raw(x)
    net.input_gradient(x, grad)
    after = net.params, net.compiled_network.running, net.predict_raw(x)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)


def test_wrong_arguments():
    net = _network()
    x, grad = _rows(net, 5)
    for wrong_x, wrong_grad, match in [
        (x[:, :3], grad, "x .*4"),
        (x, grad[:, :2], "output_grad .*3"),
        (x, grad[:4], "output_grad"),
        (x, grad * np.nan, "output_grad .*NaN"),
    ]:
        with pytest.raises(ValueError, match=match):
            net.input_gradient(wrong_x, wrong_grad)


@pytest.mark.peers
def test_pytorch():
    torch = pytest.importorskip("torch")
    net = _network(sizes=[6, 9, 8, 4], activation="gelu")
    x, grad = _rows(net, 20)
    layers = []
    for w, b in zip(net.weights, net.biases, strict=True):
        linear = torch.nn.Linear(*w.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(w.T.copy()), torch.tensor(b.copy())
        layers += [linear, torch.nn.GELU()]
    model, inputs = torch.nn.Sequential(*layers[:-1]), torch.tensor(x, requires_grad=True)
    (wanted,) = torch.autograd.grad(model(inputs), inputs, torch.tensor(grad))
    np.testing.assert_allclose(net.input_gradient(x, grad), wanted.numpy(), rtol=1e-9, atol=1e-12)
