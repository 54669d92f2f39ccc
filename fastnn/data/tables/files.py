"""Files of tables: which reader each suffix has, and folders of such files.

To add a format, write its reader and add it to ``_READERS``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from ... import _checks, _unpack
from ..._documents import parse_json
from ..folders import find_files, find_suffix
from .content import ARCHIVES, Content, is_book, is_zip, open_member, split_member
from .delimited import parse_text
from .encodings import to_utf8
from .excel import read_excel
from .frames import as_frame, check_size, frame_of_records, from_arrow, name_columns
from .reading import Reading, as_reading


def read_table(source: Any, *, reading: Reading | None = None) -> Any:
    r"""Read a table.

    Parameters
    ----------
    source : path, file object or table
        A file, or a folder of files with the same columns:

        - text: .csv, .tsv, .tab, .txt, .dat, .data or .test; how it is written is detected;
        - .jsonl, .ndjson, or .json (a list of objects);
        - .parquet, .feather, .arrow, .xlsx.

        Text and JSON may be compressed: .csv.gz, .bz2, .xz or .zst. An archive, .zip or .tar.gz, holds one
        table, or is followed by the name of one in it: "a.zip/b.csv". ``"-"`` is CSV on the standard input,
        and a file object must hold CSV, too. Or a table in memory: a data frame of pandas or polars, anything
        that Arrow can take over, a dict of columns, a list of dicts, a structured array or a matrix.
    reading : Reading, optional
        How a text file or a sheet of Excel is written, where that is not detected as it should be.

    Returns
    -------
    pandas.DataFrame
        With column names as text. A column of a text file holds integers, numbers, booleans or text: the
        first of them that fits all its values. Numbers with leading zeros, such as postal codes, stay text,
        and so do integers beyond 64 bits, and digits in threes such as 1.234, whose sign may group thousands.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or empty, unpacks to more than the limit (``FASTNN_MAX_UNPACKED``), has rows of
        different lengths, or two columns of the same name.
    TypeError
        If the source is not a table.
    ImportError
        If pandas, or openpyxl for .xlsx, is not installed.

    Examples
    --------
    >>> read_table({"age": [31, 54], "city": ["Bern", "Rome"]}).shape
    (2, 2)
    >>> import io
    >>> read_table(io.StringIO("5.1 3.5 setosa\n6.3 3.3 virginica\n"), reading=Reading(header=False)).shape
    (2, 3)
    """
    return read_noted(source, reading)[0]


def read_noted(
    source: Any, reading: Reading | None = None, *, labels: Collection[str] = ()
) -> tuple[Any, list[str]]:
    """Read a table, and say how its file is written.

    Parameters
    ----------
    source, reading
        As in :func:`read_table`.
    labels : collection of str, default=()
        Columns that may hold labels: there, words such as NA stand for themselves if there is other text.

    Returns
    -------
    frame : pandas.DataFrame
    notes : list of str
        Sentences on what was detected, where that is not as in most files.
    """
    _checks.require("pandas", "tables")
    reading = as_reading(reading)
    if isinstance(source, (str, os.PathLike)) and str(source) != "-":
        path = Path(source).expanduser()
        return _read_folder(path, reading, labels) if path.is_dir() else _read_file(path, reading, labels)
    if isinstance(source, str) or hasattr(source, "read"):
        where = "the standard input" if isinstance(source, str) else "the file"
        packed = sys.stdin.buffer.read() if isinstance(source, str) else source.read()
        if isinstance(packed, str):
            packed, reading = packed.encode(), dataclasses.replace(reading, encoding="utf-8")
        return _read_content(Content("standard input.csv", where, packed=packed), reading, labels)
    return as_frame(source), []


def _read_file(path: Path, reading: Reading, labels: Collection[str]) -> tuple[Any, list[str]]:
    found = None if path.exists() else split_member(path)
    if found is not None:
        archive, member = found
        outer = Content(archive.name, repr(str(archive)), archive)
        return _read_content(open_member(outer, _MEMBERS, member), reading, labels)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}.{_suggest(path)}")
    return _read_content(Content(path.name, repr(str(path)), path), reading, labels)


def _read_content(content: Content, reading: Reading, labels: Collection[str]) -> tuple[Any, list[str]]:
    suffix = find_suffix(content.name, SUFFIXES)
    if suffix is None:
        ending = Path(content.name).suffix
        hint = " Save it as .xlsx." if ending.lower() in (".xls", ".xlsb", ".ods") else ""
        raise ValueError(
            f"{content.where} has the ending {ending!r}: expected a file with one of {SHOWN_SUFFIXES}.{hint}"
        )
    if not content.start():
        raise ValueError(f"{content.where} is empty.")
    kind = _READERS.get(suffix)
    if kind is None or (kind.is_text and is_zip(content)):  # an archive, whatever its name
        if kind is not None and is_book(content):
            kind = _READERS[".xlsx"]
        else:
            return _read_content(open_member(content, _MEMBERS), reading, labels)
    frame, notes = kind.read(content, reading, labels)
    frame = check_size(name_columns(frame, content.where), content.where)
    unused = ", ".join(reading.unused(kind.settings))
    sentences = [f"{content.where} is read {', '.join(notes)}."] if notes else []
    if unused:
        sentences.append(f"{content.where} is of a kind to which {unused} does not apply.")
    return frame, sentences


def _suggest(path: Path) -> str:
    try:
        near = _checks.nearest_name(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""


def _read_folder(folder: Path, reading: Reading, labels: Collection[str]) -> tuple[Any, list[str]]:
    """Read all tables in a folder and below it, one after another."""
    pandas = _checks.require("pandas", "tables")
    files = sorted(find_files(folder, SUFFIXES))
    if not files:
        raise ValueError(f"{str(folder)!r} is a folder without a table: expected {SHOWN_SUFFIXES}.")
    frames, notes = zip(*(_read_file(file, reading, labels) for file in files), strict=True)
    for file, frame in zip(files, frames, strict=True):
        for name in set(frames[0].columns) ^ set(frame.columns):
            has, lacks = (files[0], file) if name in frames[0].columns else (file, files[0])
            raise ValueError(f"{str(has)!r} has a column {name!r}, but {str(lacks)!r} has none of that name.")
    return pandas.concat(frames, ignore_index=True), [note for some in notes for note in some]


# --- formats ------------------------------------------------------------------------------------------


def _read_text(
    content: Content, reading: Reading, labels: Collection[str], *, usual: str = ","
) -> tuple[Any, list[str]]:
    return parse_text(content.read(), content.where, reading, usual=usual, labels=labels)


def _read_parquet(content: Content, *_: Any) -> tuple[Any, list[str]]:
    parquet = _checks.require("pyarrow.parquet", "tables")
    return _read_arrow_table(content, "Parquet", lambda file: parquet.read_table(file, partitioning=None))


def _read_arrow(content: Content, *_: Any) -> tuple[Any, list[str]]:
    pyarrow = _checks.require("pyarrow", "tables")

    def read(file: Any) -> Any:
        try:
            return pyarrow.ipc.open_file(file).read_all()
        except pyarrow.ArrowInvalid:
            file.seek(0)
            return pyarrow.ipc.open_stream(file).read_all()

    return _read_arrow_table(content, "Arrow", read)


def _read_arrow_table(content: Content, kind: str, read: Callable[[Any], Any]) -> tuple[Any, list[str]]:
    """Convert the Arrow table that `read` returns; say in a sentence what is wrong with the file."""
    pyarrow = _checks.require("pyarrow", "tables")
    try:
        source = content.source
        is_path = isinstance(source, Path)
        with pyarrow.OSFile(os.fspath(source)) if is_path else pyarrow.BufferReader(source) as file:
            table = read(file)
        table.validate(full=True)  # else text that is not UTF-8 passes, and offsets may lead anywhere
        return from_arrow(table), []
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # pyarrow's EOF is an OSError
        raise ValueError(
            f"{content.where} is cut short, damaged or not a valid {kind} file: {_checks.reason_of(error)}."
        ) from error


def _read_json(content: Content, reading: Reading, labels: Collection[str]) -> tuple[Any, list[str]]:
    text, notes = _decode(content, reading)
    return _frame_of_records(content, _parse_json(content, text)), notes


def _read_json_lines(content: Content, reading: Reading, labels: Collection[str]) -> tuple[Any, list[str]]:
    text, notes = _decode(content, reading)
    lines = text.split("\n")
    records = [_parse_json(content, line, n_before) for n_before, line in enumerate(lines) if line.strip()]
    return _frame_of_records(content, records), notes


def _decode(content: Content, reading: Reading) -> tuple[str, list[str]]:
    text, encoding = to_utf8(content.read(), content.where, reading.encoding)
    return text.decode(), [] if encoding in ("utf-8", reading.encoding) else [f"as {encoding} (--encoding)"]


def _parse_json(content: Content, text: str, n_before: int = 0) -> Any:
    """Parse JSON that begins after a number of lines of a file."""
    try:
        return parse_json(text) if text.strip() else []
    except json.JSONDecodeError as error:
        line = n_before + error.lineno
        raise ValueError(f"{content.where} is no JSON: {error.msg} in line {line}.") from error
    except ValueError as error:
        raise ValueError(f"{content.where} cannot be read: {error}.") from None


def _frame_of_records(content: Content, records: Any) -> Any:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{content.where} holds other JSON than a list of objects, one a row.")
    return frame_of_records(records)


class _Kind(NamedTuple):
    """How a format is read.

    Attributes
    ----------
    read : callable
        Returns a data frame and notes for content, a Reading and `labels`; see :func:`.delimited.parse_text`.
    settings : tuple of str
        Fields of Reading that it uses.
    is_text : bool
        Whether it is text, which may be compressed.
    """

    read: Callable[[Content, Reading, Collection[str]], tuple[Any, list[str]]]
    settings: tuple[str, ...] = ()
    is_text: bool = False


_OF_BOTH = ("header", "comment", "skip_rows", "missing", "decimal")
_TEXT = _Kind(_read_text, (*_OF_BOTH, "delimiter", "encoding"), is_text=True)
_TABBED = _TEXT._replace(read=functools.partial(_read_text, usual="\t"))

_KINDS: dict[str, _Kind] = {
    **dict.fromkeys((".csv", ".txt", ".dat", ".data", ".test"), _TEXT),
    **dict.fromkeys((".tsv", ".tab"), _TABBED),
    **dict.fromkeys((".jsonl", ".ndjson"), _Kind(_read_json_lines, ("encoding",), is_text=True)),
    ".json": _Kind(_read_json, ("encoding",), is_text=True),
    **dict.fromkeys((".parquet", ".pq"), _Kind(_read_parquet)),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), _Kind(_read_arrow)),
    **dict.fromkeys((".xlsx", ".xlsm"), _Kind(read_excel, (*_OF_BOTH, "sheet"))),
}
_READERS = _KINDS | {
    suffix + packed: kind for suffix, kind in _KINDS.items() if kind.is_text for packed in _unpack.SUFFIXES
}
_MEMBERS = tuple(_READERS)
SUFFIXES = (*_MEMBERS, *ARCHIVES)
# For messages: without compressed ones.
SHOWN_SUFFIXES = f"{', '.join(_KINDS)}, one of them in .zip, or text as {', '.join(_unpack.SUFFIXES)}"
