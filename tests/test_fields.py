"""Entries of files, checked against type hints, and JSON that no honest program writes."""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, Literal

import pytest

from fastnn._fields import Count, Positive, Range, Size, read_fields, read_record


def read(value, hint):
    return read_fields({"entry": value}, {"entry": hint}, "record")["entry"]


@pytest.mark.parametrize(
    ("value", "hint", "ref"),
    [
        (True, bool, True),
        (3, int, 3),
        (3, float, 3.0),
        ("naïve", str, "naïve"),
        (None, None, None),
        ({"a": [1]}, Any, {"a": [1]}),
        (2, Literal[1, 2], 2),
        ("a", str | None, "a"),
        (None, str | None, None),
        ([1, True, "x", 0.5, math.inf], list[str | bool | int | Annotated[float, Range(finite=False)]], ...),
        ([1, 2.5], list[float], [1.0, 2.5]),
        (["a", 2], tuple[str, int], ("a", 2)),
        ({"a": 2}, dict[str, float], {"a": 2.0}),
        (0, Count, 0),
        (1, Size, 1),
        (5e-324, Positive, 5e-324),
        (1, Annotated[float, Range(0, 1)], 1.0),
    ],
)
def test_what_fits(value, hint, ref):
    found = read(value, hint)
    ref = value if ref is ... else ref
    assert found == ref
    assert list(map(type, found if isinstance(found, list) else [found])) == list(
        map(type, ref if isinstance(ref, list) else [ref])
    )


@pytest.mark.parametrize(
    ("value", "hint", "reason"),
    [
        (1, bool, "record.entry must be true or false, got 1."),
        (True, int, "record.entry must be an integer, got True."),
        (1.0, int, "record.entry must be an integer, got 1.0."),
        (True, float, "record.entry must be a finite number, got True."),
        ("1", float, "record.entry must be a finite number, got '1'."),
        (math.nan, float, "record.entry must be a finite number, got nan."),
        (math.inf, float, "record.entry must be a finite number, got inf."),
        (10**400, float, "record.entry must be a finite number, got an integer of 1329 bits."),
        (math.nan, Annotated[float, Range(finite=False)], "record.entry must be a number, got nan."),
        ("\ud800", str, "record.entry must be text of valid characters, got '\\ud800'."),
        (1, str, "record.entry must be text, got 1."),
        (0, None, "record.entry must be null, got 0."),
        (3, Literal[1, 2], "record.entry must be one of 1, 2, got 3."),
        (True, Literal[1, 2], "record.entry must be one of 1, 2, got True."),
        (1, str | None, "record.entry must be text or null, got 1."),
        (["a", 1], list[str] | None, "record.entry[1] must be text, got 1."),
        ("ab", list[str], "record.entry must be a list, got 'ab'."),
        ({}, list[str], "record.entry must be a list, got {}."),
        ([[1, [2.5]]], list[tuple[int, list[int]]], "record.entry[0][1][0] must be an integer, got 2.5."),
        ([1], tuple[int, int], "record.entry must be a list of 2 values, got [1]."),
        ([], dict[str, int], "record.entry must be an object with named entries, got []."),
        ({"a": "b"}, dict[str, int], "record.entry['a'] must be an integer, got 'b'."),
        ({1: 1}, dict[str, int], "record.entry[1] must be text, got 1."),
        (-1, Count, "record.entry must be an integer from 0 to 4611686018427387904, got -1."),
        (0, Size, "record.entry must be an integer from 1 to 2147483647, got 0."),
        (2**31, Size, "record.entry must be an integer from 1 to"),
        (0, Positive, "record.entry must be a finite number above 0, got 0."),
        (2, Annotated[float, Range(0, 1)], "record.entry must be a finite number from 0 to 1, got 2."),
    ],
)
def test_what_does_not(value, hint, reason):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(value, hint)
    assert str(caught.value).startswith(reason)


def test_names():
    fields = {"a": int, "b": int}
    assert read_fields({"a": 1}, fields, "record", optional=["b"]) == {"a": 1}
    with pytest.raises(ValueError, match=r"^record lacks the entry 'b'\.$"):
        read_fields({"a": 1}, fields, "record")
    with pytest.raises(ValueError, match=r"^record has the entry 'c', which this fastnn does not know\.$"):
        read_fields({"a": 1, "b": 1, "c": 1}, fields, "record")
    for other in ([], "a", 5, None):
        with pytest.raises(ValueError, match=r"^record must be an object with named entries, got"):
            read_fields(other, fields, "record")


def test_a_hint_that_cannot_be_checked_is_the_programs_own_fault():
    with pytest.raises(TypeError, match="cannot be checked"):
        read(1, set[int])


@dataclasses.dataclass
class Base:
    kind: ClassVar[str] = "base"
    name: str
    size: Size = 1


@dataclasses.dataclass
class Derived(Base):
    words: list[str] = dataclasses.field(default_factory=list)


def test_the_fields_of_a_dataclass_are_its_description():
    assert read_record(Derived, {"name": "a"}, "record") == Derived("a")
    assert read_record(Derived, {"name": "a", "size": 2, "words": ["b"]}, "record") == Derived("a", 2, ["b"])
    with pytest.raises(ValueError, match="record lacks the entry 'name'"):
        read_record(Derived, {}, "record")
    with pytest.raises(ValueError, match="record has the entry 'kind'"):
        read_record(Derived, {"name": "a", "kind": "base"}, "record")
    with pytest.raises(ValueError, match=r"record.words\[0\] must be text"):
        read_record(Derived, {"name": "a", "words": [1]}, "record")
