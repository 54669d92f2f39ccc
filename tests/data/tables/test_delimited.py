"""Delimited text: delimiters, types of columns, and what is damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest

from fastnn.data import read_table

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


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
    monkeypatch.setattr("fastnn.data.tables.delimited._BLOCK_BYTES", 100)
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
