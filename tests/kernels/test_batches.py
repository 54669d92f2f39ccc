"""The order of the rows, and their copies into a batch."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastnn.kernels.batches import gather, shuffle, weigh_rows, weight_of
from fastnn.network.inputs import as_data


@pytest.fixture
def make_data(rng, dtype):
    """Make 30 rows with labels or targets, in a random order or without one."""

    def make(n_in, n_labels, n_targets, shuffled):
        return as_data(rng.standard_normal((30, n_in)).astype(dtype))._replace(
            labels=rng.integers(0, 9, (30 if n_labels else 0, n_labels)).astype(np.int32),
            targets=rng.standard_normal((30 if n_targets else 0, n_targets)).astype(dtype),
            indices=rng.permutation(30)[:25] if shuffled else np.empty(0, np.int64),
        )

    return make


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize(("n_labels", "n_targets"), [(1, 0), (3, 0), (0, 1), (0, 2)])
@pytest.mark.parametrize("n_in", [1, 15, 16, 33])
def test_gather(make_data, poisoned, dtype, n_in, n_labels, n_targets, shuffled):
    data = make_data(n_in, n_labels, n_targets, shuffled)
    # The last goes back: rows of the data that the block at r0 of the workspace begins anew.
    for first, r0, r1 in [(0, 0, 12), (5, 0, 12), (13, 2, 9), (7, 3, 4), (0, 6, 6), (-4, 4, 12)]:
        comp = (
            poisoned(np.full((12, n_in), np.nan), dtype),
            np.full((12, n_labels + n_targets), np.nan, dtype),
        )
        ref = tuple(array.copy() for array in comp)
        for skip in (0, 7):  # what is fetched ahead, which reaches past the last row, changes nothing
            gather(*comp, data, first, skip, n_in, r0, r1)
        reference.gather(*ref, data, first, 0, n_in, r0, r1)
        for array, twin in zip(comp, ref, strict=True):
            np.testing.assert_array_equal(array, twin)


def test_split_is_the_same(make_data, poisoned, dtype):
    data = make_data(6, 1, 0, shuffled=True)
    whole = poisoned(np.zeros((12, 6)), dtype), np.zeros((12, 1), dtype)
    comp = tuple(np.full_like(array, np.nan) for array in whole)
    gather(*whole, data, 3, 0, 6, 0, 12)
    for r in range(12):
        gather(*comp, data, 3, 0, 6, r, r + 1)
    for array, entire in zip(comp, whole, strict=True):
        np.testing.assert_array_equal(array, entire)


def test_gather_leaves_features_to_a_hook(make_data, poisoned, dtype):
    data = make_data(6, 1, 0, shuffled=True)
    comp, y = poisoned(np.full((12, 6), np.nan), dtype), np.full((12, 1), np.nan, dtype)
    gather(comp, y, data, 8, 5, 0, 1, 12)
    assert np.isnan(comp).all()
    np.testing.assert_array_equal(y[1:], data.labels[data.indices[9:20]])


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
def test_weights_of_rows(make_data, rng, dtype, shuffled):
    data = make_data(3, 1, 0, shuffled)
    assert weight_of(data, 4, 25) == 21
    data = data._replace(weights=rng.integers(0, 8, 30) / 4)  # of which every sum is exact
    assert weight_of(data, 4, 25) == reference.weight_of(data, 4, 25)
    assert weight_of(data._replace(weights=np.zeros(30)), 0, 25) == 25

    comp = (*rng.standard_normal((2, 12)), rng.standard_normal((12, 5)).astype(dtype))
    ref = reference.doubled(comp)
    weigh_rows(*comp, data, 13, 4, 2, 11)
    reference.weigh_rows(*ref, data, 13, 4, 2, 11)
    for array, twin in zip(comp, ref, strict=True):
        np.testing.assert_allclose(array, twin, rtol=np.finfo(array.dtype).eps)  # one product


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_shuffle_keeps_every_index(n):
    comp = np.arange(n)
    shuffle(comp, 12345)
    assert sorted(comp) == list(range(n))
    again = np.arange(n)
    shuffle(again, 12345)
    np.testing.assert_array_equal(comp, again)
    assert n < 1000 or (comp != np.arange(n)).mean() > 0.99


@pytest.mark.parametrize("n", [3, 8])
def test_shuffle_has_no_favourites(rng, n):
    counts, n_runs = np.zeros((n, n)), 20_000
    for seed in rng.integers(2**64, size=n_runs, dtype=np.uint64):
        order = np.arange(n)
        shuffle(order, seed)
        counts[np.arange(n), order] += 1
    expected = n_runs / n
    chi_squared = (n - 1) / n * ((counts - expected) ** 2 / expected).sum()
    freedom = (n - 1) ** 2
    assert chi_squared < freedom + 4 * np.sqrt(2 * freedom)  # four standard deviations; the seeds are fixed
