"""Tables of other libraries as data frames."""

from __future__ import annotations

import io

import numpy as np
import pytest

from data.tables.examples import CSV, check_people
from fastnn.data import TableEncoder, read_table

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


def test_tables_of_other_libraries():
    frame = read_table(io.StringIO(CSV))
    check_people(read_table(frame))
    check_people(read_table(pa.Table.from_pandas(frame)))
    check_people(read_table(pa.RecordBatch.from_pandas(frame)))
    check_people(read_table(frame.to_dict("list")))
    check_people(read_table(frame.to_dict("records")))
    structured = np.array([(1, 2.5), (3, 4.5)], [("a", int), ("b", float)])
    assert read_table(structured)["b"].tolist() == [2.5, 4.5]
    assert read_table(np.eye(3)).columns.tolist() == ["x0", "x1", "x2"]
    assert read_table({"a": 3, "b": "x"}).shape == (1, 2)
    assert read_table(frame.iloc[1])["city"].tolist() == ["Rome"]


def test_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"age": [31, 54, 8], "city": ["Bern", "Rome", "Bern"], "price": [1.5, None, 2]})
    check_people(read_table(frame))
    check_people(read_table(frame.lazy()))
    categories = frame.with_columns(polars.col("city").cast(polars.Categorical))
    assert isinstance(read_table(categories)["city"].dtype, pd.CategoricalDtype)
    twin = TableEncoder().fit(frame.to_pandas())
    assert TableEncoder().fit(categories).to_dict() == twin.to_dict()


def test_integers_beyond_floats_stay_exact():
    big = [2**53 + 1, None, 2**53 + 3]
    tables = [{"id": big}, [{"id": value} for value in big]]
    tables += [pa.table({"id": pa.array(big, kind)}) for kind in (pa.int64(), pa.uint64())]
    for table in tables:
        frame = read_table(table)
        assert [frame["id"].iloc[i] for i in (0, 2)] == [big[0], big[2]]
        assert frame["id"].isna().tolist() == [False, True, False]
    assert read_table([{"a": 1, "b": 1.5}, {"a": None}])["a"].dtype == np.float64
