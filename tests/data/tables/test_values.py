"""Values of a column: distinct ones, dtypes, and content that cannot be encoded."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.data.tables.values import (
    MISSING_WORDS,
    NULLS,
    distinct_values,
    is_missing_word,
    plain_column,
    unusable_content,
)

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


def test_distinct_values():
    codes, values = distinct_values(pd.Series(["b", None, "a", "b"]))
    assert (codes.tolist(), values) == ([0, -1, 1, 0], ["b", "a"])
    codes, values = distinct_values(pd.Series([1, True, "1", None], dtype=object))
    assert (codes.tolist(), values) == ([0, 1, 0, -1], ["1", "True"])
    codes, values = distinct_values(pd.Series(pd.Categorical(["x", None], ["y", "x"])))
    assert (codes.tolist(), values) == ([1, -1], ["y", "x"])


def test_plain_columns():
    arrow = pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64()))
    assert plain_column(arrow).isna().tolist() == [False, True]
    assert not isinstance(plain_column(arrow).dtype, pd.ArrowDtype)
    assert plain_column(pd.Series(pd.arrays.SparseArray([0.0, 2.0]))).dtype == np.float64
    with pytest.raises(ValueError, match="the column 'z' holds complex numbers"):
        plain_column(pd.Series([1j], name="z"))


def test_content_that_cannot_be_encoded():
    for value, content in (([1], "lists"), ({}, "objects"), (b"", "bytes"), ("a", ""), (1.5, "")):
        assert unusable_content(pd.Series([None, value], dtype=object)) == content


def test_words_for_a_missing_value():
    assert all(map(is_missing_word, ["", " N/A ", "?", "NaN", "#DIV/0!"]))
    assert not any(map(is_missing_word, ["0", "no", None, 0]))


def test_what_is_missing_in_text_is_missing_in_numbers():
    assert {word.lower() for word in NULLS} <= MISSING_WORDS


def test_halves_of_surrogate_pairs():
    for values in (["\ud800", 1, True], ["a", 2.5, "\udfff"]):
        with pytest.raises(ValueError, match="column 'x' holds text that is no Unicode"):
            distinct_values(pd.Series(values, dtype=object, name="x"))
