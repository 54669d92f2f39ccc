"""Files that several test files read, and a check that no thread is left."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from data.streams.examples import make_rows, make_table, write_table


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn-reader"]


@pytest.fixture
def npy(tmp_path):
    x, y = make_rows()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    return tmp_path / "x.npy", tmp_path / "y.npy"


@pytest.fixture
def arrow():
    pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    for module in ("parquet", "feather", "csv", "dataset"):
        pytest.importorskip(f"pyarrow.{module}")
    return pyarrow


@pytest.fixture
def folder(arrow, tmp_path):
    """Three Parquet files of 200 rows each, in a folder and one below it."""
    made = tmp_path / "table"
    (made / "more").mkdir(parents=True)
    for k, name in enumerate(("0.parquet", "1.parquet", "more/2.parquet")):
        write_table(make_table(arrow, 200 * k, 200 * (k + 1)), made / name)
    (made / "_SUCCESS").write_text("")
    return made
