"""Streams of files: samples, labels, values that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from data.streams.examples import N_ROWS, make_rows, make_trainer, numbered, numbers
from fastnn.data import ArrayStream, Target


def test_sample_and_load():
    stream = numbered(20_000, block_rows=1000).split(test=0.3).train
    own = np.concatenate(numbers(stream.blocks(None)))
    for n in (1, 100, 5000, stream.n_rows, 10**6):
        rows, y = stream.sample(n)
        assert len(np.unique(y)) == len(y) == min(n, stream.n_rows)
        np.testing.assert_array_equal(rows[:, 0], y)
        assert np.isin(y, own).all()
        assert n < 100 or (np.ptp(y) > 15_000 and len(np.unique(y // 100)) > 30)
        x, y_loaded = stream.load(n)
        np.testing.assert_array_equal(y_loaded, y)
        assert x.dtype == np.float64
    assert (stream.sample(100, seed=1)[1] != stream.sample(100)[1]).any()
    np.testing.assert_array_equal(stream.load()[1], own)


def test_values_that_are_not_finite_are_named():
    x, y = make_rows()
    for wrong in ([17], [3, 999], [*range(10)]):
        bad = x.copy()
        bad[wrong, 2] = np.nan
        listed = f"row{'s' * (len(wrong) > 1)} {', '.join(map(str, wrong[:5]))}"
        trainer = make_trainer()
        with pytest.raises(ValueError, match=f"x has values that are NaN or infinite in {listed}"):
            trainer.fit(ArrayStream(bad, y), verbose=0)
    with pytest.raises(ValueError, match="y has values that are NaN or infinite in row 5"):
        make_trainer(2, loss="mse").fit(
            ArrayStream(x, np.where(np.arange(N_ROWS) == 5, np.inf, 0.0)), verbose=0
        )


def test_distinct_labels_are_those_of_the_files(npy):
    x, _ = make_rows()
    y = np.arange(N_ROWS) % 3 + 5
    target = Target().fit(y)
    stream = ArrayStream(x, y, block_rows=64, target_encoder=target)
    assert stream.distinct_labels().tolist() == [5, 6, 7]
    assert stream.count_labels().tolist() == [334, 333, 333]
    assert stream.target_encoder is target
