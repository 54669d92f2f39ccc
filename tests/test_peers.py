"""A hundred steps beside PyTorch, from the same weights through the same batches."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # more only wait for each other on so little work
pytestmark = pytest.mark.peers

EPOCHS, BATCH, N_ROWS = 10, 16, 155  # ten batches an epoch, the last of 11 rows
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
# loss, number of outputs
PROBLEMS = [("cross_entropy", 4), ("binary_cross_entropy", 1), ("binary_cross_entropy", 3), ("mse", 2)]
OPTIMIZERS = {
    "sgd": (fastnn.SGD(lr=0.1), torch.optim.SGD),
    "momentum": (fastnn.SGD(lr=0.03, momentum=0.9), torch.optim.SGD),
    "nesterov": (fastnn.SGD(lr=0.03, momentum=0.9, nesterov=True), torch.optim.SGD),
    "adam": (fastnn.Adam(lr=0.01), torch.optim.Adam),
}
# What rounding leaves after a hundred steps; float64 has a thousand million times float32's precision.
RTOL = {"float32": 1e-4, "float64": 1e-9}


def make_data(loss, n_out):
    rng = np.random.default_rng(1)
    x, teacher = rng.standard_normal((N_ROWS, 6)), rng.standard_normal((6, n_out))
    z = np.sin(x @ teacher)
    if loss == "cross_entropy":
        return x, z.argmax(axis=1)
    return x, (z > 0).astype(int) if loss == "binary_cross_entropy" else z


def peer_options(optimizer):
    """The same optimiser's settings by PyTorch's names."""
    options = dict(vars(optimizer))
    if isinstance(optimizer, fastnn.Adam):
        options["betas"] = options.pop("beta1"), options.pop("beta2")
    return options


def peer_fit(net, loss, optimizer, x, y):
    """Train a copy of the network with PyTorch; the cost of each epoch, and the parameters."""
    dtype = getattr(torch, net.dtype.name)
    params = [torch.tensor(array.copy(), requires_grad=True) for array in net.weights + net.biases]
    settings, kind = optimizer
    steps = kind(params, **peer_options(settings))
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=None if loss == "cross_entropy" else dtype)
    costs = []
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, N_ROWS, BATCH):
            a, target = x[start : start + BATCH], y[start : start + BATCH]
            n_layers = len(net.weights)
            for depth, (w, b) in enumerate(zip(params[:n_layers], params[n_layers:], strict=True)):
                z = a @ w + b
                if depth < n_layers - 1:
                    a = ACTIVATIONS[net.activations[depth].name](z)
            cost = {
                "cross_entropy": torch.nn.functional.cross_entropy,
                "binary_cross_entropy": torch.nn.functional.binary_cross_entropy_with_logits,
                "mse": torch.nn.functional.mse_loss,
            }[loss](z, target)
            steps.zero_grad()
            cost.backward()
            steps.step()
            total += cost.item() * len(target)
        costs.append(total / N_ROWS)
    return costs, [array.detach().numpy() for array in params]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "n_out"), PROBLEMS)
def test_a_hundred_steps(dtype, loss, n_out, activation, optimizer):
    x, y = make_data(loss, n_out)
    net = fastnn.MLP([6, 20, 17, n_out], activation, dtype=dtype, seed=2)
    ref_costs, ref = peer_fit(net, loss, optimizer, x, y.reshape(-1, 1) if n_out == 1 else y)
    trainer = fastnn.Trainer(net, loss=loss, optimizer=optimizer[0], batch_size=BATCH, shuffle=False)
    history = trainer.fit(x, y, epochs=EPOCHS, verbose=0)
    rtol = RTOL[dtype.name]
    np.testing.assert_allclose(history.to_dict()["cost"], ref_costs, rtol=rtol)
    for comp, array in zip(net.weights + net.biases, ref, strict=True):
        # Relative to the layer: a weight near 0 is the difference of larger ones.
        np.testing.assert_allclose(comp, array, rtol=rtol, atol=rtol * np.abs(array).max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_embeddings(optimizer):
    """Two tables before two layers, in float64: all that is learnt, after every epoch."""
    rng = np.random.default_rng(4)
    x = np.column_stack(
        [rng.integers(0, 7, N_ROWS), rng.standard_normal((N_ROWS, 2)), rng.integers(0, 3, N_ROWS)]
    )
    y = rng.integers(0, 4, N_ROWS)
    net = fastnn.MLP((4, 9, 4), "tanh", embeddings={0: (8, 3), 3: (3, 1)}, dtype="float64", seed=2)
    tables = [torch.nn.Embedding(n, width, dtype=torch.float64) for n, width in ((8, 3), (3, 1))]
    layers = [torch.nn.Linear(n_in, n_out, dtype=torch.float64) for n_in, n_out in ((6, 9), (9, 4))]
    p = {f"embeddings.{column}.weight": table.weight for column, table in zip((0, 3), tables, strict=True)}
    for depth, layer in enumerate(layers):
        p |= {f"layers.{depth}.weight": layer.weight, f"layers.{depth}.bias": layer.bias}
    with torch.no_grad():
        for name, value in p.items():
            value[:] = torch.tensor(net.parameters()[name].T if name[0] == "l" else net.parameters()[name])
    steps = optimizer[1](p.values(), **peer_options(optimizer[0]))
    trainer = fastnn.Trainer(
        net, loss="cross_entropy", optimizer=optimizer[0], batch_size=BATCH, shuffle=False
    )
    rows, labels = torch.tensor(x), torch.tensor(y)
    for _ in range(5):
        total = 0.0
        for start in range(0, N_ROWS, BATCH):
            batch, target = rows[start : start + BATCH], labels[start : start + BATCH]
            vectors = [table(batch[:, c].long()) for c, table in zip((0, 3), tables, strict=True)]
            a = torch.tanh(layers[0](torch.hstack([batch[:, 1:3], *vectors])))
            cost = torch.nn.functional.cross_entropy(layers[1](a), target)
            steps.zero_grad()
            cost.backward()
            steps.step()
            total += cost.item() * len(target)
        history = trainer.fit(x, y, epochs=1, verbose=0)
        assert history.epochs[-1].cost == pytest.approx(total / N_ROWS, rel=RTOL["float64"])
        for name, value in net.parameters().items():
            ref = p[name].detach().numpy()
            ref = ref.T if name[0] == "l" else ref
            np.testing.assert_allclose(value, ref, rtol=RTOL["float64"], atol=1e-10, err_msg=name)
