"""The training step and inference as a whole, in one part and in several."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_step
from problems import CASES, N_ROWS, OPTIMIZERS, make_problem

from fastnn._threads import launch, usable_cores
from fastnn._tuning import ROW_BLOCK
from fastnn.kernels import step
from fastnn.kernels.team import new_team



@pytest.fixture(params=CASES.values(), ids=CASES)
def problem(request, dtype):
    """Make the same problem at every call; options are those of the case unless others are given."""
    return lambda **options: make_problem(request.param, dtype, **request.param.training | options)


def assert_close(comp, ref, dtype, steps):
    # Sums over up to 327 terms and six layers, each good to some eps, once a step; measured: a quarter.
    for array, twin in zip(comp.matrices(), ref.matrices(), strict=True):
        assert np.isfinite(twin).all()
        bound = 20 * steps * np.finfo(dtype).eps
        np.testing.assert_allclose(array, twin, rtol=bound, atol=bound * max(1, np.abs(twin).max()))


def check_training(problem, dtype, **options):
    """Beside the twin, some rows of the order in batches of 16; the first batch is counted as the third."""
    comp = problem(**options)
    ref = reference.doubled(comp)
    # Rows 4 to 45, the last batch of 9; updates of several batches can only begin with the first.
    first, n_rows = (4, 41) if comp.optimizer.settings["every"] == 1 else (0, N_ROWS)
    totals = comp.train(first, n_rows, 16, 3)
    ref_totals = ref.train(first, n_rows, 16, 3, kernel=reference_step.train_part)
    n_steps = -(-n_rows // 16)
    assert_close(comp, ref, dtype, n_steps)
    np.testing.assert_allclose(totals, ref_totals, rtol=20 * np.finfo(dtype).eps)  # as above
    assert list(totals[[step.STEPS_DONE, step.ROWS_DONE, step.FAILED]]) == [n_steps, n_rows, 0]
    return comp


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_train_against_the_twin(problem, dtype, optimizer, l2):
    check_training(problem, dtype, optimizer=optimizer, l2=l2)


@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 1), (3, 1), (2, 2), (ROW_BLOCK + 7, ROW_BLOCK + 7)])
def test_batches_of_one_row_and_of_more_than_a_block(problem, dtype, n_rows, batch_size):
    comp = problem(optimizer="sgd", capacity=batch_size, n_rows=n_rows)
    ref = reference.doubled(comp)
    comp.train(0, n_rows, batch_size, 1)
    ref.train(0, n_rows, batch_size, 1, kernel=reference_step.train_part)
    assert_close(comp, ref, dtype, steps=n_rows // batch_size)


def test_gradient_against_the_twin(problem, dtype):
    comp = problem(shuffled=False, n_rows=ROW_BLOCK + 7, capacity=ROW_BLOCK + 20)
    ref = reference.doubled(comp)
    params = comp.network.params.copy()
    grads, ref_grads = np.full_like(params, np.nan), np.zeros(params.size)
    bound = 20 * np.finfo(dtype).eps  # as for a step
    for n_rows in (1, N_ROWS, ROW_BLOCK + 7):
        cost = step.gradient(grads, *comp[:4], n_rows)
        np.testing.assert_allclose(cost, reference_step.gradient(ref_grads, *ref[:4], n_rows), rtol=bound)
        for layer in comp.network.layers:
            grad, twin = reference_step.weights(layer, grads), reference_step.weights(layer, ref_grads)
            np.testing.assert_allclose(grad, twin, rtol=bound, atol=bound * max(1, np.abs(twin).max()))
    np.testing.assert_array_equal(comp.network.params, params)


def test_what_the_buffers_held_does_not_matter(problem):
    comp, ref = problem(), problem()
    for array in (*ref.work[1:], ref.optimizer.grad, ref.optimizer.penalty):
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
    totals = comp.train(0, 32, 16, 1) + comp.train(32, N_ROWS - 32, 16, 3)
    ref_totals = ref.train(0, N_ROWS, 16, 1)
    comp.assert_same_bits(ref)
    np.testing.assert_allclose(totals, ref_totals, rtol=1e-15)  # the order of three additions


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_phases_in_parts(problem, n_parts):
    """The parts one after the other: where one wrote what is another's, or read it, it would show."""
    comp, ref = problem(), problem()
    for each, n in ((comp, n_parts), (ref, 1)):
        for start, n_rows, number in [(0, 32, 1), (32, 17, 2), (49, 1, 3)]:
            for part in reversed(range(n)):
                step.rows_phase(part, n, *each[:4], start, n_rows)
            for part in reversed(range(n)):
                step.weights_phase(part, n, *each[:2], each.optimizer, number, n_rows)
    comp.assert_same_bits(ref)
    for name in ("row_loss", "row_score"):
        np.testing.assert_array_equal(getattr(comp.work, name), getattr(ref.work, name))
    np.testing.assert_array_equal(comp.optimizer.penalty, ref.optimizer.penalty)


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_train_parallel(problem):
    ref = problem()
    ref_totals = ref.train(0, N_ROWS, 16, 1)
    for _ in range(20):  # on a busy machine the threads may not come together at once
        comp, totals = problem(), np.zeros(step.N_TOTALS)
        launch(step.train_part, comp.network.params.dtype, 2, new_team(), *comp, (0, N_ROWS, 16, 1), totals)
        if totals[step.FAILED] != step.NOT_TOGETHER:
            break
    np.testing.assert_array_equal(totals, ref_totals)
    comp.assert_same_bits(ref)


def test_transposed_weights_and_padding_are_kept(problem):
    comp = problem()
    comp.train(0, N_ROWS, 16, 1)
    params = comp.network.params.copy()
    for depth, layer in enumerate(comp.network.layers):
        w = reference_step.weights(layer, params)
        if depth > 0:
            size = layer["n_out"] * layer["t_cols"]
            w_t = comp.network.params_t[layer["t_start"] :][:size].reshape(layer["n_out"], -1)
            np.testing.assert_array_equal(w_t[:, : layer["n_in"]], w[:-1].T)
        w[:] = 0
    # The penalty sums over whole rows, so their padding stays 0.
    assert not params.any()


def test_an_infinite_cost_stops_before_the_update(problem):
    comp, ref = problem(), problem()
    comp.data.x[comp.data.indices[35]] = np.inf  # in the third batch of 16
    totals = comp.train(0, N_ROWS, 16, 1)
    ref.train(0, 32, 16, 1)
    assert totals[step.FAILED] == step.NOT_FINITE
    assert list(totals[[step.STEPS_DONE, step.ROWS_DONE]]) == [2, 32]
    np.testing.assert_array_equal(comp.network.params, ref.network.params)


def test_a_part_that_stays_alone_does_nothing(problem):
    comp, ref = problem(), problem()
    totals = np.zeros(step.N_TOTALS)
    step.train_part(1, 2, new_team(), *comp, (0, N_ROWS, 16, 1), totals)
    assert list(totals) == [0] * step.FAILED + [step.NOT_TOGETHER]
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
    # As for a step: sums over up to 570 terms in up to four layers, of size 1.
    bound = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(outputs, twins, rtol=bound, atol=bound)


@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_predict(problem, dtype, n_parts):
    comp = problem(capacity=n_parts * 7)
    ref = reference.doubled(comp)

    def arguments(given):
        network, work = given.network, given.work
        state = network.layers, network.params, network.output, work.activations, work.row_loss
        return given.data.x, *state, work.row_score

    out = np.full((N_ROWS, comp.network.layers[-1]["n_out"]), np.nan, dtype)
    twin = reference.doubled(out)
    for part in range(n_parts):
        step.predict_part(part, n_parts, out, *arguments(comp))
    reference.predict_part(0, 1, twin, *arguments(ref))
    bound = 20 * np.finfo(dtype).eps  # as above
    np.testing.assert_allclose(out, twin, rtol=bound, atol=bound)
