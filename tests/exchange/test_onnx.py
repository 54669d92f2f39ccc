"""Networks as ONNX files and back: against ONNX Runtime, PyTorch's exporter, and formulas of the encoders."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn.activations import NAMES
from fastnn.exchange import from_onnx, onnx_export, to_onnx
from fastnn.kernels.activations import OUTPUTS

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
ort.set_default_logger_severity(3)

ACTIVATIONS = [
    name
    for name in NAMES
    if name in {"identity", "prelu", "silu", *onnx_export._OPERATORS, *onnx_export._WITH_ALPHA}
]
N_ROWS = 1000
TOLERANCE = {np.dtype("float32"): 1e-5, np.dtype("float64"): 1e-12}


def perturb(net, rng):
    """Parameters as after some training: nothing is 0 or 1 any more."""
    for name, view in net.parameters().items():
        kind = name.rpartition(".")[2]
        if kind != "weight":
            view[:] = (
                rng.uniform(0.5, 1.5, view.shape)
                if kind.startswith("running")
                else (rng.normal(0.2, 0.3, view.shape))
            )
    return net


def make(*args, rng=None, **options):
    return perturb(fastnn.MLP(*args, seed=1, **options), np.random.default_rng(5))


def run(content, **inputs):
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def rows_for(net, rng, n=N_ROWS):
    x = rng.standard_normal((n, net.sizes[0])).astype(net.dtype)
    for column, (n_categories, _) in net.embeddings.items():
        x[:, column] = rng.integers(0, n_categories, n)
    return x


def check(net, rng):
    """The file says what the network says; so does the network read from it. Returns the latter."""
    x, content = rows_for(net, rng), to_onnx(net)
    expected, close = net.predict_raw(x), {"rtol": TOLERANCE[net.dtype], "atol": TOLERANCE[net.dtype]}
    found = run(content, x=x)
    np.testing.assert_allclose(found["output"], expected, **close)
    assert found["output"].dtype == net.dtype
    if net.output in ("softmax", "sigmoid"):
        # Where two outputs are as good as equal, either may be called the larger one.
        agree = (found["label"] == net.predict(x)).mean()
        assert agree >= 0.998
        assert found["label"].dtype == np.int64
    return x, expected, content, close


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name, dtype, rng):
    net = make([5, 16, 16, 3], name, output="softmax", dtype=dtype)
    x, expected, content, close = check(net, rng)
    back = from_onnx(content)
    np.testing.assert_allclose(back.predict_raw(x), expected, **close)
    assert back.activations == net.activations or name == "prelu"
    assert (back.output, back.dtype, back.sizes) == (net.output, net.dtype, net.sizes)


def test_an_activation_without_an_operator_is_refused(monkeypatch):
    monkeypatch.delitem(onnx_export._OPERATORS, "hard_swish")
    with pytest.raises(ValueError, match="activation 'hard_swish', which cannot be written to an ONNX file"):
        to_onnx(fastnn.MLP([3, 4, 2], "hard_swish", seed=0))


def test_activations_far_out_in_float64():
    """Where exponentials overflow or vanish, and gelu's tail."""
    x = np.concatenate([np.linspace(-900, 900, 37), np.linspace(-40, 40, 101)])[:, np.newaxis]
    for name in (name for name in ACTIVATIONS if name != "exp"):
        net = fastnn.MLP([1, 1, 1], name, init=[np.eye(1), np.eye(1)], dtype="float64")
        found = run(to_onnx(net), x=x)["output"]
        # What is multiplied by up to 40 is good to 1e-16 of 1, not of its value: ONNX Runtime's own sigmoid,
        # and a logarithm of 1 + exp(z).
        atol = 1e-14 if name in ("silu", "gelu_tanh", "mish") else 1e-15
        np.testing.assert_allclose(found, net.predict_raw(x), rtol=1e-13, atol=atol, err_msg=name)


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


# --- raw rows ---------------------------------------------------------------------------------------


def with_rows(net, encoder, target=None):
    net.metadata = {"encoder": encoder} | ({"target": target} if target else {})
    return net


@pytest.mark.parametrize("kind", ["array", "images"])
def test_arrays_and_pictures(kind, dtype, rng):
    full = 255 if kind == "images" else 1
    mean, scale = rng.uniform(100, 130, 12) / full, rng.uniform(30, 80, 12) / full
    state = {"kind": kind, "dtype": dtype.name, "mean": mean.tolist(), "scale": scale.tolist()}
    state |= {"shape": [3, 4]} if kind == "array" else {"size": [3, 4], "mode": "L"}
    net = with_rows(make([12, 8, 3], output="softmax", dtype=dtype), state)
    rows = rng.integers(0, 256, (N_ROWS, 12)).astype(dtype)
    x = ((rows / full - mean) / scale).astype(dtype)
    expected = net.predict_raw(x)
    content = to_onnx(net)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(run(content, x=rows)["output"], expected, **close)
    # The scaling becomes part of the first layer.
    np.testing.assert_allclose(from_onnx(content).predict_raw(rows), expected, rtol=1e-4, atol=1e-5)
    plain = run(to_onnx(net, preprocessing=False), x=x)
    np.testing.assert_allclose(plain["output"], expected, **close)


def test_one_mean_for_all_pixels(rng):
    state = {
        "kind": "images",
        "dtype": "float32",
        "size": [2, 2],
        "mode": "RGB",
        "mean": 0.5,
        "scale": 0.25,
    }
    net = with_rows(make([12, 5, 2], output="softmax"), state)
    rows = rng.integers(0, 256, (50, 12)).astype(np.float32)
    found = run(to_onnx(net), x=rows)["output"]
    np.testing.assert_allclose(found, net.predict_raw((rows / 255 - 0.5) / 0.25), rtol=1e-5)


NUMBERS = [
    {"name": "age", "kind": "number", "fill": 40.0, "center": 38.0, "scale": 12.0, "indicator": True},
    {"name": "id", "kind": "ignore", "reason": "differs in every row"},
    {"name": "time", "kind": "number", "fill": 1.7e9, "center": 1.7e9, "scale": 50.0, "indicator": False},
    {"name": "fare", "kind": "number", "fill": 14.5, "center": 14.5, "scale": 0.5, "indicator": True},
]
CATEGORIES = [
    {"name": "town", "kind": "category", "encoding": "one_hot", "categories": ["Bonn", "Köln", None]},
    {
        "name": "code",
        "kind": "category",
        "encoding": "embedding",
        "categories": ["a", "b", "c", "d", None],
        "width": 2,
    },
]
NUMERIC_TARGET = {"name": "price", "task": "regression", "classes": None, "mean": [1000.0], "scale": [250.0]}


def number_features(columns, values):
    """What the encoder of tables does to columns of numbers."""
    features = []
    for column, given in zip(columns, values.T, strict=True):
        missing = ~np.isfinite(given)
        z = (np.where(missing, column["fill"], given) - column["center"]) / column["scale"]
        features.append(z / np.hypot(1, z / 3))
        if column["indicator"]:
            features.append(missing.astype(float))
    return np.stack(features, axis=1)


def number_rows(rng):
    rows = np.stack(
        [rng.uniform(0, 90, N_ROWS), 1.7e9 + rng.normal(0, 50, N_ROWS), rng.exponential(40, N_ROWS)], axis=1
    )
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:4] = np.array([np.inf, -np.inf, 1e300, -1e300])[:, np.newaxis]
    return rows


def test_tables_of_numbers(dtype, rng):
    numbers = [column for column in NUMBERS if column["kind"] == "number"]
    rows = number_rows(rng)
    x = number_features(numbers, rows)
    net = with_rows(
        make([5, 8, 1], "mish", dtype=dtype), {"kind": "table", "columns": NUMBERS}, NUMERIC_TARGET
    )
    content = to_onnx(net)
    found = run(content, x=rows)
    expected = net.predict_raw(x.astype(dtype)) * 250.0 + 1000.0
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"], expected, rtol=TOLERANCE[dtype])
    about = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert json.loads(about["feature_names"]) == ["age", "time", "fare"]
    assert about["target"] == "price"


def test_tables_with_categories(dtype, rng):
    columns = [NUMBERS[0], CATEGORIES[0], *NUMBERS[1:3], CATEGORIES[1], NUMBERS[3]]
    rows = number_rows(rng)
    towns = rng.choice(["Bonn", "Köln", "Rom", ""], N_ROWS)
    codes = rng.choice(["a", "b", "c", "d", "z", ""], N_ROWS)
    number = {label: k + 1 for k, label in enumerate("abcd")}
    x = np.hstack(
        [
            number_features(NUMBERS[:1], rows[:, :1]),
            (towns[:, np.newaxis] == ["Bonn", "Köln", ""]).astype(float),
            number_features(NUMBERS[2:3], rows[:, 1:2]),
            np.array([[number.get(code, 0)] for code in codes], float),
            number_features(NUMBERS[3:], rows[:, 2:]),
        ]
    ).astype(dtype)
    net = make([x.shape[1], 8, 3], output="softmax", embeddings={6: (5, 2)}, dtype=dtype)
    target = {
        "name": "kind",
        "task": "classification",
        "classes": ["x", "y", "z"],
        "mean": None,
        "scale": None,
    }
    model = SimpleNamespace(
        net=net,
        encoder=SimpleNamespace(to_dict=lambda: {"kind": "table", "columns": columns}),
        target=SimpleNamespace(to_dict=lambda: target),
    )
    given = {name: rows[:, [k]] for k, name in enumerate(["age", "time", "fare"])}
    text = {"town": towns[:, np.newaxis].astype(object), "code": codes[:, np.newaxis].astype(object)}
    found = run(to_onnx(model), **given, **text)
    np.testing.assert_allclose(
        found["output"], net.predict_raw(x), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )
    agree = found["label"] == np.array(["x", "y", "z"])[net.predict(x)]
    assert agree.mean() >= 0.998


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


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"kind": "text", "method": "tfidf", "vocabulary": ["a"], "idf": [1.0]}, "rows of kind 'text'"),
        (
            {"kind": "table", "columns": [NUMBERS[0], {"name": "when", "kind": "date"}]},
            "column 'when' is of kind 'date'",
        ),
        ({"kind": "table", "columns": [{"name": "note", "kind": "text"}]}, "column 'note' is of kind 'text'"),
        (
            {"kind": "table", "columns": [CATEGORIES[0] | {"categories": ["a", 7]}]},
            "column 'town' has .* such as 7",
        ),
    ],
)
def test_rows_that_onnx_cannot_encode(encoder, message):
    net = with_rows(fastnn.MLP([2, 3, 1], seed=0), encoder)
    with pytest.raises(ValueError, match=message) as caught:
        to_onnx(net)
    assert "preprocessing=False" in str(caught.value)
    assert to_onnx(net, preprocessing=False)


def test_what_is_no_network():
    with pytest.raises(TypeError, match=r"to_onnx takes a fastnn.MLP"):
        to_onnx("model.safetensors")

    def softsign(z):
        return z / (1 + abs(z))

    with pytest.raises(
        ValueError, match="activation 'softsign' is a function of your own, which ONNX cannot"
    ):
        to_onnx(fastnn.MLP([2, 3, 1], fastnn.Activation(softsign), seed=0))


# --- whole models -----------------------------------------------------------------------------------


@pytest.fixture
def table(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "age": np.where(rng.random(N_ROWS) < 0.2, np.nan, rng.uniform(0, 90, N_ROWS)),
            "fare": rng.exponential(1e5, N_ROWS),
            "town": rng.choice(["Bonn", "Ulm", "Köln", None], N_ROWS),
            "post": rng.choice([f"p{k:03}" for k in range(70)], N_ROWS),
        }
    )
    unseen = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    unseen.loc[:50, ["age", "town", "post"]] = [np.inf, "Rom", "p999"]
    return frame, unseen


def model_of(rows, y, encoder):
    from fastnn.data import Target
    from fastnn.model import Model

    encoder, target = encoder.fit(rows), Target("y").fit(y)
    output = "softmax" if target.classes else "identity"
    net = make([len(encoder.feature_names), 12, target.n_out], output=output, embeddings=encoder.embeddings)
    return Model(net, encoder, target)


def test_a_model_of_a_table(table, tmp_path):
    from fastnn.data.tables.encoder import TableEncoder
    from fastnn.model import Model

    frame, unseen = table
    model = model_of(frame, np.where(frame["fare"] > 7e4, "high", "low"), TableEncoder())
    assert model.encoder.embeddings
    given = {name: unseen[[name]].to_numpy(float) for name in ("age", "fare")}
    text = {name: unseen[[name]].fillna("").to_numpy(object) for name in ("town", "post")}
    found = run(to_onnx(model), **given, **text)
    np.testing.assert_allclose(found["output"], model.predict_proba(unseen), rtol=1e-5, atol=1e-6)
    assert (found["label"] == model.predict(unseen)).mean() >= 0.998
    model.save(tmp_path / "model.safetensors")
    again = to_onnx(Model.load(tmp_path / "model.safetensors"))
    assert again == to_onnx(model) == to_onnx(fastnn.load(tmp_path / "model.safetensors"))


def test_a_model_of_numbers(table):
    from fastnn.data.tables.encoder import TableEncoder

    numbers = table[0][["age", "fare"]]
    model = model_of(numbers, 1e6 + 3 * numbers["fare"], TableEncoder())
    found = run(to_onnx(model), x=numbers.to_numpy())
    np.testing.assert_allclose(found["output"][:, 0], model.predict(numbers), rtol=1e-6)


@pytest.mark.parametrize("kind", ["array", "images"])
def test_a_model_of_pixels(kind, rng):
    pytest.importorskip("PIL")
    from fastnn.data import ArrayEncoder, ImageEncoder

    pixels = rng.integers(0, 256, (N_ROWS, 5, 4, 3)).astype(np.uint8)
    encoder = ArrayEncoder() if kind == "array" else ImageEncoder((5, 4), "RGB")
    model = model_of(pixels, rng.integers(3, 6, N_ROWS), encoder)
    found = run(to_onnx(model), x=pixels.reshape(N_ROWS, -1).astype(np.float32))
    np.testing.assert_allclose(found["output"], model.predict_proba(pixels), rtol=1e-5, atol=1e-6)
    assert (found["label"] == model.predict(pixels)).mean() >= 0.998


# --- graphs of others -------------------------------------------------------------------------------


def graph(nodes, constants, n_in=3, opset=20, inputs=("x",), shape=None, **options):
    """A small ONNX file: nodes as (operator, inputs, attributes), named n0, n1 and so on, giving v0, v1."""
    made = []
    for k, (op, names, attributes) in enumerate(nodes):
        domain = attributes.pop("domain", "")
        made.append(onnx.helper.make_node(op, names, [f"v{k}"], name=f"n{k}", domain=domain, **attributes))
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = [helper.make_tensor_value_info(name, kind, shape or ["n", n_in]) for name in inputs]
    result = helper.make_tensor_value_info(made[-1].output[0], kind, None)
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    body = helper.make_graph(made, "g", given, [result], tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9, **options).SerializeToString()


@pytest.fixture
def arrays(rng):
    def floats(*shape):
        return rng.normal(0, 1, shape).astype(np.float32)

    return {
        "w": floats(3, 4),
        "wt": floats(5, 4),
        "b": floats(5),
        "c": floats(1, 4),
        "p": rng.uniform(0.5, 2, 3).astype(np.float32),
        "two": np.float32(2.0),
        "norm": rng.uniform(0.5, 2, 4).astype(np.float32),
        "small": np.full(4, 1e-6, np.float32),
    }


def relu(x):
    return np.maximum(x, 0)


CHAINS = {
    "matmul, add, gemm": [
        ("MatMul", ["x", "w"], {}),
        ("Add", ["c", "v0"], {}),
        ("Relu", ["v1"], {}),
        ("Gemm", ["v2", "wt", "b"], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ],
    "scalings before, between and after": [
        ("Sub", ["x", "p"], {}),
        ("Div", ["v0", "p"], {}),
        ("MatMul", ["v1", "w"], {}),
        ("Tanh", ["v2"], {}),
        ("Mul", ["v3", "c"], {}),
        ("Gemm", ["v4", "wt"], {"transB": 1}),
        ("Sub", ["two", "v5"], {}),
        ("Mul", ["two", "v6"], {}),
    ],
    "batch normalisation before and after": [
        ("MatMul", ["x", "w"], {}),
        ("BatchNormalization", ["v0", "norm", "small", "norm", "norm"], {"epsilon": 0.01}),
        ("Relu", ["v1"], {}),
        ("BatchNormalization", ["v2", "norm", "norm", "small", "small"], {}),
        ("Gemm", ["v3", "wt", "b"], {"transB": 1}),
    ],
    "silu, dropout, identity, cast, flatten": [
        ("Flatten", ["x"], {}),
        ("Identity", ["v0"], {}),
        ("MatMul", ["v1", "w"], {}),
        ("Sigmoid", ["v2"], {}),
        ("Mul", ["v3", "v2"], {}),
        ("Dropout", ["v4"], {}),
        ("Cast", ["v5"], {"to": 1}),
        ("Gemm", ["v6", "wt"], {"transB": 1}),
        ("Softmax", ["v7"], {"axis": 1}),
    ],
    "constants that are computed": [
        ("Transpose", ["wt"], {}),
        ("Mul", ["v0", "two"], {}),
        ("MatMul", ["x", "w"], {}),
        ("PRelu", ["v2", "norm"], {}),
        ("MatMul", ["v3", "v1"], {}),
    ],
    "two dense layers in a row": [("MatMul", ["x", "w"], {}), ("Gemm", ["v0", "wt", "b"], {"transB": 1})],
    "a normalised output": [
        ("MatMul", ["x", "w"], {}),
        ("BatchNormalization", ["v0", "norm", "small", "norm", "norm"], {}),
        ("Sigmoid", ["v1"], {}),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_others(name, arrays, rng):
    content = graph([(op, names, dict(given)) for op, names, given in CHAINS[name]], arrays)
    x = rng.normal(0, 1, (N_ROWS, 3)).astype(np.float32)
    (expected,) = run(content, x=x).values()
    # Weights so scaled, as by 1 / sqrt(1e-6 + 1e-5), give large sums.
    largest = np.abs(expected).max()
    np.testing.assert_allclose(from_onnx(content).predict_raw(x), expected, rtol=1e-5, atol=1e-6 * largest)


def test_constant_nodes_and_shapes(arrays, rng):
    weight = onnx.numpy_helper.from_array(arrays["w"])
    content = graph([("Constant", [], {"value": weight}), ("MatMul", ["x", "v0"], {})], {})
    assert from_onnx(content).sizes == (3, 4)
    nodes = [("Reshape", ["x", "shape"], {}), ("MatMul", ["v0", "w"], {})]
    content = graph(nodes, arrays | {"shape": np.array([-1, 3])}, shape=["n", 3, 1])
    assert from_onnx(content, output="softmax").output == "softmax"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("Relu", ["x"], {}), ("MatMul", ["v0", "w"], {})],
            r"node 'n0' \(Relu\): activation 'relu' does not follow",
        ),
        ([("MatMul", ["x", "w"], {}), ("Relu", ["v0"], {}), ("Tanh", ["v1"], {})], r"node 'n2' \(Tanh\)"),
        ([("MatMul", ["x", "w"], {}), ("Sin", ["v0"], {})], r"node 'n1' \(Sin\) is an operator that cannot"),
        (
            [("MatMul", ["x", "w"], {}), ("Gelu", ["v0"], {"domain": "com.microsoft"})],
            "operator of 'com.microsoft'",
        ),
        (
            [("MatMul", ["x", "w"], {}), ("LeakyRelu", ["v0"], {})],
            "has activation 'leaky_relu', but fastnn's may",
        ),
        (
            [("MatMul", ["x", "w"], {}), ("HardSigmoid", ["v0"], {})],
            "has alpha 0.2, but fastnn's hard_sigmoid",
        ),
        ([("MatMul", ["x", "w"], {}), ("Softmax", ["v0"], {"axis": 0})], "works along axis 0"),
        (
            [("MatMul", ["x", "w"], {}), ("MatMul", ["v0", "w"], {})],
            r"takes 3 values, but .*'n0' \(MatMul\), gives 4",
        ),
        ([("MatMul", ["x", "w"], {}), ("Relu", ["v0"], {}), ("Mul", ["v1", "v0"], {})], r"node 'n2' \(Mul\)"),
        (
            [("MatMul", ["x", "w"], {}), ("Relu", ["v0"], {}), ("Add", ["v1", "v0"], {})],
            "adds v1 and v0: expected",
        ),
        (
            [("MatMul", ["x", "w"], {}), ("Relu", ["v0"], {}), ("Mul", ["v1", "two"], {})],
            "follows the activation of",
        ),
        ([("Gemm", ["w", "x"], {})], "multiplies from the left"),
        ([("Relu", ["x"], {})], "does not follow a dense layer"),
        ([("Identity", ["x"], {})], "there is no dense layer in it"),
        ([("Identity", ["w"], {})], "not at the end of a chain"),
        (
            [
                ("MatMul", ["x", "w"], {}),
                ("LayerNormalization", ["v0", "norm"], {"epsilon": 0.01}),
                ("MatMul", ["v1", "w2"], {}),
            ],
            "adds 0.01 to variances, fastnn 1e-05",
        ),
        ([("Div", ["two", "x"], {}), ("MatMul", ["v0", "w"], {})], "divides a constant by what varies"),
        (
            [("BatchNormalization", ["x", "p", "p", "p", "p"], {"training_mode": 1})],
            "training mode|no valid ONNX",
        ),
    ],
)
def test_what_is_no_chain(nodes, message, arrays):
    content = graph(nodes, arrays | {"w2": np.ones((4, 2), np.float32)})
    with pytest.raises(ValueError, match=message) as caught:
        from_onnx(content)
    assert "what was given is not a usable ONNX model" in str(caught.value)


def test_several_inputs_and_other_widths(arrays):
    nodes = [("Add", ["x", "z"], {}), ("MatMul", ["v0", "w"], {})]
    with pytest.raises(ValueError, match="it has the inputs x, z: expected a single one"):
        from_onnx(graph(nodes, arrays, inputs=("x", "z")))
    with pytest.raises(ValueError, match="its input has 7 features, but its first dense layer takes 3"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], arrays, n_in=7))
    with pytest.raises(ValueError, match="NaN or infinite"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], {"w": np.full((3, 4), np.nan, np.float32)}))
    with pytest.raises(ValueError, match=r"output must be one of .* Did you mean 'softmax'"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], arrays), output="softmx")
    ends = graph([("MatMul", ["x", "w"], {}), ("Sigmoid", ["v0"], {})], arrays)
    with pytest.raises(ValueError, match="output='softmax' is given, but the model ends with 'sigmoid'"):
        from_onnx(ends, output="softmax")


@pytest.mark.parametrize("content", [b"", b"hello, this is no model", b"PK\x03\x04" + bytes(50), bytes(1000)])
def test_what_is_no_onnx_file(content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"model.onnx' is not a usable ONNX model: it is"):
        from_onnx(tmp_path / "model.onnx")


def test_a_file_cut_anywhere_is_refused():
    content = to_onnx(make([3, 4, 2], "gelu", output="softmax"))
    for end in range(0, len(content) - 1, 7):
        with pytest.raises(ValueError, match=r"^what was given is not a usable ONNX model: "):
            from_onnx(content[:end])


def test_missing_files(tmp_path, arrays):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.onnx"):
        from_onnx(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="source must be a path, got 3"):
        from_onnx(3)
    model = onnx.load_from_string(graph([("MatMul", ["x", "w"], {})], {"w": np.ones((3, 400), np.float32)}))
    path = tmp_path / "large.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert from_onnx(path).sizes == (3, 400)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match=r"large.onnx' is not a usable ONNX model: "):
        from_onnx(path)


@pytest.mark.peers
@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_pytorch_exports(opset, tmp_path, rng):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    activations = [
        nn.GELU(),
        nn.SiLU(),
        nn.PReLU(7),
        nn.Mish(),
        nn.ELU(0.5),
        nn.Hardswish(),
        nn.LeakyReLU(0.1),
    ]
    for activation in activations:
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4, 7),
            nn.BatchNorm1d(7),
            activation,
            nn.Dropout(0.2),
            nn.Linear(7, 7),
            nn.LayerNorm(7),
            nn.Tanh(),
            nn.Linear(7, 3),
            nn.Softmax(1),
        )
        model(torch.randn(50, 4))  # statistics
        model.eval()
        path = tmp_path / "torch.onnx"
        axes = {"x": {0: "n"}}
        torch.onnx.export(
            model,
            (torch.zeros(2, 4),),
            path,
            dynamo=False,
            input_names=["x"],
            dynamic_axes=axes,
            opset_version=opset,
        )
        x = rng.normal(0, 1, (N_ROWS, 4)).astype(np.float32)
        expected = model(torch.from_numpy(x)).detach().numpy()
        net = from_onnx(path)
        np.testing.assert_allclose(
            net.predict_proba(x), expected, rtol=1e-5, atol=1e-6, err_msg=str(activation)
        )


def test_columns_that_are_called_as_outputs_are(rng):
    columns = [NUMBERS[0] | {"name": "output"}, CATEGORIES[0] | {"name": "label"}]
    net = with_rows(make([5, 4, 2], output="softmax"), {"kind": "table", "columns": columns})
    x = np.hstack([number_features(NUMBERS[:1], np.ones((3, 1))), np.tile([0.0, 1.0, 0.0], (3, 1))])
    found = run(to_onnx(net), output_column=np.ones((3, 1)), label_column=np.full((3, 1), "Köln", object))
    np.testing.assert_allclose(found["output"], net.predict_raw(x), rtol=1e-5)
