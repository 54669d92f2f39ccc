"""Addresses of hooks, whose argument types are those of the records made by training."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from problems import CASES, OPTIMIZERS, make_problem

import fastnn
from fastnn._jit import jit
from fastnn.kernels.address import call_at
from fastnn.kernels.hooks import activations, link
from fastnn.kernels.updates import Terms


@pytest.mark.parametrize("name", ["whole tiles", "whole gradient", "embeddings and all", "weighted, sparse"])
def test_types_are_those_of_the_records(dtype, name):
    comp = make_problem(CASES[name], dtype, **CASES[name].training)
    assert link.data_type(dtype) == numba.typeof(comp.data)
    assert link.state_type(dtype) == numba.typeof(comp.state)


@jit
def _call_activation(address, a, slopes, alpha, r0, r1, n_out):
    call_at(address, (a, slopes, alpha, r0, r1, n_out))


@jit
def _call_update(address, w, g, constants, rates, terms):
    call_at(address, (w, g, w, w, w, constants, rates, terms, 0, w.shape[0], 0, w.shape[1]))


def test_an_activation_at_its_address(rng, dtype):
    z = rng.standard_normal((4, 16)).astype(dtype)
    comp, ref, slopes = z.copy(), z.copy(), np.empty_like(z)
    _call_activation(link.address_of_activation(activations.gelu, dtype), comp, slopes, 0.0, 0, 4, 16)
    activations.gelu(ref, slopes, 0.0, 0, 4, 16)
    np.testing.assert_array_equal(comp, ref)


def test_an_update_at_its_address(rng, dtype):
    w, g = rng.standard_normal((2, 4, 16)).astype(dtype)
    optimizer = OPTIMIZERS["sgd"]
    numbers = (1.0, np.inf, 0.0, 0.0, 1.0, 0.0)
    terms = Terms(*map(dtype.type, numbers))
    comp, rates = w.copy(), optimizer.rates(np.array([0.5]), 0)[0]
    _call_update(link.address_of_update(optimizer.kernel, dtype), comp, g, np.empty(0), rates, terms)
    np.testing.assert_allclose(comp, w - 0.5 * g.astype("f8"), atol=8 * np.finfo(dtype).eps)


def test_an_address_stays(dtype):
    kernel = activations.gelu
    assert link.address_of_activation(kernel, dtype) == link.address_of_activation(kernel, dtype)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="uncompiled kernels have one address for all dtypes")
def test_each_dtype_has_an_address_of_its_own():
    assert len({link.address_of_activation(activations.gelu, kind) for kind in ("f4", "f8")}) == 2


@pytest.mark.parametrize(
    ("embeds", "hooked", "fields"),
    [
        (False, False, []),
        (True, False, ["embed_hook", "gradient_hook"]),
        (False, True, ["forward_hook", "backward_hook", "gradient_hook"]),
        (True, True, ["embed_hook", "forward_hook", "backward_hook", "gradient_hook"]),
    ],
)
def test_a_network_gets_the_hooks_it_needs(embeds, hooked, fields):
    net = fastnn.MLP([2, 3], seed=0)
    network, work = net.compiled_network.view(), net.compiled_network.layout.workspace(0, 0)
    found = link.addresses_of_rows(network, work, embeds=embeds, hooked=hooked)
    assert list(found) == fields
    assert all(found.values())
    assert network._replace(**found).forward_hook == found.get("forward_hook", 0)


def test_hooks_for_sparse_rows():
    net = fastnn.MLP([2, 3], seed=0)
    network = net.compiled_network.view()
    found = link.addresses_of_sparse(network, net.compiled_network.layout.workspace(0, 0))
    assert set(found) == {name for name in network._fields if name.startswith("sparse_")}
    assert all(found.values())
