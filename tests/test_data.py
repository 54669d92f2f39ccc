"""Data sets from files: what is read, how labels are encoded, and what is refused."""

import gzip
import struct

import numpy as np
import pytest

from fastnn.data import BUILT_IN, load_dataset

pytest.importorskip("sklearn")


def write_idx(path, array):
    codes = {np.dtype("u1"): 8, np.dtype(">i4"): 12}
    head = struct.pack(f">HBB{array.ndim}I", 0, codes[array.dtype], array.ndim, *array.shape)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def idx_folder(tmp_path, request):
    ending = getattr(request, "param", ".gz")
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("t10k", 12)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", rng.integers(0, 256, (n, 4, 5), dtype="u1"))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{ending}", (np.arange(n) % 10).astype("u1"))
    return tmp_path


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


@pytest.mark.parametrize("idx_folder", ["", ".gz"], indirect=True)
def test_idx_folder(idx_folder):
    rows = load_dataset(str(idx_folder))
    assert rows.x_train.shape == (30, 20)
    assert rows.x_test.shape == (12, 20)
    ref = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype="u1")
    assert np.array_equal(rows.x_train, ref.reshape(30, 20))
    assert np.array_equal(rows.classes, np.arange(10))


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
        ({"a": np.ones(3)}, "holds a: expected arrays x and y"),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, "x has 3 rows and y has 4"),
        ({"x": np.ones((3, 2)), "y": np.ones(3, int)}, "one class only"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "empty"),
        ({"x": np.ones((2, 2)), "y": np.array([None, 1])}, "cannot be read as .npz"),
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


def test_bad_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="Did you mean 'digits'"):
        load_dataset("digit")
    with pytest.raises(FileNotFoundError, match="four IDX files"):
        load_dataset(str(tmp_path))
    (tmp_path / "data.txt").touch()
    with pytest.raises(ValueError, match=r"expected \.npz, \.csv"):
        load_dataset(str(tmp_path / "data.txt"))
    (tmp_path / "data.npz").write_bytes(b"PK but not quite")
    with pytest.raises(ValueError, match=r"cannot be read as \.npz"):
        load_dataset(str(tmp_path / "data.npz"))
    with pytest.raises(ValueError, match="test_fraction"):
        load_dataset("iris", test_fraction=1.5)


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: c[:20], lambda c: b"no", lambda c: b""])
@pytest.mark.parametrize("idx_folder", ["", ".gz"], indirect=True)
def test_damaged_idx(idx_folder, damage):
    path = next(idx_folder.glob("train-images*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="damaged or no IDX file"):
        load_dataset(str(idx_folder))
