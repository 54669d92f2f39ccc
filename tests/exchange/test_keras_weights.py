"""Keras' Sequential models as networks: files made by hand, and by Keras itself."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

from fastnn.exchange import from_keras

h5py = pytest.importorskip("h5py")


def dense(rng, name, n_in, n_out, activation="linear", **more):
    config = {"name": name, "units": n_out, "activation": activation, "use_bias": True} | more
    arrays = {"kernel": rng.normal(0, 1, (n_in, n_out)), "bias": rng.normal(0, 1, n_out)}
    return "Dense", config, arrays if config["use_bias"] else {"kernel": arrays["kernel"]}


def batch_norm(rng, name, n, **more):
    config = {"name": name, "axis": -1, "epsilon": 0.001, "center": True, "scale": True} | more
    arrays = {
        "gamma": rng.uniform(0.5, 2, n),
        "beta": rng.normal(0, 1, n),
        "moving_mean": rng.normal(0, 1, n),
        "moving_variance": rng.uniform(0.01, 2, n),
    }
    if not config["scale"]:
        del arrays["gamma"]
    return "BatchNormalization", config, arrays


def config_of(layers, sequential="Sequential"):
    described = [{"class_name": kind, "config": config} for kind, config, _ in layers]
    return {"class_name": sequential, "config": {"name": "model", "layers": described}}


def write_h5(path, layers, version="3.5.0", config=None):
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(config or config_of(layers))
        for _, settings, arrays in layers:
            group = file.create_group(f"model_weights/{settings['name']}")
            group.attrs["weight_names"] = [f"model/{settings['name']}/{name}:0" for name in arrays]
            for name, array in arrays.items():
                group[f"model/{settings['name']}/{name}:0"] = array.astype(np.float32)


def write_keras(path, layers, version="3.5.0", root="layers"):
    """Layers are found by class and number, whatever their names."""
    groups = {
        "Dense": "dense",
        "BatchNormalization": "batch_normalization",
        "PReLU": "p_re_lu",
        "Dropout": "dropout",
    }
    content, taken = io.BytesIO(), {}
    with h5py.File(content, "w") as file:
        for kind, _, arrays in layers:
            number = taken[kind] = taken.get(kind, -1) + 1
            name = groups.get(kind, kind.lower()) + (f"_{number}" if number else "")
            group = file.create_group(f"{root}/{name}/vars")
            for key, array in enumerate(arrays.values()):
                group[str(key)] = array.astype(np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config_of(layers)))
        archive.writestr("model.weights.h5", content.getvalue())


@pytest.fixture
def layers(rng):
    """Normalisation after an activation and before one; a dense layer without bias; what does nothing."""
    return [
        ("InputLayer", {"name": "input", "batch_shape": [None, 4]}, {}),
        dense(rng, "first", 4, 6, "tanh"),
        ("Dropout", {"name": "drop", "rate": 0.2}, {}),
        batch_norm(rng, "after", 6),
        dense(rng, "second", 6, 5, use_bias=False),
        batch_norm(rng, "before", 5, scale=False),
        ("ReLU", {"name": "act", "negative_slope": 0.0, "max_value": None, "threshold": 0.0}, {}),
        dense(rng, "third", 5, 3, "softmax"),
    ]


def expected(layers, x):
    """What those layers give."""

    def normed(x, layer):
        arrays = layer[2]
        scale = arrays.get("gamma", 1.0) / np.sqrt(arrays["moving_variance"] + 0.001)
        return (x - arrays["moving_mean"]) * scale + arrays["beta"]

    a = normed(np.tanh(x @ layers[1][2]["kernel"] + layers[1][2]["bias"]), layers[3])
    a = np.maximum(normed(a @ layers[4][2]["kernel"], layers[5]), 0)
    e = np.exp(a @ layers[7][2]["kernel"] + layers[7][2]["bias"])
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("form", ["h5", "keras", "keras of Keras 2"])
def test_files_made_by_hand(form, layers, rng, tmp_path):
    path = tmp_path / f"model.{form.split()[0]}"
    if form == "h5":
        write_h5(path, layers)
    else:
        write_keras(path, layers, root="layers" if form == "keras" else "_layer_checkpoint_dependencies")
    net = from_keras(path)
    x = rng.normal(0, 1, (200, 4))
    np.testing.assert_allclose(net.predict_proba(x), expected(layers, x), rtol=1e-4, atol=1e-6)
    assert (net.sizes, net.norm, net.output) == ((4, 6, 5, 3), (None, "batch"), "softmax")
    np.testing.assert_allclose(
        net.parameters()["layers.1.running_mean"], layers[5][2]["moving_mean"], rtol=1e-6
    )


def test_scaling_layers(rng, tmp_path):
    mean, variance = rng.normal(5, 1, 4), rng.uniform(1, 9, 4)
    layers = [
        ("Rescaling", {"name": "r", "scale": 0.5, "offset": 1.0}, {}),
        ("Normalization", {"name": "n", "mean": None}, {"mean": mean, "variance": variance}),
        dense(rng, "d", 4, 2, "sigmoid"),
    ]
    x = rng.normal(0, 10, (100, 4))
    z = (0.5 * x + 1 - mean) / np.sqrt(variance) @ layers[2][2]["kernel"] + layers[2][2]["bias"]
    for name, write in (("m.h5", write_h5), ("m.keras", write_keras)):
        write(tmp_path / name, layers)
        np.testing.assert_allclose(
            from_keras(tmp_path / name).predict_raw(x), 1 / (1 + np.exp(-z)), rtol=1e-4, atol=1e-6
        )


def test_logits(rng, tmp_path):
    write_h5(tmp_path / "m.h5", [dense(rng, "d", 4, 3)])
    assert from_keras(tmp_path / "m.h5").output == "identity"
    assert from_keras(tmp_path / "m.h5", output="softmax").output == "softmax"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rng, layers: layers[1][1].update(activation="softsign"),
            r"layer 'first' \(Dense\): activation 'softsign'",
        ),
        (
            lambda rng, layers: layers.insert(2, ("Conv1D", {"name": "c"}, {})),
            r"layer 'c' \(Conv1D\) is a layer that",
        ),
        (
            lambda rng, layers: layers[6][1].update(max_value=6.0),
            r"layer 'act' \(ReLU\) is a layer that fastnn does not have",
        ),
        (
            lambda rng, layers: layers.pop(4),
            r"layer 'before' .* takes 5 values, but .*'first' \(Dense\), gives 6",
        ),
        (lambda rng, layers: layers[4][2].clear(), r"layer 'second' \(Dense\)"),
        (lambda rng, layers: layers[3][1].update(axis=0), r"layer 'after' .* works along axis 0"),
        (
            lambda rng, layers: layers.insert(2, ("ReLU", {"name": "again"}, {})),
            r"layer 'again' \(ReLU\): .* does not follow",
        ),
        (
            lambda rng, layers: layers.append(
                (
                    "Dense",
                    {"name": "x", "activation": {"class_name": "Own"}},
                    {"kernel": np.ones((3, 1)), "bias": np.ones(1)},
                )
            ),
            "activation 'Own'",
        ),
        (
            lambda rng, layers: layers.insert(
                2,
                (
                    "LayerNormalization",
                    {"name": "ln", "epsilon": 0.001, "center": False},
                    {"gamma": np.ones(6)},
                ),
            ),
            "layer 'ln'",
        ),
    ],
)
@pytest.mark.parametrize("write", [write_h5, write_keras])
def test_layers_that_fastnn_has_not(change, message, write, layers, rng, tmp_path):
    change(rng, layers)
    write(tmp_path / "model.file", layers)
    with pytest.raises(ValueError, match=message) as caught:
        from_keras(tmp_path / "model.file")
    assert "model.file' is not a usable Keras model" in str(caught.value)


def test_hard_sigmoid_of_keras_2_is_another(rng, tmp_path):
    layers = [dense(rng, "a", 4, 3, "hard_sigmoid"), dense(rng, "b", 3, 1)]
    write_h5(tmp_path / "m.h5", layers)
    assert from_keras(tmp_path / "m.h5").activations[0].name == "hard_sigmoid"
    write_h5(tmp_path / "m.h5", layers, version="2.15.0")
    with pytest.raises(ValueError, match="activation 'hard_sigmoid' is not one of"):
        from_keras(tmp_path / "m.h5")


def test_other_models(layers, tmp_path):
    write_h5(tmp_path / "m.h5", layers, config=config_of(layers, "Functional"))
    with pytest.raises(ValueError, match="it is a model of class 'Functional': expected 'Sequential'"):
        from_keras(tmp_path / "m.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["w"] = np.ones(3)
    with pytest.raises(ValueError, match="it has weights but no model_config"):
        from_keras(tmp_path / "weights.h5")
    write_h5(tmp_path / "m.h5", [], config={"class_name": "Sequential", "config": {"layers": []}})
    with pytest.raises(ValueError, match=r"it has no dense layer|model_weights"):
        from_keras(tmp_path / "m.h5")


def test_files_that_are_none(layers, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_keras(tmp_path / "none.keras")
    write_h5(tmp_path / "m.h5", layers)
    write_keras(tmp_path / "m.keras", layers)
    for name in ("m.h5", "m.keras"):
        content = (tmp_path / name).read_bytes()
        for end in (0, 10, len(content) // 2, len(content) - 1):
            (tmp_path / name).write_bytes(content[:end])
            with pytest.raises(ValueError, match=r"is not a usable Keras model: it is damaged"):
                from_keras(tmp_path / name)
    (tmp_path / "m.keras").write_text("hello")
    with pytest.raises(ValueError, match=r"neither a .keras nor an HDF5 file"):
        from_keras(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(ValueError, match=r"other.keras' is not a usable Keras model: .*config.json"):
        from_keras(tmp_path / "other.keras")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_what_keras_saves(rng, tmp_path):
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    names = (
        "relu",
        "tanh",
        "sigmoid",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "softplus",
        "leaky_relu",
        "hard_sigmoid",
        "hard_silu",
        "exponential",
        "linear",
    )
    keras.utils.set_random_seed(0)  # some weights make exponentials of exponentials that no float32 holds
    x = rng.normal(0, 1, (300, 4)).astype(np.float32)
    scale = layers.Normalization()
    scale.adapt(3 * x + 1)
    models = [
        keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(7, activation=name, name=f"own_{name}"),
                layers.BatchNormalization(),
                layers.Dense(6, name="a"),
                layers.BatchNormalization(scale=False),
                layers.Activation(name),
                layers.Dropout(0.1),
                layers.Dense(3, activation="softmax"),
            ]
        )
        for name in names
    ]
    models.append(
        keras.Sequential(
            [
                keras.Input((4,)),
                scale,
                layers.Dense(8),
                layers.LayerNormalization(epsilon=1e-5),
                layers.PReLU(),
                layers.Dense(8, use_bias=False),
                layers.LeakyReLU(0.17),
                layers.Dense(7),
                layers.ELU(0.4),
                layers.Dense(6),
                layers.ReLU(negative_slope=0.2),
                layers.Dense(2, "relu"),
                layers.Dense(2, "tanh"),
            ]
        )
    )
    for k, model in enumerate(models):
        for w in model.weights:
            if w.path.endswith(("gamma", "beta", "moving_mean", "moving_variance", "alpha")):
                w.assign(rng.uniform(0.2, 1.5, w.shape))
        for form in ("keras", "h5"):
            model.save(tmp_path / f"m.{form}")
            net = from_keras(tmp_path / f"m.{form}")
            ref = keras.ops.convert_to_numpy(model(x))
            np.testing.assert_allclose(net.predict_raw(x), ref, rtol=1e-4, atol=2e-6, err_msg=str((k, form)))


def sequential(kind, config):
    layer = {"class_name": kind, "config": {"name": "d"} | config}
    return json.dumps({"class_name": "Sequential", "config": [layer]})


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[" * 10**5, "nested too deeply"),
        ('{"class_name": "Sequential", "class_name": "Sequential"}', "names 'class_name' twice"),
        ('{"class_name": "Sequential", "config": {"layers": 5}}', "its layers must be a list"),
        (json.dumps({"class_name": "Sequential", "config": [0] * 20_000}), "a list of at most 10000"),
        ("5", "it is a model of class None: expected 'Sequential'"),
        ('{"class_name": "Sequential", "config": [{"class_name": "Dense"}]}', "each of its layers must be"),
        (sequential(["Dense"], {}), "each of its layers must be an object with a class_name"),
        (sequential("Dense", {"name": ["d"]}), r"the name of a layer must be text, got \['d'\]"),
        (sequential("Activation", {"activation": [1]}), r"activation \[1\] is not one of"),
        (
            sequential("Rescaling", {"scale": [[1, 2], [3]]}),
            "scale of layer 'd' .* cannot be converted to an",
        ),
        (sequential("Rescaling", {"scale": "nan"}), "scale of layer 'd' .* has 1 values that are NaN"),
        (
            sequential("Normalization", {"mean": "x"}),
            "mean of layer 'd' .* must be numeric, but it holds 'x'",
        ),
        (sequential("Normalization", {"mean": 0, "variance": -1}), "variance of layer .* at least 0, got -1"),
        (sequential("ELU", {"alpha": "x"}), "the slope of layer 'd' .* must be a number, got 'x'"),
    ],
)
def test_absurd_configs(config, reason, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_group("model_weights")
        file.attrs["model_config"] = np.bytes_(config) if len(config) < 60_000 else config[:60_000]
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", "{}")
        archive.write(tmp_path / "m.h5", "model.weights.h5")
    with pytest.raises(ValueError, match=f"m.keras' is not a usable Keras model: .*{reason}"):
        from_keras(tmp_path / "m.keras")


def test_an_archive_that_unpacks_to_too_much(layers, tmp_path, monkeypatch):
    from fastnn import _unpack

    write_keras(tmp_path / "m.keras", layers)
    with zipfile.ZipFile(tmp_path / "m.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1 << 22))
    assert len(from_keras(tmp_path / "m.keras").weights) == 3
    monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", 1 << 20)
    monkeypatch.setattr(_unpack, "_LARGEST_RATIO", 10)
    with pytest.raises(ValueError, match=r"m.keras' unpacks to more than 1 MiB"):
        from_keras(tmp_path / "m.keras")
