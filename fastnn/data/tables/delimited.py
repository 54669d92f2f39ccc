"""Delimited text (CSV) as a table: its encoding, its delimiter, its header, the types of its columns."""

from __future__ import annotations

import contextlib
import csv
import io
from typing import Any

from ... import _checks
from .frames import check_size, from_arrow, name_columns

_DELIMITERS = ",;\t|"

# Fields that stand for a missing value; pandas takes the same.
_NULLS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "#NA")

_BLOCK_BYTES = 1 << 25  # of text that are parsed at a time; a row must fit
_HEAD_BYTES = 1 << 16  # from which the delimiter is guessed


def parse_text(content: bytes, where: str, delimiter: str | None = None) -> Any:
    """Parse a text file into a data frame; the type of a column is the narrowest that holds all its values.

    Parameters
    ----------
    content : bytes
        UTF-8, with or without its byte order mark.
    where : str
        Name of the file in messages.
    delimiter : str, optional
        By default, the one that fits the first lines best.

    Raises
    ------
    ValueError
        If the text is empty or not UTF-8, or rows differ in length.
    """
    pyarrow = _checks.require("pyarrow", "tables")
    from pyarrow import csv as arrow_csv

    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise ValueError(f"{where} is empty.")
    head = decode(content[: content.rfind(b"\n", 0, _HEAD_BYTES) + 1] or content, where)
    try:
        delimiter = delimiter or _guess_delimiter(head)
        header = next(row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row)
    except csv.Error as error:
        raise ValueError(f"{where} cannot be read as a table: {error}.") from error
    names = [name.strip() or f"column {i}" for i, name in enumerate(header, 1)]
    try:
        table = arrow_csv.read_csv(
            pyarrow.BufferReader(content),
            # All columns are read as text first: Arrow would choose a type by the first block alone.
            read_options=arrow_csv.ReadOptions(
                column_names=[str(i) for i in range(len(names))],
                skip_rows_after_names=1,
                block_size=min(_BLOCK_BYTES, len(content) + 1),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(i): pyarrow.string() for i in range(len(names))},
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )
    except pyarrow.ArrowInvalid as error:
        text = decode(content, where)
        with contextlib.suppress(csv.Error):  # of fields that are too long for it
            _check_lengths_of_rows(text, delimiter, where)
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"{where} cannot be read as a table: {reason}.") from error
    table = table.rename_columns(names)
    columns = [_convert(column.combine_chunks(), comma=delimiter == ";") for column in table.columns]
    frame = from_arrow(pyarrow.Table.from_arrays(columns, names))
    return check_size(name_columns(frame, where), where)


def decode(content: bytes, where: str) -> str:
    """Decode UTF-8.

    Raises
    ------
    ValueError
        If it is not UTF-8: it names the first line that is not.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{where} is UTF-16: save it as UTF-8.") from error
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{where} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}; save it as UTF-8."
        ) from error


def _guess_delimiter(head: str) -> str:
    """Guess the delimiter: it splits the header into several fields, and most other lines into as many."""

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row][:100]
        except csv.Error:  # a field is too long for csv: a header with very many names and another delimiter
            return 0.0, 1
        if widths[0] < 2:
            return 0.0, 1
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    return max(_DELIMITERS, key=score)


def _check_lengths_of_rows(text: str, delimiter: str, where: str) -> None:
    """Raise for the first row that has more or fewer fields than the header."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    expected = None
    for row in reader:
        if not row:
            continue
        if expected is None:
            expected = len(row)
        elif len(row) != expected:
            raise ValueError(
                f"{where} is ragged: the header has {expected} fields, "
                f"but line {reader.line_num} has {len(row)}."
            )


def _convert(column: Any, *, comma: bool) -> Any:
    """Convert a column of text to integers, numbers or booleans if all of its values are such.

    Where `comma` is set, a decimal comma is read, too. Numbers with leading zeros stay text.
    """
    import pyarrow
    from pyarrow import compute

    if column.null_count == len(column):
        return column.cast(pyarrow.float64())
    trimmed = compute.utf8_trim_whitespace(column)
    sample = trimmed.slice(0, 10_000).drop_null()
    for kind in (pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()):
        text = trimmed
        if comma and kind == pyarrow.float64() and _any(compute.match_like(text, "%,%")):
            text = sample = compute.replace_substring(text, ",", ".")
        try:
            sample[:50].cast(kind)  # Arrow formats an error for each value that it cannot read
            numbers = text.cast(kind)
        except pyarrow.ArrowInvalid:
            continue
        if kind != pyarrow.bool_() and _any(compute.match_substring_regex(text, r"^[+-]?0[0-9]")):
            return column
        if kind == pyarrow.bool_() and _any(compute.match_substring_regex(text, "^[01]$")):
            return column
        return numbers
    return column


def _any(mask: Any) -> bool:
    from pyarrow import compute

    return bool(compute.any(mask).as_py())
