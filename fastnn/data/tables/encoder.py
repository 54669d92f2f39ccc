"""Tables into vectors: what each column is, and the features that are made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ... import _checks
from ..dataset import Dataset
from ..target import guess_task
from . import columns as kinds
from .columns import Category, Column, Date, Ignored, Number, Text
from .files import as_frame, read_table

# What `columns` of a TableEncoder may say.
CHOICES = ("number", "category", "one_hot", "embedding", "date", "text", "ignore")

_MOST_UNREADABLE = 0.02  # of the values of a column of numbers or dates that are text
_FEWEST_SHARED = 0.1  # of the rows of a column of categories have one that others have too
_LEADING_ZERO = re.compile(r"\s*[+-]?0\d").match
_MOST_EXCEPTIONS = 0.001  # to a column that tells the target
_WORDS = 3.0  # on average make text of a column
_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|key|uuid|guid|index|rowid|unnamed: \d+)$)|[a-z](Id|ID)$")


def embedding_width(n_categories: int) -> int:
    """Width of learned vectors, by how many they are: 1.6 n ** 0.56, but 50 at most (Howard, fastai, 2018).

    Examples
    --------
    >>> [embedding_width(n) for n in (10, 100, 10_000)]
    [6, 21, 50]
    """
    return min(50, max(1, round(1.6 * n_categories**0.56)))


def read_dataset(
    source: Any,
    target: str | None,
    *,
    drop: Iterable[str] = (),
    drop_missing: bool = False,
) -> Dataset:
    """Read a table, and take the target apart from the columns that predict it.

    Parameters
    ----------
    source : path, file object or table
        As :func:`read_table` takes it.
    target : str
        Name of a column, or of several, with commas between them, which are all numbers.
    drop : iterable of str, default=()
        Columns to leave out.
    drop_missing : bool, default=False
        Leave out rows whose target is missing; otherwise they are refused.

    Returns
    -------
    Dataset
        Of kind "table"; y has shape (n,), or (n, n_out) for several targets.

    Raises
    ------
    ValueError
        If there is no such column, no other column, or the target is missing in some rows.

    Examples
    --------
    >>> flowers = {"length": [1.4, 4.7, 6.0], "kind": ["setosa", "versicolor", "virginica"]}
    >>> read_dataset(flowers, "kind").rows.columns.tolist()
    ['length']
    """
    frame = read_table(source)
    is_file = isinstance(source, (str, Path)) and str(source) != "-"
    where = repr(str(source)) if is_file else "the table"
    columns = list(frame.columns)
    if target is None:
        raise ValueError(f"say which column of {where} is the target: {_some(columns)}.")
    names = [target] if target in columns else [name.strip() for name in str(target).split(",")]
    for name in names:
        _checks.check_name("target", name, columns)
    drop = [drop] if isinstance(drop, str) else list(drop)
    for name in drop:
        _checks.check_name("drop", name, columns)
        if name in names:
            raise ValueError(f"the column {name!r} is the target: it cannot be dropped.")
    rows = frame.drop(columns=[*names, *drop])
    if rows.shape[1] == 0:
        what = "one column only" if len(columns) == 1 else "no column left"
        raise ValueError(f"{where} has {what}: expected some beside the target {target!r}.")
    missing = frame[names].isna().any(axis=1).to_numpy()
    if missing.any():
        if not drop_missing:
            raise ValueError(
                f"the target {target!r} is missing in {int(missing.sum())} of {len(frame)} rows: "
                "leave such rows out (drop_missing=True, --drop-missing), or fill them."
            )
        if missing.all():
            raise ValueError(f"the target {target!r} is missing in every row.")
        frame, rows = frame[~missing], rows[~missing]
    parts = [_values(frame[name]) for name in names]
    y = parts[0] if len(parts) == 1 else np.column_stack(parts)
    name = re.sub(r"(\.gz)?$", "", Path(source).name) if is_file else "table"
    return Dataset(name.rsplit(".", 1)[0], "table", rows, y, target=", ".join(names))


def _values(series: Any) -> np.ndarray:
    """A column without missing values as an array: of numbers, of booleans, or of Python's objects."""
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if kinds.is_numeric(series) and isinstance(series.dtype, pandas.api.extensions.ExtensionDtype):
        return np.array(series.tolist())
    return series.to_numpy() if kinds.is_numeric(series) or kinds.is_date(series) else series.to_numpy(object)


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


class TableEncoder:
    """Learns of each column of a table what it is, and makes features of it.

    Numbers are scaled by median and range of the middle half, and clipped smoothly; where values were missing
    in training, a feature says so. Categories get a feature each or, where they are many, a number whose
    vector the network learns; rare ones are taken together. Dates become the time passed and their place in
    the year, month, week and day. Free text becomes TF-IDF; then all vectors are sparse, and categories a
    feature each, however many. Identifiers, and columns that always say the same, are left out.

    Text counts as numbers or dates if 98 % of it read so; the rest is taken as missing, then and later, and
    counted. Infinite numbers are missing ones.

    Parameters
    ----------
    columns : dict, optional
        What columns are, by name, where what they look like is misleading: "number", "category" (or
        "one_hot" or "embedding", to say how), "date", "text", "ignore".
    max_one_hot : int, default=30
        Categories of a column that get a feature each; more are embedded.
    min_count : int, optional
        Rows that a category must have to count as one. By default 2, and in large tables one in 5000, but
        10 at most.
    embedding_width : int, optional
        Of the learned vectors; by default 1.6 n ** 0.56 for n categories, but 50 at most.
    max_words : int, default=5000
        Most frequent words that a column of free text keeps.
    dtype : {"float32", "float64"}, default="float32"

    Attributes
    ----------
    feature_names : list of str
        One a feature.
    embeddings : dict
        What :class:`fastnn.MLP` takes under that name: ``{feature: (n_categories + 1, width)}``.
    is_sparse : bool
        Whether vectors are sparse, as they are beside free text.
    unseen : dict
        For columns of categories, how many rows of the last transform had one that was not there, or too
        rare, in training.
    unread : dict
        For columns of numbers and dates, how many rows of the last transform had text that is none.

    Examples
    --------
    >>> table = {"size": [1.0, 2.0, None, 4.0], "colour": ["red", "blue", "red", "blue"]}
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.feature_names
    ['size', 'size is missing', 'colour=blue', 'colour=red']
    >>> encoder.transform({"size": [3.5], "colour": ["green"]}).round(3)
    array([[0.949, 0.   , 0.   , 0.   ]], dtype=float32)
    >>> encoder.unseen
    {'colour': 1}
    """

    kind: ClassVar[str] = "table"

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        max_one_hot: int = 30,
        min_count: int | None = None,
        embedding_width: int | None = None,
        max_words: int = 5000,
        dtype: Any = "float32",
    ) -> None:
        self.columns = dict(columns or {})
        for name, choice in self.columns.items():
            _checks.check_name(f"columns[{name!r}]", choice, CHOICES)
        self.max_one_hot = _checks.check_count("max_one_hot", max_one_hot, 0)
        self.min_count = None if min_count is None else _checks.check_count("min_count", min_count)
        self.embedding_width = (
            None if embedding_width is None else _checks.check_count("embedding_width", embedding_width)
        )
        self.max_words = _checks.check_count("max_words", max_words)
        self.dtype = _checks.check_dtype(dtype)
        self.unseen: dict[str, int] = {}
        self.unread: dict[str, int] = {}
        self._learnt: list[Column] = []

    # --- learning -------------------------------------------------------------------------------------

    def fit(self, rows: Any) -> TableEncoder:
        """Learn from rows to train on.

        Parameters
        ----------
        rows : table
            As :func:`read_table` takes it, without the target.

        Raises
        ------
        ValueError
            If there are no rows, no column is fit to learn from, or one is not what `columns` says.
        """
        frame = as_frame(rows)
        if len(frame) == 0:
            raise ValueError("the table has no rows to learn from.")
        for name in self.columns:
            _checks.check_name("columns", name, list(frame.columns))
        learnt = [self._learn(name, _plain(frame[name])) for name in frame.columns]
        if all(isinstance(column, Ignored) for column in learnt):
            reasons = "; ".join(f"{c.name!r} {c.reason}" for c in learnt[:5] if isinstance(c, Ignored))
            raise ValueError(f"no column is left to learn from: {reasons}.")
        is_sparse = any(isinstance(column, Text) for column in learnt)
        for column in learnt:
            if isinstance(column, Category):
                self._choose_encoding(column, is_sparse)
        self._learnt, self.unseen, self.unread = learnt, {}, {}
        return self

    def _learn(self, name: str, series: Any) -> Column:
        choice = self.columns.get(name)
        if choice == "ignore":
            return Ignored(name, reason="was to be left out")
        missing = int(series.isna().sum())
        if missing == len(series):
            return Ignored(name, missing, reason="has no values")
        unfit = _unfit(series)
        if unfit:
            return Ignored(name, missing, reason=f"holds {unfit}, of which no features can be made")
        column = self._recognise(name, series, choice)
        if choice is None and column.distinct == 1 and not column.missing:
            return Ignored(name, column.missing, 1, reason="says the same in every row")
        return column

    def _recognise(self, name: str, series: Any, choice: str | None) -> Column:
        if choice in ("category", "one_hot", "embedding"):
            return self._learn_category(name, series, forced=True)
        if choice == "text":
            return self._learn_text(name, series)
        if choice == "number" or (choice is None and kinds.is_numeric(series)):
            return _learn_number(name, series, forced=choice is not None)
        if choice == "date" or kinds.is_date(series):
            form = date_form(series)
            if form is None:
                raise ValueError(
                    f"the column {name!r} cannot be read as dates: they are not all written in the same way."
                )
            return _learn_date(name, series, form)
        # Text, or objects: what do they read as?
        codes, values = kinds.distinct(series)
        counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
        if not _has_typed_categories(series) and _read_as_numbers(values, counts):
            return _learn_number(name, series, forced=False)
        form = kinds.guess_date_form(values)
        if form is not None and _read_as_dates(values, counts, form):
            return _learn_date(name, series, form)
        category = self._learn_category(name, series, forced=False)
        n_present = counts.sum()
        if category.distinct > (0.1 if category.distinct > self.max_one_hot else 0.5) * n_present:
            n_words = np.array([len(str(value).split()) for value in values])
            if (n_words * counts).sum() >= _WORDS * n_present:
                return self._learn_text(name, series)
        reason = ""
        if category.distinct == 0:
            reason = "has no values"
        elif counts[counts > 1].sum() < _FEWEST_SHARED * n_present:
            reason = "has a value of its own in nearly every row: it names rows, and says nothing of others"
        elif not category.categories:
            reason = f"has no value that {self._at_least(series)} rows share"
        return Ignored(name, category.missing, category.distinct, reason=reason) if reason else category

    def _learn_category(self, name: str, series: Any, *, forced: bool) -> Category:
        codes, values = kinds.distinct(series)
        return Category(name).learn(codes, values, self._at_least(series), forced)

    def _at_least(self, series: Any) -> int:
        """How many rows a category must have."""
        return self.min_count or min(10, max(2, len(series) // 5000))

    def _learn_text(self, name: str, series: Any) -> Column:
        column = Text(name, int(series.isna().sum()), int(series.nunique())).learn(series, self.max_words)
        return column if column.vocabulary else Ignored(name, column.missing, reason="has no words")

    def _choose_encoding(self, column: Category, is_sparse: bool) -> None:
        choice = self.columns.get(column.name)
        if choice == "embedding" and is_sparse:
            raise ValueError(
                f"the column {column.name!r} cannot be embedded beside free text, whose rows are sparse: "
                "leave the text out, or take 'one_hot'."
            )
        is_large = len(column.categories) > self.max_one_hot and choice != "one_hot"
        if choice != "embedding" and (is_sparse or not is_large):
            return
        column.encoding = "embedding"
        column.categories = [category for category in column.categories if category is not None]
        n_categories = len(column.categories) + 1
        column.width = self.embedding_width or embedding_width(n_categories)

    # --- what was learnt ------------------------------------------------------------------------------

    @property
    def feature_names(self) -> list[str]:
        """One a feature."""
        return [name for column in self._learnt for name in column.feature_names()]

    @property
    def is_sparse(self) -> bool:
        """Whether vectors are sparse."""
        return any(isinstance(column, Text) for column in self._learnt)

    @property
    def embeddings(self) -> dict[int, tuple[int, int]]:
        """What :class:`fastnn.MLP` takes under that name."""
        found, first = {}, 0
        for column in self._learnt:
            if isinstance(column, Category) and column.encoding == "embedding":
                found[first] = (len(column.categories) + 1, column.width)
            first += len(column.feature_names())
        return found

    def describe(self) -> list[dict[str, Any]]:
        """What was decided of each column.

        Returns
        -------
        list of dict
            With "column", "kind", "encoding", "features" (how many), "missing" and "distinct" (in training),
            and "note".
        """
        return [
            {
                "column": column.name,
                "kind": column.kind,
                "encoding": column.summary(),
                "features": len(column.feature_names()),
                "missing": column.missing,
                "distinct": column.distinct,
                "note": column.reason if isinstance(column, Ignored) else column.note,
            }
            for column in self._learnt
        ]

    def notes(self) -> list[str]:
        """A sentence for each column that was left out, or that a person should know something of."""
        return [
            f"the column {column.name!r} is left out: it {column.reason}."
            if isinstance(column, Ignored)
            else f"the column {column.name!r}: {column.note}."
            for column in self._learnt
            if isinstance(column, Ignored) or column.note
        ]

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, as JSON can hold it."""
        return {
            "kind": self.kind,
            "dtype": self.dtype.name,
            "columns": [column.to_dict() for column in self._learnt],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TableEncoder:
        """The encoder that :meth:`to_dict` wrote down."""
        encoder = cls(dtype=state["dtype"])
        encoder._learnt = [kinds.column_from_dict(column) for column in state["columns"]]
        return encoder

    # --- transforming ---------------------------------------------------------------------------------

    def transform(self, rows: Any) -> Any:
        """Vectors of rows.

        Columns that were not there in training, the target among them, are passed over.

        Parameters
        ----------
        rows : table
            As :func:`read_table` takes it.

        Returns
        -------
        ndarray or scipy.sparse.csr_matrix of shape (n, n_features)

        Raises
        ------
        ValueError
            If a column is missing, or holds values of another kind than in training.
        """
        if not self._learnt:
            raise ValueError("the encoder has learnt nothing yet: call fit first.")
        frame = as_frame(rows)
        columns = [column for column in self._learnt if not isinstance(column, Ignored)]
        self._refuse_missing(frame, columns)
        counts: dict[str, dict[str, int]] = {}
        if self.is_sparse:
            from scipy.sparse import hstack

            blocks = []
            for column in columns:
                block, counts[column.name] = column.sparse(_plain(frame[column.name]), self.dtype)
                blocks.append(block)
            x = hstack(blocks, format="csr", dtype=self.dtype)
        else:
            x = np.zeros((len(frame), len(self.feature_names)), self.dtype)
            first = 0
            for column in columns:
                after = first + len(column.feature_names())
                counts[column.name] = column.write(_plain(frame[column.name]), x[:, first:after])
                first = after
        for what in ("unseen", "unread"):
            setattr(self, what, {name: found[what] for name, found in counts.items() if found.get(what)})
        return x

    def unseen_summary(self) -> str:
        """A sentence on what the last transform found unseen or could not read; empty if nothing."""
        parts = [f"{count} of {name!r}" for name, count in self.unseen.items()]
        sentences = [f"Categories unseen or rare in training: {', '.join(parts)}."] if parts else []
        parts = [f"{count} of {name!r}" for name, count in self.unread.items()]
        if parts:
            sentences.append(f"Values that cannot be read, taken as missing: {', '.join(parts)}.")
        return " ".join(sentences)

    def _refuse_missing(self, frame: Any, columns: list[Column]) -> None:
        there = list(frame.columns)
        lacking = [column.name for column in columns if column.name not in set(there)]
        if not lacking:
            return
        extra = [name for name in there if name not in {column.name for column in columns}]
        close = get_close_matches(lacking[0], extra, n=1)
        hint = f" Is it {close[0]!r}?" if close else ""
        names = ", ".join(map(repr, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
        plural = f"the columns {names}" if len(lacking) > 1 else f"the column {names}"
        raise ValueError(f"the table lacks {plural}, which the model was trained with.{hint}")

    def __repr__(self) -> str:
        n_columns = sum(not isinstance(column, Ignored) for column in self._learnt)
        return f"TableEncoder({n_columns} columns, {len(self.feature_names)} features)"


# --- recognising ------------------------------------------------------------------------------------


def _plain(series: Any) -> Any:
    """A column of Arrow's or of sparse values as one of pandas' own."""
    import pandas

    if isinstance(series.dtype, pandas.ArrowDtype):
        import pyarrow

        from .files import from_arrow

        return from_arrow(pyarrow.table({"column": pyarrow.array(series)}))["column"]
    if isinstance(series.dtype, pandas.SparseDtype):
        return series.sparse.to_dense()
    if series.dtype.kind == "c":
        raise ValueError(f"the column {series.name!r} holds complex numbers: expected real ones.")
    return series


def _unfit(series: Any) -> str:
    """What the column holds, if no kind of column can take it."""
    if series.dtype != object:
        return ""
    for value in series.dropna().iloc[:100]:
        if isinstance(value, (list, tuple, set, np.ndarray)):
            return "lists"
        if isinstance(value, (dict, bytes)):
            return "objects" if isinstance(value, dict) else "bytes"
    return ""


def _has_typed_categories(series: Any) -> bool:
    """Whether its dtype says that it holds categories, and they are numbers."""
    import pandas

    if not isinstance(series.dtype, pandas.CategoricalDtype):
        return False
    return kinds.is_numeric(series.cat.categories.to_series())


def _learn_number(name: str, series: Any, *, forced: bool) -> Column:
    values, unread = kinds.read_numbers(series)
    n_unread = int(unread.sum())
    present = values[~np.isnan(values)]
    if len(present) == 0:
        what = f"{n_unread} values, none of which is a number" if n_unread else "no values"
        if forced and n_unread:
            raise ValueError(f"the column {name!r} has {what}: take it as a category, or leave it out.")
        return Ignored(name, len(values), reason=f"has {what}")
    distinct = np.unique(present)
    n_missing = len(values) - len(present)
    if not forced and _is_identifier(name, present, distinct, n_missing):
        return Ignored(
            name,
            n_missing,
            len(distinct),
            reason="numbers the rows, and says nothing of others",
        )
    note = f"values that are no numbers, taken as missing: {n_unread}" if n_unread else ""
    return Number(name, n_missing, len(distinct), note).learn(values)


def _is_identifier(name: str, present: np.ndarray, distinct: np.ndarray, n_missing: int) -> bool:
    """Whether they number the rows: whole numbers, all different, with few gaps or a name that says so.

    Training rows are some of all, so that gaps are to be expected.
    """
    if n_missing or len(distinct) < len(present) or len(present) < 10 or np.any(distinct % 1 != 0):
        return False
    few_gaps = len(distinct) >= 50 and len(distinct) > 0.5 * (distinct[-1] - distinct[0])
    return few_gaps or _ID_NAME.search(name) is not None


def _read_as_numbers(values: list[Any], counts: np.ndarray) -> bool:
    numbers, readable = kinds.parse_numbers(values)
    is_number = ~np.isnan(numbers)
    if (counts * ~readable).sum() > _MOST_UNREADABLE * counts.sum() or not (counts * is_number).any():
        return False
    # Postal codes, telephone numbers: 01234 is not 1234.
    return not any(map(_LEADING_ZERO, (value for value in values if isinstance(value, str))))


def _read_as_dates(values: list[Any], counts: np.ndarray, form: str) -> bool:
    texts = [value.strip() if isinstance(value, str) else value for value in values]
    is_date = np.isfinite(kinds.parse_dates(texts, form, "UTC"))
    missing = np.array([isinstance(text, str) and text.lower() in kinds.NO_VALUE for text in texts])
    return (counts * ~(is_date | missing)).sum() <= _MOST_UNREADABLE * counts.sum() and bool(is_date.any())


def date_form(series: Any) -> str | None:
    """How a column writes dates, as :class:`Date` takes it; None if it holds none."""
    if kinds.is_date(series):
        return "ISO8601"
    if kinds.is_numeric(series):
        return kinds.guess_epoch(kinds.read_numbers(series)[0])
    return kinds.guess_date_form(kinds.distinct(series)[1])


def _learn_date(name: str, series: Any, form: str) -> Column:
    zone = getattr(series.dtype, "tz", None)
    zone = "UTC" if zone is None else str(zone)
    seconds, unread = kinds.read_dates(series, form, zone)
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


# --- leaks ------------------------------------------------------------------------------------------


def leaks(frame: Any, y: Any) -> list[str]:
    """Columns that tell the target (nearly) alone, which a column known beforehand seldom does.

    A regression is told by a correlation, of values or of ranks, above 0.999; classes are told by a few
    values, each in at least ten rows on average, that come with one class only.

    Parameters
    ----------
    frame : table
        As :func:`read_table` takes it, without the target.
    y : array-like of shape (n,)

    Returns
    -------
    list of str
        A sentence a column.

    Examples
    --------
    >>> alive = ["yes", "no"] * 30
    >>> leaks({"alive": alive, "age": range(60)}, [a == "yes" for a in alive])
    ["the column 'alive' alone tells the target in every row: leave it out unless it is known beforehand."]
    """
    frame, y = as_frame(frame), np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(y) < 20:
        return []
    tells = _tells_class if guess_task(y) == "classification" else _tells_value
    step = 1 + len(y) // 100_000  # of many rows some will do
    frame, y = frame.iloc[::step], y[::step]
    advice = "leave it out unless it is known beforehand"
    return [
        f"the column {name!r} alone tells the target in {how}: {advice}."
        for name in frame.columns
        if (how := tells(_plain(frame[name]), y))
    ]


def _tells_class(series: Any, y: np.ndarray) -> str:
    import pandas

    if _unfit(series):
        return ""
    codes, values = kinds.distinct(series)
    classes, labels = pandas.factorize(pandas.Series(y.tolist()), use_na_sentinel=False)
    n_values = len(np.unique(codes))
    if n_values < len(labels) or len(y) < 10 * n_values:
        return ""
    table = np.zeros((len(values) + 1, len(labels)), np.int64)  # the last for missing values
    np.add.at(table, (codes, classes), 1)
    n_wrong = len(y) - int(table.max(axis=1).sum())
    n_rare = len(y) - int(table.sum(axis=0).max())  # wrong, if the largest class is said always
    if n_wrong > _MOST_EXCEPTIONS * n_rare:
        return ""
    return f"{1 - n_wrong / len(y):.2%} of the rows" if n_wrong else "every row"


def _tells_value(series: Any, y: np.ndarray) -> str:
    if _unfit(series) or kinds.is_date(series):
        return ""
    values, _ = kinds.read_numbers(series)
    known = ~np.isnan(values)
    values, y = values[known], y[known].astype(np.float64)
    if len(values) < 20 or len(np.unique(values)) < 10:
        return ""
    correlation = max(abs(_correlation(values, y)), abs(_correlation(_ranks(values), _ranks(y))))
    found = correlation > 1 - _MOST_EXCEPTIONS
    return f"nearly every row (correlation {correlation:.4f})" if found else ""


def _ranks(values: np.ndarray) -> np.ndarray:
    import pandas

    return pandas.Series(values).rank().to_numpy()


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        a, b = a - a.mean(), b - b.mean()
        value = (a @ b) / np.sqrt((a @ a) * (b @ b))
    return float(value) if np.isfinite(value) else 0.0
