"""Loss and score of each row, and the delta of the output layer."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastnn.kernels.activations import IDENTITY, OUTPUTS, SIGMOID, SOFTMAX, TANH
from fastnn.kernels.losses import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    LOSSES,
    MSE,
    clear_padding,
    loss_and_delta,
)
from fastnn.kernels.simd import padded

# loss, output activation, number of outputs
CASES = [
    (MSE, IDENTITY, 1),
    (MSE, IDENTITY, 17),
    (MSE, TANH, 3),
    (MSE, SIGMOID, 16),
    (BINARY_CROSS_ENTROPY, SIGMOID, 1),
    (BINARY_CROSS_ENTROPY, SIGMOID, 18),
    (CROSS_ENTROPY, SOFTMAX, 2),
    (CROSS_ENTROPY, SOFTMAX, 10),
    (CROSS_ENTROPY, SOFTMAX, 33),
]
NAMES = {code: name for names in (LOSSES, OUTPUTS) for name, code in names.items()}
every_case = pytest.mark.parametrize(("loss", "output", "n_out"), CASES)
every_cross_entropy = pytest.mark.parametrize(
    ("loss", "output", "n_out"), [case for case in CASES if case[0] != MSE]
)


@pytest.fixture
def buffers(rng, dtype, poisoned):
    """Make the arrays of 12 rows, those written to and all padding NaN: losses, scores, delta, z, y."""

    def make(loss, n_out, dtype=dtype):
        z = rng.uniform(-8, 8, (12, n_out))
        if loss == CROSS_ENTROPY:
            y = rng.integers(0, n_out, (12, 1))
        else:
            y = (
                rng.integers(0, 2, (12, n_out))
                if loss == BINARY_CROSS_ENTROPY
                else rng.standard_normal(z.shape)
            )
        of_rows = np.full((2, 12), np.nan)
        return *of_rows, poisoned(np.full(z.shape, np.nan), dtype), poisoned(z, dtype), y.astype(dtype)

    return make


@every_case
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_against_the_twin(buffers, dtype, loss, output, n_out, scale):
    comp = buffers(loss, n_out)
    ref = reference.doubled(comp)
    scalars = loss, scale, 1 / 7, output, n_out
    loss_and_delta(*comp, *scalars, 2, 12)
    reference.loss_and_delta(*ref, *scalars, 2, 12)
    eps = np.finfo(dtype).eps
    # exp(z - max) is good to 16 eps / 2 for differences up to 16, and the sums run over up to 33 terms;
    # errors of an MSE are differences, good to eps of the 10 they start from.
    np.testing.assert_allclose(comp[0], ref[0], rtol=60 * eps, atol=60 * eps)
    np.testing.assert_allclose(comp[1], ref[1], rtol=60 * eps)
    np.testing.assert_allclose(
        comp[2][:, :n_out], ref[2][:, :n_out], rtol=60 * eps, atol=20 * eps * scale / 7
    )


@every_case
def test_delta_is_the_slope_of_the_cost(buffers, loss, output, n_out):
    losses, scores, delta, z, y = buffers(loss, n_out, np.float64)
    scalars = loss, 0.5, 1 / 12, output, n_out, 0, 12
    loss_and_delta(losses, scores, delta, z.copy(), y, *scalars)
    # Central differences: h^2 times third derivatives below 30, and eps times a loss below 100 over h.
    h, atol = 1e-4, 1e-8
    for o in range(n_out):
        sides = []
        for step in (h, -h):
            moved = z.copy()
            moved[:, o] += step
            loss_and_delta(losses, scores, delta.copy(), moved, y, *scalars)
            sides.append(losses / 12)
        np.testing.assert_allclose(delta[:, o], (sides[0] - sides[1]) / (2 * h), atol=atol)


def test_worked_by_hand(dtype, poisoned):
    def run(loss, output, z, y):
        n_out = len(z)
        z, y = poisoned([z], dtype), np.array([y], dtype)
        losses, scores, delta = np.empty(1), np.empty(1), np.empty((1, 16), dtype)
        loss_and_delta(losses, scores, delta, z, y, loss, 1.0, 1.0, output, n_out, 0, 1)
        return [losses[0], scores[0], *delta[0, :n_out]]

    # Some roundings each; the numbers are of size 1.
    close = {"rtol": 4 * np.finfo(dtype).eps}
    # errors 2 and -1: (4 + 1) / 2 = 2.5, their sum of squares 5, slopes 2 / 2 * error
    np.testing.assert_allclose(run(MSE, IDENTITY, [3, 1], [1, 2]), [2.5, 5, 2, -1], **close)
    # z = 0: sigmoid 1/2; error 1/2, its square 1/4, slope 2 * 1/2 * f' = 2 * 1/2 * 1/4
    np.testing.assert_allclose(run(MSE, SIGMOID, [0], [0]), [1 / 4, 1 / 4, 1 / 4], **close)
    # z = ln 3: p = 3/4; label 1 costs ln 4/3 and slopes by -1/4. z = 0: ln 2, label 0, slope 1/2; means
    ref = [(np.log(4 / 3) + np.log(2)) / 2, 1.0, -1 / 8, 1 / 4]
    np.testing.assert_allclose(run(BINARY_CROSS_ENTROPY, SIGMOID, [np.log(3), 0], [1, 0]), ref, **close)
    # p = 1/4, 3/4; label 0 costs ln 4
    ref = [np.log(4), 0.0, -3 / 4, 3 / 4]
    np.testing.assert_allclose(run(CROSS_ENTROPY, SOFTMAX, [0, np.log(3)], [0]), ref, **close)


def test_the_first_of_equal_classes_is_predicted(buffers, dtype):
    losses, scores, delta, z, _ = buffers(CROSS_ENTROPY, 3)
    z[:, :3] = 1
    y = (np.arange(12) % 3).astype(dtype)[:, np.newaxis]
    loss_and_delta(losses, scores, delta, z, y, CROSS_ENTROPY, 1.0, 1.0, SOFTMAX, 3, 0, 12)
    np.testing.assert_array_equal(scores, [1, 0, 0] * 4)


@every_cross_entropy
@pytest.mark.parametrize("largest", [False, True], ids=["1e4", "largest"])
def test_large_logits_stay_finite(buffers, dtype, loss, output, n_out, largest):
    # The largest whose sum over the outputs the dtype still holds.
    size = float(np.finfo(dtype).max) / 64 if largest else 1e4
    losses, scores, delta, z, y = buffers(loss, n_out)
    z[:, :n_out] = size * np.where(np.arange(12 * n_out).reshape(12, n_out) % 3 == 0, 1, -1)
    logits = z[:, :n_out].astype(np.float64)
    loss_and_delta(losses, scores, delta, z, y, loss, 1.0, 1.0, output, n_out, 0, 12)
    if loss == BINARY_CROSS_ENTROPY:
        # A label that is predicted wrong costs its logit and pulls with all its weight; a right one neither.
        ref = np.where((logits > 0) == (y > 0), 0, np.abs(logits) / n_out).sum(axis=1)
        ref_delta = ((logits > 0) - y.astype(float)) / n_out
    else:
        # The largest logits, which are equal, share the probability.
        best = logits.max(axis=1, keepdims=True)
        n_best = (logits == best).sum(axis=1, keepdims=True)
        label = y.astype(int)
        ref = (best - np.take_along_axis(logits, label, axis=1) + np.log(n_best))[:, 0]
        ref_delta = (logits == best) / n_best - (np.arange(n_out) == label)
    # Some roundings of the result; the difference of two logits is taken in float64.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(losses, ref, rtol=4 * eps, atol=4 * np.finfo(np.float64).eps * size)
    np.testing.assert_allclose(delta[:, :n_out], ref_delta, rtol=4 * eps)


def test_cross_entropy_of_a_sure_row(dtype, poisoned):
    # log(1 + exp(-d)) for logits that differ by d: their size must not be rounded into it.
    z = np.array([[100.5, 92.5], [20.25, 8.25], [-40.5, -50.5], [-3.0, 0.0], [1e4, 1e4]], dtype)
    (losses, scores), delta, y = np.empty((2, 5)), np.empty((5, 16), dtype), np.zeros((5, 1), dtype)
    ref = np.log1p(np.exp(z[:, 1].astype(float) - z[:, 0]))
    z = poisoned(z, dtype)
    loss_and_delta(losses, scores, delta, z, y, CROSS_ENTROPY, 1.0, 1.0, SOFTMAX, 2, 0, 5)
    # 1 + exp(-d) is rounded; the difference of two logits is taken in float64.
    atol = 2 * np.finfo(dtype).eps + 1e4 * np.finfo(np.float64).eps
    np.testing.assert_allclose(losses, ref, rtol=4 * np.finfo(dtype).eps, atol=atol)


@every_case
def test_nan_reaches_the_loss_of_its_row_alone(buffers, loss, output, n_out):
    for o in range(n_out):
        losses, scores, delta, z, y = buffers(loss, n_out)
        z[5, o] = np.nan
        loss_and_delta(losses, scores, delta, z, y, loss, 1.0, 1.0, output, n_out, 0, 12)
        np.testing.assert_array_equal(np.isnan(losses), np.arange(12) == 5)


@every_case
def test_range_and_padding(buffers, loss, output, n_out):
    scalars = loss, 1.0, 0.25, output, n_out
    whole = buffers(loss, n_out)
    comp = tuple(array.copy() for array in whole)
    before = comp[3].copy()
    loss_and_delta(*whole, *scalars, 0, 12)
    for middle in (3, 4, 9):
        loss_and_delta(*comp, *scalars, *((3, 4) if middle == 3 else (middle, 9)))
    clear_padding(comp[2], n_out, 3, 9)
    clear_padding(whole[2], n_out, 0, 12)
    for array, entire in zip(comp, whole, strict=True):
        np.testing.assert_array_equal(array[3:9], entire[3:9])
    # The padding that backward_weights reads is 0, what lies beyond is not written.
    np.testing.assert_array_equal(comp[2][3:9, n_out : padded(n_out)], 0)
    assert np.isnan(comp[2][3:9, padded(n_out) :]).all()
    for array in comp[:3]:
        assert np.isnan(array[:3]).all()
        assert np.isnan(array[9:]).all()
    np.testing.assert_array_equal(np.delete(comp[3], np.s_[3:9], 0), np.delete(before, np.s_[3:9], 0))
