"""The text by which labels are compared."""

from __future__ import annotations

import decimal

import numpy as np
import pytest

from fastnn._labels import distinct_labels, find_classes, label_text, similar_labels


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.float32(2), "2"),
        (decimal.Decimal("3.0"), "3"),
        (decimal.Decimal("1E+999999999"), "1E+999999999"),
        (1.5, "1.5"),
        (2**60 + 1, str(2**60 + 1)),
        (True, "True"),
        ("\u00a0yes\t", "yes"),
        ("\ufeffyes\u200b", "yes"),
        ("e\u0301", "\u00e9"),
        ("New  York", "New  York"),
        (np.str_(" a"), "a"),
    ],
)
def test_text(value, text):
    assert label_text(value) == text


def test_distinct():
    values, inverse = distinct_labels(np.array([1, True, "1", 1, 2**64], object))
    assert values == [1, True, "1", 2**64]
    assert inverse.tolist() == [0, 1, 2, 0, 3]
    values, inverse = distinct_labels(np.array([["b"], ["a"]]))
    assert (values, inverse.tolist()) == (["a", "b"], [1, 0])
    assert find_classes([" b", "a", "b"]) == ["a", "b"]


def test_similar():
    assert similar_labels(["yes", "no", "1"]) == ""
    assert similar_labels(["a b", "A B", "ab"]).startswith(
        "that differ only by case or spaces: 'A B' and 'a b' and 'ab'"
    )


def test_integers_of_any_length():
    long, longer = 7**20_000, 7**20_000 + 1
    assert label_text(long) != label_text(longer)
    assert find_classes([long, longer, long]) == [long, longer]
