"""The encoder of tables: choices, new rows, JSON, tables drawn at random, training."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

import fastnn
from data.tables.examples import N, again, column, dense, people, without_text
from fastnn.data import TableEncoder, leaks, read_table

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
pytest.importorskip("sklearn")


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


def test_gaps_that_training_did_not_have():
    frame = pd.DataFrame({"x": np.arange(40) % 9, "y": [None, 1.5, 2.5, 3.5] * 10, "c": ["a", "b"] * 20})
    encoder = TableEncoder().fit(frame)
    encoder.transform(frame)
    assert encoder.gaps == {}
    assert encoder.unseen_summary() == ""
    new = frame.assign(x=[1.0, "?", None, "n/a"] + [2.0] * 36, c=["a", None] * 20)
    encoder.transform(new)
    assert encoder.gaps == {"x": 3, "c": 20}
    assert encoder.unseen_summary() == "Gaps in columns that had none in training: 3 of 'x', 20 of 'c'."
    encoder.transform(frame.assign(x=np.nan, y=None, c=""))
    assert encoder.gaps == {"x": 40, "y": 40, "c": 40}
    assert encoder.unseen_summary() == "Missing in all rows: 'x', 'y', 'c'."
    encoder.transform(frame.iloc[:1])  # a gap as training had them
    assert encoder.gaps == {}


def test_text_is_read_alike_whatever_the_format(tmp_path):
    pytest.importorskip("openpyxl")
    n, rng = 60, np.random.default_rng(0)
    days = pd.date_range("2023-01-01", periods=n)
    frame = pd.DataFrame(
        {
            "money": [f"${value:,.2f}" for value in rng.lognormal(8, 1, n)],
            "euro": [
                f"{value:,.2f} €".translate(str.maketrans(",.", ".,")) for value in rng.lognormal(8, 1, n)
            ],
            "share": [f"{value:.1f}%" for value in rng.uniform(0, 9, n)],
            "clock": [f"{i % 12 + 1}:{i % 60:02} PM" for i in range(n)],
            "length": [f"{i % 5} h {i % 7} min" for i in range(n)],
            "day": [t.strftime("%d.%m.%Y") if i % 2 else t.strftime("%Y-%m-%d") for i, t in enumerate(days)],
            "compact": days.strftime("%Y%m%d"),
            "created_at": [str(1_600_000_000 + i * 86400) for i in range(n)],
            "thousands": [f"{i}.{i}00" if i % 2 else str(i) for i in range(10, 10 + n)],
            "plain": [f"{i / 7:.3f}" for i in range(n)],
            "big": [str(2**60 + i % 3) for i in range(n)],
            "code": [f"{i % 4:03}" for i in range(n)],
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_json(tmp_path / "t.json", orient="records")
    frame.to_parquet(tmp_path / "t.parquet")
    encoder = TableEncoder().fit(frame)
    kinds = {c["column"]: c["kind"] for c in encoder.describe()}
    assert kinds == {
        **dict.fromkeys(("money", "euro", "share", "length", "thousands", "plain"), "number"),
        **dict.fromkeys(("clock", "day", "compact", "created_at"), "date"),
        **dict.fromkeys(("big", "code"), "category"),
    }
    x = encoder.transform(frame)
    for ending in ("csv", "tsv", "json", "parquet", "xlsx"):
        table = read_table(tmp_path / f"t.{ending}")
        np.testing.assert_array_equal(encoder.transform(table), x, err_msg=ending)
        own = TableEncoder().fit(table)
        assert {c["column"]: c["kind"] for c in own.describe()} == kinds
        np.testing.assert_array_equal(own.transform(frame), x, err_msg=ending)
