"""History of a training: the figures of each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _checks
from ._html import table

if TYPE_CHECKING:
    import pandas

# Figures that every training has, or has with validation rows, by which it can be steered.
MONITORS = ("val_cost", "val_metric", "cost", "metric")
_MOST_SHOWN = 20  # rows of a history in a notebook: of a longer one, half from each end


class Epoch(NamedTuple):
    """Figures of one epoch.

    Attributes
    ----------
    epoch : int
        Number of the epoch, counted from 1 over all calls of ``fit``.
    cost : float
        Mean loss without penalty of the training rows, each taken at the time of its batch.
    metric : float
        Accuracy of the same rows, or their R squared in regression.
    val_cost, val_metric : float or None
        Mean loss without penalty, and metric, of the validation rows after the epoch.
    seconds : float
        Time spent training, without validation and compilation.
    samples_per_second : float
    lr : float or None
        Learning rate of the last step.
    more : dict
        Metrics that ``fit`` was given, by name: of the validation rows, with the prefix "val_", or, without
        validation rows, of the training rows. Also norms, if requested.
    penalty : float or None
        Mean L1 and L2 penalty of the batches' weights, which training minimises together with the cost; None
        if there is none.
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
    penalty: float | None = None

    def figure(self, name: str) -> float:
        """Return a figure by the name of its field or its metric."""
        return self.more[name] if name in self.more else getattr(self, name)


class History:
    """Figures of all epochs that a trainer has run.

    Attributes
    ----------
    epochs : list of Epoch
    metric_name : str
        Name of the figure "metric": "accuracy" or "r2".
    best_epoch : int or None
        Number of the epoch whose weights early stopping restored.
    stop_reason : str
        Why the last call of ``fit`` ended: "epochs", "early stopping", "interrupted", "diverged", "schedule",
        "error", or the reason that a callback gave.

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
        """Return the figures as columns by name, without optional columns that hold only None."""
        fields = [name for name in Epoch._fields if name != "more"]
        columns = {name: [getattr(epoch, name) for epoch in self.epochs] for name in fields}
        for name in dict.fromkeys(name for epoch in self.epochs for name in epoch.more):
            columns[name] = [epoch.more.get(name) for epoch in self.epochs]
        optional = {"val_cost", "val_metric", "lr", "penalty"}
        return {
            name: values
            for name, values in columns.items()
            if name not in optional or any(value is not None for value in values)
        }

    def to_frame(self) -> pandas.DataFrame:
        """Return the columns as a pandas DataFrame with one row per epoch.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = _checks.require("pandas", "all")
        return pandas.DataFrame(self.to_dict()).set_index("epoch")

    def _text_columns(self) -> list[list[str]]:
        """Return each column as text, its name first."""
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
        columns = self._text_columns()
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        )

    def _repr_html_(self) -> str:
        if len(self) == 0:
            return table("no epochs yet", [], [])
        header, *rows = zip(*self._text_columns(), strict=True)
        if len(rows) > _MOST_SHOWN:
            half = _MOST_SHOWN // 2
            rows = [*rows[:half], ("…",) * len(header), *rows[-half:]]
        caption = f"{len(self):,} epochs"
        if self.stop_reason != "epochs":
            caption += f", ended by: {self.stop_reason}"
        if self.best_epoch is not None:
            caption += f"; the weights of epoch {self.best_epoch:,} were restored"
        return table(caption, header, rows)


def format_figure(name: str, value: float | None) -> str:
    """Return the value of a figure as text."""
    if value is None:
        return "-"
    if name == "epoch":
        return str(value)
    if name == "samples_per_second":
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:.2f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"
