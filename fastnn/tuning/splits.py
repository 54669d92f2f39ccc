"""Splits: the checked rows that trials train on, and those that they are validated on."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..losses import Loss
from .recipe import Recipe

VALIDATION_SHARE = 0.2  # of the rows, if the caller names none to validate on


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to validate on, each with their targets."""

    train: tuple[Any, Any]
    validation: tuple[Any, Any]

    def checksums(self) -> list[int]:
        """Return a checksum of each array, by which a stored search is recognised."""
        return [_checksum(part) for part in (*self.train, *self.validation)]


def check_rows(
    x_name: str, x: Any, y_name: str, y: ArrayLike, loss: Loss, n_out: int | None, dtype: np.dtype
) -> tuple[Any, np.ndarray, int]:
    """Return rows and targets as trainers take them, and the number of outputs that they need.

    Parameters
    ----------
    x_name, y_name : str
        Names of x and y in error messages.
    x : array-like or sparse matrix of shape (n, n_in)
    y : array-like of shape (n,) or (n, n_out)
    loss : Loss
    n_out : int or None
        Number of outputs; None takes it from `y`.
    dtype : dtype

    Raises
    ------
    ValueError, TypeError
        If they are not what the loss expects.
    """
    is_sparse = _checks.is_sparse(x)
    x = x if is_sparse else _checks.as_numbers(x_name, x)
    check_x = _checks.check_sparse if is_sparse else _checks.check_x
    x = check_x(x_name, x, x.shape[1] if x.ndim == 2 else 0, dtype)
    y = _checks.as_array(y_name, y)
    _checks.check_lengths(x_name, x.shape[0], y_name, len(y) if y.ndim else 0)
    if n_out is None:
        least = _n_outputs(loss, y)
        y = loss.check_targets(y_name, y, least, dtype)
        return x, y, least if loss.kind == "class" else y.shape[1]
    n_out = _checks.check_count("n_out", n_out)
    return x, loss.check_targets(y_name, y, n_out, dtype), n_out


def _n_outputs(loss: Loss, y: np.ndarray) -> int:
    """Return the number of outputs that targets need, before they are checked."""
    if loss.kind != "class":
        return y.shape[1] if y.ndim == 2 else 1
    is_number = y.dtype.kind in "iub" or (y.dtype.kind == "f" and bool(np.isfinite(y).all()))
    return max(2, int(y.max()) + 1) if is_number else 2  # the check of the targets refuses anything else


def make_splits(
    x: Any,
    y: np.ndarray,
    recipe: Recipe,
    validation_data: tuple[Any, Any] | None,
    folds: int | Iterable[tuple[Any, Any]] | None,
) -> list[Split]:
    """Return one split, or one per fold.

    Parameters
    ----------
    x, y : ndarray or CSR matrix
        Checked rows and targets.
    recipe : Recipe
    validation_data, folds
        As in :func:`fastnn.tuning.tune`.

    Raises
    ------
    ValueError, TypeError
        If `validation_data` or `folds` is not as described there, or both are given.
    ImportError
        If rows have to be drawn and scikit-learn is not installed.
    """
    if validation_data is not None:
        if folds is not None:
            raise ValueError("validation_data and folds cannot be combined: give one of them.")
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise TypeError("validation_data must be a tuple (x_val, y_val).")
        x_val, y_val = validation_data
        dtype = np.dtype(recipe.dtype)
        x_val, y_val, _ = check_rows("x_val", x_val, "y_val", y_val, recipe.loss, recipe.n_out, dtype)
        if x_val.shape[1] != recipe.n_in:
            raise ValueError(f"x_val has {x_val.shape[1]} features, but x has {recipe.n_in}.")
        return [Split((x, y), (x_val, y_val))]
    if folds is None or isinstance(folds, int):
        pairs = _random_pairs(y, recipe, folds)
    else:
        pairs = [
            _check_pair(k, pair, x.shape[0])
            for k, pair in enumerate(_checks.check_items("folds", folds, "pairs"))
        ]
    if not pairs:
        raise ValueError("folds is empty: expected at least one pair (training rows, validation rows).")
    return [Split((x[train], y[train]), (x[val], y[val])) for train, val in pairs]


def _random_pairs(y: np.ndarray, recipe: Recipe, folds: int | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the training and validation rows of one split or of each fold, stratified by class."""
    selection = _checks.require("sklearn.model_selection", "sklearn")
    has_one_label = recipe.loss.kind in ("class", "labels") and y.shape[1] == 1
    rows, strata = np.arange(len(y)), y[:, 0] if has_one_label else None
    if folds is None:
        train, val = selection.train_test_split(
            rows, test_size=VALIDATION_SHARE, random_state=recipe.seed, stratify=strata
        )
        return [(train, val)]
    _checks.check_count("folds", folds, 2, max(2, len(y)))
    splitter = selection.StratifiedKFold if has_one_label else selection.KFold
    return list(splitter(folds, shuffle=True, random_state=recipe.seed).split(rows, strata))


def _check_pair(k: int, pair: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two arrays of row numbers of one fold."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(
            f"folds[{k}] must be a pair (training rows, validation rows), got {_checks.shown(pair)}."
        )
    train, val = (np.asarray(part) for part in pair)
    for part in (train, val):
        if part.ndim != 1 or part.dtype.kind not in "iu" or not part.size:
            raise ValueError(f"folds[{k}] must hold two non-empty arrays of row numbers.")
        outside = part[(part < 0) | (part >= n_rows)]
        if outside.size:
            raise ValueError(f"folds[{k}] holds row {outside[0]}, but x has rows 0 to {n_rows - 1}.")
    if np.intersect1d(train, val).size:
        raise ValueError(f"folds[{k}] has rows that are both to train on and to validate on.")
    return train, val


def _checksum(part: Any) -> int:
    """Return a checksum of rows or targets."""
    arrays = (part.data, part.indices, part.indptr) if _checks.is_sparse(part) else (part,)
    total = 0
    for array in arrays:
        total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
