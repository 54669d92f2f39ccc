"""The order of the rows, and their copies into a batch."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from fastnn.kernels.batches import (
    copy_from_panels,
    copy_row,
    copy_to_panels,
    gather,
    shuffle,
    weigh_rows,
    weight_of,
)
from fastnn.kernels.sizes import PAD
from fastnn.network.inputs import as_data
from fastnn.network.layout import from_panels

CAPACITY = 15  # of the panels, of which 12 rows are used


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
def test_gather(make_data, panelled, dtype, n_in, n_labels, n_targets, shuffled):
    data = make_data(n_in, n_labels, n_targets, shuffled)
    # The last goes back: rows of the data that the block at r0 of the workspace begins anew.
    for first, r0, r1 in [(0, 0, 12), (5, 0, 12), (13, 2, 9), (7, 3, 4), (0, 6, 6), (-4, 4, 12)]:
        a = panelled(np.full((12, n_in), np.nan), dtype, CAPACITY)
        y = np.full((12, n_labels + n_targets), np.nan, dtype)
        ref_a, ref_y = from_panels(a, CAPACITY), y.copy()
        for skip in (0, 7):  # what is fetched ahead, which reaches past the last row, changes nothing
            gather(a, y, data, CAPACITY, first, skip, n_in, r0, r1)
        reference.gather(ref_a, ref_y, data, first, 0, n_in, r0, r1)
        np.testing.assert_array_equal(from_panels(a, CAPACITY), ref_a)
        np.testing.assert_array_equal(y, ref_y)


def test_split_is_the_same(make_data, panelled, dtype):
    data = make_data(20, 1, 0, shuffled=True)
    whole = panelled(np.zeros((12, 20)), dtype, CAPACITY), np.zeros((12, 1), dtype)
    comp = tuple(np.full_like(array, np.nan) for array in whole)
    gather(*whole, data, CAPACITY, 3, 0, 20, 0, 12)
    for r in range(12):
        gather(*comp, data, CAPACITY, 3, 0, 20, r, r + 1)
    for array, entire in zip(comp, whole, strict=True):
        np.testing.assert_array_equal(array, entire)


def test_gather_leaves_features_to_a_hook(make_data, panelled, dtype):
    data = make_data(6, 1, 0, shuffled=True)
    comp, y = panelled(np.full((12, 6), np.nan), dtype, CAPACITY), np.full((12, 1), np.nan, dtype)
    gather(comp, y, data, CAPACITY, 8, 5, 0, 1, 12)
    assert np.isnan(comp).all()
    np.testing.assert_array_equal(y[1:], data.labels[data.indices[9:20]])


@pytest.mark.parametrize("n_in", [1, 15, 16, 17, 40, 48])
def test_copy_row(rng, panelled, dtype, n_in):
    x = rng.standard_normal((5, n_in)).astype(dtype)
    comp = panelled(np.full((12, n_in), np.nan), dtype, CAPACITY)
    ref = from_panels(comp, CAPACITY)
    for r, row in [(0, 4), (11, 0), (7, 2)]:
        copy_row(comp, CAPACITY, r, x, row, n_in)
        ref[r, : n_in + 1] = [*x[row], 1]
    np.testing.assert_array_equal(from_panels(comp, CAPACITY), ref)


RANGES = [(0, 12, 0, 48), (3, 9, 0, 16), (0, 1, 16, 48), (11, 12, 32, 48), (4, 4, 0, 48), (2, 7, 16, 16)]


@pytest.mark.parametrize(("r0", "r1", "c0", "c1"), RANGES)
def test_copies_to_panels_and_back(rng, dtype, r0, r1, c0, c1):
    rows, panels = rng.standard_normal((2, CAPACITY, 3 * PAD)).astype(dtype)
    comp = reference.to_panels(panels)
    copy_to_panels(comp, rows, CAPACITY, r0, r1, c0, c1)
    ref = panels.copy()
    ref[r0:r1, c0:c1] = rows[r0:r1, c0:c1]
    np.testing.assert_array_equal(from_panels(comp, CAPACITY), ref)

    comp = rows.copy()
    copy_from_panels(comp, reference.to_panels(panels), CAPACITY, r0, r1, c0, c1)
    ref = rows.copy()
    ref[r0:r1, c0:c1] = panels[r0:r1, c0:c1]
    np.testing.assert_array_equal(comp, ref)


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
