"""A hundred steps beside PyTorch, from the same weights through the same batches."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
import fastnn.activations
import fastnn.losses
import fastnn.schedules

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


# --- all that PyTorch has, too ----------------------------------------------------------------------

functional = torch.nn.functional
ALL_ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky_relu": functional.leaky_relu,
    "prelu": None,  # whose slope is a parameter
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda z: functional.gelu(z, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "softplus": functional.softplus,
    # PyTorch's own takes its slope, 1 / 6, in float32.
    "hard_sigmoid": lambda z: torch.clamp(z / 6 + 0.5, 0, 1),
    "hard_swish": functional.hardswish,
    "exp": torch.exp,
}


class Peer:
    """A copy of a float64 network in PyTorch: its parameters by fastnn's names, and its forward pass."""

    def __init__(self, net):
        self.net = net
        self.values = {name: torch.tensor(array.copy()) for name, array in net.parameters().items()}
        self.learnt = {name: value for name, value in self.values.items() if "running" not in name}
        for value in self.learnt.values():
            value.requires_grad_()

    def groups(self, decay):
        """Only weights decay."""
        weights = [value for name, value in self.learnt.items() if name.endswith("weight")]
        rest = [value for name, value in self.learnt.items() if not name.endswith("weight")]
        return [{"params": weights, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]

    def __call__(self, a, training=True):
        net = self.net
        for depth, n_out in enumerate(net.sizes[1:]):
            layer = {
                name.split(".")[2]: value
                for name, value in self.values.items()
                if name.startswith(f"layers.{depth}.")
            }
            z = a @ layer["weight"] + layer["bias"]
            if depth == len(net.activations):
                return z
            if net.norm[depth] == "batch":
                statistics = layer["running_mean"], layer["running_variance"]
                z = functional.batch_norm(z, *statistics, layer["gain"], layer["shift"], training)
            elif net.norm[depth] == "layer":
                z = functional.layer_norm(z, (n_out,), layer["gain"], layer["shift"])
            name = net.activations[depth].name
            slope = layer.get("slope")
            out = functional.prelu(z, slope) if name == "prelu" else ALL_ACTIVATIONS[name](z)
            a = out + a if net.residual[depth] else out
        return None


def peer_train(net, loss, make_optimizer, x, y, *, decay=0.0, clip_norm=None, accumulate=1, schedule=None):
    """The costs of epochs, and the network in PyTorch; an update is for `accumulate` batches."""
    peer, costs, size = Peer(net), [], BATCH * accumulate
    steps = make_optimizer(peer.groups(decay))
    scheduler = schedule and schedule(steps, EPOCHS * -(-N_ROWS // size))
    x, y = torch.tensor(x), torch.tensor(y)
    for _ in range(EPOCHS):
        total = 0.0
        for start in range(0, N_ROWS, size):
            steps.zero_grad()
            stop = min(N_ROWS, start + size)
            for first in range(start, stop, BATCH):
                rows = slice(first, min(stop, first + BATCH))
                cost = loss(peer(x[rows]), y[rows]) * (rows.stop - rows.start)
                (cost / (stop - start)).backward()
                total += cost.item()
            if clip_norm:
                torch.nn.utils.clip_grad_norm_(peer.learnt.values(), clip_norm)
            steps.step()
            if scheduler:
                scheduler.step()
        costs.append(total / N_ROWS)
    return costs, peer


def assert_alike(net, history, ref_costs, peer, rtol=1e-9):
    np.testing.assert_allclose(history.to_dict()["cost"], ref_costs, rtol=rtol)
    for name, array in net.parameters().items():
        ref = peer.values[name].detach().numpy()
        # In front of a batch normalisation a bias has no slope but rounding, 1e-17, and Adam makes steps of
        # it: by its eps of 1e-8 and a rate of 0.01, of 1e-11.
        np.testing.assert_allclose(array, ref, rtol=rtol, atol=rtol * max(1, np.abs(ref).max()), err_msg=name)


@pytest.mark.parametrize("activation", ALL_ACTIVATIONS)
def test_activations(activation):
    x, y = make_data("cross_entropy", 4)
    net = fastnn.MLP([6, 12, 11, 4], activation, dtype="float64", seed=2)
    rates = {"lr": 1e-4 if activation == "exp" else 0.01, "momentum": 0.9}  # exp of exp soon overflows
    ref_costs, peer = peer_train(
        net, functional.cross_entropy, lambda params: torch.optim.SGD(params, **rates), x, y
    )
    options = {"optimizer": fastnn.SGD(**rates), "batch_size": BATCH, "shuffle": False}
    history = fastnn.Trainer(net, loss="cross_entropy", **options).fit(x, y, epochs=EPOCHS, verbose=0)
    assert history.epochs[-1].cost < history.epochs[0].cost
    assert_alike(net, history, ref_costs, peer)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("norm", [["batch", "layer", None], ["layer", None, "batch"]])
def test_all_at_once(norm, accumulate):
    """Weight decay, clipping, a schedule, normalisations, residual connections, several activations."""
    x, y = make_data("cross_entropy", 4)
    activations = ["gelu", "prelu", "silu"]
    net = fastnn.MLP([6, 12, 12, 12, 4], activations, norm=norm, residual=True, dtype="float64", seed=2)
    ref_costs, peer = peer_train(
        net,
        lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.1),
        lambda params: torch.optim.AdamW(params, lr=0.01),
        x,
        y,
        decay=0.1,
        clip_norm=0.4,
        accumulate=accumulate,
        schedule=lambda steps, n: torch.optim.lr_scheduler.CosineAnnealingLR(steps, n, eta_min=1e-4),
    )
    trainer = fastnn.Trainer(
        net,
        loss=fastnn.Loss("cross_entropy", label_smoothing=0.1),
        optimizer=fastnn.AdamW(lr=0.01, weight_decay=0.1),
        schedule=fastnn.schedules.Cosine(min_lr=1e-4),
        batch_size=BATCH,
        accumulate=accumulate,
        clip_norm=0.4,
        shuffle=False,
    )
    history = trainer.fit(x, y, epochs=EPOCHS, verbose=0)
    assert_alike(net, history, ref_costs, peer)
    ref = torch.softmax(peer(torch.tensor(x), training=False), 1).detach().numpy()
    np.testing.assert_allclose(net.predict_proba(x), ref, rtol=1e-9, atol=1e-12)


def focal(z, y):
    log_p = torch.log_softmax(z, 1).gather(1, y[:, None])[:, 0]
    return -((1 - log_p.exp()) ** 2 * log_p).mean()


def binary_focal(z, y):
    p = torch.where(y > 0, torch.sigmoid(z), torch.sigmoid(-z))
    return -((1 - p) ** 2 * p.log()).mean()


def multiclass_hinge(z, y):
    own = functional.one_hot(y, z.shape[1]).bool()
    return torch.relu(1 + z.masked_fill(own, -np.inf).amax(1) - z[own]).mean()


def tweedie(z, y):
    """Half of the deviance (Jorgensen, 1987), at power 1.5."""
    return (-4 * y**0.5 + 2 * y * torch.exp(-z / 2) + 2 * torch.exp(z / 2)).mean()


ALL_LOSSES = {
    "mse": functional.mse_loss,
    "squared_error": lambda z, y: functional.mse_loss(z, y) / 2,
    "mae": functional.l1_loss,
    "huber": lambda z, y: functional.huber_loss(z, y, delta=0.3),
    "log_cosh": lambda z, y: torch.log(torch.cosh(z - y)).mean(),
    "quantile": lambda z, y: torch.maximum(0.8 * (y - z), 0.2 * (z - y)).mean(),
    "poisson": lambda z, y: functional.poisson_nll_loss(z, y) + (y * y.log() - y).mean(),
    "gamma": lambda z, y: (y * torch.exp(-z) - (y.log() - z) - 1).mean(),
    "tweedie": tweedie,
    "binary_cross_entropy": lambda z, y: functional.binary_cross_entropy_with_logits(z, 0.8 * y + 0.1),
    "binary_focal": binary_focal,
    "hinge": lambda z, y: torch.relu(1 - (2 * y - 1) * z).mean(),
    "squared_hinge": lambda z, y: (torch.relu(1 - (2 * y - 1) * z) ** 2).mean(),
    "cross_entropy": lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.2),
    "focal": focal,
    "multiclass_hinge": multiclass_hinge,
    "kl_divergence": lambda z, y: functional.kl_div(torch.log_softmax(z, 1), y, reduction="batchmean"),
}
PARAMETERS = {
    "huber": {"delta": 0.3},
    "quantile": {"levels": 0.8},
    "binary_cross_entropy": {"label_smoothing": 0.2},
    "cross_entropy": {"label_smoothing": 0.2},
}


@pytest.mark.parametrize("name", ALL_LOSSES)
def test_losses(name):
    loss = fastnn.Loss(name, **PARAMETERS.get(name, {}))
    x, z = make_data("mse", 3)
    y = {
        "class": z.argmax(axis=1),
        "labels": (z > 0).astype(float),
        "values": z,
        "probabilities": np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }.get(loss.kind, np.exp(z))
    net = fastnn.MLP([6, 12, 3], "tanh", dtype="float64", seed=2)
    ref_costs, peer = peer_train(net, ALL_LOSSES[name], lambda p: torch.optim.Adam(p, lr=0.01), x, y)
    options = {"optimizer": fastnn.Adam(lr=0.01), "batch_size": BATCH, "shuffle": False}
    history = fastnn.Trainer(net, loss=loss, **options).fit(x, y, epochs=EPOCHS, verbose=0)
    assert history.epochs[-1].cost < 0.9 * history.epochs[0].cost
    assert_alike(net, history, ref_costs, peer)


def test_every_loss_and_activation_has_a_peer():
    assert set(ALL_LOSSES) == set(fastnn.losses.LOSSES)
    assert set(ALL_ACTIVATIONS) == set(fastnn.activations.NAMES)


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
