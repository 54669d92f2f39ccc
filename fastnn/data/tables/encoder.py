"""The encoder of tables: the kind of each column, and the features made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ... import _checks
from .columns import Category, Column, Ignored, Text, column_from_dict
from .frames import as_frame
from .recognise import CHOICES, learn_column
from .values import plain_column


class TableEncoder:
    """Learns what each column of a table is, and makes features of it.

    Numbers are scaled by median and interquartile range, and clipped smoothly; where values were missing in
    training, a second feature flags them. Categories are one-hot or, where there are many, a code whose
    vector the network learns; rare ones are taken together. Dates become the time passed and their phase in
    the year, month, week and day. Free text becomes TF-IDF; then all vectors are sparse, and all categories
    one-hot, however many. Identifiers, and columns that always say the same, are left out.

    Text counts as numbers or dates if 98 % of it reads so; the rest is taken as missing, then and later, and
    counted. Infinite numbers are missing ones.

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
        learnt = [
            learn_column(
                name,
                plain_column(frame[name]),
                self.columns.get(name),
                min_count=self.min_count or min(10, max(2, len(frame) // 5000)),
                max_one_hot=self.max_one_hot,
                max_words=self.max_words,
            )
            for name in frame.columns
        ]
        if all(isinstance(column, Ignored) for column in learnt):
            reasons = "; ".join(f"{c.name!r} {c.reason}" for c in learnt[:5] if isinstance(c, Ignored))
            raise ValueError(f"no column is left to learn from: {reasons}.")
        has_text = any(isinstance(column, Text) for column in learnt)
        for column in learnt:
            if isinstance(column, Category) and self._is_embedded(column, has_text):
                column.embed(self.embedding_width)
        self._learnt, self.unseen, self.unread = learnt, {}, {}
        return self

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
        """Return a sentence for each column that was left out or has a remark for the user."""
        return [
            f"the column {column.name!r} is left out: it {column.reason}."
            if isinstance(column, Ignored)
            else f"the column {column.name!r}: {column.note}."
            for column in self._learnt
            if isinstance(column, Ignored) or column.note
        ]

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
        encoder = cls(dtype=state["dtype"])
        encoder._learnt = [column_from_dict(column) for column in state["columns"]]
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
            x = np.zeros((len(frame), len(self.feature_names)), self.dtype)
            first = 0
            for column in columns:
                after = first + len(column.feature_names())
                counts[column.name] = column.write(plain_column(frame[column.name]), x[:, first:after])
                first = after
        self.unseen = {name: found["unseen"] for name, found in counts.items() if found.get("unseen")}
        self.unread = {name: found["unread"] for name, found in counts.items() if found.get("unread")}
        return x

    def _check_columns(self, frame: Any, columns: list[Column]) -> None:
        """Raise if the frame lacks one of the columns."""
        there = list(frame.columns)
        lacking = [column.name for column in columns if column.name not in set(there)]
        if not lacking:
            return
        extra = [name for name in there if name not in {column.name for column in columns}]
        near = _checks.nearest_name(lacking[0], extra)
        hint = f" Is it {near!r}?" if near else ""
        names = ", ".join(map(repr, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
        plural = f"the columns {names}" if len(lacking) > 1 else f"the column {names}"
        raise ValueError(f"the table lacks {plural}, which the model was trained with.{hint}")

    def unseen_summary(self) -> str:
        """Say which values of the last transform training had not seen, or could not be read; "" if none."""
        parts = [f"{count:,} of {name!r}" for name, count in self.unseen.items()]
        sentences = [f"Categories unseen or rare in training: {', '.join(parts)}."] if parts else []
        parts = [f"{count:,} of {name!r}" for name, count in self.unread.items()]
        if parts:
            sentences.append(f"Values that cannot be read, taken as missing: {', '.join(parts)}.")
        return " ".join(sentences)

    def __repr__(self) -> str:
        n_columns = sum(not isinstance(column, Ignored) for column in self._learnt)
        return f"TableEncoder({n_columns} columns, {len(self.feature_names)} features)"
