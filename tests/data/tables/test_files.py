"""Files of tables: every format, and what is damaged."""

from __future__ import annotations

import gzip
import io
import sys

import numpy as np
import pytest

from data.tables.examples import CSV, check_people, people
from fastnn.data import read_table

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
    with pytest.raises(ImportError, match=r'pip install "fastnn\[excel\]"'):
        read_table(tmp_path / "t.xlsx")
