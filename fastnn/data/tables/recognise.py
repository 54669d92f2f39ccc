"""Recognition of columns: as numbers, dates, categories, free text, or nothing to learn from.

To add a kind of column, write its class in `columns.py`, and say here by which values it is recognised.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .columns import Category, Column, Date, Ignored, Number, Text
from .dates import find_date_form, guess_date_form, parse_dates, read_dates
from .numbers import parse_numbers, read_numbers
from .values import distinct_values, is_date, is_missing_word, is_numeric, unusable_content

# Values of `columns` of a TableEncoder.
CHOICES = ("number", "category", "one_hot", "embedding", "date", "text", "ignore")

_MOST_UNREADABLE = 0.02  # of the values of a column of numbers or dates may be other text
_FEWEST_SHARED = 0.1  # of the rows of a column of categories must share theirs with other rows
_WORDS = 3.0  # on average make a column free text
_LEADING_ZERO = re.compile(r"\s*[+-]?0\d").match
_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|key|uuid|guid|index|rowid|unnamed: \d+)$)|[a-z](Id|ID)$")


def learn_column(
    name: str, series: Any, choice: str | None, *, min_count: int, max_one_hot: int, max_words: int
) -> Column:
    """Recognise the kind of a column, and learn from its values.

    Parameters
    ----------
    name : str
    series : pandas.Series
        As :func:`.values.plain_column` returns it.
    choice : str or None
        One of CHOICES, if the user specifies the kind.
    min_count, max_one_hot, max_words : int
        Parameters of :class:`.encoder.TableEncoder`.

    Raises
    ------
    ValueError
        If the column is not of the kind `choice`.
    """
    if choice == "ignore":
        return Ignored(name, reason="was to be left out")
    missing = int(series.isna().sum())
    if missing == len(series):
        return Ignored(name, missing, reason="has no values")
    content = unusable_content(series)
    if content:
        return Ignored(name, missing, reason=f"holds {content}, of which no features can be made")
    if choice in ("category", "one_hot", "embedding"):
        column: Column = Category(name).learn(*distinct_values(series), min_count, keep_rare=True)
    elif choice == "text":
        column = _learn_text(name, series, max_words)
    elif choice == "number" or (choice is None and is_numeric(series)):
        column = _learn_number(name, series, is_chosen=choice is not None)
    elif choice == "date" or is_date(series):
        column = _learn_date(name, series, find_date_form(series))
    else:
        column = _learn_objects(name, series, min_count, max_one_hot, max_words)
    if choice is None and column.distinct == 1 and not column.missing:
        return Ignored(name, column.missing, 1, reason="says the same in every row")
    return column


def _learn_objects(name: str, series: Any, min_count: int, max_one_hot: int, max_words: int) -> Column:
    """Learn from a column of text or objects, whose dtype does not determine the kind."""
    codes, values = distinct_values(series)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    if not _has_numeric_categories(series) and _are_numbers(values, counts):
        return _learn_number(name, series, is_chosen=False)
    form = guess_date_form(values)
    if form is not None and _are_dates(values, counts, form):
        return _learn_date(name, series, form)
    category = Category(name).learn(codes, values, min_count, keep_rare=False)
    n_present = counts.sum()
    if category.distinct > (0.1 if category.distinct > max_one_hot else 0.5) * n_present:
        n_words = np.array([len(str(value).split()) for value in values])
        if (n_words * counts).sum() >= _WORDS * n_present:
            return _learn_text(name, series, max_words)
    reason = ""
    if category.distinct == 0:
        reason = "has no values"
    elif counts[counts > 1].sum() < _FEWEST_SHARED * n_present:
        reason = "has a value of its own in nearly every row: it names rows, and says nothing of others"
    elif not category.categories:
        reason = f"has no value that {min_count} rows share"
    return Ignored(name, category.missing, category.distinct, reason=reason) if reason else category


def _has_numeric_categories(series: Any) -> bool:
    """Return whether the dtype is one of categories that are numbers."""
    import pandas

    if not isinstance(series.dtype, pandas.CategoricalDtype):
        return False
    return is_numeric(series.cat.categories.to_series())


# --- numbers ----------------------------------------------------------------------------------------


def _are_numbers(values: list[Any], counts: np.ndarray) -> bool:
    """Return whether distinct values, each with its number of rows, are numbers."""
    numbers, readable = parse_numbers(values)
    is_number = ~np.isnan(numbers)
    if (counts * ~readable).sum() > _MOST_UNREADABLE * counts.sum() or not (counts * is_number).any():
        return False
    # Postal codes, telephone numbers: 01234 is not 1234.
    return not any(map(_LEADING_ZERO, (value for value in values if isinstance(value, str))))


def _learn_number(name: str, series: Any, *, is_chosen: bool) -> Column:
    values, unread = read_numbers(series)
    n_unread = int(unread.sum())
    present = values[~np.isnan(values)]
    if len(present) == 0:
        found = f"{n_unread} values, none of which is a number" if n_unread else "no values"
        if is_chosen and n_unread:
            raise ValueError(f"the column {name!r} has {found}: take it as a category, or leave it out.")
        return Ignored(name, len(values), reason=f"has {found}")
    distinct = np.unique(present)
    n_missing = len(values) - len(present)
    if not is_chosen and _is_identifier(name, present, distinct, n_missing):
        reason = "numbers the rows, and says nothing of others"
        return Ignored(name, n_missing, len(distinct), reason=reason)
    note = f"values that are not numbers, taken as missing: {n_unread}" if n_unread else ""
    return Number(name, n_missing, len(distinct), note).learn(values)


def _is_identifier(name: str, present: np.ndarray, distinct: np.ndarray, n_missing: int) -> bool:
    """Return whether numbers count the rows: integers, all different, with few gaps or a name that says so.

    Training rows are some of all rows, so gaps are to be expected.
    """
    if n_missing or len(distinct) < len(present) or len(present) < 10 or np.any(distinct % 1 != 0):
        return False
    few_gaps = len(distinct) >= 50 and len(distinct) > 0.5 * (distinct[-1] - distinct[0])
    return bool(few_gaps) or _ID_NAME.search(name) is not None


# --- dates ------------------------------------------------------------------------------------------


def _are_dates(values: list[Any], counts: np.ndarray, form: str) -> bool:
    """Return whether distinct values, each with its number of rows, are dates of a format."""
    texts = [value.strip() if isinstance(value, str) else value for value in values]
    is_date = np.isfinite(parse_dates(texts, form, "UTC"))
    missing = np.array([is_missing_word(text) for text in texts])
    return (counts * ~(is_date | missing)).sum() <= _MOST_UNREADABLE * counts.sum() and bool(is_date.any())


def _learn_date(name: str, series: Any, form: str | None) -> Column:
    if form is None:
        raise ValueError(
            f"the column {name!r} cannot be read as dates: they are not all written in the same way."
        )
    zone = getattr(series.dtype, "tz", None)
    zone = "UTC" if zone is None else str(zone)
    seconds, unread = read_dates(series, form, zone)
    n_unread = int(unread.sum())
    present = seconds[~np.isnan(seconds)]
    if len(present) == 0:
        raise ValueError(f"the column {name!r} has no value that is a date.")
    notes = [f"its dates are read in the form {form}"] if "%" in form else []
    if n_unread:
        notes.append(f"values that are no dates, taken as missing: {n_unread}")
    n_missing = len(seconds) - len(present)
    column = Date(name, n_missing, len(np.unique(present)), "; ".join(notes), form=form, zone=zone)
    return column.learn(seconds)


# --- text -------------------------------------------------------------------------------------------


def _learn_text(name: str, series: Any, max_words: int) -> Column:
    column = Text(name, int(series.isna().sum()), int(series.nunique())).learn(series, max_words)
    return column if column.vocabulary else Ignored(name, column.missing, reason="has no words")
