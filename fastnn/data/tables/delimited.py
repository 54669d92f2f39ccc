"""Delimited text (CSV) as a table: its rows, and the types of its columns."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Collection
from typing import Any

from ... import _checks
from .detect import Text, csv_rows, survey_text
from .frames import check_size, from_arrow, name_columns
from .reading import Reading
from .spreadsheets import unescape, unescape_column
from .values import NULLS

_BLOCK_BYTES = 1 << 25  # of text that are parsed at a time; a row must fit


def parse_text(
    content: bytes,
    where: str,
    reading: Reading = Reading(),  # noqa: B008
    *,
    usual: str = ",",
    labels: Collection[str] = (),
) -> tuple[Any, list[str]]:
    """Parse a text file into a data frame; the type of a column is the narrowest that holds all its values.

    Parameters
    ----------
    content : bytes
    where : str
        Name of the file in messages.
    reading : Reading, optional
        How it is written.
    usual : str, default=","
        The delimiter of such files, which needs no note.
    labels : collection of str, default=()
        Columns that may hold labels: there, words such as NA stand for themselves if there is other text.

    Returns
    -------
    frame : pandas.DataFrame
    notes : list of str
        How the file is written; see :class:`Text`.

    Raises
    ------
    ValueError
        If the text is empty or of another encoding, or rows differ in length.
    """
    pyarrow = _checks.require("pyarrow", "tables")
    text = survey_text(content, where, reading, usual)
    names = text.layout.names
    if not re.search(rb"\S", text.content):
        shown = ", ".join(names[:10])
        raise ValueError(
            f"{where} has no rows below its header ({shown}): expected at least one. If it has no header: "
            "--no-header."
        )
    _check_quotes(text, where)
    table = _parse(text, where, NULLS + reading.missing)
    for name in {*labels} & {*names}:
        place = names.index(name)
        column = table.column(place)
        if column.null_count and _is_text(column):
            # What Arrow has taken for missing is read once more.
            column = _parse(text, where, ("", *reading.missing), only=place).column(0)
            table = table.set_column(place, table.field(place), column)
    decimal = reading.decimal or ("," if text.delimiter == ";" else ".")
    columns = [
        unescape_column(convert_text(column.combine_chunks(), comma=decimal == ","))
        for column in table.columns
    ]
    frame = from_arrow(pyarrow.Table.from_arrays(columns, [*map(unescape, names)]))
    if reading.decimal is not None or (decimal == "," and any(map(_has_decimal_comma, table.columns))):
        frame.attrs["decimal"] = decimal  # for columns that do not show it themselves
    return check_size(name_columns(frame, where), where), text.notes


def _parse(text: Text, where: str, nulls: tuple[str, ...], only: int | None = None) -> Any:
    """Parse text into an Arrow table of text, or one column of it."""
    pyarrow = _checks.require("pyarrow", "tables")
    from pyarrow import csv as arrow_csv

    names = text.layout.names
    # All columns are read as text first: Arrow would choose a type by the first block alone.
    options = arrow_csv.ConvertOptions(
        column_types={str(i): pyarrow.string() for i in range(len(names))},
        include_columns=None if only is None else [str(only)],
        null_values=nulls,
        strings_can_be_null=True,
    )
    try:
        table = arrow_csv.read_csv(
            pyarrow.BufferReader(pyarrow.py_buffer(text.content)),
            read_options=arrow_csv.ReadOptions(
                column_names=[str(i) for i in range(len(names))],
                block_size=min(_BLOCK_BYTES, len(text.content) + 1),
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=text.delimiter,
                newlines_in_values=True,
                invalid_row_handler=lambda row: "error" if row.text.strip() else "skip",
            ),
            convert_options=options,
        )
    except pyarrow.ArrowInvalid as error:
        with contextlib.suppress(csv.Error):  # of fields that are too long for it
            _check_lengths_of_rows(text, where)
        raise ValueError(f"{where} cannot be read as a table: {_checks.reason_of(error)}.") from error
    return table if only is not None else table.rename_columns(names)


def _check_lengths_of_rows(text: Text, where: str) -> None:
    """Raise for the first row that has more or fewer fields than the header."""
    expected = len(text.layout.names)
    first = "the header has" if text.layout.header else "most rows have"
    for line, row in csv_rows(str(text.content, "utf-8"), text.delimiter):
        if len(row) != expected and any(map(str.strip, row)):
            raise ValueError(
                f"{where} is ragged: {first} {expected} fields, but line {text.n_above + line} "
                f"has {len(row)}. If it is written in its own way: --skip-rows, --comment or --delimiter."
            )


def _check_quotes(text: Text, where: str) -> None:
    """Raise if a quote is never closed: Arrow would take all that follows for one field."""
    if bytes(text.content).count(b'"') % 2 == 0:
        return
    end = 0
    try:
        for line, _ in csv_rows(str(text.content, "utf-8"), text.delimiter, strict=True):
            end = line
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise ValueError(
                f"{where} has a quote that is never closed, in the row of line {text.n_above + end + 1}."
            ) from None


def _is_text(column: Any) -> bool:
    """Return whether a column of text holds something else than numbers."""
    return convert_text(column.combine_chunks(), comma=True).type == column.type


def convert_text(column: Any, *, comma: bool) -> Any:
    """Convert a column of text to integers, numbers or booleans if all of its values plainly are such.

    Where `comma` is set, a decimal comma is read, too. Numbers with leading zeros, integers beyond what a
    number holds exactly, and digits in groups of three, which may be thousands, stay text: what they mean is
    decided by the encoder, whatever the file's format.
    """
    import pyarrow
    from pyarrow import compute

    if column.null_count == len(column):
        return column.cast(pyarrow.float64())
    trimmed = compute.utf8_trim_whitespace(column)
    for kind in (pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()):
        plain, sign = trimmed, "."
        if comma and kind == pyarrow.float64() and _any(compute.match_like(trimmed, "%,%")):
            if _any(compute.match_like(trimmed, "%.%")):
                return column
            plain, sign = compute.replace_substring(trimmed, ",", "."), ","
        try:
            # Arrow formats an error for each value that it cannot read.
            plain.slice(0, 10_000).drop_null()[:50].cast(kind)
            numbers = plain.cast(kind)
        except pyarrow.ArrowInvalid:
            continue
        if kind != pyarrow.bool_() and _any(compute.match_substring_regex(trimmed, r"^[+-]?0[0-9]")):
            return column
        if kind == pyarrow.bool_() and _any(compute.match_substring_regex(trimmed, "^[01]$")):
            return column
        if kind == pyarrow.float64() and (_is_grouped(trimmed, sign) or _has_long_integers(trimmed)):
            return column
        return numbers
    return column


def _is_grouped(text: Any, sign: str) -> bool:
    """Return whether every decimal sign in a column stands where it could group thousands."""
    from pyarrow import compute

    for part in (text.slice(0, 1000), text):
        signed = part.filter(compute.match_like(part, f"%{sign}%"))
        grouped = compute.match_substring_regex(signed, rf"^[+-]?[1-9][0-9]{{0,2}}[{sign}][0-9]{{3}}$")
        if _any(compute.invert(grouped)):
            return False
    return len(signed) > 0


def _has_long_integers(text: Any) -> bool:
    from pyarrow import compute

    return _any(compute.match_substring_regex(text, "^[+-]?[0-9]{16,}$"))


def _has_decimal_comma(column: Any) -> bool:
    from pyarrow import compute

    return _any(compute.match_substring_regex(column, r"^\s*[+-]?[0-9]+,([0-9]{1,2}|[0-9]{4,})\s*$"))


def _any(mask: Any) -> bool:
    from pyarrow import compute

    return bool(compute.any(mask).as_py())
