"""A table as a data set: the target separated from the columns that predict it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from ..dataset import Dataset, name_of
from .files import read_table
from .values import is_date, is_numeric

_MOST_SHOWN = 20  # names of columns


def read_dataset(
    source: Any,
    target: str | None = None,
    *,
    labelled: bool = True,
    drop: Iterable[str] = (),
    drop_missing: bool = False,
) -> Dataset:
    """Read a table, and separate the target from the columns that predict it.

    Parameters
    ----------
    source : path, file object or table
        See :func:`read_table`.
    target : str
        Name of a column, or names of several columns of numbers, separated by commas.
    labelled : bool, default=True
        If False, all columns are kept and y is None: rows to predict.
    drop : iterable of str, default=()
        Columns to leave out.
    drop_missing : bool, default=False
        Leave out rows whose target is missing; otherwise they are refused.

    Returns
    -------
    Dataset
        Data set of kind "table"; y has shape (n,), or (n, n_out) for several targets.

    Raises
    ------
    ValueError
        If there is no such column, no other column, or the target is missing in some rows.

    Examples
    --------
    >>> flowers = {"length": [1.4, 4.7, 6.0], "kind": ["setosa", "versicolor", "virginica"]}
    >>> read_dataset(flowers, "kind").rows.columns.tolist()
    ['length']
    """
    frame = read_table(source)
    is_file = isinstance(source, (str, Path)) and str(source) != "-"
    name = name_of(Path(source)) if is_file else "table"
    if not labelled:
        return Dataset(name, "table", frame, None)
    where = repr(str(source)) if is_file else "the table"
    columns = list(frame.columns)
    if target is None:
        shown = ", ".join(columns[:_MOST_SHOWN]) + (", ..." if len(columns) > _MOST_SHOWN else "")
        raise ValueError(f"say which column of {where} is the target: {shown}.")
    targets = [target] if target in columns else [part.strip() for part in str(target).split(",")]
    for column in targets:
        _checks.check_name("target", column, columns)
    drop = [drop] if isinstance(drop, str) else list(drop)
    for column in drop:
        _checks.check_name("drop", column, columns)
        if column in targets:
            raise ValueError(f"the column {column!r} is the target: it cannot be dropped.")
    rows = frame.drop(columns=[*targets, *drop])
    if rows.shape[1] == 0:
        found = "one column only" if len(columns) == 1 else "no column left"
        raise ValueError(f"{where} has {found}: expected some besides the target {target!r}.")
    missing = frame[targets].isna().any(axis=1).to_numpy()
    if missing.any():
        if not drop_missing:
            raise ValueError(
                f"the target {target!r} is missing in {int(missing.sum())} of {len(frame)} rows: "
                "leave such rows out (drop_missing=True, --drop-missing), or fill them."
            )
        if missing.all():
            raise ValueError(f"the target {target!r} is missing in every row.")
        frame, rows = frame[~missing], rows[~missing]
    parts = [_as_array(frame[column]) for column in targets]
    y = parts[0] if len(parts) == 1 else np.column_stack(parts)
    return Dataset(name, "table", rows, y, target=", ".join(targets))


def _as_array(series: Any) -> np.ndarray:
    """Convert a column without missing values to an array of numbers, booleans, dates or Python's objects."""
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if is_numeric(series) and isinstance(series.dtype, pandas.api.extensions.ExtensionDtype):
        return np.array(series.tolist())
    return series.to_numpy() if is_numeric(series) or is_date(series) else series.to_numpy(object)
