"""Sheets of Excel as tables."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import IO, Any

from ... import _checks, _unpack
from .content import Content
from .delimited import convert_text
from .frames import from_arrow
from .layout import find_layout
from .reading import Reading
from .values import NULLS

_HEAD_ROWS = 100  # from which the header is told
_MOST_ROWS = 1 << 20  # that a sheet of Excel can have
# A sheet with so many cells, so few of them filled, is no table.
_MANY_CELLS, _FEWEST_FILLED = 5_000_000, 0.01
_TAG_BYTES = 100  # of memory that a tag of XML takes, about
_BLOCK_BYTES = 1 << 20
_ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")  # what formulas give

Row = tuple[Any, ...]


def read_excel(content: Content, reading: Reading, labels: Collection[str] = ()) -> tuple[Any, list[str]]:
    """Read a sheet of an .xlsx file.

    Parameters
    ----------
    content : Content
    reading : Reading
        Which sheet to read, and how it is written.
    labels : collection of str, default=()
        As in :func:`.delimited.parse_text`.

    Returns
    -------
    frame : pandas.DataFrame
    notes : list of str
        Ends of a sentence, "the file is read ...": what is not as in most files.

    Raises
    ------
    ValueError
        If the file is damaged, unpacks to more than the limit, or has no such sheet.
    ImportError
        If openpyxl is not installed.
    """
    openpyxl = _checks.require("openpyxl", "excel")
    _check_memory(content)
    with io.BytesIO(content.packed) if content.path is None else open(content.path, "rb") as file:
        book = _guarded(content, lambda: openpyxl.load_workbook(file, read_only=True, data_only=True))
        sheet, notes = _choose_sheet(content, book, reading.sheet)
        rows = _guarded(content, lambda: list(_rows_of(sheet)))
    rows = rows[reading.skip_rows or 0 :]
    if reading.comment is not None:
        rows = [row for row in rows if not (row and _text_of(row[0]).startswith(reading.comment))]
    width = max(map(len, rows), default=0)
    if not width:
        raise ValueError(f"the sheet {sheet.title!r} of {content.where} is empty.")
    layout = find_layout(
        [[*map(_text_of, row), *[""] * (width - len(row))] if row else [] for row in rows[:_HEAD_ROWS]],
        reading.header,
    )
    columns = itertools.zip_longest(*(row for row in rows[layout.start :] if row))
    named = zip(layout.names, itertools.chain(columns, itertools.repeat(())), strict=False)
    is_comma = reading.decimal == ","
    found = {}
    for i, (name, column) in enumerate(named, 1):
        if name != f"column {i}" or any(cell is not None for cell in column):  # tables may begin beside A
            found[i] = name, _convert_cells(column, reading.missing, is_label=name in labels, comma=is_comma)
    frame = _frame_of(found)
    if reading.decimal is not None:
        frame.attrs["decimal"] = reading.decimal
    return frame, [*notes, *layout.notes]


def _check_memory(content: Content) -> None:
    """Raise if the file unpacks to more than the limit, or takes more memory than that once it is parsed."""
    with _unpack.open_zip(content.source) as archive:
        n_tags = _guarded(
            content, lambda: sum(_count_tags(archive.open(name)) for name in archive.namelist())
        )
    n_packed = len(content.packed) if content.path is None else content.path.stat().st_size
    _unpack.check_unpacked(_TAG_BYTES * n_tags, n_packed, content.where)


def _count_tags(file: IO[bytes]) -> int:
    with file:
        return sum(block.count(b"<") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))


def _frame_of(columns: dict[int, tuple[str, Any]]) -> Any:
    """Make a data frame of columns, each with its name; two may have the same."""
    pandas = _checks.require("pandas", "tables")
    frame = pandas.DataFrame({i: values for i, (_, values) in columns.items()})
    return frame.set_axis([name for name, _ in columns.values()], axis=1)


def _guarded(content: Content, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # openpyxl passes on all errors of zip and XML
        raise ValueError(
            f"{content.where} is cut short, damaged or not a valid .xlsx file: {_checks.reason_of(error)}."
        ) from error


def _choose_sheet(content: Content, book: Any, wanted: str | int | None) -> tuple[Any, list[str]]:
    """Choose a sheet by name or number, or else the first one that looks like a table."""
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    shown = ", ".join(map(repr, sheets))
    if wanted is not None:
        if wanted in sheets:
            return sheets[wanted], []
        if str(wanted).isdecimal() and 1 <= int(wanted) <= len(sheets):
            return list(sheets.values())[int(wanted) - 1], []
        raise ValueError(f"{content.where} has the sheets {shown}: there is no sheet {wanted!r}.")
    visible = [sheet for sheet in sheets.values() if sheet.sheet_state == "visible"] or [*sheets.values()]
    if not visible:
        raise ValueError(f"{content.where} has no sheet with cells.")
    if len(visible) == 1:
        return visible[0], []
    sheet = _guarded(content, lambda: next(filter(_is_table, visible), visible[0]))
    return sheet, [f"from the sheet {sheet.title!r} of {shown} (--sheet)"]


def _is_table(sheet: Any) -> bool:
    """Return whether at least two of the first rows have two cells or more."""
    rows = itertools.islice(_rows_of(sheet), _HEAD_ROWS)
    return sum(len(row) - row.count(None) > 1 for row in rows) > 1


def _rows_of(sheet: Any) -> Iterator[Row]:
    """Yield the rows of a sheet, without empty cells at their ends.

    Raises
    ------
    ValueError
        If it claims more rows than Excel allows, or nearly all of very many cells are empty.
    """
    sheet.reset_dimensions()  # what a file claims to be its size may be wrong
    n_cells = n_filled = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        n_cells += len(row)
        n_filled += len(row) - row.count(None)
        if number > _MOST_ROWS:
            raise ValueError(f"the sheet {sheet.title!r} has more than {_MOST_ROWS:,} rows")
        if n_cells > _MANY_CELLS and n_filled < _FEWEST_FILLED * n_cells:
            raise ValueError(
                f"{n_cells - n_filled:,} of {n_cells:,} cells in the first {number:,} rows of the sheet "
                f"{sheet.title!r} are empty"
            )
        end = len(row)
        while end and _is_empty(row[end - 1]):
            end -= 1
        yield tuple(None if _is_empty(cell) else cell for cell in row[:end])


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and (not cell.strip() or cell in _ERRORS))


def _text_of(cell: Any) -> str:
    """Write a cell as a name."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip().removesuffix(" 00:00:00")


def _convert_cells(cells: Row, missing: Collection[str], *, is_label: bool, comma: bool) -> Any:
    """Convert the cells of a column; text is read as in text files.

    Where `is_label` is set, words such as NA stand for themselves if there is other text.
    """
    import pandas
    import pyarrow

    if missing:
        cells = tuple(None if _text_of(cell) in missing else cell for cell in cells)
    if not is_label or not any(isinstance(cell, str) and cell.strip() not in NULLS for cell in cells):
        cells = tuple(None if isinstance(cell, str) and cell.strip() in NULLS else cell for cell in cells)
    types = {type(cell) for cell in cells if cell is not None}
    if types <= {str}:
        column = convert_text(pyarrow.array(cells, pyarrow.string()), comma=comma)
        return from_arrow(pyarrow.table({"column": column}))["column"]
    return pandas.Series(cells, dtype=object).infer_objects()
