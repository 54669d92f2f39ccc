"""Numbers as people write them."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from fastnn.data.tables.written import NumberForm, learn_form, parse_numbers

NBSP, THIN, MINUS, QUOTE = "\u00a0", "\u202f", "\u2212", "\u2019"


def read(values, hint=""):
    """Learn a column's form, and read it in that."""
    learnt = learn_form(values, np.ones(len(values), int), hint)
    if learnt.form is None:
        return None
    numbers, readable = parse_numbers(values, learnt.form)
    assert readable.all()
    return numbers.tolist()


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$1,234", "$12,345.50", "-$3", "$-4", "($5.00)"], [1234, 12345.5, -3, -4, -5]),
        (["US$ 1,234", "US$ 2"], [1234, 2]),
        (["1.234,50 €", "12,00 €", "-3 €"], [1234.5, 12, -3]),
        (["EUR 1.234", "EUR 12"], [1234, 12]),
        (["CHF 12'345.-", f"CHF 1{QUOTE}000.50"], [12345, 1000.5]),
        (["Rs. 12,34,567", "Rs. 1,23,456.5"], [1234567, 123456.5]),
        (["Rs. 500/-", "Rs 12,34,567/-"], [500, 1234567]),
        (["12,34,567", "99,999"], [1234567, 99999]),
        (["5.3%", "12 %", "0"], [5.3, 12, 0]),
        (["5,3%", "12 %"], [5.3, 12]),
        ([f"1{NBSP}234,5", f"1{THIN}234{THIN}567", "12"], [1234.5, 1234567, 12]),
        (["1_234", "5_678_901"], [1234, 5678901]),
        (["1,5E+03", "2,5e-1"], [1500, 0.25]),
        (["1.5\u00d710\u00b3", "2 x 10^2"], [1500, 200]),
        (["1.5D+02", "-2.5d-01", "4.0D+00"], [150, -0.25, 4]),  # of Fortran
        ([f"{MINUS}5", "5-", "+3", "(2)"], [-5, -5, 3, -2]),
        (["1.5k", "2M", "300", "1bn"], [1500, 2e6, 300, 1e9]),
        (["1.2K", "961"], [1200, 961]),
        (["1.8 m", "1.75"], [1.8, 1.75]),
        (["~5", "6*", "7 \u2020"], [5, 6, 7]),
        (["1 000 kr", "kr 5"], [1000, 5]),
        (["$1.5k", "$2.5k"], [1500, 2500]),
        (["70.1 kg", "82 kg", "75"], [70.1, 82, 75]),
        (["1 room", "3 rooms"], [1, 3]),
        (["5 m/s\u00b2", "6.5 m/s2"], [5, 6.5]),
        (["\uff11\uff12", "3"], [12, 3]),
        (["1.234.567", "89"], [1234567, 89]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1234.567", "1.234"], [1234.567, 1.234]),
        (["1", 2, 3.5, True], [1, 2, 3.5, 1]),
        (["1,5", 2.5, datetime.timedelta(minutes=1)], [1.5, 2.5, 60]),
    ],
)
def test_numbers_in_their_dress(texts, numbers):
    assert read(texts) == numbers


@pytest.mark.parametrize(
    "texts",
    [
        ["70.1 kg", "155 lb"],
        ["5.3%", "0.053"],
        ["5 mW", "5 MW"],
        ["1.2.3", "1.10.0"],
        ["192.168.100.200", "192.168.100.201"],
        ["555-1234", "555-9876"],
        ["+49 170 1234567", "+49 171 1234567"],
        ["A12", "B13"],
        ["v1", "v2"],
        ["12 Main Street", "7 Hill Road"],
        ["2 PM", "11 AM"],
        ["2024-01-05", "2024-01-06"],
        ["5-10%", "10-20%"],
        ["12\u00b2", "13\u00b2"],
        ["1\u00bd", "2\u00bd"],
        ["<5", ">7"],
        ["1/2", "3/4"],
        ["3 of 5", "4 of 5"],
        ["1st", "2nd"],
        ["12", "7a", "12b"],
    ],
)
def test_what_is_no_column_of_numbers(texts):
    assert read(texts) is None


def test_what_a_point_means_is_decided_by_the_column():
    unsure = [f"{i}.{i}00" for i in range(1, 10)] + ["12.000", "13.500"]
    assert read(unsure)[:2] == [1.1, 2.2]
    assert read(unsure, ",")[:2] == [1100, 2200]
    assert read([*unsure, "7", "850"])[:2] == [1100, 2200]  # smaller numbers have no point
    assert read([*unsure, "7", "1850"])[:2] == [1.1, 2.2]
    assert read([*unsure, "0.500"])[:2] == [1.1, 2.2]
    assert read([*unsure, "1.5"])[:2] == [1.1, 2.2]
    assert read([*unsure, "1.000.000"])[:2] == [1100, 2200]
    assert read([text + " €" for text in unsure])[:2] == [1100, 2200]
    commas = [text.replace(".", ",") for text in unsure]
    assert read(commas)[:2] == [1100, 2200]
    assert read(commas, ",")[:2] == [1.1, 2.2]
    assert read([*commas, "1,5"])[:2] == [1.1, 2.2]
    for texts, hint, note in (
        (unsure, "", "'1.100' is read as 1.1: '.' is the decimal sign"),
        (unsure, ",", "'1.100' is read as 1100: '.' groups thousands"),
        (commas, "", "'1,100' is read as 1100: ',' groups thousands"),
        ([*commas, "1,5"], "", ""),
    ):
        assert learn_form(texts, np.ones(len(texts), int), hint).note == note


def test_mixed_units_are_named():
    learnt = learn_form(["70.1 kg", "155 lb", "80 kg"], np.array([5, 3, 1]))
    assert learnt.note == "numbers in several units ('kg', 'lb'), which are not compared"
    assert (
        learn_form(["5%", "0.05"], np.ones(2, int)).note
        == "numbers with and without %, which are not compared"
    )


def test_a_form_reads_no_other():
    numbers, readable = parse_numbers(
        ["1.234,5", "$5", "5 lb", "1,234.5", "12.5", "7", "?"], NumberForm(",", unit="€")
    )
    assert numbers[:1].tolist() == [1234.5]
    assert readable.tolist() == [True, False, False, False, False, True, True]


def test_examples():
    assert NumberForm(thousands=",", unit="$").example() == "$1,234.5"
    assert NumberForm(",", " ", "%").example() == "1 234,5 %"
    assert NumberForm().is_plain


SIGNS = [
    (".", ","),
    (",", "."),
    (".", ""),
    (",", ""),
    (".", "'"),
    (",", NBSP),
    (".", "_"),
    (",", THIN),
    (".", QUOTE),
]
UNITS = [
    ("", ""),
    ("$", ""),
    ("", "%"),
    ("", " kg"),
    ("€ ", ""),
    ("", " €"),
    ("CHF ", ""),
    ("R$ ", ""),
    ("", " km/h"),
]


def dress(value, places, signs, unit, negative):
    """Write a number."""
    number = f"{abs(value):,.{places}f}".translate(str.maketrans(",.", "\0\1"))
    number = unit[0] + number.replace("\0", signs[1]).replace("\1", signs[0]) + unit[1]
    return negative.replace("x", number) if value < 0 else number


def test_numbers_in_any_dress(rng):
    """What is written in a form is read in it, or called unsure."""
    n_unsure = 0
    for _ in range(300):
        places, scale = int(rng.integers(0, 5)), 10.0 ** rng.integers(-1, 8)
        signs, unit = SIGNS[rng.integers(len(SIGNS))], UNITS[rng.integers(len(UNITS))]
        negative = ["-x", "(x)", "x-", MINUS + "x"][rng.integers(4)]
        numbers = np.round(rng.normal(0, scale, rng.integers(3, 40)), places) + 0.0
        texts = {dress(value, places, signs, unit, negative): value for value in numbers}
        learnt = learn_form(list(texts), np.ones(len(texts), int))
        found, readable = parse_numbers(list(texts), learnt.form)
        assert readable.all()
        if learnt.sign == "unsure":
            n_unsure += 1
        else:
            np.testing.assert_allclose(found, list(texts.values()), rtol=1e-12, atol=1e-12)
    assert n_unsure < 30
