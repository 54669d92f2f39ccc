"""Streams of tables: Parquet, Arrow and CSV files, one or many."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import _checks
from .runs import BLOCK_ROWS, RUNS_OF_BLOCK, RunStream, Span, in_order

# Runs are short, for neighbours in files are often alike, but no more than so many, unless they were longer
# than so many rows. And bytes of the pieces that are open at once.
RUNS, RUN_ROWS, OPEN_BYTES = 2**17, 2**12, 2**27

_ENDINGS = {
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), "Arrow"),
    ".csv": "CSV",
}


class _File:
    """A file of a table: its columns, and its pieces with their sizes; ``read(piece, columns)`` gives one.

    Parameters
    ----------
    path : str
    like : pyarrow.Schema, optional
        Of the first of several files.
    """

    def __init__(self, path: str, like: Any = None) -> None:
        self.path = path
        self.schema: Any
        self.piece_rows: list[int] = []
        with self.refusing():
            self._look(like)

    def _look(self, like: Any) -> None:
        raise NotImplementedError

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        """Some columns of a piece as an Arrow table, text of some of them as numbers of a dictionary."""
        raise NotImplementedError

    kind: str

    @contextlib.contextmanager
    def refusing(self) -> Generator[None]:
        """Say in a sentence what is wrong with a file."""
        pyarrow = _checks.require("pyarrow", "tables")
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {self.path!r}.") from None
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            message = f"{self.path!r} is cut short, damaged or no {self.kind} file: {reason}."
            raise ValueError(message) from error

    def check_rows(self, piece: int, table: Any) -> Any:
        """The table, if it is as long as it was."""
        if table.num_rows != self.piece_rows[piece]:
            raise ValueError(f"{self.path!r} has changed: it had other rows when the stream was made.")
        return table


class _ParquetFile(_File):
    """By row groups."""

    kind = "Parquet"

    def _look(self, like: Any) -> None:
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


class _ArrowFile(_File):
    """By record batches."""

    kind = "Arrow"

    def _look(self, like: Any) -> None:
        pyarrow = _checks.require("pyarrow", "tables")
        _checks.require("pyarrow.ipc", "tables")
        with pyarrow.OSFile(self.path) as source:
            self.schema = pyarrow.ipc.open_file(source).schema
        # How long batches are stands with each of them; a column is read to know.
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


class _CsvFile(_File):
    """As a whole."""

    kind = "CSV"

    def _look(self, like: Any) -> None:
        csv = _checks.require("pyarrow.csv", "tables")
        types = None if like is None else dict(zip(like.names, like.types, strict=True))
        self._options = csv.ConvertOptions(column_types=types)
        n_rows = 0
        with csv.open_csv(self.path, convert_options=self._options) as batches:
            self.schema = batches.schema
            for batch in batches:
                n_rows += batch.num_rows
        self.piece_rows = [n_rows] if n_rows else []
        # As the first block decided: another would mean other features.
        types = dict(zip(self.schema.names, self.schema.types, strict=True))
        self._options = csv.ConvertOptions(column_types=types)

    def read(self, piece: int, columns: list[str], as_codes: list[str]) -> Any:
        csv = _checks.require("pyarrow.csv", "tables")
        with self.refusing():
            table = csv.read_csv(self.path, convert_options=self._options).select(columns)
        return _as_codes(self.check_rows(piece, table), as_codes)


_FILES: dict[str, type[_File]] = {kind.kind: kind for kind in (_ParquetFile, _ArrowFile, _CsvFile)}


def _as_codes(table: Any, columns: list[str]) -> Any:
    """A table whose text is numbers of a dictionary in these columns, of the same types in all pieces."""
    pyarrow = _checks.require("pyarrow", "tables")
    codes = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    for index, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
        wanted = codes if name in columns else pyarrow.string()
        if _is_text(kind) and kind != wanted:
            column = table.column(index).cast(pyarrow.string())
            table = table.set_column(index, name, column.dictionary_encode() if name in columns else column)
    return table


def _find_files(source: Any) -> list[str]:
    """The files of a table: one, those of a folder and below it, several, or those of a pyarrow data set."""
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
        if file.suffix.lower() in _ENDINGS and file.is_file() and not file.name.startswith((".", "_"))
    ]
    if not found:
        raise ValueError(f"the folder {str(path)!r} holds no file with one of {', '.join(_ENDINGS)}.")
    return [str(file) for file in found]


def _open_files(source: Any) -> list[_File]:
    files: list[_File] = []
    for path in _find_files(source):
        suffix = Path(path).suffix.lower()
        if suffix not in _ENDINGS:
            raise ValueError(f"{path!r} has the ending {suffix!r}: expected one of {', '.join(_ENDINGS)}.")
        first = files[0] if files else None
        file = _FILES[_ENDINGS[suffix]](path, first.schema if first else None)
        if first:
            _compare(first, file)
        files.append(file)
    return files


def _compare(first: _File, file: _File) -> None:
    """Refuse a file whose columns are not those of the first."""
    types = dict(zip(first.schema.names, first.schema.types, strict=True))
    others = dict(zip(file.schema.names, file.schema.types, strict=True))
    for name in types.keys() ^ others.keys():
        has, lacks = (first, file) if name in types else (file, first)
        raise ValueError(f"{has.path!r} has a column {name!r}, but {lacks.path!r} has none of that name.")
    for name, kind in types.items():
        if _is_text(kind) != _is_text(others[name]) or not (_is_text(kind) or kind == others[name]):
            raise ValueError(
                f"column {name!r} is {kind} in {first.path!r}, but {others[name]} in {file.path!r}: expected "
                "the same type in all files."
            )


def _is_text(kind: Any) -> bool:
    return str(getattr(kind, "value_type", kind)) in ("string", "large_string", "string_view")


class TableStream(RunStream):
    """Rows of Parquet, Arrow (Feather) or CSV files, one or many, that need not fit into memory.

    Row groups (of Arrow files record batches, of CSV whole files) are decoded as their turn comes. Several
    are open at once, and blocks are gathered from all of them.

    Parameters
    ----------
    source : path, folder, sequence of paths or pyarrow.dataset.FileSystemDataset
        Of a folder all files in and below it, in the order of their names; all must have the same columns.
    target : str
        The column that is to be predicted.
    columns : sequence of str, optional
        Those to predict from; by default all others.
    sample_weight : str, optional
        A column with weights of the rows.
    encoder : Encoder or callable, optional
        Fitted, such as a TableEncoder: gives features of a data frame, in which text may be categories. By
        default all columns must be numbers, which are the features.
    target_encoder : Target, optional
        Fitted: encodes the target; by default it must be numbers.
    block_rows : int, default=131072
        About how many rows are shuffled and encoded at once.
    n_open : int, optional
        How many row groups are open at once: by default what 128 MiB hold once decoded, and at least 2. The
        more, the better rows of different places mix, which matters where files are sorted.
    dtype : {"float32", "float64"}, default="float32"
        Of the features where there is no encoder.

    Raises
    ------
    ValueError
        If a file is damaged, columns differ, there is no such column, or there are no rows.
    FileNotFoundError
        If there is no such file.
    ImportError
        If pyarrow or pandas is not installed.

    Examples
    --------
    >>> import pathlib, tempfile, pyarrow.parquet
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> x = np.random.default_rng(0).standard_normal((2, 500))
    >>> for number, part in enumerate(x):
    ...     table = pyarrow.table({"a": part, "b": -part, "far": (abs(part) > 1).astype(int)})
    ...     pyarrow.parquet.write_table(table, folder / f"part-{number}.parquet")
    >>> stream = TableStream(folder, "far")
    >>> stream.n_rows, stream.n_features, stream.count_labels().sum()
    (1000, 2, np.int64(1000))
    >>> rows, y = stream.sample(100)
    >>> rows.columns.tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        source: Any,
        target: str,
        *,
        columns: Sequence[str] | None = None,
        sample_weight: str | None = None,
        encoder: Any = None,
        target_encoder: Any = None,
        block_rows: int = BLOCK_ROWS,
        n_open: int | None = None,
        dtype: Any = "float32",
    ) -> None:
        _checks.require("pandas", "tables")
        _checks.require("pyarrow", "tables")
        self.dtype = _checks.check_dtype(dtype)
        _checks.check_count("block_rows", block_rows)
        files = _open_files(source)
        names = files[0].schema.names
        _checks.check_name("target", target, names)
        others = [name for name in names if name not in (target, sample_weight)]
        for name in columns or ():
            _checks.check_name("a column of columns", name, others)
        if sample_weight is not None:
            _checks.check_name("sample_weight", sample_weight, names)
        self._columns = others if columns is None else list(columns)
        if not self._columns:
            raise ValueError(f"{files[0].path!r} has no columns beside the target {target!r}.")
        self._target, self._weight = target, sample_weight
        self._files = files
        self._places = [(file, piece) for file in files for piece in range(len(file.piece_rows))]
        if not self._places:
            raise ValueError(f"{files[0].path!r} has no rows: expected at least one.")
        piece_rows = [file.piece_rows[piece] for file, piece in self._places]
        run_rows = max(1, min(RUN_ROWS, sum(piece_rows) // RUNS, -(-block_rows // RUNS_OF_BLOCK)))
        self._as_codes, as_fit = self._look()
        n_open = as_fit if n_open is None else _checks.check_count("n_open", n_open)
        self._lay_out(piece_rows, run_rows, block_rows, n_open)
        self.encoder, self.target_encoder = encoder, target_encoder
        self.n_features = len(self._columns) if encoder is None else self._count_features()

    def _look(self) -> tuple[list[str], int]:
        """By a first piece: which columns are read as numbers of a dictionary, and how many pieces are open.

        Text that says the same again and again is so read several times faster.
        """
        file, piece = self._places[0]
        text = [name for name in self._wanted() if _is_text(file.schema.field(name).type)]
        table = file.read(piece, self._wanted(), text)
        codes = [
            name
            for name in text
            if len(table.column(name).chunk(0).dictionary) <= max(16, table.num_rows // 4)
        ]
        most = max(max(other.piece_rows, default=0) for other in self._files)
        return codes, max(2, int(OPEN_BYTES * table.num_rows / (max(1, table.nbytes) * most)))

    def _where(self, row: int) -> str:
        if len(self._files) == 1:
            return str(row)
        file, _ = self._places[int(np.searchsorted(self._piece_starts, row, "right")) - 1]
        first = self._places.index((file, 0))
        return f"{row - int(self._piece_starts[first])} of {Path(file.path).name!r}"

    _by_piece = True

    @contextlib.contextmanager
    def _open(self) -> Generator[dict[int, Any]]:
        yield {}  # the pieces that are open

    def _read(self, source: dict[int, Any], spans: list[Span], columns: list[str]) -> Any:
        """Rows of some columns, in the order of the spans, as an Arrow table."""
        pyarrow = _checks.require("pyarrow", "tables")
        parts = []
        for span in spans:
            if span.piece not in source:
                file, piece = self._places[span.piece]
                codes = [name for name in self._as_codes if name in columns]
                source[span.piece] = file.read(piece, columns, codes).combine_chunks()
            rows, table = span.rows - self._piece_starts[span.piece], source[span.piece]
            parts.append(table.select(columns).take(rows))
            if span.is_last:
                del source[span.piece]
        table = pyarrow.concat_tables(parts, promote_options="permissive")
        return table.unify_dictionaries() if self._as_codes else table

    def _wanted(self) -> list[str]:
        weight = [] if self._weight is None else [self._weight]
        return [*self._columns, self._target, *weight]

    def _frame(self, table: Any, names: list[str]) -> Any:
        return table.select(names).to_pandas(ignore_metadata=True, date_as_object=False, split_blocks=True)

    def _values(self, table: Any, name: str, spans: list[Span]) -> np.ndarray:
        """A column as an array, of numbers or of objects, none of them missing."""
        column = table.column(name)
        if column.null_count:
            wrong = column.is_null().to_numpy()
            self._refuse_rows(f"column {name!r}", "is missing", wrong, spans, None)
        if str(column.type).startswith("dictionary"):
            column = column.cast(column.type.value_type)
        return column.to_numpy()

    def _numbers(self, table: Any, name: str) -> np.ndarray:
        """A column as numbers, NaN where missing."""
        from pyarrow import types

        column = table.column(name)
        if types.is_boolean(column.type):
            column = column.cast("uint8")
        if not (types.is_integer(column.type) or types.is_floating(column.type)):
            raise ValueError(
                f"column {name!r} holds {column.type}, which is no number: give the stream an encoder."
            )
        return column.to_numpy()  # whole numbers, some of them missing, become float64

    def _raw(self, source, spans):
        table = self._read(source, spans, self._wanted())
        return self._frame(table, self._columns), self._values(table, self._target, spans)

    def _labels(self, source, spans):
        return self._labels_of(self._read(source, spans, [self._target]), spans)

    def _labels_of(self, table: Any, spans: list[Span]) -> np.ndarray:
        y = self._values(table, self._target, spans)
        if self.target_encoder is not None:
            return self.target_encoder.encode(y)
        if y.dtype.kind not in "iufb":
            raise ValueError(
                f"column {self._target!r} holds {y[0]!r}, which is no number: give the stream a "
                "target_encoder."
            )
        return y

    def _block(self, source, spans, order):
        table = self._read(source, spans, self._wanted())
        if self.encoder is None:
            x = np.empty((table.num_rows, len(self._columns)), self.dtype)
            for k, name in enumerate(self._columns):
                values = self._numbers(table, name)
                with np.errstate(over="ignore"):
                    x[:, k] = in_order(values, order)
        else:
            frame = self._frame(table, self._columns)
            x = getattr(self.encoder, "transform", self.encoder)(frame)
            if not _checks.is_sparse(x):
                x = in_order(np.asarray(x), order)
            elif order is not None:
                x = x[order]
        block = [x, in_order(self._labels_of(table, spans), order)]
        if self._weight is not None:
            block.append(in_order(self._values(table, self._weight, spans), order))
        for name, part in zip(("x", f"column {self._target!r}", "weights"), block, strict=False):
            if not _checks.is_sparse(part):  # else the trainer looks
                self._refuse_non_finite(name, part, spans, order)
        return tuple(block)

    def fingerprint(self) -> str:  # noqa: D102
        files = [[Path(file.path).name, file.piece_rows] for file in self._files]
        told = [files, self._columns, self._target, self._weight]
        return f"{super().fingerprint()} {zlib.crc32(json.dumps(told).encode()):08x}"
