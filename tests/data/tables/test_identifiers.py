"""Digits that are names."""

from __future__ import annotations

import decimal

import numpy as np
import pytest

from fastnn.data.tables.identifiers import is_long_integer, names_things


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(2**60),
        str(2**53 + 1),
        f" -{10**25} ",
        decimal.Decimal(2**64),
        decimal.Decimal("1E+999"),
        "9" * 5000,
    ],
)
def test_long_integers(value):
    assert is_long_integer(value)


@pytest.mark.parametrize("value", [2**53, "9007199254740992", 1e300, "1e300", "1" * 15, "x", None, True])
def test_other_values(value):
    assert not is_long_integer(value)


@pytest.mark.parametrize(
    ("values", "are_names"),
    [
        (["007", "12"], True),
        (["+49 170 1234567", "+4917012345"], True),
        (["555 123 4567", "555 987 6543"], True),
        ([2**60, 2**60 + 1, 5], True),
        ([2**60, 4, 5], False),
        (["0.5", "0"], False),
        (["12 345", "1 234 567"], False),
        ([], False),
    ],
)
def test_names(values, are_names):
    assert names_things(values, np.ones(len(values), int)) is are_names
