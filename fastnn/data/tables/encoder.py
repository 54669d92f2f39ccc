"""The encoder of tables: the kind of each column, and the features made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from ... import _checks
from ..._fields import Dtype, read_fields
from . import notes
from .columns import Category, Column, Ignored, Number, Text, column_from_dict
from .frames import as_frame
from .recognise import CHOICES, learn_column
from .values import plain_column

_FIELDS = {"kind": Literal["table"], "dtype": Dtype, "columns": list[Any]}
_ENOUGH_ROWS = 10  # without any value are remarkable, even if values were missing in training


class TableEncoder:
    """Learns what each column of a table is, and makes features of it.

    Numbers are scaled by median and interquartile range, and clipped smoothly; where values were missing in
    training, a second feature flags them. Categories are one-hot or, where there are many, a code whose
    vector the network learns; rare ones are taken together. Dates become the time passed and their phase in
    the year, month, week and day. Free text becomes TF-IDF; then all vectors are sparse, and all categories
    one-hot, however many. Identifiers, and columns that always say the same, are left out.

    Text counts as numbers or dates if 98 % of it reads so; the rest is taken as missing, then and later, and
    counted. Infinite numbers are missing ones. Numbers may be written as people write them ("$1,234.50",
    "5,3 %", "70 kg", "1.5k", "(12)"), each column in one form, which is learned from all of its values and
    kept; "2 h 5 min" and 25:10:00 are durations, and 14:05 is a time of day. Integers beyond 2**53, postal
    codes and telephone numbers are names.

    Parameters
    ----------
    columns : dict, optional
        Kinds of columns, by name, where their values mislead: "number", "category" (or "one_hot" or
        "embedding", to say how), "date", "text", "ignore".
    max_one_hot : int, default=30
        Most categories of a one-hot column; a column with more is embedded.
    min_count : int, optional
        Number of rows that a category must have. By default 2, and in large tables one row in 5000, but 10
        at most.
    embedding_width : int, optional
        Width of the learned vectors; by default 1.6 n ** 0.56 for n categories, but 50 at most.
    max_words : int, default=5000
        Most frequent words that a column of free text keeps.
    dtype : {"float32", "float64"}, default="float32"

    Attributes
    ----------
    feature_names : list of str
        The name of each feature.
    embeddings : dict
        ``{feature: (n_categories + 1, width)}``, the argument `embeddings` of :class:`fastnn.MLP`.
    is_sparse : bool
        True if there is free text: vectors are sparse then.
    unseen : dict
        For columns of categories, the number of rows of the last transform whose category was absent, or too
        rare, in training.
    unread : dict
        For columns of numbers and dates, the number of rows of the last transform whose text is neither.
    gaps : dict
        The number of rows of the last transform without a value, for columns that had one in every training
        row, and for columns that have none at all now.
    decimal_sign : {"", ".", ","}
        The decimal sign that training rows showed, for a target that does not show its own.

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
        dtype: DTypeLike = "float32",
    ) -> None:
        if not isinstance(columns, (Mapping, type(None))):
            raise TypeError(f"columns must be a dict of kinds by column, got {_checks.shown(columns)}.")
        self.columns = dict(columns or {})
        for name, choice in self.columns.items():
            _checks.check_name(f"columns[{name!r}]", choice, CHOICES)
        self.max_one_hot = _checks.check_count("max_one_hot", max_one_hot, 0)
        self.min_count = _checks.check_optional_count("min_count", min_count)
        self.embedding_width = _checks.check_optional_count("embedding_width", embedding_width)
        self.max_words = _checks.check_count("max_words", max_words)
        self.dtype = _checks.check_dtype(dtype)
        self.unseen: dict[str, int] = {}
        self.unread: dict[str, int] = {}
        self.gaps: dict[str, int] = {}
        self.decimal_sign = ""
        self._n_rows = 0
        self._learnt: list[Column] = []

    # --- learning -------------------------------------------------------------------------------------

    def fit(self, rows: Any) -> TableEncoder:
        """Learn from training rows.

        Parameters
        ----------
        rows : table
            As :func:`read_table` takes it, without the target.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        ValueError
            If there are no rows, no column is fit to learn from, or one is not of the kind in `columns`.
        """
        frame = as_frame(rows)
        if len(frame) == 0:
            raise ValueError("the table has no rows to learn from.")
        for name in self.columns:
            _checks.check_name("columns", name, list(frame.columns))
        sign = str(frame.attrs.get("decimal", ""))
        learnt = [self._learn_column(frame, name, sign) for name in frame.columns]
        # What a column does not show of how its numbers are written, others may show.
        shown = {column.decimal for column in learnt if isinstance(column, Number) and column.sign == "shown"}
        if not sign and len(shown) == 1:
            (sign,) = shown
            learnt = [
                self._learn_column(frame, column.name, sign)
                if isinstance(column, Number) and column.sign == "unsure"
                else column
                for column in learnt
            ]
        if all(isinstance(column, Ignored) for column in learnt):
            reasons = "; ".join(f"{c.name!r} {c.reason}" for c in learnt[:5] if isinstance(c, Ignored))
            raise ValueError(f"no column is left to learn from: {reasons}.")
        has_text = any(isinstance(column, Text) for column in learnt)
        for column in learnt:
            if isinstance(column, Category) and self._is_embedded(column, has_text):
                column.embed(self.embedding_width)
        self._learnt, self.unseen, self.unread, self.gaps = learnt, {}, {}, {}
        self.decimal_sign = sign
        return self

    def _learn_column(self, frame: Any, name: str, decimal_sign: str) -> Column:
        return learn_column(
            name,
            plain_column(frame[name]),
            self.columns.get(name),
            min_count=self.min_count or min(10, max(2, len(frame) // 5000)),
            max_one_hot=self.max_one_hot,
            max_words=self.max_words,
            decimal_sign=decimal_sign,
        )

    def _is_embedded(self, column: Category, has_text: bool) -> bool:
        choice = self.columns.get(column.name)
        if choice == "embedding" and has_text:
            raise ValueError(
                f"the column {column.name!r} cannot be embedded beside free text, whose rows are sparse: "
                "leave the text out, or take 'one_hot'."
            )
        if choice is None or choice == "category":
            return len(column.categories) > self.max_one_hot and not has_text
        return choice == "embedding"

    # --- what was learnt ------------------------------------------------------------------------------

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature."""
        return [name for column in self._learnt for name in column.feature_names()]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.feature_names)

    @property
    def is_sparse(self) -> bool:
        """True if vectors are sparse."""
        return any(isinstance(column, Text) for column in self._learnt)

    @property
    def embeddings(self) -> dict[int, tuple[int, int]]:
        """The argument `embeddings` of :class:`fastnn.MLP`."""
        found, first = {}, 0
        for column in self._learnt:
            if isinstance(column, Category) and column.encoding == "embedding":
                found[first] = (len(column.categories) + 1, column.width)
            first += len(column.feature_names())
        return found

    def describe(self) -> list[dict[str, Any]]:
        """Describe what was decided of each column.

        Returns
        -------
        list of dict
            With "column", "kind", "encoding", "features" (how many), "missing" and "distinct" (in training),
            and "note": why, and remarks.
        """
        return [
            {
                "column": column.name,
                "kind": column.kind,
                "encoding": column.summary(),
                "features": len(column.feature_names()),
                "missing": column.missing,
                "distinct": column.distinct,
                "note": "; ".join(filter(None, [self._why(column), column.note])),
            }
            for column in self._learnt
        ]

    def _why(self, column: Column) -> str:
        choice = self.columns.get(column.name)
        is_chosen = choice is not None and not isinstance(column, Ignored)
        return f"is to be read as {choice}" if is_chosen else column.why()

    def notes(self) -> list[str]:
        """Return sentences on the columns that were left out, or have a remark for the user.

        What is true of many columns is one sentence, with the names of the first and the number of them.
        """
        left_out = ((c.name, f" is left out: it {c.reason}") for c in self._learnt if isinstance(c, Ignored))
        remarks = ((c.name, f": {note}") for c in self._learnt for note in c.note.split("; ") if note)
        return notes.group([*left_out, *remarks])

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "kind": self.kind,
            "dtype": self.dtype.name,
            "columns": [column.to_dict() for column in self._learnt],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TableEncoder:
        """Make the encoder that :meth:`to_dict` described."""
        state = read_fields(state, _FIELDS, "encoder")
        encoder = cls(dtype=state["dtype"])
        encoder._learnt = [
            column_from_dict(column, f"encoder.columns[{i}]") for i, column in enumerate(state["columns"])
        ]
        names = [column.name for column in encoder._learnt]
        if len(set(names)) < len(names):
            raise ValueError("encoder.columns names a column twice.")
        return encoder

    # --- transforming ---------------------------------------------------------------------------------

    def transform(self, rows: Any) -> Any:
        """Encode rows as vectors.

        Columns that were absent in training, the target among them, are passed over.

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
        self._check_columns(frame, columns)
        counts: dict[str, dict[str, int]] = {}
        if self.is_sparse:
            from scipy.sparse import hstack

            blocks = []
            for column in columns:
                block, counts[column.name] = column.sparse(plain_column(frame[column.name]), self.dtype)
                blocks.append(block)
            x = hstack(blocks, format="csr", dtype=self.dtype)
        else:
            x = np.zeros((len(frame), self.n_features), self.dtype)
            first = 0
            for column in columns:
                after = first + len(column.feature_names())
                counts[column.name] = column.write(plain_column(frame[column.name]), x[:, first:after])
                first = after
        self.unseen = {name: found["unseen"] for name, found in counts.items() if found.get("unseen")}
        self.unread = {name: found["unread"] for name, found in counts.items() if found.get("unread")}
        self._n_rows = len(frame)
        gaps = {column.name: counts[column.name].get("missing", 0) for column in columns}
        self.gaps = {
            column.name: n
            for column in columns
            if (n := gaps[column.name]) and (not column.missing or n == len(frame) >= _ENOUGH_ROWS)
        }
        return x

    def _check_columns(self, frame: Any, columns: list[Column]) -> None:
        """Raise if the frame lacks one of the columns."""
        there = list(frame.columns)
        present = set(there)
        lacking = [column.name for column in columns if column.name not in present]
        if not lacking:
            return
        known = {column.name for column in columns}
        extra = [name for name in there if name not in known]
        near = _checks.nearest_name(lacking[0], extra)
        hint = f" Is it {near!r}?" if near else ""
        names = ", ".join(map(repr, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
        plural = f"the columns {names}" if len(lacking) > 1 else f"the column {names}"
        raise ValueError(f"the table lacks {plural}, which the model was trained with.{hint}")

    def unseen_summary(self) -> str:
        """Say which values of the last transform were unseen in training, unread or missing; "" if none."""
        empty = {name: n for name, n in self.gaps.items() if n == self._n_rows}
        counts = {
            "Categories unseen or rare in training": self.unseen,
            "Values that cannot be read, taken as missing": self.unread,
            "Gaps in columns that had none in training": {
                name: n for name, n in self.gaps.items() if name not in empty
            },
        }
        sentences = [
            f"{what}: {notes.list_some([f'{n:,} of {notes.quoted(name)}' for name, n in found.items()])}."
            for what, found in counts.items()
            if found
        ]
        if empty:
            sentences.append(f"Missing in all rows: {notes.list_some([*map(notes.quoted, empty)])}.")
        return " ".join(sentences)

    def __repr__(self) -> str:
        n_columns = sum(not isinstance(column, Ignored) for column in self._learnt)
        return f"TableEncoder({n_columns} columns, {self.n_features} features)"
