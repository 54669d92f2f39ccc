"""Networks as ONNX files: against ONNX Runtime, and read back."""

import numpy as np
import pytest

import fastnn
from exchange.onnx_networks import ACTIVATIONS, check, make, rows_for, run
from fastnn.exchange import from_onnx, to_onnx
from fastnn.exchange.onnx_operators import OPERATORS
from fastnn.kernels.activations import OUTPUTS

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name, dtype, rng):
    net = make([5, 16, 16, 3], name, output="softmax", dtype=dtype)
    x, expected, content, close = check(net, rng)
    back = from_onnx(content)
    np.testing.assert_allclose(back.predict_raw(x), expected, **close)
    assert back.activations == net.activations or name == "prelu"
    assert (back.output, back.dtype, back.sizes) == (net.output, net.dtype, net.sizes)


@pytest.mark.parametrize("output", [*OUTPUTS, None])
@pytest.mark.parametrize("n_out", [1, 4])
def test_every_output(output, n_out, dtype, rng):
    net = make([5, 8, n_out], "tanh", output=output, dtype=dtype)
    x, expected, content, close = check(net, rng)
    np.testing.assert_allclose(from_onnx(content).predict_raw(x), expected, **close)


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "batch"},
        {"norm": "layer"},
        {"norm": [None, "batch", "layer"], "residual": True, "dropout": 0.3, "input_dropout": 0.1},
        {"residual": [False, True, True], "activation": ["identity", "identity", "prelu"]},
        {"activation": "prelu", "norm": "batch", "residual": True},
        {
            "activation": [
                fastnn.Activation("elu", alpha=0.3),
                fastnn.Activation("leaky_relu", alpha=0.2),
                "relu",
            ]
        },
    ],
)
def test_what_layers_may_have(options, dtype, rng):
    net = make([6, 9, 9, 9, 2], **options, dtype=dtype)
    x, expected, content, close = check(net, rng)
    back = from_onnx(content)
    np.testing.assert_allclose(back.predict_raw(x), expected, **close)
    assert (back.norm, back.residual) == (net.norm, net.residual)
    for name, view in net.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], view)


@pytest.mark.parametrize(
    "embeddings",
    [{2: (4, 3)}, {0: (7, 2), 2: (3, 1), 3: (2, 2)}, {0: (2, 1), 1: (3, 2), 2: (4, 3), 3: (5, 4)}],
)
def test_embeddings(embeddings, dtype, rng):
    net = make([4, 8, 3], "relu", output="softmax", embeddings=embeddings, dtype=dtype)
    content = check(net, rng)[2]
    with pytest.raises(ValueError, match=r"node 'embeddings.* is an operator that cannot be part of an MLP"):
        from_onnx(content)


def test_no_hidden_layer(dtype, rng):
    check(make([4, 3], output="softmax", dtype=dtype), rng)
    check(make([4, 3], dtype=dtype), rng)


def test_one_row_and_none(rng):
    net = make([4, 5, 3], output="softmax")
    x = rows_for(net, rng, 3)
    content = to_onnx(net)
    np.testing.assert_allclose(run(content, x=x[:1])["output"], net.predict_raw(x[:1]), rtol=1e-5)
    assert run(content, x=x[:0])["output"].shape == (0, 3)


def test_the_file_is_the_same_each_time_and_written_whole(tmp_path):
    net = make([4, 5, 3], "silu", output="softmax")
    content = to_onnx(net, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == content == to_onnx(net)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert from_onnx(tmp_path / "model.onnx").sizes == (4, 5, 3)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.producer_version) == ("fastnn", fastnn.__version__)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"fastnn": fastnn.__version__}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_passes_the_full_check(dtype):
    for name in ACTIVATIONS:
        model = onnx.load_from_string(to_onnx(fastnn.MLP([3, 4, 2], name, norm="layer", dtype=dtype, seed=0)))
        onnx.checker.check_model(model, full_check=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_bring_their_labels():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])
    model = fastnn.MLPClassifier((8,), solver="lbfgs", max_iter=200, random_state=0).fit(x, labels[y])
    found = run(to_onnx(model), x=x)
    assert (found["label"] == model.predict(x)).all()
    np.testing.assert_allclose(found["output"], model.predict_proba(x), atol=1e-12)
    binary = fastnn.MLPClassifier((8,), solver="lbfgs", max_iter=200, random_state=0).fit(
        x[:100], y[:100] * 5
    )
    assert (run(to_onnx(binary), x=x[:100])["label"] == binary.predict(x[:100])).all()
    values = fastnn.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=100, random_state=0).fit(
        x, x[:, 0] * 2
    )
    found = run(to_onnx(values), x=x)
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"][:, 0], values.predict(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("n_out", "output", "classes"),
    [
        (3, "softmax", ["a", "b", "c"]),
        (3, "identity", [3, 5, 8]),
        (3, "sigmoid", [0.5, 1.5, 2.5]),
        (1, "sigmoid", [False, True]),
        (1, "identity", ["no", "yes"]),
    ],
)
def test_labels(n_out, output, classes, rng):
    target = {"name": "y", "task": "classification", "classes": classes, "mean": None, "scale": None}
    net = make([4, 6, n_out], output=output)
    net.metadata = {"target": target}
    x = rows_for(net, rng)
    raw = net.predict_raw(x)
    middle = 0.5 if output == "sigmoid" else 0.0
    numbers = raw.argmax(axis=1) if n_out > 1 else (raw[:, 0] > middle).astype(int)
    content = to_onnx(net)
    assert (run(content, x=x)["label"] == np.array(classes)[numbers]).mean() >= 0.998
    assert from_onnx(content).metadata["target"]["classes"] == classes


def test_what_is_no_network():
    with pytest.raises(TypeError, match=r"to_onnx takes a fastnn.MLP"):
        to_onnx("model.safetensors")

    def softsign(z):
        return z / (1 + abs(z))

    with pytest.raises(
        ValueError, match="activation 'softsign' is a function of your own, which ONNX cannot"
    ):
        to_onnx(fastnn.MLP([2, 3, 1], fastnn.Activation(softsign), seed=0))


def test_an_activation_without_an_operator_is_refused(monkeypatch):
    monkeypatch.delitem(OPERATORS, "hard_swish")
    with pytest.raises(ValueError, match="activation 'hard_swish', which cannot be written to an ONNX file"):
        to_onnx(fastnn.MLP([3, 4, 2], "hard_swish", seed=0))
