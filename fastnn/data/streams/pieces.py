"""Files of tables in pieces: row groups of Parquet, record batches of Arrow, CSV files as a whole."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ... import _checks
from ..tables.detect import survey_text
from ..tables.reading import Reading, as_reading
from ..tables.spreadsheets import unescape_column
from ..tables.values import NULLS

_DECIMAL_COMMA = re.compile(rb'(?m)(?:^|;)"?[+-]?\d+,\d+"?(?:;|\r?$)')
_HEAD_BYTES = 1 << 20  # of a text file, from which it is told how it is written


class PieceFile:
    """A file of a table that is read piece by piece.

    Parameters
    ----------
    path : str
    like : pyarrow.Schema, optional
        Schema of the first of several files.
    reading : Reading
        How a text file is written.

    Attributes
    ----------
    schema : pyarrow.Schema
    piece_rows : list of int
        Number of rows of each piece, none of which is empty.
    """

    kind: str

    def __init__(self, path: str, like: Any, reading: Reading) -> None:
        self.path, self.reading = path, reading
        self.schema: Any
        self.piece_rows: list[int] = []
        with self.refusing():
            self._survey(like)

    def _survey(self, like: Any) -> None:
        """Find the schema and the sizes of the pieces."""
        raise NotImplementedError

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        """Read some columns of a piece as an Arrow table; text in `as_codes` is dictionary-encoded."""
        raise NotImplementedError

    @contextlib.contextmanager
    def refusing(self) -> Generator[None]:
        """Convert errors of Arrow to a sentence on what is wrong with the file."""
        pyarrow = _checks.require("pyarrow", "tables")
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {self.path!r}.") from None
        except (pyarrow.ArrowException, OSError) as error:
            reason = _checks.reason_of(error)
            message = f"{self.path!r} is cut short, damaged or not a valid {self.kind} file: {reason}."
            raise ValueError(message) from error

    def check_rows(self, piece: int, table: Any) -> Any:
        """Return the table of a piece if its number of rows has not changed."""
        if table.num_rows != self.piece_rows[piece]:
            raise ValueError(f"{self.path!r} has changed: it had other rows when the stream was made.")
        return table


class _ParquetFile(PieceFile):
    """A Parquet file; its pieces are row groups."""

    kind = "Parquet"

    def _survey(self, like: Any) -> None:
        parquet = _checks.require("pyarrow.parquet", "tables")
        with parquet.ParquetFile(self.path) as file:
            self.schema, metadata = file.schema_arrow, file.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        self._groups = [i for i, group in enumerate(groups) if group.num_rows > 0]
        self.piece_rows = [groups[i].num_rows for i in self._groups]

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        parquet = _checks.require("pyarrow.parquet", "tables")
        with self.refusing(), parquet.ParquetFile(self.path, read_dictionary=as_codes) as file:
            if file.metadata.num_row_groups <= self._groups[piece]:
                raise ValueError(f"{self.path!r} has changed: it had more rows when the stream was made.")
            table = self.check_rows(piece, file.read_row_group(self._groups[piece], columns=columns))
        return _as_codes(table, as_codes)


class _ArrowFile(PieceFile):
    """An Arrow (Feather) file; its pieces are record batches."""

    kind = "Arrow"

    def _survey(self, like: Any) -> None:
        pyarrow = _checks.require("pyarrow", "tables")
        _checks.require("pyarrow.ipc", "tables")
        with pyarrow.OSFile(self.path) as source:
            self.schema = pyarrow.ipc.open_file(source).schema
        # The length of a batch is stored with the batch: one column is read to learn it.
        options = pyarrow.ipc.IpcReadOptions(included_fields=[0])
        with pyarrow.OSFile(self.path) as source:
            file = pyarrow.ipc.open_file(source, options=options)
            sizes = [file.get_batch(i).num_rows for i in range(file.num_record_batches)]
        self._batches = [i for i, n in enumerate(sizes) if n > 0]
        self.piece_rows = [sizes[i] for i in self._batches]

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        pyarrow = _checks.require("pyarrow", "tables")
        fields = sorted(self.schema.get_field_index(name) for name in columns)
        options = pyarrow.ipc.IpcReadOptions(included_fields=fields)
        # Not mapped: pages of a map would count as memory of this process.
        with self.refusing(), pyarrow.OSFile(self.path) as source:
            batch = pyarrow.ipc.open_file(source, options=options).get_batch(self._batches[piece])
            table = pyarrow.Table.from_batches([batch]).select(columns)
        return _as_codes(self.check_rows(piece, table), as_codes)


class _CsvFile(PieceFile):
    """A CSV file; it is one piece."""

    kind = "CSV"

    def _survey(self, like: Any) -> None:
        csv = _checks.require("pyarrow.csv", "tables")
        types = None if like is None else dict(zip(like.names, like.types, strict=True))
        self._form = self._find_form(types)
        n_rows = 0
        with csv.open_csv(self.path, **self._form) as batches:
            self.schema = batches.schema
            for batch in batches:
                n_rows += batch.num_rows
        self.piece_rows = [n_rows] if n_rows else []
        # Later reads use the types of the first: other types would mean other features.
        self._form = self._find_form(dict(zip(self.schema.names, self.schema.types, strict=True)))

    def _find_form(self, types: dict[str, Any] | None) -> dict[str, Any]:
        """Find how the file is written, from its first lines, as options of pyarrow's readers."""
        csv = _checks.require("pyarrow.csv", "tables")
        where = repr(self.path)
        with open(self.path, "rb") as file:
            head = file.read(_HEAD_BYTES)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError(f"{where} is UTF-16: such a file cannot be streamed.")
        text = survey_text(head[: head.rfind(b"\n") + 1] or head, where, self.reading)
        refused = {
            "has lines of comment": self.reading.comment is not None,
            "has spaces between its fields": text.is_squeezed,
        }
        for reason, is_so in refused.items():
            if is_so:
                raise ValueError(f"{where} {reason}: such a file cannot be streamed.")
        has_commas = text.delimiter == ";" and _DECIMAL_COMMA.search(text.content)
        missing = self.reading.missing
        return {
            "read_options": csv.ReadOptions(
                column_names=text.layout.names, skip_rows=text.n_above, encoding=text.encoding
            ),
            "parse_options": csv.ParseOptions(delimiter=text.delimiter),
            "convert_options": csv.ConvertOptions(
                column_types=types,
                null_values=[*NULLS, *missing],
                strings_can_be_null=bool(missing),
                decimal_point=self.reading.decimal or ("," if has_commas else "."),
            ),
        }

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        csv = _checks.require("pyarrow.csv", "tables")
        with self.refusing():
            table = csv.read_csv(self.path, **self._form).select(columns)
        for index, name in enumerate(columns):
            table = table.set_column(index, name, unescape_column(table.column(index)))
        return _as_codes(self.check_rows(piece, table), as_codes)


_READERS: dict[str, type[PieceFile]] = {
    **dict.fromkeys((".parquet", ".pq"), _ParquetFile),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), _ArrowFile),
    ".csv": _CsvFile,
}


def _as_codes(table: Any, columns: list[str]) -> Any:
    """Dictionary-encode text of these columns, so that all pieces have the same types."""
    pyarrow = _checks.require("pyarrow", "tables")
    codes = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    for index, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
        wanted = codes if name in columns else pyarrow.string()
        if is_text(kind) and kind != wanted:
            column = table.column(index).cast(pyarrow.string())
            table = table.set_column(index, name, column.dictionary_encode() if name in columns else column)
    return table


def _find_files(source: Any) -> list[str]:
    """Find the files of a table: one, several, those of a folder and below it, or of a pyarrow data set."""
    if hasattr(source, "files") and hasattr(source, "schema"):
        source = source.files
    if not isinstance(source, (str, os.PathLike)):
        given = _checks.check_items("source", source, "paths")
        paths = [str(_checks.check_path("a source", path)) for path in given]
        if not paths:
            raise ValueError("there are no files to read: expected at least one path.")
        return paths
    path = _checks.check_path("source", source)
    if not path.is_dir():
        return [str(path)]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in _READERS and file.is_file() and not file.name.startswith((".", "_"))
    ]
    if not found:
        raise ValueError(f"the folder {str(path)!r} holds no file with one of {', '.join(_READERS)}.")
    return [str(file) for file in found]


def open_files(source: Any, reading: Reading | None = None) -> list[PieceFile]:
    """Open the files of a table, which must all have the same columns.

    Parameters
    ----------
    source : path, folder, sequence of paths or pyarrow.dataset.FileSystemDataset
    reading : Reading, optional
        How text files are written.
    """
    files: list[PieceFile] = []
    reading = as_reading(reading)
    for path in _find_files(source):
        suffix = Path(path).suffix.lower()
        if suffix not in _READERS:
            raise ValueError(f"{path!r} has the ending {suffix!r}: expected one of {', '.join(_READERS)}.")
        first = files[0] if files else None
        file = _READERS[suffix](path, first.schema if first else None, reading)
        if first:
            _compare(first, file)
        files.append(file)
    return files


def _compare(first: PieceFile, file: PieceFile) -> None:
    """Refuse a file whose columns are not those of the first."""
    types = dict(zip(first.schema.names, first.schema.types, strict=True))
    others = dict(zip(file.schema.names, file.schema.types, strict=True))
    for name in types.keys() ^ others.keys():
        has, lacks = (first, file) if name in types else (file, first)
        raise ValueError(f"{has.path!r} has a column {name!r}, but {lacks.path!r} has none of that name.")
    for name, kind in types.items():
        if is_text(kind) != is_text(others[name]) or not (is_text(kind) or kind == others[name]):
            raise ValueError(
                f"column {name!r} is {kind} in {first.path!r}, but {others[name]} in {file.path!r}: expected "
                "the same type in all files."
            )


def is_text(kind: Any) -> bool:
    """Return whether a type of Arrow is text, dictionary-encoded or not."""
    return str(getattr(kind, "value_type", kind)) in ("string", "large_string", "string_view")
