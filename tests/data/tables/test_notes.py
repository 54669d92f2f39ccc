"""Sentences on the columns of a table: of many columns one, with the first names and their number."""

import numpy as np
import pytest

from fastnn.data.tables import notes
from fastnn.data.tables.columns import Number
from fastnn.data.tables.encoder import TableEncoder
from fastnn.data.tables.leaks import leaks

pytest.importorskip("pandas")


def test_one_sentence_for_constant_columns():
    table = {"a": [1.0, 2.0, 3.0, 4.0]} | {f"pixel{k}": [0] * 4 for k in range(744)}
    (note,) = TableEncoder().fit(table).notes()
    assert note == (
        "each of 744 columns ('pixel0', 'pixel1', 'pixel2' and 741 more) is left out: "
        "it says the same in every row."
    )


def test_notes_that_differ_in_a_count_are_one():
    table = {f"c{k}": ["red"] * 50 + ["blue"] * 40 + [f"rare {i}" for i in range(k + 1)] + ["red"] * (9 - k)
             for k in range(5)}  # fmt: skip
    assert TableEncoder().fit(table).notes() == [
        "each of 5 columns ('c0', 'c1', 'c2' and 2 more): rare values taken together: 1 to 5."
    ]


def test_two_remarks_on_a_column_are_two_kinds():
    encoder = TableEncoder()
    encoder._learnt = [Number("a", note="in euros; no numbers: 3"), Number("b", note="no numbers: 12")]
    assert encoder.notes() == [
        "the column 'a': in euros.",
        "each of 2 columns ('a', 'b'): no numbers: 3 to 12.",
    ]


def test_leaks_are_grouped():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(100)
    table = {f"y{k}": (k + 1) * (y + 0.008 * k * rng.standard_normal(100)) for k in range(6)}
    (sentence,) = leaks(table, y)
    assert sentence.startswith("each of 6 columns ('y0', 'y1', 'y2' and 3 more) alone tells the target in")
    assert "(correlation 0.9" in sentence
    assert "to 1.0000)" in sentence


def test_no_figure_is_found_in_a_form_or_a_word():
    remarks = [("a", ": read in the form %d.%m"), ("b", ": read in the form %d.%m"), ("c", ": like K7")]
    assert notes.group([*remarks, ("d", ": like K8")]) == [
        "each of 2 columns ('a', 'b'): read in the form %d.%m.",
        "the column 'c': like K7.",
        "the column 'd': like K8.",
    ]


def test_names_that_would_fill_or_confuse_a_terminal():
    assert len(notes.name_columns(["x" * 10_000])) < 100
    assert notes.name_columns(["a\x1b[31m\n"]) == "the column 'a\\x1b[31m\\n'"


def test_the_summary_of_unseen_values_names_a_few_columns():
    table = {f"c{k}": ["red", "blue"] * 50 for k in range(100)}
    encoder = TableEncoder().fit(table)
    encoder.transform({name: ["green"] for name in table})
    assert encoder.unseen_summary() == (
        "Categories unseen or rare in training: 1 of 'c0', 1 of 'c1', 1 of 'c2' and 97 more."
    )
