"""Early stopping and restoration of the best epoch's weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from ..history import Epoch


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a figure has not improved for some epochs.

    Parameters
    ----------
    monitor : str, default="val_cost"
        "val_cost", "val_metric", "cost" or "metric", or a metric passed to ``fit``, by its name in the
        history, such as "val_roc_auc". Costs should fall; metrics should rise, unless lower is better.
    patience : int, default=10
        Number of epochs in a row without improvement after which training stops.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement.
    restore_best : bool, default=True
        Whether the network ends with the weights of its best epoch.

    Examples
    --------
    >>> EarlyStopping(patience=5).monitor
    'val_cost'
    """

    monitor: str = "val_cost"
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.monitor, str):
            raise TypeError(f"monitor must be a name, got {_checks.shown(self.monitor)}.")
        _checks.check_count("patience", self.patience)
        _checks.check_flag("restore_best", self.restore_best)
        _checks.check_number("min_delta", self.min_delta, 0.0)


class Best:
    """State of early stopping: the best epoch so far, its arrays, and the epochs since.

    Parameters
    ----------
    rule : EarlyStopping or None
    arrays : list of ndarray
        Arrays of an epoch, which are restored at the end.
    falls : bool
        Whether a lower value is better.

    Attributes
    ----------
    arrays : list of ndarray
        Arrays of the best epoch; empty if they are not to be restored.
    epoch : int or None
        The best epoch.
    """

    def __init__(self, rule: EarlyStopping | None, arrays: list[np.ndarray], falls: bool) -> None:
        self._rule = rule
        self._sign = 1.0 if falls else -1.0
        self._value = math.inf
        self._waited = 0
        self.epoch: int | None = None
        self.arrays = [array.copy() for array in arrays] if rule and rule.restore_best else []

    def observe(self, epoch: Epoch, arrays: list[np.ndarray]) -> bool:
        """Record an epoch and its arrays; return whether patience has run out."""
        if self._rule is None:
            return False
        value = self._sign * epoch.figure(self._rule.monitor)
        is_better = value < self._value
        is_enough = is_better and value <= self._value - self._rule.min_delta
        self._waited = 0 if is_enough else self._waited + 1
        if is_better:
            self._value, self.epoch = value, epoch.epoch
            for best, array in zip(self.arrays, arrays, strict=False):
                best[:] = array
        return self._waited >= self._rule.patience

    def restore(self, arrays: list[np.ndarray]) -> int | None:
        """Copy the best arrays, if there are any, into the given ones; return their epoch, or None."""
        if not self.arrays or self.epoch is None:
            return None
        for best, array in zip(self.arrays, arrays, strict=True):
            array[:] = best
        return self.epoch

    @property
    def state(self) -> dict[str, Any]:
        """State without the arrays, in a form that JSON can hold; may be set."""
        value = self._value if math.isfinite(self._value) else None
        return {"value": value, "waited": self._waited, "epoch": self.epoch}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._value = math.inf if state["value"] is None else state["value"]
        self._waited, self.epoch = state["waited"], state["epoch"]
