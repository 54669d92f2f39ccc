"""Tables in memory, of any library, as data frames of pandas."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _checks


def as_frame(rows: Any) -> Any:
    """Convert a table of any library to a pandas data frame with column names as text.

    See :func:`.files.read_table` for what is taken as a table.
    """
    pandas = _checks.require("pandas", "tables")
    if isinstance(rows, pandas.DataFrame):
        frame = rows
    elif isinstance(rows, pandas.Series):  # one row
        frame = rows.to_frame().T
    elif hasattr(rows, "collect") and hasattr(rows, "collect_schema"):  # a lazy frame of polars
        return as_frame(rows.collect())
    elif hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        frame = from_arrow(_checks.require("pyarrow", "tables").table(rows))
    elif isinstance(rows, dict):
        frame = pandas.DataFrame([rows] if all(map(pandas.api.types.is_scalar, rows.values())) else rows)
    elif isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        frame = pandas.DataFrame(rows)
    elif isinstance(rows, np.ndarray) and rows.dtype.names:
        frame = pandas.DataFrame({name: rows[name] for name in rows.dtype.names})
    elif isinstance(rows, np.ndarray) and rows.ndim == 2:
        frame = pandas.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    else:
        shape = f" of shape {rows.shape}" if isinstance(rows, np.ndarray) else ""
        raise TypeError(
            f"a table must be a data frame, an Arrow table, a dict of columns, a list of dicts or a matrix, "
            f"got {type(rows).__name__}{shape}."
        )
    return name_columns(frame, "the table")


def from_arrow(table: Any) -> Any:
    """Convert a pyarrow table to a pandas data frame: dictionaries become categories, days become dates."""
    import pyarrow

    for i, field in enumerate(table.schema):  # polars makes unsigned codes, which not every Arrow hands on
        if pyarrow.types.is_dictionary(field.type) and str(field.type.index_type).startswith("u"):
            signed = pyarrow.dictionary(pyarrow.int64(), field.type.value_type, field.type.ordered)
            table = table.set_column(i, field.name, table.column(i).cast(signed))
    # pandas' own metadata in it would make columns an index.
    frame = table.to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)
    hidden = [name for name in frame.columns if str(name).startswith("__index_level_")]
    return frame.drop(columns=hidden)


def name_columns(frame: Any, where: str) -> Any:
    """Return the frame with column names as text, without spaces around them.

    Raises
    ------
    ValueError
        If two columns have the same name.
    """
    names = [str(name).strip() for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"{where} has the column {twice[0]!r} more than once: rename or drop one of them.")
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)


def check_size(frame: Any, where: str) -> Any:
    """Return the frame if it has columns and rows."""
    if frame.shape[1] == 0:
        raise ValueError(f"{where} has no columns.")
    if len(frame) == 0:
        names = ", ".join(frame.columns[:10])
        raise ValueError(f"{where} has no rows below its header ({names}): expected at least one.")
    return frame
