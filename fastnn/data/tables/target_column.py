"""A table as a data set: the target separated from the columns that predict it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from ..dataset import Dataset, name_of
from .dates import CLOCK, guess_date_form
from .files import read_noted
from .footer import find_footer
from .reading import Reading
from .values import distinct_values, is_date, is_missing_word, is_numeric, unusable_content
from .written import learn_form

_MOST_SHOWN = 20  # names of columns


def read_dataset(
    source: Any,
    target: str | None = None,
    *,
    labelled: bool = True,
    drop: Iterable[str] = (),
    drop_missing: bool = False,
    reading: Reading | None = None,
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
    reading : Reading, optional
        How the file is written; see :func:`read_table`.

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
    labelled = _checks.check_flag("labelled", labelled)
    drop_missing = _checks.check_flag("drop_missing", drop_missing)
    if not isinstance(target, (str, type(None))):
        raise TypeError(f"target must be the name of a column, got {_checks.shown(target)}.")
    frame, notes = read_noted(source, reading, labels=_names_of(target))
    is_file = isinstance(source, (str, Path)) and str(source) != "-"
    name = name_of(Path(source)) if is_file else "table"
    if not labelled:
        return Dataset(name, "table", frame, None, notes=notes)
    where = repr(str(source)) if is_file else "the table"
    columns = list(frame.columns)
    if target is None:
        shown = ", ".join(columns[:_MOST_SHOWN]) + (", ..." if len(columns) > _MOST_SHOWN else "")
        raise ValueError(" ".join([f"say which column of {where} is the target: {shown}.", *notes]))
    targets = [target] if target in columns else _names_of(target)[1:]
    try:
        for column in targets:
            _checks.check_name("target", column, columns)
    except ValueError as error:
        if len(columns) == 1 and reading is not None and reading.delimiter:
            notes = [f"By the delimiter {reading.delimiter!r}, {where} has this one column.", *notes]
        raise ValueError(" ".join([str(error), *notes])) from None
    drop = [drop] if isinstance(drop, str) else _checks.check_items("drop", drop, "names")
    for column in drop:
        _checks.check_name("drop", column, columns)
        if column in targets:
            raise ValueError(f"the column {column!r} is the target: it cannot be dropped.")
    rows = frame.drop(columns=[*targets, *drop])
    if rows.shape[1] == 0:
        found = "one column only" if len(columns) == 1 else "no column left"
        raise ValueError(f"{where} has {found}: expected some besides the target {target!r}.")
    n_footer, note = find_footer(frame)
    notes += [note] if note else []
    if n_footer:
        frame, rows = frame.iloc[:-n_footer], rows.iloc[:-n_footer]
    missing = np.any([_is_missing(frame[column]) for column in targets], axis=0)
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
    return Dataset(
        name, "table", rows, y, target=", ".join(targets), notes=[*notes, *_label_notes(frame, targets)]
    )


def _is_missing(series: Any) -> np.ndarray:
    """Find the rows without a value; where text reads as numbers, words such as "n/a" are none."""
    missing = series.isna().to_numpy()
    if is_numeric(series) or is_date(series) or unusable_content(series):
        return missing
    codes, values = distinct_values(series)
    words = np.array([*map(is_missing_word, values), False], bool)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    if words.any() and learn_form(values, counts).form is not None:
        missing = missing | words[codes]
    return missing


def _names_of(target: str | None) -> list[str]:
    """Return the columns that a target may name: the one of this name, or each of several."""
    return [] if target is None else [target, *(part.strip() for part in target.split(","))]


def _label_notes(frame: Any, targets: list[str]) -> list[str]:
    """Point out labels that could stand for a missing one, and dates, of which labels are made."""
    notes = []
    for name in targets:
        series = frame[name]
        if is_numeric(series):
            continue
        if is_date(series) or _holds_dates(series):
            notes.append(
                f"the target {name!r} holds dates, and each is a class of its own: to predict when something "
                "happens, write numbers instead, such as the days since the first date."
            )
            continue
        for label, count in series.value_counts().items():
            if is_missing_word(label):
                notes.append(
                    f"{label!r} in {count:,} rows of the target {name!r} is taken for a label; if it stands "
                    f"for a missing one: --missing {label} --drop-missing."
                )
    return notes


def _holds_dates(series: Any) -> bool:
    codes, values = distinct_values(series)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    form = guess_date_form(values, counts)
    return form not in (None, CLOCK) and learn_form(values, counts).form is None


def _as_array(series: Any) -> np.ndarray:
    """Convert a column without missing values to an array of numbers, booleans, dates or Python's objects."""
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if is_numeric(series) and isinstance(series.dtype, pandas.api.extensions.ExtensionDtype):
        return np.array(series.tolist())
    return series.to_numpy() if is_numeric(series) or is_date(series) else series.to_numpy(object)
