"""Text that a spreadsheet would take for a formula: written with an apostrophe, and read back without."""

import io
import random

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
from fastnn.data import TableStream, read_table  # noqa: E402
from fastnn.data.tables.spreadsheets import escape, to_csv, unescape  # noqa: E402

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", " =1", "\t=1", "\r=1", "\n=1",
    "-x", "+49 170 1", "\uff1d1", "\uff0dx", "=", "'=1", "''=1",
]  # fmt: skip
HARMLESS = ["", "a", "a=b", "-5", "+5.25", "-1,234.5e-3", "-5%", "-", "--", "'tis", "'", '"=1"', "a\tb"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_begin_with_an_apostrophe(text):
    assert escape(text).lstrip("\t\r\n").startswith("'")
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_left_as_it_is(text):
    assert escape(text) == unescape(text) == text


def test_another_separator_begins_no_formula():
    """A spreadsheet of another country splits the line at semicolons, whatever is quoted."""
    assert escape("a;=1;-x\n@b") == "a;'=1;'-x\n'@b"


def test_any_text_is_read_back():
    random.seed(0)
    texts = {"".join(random.choices("'=+-@; \t\n\ra1.\uff1d", k=random.randint(0, 6))) for _ in range(20_000)}
    assert all(unescape(escape(text)) == text for text in texts)


def test_a_table_is_read_back_with_its_names():
    texts = [text for text in FORMULAS + HARMLESS if text and "\r" not in text]
    n = len(texts)
    frame = pandas.DataFrame(
        {"=name": texts, "-5": np.arange(n) - 2.5, "day": pandas.to_datetime(["2024-01-01"] * n)}
    )
    before = frame.copy()
    content = to_csv(frame)
    assert content.splitlines()[0] == "'=name,-5,day"
    assert frame.equals(before)
    assert list(frame.columns) == list(before.columns)
    again = read_table(io.StringIO(content))
    assert again["=name"].tolist() == texts
    assert again["-5"].tolist() == frame["-5"].tolist()
    assert pandas.read_csv(io.StringIO(to_csv(frame, raw=True)))["=name"].tolist()[:4] == texts[:4]


def test_categories_missing_values_and_objects():
    frame = pandas.DataFrame(
        {"c": pandas.Categorical(["=a", None, "b"]), "o": ["-x", None, 5], "b": [True, False, True]}
    )
    assert to_csv(frame).splitlines() == ["c,o,b", "'=a,'-x,True", ",,False", "b,5,True"]


def test_a_stream_reads_it_back_too(tmp_path):
    frame = pandas.DataFrame({"a": np.arange(30.0), "y": ["=1+1", "-x", "b"] * 10})
    for k in range(2):
        (tmp_path / f"{k}.csv").write_text(to_csv(frame))
    stream = TableStream(tmp_path, "y")
    assert sorted(stream.distinct_labels()) == ["-x", "=1+1", "b"]
    _, labels = stream.sample(60)[:2]
    assert set(labels) == {"-x", "=1+1", "b"}
