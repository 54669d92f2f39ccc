"""The kinds of columns: what each learns from its values, and the features it makes of them.

Whatever a column holds, its distinct values are found first and read once each; rows then look them up. What
was learnt is a few plain numbers and texts, so that :meth:`to_dict` is the whole of it.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import warnings
from typing import Any, ClassVar

import numpy as np

from ... import _checks
from ..target import label_text

# Text that stands for a missing number or date, whatever its case.
NO_VALUE = frozenset(
    ["", "?", "-", "--", ".", "na", "n/a", "#n/a", "<na>", "nan", "nat", "none", "null", "missing", "unknown"]
)
_FAR = 1e9  # smooth_clip is at its limit by then, and squares are finite

# Of the calendar: days of a cycle, and the step in which a phase is counted.
CYCLES = {"year": 365.25, "month": 30.4, "week": 7.0, "day": 1.0}
_EPOCH_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def smooth_clip(z: np.ndarray) -> np.ndarray:
    """Nearly z around 0, never beyond 3: z / sqrt(1 + (z / 3)**2) (Holzmueller et al., 2024, RealMLP).

    Examples
    --------
    >>> smooth_clip(np.array([0.1, 4.0, -1e9])).round(3)
    array([ 0.1,  2.4, -3. ])
    """
    z = np.clip(z, -_FAR, _FAR)
    return z / np.sqrt(1 + (z / 3) ** 2)


def center_and_scale(values: np.ndarray) -> tuple[float, float]:
    """Median, and the range of the middle half; where that is 0 the standard deviation, or 1.

    Examples
    --------
    >>> center_and_scale(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))
    (3.0, 2.0)
    """
    with np.errstate(all="ignore"):
        low, center, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
        if not math.isfinite(center):  # between two of the largest numbers there are
            center = float(np.sort(values)[len(values) // 2])
        for scale in (high - low, float(values.std())):
            if 0 < scale < math.inf and 1 / scale < math.inf:
                return center, scale
    return center, 1.0


# --- reading values ---------------------------------------------------------------------------------


def distinct(series: Any) -> tuple[np.ndarray, list[Any]]:
    """For each row the number of its value, -1 where missing; and the values.

    Raises
    ------
    TypeError
        If they cannot be told apart, such as lists.
    """
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        return series.cat.codes.to_numpy(), series.cat.categories.tolist()
    if series.dtype == object and pandas.api.types.infer_dtype(series, skipna=True).startswith("mixed"):
        # True and 1 would be one value.
        series = series.map(label_text, na_action="ignore")
    codes, values = pandas.factorize(series)
    return codes, values.tolist()


def look_up(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Entry of a value's number, the last entry for -1."""
    return table[codes]


def is_numeric(series: Any) -> bool:
    """Whether its dtype is one of numbers, booleans or durations."""
    import pandas

    types = pandas.api.types
    return types.is_numeric_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype)


def is_date(series: Any) -> bool:
    """Whether its dtype is one of dates or periods."""
    import pandas

    return pandas.api.types.is_datetime64_any_dtype(series.dtype) or isinstance(
        series.dtype, pandas.PeriodDtype
    )


def read_numbers(series: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values as float64, NaN where missing or infinite; and the rows whose text is no number.

    Durations are seconds.
    """
    import pandas

    if pandas.api.types.is_timedelta64_dtype(series.dtype):
        values = series.dt.total_seconds().to_numpy(np.float64)
    elif is_numeric(series):
        values = series.to_numpy(np.float64, na_value=np.nan)
    else:
        codes, texts = distinct(series)
        numbers, readable = parse_numbers(texts)
        values = look_up(codes, np.append(numbers, np.nan))
        unread = look_up(codes, np.append(~readable, False))
        return np.where(np.isfinite(values), values, np.nan), unread
    return np.where(np.isfinite(values), values, np.nan), np.zeros(len(values), bool)


def parse_numbers(values: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of distinct values, NaN for others; and which read as a number or as missing."""
    import pandas

    typed = pandas.Series(values, dtype=object)
    if pandas.api.types.infer_dtype(typed) != "string":
        typed = typed.map(_as_number)
    numbers = pandas.to_numeric(typed, errors="coerce").to_numpy(np.float64, na_value=np.nan, copy=True)
    readable = np.ones(len(values), bool)
    for i in np.flatnonzero(np.isnan(numbers)):
        text = str(values[i]).strip().lower()
        if text in ("true", "false"):
            numbers[i] = text == "true"
        else:
            readable[i] = text in NO_VALUE
    return numbers, readable


def _as_number(value: Any) -> Any:
    """Seconds of Python's durations and clock times, and no number of what else pandas would make one."""
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return str(value) if isinstance(value, (bytes, datetime.date)) else value


def read_dates(series: Any, form: str, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since 1970 on the clocks of a time zone, NaN where missing; and the rows that are no date."""
    import pandas

    if isinstance(series.dtype, pandas.PeriodDtype):
        series = series.dt.to_timestamp()
    if pandas.api.types.is_datetime64_any_dtype(series.dtype):
        return _seconds(series, zone), np.zeros(len(series), bool)
    if is_numeric(series) and form not in _EPOCH_UNITS:
        # 20240131 or 2024, as text files hold them
        series = series.astype("Int64").astype("string")
    if form in _EPOCH_UNITS:
        numbers, unread = read_numbers(series)
        return numbers / _EPOCH_UNITS[form], unread
    codes, values = distinct(series)
    texts = [label_text(value) if isinstance(value, (str, float)) else value for value in values]
    missing = np.array([isinstance(text, str) and text.lower() in NO_VALUE for text in texts], bool)
    seconds = parse_dates(texts, form, zone)
    unread = np.isnan(seconds) & ~missing
    return look_up(codes, np.append(seconds, np.nan)), look_up(codes, np.append(unread, False))


def parse_dates(values: list[Any], form: str, zone: str) -> np.ndarray:
    """Seconds since 1970 of distinct values, text or Python's dates; NaN for those that are none."""
    import pandas

    if not values:
        return np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas on formats without a year
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


def guess_date_form(values: list[Any]) -> str | None:
    """How the first of the values writes a date: what pandas calls a format; None if it is none."""
    from pandas.tseries.api import guess_datetime_format

    if all(not isinstance(value, str) for value in values):
        return "ISO8601"
    texts = [value for value in values if isinstance(value, str) and value.strip().lower() not in NO_VALUE]
    if not texts:
        return None
    sample = texts[:: max(1, len(texts) // 200)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a day that can only be the first
        guesses = [
            guess_datetime_format(text.strip(), dayfirst=d) for text in sample[:1] for d in (False, True)
        ]
    # Clock times alone are no dates.
    dated = [form for form in guesses if form is not None and ("%Y" in form or "%y" in form)]
    for form in ["ISO8601", *dated]:
        if np.isfinite(parse_dates([text.strip() for text in sample], form, "UTC")).mean() >= 0.98:
            return form
    return None


def guess_epoch(numbers: np.ndarray) -> str:
    """How whole numbers write a date: as 20240131, as 2024, or the unit since 1970."""
    values = np.abs(numbers[np.isfinite(numbers)])
    typical = float(np.median(values)) if values.size else 0.0
    if 1000 <= typical < 10000:
        return "%Y"
    if 1e7 <= typical < 1e8 and values.min() >= 1e7:
        return "%Y%m%d"
    return next((unit for unit, factor in _EPOCH_UNITS.items() if typical < 1e10 * factor), "ns")


# --- columns ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Column:
    """What all kinds share.

    Attributes
    ----------
    name : str
    missing, distinct : int
        How many rows lacked a value in training, and how many different values there were.
    note : str
        What a person should know of it.
    """

    kind: ClassVar[str]
    name: str
    missing: int = 0
    distinct: int = 0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def summary(self) -> str:
        """The encoding, in a word or two."""
        return "left out"

    def feature_names(self) -> list[str]:
        """One a feature."""
        return []

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """Fill (n, n_features), which is 0, and count what was unseen or could not be read."""
        return {}

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """The same as a CSR matrix."""
        from scipy.sparse import csr_matrix

        out = np.zeros((len(series), len(self.feature_names())), dtype)
        counts = self.write(series, out)
        return csr_matrix(out), counts


@dataclasses.dataclass
class Ignored(Column):
    """A column that is left out."""

    kind = "ignore"
    reason: str = ""


@dataclasses.dataclass
class Number(Column):
    """A number: scaled robustly, clipped smoothly, with a feature that says where it was missing.

    Attributes
    ----------
    fill, center, scale : float
    indicator : bool
    """

    kind = "number"
    fill: float = 0.0
    center: float = 0.0
    scale: float = 1.0
    indicator: bool = False

    def summary(self) -> str:
        """The encoding, in a word or two."""
        return "scaled, missing flagged" if self.indicator else "scaled"

    def learn(self, values: np.ndarray) -> Number:
        """From numbers, NaN where missing."""
        present = values[~np.isnan(values)]
        if len(present):
            self.center, self.scale = center_and_scale(present)
            self.fill = self.center
        self.indicator = len(present) < len(values)
        return self

    def feature_names(self) -> list[str]:
        """One a feature."""
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """See :meth:`Column.write`."""
        if is_date(series):
            raise ValueError(f"the column {self.name!r} held numbers in training, but now dates.")
        values, unread = read_numbers(series)
        self._fill(values, out)
        n_unread = int(unread.sum())
        if n_unread >= 10 and np.isnan(values).all():
            raise ValueError(
                f"the column {self.name!r} held numbers in training, but now text such as "
                f"{str(series[unread].iloc[0])!r}."
            )
        return {"unread": n_unread}

    def _fill(self, values: np.ndarray, out: np.ndarray) -> None:
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            out[:, 0] = smooth_clip((np.where(missing, self.fill, values) - self.center) / self.scale)
        if self.indicator:
            out[:, 1] = missing


@dataclasses.dataclass
class Category(Column):
    """A category: a feature for each, or the number of one, whose vector the network learns.

    Attributes
    ----------
    encoding : {"one_hot", "embedding"}
    categories : list of str or None
        None, at the end, is a missing value.
    width : int
        Of the vectors; 0 for one_hot.
    """

    kind = "category"
    encoding: str = "one_hot"
    categories: list[str | None] = dataclasses.field(default_factory=list)
    width: int = 0

    def summary(self) -> str:
        """The encoding, in a word or two."""
        return f"embedding of width {self.width}" if self.encoding == "embedding" else "one-hot"

    def learn(self, codes: np.ndarray, values: list[Any], at_least: int, forced: bool) -> Category:
        """From what :func:`distinct` found: categories of at least so many rows, ordered by their text."""
        counts: dict[str | None, int] = {}
        of_value = np.bincount(codes + 1, minlength=len(values) + 1).tolist()
        for value, count in zip([None, *values], of_value, strict=True):
            label = (None if value is None else label_text(value)) or None
            counts[label] = counts.get(label, 0) + count
        n_missing = counts.pop(None, 0)
        present = {label: count for label, count in counts.items() if count}
        kept = [label for label, count in present.items() if count >= at_least]
        if forced and not kept:
            kept = list(present)
        self.categories = sorted(kept)  # type: ignore[type-var]
        if n_missing >= at_least:
            self.categories.append(None)
        self.missing, self.distinct = n_missing, len(present)
        n_rare = len(present) - len(kept)
        if n_rare:
            self.note = f"rare values taken together: {n_rare}"
        return self

    def feature_names(self) -> list[str]:
        """One a feature."""
        if self.encoding == "embedding":
            return [self.name]
        return [f"{self.name} is missing" if c is None else f"{self.name}={c}" for c in self.categories]

    def _numbers(self, series: Any) -> tuple[np.ndarray, dict[str, int]]:
        """For each row the number of its category, from 0 on; -1 for one that is not among them."""
        codes, values = distinct(series)
        numbers = {category: number for number, category in enumerate(self.categories)}
        missing = numbers.pop(None, -1)
        labels = [label_text(value) for value in values]
        table = np.array([numbers.get(x, -1) if x else missing for x in labels] + [missing], np.int64)
        unseen = np.array([bool(x) and x not in numbers for x in labels] + [False], bool)
        return look_up(codes, table), {"unseen": int(look_up(codes, unseen).sum())}

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """See :meth:`Column.write`."""
        numbers, counts = self._numbers(series)
        if self.encoding == "embedding":
            out[:, 0] = numbers + 1
        else:
            rows = np.flatnonzero(numbers >= 0)
            out[rows, numbers[rows]] = 1
        return counts

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """See :meth:`Column.sparse`."""
        from scipy.sparse import csr_matrix

        numbers, counts = self._numbers(series)
        known = numbers >= 0
        starts = np.concatenate([[0], np.cumsum(known)])
        ones = np.ones(starts[-1], dtype)
        return csr_matrix((ones, numbers[known], starts), (len(numbers), len(self.categories))), counts


@dataclasses.dataclass
class Date(Number):
    """A date: the days that have passed, scaled as a number, and its place on the calendar's circles.

    Attributes
    ----------
    form : str
        What pandas calls a format, or the unit of numbers since 1970.
    zone : str
        Whose clocks are read.
    cycles : list of {"year", "month", "week", "day"}
    """

    kind = "date"
    form: str = "ISO8601"
    zone: str = "UTC"
    cycles: list[str] = dataclasses.field(default_factory=list)

    def summary(self) -> str:
        """The encoding, in a word or two."""
        return ", ".join(["time passed", *(f"place in the {cycle}" for cycle in self.cycles)])

    def learn(self, values: np.ndarray) -> Date:
        """From seconds, NaN where missing."""
        super().learn(values / 86400)
        present = values[~np.isnan(values)]
        if len(present):
            days = np.ptp(present) / 86400
            phases = {cycle: np.unique(phase(present, cycle)) for cycle in CYCLES}
            # What is less than half of a circle is told by the time that passed.
            self.cycles = [c for c, length in CYCLES.items() if days >= length / 2 and len(phases[c]) > 1]
            if days >= CYCLES["month"] and len(phases["month"]) == 1 and "week" in self.cycles:
                self.cycles.remove("week")  # on which weekday a month begins says nothing
        return self

    def feature_names(self) -> list[str]:
        """One a feature."""
        names = [f"{self.name} {cycle} {part}" for cycle in self.cycles for part in ("sin", "cos")]
        return super().feature_names() + names

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """See :meth:`Column.write`."""
        if is_numeric(series) and self.form not in (*_EPOCH_UNITS, "%Y", "%Y%m%d") and series.notna().any():
            raise ValueError(f"the column {self.name!r} held dates in training, but now numbers.")
        seconds, unread = read_dates(series, self.form, self.zone)
        if unread.sum() >= 10 and np.isnan(seconds).all():
            raise ValueError(
                f"the column {self.name!r} held dates in training, but now text such as "
                f"{str(series[unread].iloc[0])!r}."
            )
        self._fill(seconds / 86400, out)
        first = 1 + self.indicator
        known = np.flatnonzero(~np.isnan(seconds))
        for i, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * phase(seconds[known], cycle)
            out[known, first + 2 * i] = np.sin(angle)
            out[known, first + 2 * i + 1] = np.cos(angle)
        return {"unread": int(unread.sum())}


def phase(seconds: np.ndarray, cycle: str) -> np.ndarray:
    """How much of a cycle has passed, in [0, 1): by the day, within a day by the second.

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


@dataclasses.dataclass
class Text(Column):
    """Free text: how often each word occurs, by how rare it is (TF-IDF), of length 1 a row.

    Attributes
    ----------
    vocabulary : list of str
    idf : list of float
    """

    kind = "text"
    vocabulary: list[str] = dataclasses.field(default_factory=list)
    idf: list[float] = dataclasses.field(default_factory=list)

    def summary(self) -> str:
        """The encoding, in a word or two."""
        return "tf-idf"

    def learn(self, series: Any, max_words: int) -> Text:
        """From the text of all rows."""
        text = _checks.require("sklearn.feature_extraction.text", "sklearn")
        rows = _as_text(series)
        for min_df in (2, 1):
            vectorizer = text.TfidfVectorizer(max_features=max_words, min_df=min_df)
            try:
                vectorizer.fit(rows)
            except ValueError:  # no words are left
                continue
            self.vocabulary = vectorizer.get_feature_names_out().tolist()
            self.idf = vectorizer.idf_.tolist()
            break
        return self

    def feature_names(self) -> list[str]:
        """One a feature."""
        return [f"{self.name}: {word}" for word in self.vocabulary]

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """See :meth:`Column.sparse`."""
        from scipy.sparse import csr_matrix

        if len(series) == 0:
            return csr_matrix((0, len(self.vocabulary)), dtype=dtype), {}
        text = _checks.require("sklearn.feature_extraction.text", "sklearn")
        vectorizer = text.TfidfVectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = np.array(self.idf)
        return vectorizer.transform(_as_text(series)).astype(dtype), {}


def _as_text(series: Any) -> list[str]:
    codes, values = distinct(series)
    texts = [*map(str, values), ""]
    return [texts[code] for code in codes.tolist()]


KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Category, Date, Text, Ignored)}


def column_from_dict(state: dict[str, Any]) -> Column:
    """The column that its to_dict wrote down."""
    kind = state["kind"]
    if kind not in KINDS:
        raise ValueError(f"a column is of kind {kind!r}: expected one of {', '.join(KINDS)}.")
    return KINDS[kind](**{name: value for name, value in state.items() if name != "kind"})
