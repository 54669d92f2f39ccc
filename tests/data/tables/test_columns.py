"""The features of categories and of free text."""

from __future__ import annotations

import numpy as np
import pytest

from data.tables.examples import again, people
from fastnn.data import TableEncoder

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
    assert one_hot.unseen_summary() == "Categories unseen or rare in training: 2 of 'c', 2 of 'd'."
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
