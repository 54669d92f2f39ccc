"""Columns of dates: their format, their parsing, and their phase in calendar cycles."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

import numpy as np

from ..target import label_text
from .numbers import read_numbers
from .values import distinct_values, is_date, is_missing_word, is_numeric

# Calendar cycles and their lengths in days.
CYCLES = {"year": 365.25, "month": 30.4, "week": 7.0, "day": 1.0}
# Units of numbers that count the time since 1970, by how many of them a second has.
EPOCH_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
# All formats in which numbers may be dates.
NUMBER_FORMS = (*EPOCH_UNITS, "%Y", "%Y%m%d")

_SAMPLE = 200  # distinct values by which a format is judged
_ENOUGH_DATES = 0.98  # of the sample must read in it


def find_date_form(series: Any) -> str | None:
    """Find the format of a column of dates.

    Returns
    -------
    str or None
        A format of pandas ("ISO8601", "%d.%m.%Y"), or the unit of numbers since 1970 ("s", "ms", "us", "ns");
        None if the column holds no dates.
    """
    if is_date(series):
        return "ISO8601"
    if is_numeric(series):
        return _guess_epoch(read_numbers(series)[0])
    return guess_date_form(distinct_values(series)[1])


def guess_date_form(values: list[Any]) -> str | None:
    """Guess the format of distinct values, text or Python's dates; None if they are not dates."""
    from pandas.tseries.api import guess_datetime_format

    if all(not isinstance(value, str) for value in values):
        return "ISO8601"
    texts = [value for value in values if isinstance(value, str) and not is_missing_word(value)]
    if not texts:
        return None
    sample = [text.strip() for text in texts[:: max(1, len(texts) // _SAMPLE)]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns where only the day can come first
        guesses = [guess_datetime_format(sample[0], dayfirst=day_first) for day_first in (False, True)]
    # Clock times alone are no dates.
    dated = [form for form in guesses if form is not None and ("%Y" in form or "%y" in form)]
    for form in ["ISO8601", *dated]:
        if np.isfinite(parse_dates(sample, form, "UTC")).mean() >= _ENOUGH_DATES:
            return form
    return None


def _guess_epoch(numbers: np.ndarray) -> str:
    """Guess how numbers encode dates: as 20240131, as 2024, or in which unit since 1970."""
    values = np.abs(numbers[np.isfinite(numbers)])
    typical = float(np.median(values)) if values.size else 0.0
    if 1000 <= typical < 10000:
        return "%Y"
    if 1e7 <= typical < 1e8 and values.min() >= 1e7:
        return "%Y%m%d"
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
        series = series.astype("Int64").astype("string")
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns of formats without a year
        if all(isinstance(value, str) for value in values):
            dates = pandas.to_datetime(pandas.Series(values), format=form, errors="coerce", utc=True)
        else:
            texts = [value if isinstance(value, (str, datetime.date)) else None for value in values]
            dates = pandas.to_datetime(
                pandas.Series(texts, dtype=object), format="ISO8601", errors="coerce", utc=True
            )
    return _seconds(dates, zone)


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
