"""Files of tables in pieces: row groups of Parquet, record batches of Arrow, CSV files as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ... import _checks


class PieceFile:
    """A file of a table that is read piece by piece.

    Parameters
    ----------
    path : str
    like : pyarrow.Schema, optional
        Schema of the first of several files.

    Attributes
    ----------
    schema : pyarrow.Schema
    piece_rows : list of int
        Number of rows of each piece, none of which is empty.
    """

    kind: str

    def __init__(self, path: str, like: Any = None) -> None:
        self.path = path
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
            reason = str(error).strip().partition("\n")[0].rstrip(".")
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
        self._options = csv.ConvertOptions(column_types=types)
        n_rows = 0
        with csv.open_csv(self.path, convert_options=self._options) as batches:
            self.schema = batches.schema
            for batch in batches:
                n_rows += batch.num_rows
        self.piece_rows = [n_rows] if n_rows else []
        # Later reads use the types of the first: other types would mean other features.
        types = dict(zip(self.schema.names, self.schema.types, strict=True))
        self._options = csv.ConvertOptions(column_types=types)

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        csv = _checks.require("pyarrow.csv", "tables")
        with self.refusing():
            table = csv.read_csv(self.path, convert_options=self._options).select(columns)
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
        paths = [os.fspath(path) for path in source]
        if not paths:
            raise ValueError("there are no files to read: expected at least one path.")
        return paths
    path = Path(source)
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


def open_files(source: Any) -> list[PieceFile]:
    """Open the files of a table, which must all have the same columns.

    Parameters
    ----------
    source : path, folder, sequence of paths or pyarrow.dataset.FileSystemDataset
    """
    files: list[PieceFile] = []
    for path in _find_files(source):
        suffix = Path(path).suffix.lower()
        if suffix not in _READERS:
            raise ValueError(f"{path!r} has the ending {suffix!r}: expected one of {', '.join(_READERS)}.")
        first = files[0] if files else None
        file = _READERS[suffix](path, first.schema if first else None)
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
