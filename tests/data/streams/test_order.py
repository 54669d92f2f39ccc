"""The order of rows: every row once an epoch, mixed, in disjoint shares."""

from __future__ import annotations

import numpy as np
import pytest

from data.streams.examples import numbered, numbers
from fastnn.data.streams.order import Runs, Share


@pytest.mark.parametrize("block_rows", [1, 7, 100, 5000])
@pytest.mark.parametrize("seed", [None, 0, 2**64 - 1])
def test_every_row_comes_once_an_epoch(block_rows, seed):
    stream = numbered(1003, block_rows=block_rows)
    for multiple in (1, 6):
        blocks = list(stream.blocks(seed, multiple=multiple))
        for x, y in blocks:
            np.testing.assert_array_equal(x[:, 0], y)
        assert all(len(y) % multiple == 0 for _, y in blocks[:-1])
        order = np.concatenate(numbers(blocks))
        np.testing.assert_array_equal(np.sort(order), np.arange(1003))
        if seed is None:
            np.testing.assert_array_equal(order, np.arange(1003))
        for first in (multiple, 6 * 57, 996):
            rest = np.concatenate(numbers(stream.blocks(seed, first, multiple)))
            np.testing.assert_array_equal(rest, order[first:])


def test_orders_are_those_of_their_seeds_and_mix_places():
    stream = numbered(100_000, block_rows=4096)
    first, again, other = (np.concatenate(numbers(stream.blocks(seed))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.99
    blocks = numbers(stream.blocks(1))
    for block in blocks[:-1]:
        assert np.ptp(block) > 60_000
        assert len(np.unique(block // 256)) >= 16
        assert abs(np.corrcoef(np.arange(len(block)), block)[0, 1]) < 0.1
    assert abs(np.corrcoef(np.arange(100_000), first)[0, 1]) < 0.1
    # Sorted by class, every batch has rows of most of ten classes.
    batches = (first // 10_000)[: 100_000 // 64 * 64].reshape(-1, 64)
    assert np.median([len(np.unique(batch)) for batch in batches]) >= 7


def test_split(npy):
    stream = numbered(20_000, block_rows=1000)
    parts = stream.split(validation=0.05, test=0.1, seed=3)
    rows = [np.concatenate(numbers(part.blocks(0))) for part in parts]
    for part, of_part, share in zip(parts, rows, (0.85, 0.05, 0.1), strict=True):
        assert part.n_rows == len(of_part) == pytest.approx(20_000 * share, rel=0.1)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(20_000))
    assert abs(rows[2].mean() - 10_000) < 4 * 5800 / np.sqrt(2000)
    same, other = (stream.split(validation=0.05, test=0.1, seed=seed).test for seed in (3, 4))
    np.testing.assert_array_equal(np.sort(np.concatenate(numbers(same.blocks(1)))), np.sort(rows[2]))
    assert len(np.intersect1d(np.concatenate(numbers(other.blocks(None))), rows[2])) < 400
    # A part is split as the whole is, by numbers of its own.
    again = parts.train.split(test=0.2, seed=3)
    assert again.test.n_rows == pytest.approx(0.2 * parts.train.n_rows, rel=0.1)
    assert np.isin(np.concatenate(numbers(again.test.blocks(None))), rows[0]).all()
    assert again.validation is None
    with pytest.raises(ValueError, match=r"take 1\.1 of the rows: expected less than 1"):
        stream.split(validation=0.5, test=0.6)
    with pytest.raises(ValueError, match="of 5 rows, none fell to test"):
        numbered(5).split(test=0.001)


def test_runs_and_windows():
    runs = Runs.cut([5, 0, 4], 3)
    assert (runs.starts.tolist(), runs.stops.tolist(), runs.pieces.tolist()) == (
        [0, 3, 5, 8],
        [3, 5, 8, 9],
        [0, 0, 2, 2],
    )
    part = runs.take(Share(0, 0.0, 0.5))
    rows = part.rows_of(np.arange(4))
    assert 0 < len(rows) == part.n_rows < runs.n_rows == 9
    np.testing.assert_array_equal(rows, np.arange(9)[Share(0, 0.0, 0.5).contains(np.arange(9))])
    window = part.sample(len(rows) - 1, seed=0)
    sampled = part.rows_of(np.arange(4), window)
    assert len(sampled) == window.counts.sum() == len(rows) - 1
    assert np.isin(sampled, rows).all()
    # Neither the share nor the window has changed what it was made from.
    assert (runs.n_rows, part.n_rows) == (9, len(rows))


def test_random_numbers_are_those_of_splitmix64():
    """The first numbers of the generator that starts from 0 (Vigna's reference)."""
    numbers = np.array([0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F], np.uint64)
    for row, number in enumerate((numbers >> np.uint64(11)) * 2.0**-53):
        assert Share(0, number, np.nextafter(number, 1)).contains(np.array([row])).all()
