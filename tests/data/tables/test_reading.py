"""How a file is written, as it is said."""

from __future__ import annotations

import pytest

from fastnn.data import Reading


def test_words_for_delimiters():
    words = {"tab": "\t", "\\t": "\t", "semicolon": ";", "space": "whitespace", "whitespace": "whitespace"}
    for word, delimiter in words.items():
        assert Reading(delimiter=word).delimiter == delimiter
    assert Reading(missing="-9") == Reading(missing=["-9"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delimiter": ""}, "delimiter must be one ASCII character or one of comma, .*, got ''"),
        ({"delimiter": "ab"}, "got 'ab'"),
        ({"delimiter": "\n"}, "delimiter must be"),
        ({"delimiter": "ü"}, "delimiter must be"),
        ({"encoding": "nope"}, "encoding must be one of Python's, such as cp1252, got 'nope'"),
        ({"encoding": "base64"}, "encoding must be"),
        ({"encoding": ""}, "encoding must be"),
        ({"encoding": "a\0b"}, "encoding must be"),
        ({"comment": " "}, "comment must be"),
        ({"skip_rows": -1}, "skip_rows must be"),
        ({"decimal": ";"}, "decimal must be '.' or ',', got ';'"),
    ],
)
def test_what_cannot_be_used(values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Reading(**values)


def test_what_a_file_does_not_use():
    reading = Reading(header=False, sheet="2", missing=["-9"])
    assert reading.unused(("header",)) == ["sheet", "missing"]
    assert Reading().unused(()) == []
