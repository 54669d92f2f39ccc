"""What happened in training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import _checks


class Epoch(NamedTuple):
    """One epoch's figures.

    Attributes
    ----------
    epoch : int
        Counted from 1 over all calls of ``fit``.
    cost : float
        Mean loss of the training rows, each taken when its batch was; with the L2 penalty, if any.
    metric : float
        Accuracy, or R squared for ``mse``, over the same rows.
    val_cost, val_metric : float or None
        The same of the validation rows after the epoch, without the penalty.
    seconds : float
        Time of training, without validation and compilation.
    samples_per_second : float
    lr : float or None
        Learning rate of the last step.
    more : dict
        Metrics that ``fit`` was given, by name, of the validation rows (then the name begins with "val_")
        or, where there are none, of the training rows; and norms, if they were asked for.
    """

    epoch: int
    cost: float
    metric: float
    val_cost: float | None
    val_metric: float | None
    seconds: float
    samples_per_second: float
    lr: float | None = None
    more: Mapping[str, float] = {}

    def figure(self, name: str) -> float:
        """A figure by the name of its field or its metric."""
        return self.more[name] if name in self.more else getattr(self, name)


class History:
    """Figures of every epoch a trainer ran.

    Attributes
    ----------
    epochs : list of Epoch
    metric_name : str
        Of the column "metric": "accuracy" or "r2".
    best_epoch : int or None
        The epoch whose weights early stopping restored.
    stop_reason : str
        Why the last call of ``fit`` ended: "epochs", "early stopping", "interrupted", "diverged", "schedule",
        "error", or what a callback gave as its reason.

    Examples
    --------
    >>> history = History("accuracy")
    >>> history.epochs.append(Epoch(1, 0.5, 0.75, None, None, 0.1, 1000.0))
    >>> history.to_dict()["cost"]
    [0.5]
    >>> print(history)
    epoch    cost  accuracy  seconds  samples/s
        1  0.5000    0.7500     0.10      1,000
    """

    def __init__(self, metric_name: str) -> None:
        self.metric_name = metric_name
        self.epochs: list[Epoch] = []
        self.best_epoch: int | None = None
        self.stop_reason = "epochs"

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs, stop_reason={self.stop_reason!r})"

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns by name; those of validation only where there was one."""
        fields = [name for name in Epoch._fields if name != "more"]
        columns = {name: [getattr(epoch, name) for epoch in self.epochs] for name in fields}
        for name in dict.fromkeys(name for epoch in self.epochs for name in epoch.more):
            columns[name] = [epoch.more.get(name) for epoch in self.epochs]
        optional = {"val_cost", "val_metric", "lr"}
        return {
            name: values
            for name, values in columns.items()
            if name not in optional or any(value is not None for value in values)
        }

    def to_frame(self):
        """The columns as a pandas DataFrame, one row an epoch.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        pandas = _checks.require("pandas", "all")
        return pandas.DataFrame(self.to_dict()).set_index("epoch")

    def cells(self) -> list[list[str]]:
        """The columns as text, the name first."""
        names = {
            "metric": self.metric_name,
            "val_cost": "val cost",
            "val_metric": f"val {self.metric_name}",
            "samples_per_second": "samples/s",
        }
        return [
            [names.get(name, name), *(format_figure(name, value) for value in values)]
            for name, values in self.to_dict().items()
        ]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(map(len, column)) for column in cells]
        rows = zip(*cells, strict=True)
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        )

    def _repr_html_(self) -> str:
        from ._html import history_table

        return history_table(self)


def format_figure(name: str, value: float | None) -> str:
    """A column's value as text."""
    if value is None:
        return "-"
    if name == "epoch":
        return str(value)
    if name == "samples_per_second":
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:.2f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"
