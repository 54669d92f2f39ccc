"""Rows at the end of a table that are no data."""

from __future__ import annotations

import io

import numpy as np
import pytest

from fastnn.data import read_dataset
from fastnn.data.tables.footer import find_footer

pd = pytest.importorskip("pandas")
N = 20


def with_footer(*rows):
    """A table of shops with other rows below."""
    shops = [f"shop {i % 7}" for i in range(N)]
    data = {"shop": shops, "sales": [float(i) for i in range(N)], "kind": ["a", "b"] * (N // 2)}
    return pd.concat([pd.DataFrame(data), *(pd.DataFrame([row], columns=list(data)) for row in rows)])


@pytest.mark.parametrize(
    ("rows", "n_rows", "note"),
    [
        ([["Total", 190.0, None]], 1, "the last row looks like a footer ('Total'): it is left out."),
        (
            [["Grand total:", "190.00", ""]],
            1,
            "the last row looks like a footer ('Grand total:'): it is left",
        ),
        ([["Average", 9.5, None]], 1, "the last row looks like a footer ('Average')"),
        (
            [["Summe", 190, None], ["Quelle: Amt", None, None]],
            2,
            "the last 2 rows look like a footer ('Summe')",
        ),
        ([["Source: office", None, None]], 1, "the last row looks like a footer ('Source: office')"),
        ([["20 rows", np.nan, pd.NA]], 1, "the last row looks like a footer ('20 rows')"),
        ([["Total", 191.0, None]], 0, "the last row looks like a footer ('Total'), and is taken for data"),
        ([["Total", 5.0, "a"]], 0, "the last row looks like a footer ('Total'), and is taken for data"),
        ([["shop 3", 190.0, "a"]], 0, ""),
        ([["shop 9", None, None]], 0, ""),
        ([["All good things", 3.0, "a"]], 0, ""),
        ([], 0, ""),
    ],
)
def test_footers(rows, n_rows, note):
    found = find_footer(with_footer(*rows))
    assert found[0] == n_rows
    assert found[1].startswith(note)
    assert bool(found[1]) == bool(note)


def test_a_category_is_no_footer():
    frame = with_footer(["Total", 5.0, "a"])
    frame.iloc[3, 0] = "Total"
    assert find_footer(frame) == (0, "")
    assert find_footer(with_footer()[:5]) == (0, "")


def test_a_footer_is_left_out_of_the_data():
    lines = [f'{i % 5 + 1},shop {i % 3},"${i * 100 + 1000:,}"' for i in range(30)]
    text = "\n".join(["n,shop,price", *lines, 'Total,,"$73,500"'])
    data = read_dataset(io.StringIO(text), "price")
    assert data.n == 30
    assert data.notes == ["the last row looks like a footer ('Total'): it is left out."]
    assert read_dataset(io.StringIO(text), labelled=False).n == 31  # as many predictions as rows


def test_words_for_a_missing_target():
    table = {"x": np.arange(30), "price": [*(f"${i},000" for i in range(10, 38)), "n/a", "-"]}
    with pytest.raises(ValueError, match="'price' is missing in 2 of 30 rows"):
        read_dataset(table, "price")
    assert read_dataset(table, "price", drop_missing=True).n == 28
    labels = {"x": np.arange(30), "price": ["high", "low", "n/a"] * 10}
    assert read_dataset(labels, "price").n == 30
