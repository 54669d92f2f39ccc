"""What would be done with each column of a table."""

import pytest

from fastnn.data import describe_table

pandas = pytest.importorskip("pandas")


def test_each_column_has_its_reason(tmp_path):
    n = 60
    table = pandas.DataFrame(
        {
            "size": [k / 7 for k in range(n)],
            "unit": ["cm"] * n,
            "colour": ["red", "blue", "green"] * 20,
            "code": [f"c{k // 2}" for k in range(n)],
            "text": [f"the {k} quick brown foxes of {k % 7}" for k in range(n)],
            "zip": ["01234", "99999"] * 30,
            "row": range(n),
            "y": ["yes", "no"] * 30,
        }
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    told = describe_table(tmp_path / "t.csv", "y", columns={"zip": "one_hot", "row": "ignore"})
    assert told.note.to_dict() == {
        "size": "holds numbers",
        "unit": "says the same in every row",
        "colour": "holds 3 values",
        "code": "holds 30 values",
        "text": "holds texts of several words",
        "zip": "is to be read as one_hot",
        "row": "was to be left out",
    }


def test_many_categories_and_remarks():
    table = {"code": [f"c{k // 2}" for k in range(80)] + ["other"]}
    assert describe_table(table).loc["code"].to_dict() == {
        "kind": "category",
        "encoding": "embedding of width 13",
        "features": 1,
        "missing": 0,
        "distinct": 41,
        "note": "holds 40 values, too many for one-hot; rare values taken together: 1",
    }
