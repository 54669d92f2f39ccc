"""Checks of the arrays and records that pictures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks


def check_vector(name: str, values: ArrayLike) -> np.ndarray:
    """Return `values` as finite float64 numbers of shape (n,)."""
    array = _checks.as_numbers(name, values).astype(np.float64)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have shape (n,), one number per row, got {array.shape}: draw one output."
        )
    if array.size == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite.")
    return array


def check_labels(name: str, values: ArrayLike) -> np.ndarray:
    """Return `values`, labels of any kind, as an array of shape (n,)."""
    array = _checks.as_rows(name, values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), one label per row, got {array.shape}.")
    return array


def check_recorded(epochs: Sequence[int]) -> None:
    """Raise if a recorder has recorded no epochs."""
    if not epochs:
        raise ValueError("the recorder has recorded nothing: pass it to fit as a callback first.")


def class_numbers(name: str, labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Return the number of each label among the classes; `labels` may be these numbers already."""
    number_of = {label: number for number, label in enumerate(classes)}
    items = labels.tolist()
    if all(item in number_of for item in items):
        return np.array([number_of[item] for item in items])
    if labels.dtype.kind in "iub" and labels.min() >= 0 and labels.max() < len(classes):
        return labels.astype(np.int64)
    unknown = next(item for item in items if item not in number_of)
    raise ValueError(f"{name} holds {unknown!r}, which is not one of the {len(classes)} classes.")
