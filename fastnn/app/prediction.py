"""Predictions of a file's rows as a table: ``fastnn predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _checks
from ..data.kinds import read_source
from ..model import Model
from ..network.files import write_atomically

if TYPE_CHECKING:
    import pandas


def predict_source(model: Model, source: str, *, proba: bool = False, keep: bool = False) -> pandas.DataFrame:
    """Read rows like those of the training and predict them.

    Parameters
    ----------
    model : Model
    source : str
        A path as :func:`fastnn.data.read_source` takes it, without a target; "-" is CSV on stdin.
    proba : bool, default=False
        Add the probability of each class.
    keep : bool, default=False
        Put the input before the predictions: a table's columns, an image's file, or a text.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        If the rows cannot be read or predicted, or there are no probabilities or no columns to add.
    """
    kind = model.encoder.kind
    rows = read_source(source, kind=kind, labelled=False).rows
    frame = model.predict_frame(rows, proba=proba)
    if not keep:
        return frame
    given = _input_frame(rows, kind)
    return given.join(frame.rename(columns=lambda name: f"{name}_of_model" if name in given else name))


def _input_frame(rows: Any, kind: str) -> pandas.DataFrame:
    if kind == "table":
        return rows.reset_index(drop=True)
    if not isinstance(rows, list):
        raise ValueError("keep is for tables, texts and image files: other rows have no columns.")
    name = "file" if kind == "images" else "text"
    return _checks.require("pandas", "tables").DataFrame({name: list(map(str, rows))})


def write_table(frame: pandas.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the ending of the path.

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
        write_atomically(path, frame.to_csv(index=False).encode())
    else:
        raise ValueError(f"{str(path)!r} has the ending {path.suffix!r}: expected .csv or .parquet.")
