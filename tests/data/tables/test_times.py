"""Text of clock times and durations."""

from __future__ import annotations

import pytest

from fastnn.data.tables.times import parse_clock, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:23:45", 5025),
        ("100:00", 6000),
        ("1:02.5", 62.5),
        ("-0:30", -30),
        ("1 day, 2:03:04", 93784),
        ("0 days 01:23:45.5", 5025.5),
        ("2 h 5 min", 7500),
        ("2h5m", 7500),
        ("1 hour and 30 minutes", 5400),
        ("1,5 hrs", 5400),
        ("90 s", 90),
        ("250 ms", 0.25),
        ("2 Std. 10 Min.", 7800),
        ("PT1H", 3600),
        ("P1DT2H3M4.5S", 93784.5),
        ("P2W", 1209600),
        ("P", None),
        ("soon", None),
        ("", None),
        ("1:75:00", None),
        ("5 apples", None),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_two_numbers():
    assert parse_duration("40:30", "h:m") == 145800
    assert parse_duration("1:02:03", "h:m") == parse_duration("1:02:03", "m:s") == 3723


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00", 0),
        ("24:00", 86400),
        ("9:05", 32700),
        ("14:05:30.25", 50730.25),
        ("12:00 AM", 0),
        ("12:30 p.m.", 45000),
        ("2pm", 50400),
        ("14h30", 52200),
        ("14.05 Uhr", 50700),
        ("14:05 Uhr", 50700),
        ("T14:05:00Z", 50700),
        ("14.05", None),
        ("13 PM", None),
        ("24:01", None),
        ("7:60", None),
        ("14", None),
        ("1:2", None),
        ("-1:20", None),
    ],
)
def test_clock_times(text, seconds):
    assert parse_clock(text) == seconds
