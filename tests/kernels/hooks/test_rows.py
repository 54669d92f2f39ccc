"""Hooked layers in isolation: normalisation, learned slopes, dropout, residual connections."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import problems
import pytest
import reference
import reference_step
from problems import CASES, Case, make_data, make_net, make_objective
from reference_step import mask

import fastnn
from fastnn.kernels import records, step
from fastnn.kernels.hooks import rows
from fastnn.kernels.sizes import PAD
from fastnn.kernels.team import new_team
from fastnn.network.layout import aligned_zeros, from_panels, row_length
from kernels.hooks.panels import put

# --- dropout ----------------------------------------------------------------------------------------


def context_of(network, work, number, n_rows=50, learns=True):
    return records.HookContext(network, work, 0, 1, new_team(), number, n_rows, learns)


@pytest.fixture(scope="module")
def net():
    return fastnn.MLP([40, 40, 2], dropout=0.5, seed=0)


def dropped(net, shape, rate, seed=0, number=1, depth=0, parts=None):
    """Return ones after dropout, in panels of more rows; in whole rows they lose the same elements."""
    (n_rows, n_cols), capacity = shape, shape[0] + 2
    a = np.full((row_length(n_cols) // PAD * capacity, PAD), np.nan, net.dtype)
    put(a, capacity, np.ones(shape))
    in_rows = np.full((n_rows, n_cols + 3), np.nan, net.dtype)
    in_rows[:, :n_cols] = 1
    for r0, r1 in parts or [(0, n_rows)]:
        context = context_of(
            net.compiled_network.view(seed), net.compiled_network.layout.workspace(0, 0), number
        )
        rows.drop_panels(a, capacity, context.network, rate, context, depth, n_cols, r0, r1)
        rows.drop(in_rows, context.network, rate, context, depth, n_cols, r0, r1)
    whole = from_panels(a, capacity)
    np.testing.assert_array_equal(in_rows[:, :n_cols], whole[:n_rows, :n_cols])
    assert np.isnan(in_rows[:, n_cols:]).all()
    assert np.isnan(whole[n_rows:]).all()
    assert np.isnan(whole[:, n_cols:]).all()
    return whole[:n_rows, :n_cols]


@pytest.mark.parametrize("rate", [1e-3, 0.1, 0.5, 0.9, 1 - 2.0**-40])
@pytest.mark.parametrize(("seed", "number", "depth"), [(0, 1, 0), (2**62, 10**12, 7), (5, 3, -1)])
def test_mask_is_the_twins(net, rate, seed, number, depth):
    comp = dropped(net, (30, 33), rate, seed, number, depth)
    np.testing.assert_array_equal(comp, mask(seed, number, depth, rate, 30, 33).astype(net.dtype))


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.75])
def test_share_that_is_dropped(net, rate):
    comp = dropped(net, (1000, 400), rate)
    assert set(np.unique(comp)) == {0, np.float32(1 / (1 - rate))}
    # Four standard deviations: of the share of all, and of chi-squared of the rows' and columns' shares.
    gone, variance = comp == 0, rate * (1 - rate)
    assert abs(gone.mean() - rate) < 4 * np.sqrt(variance / gone.size)
    for axis, n in enumerate(gone.shape):
        shares = gone.mean(axis)
        chi_squared = ((shares - rate) ** 2).sum() * n / variance
        assert abs(chi_squared - shares.size) < 4 * np.sqrt(2 * shares.size)


def test_masks_are_independent(net):
    """Masks of different steps, layers, seeds, rows and columns are independent of each other."""
    shape, plain = (200, 500), {"seed": 3, "number": 5, "depth": 2}
    one = dropped(net, shape, 0.5, **plain) - 1  # ones and minus ones
    np.testing.assert_array_equal(dropped(net, shape, 0.5, **plain) - 1, one)
    others = [dropped(net, shape, 0.5, **plain | {key: value + 1}) - 1 for key, value in plain.items()]
    others += [dropped(net, shape, 0.5, **plain | {"number": 5 + 2**32}) - 1]
    pairs = [(one, other) for other in others]
    pairs += [(one[:-1], one[1:]), (one[:, :-1], one[:, 1:]), (one[:-1], others[0][1:])]
    for left, right in pairs:
        assert abs((left * right).mean()) < 4 / np.sqrt(left.size)  # four standard deviations


def test_mask_does_not_know_the_parts(net):
    whole = dropped(net, (50, 37), 0.4)
    np.testing.assert_array_equal(dropped(net, (50, 37), 0.4, parts=[(31, 50), (0, 6), (6, 31)]), whole)
    comp = dropped(net, (50, 37), 0.4, parts=[(6, 31)])
    np.testing.assert_array_equal(comp[6:31], whole[6:31])
    assert (np.delete(comp, np.s_[6:31], axis=0) == 1).all()


# --- a layer there and back -------------------------------------------------------------------------

LAYERS = {
    "batch norm": {"norm": "batch", "activation": "tanh"},
    "layer norm": {"norm": "layer", "activation": "gelu"},
    "prelu": {"activation": "prelu"},
    "dropout": {"dropout": 0.3, "activation": "sigmoid"},
    "residual": {"residual": [False, True], "activation": "relu"},
    "batch norm and all": {"norm": "batch", "activation": "prelu", "residual": [False, True], "dropout": 0.2},
    "layer norm and all": {"norm": "layer", "activation": "prelu", "residual": [False, True], "dropout": 0.2},
}
N_ROWS, N_OUT = 23, 18


class Layer:
    """The second of two hidden layers, with its z and the slopes of its output; all else is NaN.

    The matrices a_in, a and delta are in panels; :meth:`rows_of` takes rows of one out of them.
    """

    def __init__(self, options, dtype):
        rng = np.random.default_rng(5)
        self.net = make_net(Case((4, N_OUT, N_OUT, 2), None, "identity", "mse"), dtype, rng, **options)
        self.network, self.work = (
            self.net.compiled_network.view(seed=9),
            self.net.compiled_network.layout.workspace(N_ROWS + 5, 1),
        )
        for array in self.work[1:]:
            array.fill(np.nan if array.dtype.kind == "f" else -1)
        self.layer = self.network.layers[1]
        self.a_in, self.a, self.delta = (
            function(self.layer, self.work)
            for function in (records.input_of, records.output_of, records.delta_of)
        )
        inputs, self.z, self.slopes = rng.standard_normal((3, N_ROWS, N_OUT)).astype(dtype)
        self.inputs = np.hstack([inputs, np.ones((N_ROWS, 1), dtype)])
        put(self.a_in, self.work.capacity, self.inputs)
        self.set_z(self.z)
        put(self.delta, self.work.capacity, self.slopes)

    def set_z(self, z):
        put(self.a, self.work.capacity, z)

    def rows_of(self, panels):
        """The rows of the batch, padding included."""
        return from_panels(panels, self.work.capacity)[:N_ROWS]

    def outputs(self):
        return self.rows_of(self.a)[:, :N_OUT]

    def run(self, number, learns=True, cuts=(0, N_ROWS)):
        context = context_of(self.network, self.work, number, N_ROWS, learns)
        for hook in (
            (rows.forward_rows_hook, rows.backward_rows_hook) if number > 0 else (rows.forward_rows_hook,)
        ):
            for r0, r1 in pairwise(cuts):
                hook(context, 1, r0, r1)
        return self

    def sums(self):
        """Sums of the rows' parts of the gradient of the parameters below the bias."""
        first = 0 if self.layer["norm"] else 1
        n = self.layer["w_rows"] - self.layer["n_in"] - 1
        matrices = [records.saved_matrix(self.layer, self.work, first + k)[:N_ROWS] for k in range(n)]
        return [matrix.sum(axis=0, dtype=np.float64) for matrix in matrices]


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def layer(request, dtype):
    return lambda: Layer(request.param, dtype)


@pytest.mark.parametrize(("number", "learns"), [(0, False), (1, False), (6, True)])
def test_layer_against_the_twin(layer, dtype, number, learns):
    comp, twin = layer(), reference.doubled(layer().network)
    z, slopes, a_in = reference.doubled((comp.z, comp.slopes, comp.inputs))
    passed = reference_step.forward_hook(twin, 1, a_in, z, number, learns)
    comp.run(number, learns)
    # A sum over 23 rows or 18 outputs, a root and a few products, of numbers of size 1.
    close = {"rtol": 20 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(comp.outputs(), passed.a, **close)
    np.testing.assert_allclose(comp.network.running, twin.running, **close)
    if number == 0:
        return
    delta, below = reference_step.backward_hook(twin, 1, passed, slopes)
    np.testing.assert_allclose(comp.rows_of(comp.delta)[:, :N_OUT], delta, **close)
    for sums, ref in zip(comp.sums(), below, strict=True):
        np.testing.assert_allclose(sums[:N_OUT], ref, rtol=close["rtol"], atol=N_ROWS * close["atol"])
        # The gradient of the weights is taken of whole rows: their padding must be 0.
        np.testing.assert_array_equal(sums[N_OUT:], 0)
    np.testing.assert_array_equal(comp.rows_of(comp.delta)[:, N_OUT:], 0)


def test_layer_in_parts(layer):
    comp, ref = layer(), layer()
    if comp.network.rows_coupled:
        pytest.skip("all rows at once")
    comp.run(2, cuts=(0, 7, 8, N_ROWS))
    ref.run(2)
    for name in ("activations", "deltas", "saved"):
        np.testing.assert_array_equal(getattr(comp.work, name), getattr(ref.work, name))


def test_rows_beyond_the_batch_stay(layer):
    comp = layer().run(1)
    for array in (comp.a, comp.delta):
        assert np.isnan(from_panels(array, comp.work.capacity)[N_ROWS:]).all()


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_normalised_rows(dtype, norm):
    """Mean 0 and variance 1, also of a mean far larger than the deviation, and gain and shift after."""
    comp = Layer({"norm": norm, "activation": "identity"}, dtype)
    axis = 0 if norm == "batch" else 1
    comp.set_z(1000 + 10 * comp.z)
    z = comp.outputs().astype(np.float64)
    comp.run(1)
    p = comp.net.parameters()
    a = (comp.outputs().astype(np.float64) - p["layers.1.shift"]) / p["layers.1.gain"]
    ref = (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + rows.NORM_EPS)
    # z - mean is exact but for the mean's own rounding, eps times 1000 / 10 of what is left.
    np.testing.assert_allclose(a, ref, atol=400 * np.finfo(dtype).eps)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_equal_values_are_normalised_to_nothing(dtype, norm):
    comp = Layer({"norm": norm, "activation": "identity"}, dtype)
    comp.set_z(np.full((N_ROWS, N_OUT), 3.25))
    comp.run(1)
    shift = comp.net.parameters()["layers.1.shift"]
    np.testing.assert_array_equal(comp.outputs(), np.tile(shift, (N_ROWS, 1)))


def test_running_statistics_of_one_row(dtype):
    """A single row has no variance to estimate; its mean counts."""
    net = fastnn.MLP([4, 6, 2], norm="batch", dtype=dtype, seed=0)
    work, network = net.compiled_network.layout.workspace(1, 1), net.compiled_network.view()
    records.output_of(network.layers[0], work)[0, :6] = np.arange(6)
    rows.forward_rows_hook(context_of(network, work, 1, n_rows=1), 0, 0, 1)
    p = net.parameters()
    np.testing.assert_allclose(p["layers.0.running_mean"], 0.1 * np.arange(6), rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(p["layers.0.running_variance"], 0.9, rtol=2 * np.finfo(dtype).eps)


# --- without compilation ----------------------------------------------------------------------------


def figures(dtype):
    """Results of two small batches in networks of all kinds of layers."""
    result = []
    for name in ("deep mixture", "layer norm", "batch norm", "by address", "embeddings and all"):
        case = CASES[name]
        problem = problems.make_problem(case, np.dtype(dtype), **case.training | {"n_rows": 10})
        result += list(problem.train(0, 10, 6, 1))
        result += [float(np.abs(matrix).sum(dtype=np.float64)) for matrix in problem.matrices()]
    return result


def test_without_compilation(run_python, dtype):
    code = f"import json, kernels.hooks.test_rows as t; print(json.dumps(t.figures({dtype.name!r})))"
    done = run_python(code, NUMBA_DISABLE_JIT="1")
    # Two steps through six layers, without fused multiply-adds.
    np.testing.assert_allclose(json.loads(done.stdout), figures(dtype.name), rtol=100 * np.finfo(dtype).eps)


# --- beside PyTorch ---------------------------------------------------------------------------------

PEERS = {
    "batch norm": ("relu", {"norm": "batch"}),
    "layer norm": ("gelu", {"norm": "layer"}),
    "prelu": ("prelu", {"norm": [None, "batch", "layer"]}),
    "dropout": ("silu", {"dropout": [0.1, 0.5, 0.0], "input_dropout": 0.2}),
    "residual": ("mish", {"residual": True}),
    "all": (
        ["prelu", "elu", "prelu"],
        {"norm": "batch", "dropout": 0.3, "residual": True, "input_dropout": 0.1},
    ),
}


def peer_forward(torch, net, p, x, masks, training):
    """The network in PyTorch's functions, with the parameters p by name; masks are those of dropout."""
    functional = torch.nn.functional
    a = x * masks[0]
    for depth in range(len(net.sizes) - 1):
        own = {name.split(".")[2]: value for name, value in p.items() if name.startswith(f"layers.{depth}.")}
        z = a @ own["weight"] + own["bias"]
        if depth == len(net.activations):
            return z
        if net.norm[depth] == "batch":
            running = own["running_mean"], own["running_variance"]
            z = functional.batch_norm(z, *running, own["gain"], own["shift"], training)
        elif net.norm[depth] == "layer":
            z = functional.layer_norm(z, z.shape[1:], own["gain"], own["shift"])
        name = net.activations[depth].name
        out = functional.prelu(z, own["slope"]) if name == "prelu" else getattr(functional, name)(z)
        out = out * masks[depth + 1]
        a = out + a if net.residual[depth] else out
    return None


@pytest.mark.peers
@pytest.mark.parametrize(("activation", "options"), PEERS.values(), ids=PEERS)
def test_twenty_steps_beside_pytorch(rng, activation, options):
    torch = pytest.importorskip("torch")
    case = Case((6, 12, 12, 12, 3), activation, "identity", "mse", options)
    net = make_net(case, "float64", rng)
    n_rows, loss = 20, fastnn.losses.as_loss("mse")
    p = {name: torch.tensor(array.copy()) for name, array in net.parameters().items()}
    learned = [name for name in p if "running" not in name]
    for name in learned:
        p[name].requires_grad_()
    network, work = (
        net.compiled_network.view(seed=4, packed=True),
        net.compiled_network.layout.workspace(n_rows, 3),
    )
    state = problems.make_state(net, fastnn.SGD(lr=0.1), 1)
    for number in range(1, 21):
        x, y = rng.standard_normal((n_rows, 6)), rng.standard_normal((n_rows, 3))
        data = make_data(loss, x, y, 3)._replace(indices=np.arange(n_rows))
        rates = enumerate([net.input_dropout, *net.dropout], -1)
        masks = [
            torch.tensor(mask(4, number, depth, rate, n_rows, net.sizes[depth + 1])) for depth, rate in rates
        ]
        # What is learnt is the same, to rounding: so gradients are, whose masks are those of the first step.
        z = peer_forward(torch, net, p, torch.tensor(x), masks, True)
        cost = torch.nn.functional.mse_loss(z, torch.tensor(y))
        grads = torch.autograd.grad(cost, [p[name] for name in learned])
        if number == 1:
            flat, views = aligned_zeros(net.params.size, net.dtype), {}
            comp = step.gradient(flat, network, work, data, make_objective(loss, net.dtype), n_rows)
            np.testing.assert_allclose(comp, cost.item(), rtol=1e-13)
            views = dict(zip(learned, gradient_views(net, flat), strict=True))
            for name, grad in zip(learned, grads, strict=True):
                np.testing.assert_allclose(views[name], grad.numpy(), rtol=1e-11, atol=1e-13)
        with torch.no_grad():
            for name, grad in zip(learned, grads, strict=True):
                p[name] -= state.rates[0, 0] * grad
        problem = problems.Problem(network, work, data, make_objective(loss, net.dtype), state)
        totals = problem.train(0, n_rows, n_rows, number)
        np.testing.assert_allclose(totals[records.COST_SUM] / n_rows, cost.item(), rtol=1e-11)
    # Twenty steps of some eps each, with divisions by deviations.
    for name, array in net.parameters().items():
        np.testing.assert_allclose(array, p[name].detach().numpy(), rtol=1e-10, atol=1e-11, err_msg=name)
    ones = [torch.ones(())] * 4
    z = peer_forward(torch, net, p, torch.tensor(x), ones, False)
    np.testing.assert_allclose(net.predict(x), z.detach().numpy(), rtol=1e-9, atol=1e-10)


def gradient_views(net, flat):
    """Parts of a gradient for weight, bias, shift, gain and slope of each layer."""
    for matrix, n_in in zip(net.compiled_network.layout.weights(flat), net.sizes[:-1], strict=True):
        yield matrix[:n_in]
        yield from matrix[n_in:]
