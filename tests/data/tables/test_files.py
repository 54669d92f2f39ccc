"""Files of tables: every format, and what is damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from data.tables.examples import CSV, check_people, people
from fastnn.data import Reading, read_source, read_table
from fastnn.data.tables.files import read_noted

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")


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
        with pytest.raises(ValueError, match=r"damaged or not a valid .* file: .*UTF8"):
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
    with pytest.raises(ImportError, match=r'pip install "fastnn-core\[excel\]"'):
        read_table(tmp_path / "t.xlsx")


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "dat", "data", "test", "jsonl", "json"])
def test_compressed_text(tmp_path, ending, packed):
    text = {
        "jsonl": people_frame().to_json(orient="records", lines=True),
        "json": people_frame().to_json(orient="records"),
        "tsv": CSV.replace(",", "\t"),
    }.get(ending, CSV)
    path = tmp_path / f"t.{ending}{packed}"
    path.write_bytes(PACKED[packed](text.encode()))
    check_people(read_table(path))
    data = read_source(path, target="age")
    assert (data.kind, data.name, data.n) == ("table", "t", 3)


def test_zstd(tmp_path):
    with (
        pa.OSFile(str(tmp_path / "t.csv.zst"), "wb") as file,
        pa.CompressedOutputStream(file, "zstd") as packed,
    ):
        packed.write(CSV.encode())
    check_people(read_table(tmp_path / "t.csv.zst"))


def people_frame():
    return read_table(io.StringIO(CSV))


def write_archive(path, members):
    """Write a zip or tar archive of names and contents."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, f"w:{path.suffix[1:]}" if path.suffix != ".tar" else "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


JUNK = {
    "__MACOSX/._people.csv": b"x",
    "people/.DS_Store": b"x",
    "people/README.txt": b"about",
    "people/people.names": b"| age, city",
    "people/notes.txt": b"1. Bern",
}


@pytest.mark.parametrize("name", ["a.zip", "people.csv.zip", "a.tar", "a.tar.gz", "a.tar.bz2"])
def test_archives_of_one_table(tmp_path, name):
    write_archive(tmp_path / name, JUNK | {"people/people.csv": CSV.encode()})
    check_people(read_table(tmp_path / name))
    check_people(read_table(tmp_path / name / "people/people.csv"))
    data = read_source(str(tmp_path / name), target="age")
    assert (data.kind, data.n) == ("table", 3)
    assert read_source(tmp_path / name / "people/people.csv", target="age").n == 3


def test_other_files_in_archives(tmp_path):
    pytest.importorskip("openpyxl")
    frame = people_frame()
    for write, ending in (("to_parquet", "parquet"), ("to_feather", "feather"), ("to_excel", "xlsx")):
        content = io.BytesIO()
        getattr(frame, write)(content, **({"index": False} if ending == "xlsx" else {}))
        write_archive(tmp_path / "a.zip", {f"t.{ending}": content.getvalue()})
        check_people(read_table(tmp_path / "a.zip"))
    write_archive(tmp_path / "a.zip", {"t.csv.gz": gzip.compress(CSV.encode())})
    check_people(read_table(tmp_path / "a.zip"))


def test_files_with_the_name_of_another_kind(tmp_path):
    pytest.importorskip("openpyxl")
    people_frame().to_excel(tmp_path / "t.xlsx", index=False)
    (tmp_path / "t.xlsx").rename(tmp_path / "book.csv")
    check_people(read_table(tmp_path / "book.csv"))
    write_archive(tmp_path / "a.zip", {"t.csv": CSV.encode()})
    (tmp_path / "a.zip").rename(tmp_path / "kaggle.csv")
    check_people(read_table(tmp_path / "kaggle.csv"))
    (tmp_path / "gzip.csv").write_bytes(gzip.compress(CSV.encode()))
    check_people(read_table(tmp_path / "gzip.csv"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_archives_that_are_refused(tmp_path, name):
    path = tmp_path / name
    write_archive(path, {"train.csv": CSV.encode(), "test.csv": CSV.encode()})
    with pytest.raises(
        ValueError, match=rf"holds 2 tables, train.csv, test.csv: .* as in '.*{name}/train.csv'"
    ):
        read_table(path)
    with pytest.raises(ValueError, match=r"holds no 'trian.csv': expected one of train.csv, test.csv"):
        read_table(path / "trian.csv")
    write_archive(path, {"cat.png": b"x"})
    with pytest.raises(ValueError, match=r"holds no table: cat.png"):
        read_table(path)
    write_archive(path, {})
    with pytest.raises(ValueError, match=r"holds no table: nothing|not an archive"):
        read_table(path)
    write_archive(path, {"a.csv": CSV.encode()})
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ValueError, match="cut short"):
        read_table(path)


def test_what_unpacks_to_too_much(tmp_path, monkeypatch):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000))
    write_archive(tmp_path / "t.zip", {"t.csv": b"a,b\n" + b"1,2\n" * 10_000})
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "10KB")
    for name in ("t.csv.gz", "t.zip"):
        with pytest.raises(ValueError, match="--max-unpacked"):
            read_table(tmp_path / name)
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "1MB")
    assert len(read_table(tmp_path / "t.zip")) == 10_000


def test_folders_of_files_that_are_written_differently(tmp_path):
    (tmp_path / "1.csv").write_text(CSV)
    (tmp_path / "2.txt").write_text("Report\n\n" + CSV.replace(",", ";"))
    (tmp_path / "3.csv.bz2").write_bytes(bz2.compress(CSV.encode("utf-16")))
    frame, notes = read_noted(tmp_path)
    assert frame.shape == (9, 3)
    assert frame["age"].tolist() == [31, 54, 8] * 3
    assert len(notes) == 2


def test_what_is_said_of_files_it_does_not_fit(tmp_path):
    people_frame().to_parquet(tmp_path / "t.parquet")
    _, (note,) = read_noted(tmp_path / "t.parquet", Reading(delimiter=";", header=False))
    assert "header, delimiter" in note
    assert read_noted(tmp_path / "t.parquet")[1] == []
