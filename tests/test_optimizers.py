"""Settings of optimisers, and the numbers that their kernels read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fastnn
from fastnn.kernels import updates
from fastnn.kernels.hooks import updates as hooks
from fastnn.optimizers import N_RATES, OPTIMIZERS, as_optimizer

STEPPING = [name for name in OPTIMIZERS if name != "lbfgs"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_names(name):
    optimizer = as_optimizer(name)
    assert isinstance(optimizer, fastnn.Optimizer)
    assert type(optimizer).__name__.lower() == {"amsgrad": "adam"}.get(name, name)
    assert optimizer == as_optimizer(optimizer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.weight_decay = 3.0


def test_unknown_names():
    with pytest.raises(ValueError, match=r"sgd, .*, lbfgs, got 'rmsprob'\. Did you mean 'rmsprop'"):
        as_optimizer("rmsprob")
    with pytest.raises(TypeError, match="an optimiser such as fastnn"):
        as_optimizer(fastnn.Adam)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *((name, {"lr": 0.0}, r"lr must lie in \(0, inf\)") for name in STEPPING),
        *((name, {"weight_decay": -1}, r"weight_decay must lie in \[0, inf\)") for name in STEPPING),
        *((name, {"beta1": 1.0}, r"beta1 must lie in \[0, 1\)") for name in ("adam", "nadam", "lion")),
        *((name, {"beta2": 1.5}, r"beta2 must lie in \[0, 1\)") for name in ("adamw", "radam", "lion")),
        *((name, {"eps": 0.0}, "eps must lie") for name in STEPPING[1:-1]),
        ("sgd", {"nesterov": True}, "nesterov needs a momentum"),
        ("rmsprop", {"momentum": 1}, "momentum must lie"),
        ("rmsprop", {"alpha": -0.1}, "alpha must lie"),
        ("adadelta", {"rho": np.nan}, "rho must lie"),
        ("nadam", {"momentum_decay": -1e-3}, "momentum_decay must lie"),
        ("lbfgs", {"tol": -1.0}, "tol must lie"),
        ("lbfgs", {"max_fun": 0}, "max_fun must be at least 1"),
        ("lbfgs", {"history_size": 0}, "history_size must be at least 1"),
    ],
)
def test_bad_values(name, options, message):
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS[name](**options)


def test_wrong_types():
    with pytest.raises(TypeError, match="lr must be a number"):
        fastnn.Lion(lr="0.1")
    with pytest.raises(TypeError, match="history_size must be an integer"):
        fastnn.LBFGS(history_size=1.5)


def test_who_runs_in_the_core():
    inside = {name: as_optimizer(name).core_kind for name in OPTIMIZERS}
    assert {name for name, kind in inside.items() if kind is not None} == {"sgd", "adam"}
    assert fastnn.SGD(momentum=0.9).core_kind == updates.SGD
    assert fastnn.AdamW(weight_decay=0).core_kind == updates.ADAM
    for other in (fastnn.SGD(weight_decay=0.1), fastnn.Adam(weight_decay=0.1), fastnn.Adam(amsgrad=True)):
        assert other.core_kind is None


def test_no_weight_decay_that_is_not_asked_for():
    assert {name for name in OPTIMIZERS if as_optimizer(name).weight_decay} == {"adamw"}


@pytest.mark.parametrize("name", STEPPING)
def test_what_the_kernels_get(name):
    optimizer = as_optimizer(name)
    lr = np.geomspace(1, 1e-3, 23)
    table = optimizer.rates(lr, 41)
    assert table.shape == (23, N_RATES)
    assert table.flags.c_contiguous
    assert np.isfinite(table).all()
    np.testing.assert_array_equal(table[:, hooks.LR], lr)
    assert optimizer.rates(lr[:0], 41).shape == (0, N_RATES)
    assert {array.dtype for array in (table, optimizer.constants())} == {np.dtype("float64")}
    assert 0 <= optimizer.n_states <= 3
    assert optimizer.kernel.__name__ in vars(hooks)


@pytest.mark.parametrize("optimizer", [*STEPPING, fastnn.NAdam(beta1=0.0), fastnn.RAdam(beta2=0.6)], ids=repr)
@pytest.mark.parametrize("start", [0, 340, 100_000])
def test_rates_go_on_where_they_ended(rng, optimizer, start):
    optimizer, lr = as_optimizer(optimizer), rng.uniform(0, 1, 50)
    whole = optimizer.rates(lr, start)
    assert np.isfinite(whole).all()
    for cut in (1, 5, 17, 42):
        parts = [optimizer.rates(lr[:cut], start), optimizer.rates(lr[cut:], start + cut)]
        np.testing.assert_array_equal(np.vstack(parts), whole)


def test_rates_of_adam():
    adam, t = fastnn.Adam(lr=0.003), np.arange(1, 3001)
    table = adam.rates(np.full(t.size, adam.lr), 0)
    # 1 - 0.999 ** t loses up to three digits of a power's rounding.
    np.testing.assert_allclose(table[:, hooks.ON_MEAN], adam.lr / (1 - adam.beta1**t), rtol=1e-12)
    np.testing.assert_allclose(table[:, hooks.ROOT], 1 / np.sqrt(1 - adam.beta2**t), rtol=1e-12)
    assert (table[:, hooks.EPS] == adam.eps).all()


def test_products_of_momenta():
    # NAdam's two corrections, from the definition, far beyond where the product has vanished.
    nadam, n = fastnn.NAdam(lr=1.0, beta1=0.95), 2000
    mu = 0.95 * (1 - 0.5 * 0.96 ** (0.004 * np.arange(1, n + 2)))
    products = np.cumprod(mu)
    table = nadam.rates(np.ones(n), 0)
    np.testing.assert_allclose(table[:, hooks.ON_SLOPE], (1 - mu[:-1]) / (1 - products[:-1]), rtol=1e-14)
    np.testing.assert_allclose(table[:, hooks.ON_MEAN], mu[1:] / (1 - products[1:]), rtol=1e-14)


def test_names_of_the_columns():
    assert hooks.ON_SLOPE == N_RATES - 1
