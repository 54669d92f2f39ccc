"""Tables as data sets: the target taken apart."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest

from data.tables.examples import CSV
from fastnn.data import Reading, read_dataset, read_table

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def test_dataset(tmp_path):
    (tmp_path / "flats.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    data = read_dataset(tmp_path / "flats.csv.gz", "city", drop=["price"])
    assert (data.name, data.kind, data.target, data.n) == ("flats", "table", "city", 3)
    assert list(data.rows.columns) == ["age"]
    assert data.y.tolist() == ["Bern", "Rome", "Bern"]
    frame = read_table(io.StringIO(CSV)).fillna(0)
    several = read_dataset(frame, "age, price")
    assert several.target == "age, price"
    np.testing.assert_array_equal(several.y, [[31, 1.5], [54, 0], [8, 2]])
    assert list(read_dataset(frame.rename(columns={"city": "a,b"}), "a,b").rows.columns) == ["age", "price"]


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("Int64", "i"), ("boolean", "b"), ("Float32", "f"), ("category", "i"), ("string", "O")],
)
def test_dtype_of_the_target(dtype, kind):
    frame = pd.DataFrame({"x": [1, 2, 3], "y": pd.Series([0, 1, 0]).astype(dtype)})
    assert read_dataset(frame, "y").y.dtype.kind == kind


def test_missing_targets():
    with pytest.raises(ValueError, match=r"'price' is missing in 1 of 3 rows: .*drop_missing=True"):
        read_dataset(io.StringIO(CSV), "price")
    data = read_dataset(io.StringIO(CSV), "price", drop_missing=True)
    assert data.rows["age"].tolist() == [31, 8]
    assert data.y.tolist() == [1.5, 2]
    with pytest.raises(ValueError, match="missing in every row"):
        read_dataset({"a": [1, 2], "y": [None, None]}, "y", drop_missing=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "prize"}, "Did you mean 'price'"),
        ({"target": None}, "say which column .* age, city, price"),
        ({"target": "age,prize"}, "got 'prize'.* Did you mean 'price'"),
        ({"target": "age", "drop": ["citi"]}, "drop must be one of .* Did you mean 'city'"),
        ({"target": "age", "drop": ["age"]}, "is the target"),
        ({"target": "age", "drop": ["city", "price"]}, "no column left"),
    ],
)
def test_bad_targets(options, message):
    with pytest.raises(ValueError, match=message):
        read_dataset(io.StringIO(CSV), **options)


def test_one_column():
    with pytest.raises(ValueError, match="one column only"):
        read_dataset(io.StringIO("a\n1\n2\n"), "a")


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d", None])
def test_dates_as_labels_are_pointed_out(form):
    days = pd.date_range("2024-01-01", periods=30)
    table = {"due": days if form is None else days.strftime(form), "n": range(30)}
    (note,) = read_dataset(pd.DataFrame(table), "due").notes
    assert note.startswith("the target 'due' holds dates, and each is a class of its own")
    assert read_dataset({"due": [f"after {i}" for i in range(30)], "n": range(30)}, "due").notes == []


def test_a_wrong_delimiter_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match=r"got 'b'\. By the delimiter ';', .*t\.csv' has this one column\."):
        read_dataset(tmp_path / "t.csv", "b", reading=Reading(delimiter=";"))
