"""Text in CSV that no spreadsheet takes for a formula, and that is read back as it was.

A spreadsheet runs a cell that begins with =, +, - or @ as a formula, which may send the table elsewhere. An
apostrophe before it makes it text (OWASP, "CSV injection"). It is also put after a semicolon, tab or line end
within a cell, where a spreadsheet with another separator begins a cell. Numbers are left as they are.
"""

from __future__ import annotations

import re
from typing import Any

from .values import is_date, is_numeric

_WIDE = "\uff1d\uff0b\uff20\uff0d"  # the signs in the width of Chinese characters, which count as well
_SIGN = f"[ \u00a0]*[=+@{_WIDE}-]"
_BEGIN = "(^|[;\t\r\n])"
_FORMULA = re.compile(f"{_BEGIN}('*{_SIGN})")
_ESCAPED = re.compile(f"{_BEGIN}'('*{_SIGN})")
_HARMLESS = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?%?|[-+]*")  # numbers, and signs alone


def escape(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula.

    Examples
    --------
    >>> [escape(text) for text in ("=1+1", "-5.2", "a-b", "-x", "'=1")]
    ["'=1+1", '-5.2', 'a-b', "'-x", "''=1"]
    """
    return text if _HARMLESS.fullmatch(text) else _FORMULA.sub(r"\1'\2", text)


def unescape(text: str) -> str:
    """Undo :func:`escape`.

    Examples
    --------
    >>> [unescape(text) for text in ("'=1+1", "-5.2", "''=1", "'tis")]
    ['=1+1', '-5.2', "'=1", "'tis"]
    """
    return _ESCAPED.sub(r"\1\2", text)


def unescape_column(column: Any) -> Any:
    """Undo :func:`escape` in an Arrow array, if it is of text."""
    import pyarrow
    from pyarrow import compute

    if column.type != pyarrow.string():
        return column
    if not compute.any(compute.match_substring_regex(column, _ESCAPED.pattern)).as_py():
        return column
    return compute.replace_substring_regex(column, _ESCAPED.pattern, r"\1\2")


def to_csv(frame: Any, *, raw: bool = False) -> str:
    """Write a data frame of pandas as CSV.

    Parameters
    ----------
    frame : pandas.DataFrame
    raw : bool, default=False
        Leave all text as it is, formulas of spreadsheets, too.
    """
    if not raw:
        frame = frame.copy(deep=False)
        for k in range(frame.shape[1]):
            series = frame.iloc[:, k]
            if not (is_numeric(series) or is_date(series)):
                values = [escape(value) if isinstance(value, str) else value for value in series.tolist()]
                frame.isetitem(k, type(series)(values, index=series.index, dtype=object))
        frame.columns = [escape(str(name)) for name in frame.columns]
    return frame.to_csv(index=False)
