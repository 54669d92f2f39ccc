"""Files of tables: which reader each suffix has, and folders of such files.

To add a format, write its reader and add it to ``_READERS``.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import _checks
from ..folders import find_files, find_suffix
from .delimited import decode, parse_text
from .frames import as_frame, check_size, from_arrow, name_columns


def read_table(source: Any) -> Any:
    """Read a table.

    Parameters
    ----------
    source : path, file object or table
        A file, or a folder of files with the same columns: .csv, .tsv, .txt (the delimiter is recognised;
        also compressed, .csv.gz), .parquet, .feather, .arrow, .xlsx, .jsonl or .json (a list of objects).
        ``"-"`` is CSV on the standard input, and a file object must hold CSV, too. Or a table in memory:
        a data frame of pandas or polars, anything that Arrow can take over, a dict of columns, a list of
        dicts, a structured array or a matrix.

    Returns
    -------
    pandas.DataFrame
        With column names as text. A column of a text file holds integers, numbers, booleans or text: the
        first of them that fits all its values. Numbers with leading zeros, such as postal codes, stay text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or empty, has rows of different lengths, or two columns of the same name.
    TypeError
        If the source is not a table.
    ImportError
        If pandas, or openpyxl for .xlsx, is not installed.

    Examples
    --------
    >>> read_table({"age": [31, 54], "city": ["Bern", "Rome"]}).shape
    (2, 2)
    """
    _checks.require("pandas", "tables")
    if isinstance(source, (str, os.PathLike)):
        if str(source) == "-":
            return parse_text(sys.stdin.buffer.read(), "the standard input")
        return _read_folder(Path(source)) if Path(source).is_dir() else _read_file(Path(source))
    if hasattr(source, "read"):
        content = source.read()
        content = content.encode() if isinstance(content, str) else content
        return parse_text(content, "the file")
    return as_frame(source)


def _read_file(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}.{_suggest(path)}")
    suffix = find_suffix(path.name, SUFFIXES)
    if suffix is None:
        hint = " Save it as .xlsx." if path.suffix.lower() in (".xls", ".ods") else ""
        raise ValueError(
            f"{str(path)!r} has the ending {path.suffix!r}: expected a file with one of "
            f"{', '.join(SUFFIXES)}.{hint}"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{str(path)!r} is empty.")
    where = repr(str(path))
    return check_size(name_columns(_READERS[suffix](path), where), where)


def _suggest(path: Path) -> str:
    try:
        near = _checks.nearest_name(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""


def _read_folder(folder: Path) -> Any:
    """Read all tables in a folder and below it, one after another."""
    pandas = _checks.require("pandas", "tables")
    files = sorted(find_files(folder, SUFFIXES))
    if not files:
        raise ValueError(f"{str(folder)!r} is a folder without a table: expected {', '.join(SUFFIXES)}.")
    frames = [_read_file(file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        for name in set(frames[0].columns) ^ set(frame.columns):
            has, lacks = (files[0], file) if name in frames[0].columns else (file, files[0])
            raise ValueError(f"{str(has)!r} has a column {name!r}, but {str(lacks)!r} has none of that name.")
    return pandas.concat(frames, ignore_index=True)


def _read_text(path: Path, delimiter: str | None = None) -> Any:
    content = _decompress(path) if path.suffix.lower() == ".gz" else path.read_bytes()
    return parse_text(content, repr(str(path)), delimiter)


def _read_tabbed_text(path: Path) -> Any:
    return _read_text(path, "\t")


def _decompress(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{str(path)!r} is cut short, or not compressed by gzip: {error}.") from error


def _read_parquet(path: Path) -> Any:
    parquet = _checks.require("pyarrow.parquet", "tables")
    return _read_arrow_table(path, "Parquet", lambda: parquet.read_table(path, partitioning=None))


def _read_arrow(path: Path) -> Any:
    pyarrow = _checks.require("pyarrow", "tables")

    def read() -> Any:
        with pyarrow.OSFile(os.fspath(path)) as file:
            try:
                return pyarrow.ipc.open_file(file).read_all()
            except pyarrow.ArrowInvalid:
                file.seek(0)
                return pyarrow.ipc.open_stream(file).read_all()

    return _read_arrow_table(path, "Arrow", read)


def _read_arrow_table(path: Path, kind: str, read: Callable[[], Any]) -> Any:
    """Convert the Arrow table that `read` returns; say in a sentence what is wrong with the file."""
    pyarrow = _checks.require("pyarrow", "tables")
    try:
        table = read()
        table.validate(full=True)  # else text that is not UTF-8 passes, and offsets may lead anywhere
        return from_arrow(table)
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # pyarrow's EOF is an OSError
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ValueError(
            f"{str(path)!r} is cut short, damaged or not a valid {kind} file: {reason}."
        ) from error


def _read_excel(path: Path) -> Any:
    _checks.require("openpyxl", "excel")
    pandas = _checks.require("pandas", "tables")
    try:
        return pandas.read_excel(path, engine="openpyxl")
    except Exception as error:  # openpyxl passes on all errors of zip and XML
        raise ValueError(
            f"{str(path)!r} is cut short, damaged or not a valid .xlsx file: {error}."
        ) from error


def _read_json(path: Path) -> Any:
    return _frame_of_records(path, _parse_json(path, decode(path.read_bytes(), repr(str(path)))))


def _read_json_lines(path: Path) -> Any:
    lines = decode(path.read_bytes(), repr(str(path))).split("\n")
    records = [_parse_json(path, line, n_before) for n_before, line in enumerate(lines) if line.strip()]
    return _frame_of_records(path, records)


def _parse_json(path: Path, text: str, n_before: int = 0) -> Any:
    """Parse JSON that begins after a number of lines of a file."""
    try:
        return json.loads(text) if text.strip() else []
    except json.JSONDecodeError as error:
        line = n_before + error.lineno
        raise ValueError(f"{str(path)!r} is no JSON: {error.msg} in line {line}.") from error


def _frame_of_records(path: Path, records: Any) -> Any:
    pandas = _checks.require("pandas", "tables")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{str(path)!r} holds other JSON than a list of objects, one a row.")
    return pandas.DataFrame(records)


_READERS: dict[str, Callable[[Path], Any]] = {
    **dict.fromkeys((".csv", ".csv.gz", ".txt", ".txt.gz"), _read_text),
    **dict.fromkeys((".tsv", ".tsv.gz", ".tab", ".tab.gz"), _read_tabbed_text),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), _read_arrow),
    ".xlsx": _read_excel,
    **dict.fromkeys((".jsonl", ".ndjson"), _read_json_lines),
    ".json": _read_json,
}
SUFFIXES = tuple(_READERS)
