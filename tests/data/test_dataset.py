"""Data sets: their names, and rows taken from them."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.data import name_of, take


def test_names_are_fit_for_files(tmp_path):
    (tmp_path / "v1.5").mkdir()
    assert name_of(tmp_path / "v1.5") == "v1.5"
    assert name_of(tmp_path / "flowers.csv.gz") == "flowers"
    assert name_of(tmp_path / ".csv") == ".csv"


def test_rows_keep_their_type():
    indices = np.array([2, 0])
    assert take(["a", "b", "c"], indices) == ["c", "a"]
    np.testing.assert_array_equal(take(np.arange(3), indices), [2, 0])
    frame = pytest.importorskip("pandas").DataFrame({"x": [1, 2, 3]})
    assert take(frame, indices).x.tolist() == [3, 1]
