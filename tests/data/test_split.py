"""Splits: no row in two parts, every row in one, and the shares, groups and times that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.data import Dataset, split_rows


def check_whole(split, n):
    """Every row is in exactly one part."""
    assert np.array_equal(np.sort(np.concatenate(split[:3])), np.arange(n))


@pytest.mark.parametrize(
    ("n", "test", "validation"),
    [(10, 0.2, 0.1), (1000, 0.25, 0.5), (7, 0, 0.3), (7, 0.3, 0), (5, 0, 0), (3, 0.01, 0.01)],
)
@pytest.mark.parametrize("y", [None, "two classes", "values"])
def test_shares(n, test, validation, y):
    y = {"two classes": np.arange(n) % 2, "values": np.linspace(0, 1, n)}.get(y)
    split = split_rows(n, y=y, test=test, validation=validation)
    check_whole(split, n)
    for part, share in ((split.test, test), (split.validation, validation)):
        assert part.dtype == np.int64
        assert np.all(np.diff(part) > 0)
        assert len(part) == (max(1, round(n * share)) if share else 0)


def test_seeds():
    one, same, other = (split_rows(100, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.test, same.test)
    assert np.array_equal(one.train, same.train)
    assert not np.array_equal(one.test, other.test)


@pytest.mark.parametrize("label", [int, str, float, bool])
def test_classes_keep_their_shares(rng, label):
    y = np.repeat([0, 1], [300, 900])[rng.permutation(1200)].astype(label)
    split = split_rows(1200, y=y, test=0.2, validation=0.1)
    for part in split[:3]:
        assert np.isclose(np.mean(y[part] == y[split.train[0]]), np.mean(y == y[split.train[0]]), atol=0.01)
    assert split.notes == ()


def test_all_rows_of_a_class_are_as_likely():
    """Which rows are tested is left to chance alone: a mean of 400 draws, of deviation 0.02."""
    y = np.repeat([0, 1], [12, 28])
    tested = np.zeros(40)
    for seed in range(400):
        tested[split_rows(40, y=y, seed=seed).test] += 1
    assert np.abs(tested / 400 - 0.2).max() < 0.09


def test_as_scikit_learn_splits():
    selection = pytest.importorskip("sklearn.model_selection")
    y = np.repeat([0, 1, 2], [50, 70, 30])
    _, ref = selection.train_test_split(y, test_size=30, stratify=y, random_state=0)
    split = split_rows(150, y=y, test=0.2)
    assert np.array_equal(np.bincount(y[split.test]), np.bincount(ref))


def test_rare_classes():
    y = np.array(["a"] * 50 + ["b"] * 49 + ["c"])
    split = split_rows(100, y=y)
    assert 99 in split.train
    assert split.notes == (
        "1 class is too rare to be in the validation part: 'c'.",
        "1 class is too rare to be in the test part: 'c'.",
    )
    for seed in range(20):
        y = np.random.default_rng(seed).integers(0, 30, 60)
        split = split_rows(60, y=y, seed=seed, task="classification")
        assert set(y[split.train]) == set(y)
        assert "too rare" in split.notes[0]
        half = split_rows(60, y=y, seed=seed, task="classification", test=0.3, validation=0.2)
        assert set(y[half.train]) == set(y)
    assert split_rows(60, y=y, task="regression").notes == ()


@pytest.mark.parametrize("seed", range(5))
def test_groups(rng, seed):
    groups = np.array([f"patient {g}" for g in rng.integers(0, 40, 500)])
    split = split_rows(500, groups=groups, seed=seed)
    check_whole(split, 500)
    train, validation, test = (set(groups[part]) for part in split[:3])
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    assert abs(len(split.test) - 100) < 20
    assert abs(len(split.validation) - 50) < 20


def test_few_or_large_groups():
    split = split_rows(12, groups=[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    assert [len(part) for part in split[:3]] == [4, 4, 4]
    with pytest.raises(ValueError, match="there are 2 groups: expected at least 3"):
        split_rows(4, groups=[1, 1, 2, 2])
    assert len(split_rows(4, groups=[1, 1, 2, 2], validation=0).test) == 2
    for seed in range(10):  # one group holds nearly everything
        groups = np.r_[np.zeros(90, int), 1 + np.arange(10)]
        split = split_rows(100, groups=groups, seed=seed)
        assert all(len(part) for part in split[:3])


def test_times(rng):
    times = rng.permutation(100)
    split = split_rows(100, times=times)
    check_whole(split, 100)
    assert times[split.train].tolist() == list(range(70))
    assert times[split.validation].tolist() == list(range(70, 80))
    assert times[split.test].tolist() == list(range(80, 100))
    assert split_rows(10, by="time").test.tolist() == [8, 9]
    assert split_rows(10, by="time", test=0, validation=0.2).validation.tolist() == [8, 9]


def test_equal_times_stay_together(rng):
    times = np.sort(rng.integers(0, 9, 100))
    split = split_rows(100, times=times)
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()
    with pytest.raises(ValueError, match="same time: none are left for the training part"):
        split_rows(10, times=np.zeros(10))


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", None])
def test_columns_of_a_table(form):
    pd = pytest.importorskip("pandas")
    days = pd.date_range("2020-01-01", periods=100)[::-1]
    frame = pd.DataFrame({"day": days if form is None else days.strftime(form), "who": list("abcd") * 25})
    data = Dataset("t", "table", frame, np.arange(100) % 2)
    split = split_rows(data, times="day")
    assert sorted(split.test) == list(range(20))
    assert set(frame["who"].iloc[split_rows(data, groups="who").test]).isdisjoint(
        frame["who"].iloc[split_rows(data, groups="who").train]
    )
    with pytest.raises(ValueError, match="Did you mean 'day'"):
        split_rows(data, times="dey")
    with pytest.raises(ValueError, match="times must be numbers or dates, got values such as 'a'"):
        split_rows(data, times="who")
    frame.loc[3, "who"] = None
    frame.loc[3, "day"] = None
    with pytest.raises(ValueError, match="the column 'who' lacks 1 of 100 values"):
        split_rows(data, groups="who")
    with pytest.raises(ValueError, match="the column 'day' lacks 1 of 100 values"):
        split_rows(data, times="day")


def test_rows_that_the_source_tests_with():
    x, y = np.arange(20.0)[:, None], np.arange(20) % 2
    data = Dataset("t", "array", x, y, test=(x[:4], y[:4]))
    split = split_rows(data, validation=0.2)
    check_whole(split, 20)
    assert (len(split.train), len(split.validation), len(split.test)) == (16, 4, 0)
    assert len(split_rows(Dataset("t", "array", x, y)).test) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0.6, "validation": 0.4}, "none are left to train"),
        ({"test": 1.0}, "test must lie in"),
        ({"validation": -0.1}, "validation must lie in"),
        ({"by": "tiem"}, "Did you mean 'time'"),
        ({"by": "group"}, "needs groups"),
        ({"by": "random", "times": np.arange(10)}, "split is by random: expected by='time'"),
        ({"groups": np.arange(10), "times": np.arange(10)}, "split is by group: expected by='time'"),
        ({"groups": np.arange(9)}, "the data has 10 rows and groups has 9"),
        ({"y": np.arange(9)}, "the data has 10 rows and y has 9"),
        ({"groups": "who"}, "rows are not a table"),
        ({"times": [1.0, np.nan] * 5}, "times lacks 5 of 10 values"),
        ({"y": np.arange(10), "task": "regresion"}, "Did you mean 'regression'"),
    ],
)
def test_bad_splits(options, message):
    with pytest.raises(ValueError, match=message):
        split_rows(10, **options)


def test_too_few_rows():
    with pytest.raises(ValueError, match="too few rows, 2,"):
        split_rows(2)
    with pytest.raises(TypeError, match="number of rows must be an integer"):
        split_rows("iris")
