"""What load_dataset does beyond reading: labels encoded, rows to test with split off, ``.csv``."""

import numpy as np
import pytest

from fastnn.data import BUILT_IN, load_dataset

pytest.importorskip("sklearn")


def write_csv(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name):
    rows = load_dataset(name)
    assert rows.name == name
    assert rows.x_train.dtype == np.float32
    assert (rows.classes is None) == (BUILT_IN[name] == "regression")
    n = len(rows.x_train) + len(rows.x_test)
    assert len(rows.x_test) == pytest.approx(0.2 * n, abs=1)


def test_split_is_seeded_and_stratified():
    one, same, other = (load_dataset("iris", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.x_test, same.x_test)
    assert not np.array_equal(one.x_test, other.x_test)
    assert np.array_equal(np.bincount(one.y_test), [10, 10, 10])


def test_npz_with_and_without_test_rows(tmp_path):
    x, y = np.arange(80.0).reshape(20, 2, 2), np.arange(20) % 2 + 5
    np.savez(tmp_path / "own.npz", x=x, y=y)
    rows = load_dataset(str(tmp_path / "own.npz"))
    assert rows.x_train.shape == (16, 4)
    assert np.array_equal(rows.classes, [5, 6])
    assert set(rows.y_train) == {0, 1}
    np.savez(tmp_path / "both.npz", x=x, y=y, x_test=x[:3], y_test=y[:3])
    assert load_dataset(str(tmp_path / "both.npz")).x_test.shape == (3, 4)


def test_csv(tmp_path):
    pytest.importorskip("pandas")
    lines = [f"{i},{i % 3},{'xyz'[i % 3]}" for i in range(30)]
    path = write_csv(tmp_path / "flowers.csv", "\n".join(["a,b,kind", *lines]))
    rows = load_dataset(path, target="kind", dtype="float64")
    assert rows.name == "flowers"
    assert list(rows.classes) == ["x", "y", "z"]
    assert rows.x_train.shape == (24, 2)
    assert np.array_equal(rows.y_train, rows.x_train[:, 1])


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.arange(50) % 2 == 0, "classification"),
        (np.arange(50) % 4, "classification"),
        (np.arange(50), "classification"),
        (np.arange(50) * 3, "regression"),
        (np.arange(50.0) / 3, "regression"),
        (np.arange(50) % 4 * 10.0, "classification"),
        (np.array(["a", "b"] * 25), "classification"),
        (np.ones((50, 2)) * np.arange(50)[:, None], "regression"),
    ],
)
def test_guessed_task(tmp_path, y, task):
    np.savez(tmp_path / "data.npz", x=np.zeros((50, 2)), y=y)
    rows = load_dataset(str(tmp_path / "data.npz"))
    assert (rows.classes is None) == (task == "regression")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((3, 2)), "y": np.ones(3, int)}, "one class only"),
        (
            {"x": np.ones((4, 2)), "y": [0, 1, 0, 1], "x_test": np.ones((1, 2)), "y_test": [2]},
            "y_test has the class",
        ),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_dataset(str(tmp_path / "data.npz"))


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("a,b\n1,2\n3,4\n", None, "say which column .* a, b"),
        ("speed,kind\n1,2\n3,4\n", "knid", "Did you mean 'kind'"),
        ("a,b\n1,x\n2,y\n", "a", "column 'b' is not numeric"),
        ("a,b\n1,\n2,3\n", "a", "column 'b' lacks 1 values"),
        ("a,b\n1,2,3,4\n2,3\n1,2,3,4,5,6\n", "a", "cannot be read as .csv"),
        ("", "a", "cannot be read as .csv"),
        ("a\n1\n2\n", "a", "one column only"),
    ],
)
def test_bad_csv(tmp_path, text, target, message):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=message):
        load_dataset(write_csv(tmp_path / "data.csv", text), target=target)


def test_bad_fraction():
    with pytest.raises(ValueError, match="test_fraction"):
        load_dataset("iris", test_fraction=1.5)
