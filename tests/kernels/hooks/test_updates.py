"""Optimisers as kernels, compared with their twins, the core and PyTorch."""

from __future__ import annotations

import json

import numba
import numpy as np
import pytest
import reference
import reference_updates

import fastnn
from fastnn.kernels.updates import Terms
from kernels.test_updates import run_update

OPTIMIZERS = {
    "sgd": fastnn.SGD(lr=0.1),
    "momentum": fastnn.SGD(lr=0.1, momentum=0.9),
    "nesterov": fastnn.SGD(lr=0.1, momentum=0.8, nesterov=True),
    "rmsprop": fastnn.RMSprop(alpha=0.9),
    "rmsprop_momentum": fastnn.RMSprop(momentum=0.8, eps=1e-4),
    "rmsprop_centered": fastnn.RMSprop(alpha=0.8, centered=True),
    "rmsprop_centered_momentum": fastnn.RMSprop(alpha=0.9, momentum=0.8, centered=True),
    "adagrad": fastnn.Adagrad(lr=0.1),
    "adadelta": fastnn.Adadelta(lr=0.5, eps=1e-3),
    "adam": fastnn.Adam(lr=0.01, beta1=0.8, beta2=0.99, eps=1e-3),
    "amsgrad": fastnn.Adam(lr=0.01, beta2=0.7, amsgrad=True),
    "nadam": fastnn.NAdam(lr=0.01),
    "radam": fastnn.RAdam(lr=0.01),
    "lion": fastnn.Lion(lr=0.01),
}
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)

PLAIN = Terms(scale=1.0, limit=np.inf, l2=0.0, l1=0.0, rate=1.0, decay=0.0)
TERMS = {
    "plain": PLAIN,
    "scale": PLAIN._replace(scale=0.3),
    "limit": PLAIN._replace(limit=0.5),
    "l2": PLAIN._replace(l2=0.3),
    "l1": PLAIN._replace(l1=0.4),
    "rate": PLAIN._replace(rate=0.2),
    "decay": PLAIN._replace(decay=0.6),
    "all": Terms(scale=0.7, limit=0.9, l2=0.1, l1=0.2, rate=1.7, decay=0.3),
}

SHAPE, N_STEPS = (5, 37), 8


def make_matrices(optimizer, dtype, shape=SHAPE):
    """Return w, g and three states; those that the optimiser does not use are empty, as in training."""
    w, g = np.random.default_rng(7).standard_normal((2, *shape)).astype(dtype)
    w[0, :2] = 0  # where l1 has no slope
    return [w, g, *(np.zeros(shape if k < optimizer.n_states else (0, 0), dtype) for k in range(3))]


def run(matrices, optimizer, terms=PLAIN, rates=None, block=None, update=None):
    """Run one update, by default the first, of the whole block, by the optimiser's own kernel."""
    w = matrices[0]
    rates = optimizer.rates(np.array([optimizer.lr]), 0)[0] if rates is None else rates
    block = block or (0, w.shape[0], 0, w.shape[1])
    numbers = optimizer.constants(), rates, rounded(terms, w.dtype)
    (update or optimizer.kernel)(*matrices, *numbers, *block)


def rounded(terms, dtype):
    """Return the terms in the dtype, so that comparisons with a twin show the kernel's own rounding."""
    return Terms(*(dtype.type(term) for term in terms))


@every_optimizer
@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_against_the_twin(rng, dtype, optimizer, terms):
    comp = make_matrices(optimizer, dtype)
    ref = [reference.doubled(matrix) for matrix in comp]
    ref_update = getattr(reference_updates, optimizer.kernel.__name__)
    for rates in optimizer.rates(np.linspace(2, 1, N_STEPS) * optimizer.lr, 0):
        comp[1][:] = rng.standard_normal(SHAPE)
        ref[1][:] = comp[1]
        run(comp, optimizer, terms, rates)
        # The twin does not use a state that is absent here.
        run(ref, optimizer, rounded(terms, dtype), rates, update=ref_update)
    # Eight steps of a dozen roundings each, of numbers below 5.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(comp[0], ref[0], rtol=100 * eps, atol=100 * eps)
    for state, ref_state in zip(comp[2:], ref[2:], strict=True):
        np.testing.assert_allclose(state, ref_state, rtol=200 * eps, atol=100 * eps)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="Python's own pow rounds otherwise")
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam"])
def test_the_core_makes_the_same_step(dtype, name):
    optimizer = OPTIMIZERS[name]
    comp, ref = make_matrices(optimizer, dtype), make_matrices(optimizer, dtype)
    for step, rates in enumerate(optimizer.rates(np.full(20, optimizer.lr), 0), start=1):
        run(comp, optimizer, PLAIN._replace(l2=0.25), rates)
        run_update(ref[:4], optimizer, step, 0.25)
        for matrix, ref_matrix in zip(comp, ref, strict=True):
            np.testing.assert_array_equal(matrix, ref_matrix)


@every_optimizer
def test_outside_of_the_block_stays(dtype, optimizer):
    comp = make_matrices(optimizer, dtype)
    before = [matrix.copy() for matrix in comp]
    run(comp, optimizer, TERMS["all"], block=(1, 4, 5, 30))
    inside = np.zeros(SHAPE, bool)
    inside[1:4, 5:30] = True
    for index, (matrix, old) in enumerate(zip(comp, before, strict=True)):
        if matrix.size == 0:
            continue
        np.testing.assert_array_equal(matrix[~inside], old[~inside])
        if index == 1:  # the gradient is only read
            np.testing.assert_array_equal(matrix, old)
        else:
            assert (matrix[inside] != old[inside]).all() or not matrix.any()


@every_optimizer
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limit", [np.inf, 1.0])
def test_no_update_makes_a_weight_infinite(dtype, optimizer, value, limit):
    comp = make_matrices(optimizer, dtype)
    before = comp[0].copy()
    hit = np.zeros(SHAPE, bool)
    hit[1:4, 3:35] = True
    comp[1][hit] = value
    terms = PLAIN._replace(limit=limit)
    with np.errstate(all="ignore"):  # of Python in place of compiled code
        for _ in range(2):
            run(comp, optimizer, terms)
    assert np.isfinite(comp[0]).all()
    assert (comp[0][~hit] != before[~hit]).all()
    # A clipped infinity is a number, and Lion asks for a slope's sign only.
    moves = np.isinf(value) and (np.isfinite(limit) or isinstance(optimizer, fastnn.Lion))
    assert (comp[0][hit] == before[hit]).all() != moves


@every_optimizer
def test_no_update_overflows_a_weight(dtype, optimizer):
    largest = np.finfo(dtype).max
    comp = make_matrices(optimizer, dtype, (1, 2))
    comp[0][:], comp[1][:] = [[largest, -largest]], [[-largest, largest]]
    with np.errstate(all="ignore"):
        run(comp, optimizer, PLAIN._replace(rate=1e30))
    assert np.isfinite(comp[0]).all()


def test_decay_is_not_lost_in_float32():
    # 1 - 1e-6 is 1 - 16.8 / 2**24 and rounds to 1 - 17 / 2**24: a factor would shrink 1.3 % too fast.
    w, g, *states = make_matrices(fastnn.SGD(), np.dtype("float32"), (1, 512))
    w[:], g[:] = np.random.default_rng(0).uniform(1, 2, w.shape), 0
    before, n = w.astype(np.float64), 2000
    for _ in range(n):
        run([w, g, *states], fastnn.SGD(lr=1e-4, weight_decay=0.01), PLAIN._replace(decay=0.01))
    lost = 1 - (w / before).mean()
    np.testing.assert_allclose(lost, -np.expm1(n * np.log1p(-1e-6)), rtol=0.2)


def test_centered_rmsprop_of_a_constant_slope(dtype):
    # Its variance is zero, computed now a little above and now a little below.
    optimizer = fastnn.RMSprop(lr=1e-3, alpha=0.5, centered=True)
    comp = make_matrices(optimizer, dtype)
    comp[1][:] = np.random.default_rng(0).uniform(0.1, 1, SHAPE)
    for _ in range(100):
        before = comp[0].copy()
        run(comp, optimizer)
        assert (comp[0] < before).all()


def test_worked_by_hand(dtype):
    def move(optimizer, *states, g=0.5, **terms):
        numbers = (1.0, g, *states, *[0.0] * (3 - len(states)))
        matrices = [np.array([[number]], dtype) for number in numbers]
        run(matrices, optimizer, PLAIN._replace(**terms))
        return matrices[0][0, 0]

    close = {"rtol": 6 * np.finfo(dtype).eps}
    # clipped 0.5 * 8 = 4 to 2, and then 0.25 * 1 and 0.5 added; 0.5 * 0.1 * 4 taken off besides
    terms = {"scale": 8.0, "limit": 2.0, "l2": 0.25, "l1": 0.5, "rate": 0.5, "decay": 4.0}
    np.testing.assert_allclose(move(fastnn.SGD(lr=0.1), **terms), 1 - 0.05 * 4 - 0.05 * 2.75, **close)
    # v = (7/4 + 1/4) / 2 = 1
    rmsprop = {"lr": 0.1, "alpha": 0.5, "eps": 1.0}
    np.testing.assert_allclose(move(fastnn.RMSprop(**rmsprop), 1.75), 1 - 0.1 * 0.5 / 2, **close)
    # and m = 0.5 * 3 + 0.5 / 2
    momentum = fastnn.RMSprop(**rmsprop, momentum=0.5)
    np.testing.assert_allclose(move(momentum, 1.75, 3), 1 - 0.1 * 1.75, **close)
    # v = (9/4 + 1/4) / 2 = 5/4, its mean (1/2 + 1/2) / 2 = 1/2: variance 1
    centered = fastnn.RMSprop(**rmsprop, centered=True)
    np.testing.assert_allclose(move(centered, 2.25, 0, 0.5), 1 - 0.1 * 0.5 / 2, **close)
    # v = 3/4 + 1/4
    np.testing.assert_allclose(move(fastnn.Adagrad(lr=0.1, eps=1.0), 0.75), 1 - 0.1 * 0.5 / 2, **close)
    # v = (1/4 + 1/4) / 2 = 1/4; d = sqrt(1 / (1/4 + 3/4)) / 2
    adadelta = fastnn.Adadelta(lr=0.1, rho=0.5, eps=0.75)
    np.testing.assert_allclose(move(adadelta, 0.25, 0.25), 1 - 0.1 * 0.5, **close)
    # m = 0.5 * 0.5 = 1/4, corrected 1/2; v = (1/4 + 1/4) / 2, but 9/8 came before, corrected 9/4: 3/2
    amsgrad = fastnn.Adam(lr=0.1, beta1=0.5, beta2=0.5, eps=0.5, amsgrad=True)
    np.testing.assert_allclose(move(amsgrad, 0, 0.25, 1.125), 1 - 0.1 * 0.5 / 2, **close)
    # -0.5 * 0.5 + 0.5 * 0.75 > 0
    np.testing.assert_allclose(move(fastnn.Lion(lr=0.1, beta1=0.5), -0.5, g=0.75), 0.9, **close)
    # -0.5 * 0.75 + 0.5 * 0.5 < 0
    np.testing.assert_allclose(move(fastnn.Lion(lr=0.1, beta1=0.5), -0.75), 1.1, **close)


def figures(dtype):
    """Return results of two steps of every optimiser with every term, to repeat without compilation."""
    result = []
    for optimizer in OPTIMIZERS.values():
        matrices = make_matrices(optimizer, np.dtype(dtype))
        for rates in optimizer.rates(np.full(2, optimizer.lr), 7):
            run(matrices, optimizer, TERMS["all"], rates)
        result += [float(matrix.sum(dtype=np.float64)) for matrix in matrices]
    return result


def test_without_compilation(run_python, dtype):
    code = f"import json, kernels.hooks.test_updates as t; print(json.dumps(t.figures({dtype.name!r})))"
    done = run_python(code, NUMBA_DISABLE_JIT="1")
    np.testing.assert_allclose(json.loads(done.stdout), figures(dtype), rtol=20 * np.finfo(dtype).eps)


# --- comparison with PyTorch ------------------------------------------------------------------------

BETAS = {"betas": (0.85, 0.98)}
OURS = {"beta1": 0.85, "beta2": 0.98}
DECOUPLED = {"weight_decay": 0.1, "decoupled_weight_decay": True}
# Optimiser, further terms, PyTorch's name and options.
PEERS = {
    "sgd": (fastnn.SGD(), {"l2": 0.1}, "SGD", {"weight_decay": 0.1}),
    "momentum": (fastnn.SGD(momentum=0.9), {"l2": 0.1}, "SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    "nesterov": (fastnn.SGD(momentum=0.9, nesterov=True), {}, "SGD", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (fastnn.RMSprop(alpha=0.9), {"l2": 0.1}, "RMSprop", {"alpha": 0.9, "weight_decay": 0.1}),
    "rmsprop_momentum": (fastnn.RMSprop(momentum=0.9), {}, "RMSprop", {"momentum": 0.9}),
    "rmsprop_centered": (fastnn.RMSprop(centered=True), {}, "RMSprop", {"centered": True}),
    "rmsprop_centered_momentum": (
        fastnn.RMSprop(alpha=0.9, momentum=0.8, centered=True),
        {},
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.8, "centered": True},
    ),
    "adagrad": (fastnn.Adagrad(), {"l2": 0.1}, "Adagrad", {"weight_decay": 0.1}),
    "adadelta": (fastnn.Adadelta(rho=0.8), {"l2": 0.1}, "Adadelta", {"rho": 0.8, "weight_decay": 0.1}),
    "adam": (fastnn.Adam(**OURS), {"l2": 0.1}, "Adam", {"weight_decay": 0.1, **BETAS}),
    "amsgrad": (fastnn.Adam(**OURS, amsgrad=True), {}, "Adam", {"amsgrad": True, **BETAS}),
    "adamw": (fastnn.AdamW(), {"decay": 0.1}, "AdamW", {"weight_decay": 0.1}),
    "nadam": (fastnn.NAdam(), {}, "NAdam", {}),
    "nadam_decay": (fastnn.NAdam(**OURS), {"decay": 0.1}, "NAdam", {**DECOUPLED, **BETAS}),
    "radam": (fastnn.RAdam(), {}, "RAdam", {}),
    "radam_decay": (fastnn.RAdam(**OURS), {"decay": 0.1}, "RAdam", {**DECOUPLED, **BETAS}),
}


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # in which NAdam keeps its product of momenta
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.peers
@pytest.mark.parametrize(("optimizer", "terms", "name", "options"), PEERS.values(), ids=PEERS)
def test_a_hundred_steps_beside_pytorch(rng, torch, optimizer, terms, name, options):
    comp = make_matrices(optimizer, np.dtype("float64"))
    ref = torch.tensor(comp[0].copy(), requires_grad=True)
    lr = 0.02 * (1.2 + np.sin(np.arange(100.0)))
    peer = getattr(torch.optim, name)([ref], lr=lr[0], **options)
    for k, rates in enumerate(np.vstack([optimizer.rates(lr[:30], 0), optimizer.rates(lr[30:], 30)])):
        comp[1][:] = rng.standard_normal(SHAPE)
        ref.grad = torch.tensor(comp[1])
        peer.param_groups[0]["lr"] = lr[k]
        peer.step()
        run(comp, optimizer, PLAIN._replace(**terms), rates)
    # A hundred steps of some eps each; the corrections of the first steps lose some digits.
    np.testing.assert_allclose(comp[0], ref.detach().numpy(), rtol=1e-12, atol=1e-13)
