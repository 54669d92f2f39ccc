"""Networks, rows and everything else that a compiled training call takes, made without a Trainer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from reference_step import weights

import fastnn
from fastnn.kernels import records, step
from fastnn.kernels.hooks.link import address_of_after, address_of_loss, address_of_update
from fastnn.kernels.sizes import BLOCK_COLS, BLOCK_ROWS, PAD, TILE_ROWS
from fastnn.kernels.team import new_team
from fastnn.kernels.updates import UPDATE_SETTINGS
from fastnn.losses import Loss
from fastnn.network.inputs import as_data
from fastnn.network.layout import aligned_zeros

N_ROWS = 50
MOST_PARTS = 7  # that a test makes, whatever the machine
# Fields of the update's settings by what they are called here, if that is another name.
FIELDS = {"every": "accumulate", "keep": "average_decay", "skip": "skips_absent"}


class Case(NamedTuple):
    """A network, its loss, and further options of its training: see :func:`make_problem`."""

    sizes: tuple[int, ...]
    activation: Any
    output: str
    loss: str | Loss
    net: dict = {}  # noqa: RUF012 - nobody writes to it
    training: dict = {}  # noqa: RUF012


EVERYTHING = {"every": 2, "clip_norm": 0.7, "max_norm": 1.5, "keep": 0.8, "l1": 0.2, "weighted": True}
# An eps at which a gradient that is all rounding error makes no step.
OPTIMIZERS = {
    "sgd": fastnn.SGD(lr=0.1),
    "nesterov": fastnn.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "adam": fastnn.Adam(lr=0.01, eps=1e-3),
    # by address, with one state to three
    "momentum with decay": fastnn.SGD(lr=0.1, momentum=0.9, weight_decay=0.1),
    "adamw": fastnn.AdamW(lr=0.01, eps=1e-3, weight_decay=0.1),
    "rmsprop": fastnn.RMSprop(lr=0.01, alpha=0.5, momentum=0.8, centered=True, eps=0.3),
}
TILES = TILE_ROWS * 4, TILE_ROWS * 8
CASES = {
    # no hidden layer, one output, whole tiles and vectors, wide and deep
    "linear": Case((5, 3), "relu", "identity", "mse"),
    "one output": Case((3, 7, 1), "tanh", "sigmoid", "binary_cross_entropy"),
    "whole tiles": Case((*TILES, 16), "sigmoid", "softmax", "cross_entropy"),
    "deep": Case((7, 20, 15, 33, 4), ("tanh", "identity", "sigmoid"), "sigmoid", "binary_cross_entropy"),
    "wide": Case((30, 256, 40, 2), "tanh", "tanh", "squared_error"),
    # blocks of the update that are not the whole width, and layers of which columns are shared out
    "blocks": Case((BLOCK_ROWS + 10, BLOCK_COLS + 40, 3), "relu", "softmax", "cross_entropy"),
    "few rows": Case((3, 2 * BLOCK_COLS + 70, 1), "relu", "identity", "mse"),
    # z and delta of the last layer in panels and in whole rows
    "many outputs": Case((7, 20, 37), "tanh", "softmax", "cross_entropy", {}, {"weighted": True}),
    "many outputs by address": Case((30, 17), "relu", "tanh", "huber", {}, {"sparse": True, "every": 2}),
    "weighted, sparse": Case(
        (9, 20, 3), "tanh", "softmax", "cross_entropy", {}, {"weighted": True, "sparse": True}
    ),
    "whole gradient": Case((7, 20, 15, 4), "tanh", "softmax", "cross_entropy", {}, EVERYTHING),
    "by address": Case(
        (7, 20, 15, 20, 3), ("gelu", "selu", "softplus"), "tanh", "huber", {}, {"optimizer": "rmsprop"}
    ),
    "dropout": Case(
        (*TILES, 16), "tanh", "identity", "log_cosh", {"dropout": 0.3, "input_dropout": 0.2}, {"every": 2}
    ),
    "batch norm": Case((7, 20, 33, 1), ("tanh", "prelu"), "exp", "poisson", {"norm": "batch"}),
    "layer norm": Case(
        (7, 20, 20, 3),
        "gelu",
        "softmax",
        Loss("cross_entropy", label_smoothing=0.1),
        {"norm": "layer", "residual": True},
        {"optimizer": "adamw"},
    ),
    "deep mixture": Case(
        (9, 24, 24, 24, 17, 17, 4),
        ("prelu", "tanh", "prelu", "silu", "identity"),
        "softmax",
        Loss("focal", gamma=2.0),
        {
            "norm": ("batch", None, "layer", None, "batch"),
            "residual": (False, True, True, False, True),
            "dropout": (0.2, 0.0, 0.4, 0.0, 0.1),
            "input_dropout": 0.1,
        },
        EVERYTHING | {"optimizer": "adamw", "sparse": True},
    ),
    # rows below the bias in blocks and parts of their own
    "kept, blocks": Case(
        (BLOCK_ROWS - 1, BLOCK_COLS + 40, 3),
        "prelu",
        "softmax",
        "cross_entropy",
        {"norm": "batch", "dropout": 0.5},
        {"clip_norm": 0.1},
    ),
    "kept, few rows": Case((3, 2 * BLOCK_COLS + 70, 1), "prelu", "tanh", "mse", {"norm": "layer"}),
    "embedding": Case((4, 20, 3), "tanh", "softmax", "cross_entropy", {"embeddings": {1: (5, 3)}}),
    # one vector of one number, a table of several blocks and of a row of several lines, no hidden layer
    "embeddings": Case(
        (5, 2),
        "relu",
        "identity",
        "mse",
        {"embeddings": {0: (1, 1), 2: (2 * BLOCK_ROWS + 7, 19), 4: (BLOCK_ROWS + 1, 2)}},
    ),
    # a table with few rows, whose columns are shared out
    "wide embedding": Case(
        (2, 12, 1),
        "sigmoid",
        "identity",
        "log_cosh",
        {"embeddings": {1: (3, 2 * BLOCK_COLS + 70)}},
        {"optimizer": "rmsprop", "l1": 0.1},
    ),
    "embeddings and all": Case(
        (6, 15, 15, 15, 4),
        ("prelu", "tanh", "gelu"),
        "softmax",
        "cross_entropy",
        {
            "embeddings": {0: (4, 7), 5: (BLOCK_ROWS + 20, 4)},  # 6 features become 15
            "norm": ("batch", None, "layer"),
            "residual": (True, False, True),
            "dropout": (0.2, 0.3, 0.0),
            "input_dropout": 0.25,
        },
        EVERYTHING,
    ),
    # without a normalisation, so that the rows are any part's
    "residual embeddings": Case(
        (5, 9, 9, 2),
        "silu",
        "tanh",
        "mse",
        {"embeddings": {3: (6, 2), 4: (2, 4)}, "residual": (True, True), "input_dropout": 0.25},
        {"every": 2, "weighted": True, "clip_norm": 0.3},
    ),
}


class Problem(NamedTuple):
    """The arguments that the compiled calls share; everything a step overwrites is NaN."""

    network: records.Network
    work: records.Workspace
    data: records.Data
    objective: records.Objective
    state: records.UpdateState

    def train(self, *plan, kernel=step.train_part):
        """Train in one part; return the totals that the call reports."""
        totals = np.zeros(records.N_TOTALS)
        kernel(0, 1, new_team(), *self, plan, totals)
        return totals

    def matrices(self):
        """Arrays that training changes and keeps: weights and states of every layer, running statistics."""
        state, running = self.state, self.network.running
        vectors = self.network.params, state.m, state.v, state.u, state.full_grad, state.average
        result = [weights(layer, flat) for flat in vectors if flat.size for layer in self.network.layers]
        for layer in self.network.layers[self.network.layers["norm"] == 1]:
            result.append(running[2 * layer["s_start"] :][: 2 * layer["w_cols"]].reshape(2, -1))
            result[-1] = result[-1][:, : layer["n_out"]]
        return result

    def assert_same_bits(self, other):
        for comp, ref in zip(self.matrices(), other.matrices(), strict=True):
            np.testing.assert_array_equal(comp, ref)
        # Sparse rows read the first layer's weights as they are, and renew no panels of them.
        firsts = [each.network.layers[0] for each in (self, other)]
        is_sparse = self.data.starts.size or other.data.starts.size
        start = max(layer["panel_rows"] * layer["d_cols"] for layer in firsts) if is_sparse else 0
        np.testing.assert_array_equal(self.network.panels[start:], other.network.panels[start:])
        np.testing.assert_array_equal(self.network.panels_t, other.network.panels_t)


def make_net(case, dtype, rng, **more):
    """Make the network, with no parameter at a value that could hide an error."""
    options = {"activation": case.activation, "output": case.output, **case.net, **more}
    net = fastnn.MLP(case.sizes, **options, dtype=dtype, seed=rng)
    for name, array in net.parameters().items():
        if name.endswith((".bias", ".shift", ".running_mean")):
            array[:] = rng.uniform(-0.5, 0.5, array.size)
        elif not name.endswith(".weight"):
            array *= rng.uniform(0.7, 1.4, array.size)
    return net


def draw_categories(x, net, rng):
    """Write categories into the columns that are embedded."""
    for column, (n_categories, _) in net.embeddings.items():
        x[:, column] = rng.integers(0, n_categories, len(x))


def make_targets(loss, n_out, n_rows, rng):
    return {
        "class": lambda: rng.integers(0, n_out, n_rows),
        "labels": lambda: rng.integers(0, 2, (n_rows, n_out)),
        "values": lambda: rng.uniform(-1, 1, (n_rows, n_out)),
        "nonnegative": lambda: rng.poisson(1.0, (n_rows, n_out)),
        "positive": lambda: rng.uniform(0.2, 2, (n_rows, n_out)),
        "probabilities": lambda: rng.dirichlet(np.ones(n_out), n_rows),
    }[loss.kind]()


def make_sparse(data):
    """Make sparse rows of dense ones."""
    rows, columns = np.nonzero(data.x)
    starts = np.searchsorted(rows, np.arange(len(data.x) + 1))
    return data._replace(x=data.x[rows, columns][np.newaxis], starts=starts, columns=columns.astype(np.int32))


def make_data(loss, x, y, n_out):
    """Rows with their targets, in order."""
    targets = loss.check_targets("y", y, n_out, x.dtype)
    return as_data(x)._replace(**{"labels" if loss.kind in ("class", "labels") else "targets": targets})


def make_objective(loss, dtype):
    function = 0 if loss.kernel is None else address_of_loss(loss.kernel, dtype)
    return records.Objective(loss.code, loss.scale, function, loss.numbers)


def make_state(net, optimizer, n_updates, *, l2=0.0, l1=0.0, limit=np.inf, n_steps_before=2, **rest):
    """`rest`: every, clip_norm, max_norm, keep, skip, and scaled for factors on the learning rates.

    As in training there is room for what is used, and what the core does itself it is not called for.
    """
    settings, n_params = np.zeros(1, UPDATE_SETTINGS), net.params.size
    for name in set(UPDATE_SETTINGS.names) & set(vars(optimizer)):
        settings[name] = getattr(optimizer, name)
    settings["block_rows"] = BLOCK_ROWS
    given = {"every": 1, "clip_norm": 0.0, "max_norm": 0.0, "keep": 0.0} | rest
    factors = np.ones((len(net.compiled_network.layout.layers), 2))
    if given.pop("scaled", False):
        factors[:] = np.linspace(0.5, 1.5, factors.size).reshape(factors.shape)
    for name, value in {"l2": l2, "l1": l1, "clip_value": limit, "decay": optimizer.weight_decay}.items():
        settings[name] = value
    for name, value in given.items():
        settings[FIELDS.get(name, name)] = value
    plain = l1 == 0 and limit == np.inf and (factors == 1).all()
    if plain and optimizer.core_kind is not None:
        settings["kind"] = optimizer.core_kind
    else:
        settings["update_hook"] = address_of_update(optimizer.kernel, net.dtype)
    lr = optimizer.lr * np.linspace(1, 0.5, n_updates)
    n_sums, is_clipped = net.compiled_network.layout.n_sums, given["clip_norm"] > 0
    result = records.UpdateState(
        settings=settings,
        constants=optimizer.constants(),
        rates=optimizer.rates(lr, n_steps_before),
        factors=factors,
        **{
            name: aligned_zeros(n_params if k < optimizer.n_states else 0, net.dtype)
            for k, name in enumerate("mvu")
        },
        grad=aligned_zeros((MOST_PARTS, net.compiled_network.layout.n_block), net.dtype),
        full_grad=aligned_zeros(n_params if is_clipped or given["every"] > 1 else 0, net.dtype),
        average=net.params.copy() if given["keep"] > 0 else aligned_zeros(0, net.dtype),
        penalty=aligned_zeros(n_sums, np.float64),
        norms=aligned_zeros(n_sums if is_clipped else 0, np.float64),
    )
    if given["max_norm"] or given["keep"]:
        settings["after_hook"] = address_of_after(
            net.compiled_network.view(), net.compiled_network.layout.workspace(0, 0), result
        )
    return result


def poison_panels(network):
    """Put NaN into the rows of the weights' panels that hold nothing, and renew the rest."""
    network.panels.fill(np.nan)
    step.pack_weights(network)
    for layer in network.layers:
        n_rows, n_cols = layer["t_rows"], layer["t_cols"]
        w_t = network.panels_t[layer["t_start"] :][: n_rows * n_cols].reshape(-1, max(1, n_rows), PAD)
        w_t[:, layer["w_cols"] :] = np.nan


def make_problem(
    case,
    dtype,
    *,
    optimizer="adam",
    capacity=N_ROWS,
    n_rows=N_ROWS,
    shuffled=True,
    weighted=False,
    sparse=False,
    l2=0.3,
    **rest,
):
    """Make the same problem at every call; `rest` is that of :func:`make_state`."""
    rng = np.random.default_rng(3)
    net = make_net(case, dtype, rng)
    network = net.compiled_network.view(seed=11, packed=True)
    loss = fastnn.losses.as_loss(case.loss)
    x = rng.standard_normal((n_rows, case.sizes[0])).astype(dtype)
    x[rng.random(x.shape) < 0.3] = 0
    draw_categories(x, net, rng)
    data = make_data(loss, x, make_targets(loss, case.sizes[-1], n_rows, rng), case.sizes[-1])
    order, row_weights = rng.permutation(n_rows), rng.integers(0, 4, n_rows) / 2
    if shuffled:
        data = data._replace(indices=order)
    if weighted:
        data = data._replace(weights=row_weights)
    if sparse:
        data = make_sparse(data)
        network = net.compiled_network.view(seed=11, sparse=True, packed=True)
    poison_panels(network)
    n_targets, n_entries = data.labels.shape[1] + data.targets.shape[1], None
    if sparse:
        n_entries = capacity * int(np.diff(data.starts).max())
    work = net.compiled_network.layout.workspace(capacity, n_targets, n_entries=n_entries, n_parts=MOST_PARTS)
    state = make_state(net, OPTIMIZERS[optimizer], n_rows, l2=l2, **rest)
    for array in (*work[1:], state.grad, state.full_grad, state.penalty, state.norms):
        array.fill(np.nan if array.dtype.kind == "f" else -1)
    return Problem(network, work, data, make_objective(loss, dtype), state)
