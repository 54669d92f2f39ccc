"""Where a table begins, and whether it has a header."""

from __future__ import annotations

import pytest

from fastnn.data.tables.layout import find_layout


def rows_of(text):
    return [[cell.strip() for cell in line.split(",")] if line else [] for line in text.split("/")]


@pytest.mark.parametrize(
    "text",
    [
        "a,b/1,2/3,4",
        "country,2019,2020,2021/France,1,5,2/Spain,3,2,1",  # years
        "0,1,2,3/0.5,0.1,0.7,0.2/0.1,0.2,0.1,0.3",  # pandas' numbers of columns
        "400,410,425,430,2/1.5,1.2,1.9,1.1,0/1.1,1.4,1.2,1.3,1/2.1,2.0,2.2,1.9,1".replace(
            "425,430,2", "425,430,440"
        ),
        ",x,y/0,5,u/1,6,v",  # an index without a name
        "name,city/Bob,Rome/Eve,Bern",
        "name,city/Bob,Rome/name,city/Eve,Rome",  # repeated
        "when,what/2024-01-05,tea/2024-01-06,milk",
        "price,kind/$5,a/$1 200,b",
        "x/1/2/3",
        "a,b,c/,,/1,2,3",
        ",,/1,2,3/4,5,6",  # no names
    ],
)
def test_headers_are_found(text):
    rows = rows_of(text)
    layout = find_layout(rows)
    assert layout.header
    assert layout.start == 1
    assert [name for name, cell in zip(layout.names, rows[0], strict=True) if cell] == [
        c for c in rows[0] if c
    ]
    assert layout.notes == []


@pytest.mark.parametrize(
    "text",
    [
        "5.1,3.5,setosa/4.9,3.0,setosa/6.3,3.3,virginica",
        "1,0,0,0.5/0,0,0,-1.5/1,0,0,0.1",
        "p,x,s,n/e,x,s,y/e,b,s,w/p,x,y,w/p,x,y,n",
        "39,State-gov,77516,Male,<=50K/50,Private,83311,Male,<=50K/38,Private,215646,Female,>50K/1,State-gov,7,Male,x",
        "8,150,3/5,90,1/4,88,2",
        "?,1.5,a/2,2.5,a/3,4.5,b",
        "2024-01-05,1.5/2024-01-06,2.5",
        "1.5/2.5/0.5",
        "0.5,1,2/1.5,2,-9",
    ],
)
def test_no_header(text):
    rows = rows_of(text)
    layout = find_layout(rows)
    assert not layout.header
    assert layout.start == 0
    assert layout.names == [f"column {i}" for i in range(1, len(rows[0]) + 1)]
    assert "without a header" in layout.notes[0]


@pytest.mark.parametrize(
    "text", ["Paris,12,14/Rome,11,15/Bern,9,7", "0,1/1,0/1,1", "7,Smith,3/9,Jones,4", "0,1,2/2,1,0/1,2,2"]
)
def test_what_is_not_sure_is_a_header_and_said(text):
    layout = find_layout(rows_of(text))
    assert layout.header
    assert "--no-header" in layout.notes[0]
    assert find_layout(rows_of(text), True).notes == []
    assert find_layout(rows_of(text), False).start == 0


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("Report/a,b,c/1,2,3/4,5,6", 2),
        ("Report//a,b/1,2/4,5", 3),
        ("Report,,/a,b,c/1,2,x/4,5,y", 2),
        ("Report,//a,b/1,x/4,y", 3),
        ("Report,2024,,,,/of,May,,,,/a,b,c,d,e,f/1,2,3,4,5,6/1,2,3,4,5,6", 3),
        ("Report on a, b/by me/a,b,c,d/1,2,3,4/5,6,7,8", 3),
        (",,/a,b,c/1,2,3", 2),
        ("Title/5.1,3.5,a/4.9,3.0,a", 1),
    ],
)
def test_titles_are_left_out(text, start):
    layout = find_layout(rows_of(text))
    assert layout.start == start
    assert any("above the table" in note for note in layout.notes) or text.startswith(",")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b/1,2,/3,4,", ["a", "b", "column 3"]),  # rows end with a separator
        ("a,b/1,2,5/2,4,6/3,1,1", ["column 1", "a", "b"]),  # R writes names of rows
        ("a,b/x,2,5/y,4,6/z,1,1", ["column 1", "a", "b"]),
        ("a,b/1,2,5/1,4,6/1,3,1", ["a", "b"]),  # ragged
        ("a,b,c/u,v,w,x/y,z,u,v/u,x,y,z", ["a", "b", "c"]),  # ragged
        ("a,b,c/1,2,3/1,2,3,4/1,2,3,4/1,2,3,4", ["a", "b", "c"]),  # ragged
    ],
)
def test_headers_of_another_length(text, names):
    layout = find_layout(rows_of(text))
    assert layout.names == names
    assert layout.start == 1
