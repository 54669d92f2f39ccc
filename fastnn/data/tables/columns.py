"""The kinds of columns: each learns from a column's values, and makes features of them.

What a column has learnt is a few plain numbers and texts, so that its fields are also its JSON. In reading,
their type hints are checked (see :mod:`fastnn._fields`), and what hints cannot express by `check`.

The file is longer than most because it is a catalogue: a class for each kind.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, ClassVar, Literal

import numpy as np

from ... import _checks
from ..._fields import Count, Positive, read_record
from ..._labels import label_text, similar_labels
from .dates import CLOCK, CYCLES, EPOCH_UNITS, NUMBER_FORMS, parse_dates, phase, read_dates, split_form
from .numbers import center_and_scale, read_numbers, smooth_clip
from .values import distinct_values, is_date, is_numeric
from .written import NumberForm

# With this many unreadable values, and no readable one, a column is of another kind.
_FEWEST_UNREAD = 10
_A_DATE = datetime.datetime(2000, 12, 31, tzinfo=datetime.timezone.utc)


@dataclasses.dataclass
class Column:
    """Fields and methods that all kinds of columns have.

    Attributes
    ----------
    name : str
    missing, distinct : int
        Number of rows without a value in training, and of different values.
    note : str
        Remark on the column for the user; may be empty.
    """

    kind: ClassVar[str]
    name: str
    missing: Count = 0
    distinct: Count = 0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def check(self) -> None:
        """Raise ValueError unless the fields, each of which is of its type, fit together."""

    def summary(self) -> str:
        """Name the encoding in a word or two."""
        return "left out"

    def why(self) -> str:
        """Give the reason for it: the end of a sentence that begins with the column."""
        return f"holds {self.kind}s"

    def feature_names(self) -> list[str]:
        """Return the name of each feature."""
        return []

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """Write the features of a column of pandas.

        Parameters
        ----------
        series : pandas.Series of length n
        out : ndarray of shape (n, n_features)
            Zeros, to be filled.

        Returns
        -------
        dict
            The number of rows that were "unseen" in training, "unread", or "missing".
        """
        return {}

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """Return the features as a CSR matrix (n, n_features), and the counts of :meth:`write`."""
        from scipy.sparse import csr_matrix

        out = np.zeros((len(series), len(self.feature_names())), dtype)
        counts = self.write(series, out)
        return csr_matrix(out), counts


@dataclasses.dataclass
class Ignored(Column):
    """A column that is left out.

    Attributes
    ----------
    reason : str
        The end of a sentence that begins with the column.
    """

    kind = "ignore"
    reason: str = ""

    def why(self) -> str:
        """Give the reason for it; see :meth:`Column.why`."""
        return self.reason


@dataclasses.dataclass
class Scaled(Column):
    """A quantity: scaled robustly and clipped smoothly, with a feature that flags missing values.

    Attributes
    ----------
    fill, center, scale : float
        A feature is ``smooth_clip((value - center) / scale)``, `fill` being the value where it is missing.
    indicator : bool
        True if values were missing in training: a second feature marks them.
    """

    fill: float = 0.0
    center: float = 0.0
    scale: Positive = 1.0
    indicator: bool = False

    def learn_scale(self, values: np.ndarray) -> None:
        """Learn from values, NaN where missing."""
        present = values[~np.isnan(values)]
        if len(present):
            self.center, self.scale = center_and_scale(present)
            self.fill = self.center
        self.indicator = len(present) < len(values)

    def feature_names(self) -> list[str]:
        """Return the name of each feature."""
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    def write_scaled(self, values: np.ndarray, unread: np.ndarray, out: np.ndarray) -> dict[str, int]:
        """Write the first features; return the counts of :meth:`Column.write`."""
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            out[:, 0] = smooth_clip((np.where(missing, self.fill, values) - self.center) / self.scale)
        if self.indicator:
            out[:, 1] = missing
        n_unread = int(unread.sum())
        return {"unread": n_unread, "missing": int(missing.sum()) - n_unread}

    def check_unread(self, series: Any, values: np.ndarray, unread: np.ndarray, kind: str) -> None:
        """Raise if nothing could be read of a column that held numbers, or dates, in training."""
        if unread.sum() >= _FEWEST_UNREAD and np.isnan(values).all():
            raise ValueError(
                f"the column {self.name!r} held {kind} in training, but now text such as "
                f"{str(series[unread].iloc[0])!r}."
            )


@dataclasses.dataclass
class Number(Scaled):
    """A number.

    Attributes
    ----------
    decimal, thousands, unit, multiples, duration
        The form in which its text is written: see :class:`.written.NumberForm`.
    sign : {"", "shown", "unsure"}
        Whether the training rows showed the decimal sign: see :class:`.written.Learnt`.
    """

    kind = "number"
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    multiples: bool = False
    duration: str = ""
    sign: str = ""

    def __post_init__(self) -> None:
        self.form  # noqa: B018 (raises on what is none)

    @property
    def form(self) -> NumberForm:
        """The form in which its text is written."""
        return NumberForm(self.decimal, self.thousands, self.unit, self.multiples, self.duration)

    def why(self) -> str:
        """Give the reason for it; see :meth:`Column.why`."""
        return "holds durations, read as seconds" if self.duration else super().why()

    def summary(self) -> str:
        """Name the encoding in a word or two."""
        written = "" if self.form.is_plain or self.duration else f", written as {self.form.example()}"
        return ("scaled, missing flagged" if self.indicator else "scaled") + written

    def learn(self, values: np.ndarray, form: NumberForm, sign: str) -> Number:
        """Learn from numbers, NaN where missing, and the form in which they are written."""
        self.learn_scale(values)
        self.sign = sign
        self.decimal, self.thousands, self.unit = form.decimal, form.thousands, form.unit
        self.multiples, self.duration = form.multiples, form.duration
        return self

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """Write the features; see :meth:`Column.write`."""
        if is_date(series):
            raise ValueError(f"the column {self.name!r} held numbers in training, but now dates.")
        values, unread = read_numbers(series, self.form)
        kind = "numbers" if self.form.is_plain else f"numbers written as {self.form.example()}"
        self.check_unread(series, values, unread, kind)
        return self.write_scaled(values, unread, out)


@dataclasses.dataclass
class Date(Scaled):
    """A date: the days since 1970, scaled as a number, and sine and cosine of its phase in calendar cycles.

    Attributes
    ----------
    form : str
        A format of pandas, several of them, "clock", or the unit of numbers since 1970; see
        :func:`.dates.find_date_form`.
    zone : str
        Time zone of the clocks that are read.
    cycles : list of {"year", "month", "week", "day"}
    """

    kind = "date"
    form: str = "ISO8601"
    zone: str = "UTC"
    cycles: list[str] = dataclasses.field(default_factory=list)

    def check(self) -> None:
        """Raise ValueError unless the cycles are known and differ, and format and time zone are known."""
        _expect_distinct(self.cycles, "cycles")
        for cycle in self.cycles:
            _checks.check_name("cycles", cycle, CYCLES)
        if self.zone.startswith(("/", "dateutil/")):
            raise ValueError(f"zone must be the name of a time zone, got the path {self.zone!r}.")
        for form in split_form(self.form):
            self._check_form(form)

    def _check_form(self, form: str) -> None:
        """Raise ValueError unless dates can be read in a form, or numbers count since 1970 in this unit."""
        if form in EPOCH_UNITS or (form == CLOCK and self.form == CLOCK):
            form = "ISO8601"
        elif form != "ISO8601" and "%" not in form:
            raise ValueError(f"form must be one in which dates can be read, got {self.form!r}.")
        try:
            date = _A_DATE.isoformat() if form == "ISO8601" else _A_DATE.strftime(form)
            seconds = parse_dates([date], form, self.zone)
        except Exception as error:  # pandas and the libraries of time zones raise all kinds of errors
            raise ValueError(
                f"no date can be read in zone {self.zone!r} and form {form!r}: {error}."
            ) from None
        if np.isnan(seconds).any():
            raise ValueError(f"form must be one in which dates can be read, got {self.form!r}.")

    def why(self) -> str:
        """Give the reason for it; see :meth:`Column.why`."""
        return "holds times of day" if self.form == CLOCK else super().why()

    def summary(self) -> str:
        """Name the encoding in a word or two."""
        if self.form == CLOCK:
            return "time of day, place in the day"
        return ", ".join(["time passed", *(f"place in the {cycle}" for cycle in self.cycles)])

    def learn(self, values: np.ndarray) -> Date:
        """Learn from seconds since 1970, NaN where missing."""
        self.learn_scale(values / 86400)
        present = values[~np.isnan(values)]
        if self.form == CLOCK:
            self.cycles = ["day"]
        elif len(present):
            days = np.ptp(present) / 86400
            phases = {cycle: np.unique(phase(present, cycle)) for cycle in CYCLES}
            # Within less than half a cycle, the time elapsed carries the same information.
            self.cycles = [c for c, length in CYCLES.items() if days >= length / 2 and len(phases[c]) > 1]
            if days >= CYCLES["month"] and len(phases["month"]) == 1 and "week" in self.cycles:
                self.cycles.remove("week")  # the weekday on which a month begins means nothing
        return self

    def feature_names(self) -> list[str]:
        """Return the name of each feature."""
        names = [f"{self.name} {cycle} {part}" for cycle in self.cycles for part in ("sin", "cos")]
        return super().feature_names() + names

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """Write the features; see :meth:`Column.write`."""
        if is_numeric(series) and self.form not in NUMBER_FORMS and series.notna().any():
            raise ValueError(f"the column {self.name!r} held dates in training, but now numbers.")
        seconds, unread = read_dates(series, self.form, self.zone)
        self.check_unread(series, seconds, unread, "dates")
        counts = self.write_scaled(seconds / 86400, unread, out)
        first = 1 + self.indicator
        known = np.flatnonzero(~np.isnan(seconds))
        for i, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * phase(seconds[known], cycle)
            out[known, first + 2 * i] = np.sin(angle)
            out[known, first + 2 * i + 1] = np.cos(angle)
        return counts


@dataclasses.dataclass
class Category(Column):
    """A category: one-hot, or its code, for which the network learns a vector.

    Attributes
    ----------
    encoding : {"one_hot", "embedding"}
    categories : list of str or None
        None, at the end, stands for missing values.
    width : int
        Length of the learned vectors; 0 for one_hot.
    """

    kind = "category"
    encoding: Literal["one_hot", "embedding"] = "one_hot"
    categories: list[str | None] = dataclasses.field(default_factory=list)
    width: Count = 0

    def check(self) -> None:
        """Raise ValueError unless the categories differ and fit the encoding."""
        _expect_distinct(self.categories, "categories")
        if None in self.categories[:-1] or (self.encoding == "embedding" and None in self.categories):
            raise ValueError("categories must have null at the end only, and none in an embedding.")
        if (self.width > 0) != (self.encoding == "embedding"):
            raise ValueError(f"width must be above 0 in an embedding and 0 else, got {self.width}.")

    def summary(self) -> str:
        """Name the encoding in a word or two."""
        return f"embedding of width {self.width}" if self.encoding == "embedding" else "one-hot"

    def why(self) -> str:
        """Give the reason for it; see :meth:`Column.why`."""
        n = sum(category is not None for category in self.categories)
        size = f"{n:,} value{'s' * (n != 1)}"
        return f"holds {size}, too many for one-hot" if self.encoding == "embedding" else f"holds {size}"

    def learn(self, codes: np.ndarray, values: list[Any], min_count: int, keep_rare: bool) -> Category:
        """Learn the categories, ordered by their text.

        Parameters
        ----------
        codes, values
            As :func:`.values.distinct_values` returns them.
        min_count : int
            Number of rows that a category must have.
        keep_rare : bool
            Keep all categories if none has that many rows.
        """
        counts: dict[str | None, int] = {}
        of_value = np.bincount(codes + 1, minlength=len(values) + 1).tolist()
        for value, count in zip([None, *values], of_value, strict=True):
            label = (None if value is None else label_text(value)) or None
            counts[label] = counts.get(label, 0) + count
        n_missing = counts.pop(None, 0)
        present = {str(label): count for label, count in counts.items() if count}
        frequent = [label for label, count in present.items() if count >= min_count]
        if keep_rare and not frequent:
            frequent = list(present)
        self.categories = [*sorted(frequent)]
        if n_missing >= min_count:
            self.categories.append(None)
        self.missing, self.distinct = n_missing, len(present)
        n_rare, similar = len(present) - len(frequent), similar_labels(frequent)
        notes = [f"rare values taken together: {n_rare}"] if n_rare else []
        self.note = "; ".join([*notes, *([f"values {similar}"] if similar else [])])
        return self

    def embed(self, width: int | None) -> None:
        """Encode by codes whose vectors the network learns; a missing value gets the vector of unknown ones.

        Parameters
        ----------
        width : int or None
            By default that of :func:`embedding_width`.
        """
        self.encoding = "embedding"
        self.categories = [category for category in self.categories if category is not None]
        self.width = width or embedding_width(len(self.categories) + 1)

    def feature_names(self) -> list[str]:
        """Return the name of each feature."""
        if self.encoding == "embedding":
            return [self.name]
        return [f"{self.name} is missing" if c is None else f"{self.name}={c}" for c in self.categories]

    def _find_codes(self, series: Any) -> tuple[np.ndarray, dict[str, int]]:
        """Find each row's category: its index in `categories`, or -1 if unknown; and count unseen ones."""
        codes, values = distinct_values(series)
        indices = {category: index for index, category in enumerate(self.categories)}
        missing = indices.pop(None, -1)
        labels = [label_text(value) for value in values]
        of_value = np.array([indices.get(x, -1) if x else missing for x in labels] + [missing], np.int64)
        unseen = np.array([bool(x) and x not in indices for x in labels] + [False], bool)
        empty = np.array([not x for x in labels] + [True], bool)
        return of_value[codes], {"unseen": int(unseen[codes].sum()), "missing": int(empty[codes].sum())}

    def write(self, series: Any, out: np.ndarray) -> dict[str, int]:
        """Write the features; see :meth:`Column.write`."""
        indices, counts = self._find_codes(series)
        if self.encoding == "embedding":
            out[:, 0] = indices + 1
        else:
            rows = np.flatnonzero(indices >= 0)
            out[rows, indices[rows]] = 1
        return counts

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """Return the features as a CSR matrix; see :meth:`Column.sparse`."""
        from scipy.sparse import csr_matrix

        indices, counts = self._find_codes(series)
        known = indices >= 0
        starts = np.concatenate([[0], np.cumsum(known)])
        ones = np.ones(starts[-1], dtype)
        return csr_matrix((ones, indices[known], starts), (len(indices), len(self.categories))), counts


def embedding_width(n_categories: int) -> int:
    """Return a width of learned vectors: 1.6 n ** 0.56, but 50 at most (Howard, fastai, 2018).

    Examples
    --------
    >>> [embedding_width(n) for n in (10, 100, 10_000)]
    [6, 21, 50]
    """
    return min(50, max(1, round(1.6 * n_categories**0.56)))


@dataclasses.dataclass
class Text(Column):
    """Free text: counts of words, weighted by how rare each word is (TF-IDF), every row of length 1.

    Attributes
    ----------
    vocabulary : list of str
    idf : list of float
    """

    kind = "text"
    vocabulary: list[str] = dataclasses.field(default_factory=list)
    idf: list[Positive] = dataclasses.field(default_factory=list)

    def check(self) -> None:
        """Raise ValueError unless there are words, all different, each with its weight."""
        _expect_distinct(self.vocabulary, "vocabulary")
        if not self.vocabulary or len(self.idf) != len(self.vocabulary):
            raise ValueError("vocabulary must have at least a word, and idf an entry for each.")

    def summary(self) -> str:
        """Name the encoding in a word or two."""
        return "tf-idf"

    def why(self) -> str:
        """Give the reason for it; see :meth:`Column.why`."""
        return "holds texts of several words"

    def learn(self, series: Any, max_words: int) -> Text:
        """Learn the most frequent words, and how rare each is."""
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
        """Return the name of each feature."""
        return [f"{self.name}: {word}" for word in self.vocabulary]

    def sparse(self, series: Any, dtype: np.dtype) -> tuple[Any, dict[str, int]]:
        """Return the features as a CSR matrix; see :meth:`Column.sparse`."""
        from scipy.sparse import csr_matrix

        if len(series) == 0:
            return csr_matrix((0, len(self.vocabulary)), dtype=dtype), {}
        text = _checks.require("sklearn.feature_extraction.text", "sklearn")
        vectorizer = text.TfidfVectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = np.array(self.idf)
        counts = {"missing": int(series.isna().sum())}
        return vectorizer.transform(_as_text(series)).astype(dtype), counts


def _as_text(series: Any) -> list[str]:
    codes, values = distinct_values(series)
    texts = [*map(str, values), ""]
    return [texts[code] for code in codes.tolist()]


KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Category, Date, Text, Ignored)}


def _expect_distinct(values: list[Any], name: str) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"{name} has an entry twice.")


def column_from_dict(state: Any, where: str = "the column") -> Column:
    """Make the column that :meth:`Column.to_dict` described.

    Raises
    ------
    ValueError
        If it is not what a column has learnt; the sentence calls it `where`.
    """
    kind = state.get("kind") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{where} must be a column with a kind, one of {', '.join(KINDS)}.")
    column = read_record(KINDS[kind], {key: state[key] for key in state if key != "kind"}, where)
    try:
        column.check()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return column
