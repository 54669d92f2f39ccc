"""Training, gradient and scoring as a whole, in one part and in several."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import reference
import reference_step
from problems import N_ROWS, OPTIMIZERS

from fastnn._threads import launch, usable_cores
from fastnn.kernels import records, step
from fastnn.kernels.sizes import ROW_BLOCK
from fastnn.kernels.team import new_team
from fastnn.network.layout import from_panels


def assert_close(comp, ref, dtype, steps):
    # Sums over up to 327 terms and six layers, each good to some eps, once a step; measured: half.
    for array, twin in zip(comp.matrices(), ref.matrices(), strict=True):
        assert np.isfinite(twin).all()
        bound = 20 * steps * np.finfo(dtype).eps
        np.testing.assert_allclose(array, twin, rtol=bound, atol=bound * max(1, np.abs(twin).max()))


def check_training(problem, dtype, **options):
    """Train and compare with the twin: some rows of the order in batches of 16, counted from the third."""
    comp = problem(**options)
    ref = reference.doubled(comp)
    # Rows 4 to 45, the last batch of 9; updates of several batches can only begin with the first.
    first, n_rows = (4, 41) if comp.state.settings["accumulate"] == 1 else (0, 41)
    totals = comp.train(first, n_rows, 16, 3)
    ref_totals = ref.train(first, n_rows, 16, 3, kernel=reference_step.train_part)
    n_steps = -(-n_rows // 16)
    assert_close(comp, ref, dtype, n_steps)
    np.testing.assert_allclose(totals, ref_totals, rtol=20 * np.finfo(dtype).eps)  # as above
    assert list(totals[[records.STEPS_DONE, records.ROWS_DONE, records.FAILED]]) == [n_steps, n_rows, 0]
    return comp


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_train_against_the_twin(problem, dtype, optimizer, l2):
    check_training(problem, dtype, optimizer=optimizer, l2=l2)


MODES = {
    "l1": {"l1": 0.5},
    "limit": {"limit": 0.01},
    "scaled": {"scaled": True, "optimizer": "adamw"},
    "three batches an update": {"every": 3},
    "clip_norm": {"clip_norm": 0.1},
    "max_norm": {"max_norm": 0.8},
    "average": {"keep": 0.9},
    "weighted": {"weighted": True},
    "sparse": {"sparse": True},
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_modes_against_the_twin(problem, dtype, mode):
    check_training(problem, dtype, **mode)


@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 1), (3, 1), (5, 5), (ROW_BLOCK + 7, ROW_BLOCK + 7)])
def test_batches_of_one_row_and_of_more_than_a_block(problem, dtype, n_rows, batch_size):
    comp = problem(optimizer="sgd", capacity=batch_size, n_rows=n_rows)
    ref = reference.doubled(comp)
    comp.train(0, n_rows, batch_size, 1)
    ref.train(0, n_rows, batch_size, 1, kernel=reference_step.train_part)
    assert_close(comp, ref, dtype, steps=n_rows // batch_size)


def test_gradient_against_the_twin(problem, dtype):
    comp = problem(shuffled=False, n_rows=ROW_BLOCK + 7, capacity=ROW_BLOCK + 20)
    ref = reference.doubled(comp)
    before = [array.copy() for array in comp.matrices()]
    grads, ref_grads = np.full_like(comp.network.params, np.nan), np.zeros(comp.network.params.size)
    eps = np.finfo(dtype).eps
    bound = 20 * eps  # as for a step
    for n_rows in (1, N_ROWS, ROW_BLOCK + 7):
        cost = step.gradient(grads, *comp[:4], n_rows)
        ref_cost = reference_step.gradient(ref_grads, *ref[:4], n_rows)
        # The cost of a single row may be small: a difference of numbers of size 1, each good to some eps.
        np.testing.assert_allclose(cost, ref_cost, rtol=bound, atol=2 * eps)
        for layer in comp.network.layers:
            grad, twin = reference_step.weights(layer, grads), reference_step.weights(layer, ref_grads)
            np.testing.assert_allclose(grad, twin, rtol=bound, atol=bound * max(1, np.abs(twin).max()))
    for array, old in zip(comp.matrices(), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_what_the_buffers_held_does_not_matter(problem):
    comp, ref = problem(), problem()
    state = ref.state
    for array in (*ref.work[1:], state.grad, state.full_grad, state.penalty, state.norms):
        array.fill(0)
    totals, ref_totals = (each.train(0, N_ROWS, 16, 1) for each in (comp, ref))
    comp.assert_same_bits(ref)
    np.testing.assert_array_equal(totals, ref_totals)


def test_room_for_more_rows_changes_no_bit(problem):
    comp, ref = problem(capacity=3 * N_ROWS), problem()
    for each in (comp, ref):
        each.train(0, N_ROWS, 16, 1)
    comp.assert_same_bits(ref)


def test_two_calls_are_one(problem):
    comp, ref = problem(), problem()
    totals = comp.train(0, 16, 16, 1) + comp.train(16, N_ROWS - 16, 16, 2)
    ref_totals = ref.train(0, N_ROWS, 16, 1)
    comp.assert_same_bits(ref)
    np.testing.assert_allclose(totals, ref_totals, rtol=1e-15)  # the order of three additions


def test_sparse_rows_change_no_bit(problem):
    comp, ref = problem(sparse=True), problem(sparse=False)
    totals, ref_totals = (each.train(0, N_ROWS, 16, 1) for each in (comp, ref))
    comp.assert_same_bits(ref)
    np.testing.assert_array_equal(totals, ref_totals)


def rows_are_independent(problem):
    """True if a row's slopes do not depend on its batch or its place there."""
    layers = problem.network.layers
    dropped = layers["dropout"].any() or layers["input_dropout"].any()
    return not (problem.network.rows_coupled or dropped)


def test_weights_count_rows(problem, dtype):
    comp = problem(weighted=False)
    if not rows_are_independent(comp):
        pytest.skip("a row among others is another")
    counts = np.random.default_rng(0).integers(0, 4, N_ROWS)
    order = comp.data.indices
    ref = problem(weighted=False, capacity=counts.sum())
    ref = ref._replace(data=ref.data._replace(indices=np.repeat(order, counts[order])))
    comp = comp._replace(data=comp.data._replace(weights=counts.astype(np.float64)))
    totals = comp.train(0, N_ROWS, N_ROWS, 1)
    n_rows = int(counts.sum())
    ref_totals = ref.train(0, n_rows, n_rows, 1)
    assert_close(comp, ref, dtype, steps=1)
    assert totals[records.WEIGHT_SUM] == ref_totals[records.WEIGHT_SUM] == n_rows
    close = {"rtol": 20 * np.finfo(dtype).eps}
    np.testing.assert_allclose(
        totals[records.COST_SUM] / N_ROWS, ref_totals[records.COST_SUM] / n_rows, **close
    )
    np.testing.assert_allclose(totals[records.SCORE_SUM], ref_totals[records.SCORE_SUM], **close)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_several_batches_an_update_are_a_larger_batch(problem, dtype, optimizer):
    comp, ref = problem(optimizer=optimizer, every=4), problem(optimizer=optimizer, every=1)
    if not rows_are_independent(comp):
        pytest.skip("a row among others is another")
    totals, ref_totals = comp.train(0, N_ROWS, 4, 1), ref.train(0, N_ROWS, 16, 1)
    n_arrays = len(comp.network.layers)  # of parameters
    for array, twin in zip(comp.matrices()[:n_arrays], ref.matrices()[:n_arrays], strict=True):
        bound = 20 * 4 * np.finfo(dtype).eps  # as beside the twin
        np.testing.assert_allclose(array, twin, rtol=bound, atol=bound)
    assert list(totals[[records.STEPS_DONE, records.ROWS_DONE]]) == [13, N_ROWS]
    done = [records.PENALTY_SUM, records.SCORE_SUM, records.WEIGHT_SUM]
    if not comp.data.weights.size:  # else a mean of four means is not that of all
        done.append(records.COST_SUM)
    np.testing.assert_allclose(totals[done], ref_totals[done], rtol=20 * np.finfo(dtype).eps)


def test_clipping(problem, dtype):
    """A step of plain gradient descent is as long as the limit allows, and in the same direction."""
    options = {"optimizer": "sgd", "l2": 0, "l1": 0, "every": 1, "max_norm": 0, "keep": 0}
    moves, before = [], problem(**options).matrices()
    n_arrays = len(problem().network.layers)
    for limit in (0, 1e9, 1e-3):
        comp = problem(**options, clip_norm=limit)
        comp.train(0, N_ROWS, N_ROWS, 1)
        pairs = zip(comp.matrices()[:n_arrays], before[:n_arrays], strict=True)
        moves.append(np.concatenate([(array.astype("f8") - old).ravel() for array, old in pairs]))
    free, loose, tight = moves
    np.testing.assert_array_equal(loose, free)
    norm = np.linalg.norm(free) / 0.1
    # Weights of size 1 are rounded at every step, so the step of one has an error of some eps.
    atol = 4 * np.finfo(dtype).eps * max(np.abs(array).max() for array in before[:n_arrays])
    np.testing.assert_allclose(tight, free * 1e-3 / (norm + 1e-6), rtol=1e-6, atol=atol)


def test_norms_are_limited(problem, dtype):
    options = {"optimizer": "sgd", "every": 1, "clip_norm": 0, "keep": 0}
    comp, ref = problem(**options, max_norm=0.9), problem(**options, max_norm=0)
    for each in (comp, ref):
        each.train(0, N_ROWS, N_ROWS, 1)
    n_scaled = 0
    for layer in comp.network.layers:
        w, free = (reference_step.weights(layer, each.network.params) for each in (comp, ref))
        n_in = layer["n_in"]
        if layer["column"] >= 0:  # no unit takes in a whole column of an embedding
            np.testing.assert_array_equal(w, free)
            continue
        norms, free_norms = (np.linalg.norm(array[:n_in].astype("f8"), axis=0) for array in (w, free))
        near = np.maximum(n_in, 4) * np.finfo(dtype).eps
        assert (norms <= 0.9 * (1 + near)).all()
        np.testing.assert_array_equal(w[n_in:], free[n_in:])
        np.testing.assert_array_equal(w[:, free_norms < 0.9], free[:, free_norms < 0.9])
        n_scaled += (free_norms > 0.9).sum()
    assert n_scaled > 0


def test_average(problem, dtype):
    options = {"optimizer": "sgd", "every": 1, "clip_norm": 0, "max_norm": 0, "keep": 0.25}
    comp, before = problem(**options), problem(**options).network
    comp.train(0, N_ROWS, N_ROWS, 1)
    for layer in before.layers:
        pairs = (comp.state.average, before.params, comp.network.params)
        average, old, new = (reference_step.weights(layer, flat).astype("f8") for flat in pairs)
        bound = 2 * np.finfo(dtype).eps  # a difference, a product and a sum
        np.testing.assert_allclose(
            average, 0.25 * old + 0.75 * new, rtol=bound, atol=bound * np.abs(old).max()
        )


def train_together(problem, run, n_parts):
    """Train by `run`; on a busy machine, the threads may not assemble at the first attempt."""
    for _ in range(20):
        comp, totals = problem(), np.zeros(records.N_TOTALS)
        run(n_parts, new_team(), *comp, (0, N_ROWS, 16, 1), totals)
        if totals[records.FAILED] != records.NOT_TOGETHER:
            break
    return comp, totals


def run_threads(n_parts, *args):
    """Run every part on a Python thread of its own, so that there may be more of them than cores."""
    threads = [
        threading.Thread(target=step.train_part, args=(part, n_parts, *args)) for part in range(n_parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def launched(n_parts, *args):
    launch(step.train_part, args[1].params.dtype, n_parts, *args)


@pytest.mark.parametrize(
    ("run", "n_parts"),
    [
        pytest.param(launched, 2, marks=pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")),
        (run_threads, 3),
        (run_threads, 7),
    ],
)
def test_train_parallel(problem, run, n_parts):
    ref = problem()
    ref_totals = ref.train(0, N_ROWS, 16, 1)
    comp, totals = train_together(problem, run, n_parts)
    np.testing.assert_array_equal(totals, ref_totals)
    comp.assert_same_bits(ref)


def test_panels_and_padding_are_kept(problem):
    comp = problem()
    comp.train(0, N_ROWS, 16, 1)
    params, network = comp.network.params.copy(), comp.network
    for depth, layer in enumerate(network.layers):
        w, n_in, n_out = reference_step.weights(layer, params), layer["n_in"], layer["n_out"]
        is_hidden, embeds = 0 < depth < network.n_layers, network.columns.size > 0
        assert (layer["t_cols"] > 0) == (is_hidden or (embeds and depth == 0))
        if layer["t_cols"] > 0:
            w_t = from_panels(records.transposed_of(layer, network), layer["t_rows"])
            np.testing.assert_array_equal(w_t[:n_out, :n_in], w[:n_in].T)
            assert not w_t[: layer["w_cols"], n_in:].any()  # which backward_data takes along
        # Sparse rows read the first layer's weights as they are.
        if layer["panel_rows"] > 0 and not (depth == 0 and comp.data.starts.size):
            panels, _ = records.panels_of(layer, network)
            in_rows = from_panels(panels, layer["panel_rows"])[: n_in + 1]
            np.testing.assert_array_equal(in_rows[:, :n_out], w[: n_in + 1])
            assert not in_rows[:, n_out:].any()
        w[:] = 0
    # The penalty sums over whole rows, so their padding stays 0.
    assert not params.any()


def test_a_cost_that_is_not_finite_stops_before_the_update(problem):
    comp, ref = problem(), problem()
    row, data = comp.data.indices[35], comp.data  # in the third batch of 16
    if data.starts.size:
        data.x[0, data.starts[row] : data.starts[row + 1]] = np.nan
    else:
        features = np.setdiff1d(np.arange(data.x.shape[1]), comp.network.layers["column"])
        data.x[row, features] = np.nan
    totals = comp.train(0, N_ROWS, 16, 1)
    ref.train(0, 32, 16, 1)
    assert totals[records.FAILED] == records.NOT_FINITE
    assert list(totals[[records.STEPS_DONE, records.ROWS_DONE]]) == [2, 32]
    comp.assert_same_bits(ref)


def test_a_part_that_stays_alone_does_nothing(problem):
    comp, ref = problem(), problem()
    totals = np.zeros(records.N_TOTALS)
    step.train_part(1, 2, new_team(), *comp, (0, N_ROWS, 16, 1), totals)
    assert list(totals) == [0] * records.FAILED + [records.NOT_TOGETHER]
    comp.assert_same_bits(ref)


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
def test_score(problem, dtype, n_parts, shuffled):
    comp = problem(shuffled=shuffled, capacity=n_parts * 7)  # blocks of 7 rows, the last of 1
    ref = reference.doubled(comp)
    outputs, twins = np.full((2, 2, N_ROWS), np.nan)
    for part in range(n_parts):
        step.score_part(part, n_parts, *outputs, *comp[:4])
    reference_step.score_part(0, 1, *twins, *ref[:4])
    # As for a step: sums over up to 570 terms in up to six layers, of size 1.
    bound = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(outputs, twins, rtol=bound, atol=bound)
