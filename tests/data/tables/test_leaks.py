"""Columns that give the target away."""

from __future__ import annotations

import numpy as np
import pytest

from data.tables.examples import N, people
from fastnn.data import leaks

pd = pytest.importorskip("pandas")


def test_leaks(rng):
    frame = people()
    y = rng.choice(["lost", "won", "drawn"], N)
    assert leaks(frame, y) == []
    coded = frame.assign(code=pd.factorize(pd.Series(y))[0] * 10 + frame["member"])
    assert leaks(coded, y) == [
        "the column 'code' alone tells the target in every row: leave it out unless it is known beforehand."
    ]
    half = rng.random(N) < 0.5
    assert leaks({"half": np.where(half, "a", None)}, half)[0].startswith("the column 'half' alone")
    values = rng.lognormal(size=N)
    assert leaks(frame, values) == []
    (found,) = leaks(
        frame.assign(unit=values * -2.54 + 1, log=np.log(values), near=values + rng.random(N)), values
    )
    assert found.startswith("each of 2 columns ('unit', 'log') alone tells the target in nearly every")
    assert "row (correlation 1.0000)" in found


def test_rare_classes_are_no_leak(rng):
    """A column that says nothing is right in 99.9 % of the rows, if nearly all are of one class."""
    y = np.zeros(5000, int)
    y[:4] = 1
    assert leaks({"c": rng.choice(["a", "b", "c"], 5000)}, y) == []


@pytest.mark.parametrize("write", [int, str, lambda v: np.int64(v)])
def test_identifiers_beyond_floats_are_no_leak_and_are_one(write, rng):
    ids = [write(2**53 + int(i)) for i in rng.permutation(200)]
    assert leaks({"id": ids}, rng.random(200)) == []
    (found,) = leaks({"id": ids}, [int(i) - 2**53 + 0.5 for i in ids])
    assert "correlation 1.0000" in found
    few = [write(2**53 + i % 3) for i in range(60)]  # floats hold two of the three
    assert "'id' alone" in leaks({"id": few}, ["a", "b", "c"] * 20)[0]


def test_numbers_in_dress_are_compared(rng):
    values = rng.uniform(1000, 2000, 50).round(2)
    (found,) = leaks({"price": [f"${value:,.2f}" for value in values]}, values * 1.19)
    assert "'price' alone" in found
