"""Predictions of a file's rows as a table: ``fastnn predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _checks
from ..data.dataset import Dataset
from ..data.tables.spreadsheets import to_csv
from ..model import Model
from ..network.files import write_atomically

if TYPE_CHECKING:
    import pandas


def predict_data(model: Model, data: Dataset, *, proba: bool = False, keep: bool = False) -> pandas.DataFrame:
    """Predict rows like those of the training.

    Parameters
    ----------
    model : Model
    data : Dataset
        As :func:`fastnn.data.read_source` returns it.
    proba : bool, default=False
        Add the probability of each class.
    keep : bool, default=False
        Put the input before the predictions: a table's columns, an image's file, or a text.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError, TypeError
        If the rows cannot be predicted, or there are no probabilities or no columns to add.
    """
    frame = model.predict_frame(data.rows, proba=proba)
    if not keep:
        return frame
    given = _input_frame(data.rows, data.kind)
    return given.join(frame.rename(columns=lambda name: f"{name}_of_model" if name in given else name))


def _input_frame(rows: Any, kind: str) -> pandas.DataFrame:
    if kind == "table":
        return rows.reset_index(drop=True)
    if not isinstance(rows, list):
        raise ValueError("keep is for tables, texts and image files: other rows have no columns.")
    name = "file" if kind == "images" else "text"
    return _checks.require("pandas", "tables").DataFrame({name: list(map(str, rows))})


def write_table(frame: pandas.DataFrame, path: Path, *, raw: bool = False) -> None:
    """Write a table as CSV or Parquet, by the ending of the path.

    Parameters
    ----------
    frame : DataFrame
    path : Path
    raw : bool, default=False
        In CSV, leave text as it is that a spreadsheet would run as a formula.

    Raises
    ------
    ValueError
        If it has another ending.
    OSError
        If the file cannot be written; what was there before is then unchanged.
    """
    if path.suffix == ".parquet":
        write_atomically(path, frame.to_parquet(index=False))
    elif path.suffix == ".csv":
        write_atomically(path, to_csv(frame, raw=raw).encode())
    else:
        raise ValueError(f"{str(path)!r} has the ending {path.suffix!r}: expected .csv or .parquet.")
