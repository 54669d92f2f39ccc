"""Sheets of Excel: which is read, where its table is, and what is no table."""

from __future__ import annotations

import datetime
import zipfile

import pytest

from fastnn.data import Reading, read_source, read_table
from fastnn.data.tables.files import read_noted

openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("pyarrow")

TABLE = [["x", "label"], [1.5, "no"], [2, "yes"], [0.5, "no"]]


@pytest.fixture
def write(tmp_path):
    """Write an .xlsx file of sheets by name, rows of cells each; returns its path."""

    def write(**sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "t.xlsx")
        return tmp_path / "t.xlsx"

    return write


def check_table(frame):
    assert [frame.columns.tolist(), *frame.values.tolist()] == TABLE


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (TABLE, ""),
        ([["Report of May"], [], *TABLE], "without 1 line above the table"),
        ([[], [], *TABLE], ""),
        ([[None, None, *row] for row in TABLE], ""),  # beside column A
        ([*TABLE[:2], [None, " "], *TABLE[2:], [None] * 30], ""),
        ([[*row, None, None] for row in TABLE], ""),
    ],
)
def test_where_the_table_is(write, rows, note):
    frame, notes = read_noted(write(Data=rows))
    check_table(frame)
    assert note in " ".join(notes)
    assert bool(notes) == bool(note)


def test_sheets(write):
    path = write(Readme=[["see the other"]], Data=TABLE, More=[["a", "b"], [1, 2]])
    frame, (note,) = read_noted(path)
    check_table(frame)
    assert "from the sheet 'Data' of 'Readme', 'Data', 'More' (--sheet)" in note
    for sheet in ("Data", "2", 2):
        check_table(read_table(path, reading=Reading(sheet=sheet)))
    assert read_table(path, reading=Reading(sheet="More")).columns.tolist() == ["a", "b"]
    for sheet in ("data", 0, 4):
        with pytest.raises(ValueError, match="has the sheets 'Readme', 'Data', 'More': there is no sheet"):
            read_table(path, reading=Reading(sheet=sheet))
    with pytest.raises(
        ValueError, match=r"target must be one of a, b.* is read from the sheet 'A' of 'A', 'B'"
    ):
        read_source(write(A=[["a", "b"], [1, 2]], B=TABLE), target="label")


def test_titles_of_several_cells(write):
    rows = [["Report"], ["by", datetime.date(2024, 1, 5)], [], ["region", "sales", "when"]]
    rows += [["NS"[i % 2], 1.5 * i, datetime.datetime(2024, 1, 1 + i)] for i in range(9)]
    frame, (note,) = read_noted(write(Data=rows))
    assert frame.columns.tolist() == ["region", "sales", "when"]
    assert frame["sales"].dtype == float
    assert "without 2 lines above the table" in note


def test_hidden_sheets_are_passed_over(write):
    book = openpyxl.load_workbook(path := write(Old=[["a", "b"], [1, 2]], Data=TABLE))
    book["Old"].sheet_state = "hidden"
    book.save(path)
    check_table(read_table(path))
    assert read_table(path, reading=Reading(sheet="Old")).columns.tolist() == ["a", "b"]


def test_header_and_rows_can_be_said(write):
    rows = [[1, "u"], [2, "v"], [3, "u"]]
    frame, (note,) = read_noted(write(Data=[[1.5, "u"], [2.5, "v"], [0.5, "u"]]))
    assert frame.columns.tolist() == ["column 1", "column 2"]
    assert "without a header" in note
    path = write(Data=[["a", "b", "c"], *rows])
    assert read_table(path, reading=Reading(skip_rows=1, header=False)).shape == (3, 2)
    assert read_table(path, reading=Reading(missing=["2"]))["a"].isna().tolist() == [False, True, False]


def test_kinds_of_cells(write):
    day, time = datetime.datetime(2024, 1, 5), datetime.time(9, 30)
    rows = [
        ["zip", "number", "text number", "gap", "day", "time", "flag", "error", 2019],
        ["00501", 1, "1.5", 1.5, day, time, True, "#N/A", 1],
        ["10001", 2, "2.5", "NA", day, time, False, 3, 2],
    ]
    frame = read_table(write(Data=rows))
    assert frame.columns.tolist() == [*rows[0][:-1], "2019"]
    assert frame["zip"].tolist() == ["00501", "10001"]
    assert [frame[name].dtype.kind for name in ("number", "text number", "gap", "day", "flag")] == list(
        "iffMb"
    )
    assert frame["time"].tolist() == [time, time]
    assert frame["error"].isna().tolist() == [True, False]


def test_labels_may_be_words_for_missing_values(write):
    data = read_source(write(Data=[["x", "region"], [1, "NA"], [2, "EU"], [3, "NA"]]), target="region")
    assert data.y.tolist() == ["NA", "EU", "NA"]
    assert "'NA' in 2 rows of the target 'region' is taken for a label" in data.notes[0]


@pytest.mark.parametrize("rows", [[], [["x", "label"]]])
def test_empty_sheets(write, rows):
    with pytest.raises(ValueError, match=r"is empty|no rows below its header"):
        read_table(write(Data=rows))


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}<sheetData>{}</sheetData></worksheet>'


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "".join(
                f'<row r="{i}"><c r="A{i}"><v>1</v></c><c r="XFD{i}"><v>2</v></c></row>'
                for i in range(1, 999)
            ),
            "cells in the first 306 rows of the sheet 'Data' are empty",
        ),
        ('<row r="1">' + "<c/>" * 3_000_000 + "</row>", "unpacks to more than .* --max-unpacked"),
        ('<row r="9999999999"><c r="A9999999999"><v>1</v></c></row>', "more than 1,048,576 rows"),
        ('<row r="1"><c r="ZZZZZZ1"><v>1</v></c></row>', "cut short, damaged or not a valid .xlsx"),
        ('<row r="1"><c r="A1" t="s"><v>77</v></c></row>', "cut short, damaged or not a valid .xlsx"),
    ],
)
def test_sheets_that_claim_too_much(write, tmp_path, rows, message):
    path = write(Data=TABLE)
    big = zipfile.ZipFile(tmp_path / "big.xlsx", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as old, big as new:
        for name in old.namelist():
            claimed = SHEET.format('<dimension ref="A1:XFD1048576"/>', rows)
            new.writestr(name, claimed if "sheet1" in name else old.read(name))
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "big.xlsx")
