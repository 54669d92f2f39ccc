"""The hook after an update, which limits norms and updates the average of the weights over steps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import reference
import reference_step
from problems import CASES, make_problem

from fastnn.kernels import records
from fastnn.kernels.hooks.after import after_update, limit_norms, move_average
from fastnn.kernels.step import pack_weights
from fastnn.kernels.team import new_team


def test_limit_norms(rng, dtype, poisoned):
    n_in, n_out, limit = 30, 21, 5.0
    w = poisoned(rng.standard_normal((n_in + 2, n_out)), dtype)
    w[:, 3] = 0  # a vector without direction
    before = w.copy()
    limit_norms(w, limit, n_in, 2, 19)
    old = before[:n_in, :n_out].astype(np.float64)
    norms = np.linalg.norm(old, axis=0)
    is_long = (norms > limit) & (np.arange(n_out) >= 2) & (np.arange(n_out) < 19)
    assert 0 < is_long.sum() < 17
    # Factor and product are rounded.
    ref = old[:, is_long] * limit / norms[is_long]
    np.testing.assert_allclose(w[:n_in, :n_out][:, is_long], ref, rtol=2 * np.finfo(dtype).eps)
    # Short vectors, rows below the weights, and another part's columns are not touched.
    w[:n_in, :n_out][:, is_long] = before[:n_in, :n_out][:, is_long]
    np.testing.assert_array_equal(w, before)


def test_limit_of_a_norm_that_a_float32_cannot_hold(poisoned):
    w = poisoned(np.full((4, 2), 1e30), "float32")
    limit_norms(w, 2.0, 4, 0, 2)
    np.testing.assert_allclose(w[:4, :2], 1.0, rtol=2 * np.finfo("float32").eps)


def test_move_average(rng, dtype):
    average, w = rng.standard_normal((2, 7, 20)).astype(dtype)
    ref = 0.9 * average.astype(np.float64) + 0.1 * w
    before = average.copy()
    move_average(average, w, 0.9, 1, 6, 3, 18)
    inside = np.s_[1:6, 3:18]
    # A difference, a product and a sum of numbers below 4.
    np.testing.assert_allclose(average[inside], ref[inside], atol=8 * np.finfo(dtype).eps)
    average[inside] = before[inside]
    np.testing.assert_array_equal(average, before)


def test_an_average_of_equal_weights_stays(dtype):
    average = np.full((3, 5), 0.1, dtype)
    for _ in range(100):
        move_average(average, average.copy(), 0.999, 0, 3, 0, 5)
    np.testing.assert_array_equal(average, np.full((3, 5), 0.1, dtype))


def updated(dtype, n_parts, name="kept, blocks"):
    """Return a problem after its first update, with the parts run one after the other."""
    problem = make_problem(CASES[name], dtype, max_norm=1.2, keep=0.9)
    problem.network.params[:] *= 1.5
    for part in reversed(range(n_parts)):
        context = records.HookContext(problem.network, problem.work, part, n_parts, new_team(), 1, 50, True)
        after_update(context, problem.state)
    return problem


@pytest.mark.parametrize("name", ["kept, blocks", "few rows", "deep mixture"])
def test_after_update_against_the_twin(dtype, name):
    comp, ref = updated(dtype, 1, name), make_problem(CASES[name], dtype, max_norm=1.2, keep=0.9)
    ref.network.params[:] *= 1.5
    ref = reference.doubled(ref)
    reference_step.after_update(ref.network, ref.state)
    bound = 8 * np.finfo(dtype).eps  # a norm in float64, and some products
    for array, twin in zip(comp.matrices(), ref.matrices(), strict=True):
        np.testing.assert_allclose(array, twin, rtol=bound, atol=bound)


@pytest.mark.parametrize("name", ["kept, blocks", "few rows", "deep mixture", "embeddings and all"])
@pytest.mark.parametrize("n_parts", [1, 3])
def test_panels_are_those_of_the_weights(dtype, name, n_parts):
    """Every part renews the panels of the columns it has limited, bias included."""
    comp, ref = updated(dtype, n_parts, name), updated(dtype, 1, name)
    moved = {field: getattr(comp.network, field).copy() for field in ("panels", "panels_t")}
    pack_weights(ref.network)
    for field, panels in moved.items():
        np.testing.assert_array_equal(panels, getattr(ref.network, field))


def test_panels_stay_where_nothing_is_limited(dtype):
    comp = make_problem(CASES["kept, blocks"], dtype, keep=0.9)
    comp.network.panels.fill(7)
    comp.network.panels_t.fill(7)
    after_update(records.HookContext(comp.network, comp.work, 0, 1, new_team(), 1, 50, True), comp.state)
    assert comp.network.panels_t.size > 0
    assert (comp.network.panels == 7).all()
    assert (comp.network.panels_t == 7).all()


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_parts_change_no_bit(dtype, n_parts):
    updated(dtype, n_parts).assert_same_bits(updated(dtype, 1))


def figures(dtype):
    """Return figures to repeat without compilation."""
    return [float(np.abs(array).sum(dtype="f8")) for array in updated(np.dtype(dtype), 2, "deep").matrices()]


def test_without_compilation(run_python, dtype):
    code = f"import json, kernels.hooks.test_after as t; print(json.dumps(t.figures({dtype.name!r})))"
    done = run_python(code, NUMBA_DISABLE_JIT="1")
    np.testing.assert_allclose(json.loads(done.stdout), figures(dtype.name), rtol=8 * np.finfo(dtype).eps)
