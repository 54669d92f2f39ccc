"""Values of a column: the distinct ones, their kind by dtype, and text for missing ones."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np

from ..._labels import label_text
from .frames import from_arrow

# Text that stands for a missing number or date, in any case.
MISSING_WORDS = frozenset(
    [
        *("", "?", "-", "--", ".", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "none", "null"),
        *("n.a.", "n.a", "k.a.", "not available", "not applicable", "0000-00-00", "0000-00-00 00:00:00"),
        *("missing", "unknown", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "#na"),
    ]
)
# Fields that programs write for a missing value, whatever the column; pandas takes the same.
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "#NA")
_SIGNS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63", "-")
    | dict.fromkeys("`\u00b4\u02bc\u2018\u2019", "'")
)
_RAISED = re.compile(r"(?<!10)(?<=\d)[\u00b2\u00b3\u00b9\u2070-\u2079\u00bc-\u00be\u2150-\u215e]").search


def plain_column(series: Any) -> Any:
    """Return a column with a dtype of pandas' own, where it has one of Arrow's or a sparse one.

    Raises
    ------
    ValueError
        If it holds complex numbers.
    """
    import pandas

    if isinstance(series.dtype, pandas.ArrowDtype):
        import pyarrow

        return from_arrow(pyarrow.table({"column": pyarrow.array(series)}))["column"]
    if isinstance(series.dtype, pandas.SparseDtype):
        return series.sparse.to_dense()
    if series.dtype.kind == "c":
        raise ValueError(f"the column {series.name!r} holds complex numbers: expected real ones.")
    return series


def unusable_content(series: Any) -> str:
    """Name content that no column can encode: "lists", "objects" or "bytes"; "" if there is none."""
    if series.dtype != object:
        return ""
    for value in series.dropna().iloc[:100]:
        if isinstance(value, (list, tuple, set, np.ndarray)):
            return "lists"
        if isinstance(value, (dict, bytes)):
            return "objects" if isinstance(value, dict) else "bytes"
    return ""


def distinct_values(series: Any) -> tuple[np.ndarray, list[Any]]:
    """Find the distinct values of a column.

    Every value is then parsed once, and rows look the result up: ``parsed[codes]``, where the last entry of
    `parsed` is that of missing values.

    Returns
    -------
    codes : ndarray of shape (n,), integers
        The index of each row's value, -1 where it is missing.
    values : list

    Raises
    ------
    TypeError
        If values cannot be hashed, such as lists.
    ValueError
        If text is no Unicode.
    """
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        return series.cat.codes.to_numpy(), series.cat.categories.tolist()
    try:
        if series.dtype == object and pandas.api.types.infer_dtype(series, skipna=True).startswith("mixed"):
            # True and 1 would be one value.
            series = series.map(label_text, na_action="ignore")
        codes, values = pandas.factorize(series)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the column {series.name!r} holds text that is no Unicode (half of a surrogate pair, "
            f"{error.object[error.start]!r})."
        ) from None
    return codes, values.tolist()


def is_numeric(series: Any) -> bool:
    """Return whether the dtype is one of numbers, booleans or durations."""
    import pandas

    types = pandas.api.types
    return types.is_numeric_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype)


def is_date(series: Any) -> bool:
    """Return whether the dtype is one of dates or periods."""
    import pandas

    return pandas.api.types.is_datetime64_any_dtype(series.dtype) or isinstance(
        series.dtype, pandas.PeriodDtype
    )


def is_missing_word(value: Any) -> bool:
    """Return whether a value is text that stands for a missing one."""
    return isinstance(value, str) and value.strip().lower() in MISSING_WORDS


def clean(text: str) -> str:
    """Return text with plain spaces, minus signs, apostrophes and digits."""
    if not text.isascii() and not _RAISED(text):  # 12² is not 122
        text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    return " ".join(text.split())
