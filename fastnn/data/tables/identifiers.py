"""Digits that are names: postal codes, telephone numbers, integers beyond what a float holds."""

from __future__ import annotations

import decimal
import re
from typing import Any

import numpy as np

LARGEST_EXACT = 2**53  # of the integers that float64 tells from their neighbours

_PHONE = re.compile(r"\+\d[\d ]{7,}").fullmatch
_SPACED = re.compile(r"\d{2,4}( \d{2,4}){2,}").fullmatch
_LONG_INTEGER = re.compile(r"\s*[+-]?\d{16,}\s*").fullmatch
_LEADING_ZERO = re.compile(r"\s*[+-]?0\d").match


def names_things(values: list[Any], counts: np.ndarray) -> bool:
    """Return whether digits are names: postal codes, telephone numbers, integers beyond a float's."""
    if any(_LEADING_ZERO(value) for value in values if isinstance(value, str)):
        return True
    texts = [value.strip() for value in values if isinstance(value, str)]
    if texts and (all(map(_PHONE, texts)) or (all(map(_SPACED, texts)) and len(set(map(len, texts))) == 1)):
        return True
    beyond = np.array([is_long_integer(value) for value in values], bool)
    return bool(2 * counts[beyond].sum() > counts.sum())


def is_long_integer(value: Any) -> bool:
    """Return whether a value is an integer, perhaps as text, that a float may not hold exactly."""
    if isinstance(value, str):
        return _LONG_INTEGER(value) is not None and abs(decimal.Decimal(value.strip()[:30])) > LARGEST_EXACT
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and abs(value) > LARGEST_EXACT and value == value.to_integral_value()
    return isinstance(value, int) and abs(value) > LARGEST_EXACT
