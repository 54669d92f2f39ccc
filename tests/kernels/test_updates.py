"""Optimiser updates of a block of a matrix, and the terms that also change the weights."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastnn._jit import jit
from fastnn.kernels import updates
from fastnn.kernels.sizes import PAD
from fastnn.network.layout import from_panels, panel_length, row_length
from fastnn.optimizers import SGD, Adam

OPTIMIZERS = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "nesterov": SGD(lr=0.1, momentum=0.8, nesterov=True),
    "adam": Adam(lr=0.01, beta1=0.8, beta2=0.99, eps=1e-3),
    "adam by default": Adam(),
}
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


SHAPE = (5, 37)


def core_settings(optimizer):
    """Return the settings that the core reads for an optimiser of its own."""
    record = np.zeros(1, updates.UPDATE_SETTINGS)
    for name in set(updates.UPDATE_SETTINGS.names) & set(vars(optimizer)):
        record[name] = getattr(optimizer, name)
    record["kind"] = optimizer.core_kind
    return record[0]


@pytest.fixture
def matrices(rng, dtype):
    """Make w, g, m, v; states that the optimiser does not keep are empty, as in training."""

    def make(optimizer):
        w, g, m = rng.standard_normal((3, *SHAPE)).astype(dtype)
        v = (rng.standard_normal(SHAPE) ** 2).astype(dtype)
        empty = np.empty((0, 0), dtype)
        return w, g, m if optimizer.n_states > 0 else empty, v if optimizer.n_states > 1 else empty

    return make


@jit
def compiled_update(w, g, m, v, record, rates, index, decay, i0, i1, o0, o1):
    # The rates are of the weights' dtype; through Python they would come as float64.
    updates.update(w, g, m, v, updates.step_rates(record, rates, index, w), decay, i0, i1, o0, o1)


def run_update(matrices, optimizer, step, decay, *block):
    """Run update number `step` of a block, by default the whole matrix."""
    n_rows, n_cols = matrices[0].shape
    block = block or (0, n_rows, 0, n_cols)
    compiled_update(*matrices, core_settings(optimizer), table(optimizer, step), step - 1, decay, *block)


def table(optimizer, n_steps):
    """Return the rates of the first steps, in which the learning rate grows to its last value."""
    return optimizer.rates(optimizer.lr * np.linspace(1 / n_steps, 1, n_steps), 0)


@every_optimizer
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_update(matrices, dtype, optimizer, decay):
    comp = matrices(optimizer)
    ref = reference.doubled(comp)
    record = core_settings(optimizer)
    for step in (1, 2, 3):
        before = ref[0].copy()
        run_update(comp, optimizer, step, decay)
        rates = reference.step_rates(record, table(optimizer, step), step - 1, ref[0])
        reference.update(*ref, rates, decay, 0, SHAPE[0], 0, SHAPE[1])
        # A dozen roundings of numbers below 5, the largest w, the decay or a momentum times one; and the
        # step's own size, which an Adam that is not yet warm takes from a state of any size.
        moved = np.abs(ref[0] - before)
        bound = 12 * np.finfo(dtype).eps * step * (np.maximum(1, np.abs(ref[0])) + moved)
        assert (np.abs(comp[0] - ref[0]) <= bound).all()
        for state, ref_state in zip(comp[2:], ref[2:], strict=True):
            np.testing.assert_allclose(state, ref_state, rtol=1e-9, atol=50 * np.finfo(dtype).eps)


def test_adam_is_exact_to_rounding(dtype):
    # From zero states the first step is lr * g / (|g| + eps), whatever the betas: a float32 beta must not
    # spoil 1 - beta, which is a difference of numbers that are almost equal.
    g = np.array([[1.0, -2.0, 0.5, -1e-3]], dtype)
    w, m, v = np.zeros((3, 1, 4), dtype)
    run_update((w, g, m, v), Adam(lr=1.0), 1, 0.0)
    # The states are one product each, the step a root, two products and a quotient: a few eps.
    g = g.astype(np.float64)
    for comp, ref in [(m, 0.1 * g), (v, 0.001 * g**2), (w, -g / (np.abs(g) + 1e-8))]:
        np.testing.assert_allclose(comp, ref, rtol=6 * np.finfo(dtype).eps)


def test_worked_by_hand(dtype):
    def move(optimizer, m, step=1, decay=0.0):
        w, g, m, v = (np.array([[value]], dtype) for value in (1.0, 0.5, m, 0.0))
        run_update((w, g, m, v), optimizer, step, decay)
        return w[0, 0]

    # All numbers but 0.8 and 0.1 are dyadic: some roundings.
    close = {"rtol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(move(SGD(lr=0.5), 0), 1 - 0.5 * 0.5, **close)
    # the slope with decay: 0.5 + 0.25 * 1
    np.testing.assert_allclose(move(SGD(lr=0.5), 0, decay=0.25), 1 - 0.5 * 0.75, **close)
    # m = 0.5 * 2 + 0.5 = 1.5
    np.testing.assert_allclose(move(SGD(lr=0.5, momentum=0.5), 2), 1 - 0.5 * 1.5, **close)
    # and then 0.5 + 0.5 * 1.5
    np.testing.assert_allclose(move(SGD(lr=0.5, momentum=0.5, nesterov=True), 2), 1 - 0.5 * 1.25, **close)
    # m = 0.5 * 0.5 = 1/4, corrected 1/4 / (1 - 1/2) = 1/2; v = 3/4 / 4 = 3/16, corrected 1/4, its root 1/2
    adam = Adam(lr=0.1, beta1=0.5, beta2=0.25, eps=0.5)
    np.testing.assert_allclose(move(adam, 0), 1 - 0.1 * 0.5 / (0.5 + 0.5), **close)
    # in step 2: 1/4 / (3/4) = 1/3; 3/16 / (15/16) = 1/5
    np.testing.assert_allclose(move(adam, 0, step=2), 1 - 0.1 / 3 / (np.sqrt(0.2) + 0.5), **close)


@every_optimizer
def test_outside_of_the_block_stays(matrices, optimizer):
    comp = matrices(optimizer)
    before = [array.copy() for array in comp]
    run_update(comp, optimizer, 1, 0.1, 1, 4, 5, 30)
    inside = np.zeros(SHAPE, bool)
    inside[1:4, 5:30] = True
    for index, (array, old) in enumerate(zip(comp, before, strict=True)):
        if array.size == 0:
            continue
        np.testing.assert_array_equal(array[~inside], old[~inside])
        if index != 1:  # the gradient is only read
            assert (array[inside] != old[inside]).all()


@every_optimizer
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_update_makes_a_weight_infinite(matrices, optimizer, value):
    comp = matrices(optimizer)
    before = comp[0].copy()
    hit = np.zeros(SHAPE, bool)
    hit[1:4, 3:35] = True
    comp[1][hit] = value
    run_update(comp, optimizer, 1, 0.0)
    np.testing.assert_array_equal(comp[0][hit], before[hit])
    assert np.isfinite(comp[0]).all()
    assert (comp[0][~hit] != before[~hit]).all()


def test_no_update_overflows_a_weight(dtype):
    largest = np.finfo(dtype).max
    w, empty = np.array([[largest, -largest]], dtype), np.empty((0, 0), dtype)
    g = np.array([[-largest, largest]], dtype)
    run_update((w, g, empty, empty), SGD(lr=1.0), 1, 0.0)
    np.testing.assert_array_equal(w, [[largest, -largest]])


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (1, 9), (7, 1), (24, 33), (50, 17)])
def test_transpose(rng, dtype, poisoned, panelled, n_in, n_out):
    w = poisoned(rng.standard_normal((n_in + 1, n_out)), dtype)
    n_cols = row_length(n_out)
    n_rows = panel_length(n_cols)
    for i0, i1 in [(0, n_in), (PAD, n_in), (0, n_in // 2), (n_in // PAD * PAD, n_in // PAD * PAD)]:
        for o0, o1 in [(0, n_cols), (PAD, n_cols), (0, PAD), (n_cols, n_cols)]:
            if i0 > i1:
                continue
            comp = panelled(np.full((n_out, n_in), np.nan), dtype, n_rows)
            ref = from_panels(comp, n_rows)
            updates.transpose(comp, w, n_rows, i0, i1, o0, o1)
            reference.transpose(ref, w, i0, i1, o0, o1)
            np.testing.assert_array_equal(from_panels(comp, n_rows), ref)


def test_sums(rng, dtype):
    w = rng.standard_normal((50, 200)).astype(dtype)
    for block in [(0, 50, 0, 200), (3, 44, 8, 64), (5, 6, 16, 24), (8, 8, 0, 200), (1, 3, 40, 40)]:
        comp, ref = updates.sum_of_squares(w, *block), reference.sum_of_squares(w, *block)
        # A sum of n positive numbers in float64, in any order: n eps / 2, mostly far less.
        np.testing.assert_allclose(comp, ref, rtol=1e4 * np.finfo(np.float64).eps)
        comp, ref = updates.sum_of_absolutes(w, *block), reference.sum_of_absolutes(w, *block)
        np.testing.assert_allclose(comp, ref, rtol=1e4 * np.finfo(np.float64).eps)
