"""Arrays from files and from scikit-learn, and their encoder."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import fastnn
from fastnn import _unpack
from fastnn.data import BUILT_IN, ArrayEncoder, encoder_from_dict, read_arrays, take

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


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in(name):
    data = read_arrays(name)
    assert (data.name, data.kind, data.test) == (name, "array", None)
    assert len(data.rows) == len(data.y) == data.n
    if data.feature_names is not None:
        assert len(data.feature_names) == data.rows.shape[1]


def test_built_in_labels_and_shapes():
    assert read_arrays("digits").rows.shape == (1797, 8, 8)
    iris = read_arrays("iris")
    assert iris.feature_names[0] == "sepal length (cm)"
    assert sorted(set(iris.y)) == ["setosa", "versicolor", "virginica"]
    assert read_arrays("linnerud").y.shape == (20, 3)


@pytest.mark.parametrize("idx_folder", ["", ".gz"], indirect=True)
def test_idx_folder(idx_folder):
    data = read_arrays(idx_folder)
    ref = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype="u1")
    assert data.rows.dtype == np.uint8
    assert np.array_equal(data.rows, ref)
    assert np.array_equal(data.y, np.arange(30) % 10)
    assert data.test[0].shape == (12, 4, 5)
    one = next(idx_folder.glob("t10k-images*"))
    assert np.array_equal(read_arrays(one, labelled=False).rows, data.test[0])
    with pytest.raises(ValueError, match="is one array: expected x and y"):
        read_arrays(one)


def test_npz_with_and_without_test_rows(tmp_path):
    x, y = np.arange(80.0).reshape(20, 2, 2), np.arange(20)[:, None] % 2 + 5
    np.savez(tmp_path / "own.npz", x=x, y=y)
    data = read_arrays(str(tmp_path / "own.npz"))
    assert data.name == "own"
    assert np.array_equal(data.rows, x)
    assert np.array_equal(data.y, y[:, 0])
    assert data.test is None
    np.savez(tmp_path / "both.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])  # as Keras has it
    data = read_arrays(tmp_path / "both.npz")
    assert np.array_equal(data.rows, x)
    assert data.test[0].shape == (3, 2, 2)


def test_npy_is_mapped(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    x, y = np.arange(60.0).reshape(20, 3), np.array(["a", "b"] * 10)
    for name, array in (("x", x), ("y", y), ("x_test", x[:4]), ("y_test", y[:4])):
        np.save(folder / f"{name}.npy", array)
    data = read_arrays(folder)
    assert data.name == "set"
    assert isinstance(data.rows, np.memmap)
    assert np.array_equal(data.rows, x)
    assert np.array_equal(data.y, y)
    assert data.test[0].shape == (4, 3)
    assert np.array_equal(take(data.rows, np.array([3, 1])), x[[3, 1]])
    pair = read_arrays([folder / "x.npy", str(folder / "y.npy")])
    assert np.array_equal(pair.rows, x)
    assert np.array_equal(pair.y, y)


def test_unlabelled(tmp_path):
    x = np.ones((3, 2))
    np.save(tmp_path / "new.npy", x)
    np.savez(tmp_path / "new.npz", x=x)
    for path in (tmp_path / "new.npy", tmp_path / "new.npz"):
        data = read_arrays(path, labelled=False)
        assert data.y is None
        assert data.n == 3
    data = read_arrays("iris", labelled=False)
    assert (data.y, data.n) == (None, 150)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones(3)}, "holds 'a': expected arrays x and y"),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, "x has 3 rows and y has 4"),
        ({"x": np.ones((3, 2)), "y": np.ones(())}, "y is a single value"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "x is empty"),
        ({"x": np.ones((2, 2)), "y": np.array([None, 1])}, "cannot be read as .npz"),
        (
            {"x": np.ones((2, 2)), "y": [0, 1], "x_test": np.ones((1, 3)), "y_test": [1]},
            r"x_test have shape \(3,\), but those of x have \(2,\)",
        ),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_arrays(tmp_path / "data.npz")


def test_of_many_arrays_some_are_named(tmp_path):
    np.savez(tmp_path / "data.npz", **{f"a{k:03}": np.ones(1) for k in range(100)})
    with pytest.raises(ValueError, match=r"'a029', \.\.\. \(100 names\): expected arrays x and y"):
        read_arrays(tmp_path / "data.npz")


def test_bad_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="Did you mean 'digits'"):
        read_arrays("digit")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_arrays((tmp_path / "x.npy", tmp_path / "y.npy"))
    with pytest.raises(TypeError, match="two paths"):
        read_arrays([tmp_path])
    with pytest.raises(ValueError, match=r"neither x\.npy and y\.npy nor the four IDX files"):
        read_arrays(tmp_path)
    (tmp_path / "data.txt").touch()
    with pytest.raises(ValueError, match=r"expected \.npz, \.npy"):
        read_arrays(tmp_path / "data.txt")
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    with pytest.raises(ValueError, match="holds 'x': expected arrays x and y"):
        read_arrays(tmp_path)
    with pytest.raises(ValueError, match="is one array: expected x and y"):
        read_arrays(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c[:-9],
        lambda c: c[:20],
        lambda c: b"no",
        lambda c: b"",
        lambda c: c.replace(b"{", b"(").replace(b"PK\x01\x02", b"PK\x01\x03"),
    ],
)
@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_damaged_npz_and_npy(tmp_path, ending, damage):
    path = tmp_path / f"data.{ending}"
    if ending == "npz":
        np.savez(path, x=np.ones((3, 2)), y=np.ones(3))
    else:
        np.save(path, np.ones((3, 2)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"cannot be read as \.{ending}: .+\.$"):
        read_arrays(path, labelled=False)


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: c[:20], lambda c: b"no", lambda c: b""])
@pytest.mark.parametrize("idx_folder", ["", ".gz"], indirect=True)
def test_damaged_idx(idx_folder, damage):
    path = next(idx_folder.glob("train-images*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"train-images.*' is (cut short or )?damaged"):
        read_arrays(idx_folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no train-images.* four IDX files"):
        read_arrays(idx_folder)


def test_files_that_unpack_to_too_much(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1 << 18, 8)))
    (tmp_path / "x-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(1 << 24)))
    monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", 1 << 20)
    monkeypatch.setattr(_unpack, "_LARGEST_RATIO", 10)
    for name in ("x.npz", "x-idx3-ubyte.gz"):
        with pytest.raises(ValueError, match=f"{name}' unpacks to more than 1 MiB.*FASTNN_MAX_UNPACKED"):
            read_arrays(tmp_path / name, labelled=False)
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "1GB")
    assert len(read_arrays(tmp_path / "x.npz", labelled=False).rows) == 1 << 18


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_items_without_a_byte(ending, tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "|S0", "fortran_order": False, "shape": (10**18,)}
    )
    if ending == "npz":
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("x.npy", content.getvalue())
    else:
        (tmp_path / "x.npy").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match=rf"cannot be read as \.{ending}: it.* is no array of numbers"):
        read_arrays(tmp_path / f"x.{ending}", labelled=False)


@pytest.mark.parametrize("kind", ["float64", "float32", "uint8", "int16", "bool"])
def test_encoder_is_scikit_learns_scaler(rng, dtype, kind):
    from sklearn.preprocessing import StandardScaler

    rows = (rng.integers(0, 2 if kind == "bool" else 200, (300, 3, 5))).astype(kind)
    rows[:, 1, 1] = 1  # a constant
    ref = StandardScaler().fit_transform(rows.reshape(300, -1).astype(np.float64))
    comp = ArrayEncoder(dtype).fit(rows).transform(rows)
    assert comp.dtype == dtype
    assert comp.flags.c_contiguous
    np.testing.assert_allclose(comp, ref, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-13)
    assert np.all(comp[:, 6] == 0)


def test_blocks_are_one_whole(rng, monkeypatch):
    from fastnn.data import arrays

    rows = np.asfortranarray(rng.normal(1e6, 1e-2, (500, 7)))
    ref = ArrayEncoder("float64").fit(rows).transform(rows)
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 8 * 7 * 9)
    comp = ArrayEncoder("float64").fit(rows).transform(rows)
    np.testing.assert_allclose(comp, ref, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(comp.std(axis=0), 1, rtol=1e-6)


def test_bytes_are_not_blown_up():
    rows = np.random.default_rng(0).integers(0, 256, (40_000, 400), dtype="u1")  # 16 MB, 128 in float64
    encoder = ArrayEncoder()
    tracemalloc.start()
    encoder.fit(rows[:100])
    tracemalloc.reset_peak()
    x = encoder.fit(rows).transform(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes + 40e6


def test_round_trip_through_json(rng):
    rows = rng.normal(5, 3, (50, 4, 2))
    encoder = ArrayEncoder().fit(rows)
    state = json.loads(json.dumps(encoder.to_dict()))
    assert state["shape"] == [4, 2]
    again = encoder_from_dict(state)
    assert np.array_equal(again.transform(rows), encoder.transform(rows))
    assert np.array_equal(again.transform(rows.reshape(50, 8)), encoder.transform(rows))
    assert again.feature_names == encoder.feature_names
    assert again.feature_names[:3] == ["x[0, 0]", "x[0, 1]", "x[1, 0]"]
    assert again.describe() == encoder.describe()
    assert again.describe()[0]["features"] == 8
    named = ArrayEncoder(feature_names=list("abcdefgh")).fit(rows)
    assert encoder_from_dict(named.to_dict()).feature_names == list("abcdefgh")


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (np.array([["a"], ["b"]]), ValueError, "must be numbers, got dtype <U1"),
        (np.ones(3), ValueError, r"shape \(n, ...\), got \(3,\)"),
        (np.ones((0, 3)), ValueError, "empty"),
        (np.ones((3, 2)) * 1j, ValueError, "must be numbers"),
        (np.array([[1.0, 2], [3, np.nan]]), ValueError, "row 1 is NaN or infinite in feature 1"),
    ],
)
def test_bad_rows(rows, error, message):
    with pytest.raises(error, match=message):
        ArrayEncoder().fit(rows)


def test_bad_rows_to_transform(rng):
    encoder = ArrayEncoder().fit(rng.normal(size=(9, 2, 3)))
    with pytest.raises(ValueError, match=r"shape \(2, 3\), or flat, each, got \(3, 2\)"):
        encoder.transform(np.ones((4, 3, 2)))
    with pytest.raises(ValueError, match="row 1 is NaN or infinite in feature 0"):
        encoder.transform([[0] * 6, [np.inf] * 6])
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        ArrayEncoder("int8")
    with pytest.raises(ValueError, match="feature_names has 1 names, but the rows have 6 features"):
        ArrayEncoder(feature_names=["a"]).fit(np.ones((4, 6)))


def test_trains(rng):
    data = read_arrays("iris")
    classes, y = np.unique(data.y, return_inverse=True)
    encoder = ArrayEncoder(feature_names=data.feature_names).fit(data.rows)
    net = fastnn.MLP([len(encoder.feature_names), 16, len(classes)], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.01), seed=0)
    trainer.fit(encoder.transform(data.rows), y, epochs=60, verbose=0)
    assert (net.predict(encoder.transform(data.rows)) == y).mean() > 0.95
