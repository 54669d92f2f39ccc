"""Sentences on the columns of a table: what is true of many columns is said once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MOST_NAMED = 3  # columns of a sentence; the others are counted
MOST_LETTERS = 60  # of a column's name

_FIGURE = re.compile(r"(?<![\w.,%])\d[\d,]*(?:\.\d+)?(?!\w)")


def quoted(name: str) -> str:
    r"""Return the name of a column in quotes, cut where it is long; what cannot be printed is escaped.

    Examples
    --------
    >>> quoted("a\n"), len(quoted(1000 * "a"))
    ("'a\\n'", 63)
    """
    return repr(name if len(name) <= MOST_LETTERS else name[:MOST_LETTERS] + "…")


def name_columns(names: Sequence[str]) -> str:
    """Return the subject of a sentence on one column or several; its verb is singular.

    Examples
    --------
    >>> name_columns(["a"])
    "the column 'a'"
    >>> name_columns(["a", "b", "c", "d", "e"])
    "each of 5 columns ('a', 'b', 'c' and 2 more)"
    """
    if len(names) == 1:
        return f"the column {quoted(names[0])}"
    return f"each of {len(names):,} columns ({list_some([*map(quoted, names)])})"


def list_some(items: Sequence[str], most: int = MOST_NAMED) -> str:
    """Return the first items and the number of the others.

    Examples
    --------
    >>> list_some(["a", "b"]), list_some(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    if len(items) > most + 1:  # a last one is as short as "1 more"
        return f"{', '.join(items[:most])} and {len(items) - most:,} more"
    return ", ".join(items)


def group(remarks: Iterable[tuple[str, str]]) -> list[str]:
    """Make sentences of remarks on columns, one for each kind of remark.

    Parameters
    ----------
    remarks : iterable of (name, remark)
        Name of a column, and the sentence on it without its subject and its full stop. Remarks that differ in
        figures only are of the same kind: the sentence then has the smallest and the largest.

    Examples
    --------
    >>> group([("a", " is empty"), ("b", " lacks 7 rows"), ("c", " is empty"), ("d", " lacks 12 rows")])
    ["each of 2 columns ('a', 'c') is empty.", "each of 2 columns ('b', 'd') lacks 7 to 12 rows."]
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, remark in remarks:
        kinds.setdefault(_FIGURE.sub("0", remark), []).append((name, remark))
    return [
        f"{name_columns([name for name, _ in found])}{_common_text([remark for _, remark in found])}."
        for found in kinds.values()
    ]


def _common_text(remarks: Sequence[str]) -> str:
    """Return the one text of remarks that differ in figures only."""
    places = zip(*map(_FIGURE.findall, remarks), strict=True)
    sets = (sorted(set(figures), key=_value) for figures in places)
    ranges = iter(found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}" for found in sets)
    return _FIGURE.sub(lambda _: next(ranges), remarks[0])


def _value(figure: str) -> float:
    return float(figure.replace(",", ""))
