"""Streams of tables: their rows, their encoders, missing values."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from data.streams.examples import Plain, Words, labelled, make_table, write_table
from fastnn.data import Reading, TableStream


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".csv"])
def test_rows_of_tables(arrow, tmp_path, ending):
    table = make_table(arrow, 0, 600)
    paths = [tmp_path / f"{k}{ending}" for k in range(2)]
    write_table(table.slice(0, 350), paths[0])
    write_table(table.slice(350), paths[1])
    stream = labelled(paths, sample_weight="weight")
    assert (stream.n_rows, stream.n_features) == (600, 2)
    ref = Plain().transform(table.to_pandas())
    for seed in (None, 0, 1):
        x, y, weight = (
            np.concatenate(parts) for parts in zip(*stream.blocks(seed, multiple=10), strict=True)
        )
        rows = x[:, 0].astype(int)
        np.testing.assert_array_equal(np.sort(rows), np.arange(600))
        np.testing.assert_array_equal(x, ref[rows])
        np.testing.assert_array_equal(y, rows % 4 == 0)
        np.testing.assert_allclose(weight, rows / 100)
        assert (seed is None) == (rows == np.arange(600)).all()
    rest = np.concatenate([x for x, *_ in stream.blocks(1, 320, 10)])
    np.testing.assert_array_equal(rest, x[320:])
    assert stream.count_labels().tolist() == [450, 150]


def test_a_table_from_files_to_a_trained_network(folder, arrow):
    stream = TableStream(folder, "label", block_rows=64)
    train, validation, test = stream.split(validation=0.1, test=0.1)
    rows, y = train.sample(50)
    assert rows.columns.tolist() == ["number", "letter", "unique", "weight"]
    assert rows["letter"].dtype == "category"  # says the same again and again
    assert rows["unique"].dtype != "category"
    assert set(y) == {"no", "yes"}
    train, validation, test = (part.encoded(Plain(), Words()) for part in (train, validation, test))
    net = fastnn.MLP([2, 4, 2], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", class_weight="balanced", seed=0)
    history = trainer.fit(train, epochs=2, validation_data=validation.load(), verbose=0)
    assert len(history) == 2
    x, y = test.load()
    assert trainer.evaluate(test) == pytest.approx(trainer.evaluate(x, y))
    files = arrow.dataset.dataset(folder, format="parquet")
    assert TableStream(files, "label").n_rows == 600
    np.testing.assert_array_equal(np.sort(train.store(folder / "out").load()[1]), np.sort(train.load()[1]))


def test_numbers_need_no_encoder(arrow, tmp_path):
    x = np.random.default_rng(0).standard_normal((200, 3))
    table = {"a": x[:, 0], "b": x[:, 1].round().astype(int), "c": x[:, 2] > 0, "y": x.sum(1)}
    write_table(arrow.table(table), tmp_path / "t.parquet")
    stream = TableStream(tmp_path / "t.parquet", "y", columns=["c", "a", "b"])
    ref = np.column_stack([table[name] for name in "cab"]).astype("f4")
    np.testing.assert_array_equal(stream.load()[0], ref)
    with pytest.raises(ValueError, match="y must hold class numbers"):
        stream.count_labels()


def test_missing_values_are_named(arrow, tmp_path):
    for k in range(2):
        table = make_table(arrow, 100 * k, 100 * (k + 1)).to_pandas()
        if k == 1:
            table.loc[7, "label"] = None
        write_table(arrow.Table.from_pandas(table), tmp_path / f"{k}.parquet")
    with pytest.raises(ValueError, match=r"column 'label' is missing in row 7 of '1\.parquet'"):
        labelled(tmp_path).load()
    stream = TableStream(tmp_path, "weight", columns=["number"])
    assert stream.n_rows == 200


def test_sparse_features_and_categories_that_differ_from_file_to_file(arrow, tmp_path):
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    letters = []
    for k in range(3):
        letters.append(rng.choice(list("abcdef"[: 3 + k]), 200))
        columns = {"letter": pandas.Categorical(letters[-1]), "y": 1.0 * (letters[-1] == "b")}
        if k == 2:
            columns["letter"] = letters[-1]
        pandas.DataFrame(columns).to_parquet(tmp_path / f"{k}.parquet", index=False)

    class Letters:
        feature_names = tuple("abcdef")

        def transform(self, frame):
            of_row = frame["letter"].astype(str).to_numpy(object)
            return sparse.csr_matrix((of_row[:, np.newaxis] == np.array(self.feature_names)).astype("f4"))

    stream = TableStream(tmp_path, "y", encoder=Letters(), block_rows=100)
    for seed in (None, 1):
        for x, y in stream.blocks(seed):
            np.testing.assert_array_equal(x.toarray()[:, 1], y)
    x, y = stream.load()
    np.testing.assert_array_equal(x.toarray().argmax(axis=1), [ord(c) - 97 for part in letters for c in part])
    ref, comp = (
        fastnn.Trainer(fastnn.MLP([6, 4, 1], seed=0), loss="mse", shuffle=False, seed=0) for _ in range(2)
    )
    options = {"multiple": 32}
    assert [len(y) for _, y in stream.blocks(**options)] == [128, 128, 128, 128, 88]
    ref.fit(x, y, epochs=2, verbose=0)
    comp.fit(stream, epochs=2, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    with pytest.raises(ValueError, match=r"store\(\) writes \.npy files, but the encoder gives sparse rows"):
        stream.store(tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        ("a,b,y\n0.5,1,2\n1.5,2,3\n", {}),
        ("Größe\n\na;b;y\r\n0,5;1;2\r\n\r\n1,5;2;3\r\n".encode("cp1252"), {}),
        ("# made\n# by us\na\tb\ty\n0.5\t1\t2\n1.5\t2\t3\n", {}),
        ("sep=;\na;b;y\n0,5;1;2\n1,5;2;3\n", {}),
        ('"x\ny","z\nz","y"\na,b,y\n0.5,1,2\n1.5,2,3\n', {"skip_rows": 3}),
        ("a@b@y\n0.5@1@2\n1.5@2@3\n", {"delimiter": "@"}),
    ],
)
def test_how_text_is_written_is_detected(tmp_path, content, reading):
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    stream = TableStream(tmp_path / "t.csv", "y", reading=Reading(**reading))
    rows, y = stream.sample(2)
    assert rows.columns.tolist() == ["a", "b"]
    np.testing.assert_array_equal(rows.to_numpy(), [[0.5, 1], [1.5, 2]])
    assert y.tolist() == [2, 3]


def test_text_without_a_header(tmp_path):
    (tmp_path / "t.csv").write_text("0.5,1,2\n1.5,2,-99\n")
    stream = TableStream(tmp_path / "t.csv", "column 1", reading=Reading(missing="-99"))
    rows, y = stream.sample(2)
    assert y.tolist() == [0.5, 1.5]
    np.testing.assert_array_equal(rows["column 3"], [2, np.nan])


@pytest.mark.parametrize(
    ("content", "reading", "reason"),
    [
        ("a b\n1 2\n3 4\n", {}, "has spaces between its fields"),
        ("a,b\n1,2\n3,4\n".encode("utf-16"), {}, "is UTF-16"),
        ("a,b\n1,2\n3,4\n", {"comment": "#"}, "has lines of comment"),
    ],
)
def test_text_that_cannot_be_streamed(tmp_path, content, reading, reason):
    (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=f"t.csv' {reason}: such a file cannot be streamed"):
        TableStream(tmp_path / "t.csv", "a", reading=Reading(**reading))
