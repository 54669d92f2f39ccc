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
        ([[1], [2, 3]], None, "its rows differ in shape"),
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


def test_labels_are_cleaned_everywhere_alike(rng):
    y = [" yes", "no", "yes ", "e\u0301t\u00e9", "\u00e9t\u00e9"]
    target = Target("sure").fit(y)
    assert target.classes == ["no", "yes", "\u00e9t\u00e9"]
    assert target.read(y).tolist() == ["yes", "no", "yes", "\u00e9t\u00e9", "\u00e9t\u00e9"]
    assert target.notes(y) == []
    mixed = Target("sure").fit(["Yes", "yes", "no", "New  York", "New York"])
    (note,) = mixed.notes([])
    assert note.endswith("case or spaces: 'New  York' and 'New York', 'Yes' and 'yes' (kept apart).")
    answers = Target().fit([True, False])
    assert answers.read(["TRUE", "false", "True"]).tolist() == [True, False, True]
    both = Target().fit(np.array([True, 1, 0, False], object))
    assert both.read(np.array([1, True], object)).tolist() == [1, True]
    assert [type(label) for label in both.read(np.array([1, True], object))] == [int, bool]


def test_labels_beyond_what_a_float_holds():
    for big in ([2**53, 2**53 + 1], [2**63, -1], [2**64, 2**64 + 1]):
        target = Target("id", "classification").fit(np.array(big * 2, object))
        assert target.classes == sorted(big)
        assert target.read(big).tolist() == big


@pytest.mark.parametrize(
    ("write", "note"),
    [
        (lambda v: f"${v:,.2f}", "the target 'price': its numbers are written as $1,234.5."),
        (
            lambda v: f"{v:.2f}".replace(".", ",") + " €",
            "the target 'price': its numbers are written as 1234,5 €.",
        ),
        (lambda v: f"{v:.1f}%", "the target 'price': its numbers are written as 1234.5 %."),
        (lambda v: f" {v} ", None),
    ],
)
def test_values_in_their_dress(write, note, rng):
    values = np.round(rng.lognormal(8, 1, 100), 1)
    y = np.array([write(value) for value in values], object)
    assert guess_task(y) == "regression"
    target = Target("price").fit(y)
    np.testing.assert_allclose(target.read(y), values, rtol=1e-12)
    assert target.notes(y) == ([note] if note else [])
    twin = again(target)
    np.testing.assert_array_equal(twin.encode(y), target.encode(values))
    with pytest.raises(ValueError, match="'price' holds '5 lb', which is not a number"):
        twin.encode(["5 lb"])
    with pytest.raises(ValueError, match="missing or infinite in 1 of 2 rows"):
        twin.encode([y[0], "n/a"])


def test_an_outlier_is_pointed_out(rng):
    y = rng.uniform(100, 500, 300)
    target = Target("price").fit(y)
    assert target.notes(y) == []
    assert target.notes(rng.lognormal(0, 1.5, 300)) == []
    y[7] = 1e9
    (note,) = Target("price").fit(y).notes(y)
    assert note.startswith("the largest value of 'price' (1e+09) is 2,")
    assert note.endswith("times the 99th percentile: is it a mistake?")
    y[7] = -1e9
    assert "the lowest value of 'price' (-1e+09)" in Target("price").fit(y).notes(y)[0]
    both = np.column_stack([y, np.arange(300.0)])
    assert "the lowest value of 'a'" in Target("a, b").fit(both).notes(both)[0]


def test_other_columns_show_the_decimal_sign_of_values():
    y = [f"{i}.{i % 9 + 1}00" for i in range(10, 60)]
    target = Target("price").fit(y)
    assert target.read(y)[:2].tolist() == [10.2, 11.3]
    assert target.notes(y) == ["the target 'price': '10.200' is read as 10.2: '.' is the decimal sign."]
    target = Target("price").fit(y, decimal_sign=",")
    assert target.read(y)[:2].tolist() == [10200, 11300]
    assert again(target).read(y)[:2].tolist() == [10200, 11300]


def test_numbers_in_another_dress_than_in_training_are_refused():
    target = Target("rent").fit([f"{i},50 €" for i in range(40)])
    with pytest.raises(
        ValueError, match=r"'CHF 3', which is not a number written as in training, such as 1234,5 €"
    ):
        target.encode(["CHF 3"])


def test_durations_are_told_to_be_seconds():
    target = Target("run").fit([f"{i % 3}:{i:02d}:30" for i in range(40)])
    assert target.notes(["0:00:30"]) == ["the target 'run': its durations are read as seconds."]
