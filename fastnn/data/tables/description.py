"""A table described: what an encoder would make of each of its columns, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import _checks
from .encoder import TableEncoder
from .target_column import read_dataset

if TYPE_CHECKING:
    import pandas


def describe_table(
    source: Any, target: str | None = None, *, columns: Mapping[str, str] | None = None
) -> pandas.DataFrame:
    """Describe what would be done with each column of a table, without training.

    It is what ``fastnn train TABLE --dry-run`` lists, here learnt from all rows.

    Parameters
    ----------
    source : path, file object or table
        As :func:`read_table` takes it.
    target : str, optional
        The column to predict, or several, separated by commas; it is left out.
    columns : dict, optional
        Kinds of columns, by name, as in :class:`TableEncoder`.

    Returns
    -------
    pandas.DataFrame
        A row for each column, by its name: "kind", "encoding", "features" (how many), "missing" and
        "distinct" (numbers of rows and of values), and "note": why, and remarks.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        If the table cannot be read, or no column is fit to learn from.

    Examples
    --------
    >>> table = {"size": [1.5, 2.5, 2.0], "unit": ["cm", "cm", "cm"], "fits": ["yes", "no", "yes"]}
    >>> told = describe_table(table, "fits")
    >>> told.kind.to_dict(), told.note["unit"]
    ({'size': 'number', 'unit': 'ignore'}, 'says the same in every row')
    """
    data = read_dataset(source, target, labelled=target is not None)
    encoder = TableEncoder(columns=columns).fit(data.rows)
    return _checks.require("pandas", "tables").DataFrame(encoder.describe()).set_index("column")
