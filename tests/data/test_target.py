"""Targets: which task they are, and what a network is told of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastnn.data import Target, guess_task


def again(target):
    """Through its JSON."""
    return Target.from_dict(json.loads(json.dumps(target.to_dict(), allow_nan=False)))


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(50) % 2 == 0, "classification"),
        (np.arange(50) % 4, "classification"),
        (np.arange(100) % 50, "classification"),
        (np.arange(50), "regression"),  # numbers of rows, not of classes
        (np.arange(50) * 3, "regression"),
        (np.arange(50.0) / 3, "regression"),
        (np.arange(50) % 4 * 10.0, "classification"),
        (np.array(["a", "b"] * 25), "classification"),
        (np.array([1.5, 2, 3, 4], object), "regression"),
        (np.array([True, False] * 2, object), "classification"),
        (np.ones((50, 2)) * np.arange(50)[:, None], "regression"),
        (np.arange(50).reshape(50, 1) / 3, "regression"),
    ],
)
def test_guessed_task(y, task):
    assert Target().fit(y).task == task
    if y.dtype != object:
        assert guess_task(y) == task


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (np.array([3, 1, 3], np.int8), [1, 3]),
        (np.array([3.0, 1.0, 3.0]), [1.0, 3.0]),
        ([True, False], [False, True]),
        (np.array([2, 10, 1], object), [1, 2, 10]),
        (np.array(["10", 9, "x"], object), ["10", 9, "x"]),
        (np.array([" a", "b", "a"], object), ["a", "b"]),
    ],
)
def test_classes(y, classes):
    target = Target("kind").fit(y)
    assert target.classes == classes
    assert [type(label) for label in target.classes] == [type(label) for label in classes]
    assert target.n_out == len(classes)
    numbers = target.encode(y)
    assert numbers.dtype == np.int64
    assert [str(label) for label in target.decode_labels(numbers)] == [str(v).strip() for v in y]
    twin = again(target)
    np.testing.assert_array_equal(twin.encode(y), numbers)
    assert twin.to_dict() == target.to_dict()
    assert twin.classes == target.classes


def test_labels_are_told_apart_by_their_text():
    target = Target().fit([1, 2, 3])
    for y in ([3, 1], [3.0, 1.0], ["3", "1"], np.array(["3", 1.0], object), np.array([[3], [1]])):
        np.testing.assert_array_equal(target.encode(y), [2, 0])
    assert target.decode_labels([[0, 2]]).tolist() == [[1, 3]]


def test_values(rng):
    y = rng.normal(3, 20, (100, 2))
    target = Target("both").fit(y)
    assert target.task == "regression"
    assert target.classes is None
    assert target.n_out == 2
    z = target.encode(y)
    assert z.flags.c_contiguous
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-14)
    np.testing.assert_allclose(target.decode_values(z), y, rtol=1e-13, atol=1e-13)
    twin = again(target)
    np.testing.assert_array_equal(twin.encode(y), z)
    np.testing.assert_array_equal(twin.decode_values(z), target.decode_values(z))


def test_one_value_keeps_the_shape_of_outputs(rng):
    y = rng.normal(3, 20, 10)
    target = Target().fit(y)
    assert target.encode(y).shape == (10, 1)
    assert target.decode_values(np.zeros(10)).shape == (10,)
    quantiles = target.decode_values(np.zeros((10, 3)))  # several outputs for one value
    np.testing.assert_allclose(quantiles, np.full((10, 3), y.mean()))


def test_a_constant_column_beside_another():
    y = np.array([[1.0, 5.0], [2.0, 5.0]])
    assert Target().fit(y).scale == [0.5, 1.0]


def test_task_by_choice():
    assert Target(task="regression").fit([0, 1, 2]).mean == [1.0]
    assert Target(task="regression").fit(np.array(["1.5", "2.5"])).mean == [2.0]
    assert Target(task="classification").fit([0.5, 1.5, 0.5]).classes == [0.5, 1.5]


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["a", "a"], None, r"one class only \('a'\)"),
        ([5, 5, 5], None, r"one class only \(5\)"),
        ([5.5, 5.5], None, r"5.5\] in every row"),
        (["a", None, "b"], None, "missing in 1 of 3 rows"),
        (["a", " ", ""], None, "missing in 2 of 3 rows"),
        ([1.0, np.nan, 0.0], None, "missing in 1 of 3 rows"),
        ([1.5, np.inf, 2.5], None, "missing or infinite in 1 of 3 rows"),
        ([1.5, np.nan, 2.5], "regression", "missing or infinite in 1 of 3 rows"),
        (["cheap", "2.5"], "regression", "holds 'cheap', which is not a number"),
        ([-1.7e308, 1.7e308], "regression", "overflows"),
        ([], None, "no rows"),
        (np.zeros((4, 2, 2)), None, r"got shape \(4, 2, 2\)"),
        (np.eye(3), "classification", "has 3 columns: a classification takes one only"),
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"), None, "dtype datetime64.*expected labels"),
        (np.array([1j, 2j]), None, "complex128"),
        ([[1], [2, 3]], None, "inhomogeneous|labels or numbers"),
    ],
)
def test_bad_targets(y, task, message):
    with pytest.raises(ValueError, match=message):
        Target("price", task).fit(y)


def test_bad_new_rows():
    target = Target("kind").fit(["apple", "pear", "plum"])
    with pytest.raises(ValueError, match=r"'kind' holds 'aple', which .* Did you mean 'apple'"):
        target.encode(["pear", "aple"])
    with pytest.raises(ValueError, match="Did you mean 'plum'"):
        target.encode(["PLUM"])
    with pytest.raises(ValueError, match=r"'fig' \(and 1 other labels\).* one of apple, pear, plum"):
        target.encode(["fig", "kiwi"])
    with pytest.raises(ValueError, match="missing in 1 of 2 rows"):
        target.encode(["pear", None])
    with pytest.raises(ValueError, match="use decode_labels"):
        target.decode_values([0.5])
    price = Target("price").fit([1.5, 2.5])
    with pytest.raises(ValueError, match="use decode_values"):
        price.decode_labels([0])
    with pytest.raises(ValueError, match="holds 'x', which is not a number"):
        price.encode(["x"])
    with pytest.raises(ValueError, match="has 2 columns, but 1 in training"):
        price.encode(np.ones((3, 2)))
    with pytest.raises(ValueError, match="call fit first"):
        Target().encode([1.5])
    with pytest.raises(ValueError, match="Did you mean 'regression'"):
        Target(task="regresion")


def test_columns_of_pandas():
    pd = pytest.importorskip("pandas")
    for y in (
        pd.Series(["a", "b", "a"]),
        pd.Series(["a", "b", "a"], dtype="category"),
        pd.Series(["a", "b", "a"], dtype="string"),
    ):
        np.testing.assert_array_equal(Target().fit(y).encode(y), [0, 1, 0])
    assert Target().fit(pd.Series([1, 2, 1], dtype="Int64")).classes == [1, 2]
    assert Target().fit(pd.Series([1.5, 2, 1], dtype="Float64")).mean == [1.5]
    with pytest.raises(ValueError, match="missing in 1 of 3 rows"):
        Target().fit(pd.Series([1, None, 2], dtype="Int64"))
