"""Streams of tables: Parquet, Arrow and CSV files, one or many."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ... import _checks
from ..tables.frames import from_arrow
from ..tables.reading import Reading
from .arrays import store_rows
from .order import Runs, Span
from .pieces import is_text, open_files
from .runs import BLOCK_ROWS, RUNS_OF_BLOCK, RunStream, in_order

# Runs are short, for neighbours in files are often alike: there are about RUNS of them, and none has more
# than RUN_ROWS rows. And bytes of the pieces that are open at once.
RUNS, RUN_ROWS, OPEN_BYTES = 2**17, 2**12, 2**27


class TableStream(RunStream):
    """Rows of Parquet, Arrow (Feather) or CSV files, one or many, that need not fit into memory.

    Row groups (record batches of Arrow files, whole CSV files) are decoded when their turn comes. Several
    are open at once, and blocks are gathered from all of them.

    Parameters
    ----------
    source : path, folder, sequence of paths or pyarrow.dataset.FileSystemDataset
        A folder stands for all files in and below it, in the order of their names. All files must have the
        same columns.
    target : str
        The column that is predicted.
    columns : sequence of str, optional
        Columns to predict from; by default all others.
    sample_weight : str, optional
        A column with weights of the rows.
    encoder : Encoder or callable, optional
        Fitted, such as a TableEncoder: returns features of a data frame, in which text may be categories. By
        default all columns must be numbers, which are the features.
    target_encoder : Target, optional
        Fitted: encodes the target; by default it must be numbers.
    block_rows : int, default=131072
        About how many rows are shuffled and encoded at once.
    n_open : int, optional
        How many row groups are open at once: by default what 128 MiB hold once decoded, and at least 2. The
        more there are, the better rows of different places mix, which matters where files are sorted.
    dtype : {"float32", "float64"}, default="float32"
        Data type of the features if there is no encoder.
    reading : Reading, optional
        How CSV files are written, where that is not detected as it should be.

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
        dtype: DTypeLike = "float32",
        reading: Reading | None = None,
    ) -> None:
        _checks.require("pandas", "tables")
        _checks.require("pyarrow", "tables")
        self.dtype = _checks.check_dtype(dtype)
        _checks.check_count("block_rows", block_rows)
        files = open_files(source, reading)
        names = files[0].schema.names
        _checks.check_name("target", target, names)
        if sample_weight is not None:
            _checks.check_name("sample_weight", sample_weight, names)
        others = [name for name in names if name not in (target, sample_weight)]
        columns = others if columns is None else _checks.check_items("columns", columns, "names")
        for name in columns:
            _checks.check_name("a column of columns", name, others)
        self._columns = columns
        if not self._columns:
            raise ValueError(f"{files[0].path!r} has no columns besides the target {target!r}.")
        self._target, self._weight = target, sample_weight
        self._files = files
        self._pieces = [(file, piece) for file in files for piece in range(len(file.piece_rows))]
        if not self._pieces:
            raise ValueError(f"{files[0].path!r} has no rows: expected at least one.")
        piece_rows = [file.piece_rows[piece] for file, piece in self._pieces]
        run_rows = max(1, min(RUN_ROWS, sum(piece_rows) // RUNS, -(-block_rows // RUNS_OF_BLOCK)))
        self._as_codes, n_fitting = self._survey()
        n_open = n_fitting if n_open is None else _checks.check_count("n_open", n_open)
        runs = Runs.cut(piece_rows, run_rows, n_open, spans_are_pieces=True)
        super().__init__(runs, block_rows, encoder, target_encoder)
        self.n_features = len(self._columns) if encoder is None else self._count_features()

    store = store_rows

    def _survey(self) -> tuple[list[str], int]:
        """Read a first piece.

        Returns
        -------
        as_codes : list of str
            Columns of text that repeats itself: they are read as codes, which is several times faster.
        n_open : int
            How many pieces fit into OPEN_BYTES, at least 2.
        """
        file, piece = self._pieces[0]
        text = [name for name in self._all_columns() if is_text(file.schema.field(name).type)]
        table = file.read(piece, self._all_columns(), text)
        as_codes = [
            name
            for name in text
            if len(table.column(name).chunk(0).dictionary) <= max(16, table.num_rows // 4)
        ]
        most = max(max(other.piece_rows, default=0) for other in self._files)
        return as_codes, max(2, int(OPEN_BYTES * table.num_rows / (max(1, table.nbytes) * most)))

    def _describe_row(self, row: int) -> str:
        if len(self._files) == 1:
            return str(row)
        starts = self._runs.piece_starts
        file, _ = self._pieces[int(np.searchsorted(starts, row, "right")) - 1]
        first = self._pieces.index((file, 0))
        return f"{row - int(starts[first])} of {Path(file.path).name!r}"

    @contextlib.contextmanager
    def _open(self) -> Generator[dict[int, Any]]:
        yield {}  # the pieces that are open

    def _read(self, source: dict[int, Any], spans: list[Span], columns: list[str]) -> Any:
        """Read rows of some columns, in the order of the spans, as an Arrow table."""
        pyarrow = _checks.require("pyarrow", "tables")
        parts = []
        for span in spans:
            if span.piece not in source:
                file, piece = self._pieces[span.piece]
                codes = [name for name in self._as_codes if name in columns]
                source[span.piece] = file.read(piece, columns, codes).combine_chunks()
            rows, table = span.rows - self._runs.piece_starts[span.piece], source[span.piece]
            parts.append(table.select(columns).take(rows))
            if span.is_last:
                del source[span.piece]
        table = pyarrow.concat_tables(parts, promote_options="permissive")
        return table.unify_dictionaries() if self._as_codes else table

    def _all_columns(self) -> list[str]:
        weight = [] if self._weight is None else [self._weight]
        return [*self._columns, self._target, *weight]

    def _features(self, table: Any) -> Any:
        """Return the columns to predict from as a data frame."""
        return from_arrow(table.select(self._columns))

    def _values(self, table: Any, name: str, spans: list[Span]) -> np.ndarray:
        """Return a column as an array of numbers or objects, none of them missing."""
        column = table.column(name)
        if column.null_count:
            self._refuse_rows(f"column {name!r}", "is missing", column.is_null().to_numpy(), spans)
        if str(column.type).startswith("dictionary"):
            column = column.cast(column.type.value_type)
        return column.to_numpy()

    def _numbers(self, table: Any, name: str) -> np.ndarray:
        """Return a column as numbers, NaN where missing."""
        from pyarrow import types

        column = table.column(name)
        if types.is_boolean(column.type):
            column = column.cast("uint8")
        if not (types.is_integer(column.type) or types.is_floating(column.type)):
            raise ValueError(
                f"column {name!r} holds {column.type}, which is not a number: give the stream an encoder."
            )
        return column.to_numpy()  # integers, some of them missing, become float64

    def _read_raw(self, source: dict[int, Any], spans: list[Span]) -> tuple[Any, np.ndarray]:
        table = self._read(source, spans, self._all_columns())
        return self._features(table), self._values(table, self._target, spans)

    def _read_raw_labels(self, source: dict[int, Any], spans: list[Span]) -> np.ndarray:
        return self._values(self._read(source, spans, [self._target]), self._target, spans)

    def _encode_labels(self, y: np.ndarray) -> np.ndarray:
        if self.target_encoder is not None:
            return self.target_encoder.encode(y)
        if y.dtype.kind not in "iufb":
            raise ValueError(
                f"column {self._target!r} holds {y[0]!r}, which is not a number: give the stream a "
                "target_encoder."
            )
        return y

    def _block(self, source: dict[int, Any], spans: list[Span], order: np.ndarray | None) -> tuple[Any, ...]:
        table = self._read(source, spans, self._all_columns())
        if self.encoder is None:
            x: Any = np.empty((table.num_rows, len(self._columns)), self.dtype)
            for k, name in enumerate(self._columns):
                values = self._numbers(table, name)
                with np.errstate(over="ignore"):
                    x[:, k] = in_order(values, order)
        else:
            x = getattr(self.encoder, "transform", self.encoder)(self._features(table))
            if not _checks.is_sparse(x):
                x = in_order(np.asarray(x), order)
            elif order is not None:
                x = x[order]
        block = [x, in_order(self._encode_labels(self._values(table, self._target, spans)), order)]
        if self._weight is not None:
            block.append(in_order(self._values(table, self._weight, spans), order))
        self._check_block(block, ("x", f"column {self._target!r}", "weights"), spans, order)
        return tuple(block)

    def fingerprint(self) -> str:
        """Identify this data for checkpoints, also by the names of files and columns."""
        files = [[Path(file.path).name, file.piece_rows] for file in self._files]
        facts = [files, self._columns, self._target, self._weight]
        return f"{super().fingerprint()} {zlib.crc32(json.dumps(facts).encode()):08x}"
