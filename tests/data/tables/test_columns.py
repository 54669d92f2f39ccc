"""The features of categories and of free text, and the columns that files hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data.tables.examples import again, people
from fastnn.data import TableEncoder
from fastnn.data.tables.columns import Category, Date, Ignored, Number, Text, column_from_dict

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")


def test_categories_by_hand():
    fit = pd.DataFrame({"c": ["b", "a", None, "a", " b ", "rare", None], "d": ["x", "y"] * 3 + ["x"]})
    new = pd.DataFrame({"c": ["a", "b", None, "rare", "new", " a"], "d": ["x", None, "y", "z", "z", ""]})
    one_hot = TableEncoder().fit(fit)
    assert one_hot.feature_names == ["c=a", "c=b", "c is missing", "d=x", "d=y"]
    ref = [
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(one_hot.transform(new), ref)
    assert one_hot.unseen == {"c": 2, "d": 2}
    assert one_hot.unseen_summary() == (
        "Categories unseen or rare in training: 2 of 'c', 2 of 'd'. "
        "Gaps in columns that had none in training: 2 of 'd'."
    )
    embedded = TableEncoder(max_one_hot=0).fit(fit)
    assert embedded.embeddings == {0: (3, 3), 1: (3, 3)}
    np.testing.assert_array_equal(embedded.transform(new), [[1, 1], [2, 0], [0, 2], [0, 0], [0, 0], [1, 0]])
    assert embedded.unseen == {"c": 2, "d": 2}
    embedded.transform(fit.drop(index=5))
    assert embedded.unseen == {}
    assert embedded.unseen_summary() == ""


def test_categories_are_told_apart_by_text():
    """What a file holds as 1 may come as 1.0 beside a missing value, or as text."""
    encoder = TableEncoder(columns={"c": "category"}).fit({"c": [1, 2, 2, 1, 3, 3]})
    ref = np.eye(3)[[0, 2]]
    for values in ([1, 3], [1.0, 3.0], ["1", "3 "], pd.Categorical([1, 3]), pd.array([1, 3], "Int8")):
        np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": values})), ref)


def test_text_is_what_scikit_learn_makes_of_it():
    from sklearn.feature_extraction.text import TfidfVectorizer

    frame = people()[["note", "age"]]
    encoder = TableEncoder(dtype="float64").fit(frame)
    assert encoder.is_sparse
    x = again(encoder).transform(frame)
    assert x.format == "csr"
    ref = TfidfVectorizer(min_df=2).fit_transform(frame["note"]).toarray()
    np.testing.assert_allclose(x.toarray()[:, :-1], ref, rtol=1e-14)
    assert encoder.feature_names[0] == "note: bank"
    missing = encoder.transform({"note": [None, 3], "age": [20, 30]}).toarray()
    assert not missing[:, :-1].any()


# --- columns in files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        Number("a", 1, 2, "note", 0.5, 1, 2.5, True),
        Date("a", form="%d.%m.%Y %H:%M:%S%z", zone="Europe/Berlin", cycles=["year"]),
        Date("a", form="%Y%m%d", zone="UTC+01:00"),
        Date("a", form="ms"),
        Category("a", categories=["", "x", None]),
        Category("a", encoding="embedding", categories=["x"], width=2),
        Text("a", vocabulary=["x", "y"], idf=[1, 1.5]),
        Ignored("a", reason="is empty"),
    ],
    ids=lambda column: column.kind,
)
def test_a_column_is_read_as_it_was_written(column):
    state = json.loads(json.dumps(column.to_dict()))
    assert column_from_dict(state) == column
    assert column_from_dict({"kind": column.kind, "name": "a"} | state) == column


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"kind": "smell"}, "the column must be a column with a kind, one of number, category, "),
        ([], "the column must be a column with a kind"),
        ({"kind": "number"}, "the column lacks the entry 'name'"),
        ({"kind": "number", "name": ["a"]}, r"the column.name must be text, got \['a'\]"),
        ({"kind": "number", "name": "a", "scale": 0}, "scale must be a finite number above 0, got 0"),
        ({"kind": "number", "name": "a", "kilo": 1}, "the column has the entry 'kilo'"),
        ({"kind": "date", "name": "a", "zone": "nowhere"}, "no date can be read in zone 'nowhere'"),
        ({"kind": "date", "name": "a", "zone": "/etc/passwd"}, "zone must be the name of a time zone"),
        ({"kind": "date", "name": "a", "zone": "dateutil//etc/passwd"}, "zone must be the name of a time"),
        ({"kind": "date", "name": "a", "form": "x"}, "form must be one in which dates can be read, got 'x'"),
        ({"kind": "date", "name": "a", "form": "%H:%Q"}, "in zone 'UTC' and form '%H:%Q'"),
        ({"kind": "date", "name": "a", "cycles": ["decade"]}, "cycles must be one of year, month, week, day"),
        ({"kind": "date", "name": "a", "cycles": ["day", "day"]}, "cycles has an entry twice"),
        ({"kind": "category", "name": "a", "encoding": "hash"}, "encoding must be one of one_hot, embedding"),
        ({"kind": "category", "name": "a", "categories": ["x", "x"]}, "categories has an entry twice"),
        ({"kind": "category", "name": "a", "categories": [None, "x"]}, "must have null at the end only"),
        ({"kind": "category", "name": "a", "width": 3}, "width must be above 0 in an embedding and 0 else"),
        ({"kind": "category", "name": "a", "encoding": "embedding"}, "width must be above 0 in an embedding"),
        ({"kind": "text", "name": "a"}, "vocabulary must have at least a word"),
        ({"kind": "text", "name": "a", "vocabulary": ["x"], "idf": []}, "and idf an entry for each"),
        ({"kind": "text", "name": "a", "vocabulary": ["x", "x"], "idf": [1, 1]}, "has an entry twice"),
    ],
)
def test_a_column_of_a_file_is_checked(state, reason):
    with pytest.raises(ValueError, match=reason):
        column_from_dict(state)


def test_categories_that_differ_only_by_case():
    encoder = TableEncoder().fit({"c": ["Yes", "yes", "no", "no "] * 5})
    assert encoder.notes() == [
        "the column 'c': values that differ only by case or spaces: 'Yes' and 'yes' (kept apart)."
    ]


@pytest.mark.parametrize("wrong", [{"decimal": ";"}, {"duration": "d:h"}])
def test_forms_that_there_are_not(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be one of"):
        column_from_dict({"kind": "number", "name": "x", **wrong})
