"""Tables: how files are read, what columns are taken for, and what becomes of their values."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import sys

import numpy as np
import pytest

import fastnn
from fastnn.data import TableEncoder, encoder_from_dict, leaks, read_dataset, read_table
from fastnn.data.tables.columns import center_and_scale, smooth_clip

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
pytest.importorskip("sklearn")

N = 200
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "some",
    "lazy",
    "dog",
    "near",
    "old",
    "river",
    "bank",
]


def people(n=N, seed=0):
    """A table with a column of each kind."""
    rng = np.random.default_rng(seed)
    jobs = [f"job {i}" for i in range(60)]
    return pd.DataFrame(
        {
            "id": [f"p-{seed}-{i:05d}" for i in range(n)],
            "row": np.arange(n) + 17,
            "age": rng.integers(18, 90, n),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n)),
            "height": [f" {h:.1f}" if h > 1.6 else "N/A" for h in rng.normal(1.75, 0.1, n)],
            "member": rng.random(n) < 0.4,
            "city": rng.choice(["Rome", "Bern", None], n),
            "job": rng.choice(jobs, n),
            "joined": (pd.Timestamp("2019-03-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")).strftime(
                "%Y-%m-%d"
            ),
            "seen": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), "s"),
            "note": [" ".join(rng.choice(WORDS, 6)) for _ in range(n)],
            "empty": [None] * n,
            "same": ["x"] * n,
        }
    )


def without_text(**options):
    return TableEncoder(columns={"note": "ignore"}, **options)


def column(encoder, name):
    return next(c for c in encoder.to_dict()["columns"] if c["name"] == name)


def dense(x):
    return x.toarray() if hasattr(x, "toarray") else x


def again(encoder):
    """Through its JSON."""
    return encoder_from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))


# --- reading ----------------------------------------------------------------------------------------

CSV = "age,city,price\n31,Bern,1.5\n54,Rome,\n8,Bern,2\n"


def check_people(frame):
    assert list(frame.columns) == ["age", "city", "price"]
    assert frame["age"].tolist() == [31, 54, 8]
    assert frame["city"].tolist() == ["Bern", "Rome", "Bern"]
    np.testing.assert_array_equal(frame["price"].to_numpy(np.float64), [1.5, np.nan, 2])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.csv.gz", "T.CSV"])
def test_text_files(tmp_path, name, delimiter):
    content = CSV.replace(",", delimiter).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    check_people(read_table(tmp_path / name))


def test_files_of_other_kinds(tmp_path):
    pytest.importorskip("openpyxl")
    frame = read_table(io.StringIO(CSV))
    check_people(frame)
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_feather(tmp_path / "t.feather")
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "t.json", orient="records")
    with pa.ipc.new_stream(tmp_path / "t.arrow", (table := pa.Table.from_pandas(frame)).schema) as file:
        file.write_table(table)
    for ending in ("tsv", "parquet", "feather", "xlsx", "jsonl", "json", "arrow"):
        check_people(read_table(str(tmp_path / f"t.{ending}")))


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CSV.encode())))
    check_people(read_table("-"))


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


def test_what_text_reads_as():
    text = 'n;x;comma;zip;yes;one;quoted\n1;1.5;1,5;00501;true;1;"a;b"\n2;1e3;2;10001;FALSE;true;"c\nd"\n'
    frame = read_table(io.StringIO(text))
    assert frame["n"].dtype == np.int64
    assert frame["x"].tolist() == [1.5, 1000]
    assert frame["comma"].tolist() == [1.5, 2]
    assert frame["zip"].tolist() == ["00501", "10001"]
    assert frame["yes"].tolist() == [True, False]
    assert frame["one"].tolist() == ["1", "true"]
    assert frame["quoted"].tolist() == ["a;b", "c\nd"]


def test_types_are_of_all_rows():
    """What comes after a million numbers still counts."""
    frame = read_table(io.StringIO("a,b\n" + "1,2\n" * 200_000 + "x,2.5\n"))
    assert frame["a"].iloc[-1] == "x"
    assert frame["b"].iloc[-1] == 2.5


def test_lines_within_values_where_blocks_meet(monkeypatch):
    monkeypatch.setattr("fastnn.data.tables.files._BLOCK", 100)
    rows = [f'{i},"line {i}\nand\nanother"' for i in range(50)]
    frame = read_table(io.StringIO("\n".join(["a,b", *rows])))
    assert frame["b"].tolist() == [f"line {i}\nand\nanother" for i in range(50)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n1,2\n", "ragged: the header has 2 fields, but line 3 has 3"),
        (b'a,b\n"1\n1",2\n\n5\n', "ragged: the header has 2 fields, but line 5 has 1"),
        (b"a,b\n1,2\n\xe9,4\n", "not UTF-8: line 3 has the byte 0xe9"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\n", r"no rows below its header \(a, b\)"),
        (b"a,b, a\n1,2,3\n", "column 'a' more than once"),
    ],
)
def test_bad_text(tmp_path, content, message):
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(tmp_path / "bad.csv")
    assert "bad.csv" in str(caught.value)


@pytest.mark.parametrize("ending", ["parquet", "feather", "xlsx", "csv.gz", "json"])
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_files_cut_short(tmp_path, ending, share):
    pytest.importorskip("openpyxl")
    path = tmp_path / f"t.{ending}"
    frame = people(50).drop(columns="empty")
    write = {"parquet": "to_parquet", "feather": "to_feather", "xlsx": "to_excel", "csv.gz": "to_csv"}
    options = {"orient": "records", "date_format": "iso"} if ending == "json" else {}
    getattr(frame, write.get(ending, "to_json"))(path, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{ending}' (is (cut short|empty|no JSON)|holds other JSON)"):
        read_table(path)


def test_files_whose_text_is_damaged(tmp_path):
    """The file is whole, but a word in it is no UTF-8."""
    offsets, words = pa.array([0, 2, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ab\xe9c")
    table = pa.table({"x": [1, 2], "c": pa.Array.from_buffers(pa.string(), 2, [None, offsets, words])})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "t.feather", table.schema) as file:
        file.write_table(table)
    for ending in ("parquet", "feather"):
        with pytest.raises(ValueError, match=r"damaged or no .* file: .*UTF8"):
            read_table(tmp_path / f"t.{ending}")


def test_bad_sources(tmp_path, monkeypatch):
    (tmp_path / "flowers.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*flowers\.csv"):
        read_table(tmp_path / "flower.csv")
    (tmp_path / "old.xls").touch()
    with pytest.raises(ValueError, match=r"ending '.xls': expected .* Save it as .xlsx"):
        read_table(tmp_path / "old.xls")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="is a folder without a table"):
        read_table(tmp_path / "folder")
    (tmp_path / "tree.json").write_text('{"a": [1, 2]}')
    with pytest.raises(ValueError, match="other JSON than a list of objects"):
        read_table(tmp_path / "tree.json")
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2\n')
    with pytest.raises(ValueError, match=r"no JSON: .* in line 2"):
        read_table(tmp_path / "rows.jsonl")
    for source in (np.zeros(3), 7, [1, 2]):
        with pytest.raises(TypeError, match="a table must be"):
            read_table(source)
    (tmp_path / "t.xlsx").touch()
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn\[excel\]"'):
        read_table(tmp_path / "t.xlsx")


# --- data sets --------------------------------------------------------------------------------------


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


# --- what columns are taken for ---------------------------------------------------------------------


def test_kinds():
    encoder = TableEncoder().fit(people())
    assert {c["column"]: c["kind"] for c in encoder.describe()} == {
        "id": "ignore",
        "row": "ignore",
        "age": "number",
        "income": "number",
        "height": "number",
        "member": "number",
        "city": "category",
        "job": "category",
        "joined": "date",
        "seen": "date",
        "note": "text",
        "empty": "ignore",
        "same": "ignore",
    }
    notes = "\n".join(encoder.notes())
    assert "'id' is left out: it has a value of its own in nearly every row" in notes
    assert "'row' is left out: it numbers the rows" in notes
    assert "'empty' is left out: it has no values" in notes
    assert "'same' is left out: it says the same in every row" in notes
    assert column(encoder, "city")["categories"] == ["Bern", "Rome", None]
    assert sum(c["features"] for c in encoder.describe()) == len(encoder.feature_names)


def test_blank_text_is_no_value():
    encoder = TableEncoder().fit({"blank": ["", " "] * 10, "x": np.arange(20) % 7})
    assert encoder.notes() == ["the column 'blank' is left out: it has no values."]
    unknown = TableEncoder().fit({"word": ["unknown", "?"] * 10})
    assert unknown.feature_names == ["word=?", "word=unknown"]


def test_row_numbers_of_a_sample_have_gaps(rng):
    rows = np.sort(rng.permutation(500)[:350])
    encoder = TableEncoder().fit({"nr": rows, "x": rng.random(350), "passenger_id": rows**2, "sq": rows**2})
    assert [c["kind"] for c in encoder.describe()] == ["ignore", "number", "ignore", "number"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5", "?", "N/A", ""], "number"),
        (["1", "2", "XL"], "category"),
        (["007", "012"], "category"),
        ([True, False, None], "number"),
        (["true", "False"], "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal(2)], "number"),
        ([datetime.timedelta(hours=1), datetime.timedelta(hours=2)], "number"),
        ([datetime.time(12, 30), datetime.time(1, 2)], "number"),
        ([datetime.date(2020, 1, 1), datetime.date(2021, 5, 6)], "date"),
        (["2020-01-05", "2021-11-02"], "date"),
        (["2020-01-05T10:00:00+02:00", "2021-11-02T10:00:00Z"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["05/06/2020", "25/06/2020"], "date"),
        (["Mar 1 2000", "Apr 2 2001", "unknown"], "date"),
        (["May", "June"], "category"),
        (["12:30", "13:40"], "category"),
        ([(1, 2), (3, 4)], "ignore"),
        ([b"a", b"b"], "ignore"),
        ([{"a": 1}, {"a": 2}], "ignore"),
        ([1, "a", True, None], "category"),
    ],
)
def test_kind_of_objects(values, kind):
    frame = pd.DataFrame(
        {"x": pd.Series(values * 30, dtype=object), "z": np.random.default_rng(0).random(30 * len(values))}
    )
    encoder = TableEncoder().fit(frame)
    assert column(encoder, "x")["kind"] == kind
    assert np.isfinite(encoder.transform(frame)).all()


def test_choices():
    frame = people()
    wanted = {
        "id": "category",
        "row": "number",
        "age": "one_hot",
        "city": "embedding",
        "job": "one_hot",
        "member": "category",
        "note": "ignore",
        "seen": "ignore",
    }
    encoder = TableEncoder(columns=wanted, embedding_width=3).fit(frame)
    assert column(encoder, "row")["kind"] == "number"
    assert column(encoder, "age")["encoding"] == "one_hot"
    assert column(encoder, "job")["encoding"] == "one_hot"
    assert column(encoder, "member")["categories"] == ["False", "True"]
    assert column(encoder, "city") | {"encoding": "embedding", "width": 3} == column(encoder, "city")
    assert len(column(encoder, "id")["categories"]) == N  # all are rare, but this is what was asked for
    assert list(encoder.embeddings.values()) == [(N + 1, 3), (3, 3)]
    for c in ("note", "seen"):
        assert column(encoder, c)["reason"] == "was to be left out"


def test_bad_choices():
    frame = people()
    for columns, message in [
        ({"agee": "number"}, "Did you mean 'age'"),
        ({"age": "nummer"}, "Did you mean 'number'"),
        ({"city": "number"}, "'city' has .* none of which is a number"),
        ({"city": "date"}, "'city' cannot be read as dates"),
        ({"job": "embedding"}, "'job' cannot be embedded beside free text"),
    ]:
        with pytest.raises(ValueError, match=message):
            TableEncoder(columns=columns).fit(frame)
    with pytest.raises(ValueError, match="no column is left to learn from: 'empty' has no values; 'same'"):
        TableEncoder().fit(frame[["empty", "same"]])
    with pytest.raises(ValueError, match="no rows to learn from"):
        TableEncoder().fit(frame.iloc[:0])
    with pytest.raises(ValueError, match="call fit first"):
        TableEncoder().transform(frame)


# --- features ---------------------------------------------------------------------------------------


def test_numbers_by_hand(dtype):
    x = np.array([1.0, 2.0, np.nan, 3.0, 4.0, 1000.0, np.inf])
    encoder = TableEncoder(dtype=dtype).fit({"x": x})
    state = column(encoder, "x")
    assert (state["fill"], state["center"], state["scale"], state["indicator"]) == (3.0, 3.0, 2.0, True)
    assert state["missing"] == 2
    found = encoder.transform({"x": x})
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    z = (np.array([1, 2, 3, 3, 4, 1000, 3.0]) - 3) / 2
    ref = np.column_stack([z / np.sqrt(1 + (z / 3) ** 2), np.isin(np.arange(7), [2, 6])])
    np.testing.assert_array_equal(found, ref.astype(dtype))


def test_scale():
    assert center_and_scale(np.array([0.0] * 9 + [10.0])) == (0.0, 3.0)  # no range: standard deviation
    assert center_and_scale(np.array([7.0])) == (7.0, 1.0)
    assert center_and_scale(np.array([-1.7e308, 1.7e308, 1.7e308, -1.7e308])) == (1.7e308, 1.0)
    np.testing.assert_array_equal(smooth_clip(np.array([-1e300, 0, 1e300])), [-3, 0, 3])


def test_categories_by_hand():
    fit = pd.DataFrame({"c": ["b", "a", None, "a", " b ", "rare", None], "d": ["x", "y"] * 3 + ["x"]})
    new = pd.DataFrame({"c": ["a", "b", None, "rare", "new", " a"], "d": ["x", None, "y", "z", "z", ""]})
    one_hot = TableEncoder().fit(fit)
    assert one_hot.feature_names == ["c=a", "c=b", "c is missing", "d=x", "d=y"]
    ref = [
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(one_hot.transform(new), ref)
    assert one_hot.unseen == {"c": 2, "d": 2}
    assert one_hot.unseen_summary() == "Categories unseen or rare in training: 2 of 'c', 2 of 'd'."
    embedded = TableEncoder(max_one_hot=0).fit(fit)
    assert embedded.embeddings == {0: (3, 3), 1: (3, 3)}
    np.testing.assert_array_equal(embedded.transform(new), [[1, 1], [2, 0], [0, 2], [0, 0], [0, 0], [1, 0]])
    assert embedded.unseen == {"c": 2, "d": 2}
    embedded.transform(fit.drop(index=5))
    assert embedded.unseen == {}
    assert embedded.unseen_summary() == ""


def test_categories_are_told_apart_by_text():
    """What a file holds as 1 may come as 1.0 beside a missing value, or as text."""
    encoder = TableEncoder(columns={"c": "category"}).fit({"c": [1, 2, 2, 1, 3, 3]})
    ref = np.eye(3)[[0, 2]]
    for values in ([1, 3], [1.0, 3.0], ["1", "3 "], pd.Categorical([1, 3]), pd.array([1, 3], "Int8")):
        np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": values})), ref)


def test_dates_by_hand():
    days = pd.date_range("2020-01-01", "2020-12-31", freq="6h")
    encoder = TableEncoder(dtype="float64").fit({"t": days})
    assert column(encoder, "t")["cycles"] == ["year", "month", "week", "day"]
    found = dict(
        zip(
            encoder.feature_names,
            encoder.transform({"t": [pd.Timestamp("2020-07-01 18:00")]})[0],
            strict=True,
        )
    )
    for cycle, part in {"year": 182 / 366, "month": 0, "week": 2 / 7, "day": 0.75}.items():
        assert found[f"t {cycle} sin"] == pytest.approx(np.sin(2 * np.pi * part), abs=1e-14)
        assert found[f"t {cycle} cos"] == pytest.approx(np.cos(2 * np.pi * part), abs=1e-14)
    middle = days[0] + (days[-1] - days[0]) / 2
    assert encoder.transform({"t": [middle]})[0, 0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("freq", "n", "cycles"),
    [
        ("D", 5, ["week"]),
        ("D", 400, ["year", "month", "week"]),
        ("MS", 50, ["year"]),
        ("YS", 50, []),
        ("h", 30, ["day"]),
        ("7D", 100, ["year", "month"]),
    ],
)
def test_cycles_that_are_needed(freq, n, cycles):
    encoder = TableEncoder().fit({"t": pd.date_range("2020-01-01", periods=n, freq=freq)})
    assert column(encoder, "t")["cycles"] == cycles


def test_missing_dates_stand_in_the_middle():
    days = [*pd.date_range("2020-01-01", periods=300).strftime("%d.%m.%Y"), None, "?"]
    encoder = TableEncoder().fit({"t": days})
    assert encoder.feature_names[:2] == ["t", "t is missing"]
    x = encoder.transform({"t": days})
    np.testing.assert_array_equal(x[-2:], np.eye(1, x.shape[1], 1).repeat(2, 0))
    assert np.array_equal(x[:-2, 1], np.zeros(300))


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t,
        lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
        lambda t: t.tz_localize("UTC"),
        lambda t: t.astype("datetime64[s]"),
        lambda t: t.to_period("s"),
        lambda t: pd.Categorical(t),
        lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        lambda t: pd.Series(t).astype(pd.ArrowDtype(pa.timestamp("ms"))),
        lambda t: list(t.to_pydatetime()),
    ],
)
def test_dates_written_in_other_ways(write):
    times = pd.date_range("2020-01-01", periods=200, freq="37h")
    twin = TableEncoder().fit({"t": times})
    np.testing.assert_array_equal(
        twin.transform(pd.DataFrame({"t": write(times)})), twin.transform({"t": times})
    )
    own = TableEncoder().fit(pd.DataFrame({"t": write(times)}))
    np.testing.assert_array_equal(
        own.transform(pd.DataFrame({"t": write(times)})), twin.transform({"t": times})
    )


def test_clocks_of_a_time_zone():
    noon = pd.date_range("2020-01-01 12:00", periods=200, tz="Asia/Tokyo")
    encoder = TableEncoder().fit({"t": noon, "z": np.arange(200) % 3})
    assert column(encoder, "t")["zone"] == "Asia/Tokyo"
    rows = {"t": noon.tz_convert("UTC"), "z": np.arange(200) % 3}
    np.testing.assert_array_equal(again(encoder).transform(rows), encoder.transform({**rows, "t": noon}))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (np.arange(1990, 2020), "%Y"),
        (20200101 + np.arange(28), "%Y%m%d"),
        (1_600_000_000 + np.arange(30) * 86400, "s"),
        ((1_600_000_000 + np.arange(30) * 86400) * 1000, "ms"),
        (1.6e9 + np.arange(30.0), "s"),
    ],
)
def test_numbers_that_are_dates(values, form):
    encoder = TableEncoder(columns={"t": "date"}).fit({"t": values})
    assert column(encoder, "t")["form"] == form
    with_gap = pd.DataFrame({"t": [None, *values.tolist()]})
    x = encoder.transform(with_gap)
    assert np.isfinite(x).all()
    assert np.all(np.diff(x[1:, 0]) > 0)
    assert encoder.unread == {}


def test_text_is_what_scikit_learn_makes_of_it():
    from sklearn.feature_extraction.text import TfidfVectorizer

    frame = people()[["note", "age"]]
    encoder = TableEncoder(dtype="float64").fit(frame)
    assert encoder.is_sparse
    x = again(encoder).transform(frame)
    assert x.format == "csr"
    ref = TfidfVectorizer(min_df=2).fit_transform(frame["note"]).toarray()
    np.testing.assert_allclose(x.toarray()[:, :-1], ref, rtol=1e-14)
    assert encoder.feature_names[0] == "note: bank"
    missing = encoder.transform({"note": [None, 3], "age": [20, 30]}).toarray()
    assert not missing[:, :-1].any()


def test_sparse_rows_are_dense_ones():
    """Beside text nothing is embedded; else features are the same."""
    frame = people()
    sparse = TableEncoder().fit(frame)
    assert sparse.embeddings == {}
    twin = without_text(max_one_hot=1000).fit(frame)
    kept = [i for i, name in enumerate(sparse.feature_names) if not name.startswith("note: ")]
    assert [sparse.feature_names[i] for i in kept] == twin.feature_names
    np.testing.assert_array_equal(sparse.transform(frame).toarray()[:, kept], twin.transform(frame))
    assert sparse.transform(frame).dtype == np.float32


# --- new rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [TableEncoder, without_text, lambda: without_text(dtype="float64", max_one_hot=5)]
)
def test_json_gives_the_same_bits(make):
    encoder, new = make().fit(people()), people(seed=1)
    twin = again(encoder)
    np.testing.assert_array_equal(dense(twin.transform(new)), dense(encoder.transform(new)))
    assert twin.unseen == encoder.unseen
    assert (twin.feature_names, twin.embeddings, twin.dtype) == (
        encoder.feature_names,
        encoder.embeddings,
        encoder.dtype,
    )
    assert twin.describe() == encoder.describe()
    assert twin.to_dict() == encoder.to_dict()


def test_a_row_alone_is_what_it_is_among_others():
    encoder, new = TableEncoder(dtype="float64").fit(people()), people(seed=1)
    among = encoder.transform(new).toarray()
    for i in range(0, N, 10):
        np.testing.assert_array_equal(encoder.transform(new.iloc[[i]]).toarray()[0], among[i])
        np.testing.assert_allclose(
            encoder.transform(new.iloc[i].to_dict()).toarray()[0], among[i], rtol=1e-14
        )


def test_other_columns_and_orders():
    encoder, new = without_text().fit(people()), people(seed=1)
    ref = encoder.transform(new)
    other = new[new.columns[::-1]].assign(target=1).drop(columns=["id", "same", "empty", "note"])
    np.testing.assert_array_equal(encoder.transform(other), ref)
    with pytest.raises(ValueError, match=r"lacks the column 'age', .* Is it 'Age'"):
        encoder.transform(new.rename(columns={"age": "Age"}))
    with pytest.raises(ValueError, match="lacks the columns 'age', 'city'"):
        encoder.transform(new.drop(columns=["age", "city"]))


def test_through_files(tmp_path):
    frame = people()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    twin = TableEncoder().fit(frame)
    for name in ("t.csv", "t.parquet"):
        encoder = TableEncoder().fit(read_table(tmp_path / name))
        assert encoder.feature_names == twin.feature_names
        np.testing.assert_array_equal(
            encoder.transform(read_table(tmp_path / name)).toarray(), twin.transform(frame).toarray()
        )


DTYPES = ["Int64", "Int16", "Float64", "float32", "string", "object", "category", "uint8"]


@pytest.mark.parametrize(
    "dtype", [*DTYPES, "double[pyarrow]", "string[pyarrow]", pd.SparseDtype("float64", 0)]
)
def test_dtypes_of_new_rows(dtype):
    """However the numbers of a column come, they are the same."""
    values = pd.Series(np.arange(40) % 7)
    encoder = TableEncoder().fit({"x": values})
    ref = encoder.transform({"x": values})
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": values.astype(dtype)})), ref)
    categories = TableEncoder(columns={"x": "category"}).fit({"x": values})
    ref = categories.transform({"x": values})
    np.testing.assert_array_equal(categories.transform(pd.DataFrame({"x": values.astype(dtype)})), ref)


def test_text_in_a_column_of_numbers():
    encoder = TableEncoder().fit({"x": np.arange(20) % 6, "c": ["a", "b"] * 10})
    x = encoder.transform({"x": [1, "oops", "?", "3"], "c": list("abab")})
    np.testing.assert_array_equal(x[1:3, 0], [0, 0])
    assert encoder.unread == {"x": 1}
    assert encoder.unseen_summary() == "Values that cannot be read, taken as missing: 1 of 'x'."
    with pytest.raises(ValueError, match="'x' held numbers in training, but now text such as 'red'"):
        encoder.transform({"x": ["red"] * 10, "c": ["a"] * 10})
    with pytest.raises(ValueError, match="'x' held numbers in training, but now dates"):
        encoder.transform({"x": pd.date_range("2020-01-01", periods=2), "c": ["a", "b"]})
    dates = TableEncoder().fit({"t": pd.date_range("2020-01-01", periods=50)})
    with pytest.raises(ValueError, match="'t' held dates in training, but now numbers"):
        dates.transform({"t": [1.5]})
    with pytest.raises(ValueError, match="'t' held dates in training, but now text such as 'soon'"):
        dates.transform({"t": ["soon"] * 10})
    with pytest.raises(ValueError, match="complex"):
        encoder.transform({"x": [1j], "c": ["a"]})


def test_a_few_values_that_are_no_numbers():
    values = [str(i % 30) for i in range(99)] + ["broken"]
    encoder = TableEncoder().fit({"x": values})
    assert column(encoder, "x")["kind"] == "number"
    assert encoder.notes() == ["the column 'x': values that are no numbers, taken as missing: 1."]
    assert encoder.feature_names == ["x", "x is missing"]


def random_column(rng, n):
    """Values of some dtype, with gaps or without."""
    numbers = rng.integers(-5, 40, n)
    make = [
        lambda: numbers,
        lambda: pd.array(numbers, "Int64"),
        lambda: rng.standard_cauchy(n) * 10.0 ** rng.integers(-300, 300),
        lambda: rng.random(n) < 0.5,
        lambda: pd.array(rng.random(n) < 0.5, "boolean"),
        lambda: pd.array(numbers.astype(str), "string[pyarrow]"),
        lambda: pd.Categorical(rng.choice(["a", "b", "c"], n)),
        lambda: pd.Categorical(numbers),
        lambda: pd.date_range("1950-01-01", periods=n, freq="31h", tz="Europe/Rome"),
        lambda: pd.period_range("1950-01", periods=n, freq="M"),
        lambda: pd.to_timedelta(numbers, "h"),
        lambda: rng.choice(np.array([1, 2.5, "x", True, datetime.date(2020, 1, 1)], object), n),
        lambda: pd.interval_range(0, n),
        lambda: rng.bytes(n).hex()[:n],
        lambda: [" ".join(rng.choice(["to", "be", "or", "not"], 5)) for _ in range(n)],
        lambda: [f"{i}" * 3 for i in numbers],
    ]
    values = make[rng.integers(len(make))]()
    series = pd.Series(list(values) if isinstance(values, str) else values)
    if rng.random() < 0.5:
        series = series.mask(rng.random(n) < 0.2)
    return series


@pytest.mark.parametrize("seed", range(25))
def test_random_tables(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"c{i}": random_column(rng, 120) for i in range(6)}).assign(z=rng.random(120))
    train, new = frame.iloc[:80], frame.iloc[80:]
    encoder = TableEncoder(dtype=rng.choice(["float32", "float64"]), max_one_hot=10).fit(train)
    twin = again(encoder)
    for rows in (train, new, new.iloc[:1], new.iloc[:0]):
        x = dense(encoder.transform(rows))
        assert x.shape == (len(rows), len(encoder.feature_names))
        assert x.dtype == encoder.dtype
        assert np.isfinite(x).all()
        np.testing.assert_array_equal(dense(twin.transform(rows)), x)
    x = dense(encoder.transform(new))
    for i in range(0, 40, 7):
        np.testing.assert_array_equal(dense(encoder.transform(new.iloc[[i]]))[0], x[i])
    for feature, (n_categories, _) in encoder.embeddings.items():
        assert set(x[:, feature]) <= set(range(n_categories))
    assert len(set(encoder.feature_names)) == len(encoder.feature_names)


def test_a_network_takes_its_vectors():
    frame = people()
    y = (frame["city"] == "Rome").to_numpy().astype(int)
    for encoder in (TableEncoder().fit(frame), without_text().fit(frame)):
        x = encoder.transform(frame)
        net = fastnn.MLP([x.shape[1], 8, 2], embeddings=encoder.embeddings, output="softmax", seed=0)
        trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.01), seed=0)
        trainer.fit(x, y, epochs=30, verbose=0)
        assert trainer.evaluate(x, y)["accuracy"] > 0.95


def test_real_tables():
    datasets = pytest.importorskip("sklearn.datasets")
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        encoder = TableEncoder().fit(bunch.data)
        assert encoder.feature_names == list(bunch.feature_names)
        x = encoder.transform(bunch.data)
        assert np.abs(np.median(x, axis=0)).max() < 0.6  # those of two values have either as their median
        assert np.abs(x).max() < 3
        assert leaks(bunch.data, bunch.target) == []


# --- leaks ------------------------------------------------------------------------------------------


def test_leaks(rng):
    frame = people()
    y = rng.choice(["lost", "won", "drawn"], N)
    assert leaks(frame, y) == []
    coded = frame.assign(code=pd.factorize(pd.Series(y))[0] * 10 + frame["member"])
    assert leaks(coded, y) == [
        "the column 'code' alone tells the target in every row: leave it out unless it is known beforehand."
    ]
    half = rng.random(N) < 0.5
    assert leaks({"half": np.where(half, "a", None)}, half)[0].startswith("the column 'half' alone")
    values = rng.lognormal(size=N)
    assert leaks(frame, values) == []
    found = leaks(
        frame.assign(unit=values * -2.54 + 1, log=np.log(values), near=values + rng.random(N)), values
    )
    assert [sentence.split("'")[1] for sentence in found] == ["unit", "log"]
    assert "nearly every row (correlation 1.0000)" in found[0]


def test_rare_classes_are_no_leak(rng):
    """A column that says nothing is right in 99.9 % of the rows, if nearly all are of one class."""
    y = np.zeros(5000, int)
    y[:4] = 1
    assert leaks({"c": rng.choice(["a", "b", "c"], 5000)}, y) == []
