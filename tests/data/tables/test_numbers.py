"""Columns of numbers: their scale, and text among them."""

from __future__ import annotations

import numpy as np
import pytest

from data.tables.examples import column
from fastnn.data import TableEncoder
from fastnn.data.tables.numbers import center_and_scale, smooth_clip

pd = pytest.importorskip("pandas")


def test_numbers_by_hand(dtype):
    x = np.array([1.0, 2.0, np.nan, 3.0, 4.0, 1000.0, np.inf])
    encoder = TableEncoder(dtype=dtype).fit({"x": x})
    state = column(encoder, "x")
    assert (state["fill"], state["center"], state["scale"], state["indicator"]) == (3.0, 3.0, 2.0, True)
    assert state["missing"] == 2
    found = encoder.transform({"x": x})
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    z = (np.array([1, 2, 3, 3, 4, 1000, 3.0]) - 3) / 2
    ref = np.column_stack([z / np.sqrt(1 + (z / 3) ** 2), np.isin(np.arange(7), [2, 6])])
    np.testing.assert_array_equal(found, ref.astype(dtype))


def test_scale():
    assert center_and_scale(np.array([0.0] * 9 + [10.0])) == (0.0, 3.0)  # no range: standard deviation
    assert center_and_scale(np.array([7.0])) == (7.0, 1.0)
    assert center_and_scale(np.array([-1.7e308, 1.7e308, 1.7e308, -1.7e308])) == (1.7e308, 1.0)
    np.testing.assert_array_equal(smooth_clip(np.array([-1e300, 0, 1e300])), [-3, 0, 3])


def test_text_in_a_column_of_numbers():
    encoder = TableEncoder().fit({"x": np.arange(20) % 6, "c": ["a", "b"] * 10})
    x = encoder.transform({"x": [1, "oops", "2", "3"], "c": list("abab")})
    assert x[1, 0] == 0
    assert encoder.unread == {"x": 1}
    assert encoder.unseen_summary() == "Values that cannot be read, taken as missing: 1 of 'x'."
    with pytest.raises(ValueError, match="'x' held numbers in training, but now text such as 'red'"):
        encoder.transform({"x": ["red"] * 10, "c": ["a"] * 10})
    with pytest.raises(ValueError, match="'x' held numbers in training, but now dates"):
        encoder.transform({"x": pd.date_range("2020-01-01", periods=2), "c": ["a", "b"]})
    dates = TableEncoder().fit({"t": pd.date_range("2020-01-01", periods=50)})
    with pytest.raises(ValueError, match="'t' held dates in training, but now numbers"):
        dates.transform({"t": [1.5]})
    with pytest.raises(ValueError, match="'t' held dates in training, but now text such as 'soon'"):
        dates.transform({"t": ["soon"] * 10})
    with pytest.raises(ValueError, match="complex"):
        encoder.transform({"x": [1j], "c": ["a"]})
