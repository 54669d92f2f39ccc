"""Kinds of data: how a source is recognised, and what is refused."""

import gzip
import json

import numpy as np
import pytest

import fastnn.data
from fastnn.data import Dataset, Reading, read_source
from fastnn.data.kinds import KINDS

pytest.importorskip("sklearn")


@pytest.fixture
def tables(monkeypatch):
    """Stands in for the reader of tables: notes its arguments."""
    calls = []

    def read(source, *, target, labelled, drop, drop_missing, reading):
        calls.append((source, target, labelled))
        return "a table"

    monkeypatch.setitem(KINDS, "table", KINDS["table"]._replace(read=read))
    return calls


@pytest.fixture
def images(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    for label in ("dark", "light"):
        folder = tmp_path / "images" / label
        folder.mkdir(parents=True)
        pil.new("L", (4, 4), 9).save(folder / "1.png")
        (folder / "1.txt").write_text("taken at noon")
    return tmp_path / "images"


def test_arrays(tmp_path):
    assert read_source("digits").rows.shape == (1797, 8, 8)
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), y=[0, 1])
    assert read_source(tmp_path / "a.npz").kind == "array"
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", np.arange(4.0))
    assert read_source(str(tmp_path)).n == 4
    assert read_source([tmp_path / "x.npy", tmp_path / "y.npy"]).n == 4
    assert read_source(tmp_path / "x.npy", labelled=False).y is None


def test_images(images):
    data = read_source(images)
    assert data.kind == "images"
    assert list(data.y) == ["dark", "light"]
    assert read_source(images, labelled=False).n == 2
    assert read_source(images / "dark" / "1.png", labelled=False).n == 1
    assert read_source(images, kind="text").rows == ["taken at noon"] * 2


def test_text(tmp_path):
    path = tmp_path / "mails.TXT"
    path.write_text("spam\tmoney\nham\tnoon\n")
    assert read_source(path).rows == ["money", "noon"]
    assert read_source(path, labelled=False).rows[0] == "spam\tmoney"
    for label in ("a", "b"):
        (tmp_path / "news" / label).mkdir(parents=True)
        (tmp_path / "news" / label / "1204").write_text("words")
    assert read_source(tmp_path / "news").kind == "text"


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz", "a.parquet", "a.xlsx", "a.jsonl", "a.txt"])
def test_tables(tmp_path, tables, name):
    path = tmp_path / name
    path.touch()
    assert read_source(path, target="price") == "a table"
    assert tables == [(path, "price", True)]


def test_tables_in_memory_and_unlabelled(tmp_path, tables):
    read_source({"a": [1, 2]}, target="a")
    read_source("-", target="a")
    read_source({"a": [1, 2]}, labelled=False)
    assert tables == [({"a": [1, 2]}, "a", True), ("-", "a", True), ({"a": [1, 2]}, None, False)]


def test_unlabelled_tables_have_no_target():
    pytest.importorskip("pandas")
    data = read_source({"a": [1, 2]}, labelled=False)
    assert (data.name, data.kind, data.y) == ("table", "table", None)


def test_kind_can_be_said(tmp_path):
    path = tmp_path / "mails.csv"
    path.write_text("spam\tmoney\nham\tnoon\n")
    assert read_source(path, kind="text").rows == ["money", "noon"]
    with pytest.raises(ValueError, match="Did you mean 'images'"):
        read_source(path, kind="image")


def test_bad_sources(tmp_path, images):
    with pytest.raises(FileNotFoundError, match=r"expected a path or one of .* Did you mean 'breast_cancer'"):
        read_source("breast-cancer")
    with pytest.raises(
        ValueError, match="target='price' names a column of a table, but 'iris' is read as an array"
    ):
        read_source("iris", target="price")
    with pytest.raises(ValueError, match="header, missing would say how a table is written, but 'iris' is"):
        read_source("iris", reading=Reading(header=False, missing="-9"))
    assert read_source("iris", reading=Reading()).n == 150
    with pytest.raises(ValueError, match="is read as images: leave it out"):
        read_source(images, target="price")
    (tmp_path / "a.docx").touch()
    with pytest.raises(
        ValueError, match=r"has the ending '\.docx': expected a table \(\.csv, .*text \(\.txt\)"
    ):
        read_source(tmp_path / "a.docx")
    (tmp_path / "Makefile").touch()
    with pytest.raises(ValueError, match="has no ending that says what it is"):
        read_source(tmp_path / "Makefile")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"nothing in the folder .*none' can be read"):
        read_source(tmp_path / "none")


def test_a_folder_of_tables_is_one_table(tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "parts").mkdir()
    for i in range(3):
        (tmp_path / "parts" / f"{i}.csv").write_text(f"a,y\n{i},u\n{i},v\n")
    data = read_source(tmp_path / "parts", target="y")
    assert (data.kind, data.name) == ("table", "parts")
    assert data.rows.a.tolist() == [0, 0, 1, 1, 2, 2]
    assert read_source(tmp_path / "parts", labelled=False).rows.y.tolist() == ["u", "v"] * 3
    (tmp_path / "parts" / "9.csv").write_text("a,b,y\n1,2,u\n")
    with pytest.raises(ValueError, match=r"9\.csv' has a column 'b', but .*0\.csv' has none of that name"):
        read_source(tmp_path / "parts", target="y")


def test_a_folder_of_compressed_tables_is_one_table(tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "parts").mkdir()
    for i in range(2):
        (tmp_path / "parts" / f"{i}.csv.gz").write_bytes(gzip.compress(f"a,y\n{i},u\n".encode()))
    data = read_source(tmp_path / "parts", target="y")
    assert (data.kind, data.rows.a.tolist()) == ("table", [0, 1])


def test_every_kind_has_its_encoder(images):
    """From a source to vectors and back from JSON, whatever it is."""
    encoders = {
        "array": fastnn.data.ArrayEncoder,
        "images": fastnn.data.ImageEncoder,
        "text": fastnn.data.TextEncoder,
    }
    for kind, data in {
        "array": read_source("wine"),
        "images": read_source(images),
        "text": Dataset("words", "text", ["one two", "two three"], np.arange(2)),
    }.items():
        assert data.kind == kind
        assert kind in KINDS
        encoder = encoders[kind]().fit(data.rows)
        again = fastnn.data.encoder_from_dict(json.loads(json.dumps(encoder.to_dict())))
        assert again.transform(data.rows).shape == (data.n, len(again.feature_names))
        unseen = "Words unseen or rare in training: 2." if kind == "text" else ""
        assert again.unseen_summary() == unseen
        (described,) = again.describe()
        assert {"column", "kind", "encoding", "features", "note"} <= set(described)


def test_only_what_is_needed_is_imported(tmp_path, images, run_python):
    code = """
import sys
from fastnn.data import read_source
data = read_source({path!r}{options})
print([name for name in ("PIL", "numba", "pandas", "sklearn") if name in sys.modules], data.n)
"""
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), y=[0, 1])
    for path, options in ((images, ""), (tmp_path / "a.npz", ""), (images / "dark", ", labelled=False")):
        assert run_python(code.format(path=str(path), options=options)).stdout.startswith("[] ")
