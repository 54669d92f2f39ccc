"""Figures as text: digits that mean something, no more."""

import math

import pytest

from fastnn.app.figures import as_count, as_interval, as_number, as_percent, as_text, as_time, is_number


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (53.2184, 8.5, "53.2"),
        (1234.5, 0.0, "1,234"),
        (0.5, 0.0, "0.500"),
        (5.5e-17, 0.1, "0.00"),  # what rounding leaves beside an interval that wide
        (-5.5e-17, 0.1, "0.00"),
        (3e-5, 0.0, "3e-05"),
        (-0.25, 0.1, "-0.25"),
        (math.nan, 0.0, "\N{EN DASH}"),
    ],
)
def test_digits_of_a_number(value, width, text):
    assert as_number(value, width) == text


def test_intervals():
    assert as_interval({"low": 0.5, "high": 0.75}, True) == "50.0 to 75.0\N{NO-BREAK SPACE}%"
    assert as_interval({}, True) == as_interval({"low": 1.0, "high": 1.0}, False) == "not known"
    assert as_percent(0.5) == "50.0\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("value", "answer"), [(1, True), (0.5, True), (True, False), (math.inf, False), ("1", False)]
)
def test_numbers(value, answer):
    assert is_number(value) == answer


def test_other_values():
    assert as_count("many") == "many"
    assert as_count(12345) == "12,345"
    assert as_text({"a": 0.5, "b": None}) == "a: 0.5, b: "
    assert as_text(list(range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert as_text("x" * 20, 5) == "xxxxx \N{HORIZONTAL ELLIPSIS}"
    assert as_time(59.6).split() == ["60", "s"]
    assert as_time(3600).split() == ["1", "h", "0", "min"]
