"""Model files: round trips, and what is refused."""

import json
import os
import pickle

import numpy as np
import pytest

import fastnn
from network.networks import assert_same_network, header_of, rewrite


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
        (lambda m, a: m.update(format=99), "pip install --upgrade fastnn"),
        (lambda m, a: m.update(format="1"), "header"),
        (lambda m, a: m.pop("metadata"), "metadata"),
        (lambda m, a: m.update(metadata=[1]), "header"),
        (lambda m, a: m.update(architecture=3), "header"),
        (lambda m, a: a.pop("sizes"), "sizes"),
        (lambda m, a: a.update(sizes=[5, 10**12, 3]), "layers.0.weight"),
        (lambda m, a: a.update(sizes=[5, 7, 3] + [3] * 20_000), "20003 layer sizes"),
        (lambda m, a: a.update(sizes=[5, -7, 3]), "sizes[1] must be at least 1"),
        (lambda m, a: a.update(sizes="577"), "its sizes must be a list"),
        (lambda m, a: a.update(sizes=[5, 7, 3, 2]), "2 hidden layers"),
        (lambda m, a: a.update(dtype="float64"), "expected float64"),
        (lambda m, a: a.update(dtype={}), "dtype must be"),
        (lambda m, a: a.update(activation=[["sine", None]]), "activation must be one of"),
        (lambda m, a: a.update(activation=["relu"]), "to unpack"),
        (lambda m, a: a.update(activation=[[["relu"], None]]), "activation must be a name"),
        (lambda m, a: a.update(activation=[["relu", 0.1]]), "alpha belongs to"),
        (lambda m, a: a.update(activation=[["relu", None]] * 2), "hidden layers"),
        (lambda m, a: a.update(activation=[["prelu", None]]), "layers.0.slope"),
        (lambda m, a: a.update(norm=["batch"]), "layers.0.gain"),
        (lambda m, a: a.update(norm=[]), "hidden layers"),
        (lambda m, a: a.update(norm=None), "its norm must be a list"),
        (lambda m, a: a.update(dropout=[1.5]), "dropout must"),
        (lambda m, a: a.update(dropout=["a"]), "dropout must"),
        (lambda m, a: a.update(input_dropout=-1), "input_dropout must"),
        (lambda m, a: a.update(residual=[True]), r"residual[0]"),
        (lambda m, a: a.update(nonsense=1), "nonsense"),
        (lambda m, a: a.update(output="sine"), "output must be one of"),
        (lambda m, a: a.update(init=[]), "init has arrays of shapes []"),
        (lambda m, a: a.update(init=7), "init must be a name"),
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
