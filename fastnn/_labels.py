"""Labels of classes: the text by which they are compared, wherever labels are read."""

from __future__ import annotations

import decimal
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

_MOST_DIGITS = 400  # of a decimal number that is written out
_MOST_BITS = 10_000  # of an integer that is written in decimals: Python refuses to write longer ones
_MOST_SHOWN = 3  # groups of similar labels


def label_text(value: Any) -> str:
    """Convert a label to the text by which it is compared: 1, 1.0 and "1" give the same.

    Spaces around text do not count, nor does the Unicode form in which a letter is written.

    Examples
    --------
    >>> label_text(3.0), label_text(np.int8(3)), label_text(" red "), label_text(True)
    ('3', '3', 'red', 'True')
    """
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip().strip("\ufeff\u200b")
    if isinstance(value, decimal.Decimal) and value.is_finite() and value.adjusted() < _MOST_DIGITS:
        value = int(value) if value == value.to_integral_value() else value
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return hex(value)
    return str(value).strip()


def distinct_labels(y: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values of an array as Python's own, and the index of each element's value.

    Raises
    ------
    TypeError
        If values cannot be hashed, such as lists.
    """
    if y.dtype != object:
        values, inverse = np.unique(y, return_inverse=True)
        return values.tolist(), inverse.ravel()
    items = [item.item() if isinstance(item, np.generic) else item for item in y.ravel().tolist()]
    keys = [(type(item), item) for item in items]  # True equals 1, but is another label
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return [value for _, value in numbers], np.array([numbers[key] for key in keys], np.int64)


def find_classes(labels: Iterable[Any]) -> list[Any]:
    """Return labels in order, those with the same text once; text is cleaned, other labels stay as they are.

    Examples
    --------
    >>> find_classes([" yes", "no", "yes"]), find_classes([10, 9, 9.0])
    (['no', 'yes'], [9, 10])
    """
    named: dict[str, Any] = {}
    for label in labels:
        named.setdefault(label_text(label), label)
    classes = [text if isinstance(label, str) else label for text, label in named.items()]
    try:
        return sorted(classes)
    except TypeError:  # of several types
        return sorted(classes, key=label_text)


def similar_labels(labels: Iterable[Any]) -> str:
    """Say which labels differ only by case or by spaces between words; "" if none do.

    Examples
    --------
    >>> similar_labels(["Yes", "no", "yes"])
    "that differ only by case or spaces: 'Yes' and 'yes' (kept apart)"
    """
    groups: dict[str, list[str]] = {}
    for text in map(label_text, labels):
        plain = "".join(unicodedata.normalize("NFKC", text).casefold().split())
        groups.setdefault(plain, []).append(text)
    similar = [" and ".join(map(repr, sorted(group))) for group in groups.values() if len(group) > 1]
    if not similar:
        return ""
    shown = ", ".join(similar[:_MOST_SHOWN]) + (", ..." if len(similar) > _MOST_SHOWN else "")
    return f"that differ only by case or spaces: {shown} (kept apart)"
