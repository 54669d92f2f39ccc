"""Columns of dates: their format, their parsing, and their phase in calendar cycles."""

from __future__ import annotations

import datetime
import re
import string
import warnings
from typing import Any

import numpy as np

from ..._labels import label_text
from .numbers import read_numbers
from .times import parse_clock
from .values import distinct_values, is_date, is_missing_word, is_numeric

# Calendar cycles and their lengths in days.
CYCLES = {"year": 365.25, "month": 30.4, "week": 7.0, "day": 1.0}
# Units of numbers that count the time since 1970, by how many of them a second has.
EPOCH_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# All formats in which numbers may be dates.
NUMBER_FORMS = (*EPOCH_UNITS, "%Y", "%Y%m%d", "%Y%m%d%H%M%S")
_SAMPLE = 50  # values that must be times of day before others are looked at
_ENOUGH_DATES = 0.98  # of the rows must read in a format

CLOCK = "clock"  # the form of times of day
_SEVERAL = " | "  # between the formats of a column that has several

_MOST_FORMATS = 5
# Signs before which the day, if its order is not known from the values, comes before the month: a point;
# any; none.
_ORDERS = (".", string.punctuation + " ", "")
# Formats that pandas does not guess: those of databases, logs and spreadsheets.
_MORE_FORMS = (
    *("%d-%b-%y", "%d %b %y", "%b %Y", "%B %Y", "%b-%Y", "%m/%Y", "%d/%b/%Y:%H:%M:%S %z"),
    *("%d.%m.%Y %H:%M Uhr", "%d.%m.%Y, %H:%M Uhr", "%Y\u5e74%m\u6708%d\u65e5"),
)
_SHOWN = datetime.datetime(2024, 12, 31, 23, 59, tzinfo=datetime.timezone.utc)  # its day is no month
_EARLY_YEAR = re.compile(r"0\d{3}").fullmatch  # to pandas
_FEWEST_COMPACT = 10  # different numbers that are all days, such as 20240131, are no accident
_DATE_NAMES = (
    *("date", "dates", "datum", "time", "timestamp", "datetime", "day", "created", "updated", "modified"),
    *("epoch", "stamp", "birth", "dob", "ts"),
)
_SHORT_DATE = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?:(,? )(\d{1,2}:\d\d)(:\d\d)?( ?[AaPp][Mm])?)?"
).fullmatch
# Seconds since 1970 that numbers may count: if their name says that they are times, and if not.
_EPOCH_NAMED = 631_152_000, 3_155_760_000  # 1990 to 2070
_EPOCH = 946_684_800, 2_051_222_400  # 2000 to 2035


def find_date_form(series: Any) -> str | None:
    """Find the format of a column of dates.

    Returns
    -------
    str or None
        A format of pandas ("ISO8601", "%d.%m.%Y"), several of them, "clock" for times of day, or the unit of
        numbers since 1970 ("s", "ms", "us", "ns"); None if the column holds no dates.
    """
    if is_date(series):
        return "ISO8601"
    if is_numeric(series):
        return _guess_epoch(read_numbers(series)[0])
    codes, values = distinct_values(series)
    return guess_date_form(values, np.bincount(codes + 1, minlength=len(values) + 1)[1:])


def guess_date_form(values: list[Any], counts: np.ndarray) -> str | None:
    """Guess the format of distinct values, each with its number of rows; None if most are not dates.

    Whether the day or the month comes first is decided by which order reads more of the column; where several
    read all of it, the month does, but not before a point. Texts with less than a day or a month, such as
    the digits 0930, are no dates.
    """
    texts = [value.strip() if isinstance(value, str) else value for value in values]
    is_there = np.array([not is_missing_word(text) for text in texts], bool)
    texts, counts = _take(texts, is_there), counts[is_there]
    if not texts or any(isinstance(text, str) and _EARLY_YEAR(text) for text in texts):
        return None
    most_unread = (1 - _ENOUGH_DATES) * counts.sum()

    def reads(form: str) -> bool:
        return bool(counts[np.isnan(parse_dates(texts, form, "UTC"))].sum() <= most_unread)

    n_clocks = sum(_seconds_of_day(text) is not None for text in texts[:_SAMPLE])
    if n_clocks >= 0.9 * len(texts[:_SAMPLE]) and reads(CLOCK):
        return CLOCK
    if all(not isinstance(text, str) for text in texts):
        return "ISO8601" if reads("ISO8601") else None
    sample = slice(None, None, max(1, len(texts) // 200))
    orders = [
        day_first
        for day_first in _ORDERS
        if _find_formats(texts[sample], counts[sample], day_first)[1] <= counts[sample].sum() / 2
    ]
    if not orders:
        return None
    found = [_find_formats(texts, counts, day_first) for day_first in orders]
    form, n_unread = min(found, key=lambda pair: pair[1])  # the first of equal ones
    return form if form and n_unread <= most_unread else None


def has_both_orders(values: list[Any]) -> bool:
    """Return whether some dates have the day before the month, and others behind it."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    dates = [match for text in texts if (match := _SHORT_DATE(text))]
    is_mostly = bool(dates) and len(dates) >= _ENOUGH_DATES * len(texts)
    return is_mostly and all(any(int(match[group]) > 12 for match in dates) for group in (1, 3))


def _find_formats(texts: list[Any], counts: np.ndarray, day_first: str) -> tuple[str, int]:
    """Find the formats of a column in which days come before months, or behind them.

    Parameters
    ----------
    texts : list
        Distinct values.
    counts : ndarray of shape (n,)
        Number of rows of each.
    day_first : str
        The signs before which the day comes first; one of _ORDERS.

    Returns
    -------
    form : str
        The formats, joined; "" if there are none.
    n_unread : int
        Number of rows that are written in none of them.
    """
    from pandas.tseries.api import guess_datetime_format

    forms: list[str] = []
    for _ in range(_MOST_FORMATS):
        text = next((text for text in texts if isinstance(text, str)), "")
        is_first = text.lstrip("0123456789")[:1] in day_first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas warns where only the day can come first
            guess = guess_datetime_format(text, dayfirst=is_first) or _guess_more(text, is_first)
        candidates = [form for form in ("ISO8601", guess) if form is not None and form not in forms]
        unread = {
            form: np.isnan(parse_dates(texts, form, "UTC"))
            for form in candidates
            if _is_dated(form, day_first)
        }
        if not unread:
            break
        best = min(unread, key=lambda form: counts[unread[form]].sum())
        if unread[best].all():
            break
        forms.append(best)
        texts = [text for text, is_unread in zip(texts, unread[best], strict=True) if is_unread]
        counts = counts[unread[best]]
        if not texts:
            break
    return _SEVERAL.join(forms), int(counts.sum())


def _guess_more(text: str, day_first: bool) -> str | None:
    """Guess formats that pandas does not: years of two digits, clocks of twelve hours, and _MORE_FORMS."""
    match = _SHORT_DATE(text)
    if match is None:
        return next((form for form in _MORE_FORMS if not np.isnan(parse_dates([text], form, "UTC"))), None)
    separator, year = match[2], "%Y" if len(match[4]) == 4 else "%y"
    form = separator.join([*(("%d", "%m") if day_first else ("%m", "%d")), year])
    if match[6]:
        half = match[8] or ""
        form += (
            match[5]
            + ("%I" if half else "%H")
            + ":%M"
            + (":%S" if match[7] else "")
            + half[:-2]
            + "%p" * bool(half)
        )
    return form


def _is_dated(form: str, day_first: str) -> bool:
    """Return whether a format has a year, and days where they are to be; clock times alone are no dates."""
    if form == "ISO8601":
        return True
    if "%Y" not in form and "%y" not in form:
        return False
    if "%d" not in form or "%m" not in form or form.startswith("%Y"):
        return True
    day, month = form.index("%d"), form.index("%m")
    return (day < month) == (form[min(day, month) + 2] in day_first)


def guess_number_form(name: str, values: np.ndarray) -> tuple[str | None, str]:
    """Guess whether numbers are dates, such as 20240131, or count the time since 1970.

    Parameters
    ----------
    name : str
        Name of the column.
    values : ndarray of shape (n,)
        The numbers, none of them missing.

    Returns
    -------
    form : str or None
        A format of pandas or a unit of time; None if they are to be taken as numbers.
    note : str
        Remark for the user, if they might be dates nevertheless.
    """
    low, high = float(values.min()), float(values.max())
    if low == high or low <= 0:
        return None, ""
    is_named = _has_date_name(name)
    for form, first, last in (
        ("%Y%m%d", 19000101, 21001231),
        ("%Y%m%d%H%M%S", 19000101000000, 21001231235959),
    ):
        if first <= low and high <= last and (values % 1 == 0).all():
            texts = [str(int(value)) for value in np.unique(values)]
            is_clear = is_named or len(texts) >= _FEWEST_COMPACT
            if is_clear and not np.isnan(parse_dates(texts, form, "UTC")).any():
                return form, ""
    first, last = _EPOCH_NAMED if is_named else _EPOCH
    for unit, per_second in EPOCH_UNITS.items():
        if first <= low / per_second and high / per_second <= last:
            if is_named:
                return unit, ""
            if (values % 1 == 0).all():
                days = [str(np.datetime64(int(value / per_second), "s"))[:10] for value in (low, high)]
                times = f"times from {days[0]} to {days[1]}, in {_UNIT_NAMES[unit]} since 1970"
                return None, f"its numbers could be {times}: make it a date if they are"
    return None, ""


def split_form(form: str) -> list[str]:
    """Return the formats of a column, which may be several."""
    return form.split(_SEVERAL)


def describe_form(form: str) -> str:
    """Name the form of a column of dates in a few words.

    Examples
    --------
    >>> describe_form("ISO8601 | %d.%m.%y | %B %Y"), describe_form("ms")
    ('2024-12-31, 31.12.24 or December 2024', 'milliseconds since 1970')
    """
    if form in EPOCH_UNITS:
        return f"{_UNIT_NAMES[form]} since 1970"
    dates = [_SHOWN.strftime("%Y-%m-%d" if part == "ISO8601" else part) for part in split_form(form)]
    shown = list(dict.fromkeys(re.sub("31(?:th|nd|rd)", "31st", date) for date in dates))
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _has_date_name(name: str) -> bool:
    """Return whether a column's name says that it holds times, as "created_at" and "birthDate" do."""
    words = [word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)]
    return bool(words) and (not set(_DATE_NAMES).isdisjoint(words) or words[-1] in ("at", "on"))


def _guess_epoch(numbers: np.ndarray) -> str:
    """Guess how numbers encode dates: as 20240131, as 2024, or in which unit since 1970."""
    values = np.abs(numbers[np.isfinite(numbers)])
    typical = float(np.median(values)) if values.size else 0.0
    if 1000 <= typical < 10000:
        return "%Y"
    if 1e7 <= typical < 1e8 and values.min() >= 1e7:
        return "%Y%m%d"
    if 1.9e13 <= typical < 2.2e13 and values.min() >= 1.9e13:
        return "%Y%m%d%H%M%S"
    return next((unit for unit, factor in EPOCH_UNITS.items() if typical < 1e10 * factor), "ns")


def read_dates(series: Any, form: str, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a column as dates.

    Parameters
    ----------
    series : pandas.Series
    form : str
        As :func:`find_date_form` returns it.
    zone : str
        Time zone of the clocks that are read.

    Returns
    -------
    seconds : ndarray of shape (n,), float64
        Since 1970 on those clocks, NaN where missing.
    unread : ndarray of shape (n,), bool
        The rows whose text is no date.
    """
    import pandas

    if isinstance(series.dtype, pandas.PeriodDtype):
        series = series.dt.to_timestamp()
    if pandas.api.types.is_datetime64_any_dtype(series.dtype):
        return _seconds(series, zone), np.zeros(len(series), bool)
    if is_numeric(series) and form not in EPOCH_UNITS:
        # 20240131 or 2024, as text files hold them
        series = series.where(series % 1 == 0).astype("Int64").astype("string")
    if form in EPOCH_UNITS:
        numbers, unread = read_numbers(series)
        return numbers / EPOCH_UNITS[form], unread
    codes, values = distinct_values(series)
    texts = [label_text(value) if isinstance(value, (str, float)) else value for value in values]
    missing = np.array([is_missing_word(text) for text in texts], bool)
    seconds = parse_dates(texts, form, zone)
    unread = np.isnan(seconds) & ~missing
    return np.append(seconds, np.nan)[codes], np.append(unread, False)[codes]


def parse_dates(values: list[Any], form: str, zone: str) -> np.ndarray:
    """Parse distinct values, text or Python's dates: seconds since 1970, NaN for those that are no dates."""
    import pandas

    if not values:
        return np.empty(0)
    if form == CLOCK:
        return np.array([_seconds_of_day(value) for value in values], np.float64)
    if _SEVERAL in form:
        seconds = np.full(len(values), np.nan)
        for part in split_form(form):
            rest = np.flatnonzero(np.isnan(seconds))
            seconds[rest] = parse_dates([values[i] for i in rest], part, zone)
        return seconds
    is_text = np.array([isinstance(value, str) for value in values], bool)
    seconds = np.full(len(values), np.nan)
    for rows, part in ((is_text, form), (~is_text, "ISO8601")):
        chosen = [value if isinstance(value, (str, datetime.date)) else None for value in _take(values, rows)]
        if chosen:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pandas warns of formats without a year
                dates = pandas.Series(chosen, dtype=object)
                seconds[rows] = _seconds(
                    pandas.to_datetime(dates, format=part, errors="coerce", utc=True), zone
                )
    return seconds


def _take(values: list[Any], rows: np.ndarray) -> list[Any]:
    return [values[i] for i in np.flatnonzero(rows)]


def _seconds_of_day(value: Any) -> float | None:
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return parse_clock(value) if isinstance(value, str) else None


def _seconds(dates: Any, zone: str) -> np.ndarray:
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert(zone).dt.tz_localize(None)
    stamps = dates.to_numpy("datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)


def phase(seconds: np.ndarray, cycle: str) -> np.ndarray:
    """Return the part of a cycle that has passed, in [0, 1): counted in days, or in seconds within a day.

    Examples
    --------
    >>> phase(np.array([0.0, 43200.0]), "day"), phase(np.array([0.0]), "week")  # a Thursday
    (array([0. , 0.5]), array([0.42857143]))
    """
    if cycle == "day":
        return np.mod(seconds, 86400) / 86400
    days = np.floor(seconds / 86400).astype(np.int64)
    if cycle == "week":
        return np.mod(days + 3, 7) / 7
    unit = {"month": "M", "year": "Y"}[cycle]
    period = days.astype("datetime64[D]").astype(f"datetime64[{unit}]")
    first, after = (p.astype("datetime64[D]").astype(np.int64) for p in (period, period + 1))
    return (days - first) / (after - first)
