"""Delimited text: delimiters, types of columns, and what is damaged."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from fastnn.data import Reading, read_table
from fastnn.data.tables.files import read_noted

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


def test_what_the_encoder_decides_stays_text():
    text = "point;comma;both;long;exact;decimals;sum\n"
    text += "1.234;1,234;1.234,5;12345678901234567890;9007199254740993;1.250;1,5\n"
    text += "12.345;5,678;1,5;7;;1.25;2\n"
    frame = read_table(io.StringIO(text))
    assert frame["point"].tolist() == ["1.234", "12.345"]
    assert frame["comma"].tolist() == ["1,234", "5,678"]
    assert frame["both"].tolist() == ["1.234,5", "1,5"]
    assert frame["long"].tolist() == ["12345678901234567890", "7"]
    assert frame["exact"].iloc[0] == 2**53 + 1
    assert frame["exact"].isna().tolist() == [False, True]
    assert frame["decimals"].tolist() == [1.25, 1.25]
    assert frame["sum"].tolist() == [1.5, 2]
    assert frame.attrs["decimal"] == ","


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
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\n", r"no rows below its header \(a, b\)"),
        (b"a,b\n\n \n", r"no rows below its header \(a, b\)"),
        (b"1.5,2.5\n", r"no rows below its header \(1.5, 2.5\): .* --no-header"),
        (b"a,b, a\n1,2,3\n", "column 'a' more than once"),
    ],
)
def test_bad_text(tmp_path, content, message):
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(tmp_path / "bad.csv")
    assert "bad.csv" in str(caught.value)


def frame_of(tmp_path, content, name="t.csv", **reading):
    """Write a file, and read it; return it as rows of its values, with its names first."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    frame, notes = read_noted(tmp_path / name, Reading(**reading))
    return [frame.columns.tolist(), *frame.values.tolist()], " ".join(notes)


PLAIN = [["x", "label"], [1.5, "no"], [2.25, "yes"]]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("x,label\n1.5,no\n2.25,yes\n", ""),
        ("\n\nx,label\n\n1.5,no\n   \n2.25,yes\n \n", ""),
        ("x;label\n1,5;no\n2,25;yes\n", "with the separator ';'"),
        ("x\tlabel\n1.5\tno\n2.25\tyes\n", "with the separator tab"),
        ("  x   label\n 1.5   no\n2.25\tyes \n", "with the separator whitespace"),
        ("sep=;\nx;label\n1,5;no\n2,25;yes\n", ""),
        ('"sep=\t"\r\nx\tlabel\r\n1.5\tno\r\n2.25\tyes\r\n', ""),
        ("# exported\n# source: CRM, diamonds\nx,label\n1.5,no\n2.25,yes\n", "without 2 lines of comment"),
        ("# exported\n#x,label\n1.5,no\n2.25,yes\n", "without 1 line of comment"),
        ("# x label\n1.5 no\n2.25 yes\n", "with the separator whitespace"),
        ("My export;\n\nx;label\n1.5;no\n2.25;yes\n", "with the separator ';', without 1 line above"),
        ("Sales of May\nx,label\n1.5,no\n2.25,yes\n", "without 1 line above the table"),
        ("x,label\r1.5,no\r2.25,yes\r", ""),
        ('"x","label"\n"1.5","no"\n"2.25","yes"\n', ""),
        ("x,label,\n1.5,no,\n2.25,yes,\n".replace("label,", "label"), ""),
        ("\ufeffx,label\n1.5,no\n2.25,yes\n".encode("utf-16-le"), "as utf-16-le"),
    ],
)
def test_how_text_is_written_is_detected(tmp_path, content, note):
    rows, notes = frame_of(tmp_path, content)
    assert [row[:2] for row in rows] == PLAIN
    assert (note in notes) if note else notes == ""


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        ("1.5,no\n2.25,yes\n", {"header": False}),
        ("x@label\n1.5@no\n2.25@yes\n", {"delimiter": "@"}),
        ("x label\n1.5 no\n2.25 yes\n", {"delimiter": "space"}),
        ("x,label\n1.5,no\n2.25,yes\n".encode("cp037"), {"encoding": "cp037"}),
        ("; by us\nx,label\n1.5,no\n; half\n2.25,yes\n", {"comment": ";"}),
        ("a,b,c,d\n1,2,3,4\nx,label\n1.5,no\n2.25,yes\n", {"skip_rows": 2}),
        ("x,label\n1.5,no\n2.25,yes\n-9,-9\n", {"missing": "-9"}),
        ('x,label\n"1,5",no\n"2,25",yes\n', {"decimal": ","}),
    ],
)
def test_how_text_is_written_can_be_said(tmp_path, content, reading):
    rows, notes = frame_of(tmp_path, content, **reading)
    if reading.get("header") is False:
        assert rows[0] == ["column 1", "column 2"]
        rows[0] = ["x", "label"]
    if "missing" in reading:
        assert str(rows.pop()) == "[nan, nan]"
    assert rows == PLAIN
    assert notes == ""


def test_fields_with_spaces_in_quotes(tmp_path):
    content = '18.0  8   307.0  70  1\t"chevrolet malibu"\n15.0  8   350.0  70  1\t"buick skylark 320"\n' * 5
    rows, notes = frame_of(tmp_path, content, "auto.data")
    assert rows[1] == [18, 8, 307, 70, 1, "chevrolet malibu"]
    assert "whitespace, without a header" in notes


@pytest.mark.parametrize(
    "content",
    [
        "name,place\nJohn Smith,New York\nJane Doe,San Jose\n",  # as many words in every row
        "when,what\n2024-01-05 10:00,tea\n2024-01-06 11:30,milk\n",
        "id,list\n1,x;y\n2,u;v\n",
        "note,n\na|b,1\nc|d,2\n",
        "colour,n\n#ff0000,1\n#00ff00,2\n",
    ],
)
def test_commas_stay_delimiters(tmp_path, content):
    rows, notes = frame_of(tmp_path, content)
    assert [",".join(map(str, row)) for row in rows] == content.strip().split("\n")
    assert notes == ""


@pytest.mark.parametrize(
    ("content", "n_columns"),
    [
        ("$9,855|name 0.9 x|$9,811\n$7,591|name 0.8 x|$868\n$2,389|name 0.5 x|$4,646\n", 3),
        ("$2,255\t-2.043\t1\n$2,657\t-7.972\t2\n", 3),
        ('2024-03-21,name 0.6 x,"$6,024"\n2024-12-13,name 0.2 x,"$5,765"\n', 3),
        ("year 0|year 1\nname 0.4 x|name 0.8 x\nname 0.2 x|name 0.4 x\n", 2),
        ("1,5   2,5\n3,5   4,5\n", 2),
    ],
)
def test_commas_and_spaces_within_values(tmp_path, content, n_columns):
    assert len(frame_of(tmp_path, content)[0][0]) == n_columns


def test_decimal_commas_are_no_delimiters(tmp_path):
    assert frame_of(tmp_path, "1,5;2,5\n3,5;4,5\n", header=False)[0][1:] == [[1.5, 2.5], [3.5, 4.5]]


def test_labels_may_be_words_for_missing_values(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("region,other\nNA,NA\nEU,x\nNA,y\n,z\n")
    frame, _ = read_noted(path, labels=["region"])
    assert frame["region"].tolist()[:3] == ["NA", "EU", "NA"]
    assert frame.isna().sum().tolist() == [1, 1]
    assert read_noted(path, Reading(missing="NA"), labels=["region"])[0]["region"].isna().sum() == 3
    path.write_text("region\nNA\n1.5\n")  # numbers, of which one is missing
    assert read_noted(path, labels=["region"])[0]["region"].isna().sum() == 1


def test_fields_of_any_length(tmp_path):
    before = csv.field_size_limit()
    rows, _ = frame_of(tmp_path, 'a,b\n1,"{0}"\n2,{0}\n'.format("x" * 200_000))
    assert [len(row[1]) for row in rows[1:]] == [200_000, 200_000]
    with pytest.raises(ValueError, match="ragged: the header has 2 fields, but line 3 has 3"):
        frame_of(tmp_path, "a,b\n1,{0}\n2,{0},3\n".format("x" * 200_000))
    assert csv.field_size_limit() == before


def test_runs_of_tabs(tmp_path):
    rows, notes = frame_of(
        tmp_path, "".join(f"{i}.5\t{i}\t{'' if i % 7 else chr(9)}{i % 3}\n" for i in range(50))
    )
    assert len(rows[0]) == 3
    assert "whitespace" in notes


@pytest.mark.parametrize(
    ("content", "line"),
    [('a,b\n1,"x\n2,y\n3,z\n', 2), ('a,b\n1,"x\ny"\n2,"y\n3,z\n', 4), ('# c\na,b\n1,"y', 3)],
)
def test_quotes_that_are_never_closed(tmp_path, content, line):
    with pytest.raises(ValueError, match=f"a quote that is never closed, in the row of line {line}"):
        frame_of(tmp_path, content)


def test_quotes_that_are_inches(tmp_path):
    rows, _ = frame_of(tmp_path, 'a,b\n1,5" pipe\n2,6\n3,"a ""b"" c"\n')
    assert [row[1] for row in rows[1:]] == ['5" pipe', "6", 'a "b" c']


def test_the_decimal_sign_that_is_said_is_handed_on(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1.234;1\n2.500;2\n")
    assert read_table(tmp_path / "t.csv", reading=Reading(decimal=",")).attrs == {"decimal": ","}
    assert read_table(tmp_path / "t.csv", reading=Reading(decimal=".")).attrs == {"decimal": "."}
    assert read_table(tmp_path / "t.csv").attrs == {}
