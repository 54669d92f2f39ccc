"""Where the table begins in a text or a sheet, and whether its first row holds names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .values import MISSING_WORDS

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FRACTION = re.compile(r"[+-]?\d*[.,]\d+")
# Numbers with units and thousands, dates and times: what a name hardly ever is.
_VALUE = re.compile(r"(?!.*  )[ +\-($€£¥]*[\d.,]*\d[\d.,:/ \-'+TZ%)€eE]*")
_MOST_TITLES = 100  # rows above a table
_FEWEST_ALIKE = 0.8  # of a column's values are numbers, where it is one of numbers

# Evidence that a row holds the names of columns.
NONE, UNSURE, SURE, PROVEN = range(4)


@dataclass(frozen=True)
class Layout:
    """Where the table is among rows of text.

    Attributes
    ----------
    names : list of str
        Names of the columns.
    header : bool
        Whether they come from the file.
    start : int
        Index of the first row of data.
    notes : list of str
        Ends of a sentence, "the file is read ...": what is not as in most files.
    """

    names: list[str]
    header: bool
    start: int
    notes: list[str] = field(default_factory=list)


Rows = Sequence[Sequence[str]]


def find_layout(rows: Rows, header: bool | None = None) -> Layout:
    """Find the table in the first rows of a file.

    Parameters
    ----------
    rows : list of list of str
        Fields, without spaces around them; rows without any are empty lists.
    header : bool, optional
        Whether the first row of the table holds names.

    Examples
    --------
    >>> find_layout([["Prices of May", ""], [], ["item", "price"], ["tea", "3.5"], ["milk", "1"]]).start
    3
    >>> find_layout([["tea", "3.5"], ["milk", "1"], ["tea", "4"]]).names
    ['column 1', 'column 2']
    """
    width = common_width(rows)
    first = next((i for i, row in enumerate(rows) if row), 0)
    top = _find_top(rows, first, width, header)
    notes = []
    n_above = sum(map(bool, rows[first:top]))
    if n_above:
        notes.append(f"without {n_above} line{'s' * (n_above > 1)} above the table")
    evidence = look_for_header(rows[top:], width) if header is None else SURE if header else NONE
    if evidence == NONE:
        if header is None:
            notes.append("without a header: its columns are named column 1, column 2, ... (--header)")
        return Layout([f"column {i}" for i in range(1, width + 1)], False, top, notes)
    cells = list(rows[top])
    if evidence == UNSURE and any(len(row) == width and not any(row) for row in rows[first:top]):
        return Layout([f"column {i}" for i in range(1, width + 1)], True, top, [])  # a header without names
    if evidence == UNSURE:
        shown = ", ".join(cells[:4]) + (", ..." if len(cells) > 4 else "")
        notes.append(f"with the first row, {shown}, as its header (if it has none: --no-header)")
    below = [row for row in rows[top + 1 :] if len(row) == width]
    if len(cells) < width and below and not any(any(row[len(cells) :]) for row in below):
        cells += [""] * (width - len(cells))  # rows end with a separator that the header does not have
    elif len(cells) == width - 1 and _are_row_names([row[0] for row in below]):
        cells = ["", *cells]
    return Layout([name or f"column {i}" for i, name in enumerate(cells, 1)], True, top + 1, notes)


def common_width(rows: Rows) -> int:
    """Return the number of fields that most rows have."""
    widths = Counter(len(row) for row in rows if row)
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _find_top(rows: Rows, first: int, width: int, header: bool | None) -> int:
    """Find the first row of the table: above it are titles, which have fewer fields filled than it."""
    half = max(1, width // 2)
    likely = None
    for top in range(first, min(len(rows), first + _MOST_TITLES)):
        row = rows[top]
        if len(row) != width or (width > 1 and not any(row[half:])):
            continue
        evidence = look_for_header(rows[top:], width) if header is None else PROVEN if header else NONE
        above = [other for other in rows[first:top] if other]
        # A row with a field less may be a header that lacks a name: only names below it tell that it is not.
        are_titles = all(sum(map(bool, other)) <= 1 or len(other) < width - 1 for other in above)
        is_fuller = max((sum(map(bool, other)) for other in above), default=0) < sum(map(bool, row))
        if above and is_fuller and evidence == PROVEN:
            return top
        if likely is None:
            likely = top if above and is_fuller and are_titles and width > 2 else first
        if all(row) or evidence == PROVEN:  # else it may be a title of several fields
            break
    return first if likely is None else likely


def look_for_header(rows: Rows, width: int) -> int:
    """Return how sure it is that the first row holds names.

    Names stand above values: they are text above numbers, or are not repeated below. A first row of numbers
    holds values if one of them has a fraction or stands there twice; but names if they grow from left to
    right, as years and wavelengths do, and hardly any other row does.
    """
    first, below = rows[0], [row for row in rows[1:] if len(row) == width]
    if not below or len(first) != width:
        return UNSURE if all(map(is_value, first)) else SURE
    n_same = sum(row == first for row in below)  # a header that stands in the file again
    numbers, n_new, n_again = [], 0, 0
    for cell, *column in zip(first, *below, strict=True):
        values = [value for value in column if value.lower() not in MISSING_WORDS]
        if not values or cell.lower() in MISSING_WORDS:
            continue
        are_values = sum(map(is_value, values)) >= _FEWEST_ALIKE * len(values)
        if is_value(cell):
            numbers += [cell] * are_values
        elif are_values:
            return PROVEN
        elif values.count(cell) > n_same:
            n_again += 1
        else:
            n_new += 1
    if not numbers:
        return NONE if n_again > n_new else UNSURE if n_again else SURE
    if _count(numbers) or (len(numbers) > 3 and _grow(first) and sum(map(_grow, below)) <= 0.1 * len(below)):
        return SURE if len(numbers) + n_new > 3 else UNSURE
    is_repeated = len(set(numbers)) < len(numbers)
    if n_again > n_new or is_repeated or any(map(_FRACTION.fullmatch, numbers)):
        return NONE
    return UNSURE if n_new or len(numbers) < 3 else NONE


def is_value(cell: str) -> bool:
    """Return whether a field is a number, a date or a time, with signs and units or not."""
    return _VALUE.fullmatch(cell) is not None


def _grow(cells: Sequence[str]) -> bool:
    """Return whether the numbers among fields increase from left to right."""
    numbers = [float(cell) for cell in cells if _NUMBER.fullmatch(cell)]
    return all(before < after for before, after in pairwise(numbers))


def _count(cells: Sequence[str]) -> bool:
    """Return whether fields are integers that follow each other, as pandas names columns, and years do."""
    if len(cells) < 2 or not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    return all(int(before) + 1 == int(after) for before, after in pairwise(cells))


def _are_row_names(values: Sequence[str]) -> bool:
    """Return whether fields are the names of rows that R writes, below no name of their own."""
    if values == [str(i) for i in range(1, len(values) + 1)]:
        return True
    return len(set(values)) == len(values) and not any(map(is_value, values))
