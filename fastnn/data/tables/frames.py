"""Tables in memory, of any library, as data frames of pandas."""

from __future__ import annotations

from collections import Counter
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
        if all(map(pandas.api.types.is_scalar, rows.values())):
            frame = frame_of_records([rows])
        else:
            frame = pandas.DataFrame({name: _exact(values) for name, values in rows.items()})
    elif isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        frame = frame_of_records(rows)
    elif isinstance(rows, np.ndarray) and rows.dtype.names:
        frame = pandas.DataFrame({name: rows[name] for name in rows.dtype.names})
    elif isinstance(rows, np.ndarray) and rows.ndim == 2:
        _checks.check_copy("the table", rows)
        frame = pandas.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    else:
        shape = f" of shape {rows.shape}" if isinstance(rows, np.ndarray) else ""
        raise TypeError(
            f"a table must be a data frame, an Arrow table, a dict of columns, a list of dicts or a matrix, "
            f"got {type(rows).__name__}{shape}."
        )
    return name_columns(frame, "the table")


def frame_of_records(records: list[dict[str, Any]]) -> Any:
    """Convert a list of dicts, one a row, to a data frame; integers beyond what a float holds stay exact."""
    pandas = _checks.require("pandas", "tables")
    frame = pandas.DataFrame(records, dtype=object)
    columns = {name: _exact(frame[name].tolist()) for name in frame.columns}
    return pandas.DataFrame(columns, columns=frame.columns, index=frame.index)


def _exact(values: Any) -> Any:
    """Return a column's values; as objects if pandas would round integers among them to floats."""
    is_list = isinstance(values, (list, tuple))
    if is_list and any(isinstance(value, int) and not -(2**53) <= value <= 2**53 for value in values):
        return np.array([*values, None], object)[:-1]  # else NumPy would make a matrix of lists
    return values


def _keep_exact(frame: Any, i: int, column: Any) -> None:
    """Replace a column of integers, some of them missing, that floats do not hold exactly."""
    import pandas
    from pyarrow import compute

    extremes = compute.min_max(column).as_py()
    if max(abs(extreme or 0) for extreme in extremes.values()) > 2**53:
        values = column.fill_null(0).to_numpy()
        missing = column.is_null().to_numpy()
        frame.isetitem(i, pandas.Series(values).convert_dtypes().mask(missing))


def from_arrow(table: Any) -> Any:
    """Convert a pyarrow table to a pandas data frame: dictionaries become categories, days become dates."""
    import pyarrow

    fields = [  # polars makes unsigned codes, which not every Arrow hands on
        field.with_type(pyarrow.dictionary(pyarrow.int64(), field.type.value_type, field.type.ordered))
        if pyarrow.types.is_dictionary(field.type) and str(field.type.index_type).startswith("u")
        else field
        for field in table.schema
    ]
    if fields != list(table.schema):
        table = table.cast(pyarrow.schema(fields))
    # pandas' own metadata in it would make columns an index.
    frame = table.to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)
    for i, field in enumerate(table.schema):
        if pyarrow.types.is_integer(field.type) and table.column(i).null_count:
            _keep_exact(frame, i, table.column(i))
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
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
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
