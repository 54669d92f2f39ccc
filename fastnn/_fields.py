"""Entries of JSON, checked against type hints: a file may be damaged, or come from a stranger.

A record is described once, by a mapping of names to hints or by the fields of a dataclass, and everything
that is read is checked against that description: names, types, ranges, finiteness. What a hint cannot
express, such as two lists of the same length, is left to the record.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from ._checks import shown

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Range:
    """Interval of numbers, as an annotation: (low, high] if `open_low`, else [low, high]."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    finite: bool = True

    def __contains__(self, number: float) -> bool:
        above = self.low < number or (self.low == number and not self.open_low)
        return above and number <= self.high and (math.isfinite(number) or not self.finite)

    def __str__(self) -> str:
        low = "" if math.isinf(self.low) else f" {'above' if self.open_low else 'from'} {self.low}"
        return low + ("" if math.isinf(self.high) else f" to {self.high}")


Count = Annotated[int, Range(0, 2**62)]
Size = Annotated[int, Range(1, 2**31 - 1)]
Positive = Annotated[float, Range(0, open_low=True)]
Dtype = Literal["float32", "float64"]

_WORDS = {bool: "true or false", int: "an integer", str: "text", type(None): "null"}


class _WrongError(ValueError):
    """A value that does not fit: where it is within the record, and what was expected."""

    def __init__(self, expected: str, value: Any, place: str = "") -> None:
        super().__init__(expected)
        self.expected, self.value, self.place = expected, value, place


def read_fields(
    record: Any, fields: Mapping[str, Any], where: str, optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return the entries of a record, each of them checked.

    Parameters
    ----------
    record : dict
        As JSON gives it.
    fields : mapping of str to type hint
        bool, int, float (finite), str (valid Unicode), None, Any, Literal, unions, ``list[...]``,
        ``tuple[..., ...]`` of a fixed length, ``dict[str, ...]``, and ``Annotated[..., Range(...)]``.
    where : str
        What messages call the record.
    optional : collection of str
        Names that the record may lack.

    Raises
    ------
    ValueError
        If an entry is missing, unknown, or not what its hint says.

    Examples
    --------
    >>> read_fields({"scale": [1, 2.5]}, {"scale": list[Positive]}, "encoder")
    {'scale': [1.0, 2.5]}
    >>> read_fields({"scale": [1, -2.5]}, {"scale": list[Positive]}, "encoder")
    Traceback (most recent call last):
    ValueError: encoder.scale[1] must be a finite number above 0, got -2.5.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"{where} must be an object with named entries, got {shown(record)}.")
    missing = [name for name in fields if name not in record and name not in optional]
    if missing:
        raise ValueError(f"{where} lacks the entry {missing[0]!r}.")
    values = {}
    for name, value in record.items():
        if name not in fields:
            raise ValueError(f"{where} has the entry {shown(name)}, which this fastnn does not know.")
        try:
            values[name] = _checker(fields[name])(value)
        except _WrongError as wrong:
            raise ValueError(
                f"{where}.{name}{wrong.place} must be {wrong.expected}, got {shown(wrong.value)}."
            ) from None
    return values


def read_record(kind: type[T], record: Any, where: str) -> T:
    """Return the dataclass of a record whose entries are its fields; those with defaults may be missing.

    Raises
    ------
    ValueError
        As :func:`read_fields` does.
    """
    fields, optional = _fields_of(kind)  # type: ignore[arg-type]  # mypy takes no class as hashable
    return kind(**read_fields(record, fields, where, optional))


@functools.cache
def _fields_of(kind: Hashable) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the hints of a dataclass's fields, and the names of those with defaults."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    optional = [
        field.name
        for field in fields
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    ]
    return {field.name: hints[field.name] for field in fields}, frozenset(optional)


@functools.cache
def _checker(hint: Any) -> Callable[[Any], Any]:
    """Return the function that returns a value of a hint as Python holds it, or raises _WrongError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value: value
    if hint is float:
        return functools.partial(_check_number, Range())
    if hint in _WORDS or hint is None:
        return functools.partial(_check_type, type(None) if hint is None else hint)
    if origin is Annotated:
        base, limits = arguments
        return functools.partial(_check_number if base is float else _check_integer, limits)
    if origin is Literal:
        return functools.partial(_check_literal, arguments)
    if origin in (Union, types.UnionType):
        return functools.partial(_check_union, tuple(map(_checker, arguments)))
    if origin is list:
        return functools.partial(_check_list, _checker(*arguments))
    if origin is tuple:
        return functools.partial(_check_tuple, tuple(map(_checker, arguments)))
    if origin is dict:
        return functools.partial(_check_dict, _checker(arguments[1]))
    raise TypeError(f"entries cannot be checked against the hint {hint!r}.")


def _check_type(kind: Any, value: Any) -> Any:
    if type(value) is not kind:
        raise _WrongError(_WORDS[kind], value)
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _WrongError("text of valid characters", value) from None
    return value


def _check_number(limits: Range, value: Any) -> float:
    number = value
    if type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    if type(number) is not float or number not in limits:
        raise _WrongError(f"a{' finite' if limits.finite else ''} number{limits}", value)
    return number


def _check_integer(limits: Range, value: Any) -> int:
    if type(value) is not int or not limits.low <= value <= limits.high:
        raise _WrongError(f"an integer{limits}", value)
    return value


def _check_literal(allowed: tuple[Any, ...], value: Any) -> Any:
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise _WrongError(f"one of {', '.join(map(str, allowed))}", value)
    return value


def _check_union(checkers: tuple[Callable[[Any], Any], ...], value: Any) -> Any:
    wrongs = []
    for check in checkers:
        try:
            return check(value)
        except _WrongError as wrong:
            wrongs.append(wrong)
    deepest = max(wrongs, key=lambda wrong: len(wrong.place))
    if not deepest.place:
        deepest.expected = " or ".join(wrong.expected for wrong in wrongs)
    raise deepest


def _check_list(check: Callable[[Any], Any], value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _WrongError("a list", value)
    return _check_each((check for _ in value), value)


def _check_tuple(checkers: tuple[Callable[[Any], Any], ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or len(value) != len(checkers):
        raise _WrongError(f"a list of {len(checkers)} values", value)
    return tuple(_check_each(checkers, value))


def _check_each(checkers: Iterable[Callable[[Any], Any]], values: Collection[Any]) -> list[Any]:
    checked: list[Any] = []
    try:
        for check, value in zip(checkers, values, strict=True):
            checked.append(check(value))
    except _WrongError as wrong:
        wrong.place = f"[{len(checked)}]{wrong.place}"
        raise
    return checked


def _check_dict(check: Callable[[Any], Any], value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _WrongError("an object with named entries", value)
    checked = {}
    for name, entry in value.items():
        try:
            checked[_check_type(str, name)] = check(entry)
        except _WrongError as wrong:
            wrong.place = f"[{shown(name)}]{wrong.place}"
            raise
    return checked
