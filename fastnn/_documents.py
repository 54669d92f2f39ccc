"""JSON, TOML and YAML of strangers: what they hold, or one sentence."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from ._checks import reason_of, require, shown

_MOST_TEXT = 2**20  # letters of a YAML text: its aliases grow what it holds, and its parser takes long
_MOST_NODES = 100_000


@contextlib.contextmanager
def _refusing(form: str) -> Iterator[None]:
    """Turn what parsers raise besides errors of syntax into a ValueError."""
    try:
        yield
    except RecursionError:
        raise ValueError(f"its {form} is nested too deeply") from None
    except UnicodeError:
        raise ValueError(f"its {form} holds half of a surrogate pair, which is no character") from None
    except ValueError as error:
        if "integer string conversion" not in str(error):  # Python's limit
            raise
        raise ValueError(f"its {form} holds a number of thousands of digits") from None


def parse_json(text: str | bytes) -> Any:
    """Parse JSON in which no object names an entry twice.

    Raises
    ------
    json.JSONDecodeError
        If it is not JSON; the error knows the line.
    ValueError
        If it is nested too deeply, or holds a number or a text that Python cannot represent.

    Examples
    --------
    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
        ...
    ValueError: its JSON is nested too deeply
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"its JSON is not UTF-8: {error}") from None
    with _refusing("JSON"):
        content = json.loads(text, parse_int=_integer, object_pairs_hook=_unique)
        if "\\ud" in text.lower():  # the escape of a surrogate
            json.dumps(content, ensure_ascii=False).encode()
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in record if names.count(name) > 1)
        raise ValueError(f"its JSON names {shown(twice)} twice")
    return record


def _integer(digits: str) -> int | float:
    """Return an integer; one that no float holds is refused, and none takes long to convert."""
    if len(digits) > 400:
        raise ValueError(f"its JSON holds a number of {len(digits)} digits")
    return int(digits)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; errors are ValueErrors."""
    toml = require("tomllib" if sys.version_info >= (3, 11) else "tomli", "cli")
    with _refusing("TOML"):
        values = toml.loads(text)
        _check_nodes(values, "TOML")
    return values


def parse_yaml(text: str) -> Any:
    """Parse YAML without running code; errors are ValueErrors that name the line."""
    yaml = require("yaml", "cli")
    if len(text) > _MOST_TEXT:
        raise ValueError(f"it has {len(text):,} letters, expected at most {_MOST_TEXT:,}")
    try:
        with _refusing("YAML"):
            values = yaml.safe_load(text)
            _check_nodes(values, "YAML")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (at line {mark.line + 1}, column {mark.column + 1})"
        problem = getattr(error, "problem", None) or reason_of(error)
        raise ValueError(f"{problem}{where}") from None
    return values


def _check_nodes(values: Any, form: str) -> None:
    """Refuse content that grows beyond reason when it is written out, as aliases of aliases do."""
    todo, n_nodes = [values], 0
    while todo:
        value = todo.pop()
        n_nodes += 1
        if n_nodes > _MOST_NODES:
            raise ValueError(f"its {form} holds more than {_MOST_NODES:,} values")
        if isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            todo += value
        elif isinstance(value, str):
            value.encode()
        elif isinstance(value, int) and value.bit_length() > 1024:
            raise ValueError(f"its {form} holds an integer of {value.bit_length()} bits")
