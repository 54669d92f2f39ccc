"""Model files: round trips, and what is refused."""

import json
import os
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.network import files
from network.networks import assert_same_network, header_of, replace_header, rewrite


def test_file_round_trip(model):
    net, path = model
    comp = fastnn.load(path)
    assert repr(comp) == repr(net)
    assert comp.metadata == net.metadata
    assert np.array_equal(comp.params, net.params)
    header, _ = header_of(path)
    assert json.loads(header["__metadata__"]["fastnn"])["version"] == fastnn.__version__
    assert header["layers.0.weight"]["shape"] == [5, 7]


def test_loaded_network_trains_on(model):
    net, path = model
    x, y = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3
    loaded = fastnn.load(path)
    for one in (net, loaded):
        fastnn.Trainer(one, loss="cross_entropy", seed=0).fit(x, y, epochs=3, verbose=0)
    assert np.array_equal(net.params, loaded.params)


def test_kept_round_trips(kept, rng, tmp_path):
    x = rng.standard_normal((20, 6))
    kept.predict_raw(x)  # addresses, which hold in this process only, are there
    kept.save(tmp_path / "model")
    assert_same_network(fastnn.load(tmp_path / "model"), kept, x)
    assert_same_network(pickle.loads(pickle.dumps(kept)), kept, x)


def test_a_file_holds_no_function_of_ones_own(tmp_path):
    net = fastnn.MLP([3, 4, 2], own_function, seed=0)
    with pytest.raises(ValueError, match="'own_function' is a function of your own"):
        net.save(tmp_path / "model")
    x = np.ones((2, 3))
    assert_same_network(pickle.loads(pickle.dumps(net)), net, x)


def own_function(z):
    return z * abs(z)


@pytest.mark.parametrize("name", ["prelu", "tanh", "silu"])
def test_a_function_of_ones_own_may_bear_any_name(name, tmp_path):
    def function(z):
        return z * abs(z)

    ref = fastnn.MLP([3, 4, 2], function, seed=0)
    function.__name__ = name
    net = fastnn.MLP([3, 4, 2], function, seed=0)
    x = np.ones((2, 3))
    np.testing.assert_array_equal(net.predict(x), ref.predict(x))
    assert net.n_params == ref.n_params
    with pytest.raises(ValueError, match="function of your own"):
        net.save(tmp_path / "model")


@pytest.mark.parametrize("name", ["gain", "shift", "slope", "running_mean", "running_variance"])
@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_damaged_parameters_are_refused(tmp_path, name, damage):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "model"
    fastnn.MLP([3, 4, 2], "prelu", norm="batch", seed=0).save(path)
    rewrite(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    key = f"layers.0.{name}"
    if damage == "missing":
        del tensors[key]
    else:
        tensors[key] = tensors[key][:-1] if damage == "shape" else np.full_like(tensors[key], np.nan)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ValueError, match=f"not a usable fastnn model: .*{key}"):
        fastnn.load(path)


def test_saving_is_atomic(model, monkeypatch):
    net, path = model
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    net.params[:] = 0
    with pytest.raises(OSError, match="no space left"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        fastnn.load(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 7, 8, 60, -1])
def test_truncated_file_is_refused(model, keep):
    _, path = model
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a usable fastnn model"):
        fastnn.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a model", pickle.dumps({"a": 1}), b"\xff" * 100, b"\x00" * 100]
)
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a usable fastnn model"):
        fastnn.load(path)


def test_safetensors_of_another_program_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not written by fastnn"):
        fastnn.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m, a: m.update(format=99), "pip install --upgrade fastnn-core"),
        (lambda m, a: m.update(format="1"), "header"),
        (lambda m, a: m.update(format=True), "header"),
        (lambda m, a: m.pop("metadata"), "header lacks the entry 'metadata'"),
        (lambda m, a: m.update(metadata=[1]), "header.metadata must be an object"),
        (lambda m, a: m.update(architecture=3), "header.architecture must be an object"),
        (
            lambda m, a: m.update(checksun=3),
            "header has the entry 'checksun', which this",
        ),
        (lambda m, a: m.update(checksum=3), "its checksum does not match its content"),
        (lambda m, a: a.pop("sizes"), "sizes"),
        (lambda m, a: a.update(sizes=[5, 10**8, 3]), "layers.0.weight"),
        (lambda m, a: a.update(sizes=[5, 10**12, 3]), "sizes[1] must be an integer from 1 to"),
        (
            lambda m, a: a.update(sizes=[5, 7, 3] + [3] * 20_000),
            "sizes names 20,002 layers, expected at most 10,000",
        ),
        (lambda m, a: a.update(sizes=[5, -7, 3]), "sizes[1] must be an integer from 1"),
        (lambda m, a: a.update(sizes="577"), "architecture.sizes must be a list, got '577'"),
        (lambda m, a: a.update(sizes=[5, 7, 3, 2]), "2 hidden layers"),
        (lambda m, a: a.update(dtype="float64"), "expected float64"),
        (lambda m, a: a.update(dtype={}), "dtype must be one of float32, float64"),
        (lambda m, a: a.update(activation=[["sine", None]]), "activation must be one of"),
        (lambda m, a: a.update(activation=["relu"]), "activation[0] must be a list of 2 values"),
        (lambda m, a: a.update(activation=[[["relu"], None]]), "activation[0][0] must be text, got ['relu']"),
        (lambda m, a: a.update(activation=[["relu", 0.1]]), "alpha belongs to"),
        (lambda m, a: a.update(activation=[["relu", None]] * 2), "hidden layers"),
        (lambda m, a: a.update(activation=[["prelu", None]]), "layers.0.slope"),
        (lambda m, a: a.update(norm=["batch"]), "layers.0.gain"),
        (lambda m, a: a.update(norm=[]), "hidden layers"),
        (lambda m, a: a.update(norm=None), "norm must be a list"),
        (lambda m, a: a.update(dropout=[1.5]), "dropout must"),
        (lambda m, a: a.update(dropout=["a"]), "dropout[0] must be a finite number"),
        (lambda m, a: a.update(dropout=[float("nan")]), "dropout[0] must be a finite number"),
        (lambda m, a: a.update(dropout=[10**400]), "its JSON holds a number of 401 digits"),
        (lambda m, a: a.update(embeddings=[[0, 3, 2], [0, 3, 2]]), "names a column twice"),
        (lambda m, a: a.update(input_dropout=-1), "input_dropout must"),
        (lambda m, a: a.update(residual=[True]), r"residual[0]"),
        (lambda m, a: a.update(residual=[1]), r"residual[0] must be true or false, got 1"),
        (lambda m, a: a.update(nonsense=1), "architecture has the entry 'nonsense'"),
        (lambda m, a: a.update(output="sine"), "output must be one of"),
        (lambda m, a: a.update(init=[]), "init must be text or null, got []"),
        (lambda m, a: a.update(output="\ud800"), "its JSON holds half of a surrogate pair"),
    ],
)
def test_malicious_file_is_refused_with_the_reason(model, change, reason):
    _, path = model
    rewrite(path, change)
    with pytest.raises(ValueError, match="not a usable fastnn model") as caught:
        fastnn.load(path)
    assert reason in str(caught.value)


def test_model_with_nan_is_refused(model):
    net, path = model
    net.weights[0][0, 0] = np.nan
    net.save(path)
    with pytest.raises(ValueError, match="NaN"):
        fastnn.load(path)


def test_each_flipped_bit_is_noticed(model, rng):
    """In the weights, in the header of fastnn and in that of safetensors."""
    _, path = model
    content = path.read_bytes()
    for place in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a usable fastnn model"):
            fastnn.load(path)


def test_a_file_without_a_checksum_is_read(model):
    net, path = model
    rewrite(path)
    assert np.array_equal(fastnn.load(path).params, net.params)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"format": 2, "format": 2}', "names 'format' twice"),
        ("{", "JSON is damaged"),
        ('{"format": ' + "9" * 5000 + "}", "5000 digits"),
        ("5", "header is not what fastnn writes"),
    ],
)
def test_absurd_json_is_refused(model, text, reason):
    _, path = model
    replace_header(path, text)
    with pytest.raises(ValueError, match=f"model.safetensors' is not a usable fastnn model: .*{reason}"):
        fastnn.load(path)


@pytest.mark.parametrize(("kind", "n_bytes"), [("BF16", 2), ("F8_E4M3", 1)])
def test_tensors_that_numpy_does_not_have(model, kind, n_bytes):
    _, path = model
    header, data = header_of(path)
    header["layers.0.weight"] |= {"dtype": kind, "shape": [5 * 7 * 4 // n_bytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    with pytest.raises(ValueError, match=f"tensor layers.0.weight is of type {kind}, which NumPy does not"):
        fastnn.load(path)


@pytest.mark.parametrize(
    "error",
    [KeyError("config"), ValueError("it is damaged."), OSError("no signature"), RuntimeError("no plan")],
)
def test_errors_of_content_name_the_file(error, tmp_path):
    with (
        pytest.raises(ValueError, match=r"'.*a\.h5' is not a usable Keras model: ") as caught,
        files.refusing(tmp_path / "a.h5", "Keras model"),
    ):
        raise error
    assert str(error).rstrip(".") in str(caught.value)
    with (
        pytest.raises(ValueError, match="the given content is not a usable Keras model"),
        files.refusing(b"", "Keras model"),
    ):
        raise error


def test_errors_of_the_disk_stay_as_they_are(tmp_path):
    with pytest.raises(PermissionError, match="not yours"), files.refusing(tmp_path / "a"):
        raise PermissionError(13, "not yours")


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"a": {1, 2}}, "Object of type set is not JSON serializable"),
        ({"a": np.arange(3)}, "Object of type ndarray"),
        (nested(100_000), "it is nested too deeply"),
        ({"a": 10**500}, "its JSON holds a number of 501 digits"),
        ({1: "one", "1": "one"}, "its JSON names '1' twice"),
        ({"a": "\ud800"}, "its JSON holds half of a surrogate pair"),
        ([1], r"header.metadata must be an object with named entries, got \[1\]"),
    ],
)
def test_metadata_that_could_not_be_read_again_are_not_written(metadata, reason, model):
    net, path = model
    before = path.read_bytes()
    net.metadata = metadata
    with pytest.raises(ValueError, match=f"^metadata must be a dict that JSON can hold: {reason}"):
        net.save(path)
    assert path.read_bytes() == before
