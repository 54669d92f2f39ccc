"""Recognition of columns: as numbers, dates, categories, free text, or nothing to learn from.

To add a kind of column, write its class in `columns.py`, and say here by which values it is recognised.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np

from .columns import Category, Column, Date, Ignored, Number, Text
from .dates import (
    CLOCK,
    EPOCH_UNITS,
    describe_form,
    find_date_form,
    guess_date_form,
    guess_number_form,
    has_both_orders,
    read_dates,
)
from .identifiers import LARGEST_EXACT
from .notes import list_some
from .numbers import read_numbers
from .times import parse_clock
from .values import distinct_values, is_date, is_missing_word, is_numeric, unusable_content
from .written import PLAIN, Learnt, NumberForm, learn_form

# Values of `columns` of a TableEncoder.
CHOICES = ("number", "category", "one_hot", "embedding", "date", "text", "ignore")

_MOST_UNREADABLE = 0.02  # of the values of a column of dates may be other text
_FEWEST_SHARED = 0.1  # of the rows of a column of categories must share theirs with other rows
_FEWEST_PRESENT = 0.5  # of the rows have a value where cells are not merged
_MOSTLY = 0.9  # of the texts hold several numbers
_MOST_WORDS_BESIDE, _FEWEST_BESIDE_WORDS = 6, 20  # different words, and different numbers or dates
_QUANTITY = r"[+-]?\d{1,6}(?:\.\d+)?"
# 120/80, 10 x 20 x 3, (51.5, -0.1), 18-25, 5'11"; not the points of versions, and no long codes.
_SEVERAL_NUMBERS = re.compile(
    rf"\(?{_QUANTITY}(?:(?: ?[/:;\u2013-] ?|, ?| to |['\u2032] ?){_QUANTITY}|"
    rf"(?: ?[x\u00d7] ?{_QUANTITY}){{1,2}})[)\"\u2033]*"
).fullmatch
_HAS_NUMBER = re.compile(r"[^<>\u2264\u2265]*\d").match
_WORDS = 3.0  # on average make a column free text
_DURATION_NAME = re.compile(r"(?i:duration|elapsed|runtime|run.time|took|lap|pace|length|dauer)").search
_MAY_BE_DURATION = re.compile(r"\s*(?:\d|1[01]):\d\d:\d\d(?:[.,]\d+)?\s*").fullmatch  # 4:36:47, not 04:36:47
_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|key|uuid|guid|index|rowid|unnamed: \d+)$)|[a-z](Id|ID)$")


def learn_column(
    name: str,
    series: Any,
    choice: str | None,
    *,
    min_count: int,
    max_one_hot: int,
    max_words: int,
    decimal_sign: str = "",
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
    decimal_sign : {"", ".", ","}
        The decimal sign of the table, for columns that do not show their own.

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
    elif choice == "number":
        column = _learn_number(name, series, _learn_form(series, decimal_sign), is_chosen=True)
    elif choice == "date" or is_date(series):
        column = _learn_date(name, series, find_date_form(series))
    elif is_numeric(series) and not _is_beyond_float(series):
        column = _learn_number(name, series, _learn_form(series, decimal_sign), is_chosen=False)
    else:
        column = _learn_objects(name, series, min_count, max_one_hot, max_words, decimal_sign)
    if choice is None and column.distinct == 1 and not column.missing:
        return Ignored(name, column.missing, 1, reason="says the same in every row")
    return column


def _learn_objects(
    name: str, series: Any, min_count: int, max_one_hot: int, max_words: int, decimal_sign: str
) -> Column:
    """Learn from a column of text, of objects, or of integers beyond what a float holds."""
    codes, values = distinct_values(series)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    note = ""
    clock = guess_date_form(values, counts) if _may_be_clocks(values) else None
    if clock == CLOCK and not (_DURATION_NAME(name) and any(isinstance(value, str) for value in values)):
        times = _learn_date(name, series, CLOCK)
        if all(isinstance(value, str) and _MAY_BE_DURATION(value) for value in values):
            times.note = (
                "its values are read as times of day: if they are durations, make it a number (--columns)"
            )
        return times
    if not _has_numeric_categories(series):
        learnt = learn_form(values, counts, decimal_sign)
        if learnt.form is not None:
            return _learn_number(name, series, learnt, is_chosen=False)
        note = learnt.note
    form = guess_date_form(values, counts)
    if form is not None and form != CLOCK:
        return _learn_date(name, series, form)
    if has_both_orders(values):
        note = "dates with the day before the month, and others behind it"
    note = note or _what_else(values, counts)
    category = Category(name).learn(codes, values, min_count, keep_rare=False)
    n_present = counts.sum()
    if not note and category.distinct > (0.1 if category.distinct > max_one_hot else 0.5) * n_present:
        n_words = np.array([_count_words(str(value)) for value in values])
        if (n_words * counts).sum() >= _WORDS * n_present:
            return _learn_text(name, series, max_words)
    reason = ""
    if category.distinct == 0:
        reason = "has no values"
    elif n_present < _FEWEST_PRESENT * len(codes) and counts.max() == 1:
        reason = "is empty in most rows, and its other values differ, as with cells that were merged"
    elif counts[counts > 1].sum() < _FEWEST_SHARED * n_present:
        reason = "has a value of its own in nearly every row"
        reason += "" if note else ": it names rows, and says nothing of others"
    elif not category.categories:
        reason = f"has no value that {min_count} rows share"
    if reason:
        reason += f"; it holds {note}" if note else ""
        return Ignored(name, category.missing, category.distinct, reason=reason)
    category.note = "; ".join(filter(None, [category.note, note]))
    return category


def _what_else(values: list[Any], counts: np.ndarray) -> str:
    """Say what a column of text seems to hold that is not read: several numbers, or some beside words."""
    texts = [value for value in values if isinstance(value, str) and not is_missing_word(value)]
    if len(texts) < len(values) / 2:
        return ""
    several = [text for text in texts if _SEVERAL_NUMBERS(text)]
    if texts and len(several) >= _MOSTLY * len(texts):
        return f"several numbers in each text, such as {several[0]!r}: give each a column of its own"
    words = [text for text in texts if not _HAS_NUMBER(text)]
    is_word = np.isin(np.array(values, object), words)
    if not 0 < len(words) <= _MOST_WORDS_BESIDE or len(texts) - len(words) < _FEWEST_BESIDE_WORDS:
        return ""
    others = [value for value, word in zip(values, is_word.tolist(), strict=True) if not word]
    if learn_form(others, counts[~is_word]).form is not None:
        what = "numbers"
    elif guess_date_form(others, counts[~is_word]) is not None:
        what = "dates"
    else:
        return ""
    shown = list_some([*map(repr, words)])
    return f"{what} beside {shown}: replace such text, or name what stands for a missing value (--missing)"


def _count_words(text: str) -> int:
    """Count words; a text without letters, such as a telephone number, is one."""
    return len(text.split()) if any(map(str.isalpha, text)) else 1


def _has_numeric_categories(series: Any) -> bool:
    """Return whether the dtype is one of categories that are numbers."""
    import pandas

    if not isinstance(series.dtype, pandas.CategoricalDtype):
        return False
    return is_numeric(series.cat.categories.to_series())


# --- numbers ----------------------------------------------------------------------------------------


def _is_beyond_float(series: Any) -> bool:
    """Return whether most numbers of a column are integers beyond what a float holds exactly."""
    if series.dtype.kind not in "iu" or not len(series):
        return False
    present = series.dropna()
    return bool(2 * ((present > LARGEST_EXACT) | (present < -LARGEST_EXACT)).sum() > len(present))


def _learn_form(series: Any, decimal_sign: str) -> Learnt:
    """Learn the form of numbers, whatever the column holds; plain if they have none."""
    if is_numeric(series):
        duration = "m:s" if series.dtype.kind == "m" else ""
        sign = decimal_sign if series.dtype.kind == "f" and decimal_sign else PLAIN.decimal
        return Learnt(NumberForm(sign, duration=duration))
    codes, values = distinct_values(series)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    learnt = learn_form(values, counts, decimal_sign)
    return Learnt(PLAIN) if learnt.form is None else learnt


def _learn_number(name: str, series: Any, learnt: Learnt, *, is_chosen: bool) -> Column:
    form = learnt.form or PLAIN
    values, unread = read_numbers(series, form)
    n_unread = int(unread.sum())
    present = values[~np.isnan(values)]
    if len(present) == 0:
        found = f"{n_unread} values, none of which is a number" if n_unread else "no values"
        if is_chosen and n_unread:
            raise ValueError(f"the column {name!r} has {found}: take it as a category, or leave it out.")
        return Ignored(name, len(values), reason=f"has {found}")
    distinct = np.unique(present)
    n_missing = len(values) - len(present)
    hint = ""
    if not is_chosen and form == NumberForm(form.decimal):
        date_form, hint = guess_number_form(name, distinct)
        if date_form is not None:
            return _learn_date(name, series, date_form)
    if not is_chosen and _is_identifier(name, present, distinct, n_missing):
        reason = "numbers the rows, and says nothing of others"
        return Ignored(name, n_missing, len(distinct), reason=reason)
    notes = [note for note in (learnt.note, hint) if note]
    if n_unread:
        notes.append(f"values that are not numbers, taken as missing: {n_unread}")
    return Number(name, n_missing, len(distinct), "; ".join(notes)).learn(values, form, learnt.sign)


def _is_identifier(name: str, present: np.ndarray, distinct: np.ndarray, n_missing: int) -> bool:
    """Return whether numbers count the rows: integers, all different, with few gaps or a name that says so.

    Training rows are some of all rows, so gaps are to be expected.
    """
    if n_missing or len(distinct) < len(present) or len(present) < 10 or np.any(distinct % 1 != 0):
        return False
    few_gaps = len(distinct) >= 50 and len(distinct) > 0.5 * (distinct[-1] - distinct[0])
    return bool(few_gaps) or _ID_NAME.search(name) is not None


# --- dates ------------------------------------------------------------------------------------------


def _may_be_clocks(values: list[Any]) -> bool:
    return any(isinstance(value, datetime.time) for value in values[:1]) or any(
        parse_clock(value) is not None for value in values[:10] if isinstance(value, str)
    )


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
    how = "are read as" if form in EPOCH_UNITS else "are written as"
    notes = [f"its dates {how} {describe_form(form)}"] if "%" in form or form in EPOCH_UNITS else []
    if n_unread:
        notes.append(f"values that are no dates, taken as missing: {n_unread}")
    n_missing = len(seconds) - len(present)
    column = Date(name, n_missing, len(np.unique(present)), "; ".join(notes), form=form, zone=zone)
    return column.learn(seconds)


# --- text -------------------------------------------------------------------------------------------


def _learn_text(name: str, series: Any, max_words: int) -> Column:
    column = Text(name, int(series.isna().sum()), int(series.nunique())).learn(series, max_words)
    return column if column.vocabulary else Ignored(name, column.missing, reason="has no words")
