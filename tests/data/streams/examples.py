"""Rows, trainers and streams that several test files use."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import EMA
from fastnn.data import ArrayStream, Stream, TableStream

N_ROWS, N_FEATURES = 1000, 5


def make_rows(n_rows=N_ROWS, kind="class"):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n_rows, N_FEATURES)).astype("f4")
    if kind == "class":
        return x, (x[:, 0] + 0.3 * rng.standard_normal(n_rows) > 0.5).astype(np.int64)
    return x, (x @ rng.standard_normal((N_FEATURES, 2)) + 3).astype("f4")


def make_trainer(n_out=2, **options):
    loss = {2: "cross_entropy", 1: "binary_cross_entropy"}.get(n_out, "mse")
    if "loss" in options:
        loss = options.pop("loss")
    dtype = options.pop("dtype", "float32")
    net = fastnn.MLP([N_FEATURES, 8, n_out], dropout=0.1, dtype=dtype, seed=0)
    return fastnn.Trainer(net, loss=loss, **{"batch_size": 16, "seed": 3} | options)


def figures(trainer):
    table = trainer.history.to_dict()
    return {name: column for name, column in table.items() if name not in ("seconds", "samples_per_second")}


def train(stream, epochs=4, n_out=2, **options):
    """A trainer that has all there is to remember."""
    loss = {} if n_out == 2 else {"loss": "mse"}
    trainer = make_trainer(2, average=EMA(0.9), accumulate=2, optimizer="nadam", n_threads=1, **loss)
    trainer.fit(stream, epochs=epochs, verbose=0, **options)
    return trainer


class Counting(Stream):
    """Rows that are counted; blocks of as many batches as there are to be."""

    n_rows, n_features = 100, N_FEATURES

    def __init__(self, sizes=(32, 48, 20)):
        self.sizes = sizes

    def blocks(self, seed, first=0, multiple=1):
        begin = 0
        for size in self.sizes:
            if begin >= first:
                rows = np.arange(begin, begin + size)
                yield np.repeat(rows[:, np.newaxis] / 100, N_FEATURES, axis=1), rows % 2
            begin += size


def numbered(n_rows, **options):
    """A stream whose rows are their numbers."""
    rows = np.arange(n_rows)
    return ArrayStream(rows[:, np.newaxis], rows, dtype="float64", **options)


def numbers(blocks):
    return [y for _, y, *_ in blocks]


class Plain:
    """An encoder of the tests: a number, and a category by its letter."""

    kind = "table"
    feature_names = ("number", "letter")

    def transform(self, frame):
        letters = frame["letter"].astype(str).map({"a": 0.0, "b": 1.0, "c": 2.0}).fillna(-1.0)
        return np.column_stack([frame["number"].fillna(-1.0), letters]).astype("f4")

    def to_dict(self):
        return {"kind": "table"}


class Words:
    """A target of the tests."""

    def encode(self, y):
        return np.array([{"no": 0, "yes": 1}[word] for word in y])


def make_table(pyarrow, start, stop):
    rows = np.arange(start, stop)
    letters = [None if k % 11 == 0 else "abc"[k % 3] for k in rows]
    return pyarrow.table(
        {
            "number": rows.astype("f8"),
            "letter": letters,
            "unique": [f"row {k}" for k in rows],
            "label": np.where(rows % 4 == 0, "yes", "no"),
            "weight": rows / 100,
        }
    )


def write_table(table, path, rows_of_piece=60):
    pyarrow = pytest.importorskip("pyarrow")
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=rows_of_piece)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path, chunksize=rows_of_piece)
    else:
        pyarrow.csv.write_csv(table, path)


def labelled(source, **options):
    options = {"encoder": Plain(), "target_encoder": Words(), "block_rows": 64} | options
    return TableStream(source, "label", **options)
