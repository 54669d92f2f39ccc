"""HDF5 files from strangers: no other file is read, and sizes are compared before memory is taken."""

import json
import zipfile

import numpy as np
import pytest

from fastnn import _unpack
from fastnn.exchange import from_keras
from fastnn.exchange.hdf5 import open_hdf5

h5py = pytest.importorskip("h5py")

CONFIG = {
    "class_name": "Sequential",
    "config": {
        "layers": [{"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "linear"}}]
    },
}
BOTH = ("model.h5", "model.keras")


def write(path, add, names=("d/kernel", "d/bias")):
    """A model of one layer, to whose group `add` adds the kernel."""
    keras, hdf5 = path.suffix == ".keras", path.with_suffix(".h5")
    with h5py.File(hdf5, "w") as file:
        if keras:
            group = file.create_group("layers/dense/vars")
            add(group, "0")
            group["1"] = np.zeros(2, "f4")
        else:
            file.attrs["model_config"] = json.dumps(CONFIG)
            group = file.create_group("model_weights/d")
            group.attrs["weight_names"] = list(names)
            add(group, "d/kernel")
            group["d/bias"] = np.zeros(2, "f4")
    if keras:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(CONFIG))
            archive.writestr("metadata.json", "{}")
            archive.write(hdf5, "model.weights.h5")


@pytest.fixture
def secret(tmp_path):
    """A file of another program, and one of HDF5, of which nothing must be read."""
    np.arange(6, dtype="f4").tofile(tmp_path / "secret")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["k"] = np.arange(6, dtype="f4").reshape(3, 2)
        file["group/kernel"] = np.arange(6, dtype="f4").reshape(3, 2)
    return tmp_path


def virtual(group, name, folder):
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "k", (3, 2))
    group.create_virtual_dataset(name, layout)


OUTSIDE = {
    "storage": lambda g, name, d: g.create_dataset(name, (3, 2), "f4", external=[(d / "secret", 0, 24)]),
    "link": lambda g, name, d: g.__setitem__(name, h5py.ExternalLink(d / "other.h5", "/k")),
    "soft link": lambda g, name, d: g.__setitem__(name, h5py.SoftLink("/elsewhere")),
    "virtual": virtual,
}


@pytest.mark.parametrize("way", OUTSIDE)
@pytest.mark.parametrize("name", BOTH)
def test_other_files_are_not_read(name, way, secret):
    path = secret / name
    write(path, lambda group, key: OUTSIDE[way](group, key, secret))
    reason = "is in another file|may lead out of the file"
    with pytest.raises(ValueError, match=f"{name}' is not a usable Keras model: .*({reason})"):
        from_keras(path)


@pytest.mark.parametrize("place", ["model_weights", "model_weights/d", "model_weights/d/d"])
def test_groups_of_other_files_are_not_entered(place, secret):
    path = secret / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(CONFIG)
        if place != "model_weights":
            file.create_group(place.rpartition("/")[0])
        if place.endswith("/d/d"):
            file["model_weights/d"].attrs["weight_names"] = ["d/kernel"]
        file[place] = h5py.ExternalLink(secret / "other.h5", "/group")
    with pytest.raises(ValueError, match="is a ExternalLink, which may lead out of the file"):
        from_keras(path)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("side", [3_000, 10**7])
def test_arrays_that_were_never_written(name, side, tmp_path):
    write(tmp_path / name, lambda group, key: group.create_dataset(key, (side, side), "f4", chunks=(9, 9)))
    with pytest.raises(ValueError, match=f"claims {4 * side * side} bytes, more than the file holds"):
        from_keras(tmp_path / name)


@pytest.mark.parametrize("name", BOTH)
def test_arrays_that_unpack_to_too_much(name, tmp_path, monkeypatch):
    def add(group, key):
        group.create_dataset(key, data=np.zeros((1000, 2), "f4"), compression="gzip", chunks=(1000, 2))

    write(tmp_path / name, add)
    assert from_keras(tmp_path / name).sizes == (1000, 2)
    monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", 1000)
    monkeypatch.setattr(_unpack, "_LARGEST_RATIO", 5)
    if name == "model.keras":  # its members are not compressed
        monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", 7000)
    with pytest.raises(ValueError, match="unpacks to more than"):
        from_keras(tmp_path / name)


def test_a_small_array_of_a_large_chunk(tmp_path):
    """A chunk is unpacked as a whole, even if the array has a single number of it."""
    options = {"chunks": (20_000, 20_000), "maxshape": (None, None), "compression": "gzip"}
    write(tmp_path / "m.h5", lambda group, key: group.create_dataset(key, (3, 2), "f4", **options))
    with pytest.raises(ValueError, match="the array 'd/kernel' unpacks to more than 256 MiB"):
        from_keras(tmp_path / "m.h5")


def test_an_array_that_has_many_names(tmp_path):
    kernel = np.ones((1000, 2), "f4")
    names = [f"k{k}" for k in range(9)]

    def add(group, key):
        group[key] = kernel
        for name in names:
            group[name] = group[key]

    write(tmp_path / "m.h5", add, ("d/kernel", *names))
    with pytest.raises(ValueError, match="'k1' claims 8000 bytes, more than the file holds"):
        from_keras(tmp_path / "m.h5")


@pytest.mark.parametrize("content", [np.array([b"a", b"b"]), h5py.Empty("f4"), np.zeros(3, "c8")])
def test_what_is_no_array_of_numbers(content, tmp_path):
    write(tmp_path / "m.h5", lambda group, key: group.create_dataset(key, data=content))
    with pytest.raises(ValueError, match="'d/kernel' is not an array of numbers"):
        from_keras(tmp_path / "m.h5")


def test_what_there_is_not(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a/b"] = np.ones(3)
    with open_hdf5(tmp_path / "m.h5") as reader:
        assert reader.read(reader.file, "/a/b").tolist() == [1, 1, 1]
        assert reader.n_numbers == 3
        for path in ("c", "a/c", "a/b/c"):
            with pytest.raises(KeyError, match=path):
                reader.find(reader.file, path)
    with pytest.raises(ValueError, match=r"neither a .keras nor an HDF5 file"), open_hdf5(b"no file"):
        pass


@pytest.mark.parametrize("size", [0, 8, 10**6])
def test_a_damaged_heap(size, tmp_path):
    """HDF5 2.0.0 never ends reading a text of which the heap has an object without length."""
    path = tmp_path / "m.h5"
    write(path, lambda group, key: group.create_dataset(key, data=np.ones((3, 2), "f4")))
    assert from_keras(path).sizes == (3, 2)
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    after = first + 16 + -(-int.from_bytes(content[first + 8 : first + 16], "little") // 8) * 8
    while int.from_bytes(content[after : after + 2], "little"):  # on to the space that is left
        after += 16 + -(-int.from_bytes(content[after + 8 : after + 16], "little") // 8) * 8
    content[after + 8 : after + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it is damaged: an object does not fit into the heap"):
        from_keras(path)
