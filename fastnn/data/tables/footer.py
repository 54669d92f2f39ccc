"""Rows at the end of a table that are no data: totals, averages, remarks on the source."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .numbers import read_numbers
from .values import distinct_values, is_date, is_numeric
from .written import PLAIN, learn_form

_MOST_ROWS = 5  # that a footer has
_FEWEST_ROWS = 10  # above it
_SUMMARY = re.compile(
    r"(?:(?:grand |sub-?)?totals?|summe|gesamt|insgesamt|totale)\b.{0,20}|"
    r"(?:sum|overall|all|average|mean|median|count|mittelwert|durchschnitt|suma|somme|moyenne|media|promedio)\W*",
    re.IGNORECASE,
).fullmatch
_REMARK = re.compile(
    r"(?:source|note|notes|quelle|hinweis|fuente|generated|exported|created|end of|\d+ rows?\b|\(c\)|©|\*).*",
    re.IGNORECASE | re.DOTALL,
).fullmatch
_SAME = 1e-6  # relative difference of a total and the sum of the rows


def find_footer(frame: Any) -> tuple[int, str]:
    """Find rows at the end of a table that sum the others up, or remark on them.

    Parameters
    ----------
    frame : pandas.DataFrame

    Returns
    -------
    n_rows : int
        How many rows at the end are certainly no data: a number in them is the sum or the mean of the rows
        above, or all else in them is missing.
    note : str
        A sentence for the user; "" if there is no footer.

    Examples
    --------
    >>> import pandas
    >>> sales = pandas.DataFrame({"shop": [*"abcdefghijkl", "Total"], "sales": [*range(12), 66]})
    >>> find_footer(sales)
    (1, "the last row looks like a footer ('Total'): it is left out.")
    """
    n = len(frame)
    first = n
    while first > max(_FEWEST_ROWS, n - _MOST_ROWS) and _label_of(frame, first - 1):
        first -= 1
    if first == n:
        return 0, ""
    label = _label_of(frame, first)
    what = "the last row looks" if n - first == 1 else f"the last {n - first} rows look"
    what = f"{what} like a footer ({label!r})"
    if all(_is_empty(frame, i) or _sums_up(frame, i, first) for i in range(first, n)):
        return n - first, f"{what}: {'it is' if n - first == 1 else 'they are'} left out."
    return 0, f"{what}, and is taken for data: delete it if it is none."


def _cells(frame: Any, i: int) -> list[Any]:
    return frame.iloc[i].tolist()


def _label_of(frame: Any, i: int) -> str:
    """Return the text by which a row looks like a footer, and which no other row has; "" if there is none."""
    for place, value in enumerate(_cells(frame, i)):
        if not (isinstance(value, str) and value.strip()):
            continue
        text = value.strip()
        is_remark = _REMARK(text) and sum(map(_is_present, _cells(frame, i))) == 1
        if (_SUMMARY(text) or is_remark) and int((frame.iloc[:, place] == value).sum()) == 1:
            return text
        return ""  # the first text names the row
    return ""


def _is_present(value: Any) -> bool:
    import pandas

    if isinstance(value, str):
        return bool(value.strip())
    return not (pandas.api.types.is_scalar(value) and pandas.isna(value))


def _is_empty(frame: Any, i: int) -> bool:
    """Return whether a row has nothing but its label, where other rows have more."""
    return frame.shape[1] > 1 and sum(map(_is_present, _cells(frame, i))) == 1


def _sums_up(frame: Any, i: int, n: int) -> bool:
    """Return whether most of a row's numbers, one at least, are sums or means of the first n rows."""
    found = []
    for place in range(frame.shape[1]):
        series = frame.iloc[:, place]
        if not _is_present(series.iloc[i]) or is_date(series):
            continue
        form = PLAIN
        if not is_numeric(series):
            codes, values = distinct_values(series)
            counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
            form = learn_form(values, counts).form or PLAIN
        numbers, _ = read_numbers(series, form)
        rows = numbers[:n][~np.isnan(numbers[:n])]
        if not np.isnan(numbers[i]) and len(rows) > n // 2:
            figures = (rows.sum(), rows.mean(), np.median(rows), float(len(rows)))
            # Means are rounded as they are written, to two digits behind the point at least.
            found.append(
                any(abs(numbers[i] - x) <= max(_SAME * abs(x), 0.006 * (x != figures[0])) for x in figures)
            )
    return sum(found) > len(found) / 2
