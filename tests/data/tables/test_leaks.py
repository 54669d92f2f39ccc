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
    found = leaks(
        frame.assign(unit=values * -2.54 + 1, log=np.log(values), near=values + rng.random(N)), values
    )
    assert [sentence.split("'")[1] for sentence in found] == ["unit", "log"]
    assert "nearly every row (correlation 1.0000)" in found[0]


def test_rare_classes_are_no_leak(rng):
    """A column that says nothing is right in 99.9 % of the rows, if nearly all are of one class."""
    y = np.zeros(5000, int)
    y[:4] = 1
    assert leaks({"c": rng.choice(["a", "b", "c"], 5000)}, y) == []
