"""Tables of any make as pandas data frames: files by their ending, and what other libraries hold."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from ..folders import find_files

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab")
ENDINGS = (
    *TEXT_ENDINGS,
    *(f"{ending}.gz" for ending in TEXT_ENDINGS),
    ".parquet",
    ".pq",
    ".feather",
    ".arrow",
    ".ipc",
    ".xlsx",
    ".jsonl",
    ".ndjson",
    ".json",
)
_DELIMITERS = ",;\t|"

# What stands in files for a value that is missing; pandas takes the same.
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "#NA")

_BLOCK = 1 << 25  # bytes of text that are parsed at a time; a row must fit


def read_table(source: Any) -> Any:
    """Read a table.

    Parameters
    ----------
    source : path, file object or table
        A file, or a folder of files with the same columns: .csv, .tsv, .txt (the delimiter is recognised;
        also compressed, .csv.gz), .parquet, .feather, .arrow, .xlsx, .jsonl or .json (a list of objects).
        ``"-"`` is CSV on the standard input, and so is what a file object holds. Or what is a table already:
        a data frame of pandas or polars, anything that Arrow can take over, a dict of columns, a list of
        dicts, a structured array or a matrix.

    Returns
    -------
    pandas.DataFrame
        With column names as text. Columns of text files are whole numbers, numbers, booleans or text,
        whichever holds all their values; numbers with leading zeros, such as postal codes, stay text.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, empty, has rows of different lengths, or two columns of one name.
    TypeError
        If the source is no table.
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
            return _parse_text(sys.stdin.buffer.read(), "the standard input", None)
        return _read_folder(Path(source)) if Path(source).is_dir() else _read_file(Path(source))
    if hasattr(source, "read"):
        content = source.read()
        content = content.encode() if isinstance(content, str) else content
        return _parse_text(content, "the file", None)
    return as_frame(source)


def as_frame(rows: Any) -> Any:
    """A table of any library as a pandas data frame with column names as text; see :func:`read_table`."""
    pandas = _checks.require("pandas", "tables")
    if isinstance(rows, pandas.DataFrame):
        frame = rows
    elif isinstance(rows, pandas.Series):  # one row
        frame = rows.to_frame().T
    elif hasattr(rows, "collect") and hasattr(rows, "collect_schema"):  # a lazy frame of polars
        return as_frame(rows.collect())
    elif hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        frame = from_arrow(_checks.require("pyarrow", "tables").table(rows))
    elif isinstance(rows, dict):
        frame = pandas.DataFrame([rows] if all(map(pandas.api.types.is_scalar, rows.values())) else rows)
    elif isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        frame = pandas.DataFrame(rows)
    elif isinstance(rows, np.ndarray) and rows.dtype.names:
        frame = pandas.DataFrame({name: rows[name] for name in rows.dtype.names})
    elif isinstance(rows, np.ndarray) and rows.ndim == 2:
        frame = pandas.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    else:
        shape = f" of shape {rows.shape}" if isinstance(rows, np.ndarray) else ""
        raise TypeError(
            f"a table must be a data frame, an Arrow table, a dict of columns, a list of dicts or a matrix, "
            f"got {type(rows).__name__}{shape}."
        )
    return _name_columns(frame, "the table")


def from_arrow(table: Any) -> Any:
    """A pyarrow table as a pandas data frame: dictionaries as categories, days as dates."""
    import pyarrow

    for i, field in enumerate(table.schema):  # polars makes such, and not every Arrow hands them on
        if pyarrow.types.is_dictionary(field.type) and str(field.type.index_type).startswith("u"):
            signed = pyarrow.dictionary(pyarrow.int64(), field.type.value_type, field.type.ordered)
            table = table.set_column(i, field.name, table.column(i).cast(signed))
    # pandas' own remarks in it would make columns an index.
    frame = table.to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)
    hidden = [name for name in frame.columns if str(name).startswith("__index_level_")]
    return frame.drop(columns=hidden)


def _name_columns(frame: Any, where: str) -> Any:
    names = [str(name).strip() for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"{where} has the column {twice[0]!r} more than once: rename or drop one of them.")
    if names == list(frame.columns):
        return frame
    return frame.set_axis(names, axis=1)


def _read_file(path: Path) -> Any:
    if not path.exists():
        close = _nearest_file(path)
        raise FileNotFoundError(f"there is no file {str(path)!r}.{close}")
    name = path.name.lower()
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if name.endswith(e)), None)
    if ending is None or path.is_dir():
        what = "is a folder" if path.is_dir() else f"has the ending {path.suffix!r}"
        hint = " Save it as .xlsx." if path.suffix.lower() in (".xls", ".ods") else ""
        raise ValueError(f"{str(path)!r} {what}: expected a file with one of {', '.join(ENDINGS)}.{hint}")
    if ending.startswith(TEXT_ENDINGS):
        content = _decompress(path) if ending.endswith(".gz") else path.read_bytes()
        return _parse_text(content, repr(str(path)), "\t" if ending.startswith((".tsv", ".tab")) else None)
    if path.stat().st_size == 0:
        raise ValueError(f"{str(path)!r} is empty.")
    if ending == ".xlsx":
        frame = _read_excel(path)
    elif ending.startswith((".json", ".ndjson")):
        frame = _read_json(path, lines=ending != ".json")
    else:
        frame = _read_arrow(path, ending)
    return _check_size(_name_columns(frame, repr(str(path))), repr(str(path)))


def _read_folder(folder: Path) -> Any:
    """All tables in a folder and below it, one after the other."""
    pandas = _checks.require("pandas", "tables")
    files = sorted(find_files(folder, ENDINGS))
    if not files:
        raise ValueError(f"{str(folder)!r} is a folder without a table: expected {', '.join(ENDINGS)}.")
    frames = [_read_file(file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        for name in set(frames[0].columns) ^ set(frame.columns):
            has, lacks = (files[0], file) if name in frames[0].columns else (file, files[0])
            raise ValueError(f"{str(has)!r} has a column {name!r}, but {str(lacks)!r} has none of that name.")
    return pandas.concat(frames, ignore_index=True)


def _nearest_file(path: Path) -> str:
    try:
        near = _checks.nearest_name(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""


def _check_size(frame: Any, where: str) -> Any:
    if frame.shape[1] == 0:
        raise ValueError(f"{where} has no columns.")
    if len(frame) == 0:
        names = ", ".join(frame.columns[:10])
        raise ValueError(f"{where} has no rows below its header ({names}): expected at least one.")
    return frame


def _decompress(path: Path) -> bytes:
    import gzip

    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{str(path)!r} is cut short, or not compressed by gzip: {error}.") from error


def _read_arrow(path: Path, ending: str) -> Any:
    pyarrow = _checks.require("pyarrow", "tables")
    kind = "Parquet" if ending in (".parquet", ".pq") else "Arrow"
    try:
        if kind == "Parquet":
            parquet = _checks.require("pyarrow.parquet", "tables")
            table = parquet.read_table(path, partitioning=None)
        else:
            with pyarrow.OSFile(os.fspath(path)) as file:
                try:
                    table = pyarrow.ipc.open_file(file).read_all()
                except pyarrow.ArrowInvalid:
                    file.seek(0)
                    table = pyarrow.ipc.open_stream(file).read_all()
        table.validate(full=True)  # else text that is no UTF-8 goes through, and offsets may lead anywhere
        return from_arrow(table)
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # pyarrow's EOF is an OSError
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ValueError(f"{str(path)!r} is cut short, damaged or no {kind} file: {reason}.") from error


def _read_excel(path: Path) -> Any:
    _checks.require("openpyxl", "excel")
    pandas = _checks.require("pandas", "tables")
    try:
        return pandas.read_excel(path, engine="openpyxl")
    except Exception as error:  # openpyxl passes on whatever zip, XML or a missing part make of it
        raise ValueError(f"{str(path)!r} is cut short, damaged or no .xlsx file: {error}.") from error


def _read_json(path: Path, *, lines: bool) -> Any:
    pandas = _checks.require("pandas", "tables")
    where = repr(str(path))
    text = _decode(path.read_bytes(), where)
    documents = enumerate(text.split("\n")) if lines else [(0, text)]
    records = []
    for before, document in documents:
        try:
            if document.strip():
                records.append(json.loads(document))
        except json.JSONDecodeError as error:
            raise ValueError(f"{where} is no JSON: {error.msg} in line {before + error.lineno}.") from error
    records = records if lines or not records else records[0]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{where} holds other JSON than a list of objects, one a row.")
    return pandas.DataFrame(records)


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError(f"{where} is UTF-16: save it as UTF-8.") from error
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{where} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}; save it as UTF-8."
        ) from error


def _parse_text(content: bytes, where: str, delimiter: str | None) -> Any:
    """A text file as a data frame, all its columns typed by all their values."""
    pyarrow = _checks.require("pyarrow", "tables")
    from pyarrow import csv as arrow_csv

    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise ValueError(f"{where} is empty.")
    head = _decode(content[: content.rfind(b"\n", 0, 1 << 16) + 1] or content, where)
    try:
        delimiter = delimiter or _find_delimiter(head)
        header = next(row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row)
    except csv.Error as error:
        raise ValueError(f"{where} cannot be read as a table: {error}.") from error
    names = [name.strip() or f"column {i}" for i, name in enumerate(header, 1)]
    try:
        table = arrow_csv.read_csv(
            pyarrow.BufferReader(content),
            # Arrow decides on a type by the first block, and stumbles over what comes later.
            read_options=arrow_csv.ReadOptions(
                column_names=[str(i) for i in range(len(names))],
                skip_rows_after_names=1,
                block_size=min(_BLOCK, len(content) + 1),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={str(i): pyarrow.string() for i in range(len(names))},
                null_values=NULLS,
                strings_can_be_null=True,
            ),
        )
    except pyarrow.ArrowInvalid as error:
        text = _decode(content, where)
        with contextlib.suppress(csv.Error):  # of fields that are too long for it
            _refuse_ragged(text, delimiter, where)
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"{where} cannot be read as a table: {reason}.") from error
    table = table.rename_columns(names)
    columns = [_typed(column.combine_chunks(), comma=delimiter == ";") for column in table.columns]
    frame = from_arrow(pyarrow.Table.from_arrays(columns, names))
    return _check_size(_name_columns(frame, where), where)


def _find_delimiter(head: str) -> str:
    """The one that cuts the header into several fields, and most of the other lines into as many."""

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row][:100]
        except csv.Error:  # a field too long for csv: of a header with very many names, cut by another
            return 0.0, 1
        if widths[0] < 2:
            return 0.0, 1
        return sum(width == widths[0] for width in widths) / len(widths), widths[0]

    return max(_DELIMITERS, key=score)


def _refuse_ragged(text: str, delimiter: str, where: str) -> None:
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


def _typed(column: Any, *, comma: bool) -> Any:
    """Text as whole numbers, numbers or booleans, if all of it reads so."""
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
            sample[:50].cast(kind)  # Arrow words an error for each value that does not read
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
