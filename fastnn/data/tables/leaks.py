"""Columns that reveal the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import _checks
from ..._labels import label_text
from ..target import guess_task
from . import notes
from .frames import as_frame
from .identifiers import is_long_integer
from .numbers import read_numbers
from .values import distinct_values, is_date, is_numeric, plain_column, unusable_content
from .written import PLAIN, learn_form

_MOST_EXCEPTIONS = 0.001  # to a column that determines the target
_MOST_ROWS = 100_000  # about; of more rows, a sample is examined
_FEWEST_ROWS, _FEWEST_VALUES = 20, 10


def leaks(frame: Any, y: ArrayLike) -> list[str]:
    """Find columns that (nearly) determine the target alone, as columns known beforehand seldom do.

    A column determines a regression's target if the correlation of values or of ranks is above 0.999; it
    determines classes if its few values, each in at least ten rows on average, occur with one class only.

    Parameters
    ----------
    frame : table
        As :func:`read_table` takes it, without the target.
    y : array-like of shape (n,)

    Returns
    -------
    list of str
        Sentences on such columns; one for all that tell it alike.

    Examples
    --------
    >>> alive = ["yes", "no"] * 30
    >>> leaks({"alive": alive, "age": range(60)}, [a == "yes" for a in alive])
    ["the column 'alive' alone tells the target in every row: leave it out unless it is known beforehand."]
    """
    frame, y = as_frame(frame), _checks.as_array("y", y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(y) < _FEWEST_ROWS:
        return []
    find_share = _share_of_classes if guess_task(y) == "classification" else _share_of_values
    step = 1 + len(y) // _MOST_ROWS
    frame, y = frame.iloc[::step], y[::step]
    advice = "leave it out unless it is known beforehand"
    return notes.group(
        (name, f" alone tells the target in {share}: {advice}")
        for name in frame.columns
        if (share := find_share(plain_column(frame[name]), y))
    )


def _share_of_classes(series: Any, y: np.ndarray) -> str:
    """Describe the share of rows in which a column determines the class; "" if it does not."""
    import pandas

    if unusable_content(series):
        return ""
    codes, values = distinct_values(series)
    classes, labels = pandas.factorize(np.array(list(map(label_text, y.tolist())), object))
    n_values = len(np.unique(codes))
    if n_values < len(labels) or len(y) < 10 * n_values:
        return ""
    table = np.zeros((len(values) + 1, len(labels)), np.int64)  # the last row for missing values
    np.add.at(table, (codes, classes), 1)
    n_wrong = len(y) - int(table.max(axis=1).sum())
    n_rare = len(y) - int(table.sum(axis=0).max())  # wrong if the largest class is always predicted
    if n_wrong > _MOST_EXCEPTIONS * n_rare:
        return ""
    return f"{1 - n_wrong / len(y):.2%} of the rows" if n_wrong else "every row"


def _share_of_values(series: Any, y: np.ndarray) -> str:
    """Describe the share of rows in which a column determines the value; "" if it does not."""
    if unusable_content(series) or is_date(series):
        return ""
    codes, distinct = distinct_values(series)
    if len(distinct) < _FEWEST_VALUES:
        return ""
    if any(map(is_long_integer, distinct)) and all(map(_is_integer, distinct)):
        integers = [int(value) for value in distinct]
        least = min(integers)  # floats hold differences of identifiers where they do not hold them
        values = np.array([*(float(integer - least) for integer in integers), np.nan])[codes]
    else:
        counts = np.bincount(codes + 1, minlength=len(distinct) + 1)[1:]
        form = PLAIN if is_numeric(series) else learn_form(distinct, counts).form or PLAIN
        values, _ = read_numbers(series, form)
    known = ~np.isnan(values)
    values, y = values[known], y[known].astype(np.float64)
    if len(values) < _FEWEST_ROWS or len(np.unique(values)) < _FEWEST_VALUES:
        return ""
    correlation = max(abs(_correlation(values, y)), abs(_correlation(_ranks(values), _ranks(y))))
    is_found = correlation > 1 - _MOST_EXCEPTIONS
    return f"nearly every row (correlation {correlation:.4f})" if is_found else ""


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdecimal())


def _ranks(values: np.ndarray) -> np.ndarray:
    import pandas

    return pandas.Series(values).rank().to_numpy()


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        a, b = a - a.mean(), b - b.mean()
        value = (a @ b) / np.sqrt((a @ a) * (b @ b))
    return float(value) if np.isfinite(value) else 0.0
