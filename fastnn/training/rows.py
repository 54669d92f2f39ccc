"""Checked rows for the kernels: features, targets and weights, which never change.

Only the order of the rows to train on, an array of indices, is written in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from ..kernels.records import Data
from ..losses import Loss
from ..network.architecture import Architecture
from ..network.inputs import as_data, check_features


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes
    ----------
    data : Data
        Record for the kernels.
    x : ndarray or CSR matrix
        All features, for predictions.
    """

    data: Data
    x: Any

    @property
    def n(self) -> int:
        """Number of rows: the length of the order, if there is one."""
        return self.data.indices.size or self.x.shape[0]

    @property
    def is_sparse(self) -> bool:
        """True if the features are sparse."""
        return self.data.starts.size > 0

    @property
    def weights(self) -> np.ndarray | None:
        """Weights of the rows, in their order; None if all are equal."""
        return self.pick(self.data.weights) if self.data.weights.size else None

    @property
    def answers(self) -> np.ndarray:
        """Labels or targets, in the rows' order."""
        return self.pick(self.data.labels if self.data.labels.size else self.data.targets)

    def pick(self, array: Any) -> Any:
        """Select these rows, in their order, from an array of all rows."""
        return array[self.data.indices] if self.data.indices.size else array

    def in_order(self, indices: np.ndarray) -> Rows:
        """Return the rows that the indices select, in that order; features are not copied."""
        return Rows(self.data._replace(indices=indices), self.x)

    def sorted(self) -> Rows:
        """Return the same rows in the order in which they were given, for sums that no shuffle may change."""
        return self.in_order(np.sort(self.data.indices))


def check_rows(
    architecture: Architecture,
    loss: Loss,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    names: Sequence[str] = ("x", "y", "sample_weight"),
) -> Rows:
    """Check features, targets and weights of rows.

    Parameters
    ----------
    architecture : Architecture
    loss : Loss
        Loss that defines the kind of targets.
    x : array-like or sparse matrix of shape (n, n_in)
    y : array-like of shape (n,) or (n, n_out)
    sample_weight : array-like of shape (n,), optional
    names : sequence of str
        Names of the three in error messages.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError, TypeError
        If they are not what network and loss take.
    """
    x_name, y_name, weight_name = names
    x = check_features(x_name, x, architecture)
    data = as_data(x)
    if y is None:
        raise TypeError(f"{y_name} is missing: only a stream brings its own.")
    n_rows = x.shape[0]
    y = _checks.as_array(y_name, y)
    _checks.check_lengths(x_name, n_rows, y_name, len(y) if y.ndim else 0)
    targets = loss.check_targets(y_name, y, architecture.sizes[-1], architecture.dtype)
    field = "labels" if loss.kind in ("class", "labels") else "targets"
    data = data._replace(**{field: _checks.writable_view(targets)})
    if sample_weight is not None:
        weights = _checks.check_weights(weight_name, sample_weight, n_rows)
        data = data._replace(weights=_checks.writable_view(weights))
    return Rows(data, x)


def weigh_classes(
    rows: Rows,
    class_weight: Mapping[int, float] | str | None,
    n_classes: int,
    counts: np.ndarray | None = None,
) -> Rows:
    """Multiply the weights of the rows by the weights of their classes.

    Parameters
    ----------
    rows : Rows
    class_weight : mapping, "balanced" or None
    n_classes : int
    counts : ndarray of shape (n_classes,), optional
        Number of rows of each class in all data, if these rows are only a part of it.

    Returns
    -------
    Rows
    """
    if class_weight is None:
        return rows
    labels = rows.data.labels[:, 0]
    if isinstance(class_weight, str):
        if counts is None:
            counts = np.bincount(labels, minlength=n_classes)
        of_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        of_class = np.array([class_weight.get(label, 1.0) for label in range(n_classes)], np.float64)
    weights = of_class[labels] * (rows.data.weights if rows.data.weights.size else 1.0)
    return Rows(rows.data._replace(weights=weights), rows.x)


class SpreadSums:
    """Running computation of the targets' spread over blocks (Chan, Golub and LeVeque, 1979).

    The sums are NumPy's own: those of BLAS, which ``@`` takes, depend on the number of its threads.

    Parameters
    ----------
    n_targets : int

    Attributes
    ----------
    sums : ndarray of shape (3, n_targets)
        Sum of the weights, mean, and sum of the squared distances from the mean.
    """

    def __init__(self, n_targets: int) -> None:
        self.sums = np.zeros((3, n_targets))

    @staticmethod
    def of_block(rows: Rows) -> np.ndarray:
        """Return the three sums of one block."""
        targets, weights = rows.pick(rows.data.targets), rows.weights
        weights = np.ones(rows.n) if weights is None else weights
        if targets.size == 0 or not weights.any():
            return np.zeros((3, 1))
        mean = np.average(targets, axis=0, weights=weights).astype(np.float64)
        squares = weights[:, np.newaxis] * (targets - mean) ** 2
        return np.array([np.full(len(mean), weights.sum()), mean, squares.sum(axis=0)])

    def add(self, block: np.ndarray) -> None:
        """Add the sums of another block."""
        total = self.sums[0] + block[0]
        if total.any():
            difference, share = block[1] - self.sums[1], block[0] / total
            self.sums[2] += block[2] + difference**2 * self.sums[0] * share
            self.sums[1] += difference * share
            self.sums[0] = total

    def reset(self) -> None:
        """Reset all sums to 0."""
        self.sums[:] = 0

    @property
    def spread(self) -> float:
        """Squared error, per target, of predicting the mean of the targets."""
        return float(self.sums[2].sum()) / self.sums.shape[1]
