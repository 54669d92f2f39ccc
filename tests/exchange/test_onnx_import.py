"""Networks from ONNX files of other programs: small graphs, damaged files, and PyTorch's exporter."""

import numpy as np
import pytest

from exchange.onnx_networks import N_ROWS, make, run
from fastnn.exchange import from_onnx, to_onnx

onnx = pytest.importorskip("onnx")


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
        "axes": np.array([0]),
        "shape": np.array([4, 5]),
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
    "constants that are cast, joined and reshaped": [
        ("Cast", ["wt"], {"to": 11}),
        ("Cast", ["v0"], {"to": 1}),
        ("Unsqueeze", ["v1", "axes"], {}),
        ("Reshape", ["v2", "shape"], {}),
        ("Concat", ["v3", "v3"], {"axis": 1}),
        ("MatMul", ["x", "w"], {}),
        ("MatMul", ["v5", "v4"], {}),
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


MORE = {
    "w2": np.ones((4, 2), np.float32),
    "column": np.ones((300, 1), np.float32),
    "row": np.ones((1, 300), np.float32),
    "huge": np.array([20_000, 20_000]),
    "empty": np.empty((0, 10**6), np.float32),
    "letters": np.array([["a"] * 4] * 3),
}


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
            "has the activation 'leaky_relu', but in fastnn",
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
            "adds v1 and v0: expected input and output",
        ),
        (
            [("MatMul", ["x", "w"], {}), ("Relu", ["v0"], {}), ("Mul", ["v1", "two"], {})],
            "follows the activation of",
        ),
        ([("Gemm", ["w", "x"], {})], "multiplies from the left"),
        ([("Relu", ["x"], {})], "does not follow a dense layer"),
        ([("Identity", ["x"], {})], "it has no dense layer"),
        ([("Identity", ["w"], {})], "not at the end of a chain"),
        (
            [
                ("MatMul", ["x", "w"], {}),
                ("LayerNormalization", ["v0", "norm"], {"epsilon": 0.01}),
                ("MatMul", ["v1", "w2"], {}),
            ],
            "adds 0.01 to variances, fastnn 1e-05",
        ),
        ([("Div", ["two", "x"], {}), ("MatMul", ["v0", "w"], {})], "divides a constant by a variable"),
        (
            [("MatMul", ["x", "w"], {}), ("BatchNormalization", ["v0", "column", "row", "row", "row"], {})],
            r"has arrays of shapes \(300, 1\), \(1, 300\), .*: expected rows of the same length",
        ),
        ([("Gemm", ["x", "w"], {"alpha": [1.0, 2.0]})], "its alpha is neither a number nor text"),
        ([("Gemm", ["x", "w"], {"alpha": "x"})], "its alpha is 'x', expected a number"),
        ([("Add", ["column", "row"], {})], r"node 'n0' \(Add\) makes 90000 numbers of constants"),
        ([("ConstantOfShape", ["huge"], {}), ("Add", ["x", "v0"], {})], "only Add, Sub, .* are computed"),
        ([("RandomNormal", [], {"shape": [3, 4]}), ("MatMul", ["x", "v0"], {})], "only Add, Sub, .* are"),
        ([("Add", ["w", "w"], {"domain": "mine"}), ("MatMul", ["x", "v0"], {})], "only Add, Sub, .* are"),
        ([("Cast", ["w"], {"to": 8}), ("MatMul", ["x", "v0"], {})], "converts to another type than FLOAT"),
        ([("MatMul", ["x", "empty"], {})], r"tensor 'empty' claims the shape \(0, 1000000\)"),
        ([("MatMul", ["x", "letters"], {})], "its input 'letters' is .*, expected numbers"),
        (
            [("BatchNormalization", ["x", "p", "p", "p", "p"], {"training_mode": 1})],
            "training mode|no valid ONNX",
        ),
    ],
)
def test_what_is_no_chain(nodes, message, arrays):
    names = {name for _, given, _ in nodes for name in given}
    more = {name: array for name, array in MORE.items() if name in names}
    content = graph(nodes, arrays | more)
    with pytest.raises(ValueError, match=message) as caught:
        from_onnx(content)
    assert "the given content is not a usable ONNX model" in str(caught.value)


def test_constants_that_grow_step_by_step(arrays):
    """Each doubles the one before: 2**30 numbers in the end."""
    nodes = [("Concat", [name, name], {"axis": 0}) for name in ["w", *(f"v{k}" for k in range(29))]]
    with pytest.raises(ValueError, match=r"node 'n1\d' \(Concat\) makes \d{5,6} numbers of constants"):
        from_onnx(graph([*nodes, ("MatMul", ["x", "v29"], {})], arrays))


def test_weights_that_are_used_again_and_again():
    nodes = [("MatMul", ["x" if k == 0 else f"v{k - 1}", "w"], {}) for k in range(100)]
    assert len(from_onnx(graph(nodes, {"w": np.eye(3, dtype="f4")})).weights) == 100
    content = graph(nodes, {"w": np.eye(1000, dtype="f4")}, n_in=1000)
    with pytest.raises(ValueError, match="have 100000000 weights, but the file holds only 1000000 numbers"):
        from_onnx(content)


def test_a_graph_of_many_nodes_is_read_in_time_proportional_to_them():
    nodes = [("Identity", ["x" if k == 0 else f"v{k - 1}"], {}) for k in range(30_000)]
    with pytest.raises(ValueError, match="has no dense layer"):
        from_onnx(graph(nodes, {}))


def test_several_inputs_and_other_widths(arrays):
    nodes = [("Add", ["x", "z"], {}), ("MatMul", ["v0", "w"], {})]
    with pytest.raises(ValueError, match="it has the inputs x, z: expected only one"):
        from_onnx(graph(nodes, arrays, inputs=("x", "z")))
    with pytest.raises(ValueError, match="its input has 7 features, but its first dense layer takes 3"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], arrays, n_in=7))
    with pytest.raises(ValueError, match="NaN or infinite"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], {"w": np.full((3, 4), np.nan, np.float32)}))
    with pytest.raises(ValueError, match=r"output must be one of .* Did you mean 'softmax'"):
        from_onnx(graph([("MatMul", ["x", "w"], {})], arrays), output="softmx")
    ends = graph([("MatMul", ["x", "w"], {}), ("Sigmoid", ["v0"], {})], arrays)
    with pytest.raises(ValueError, match=r"output='softmax' is given, but .* itself ends with 'sigmoid'"):
        from_onnx(ends, output="softmax")


@pytest.mark.parametrize("content", [b"", b"hello, this is no model", b"PK\x03\x04" + bytes(50), bytes(1000)])
def test_what_is_no_onnx_file(content, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"model.onnx' is not a usable ONNX model: it is"):
        from_onnx(tmp_path / "model.onnx")


def test_a_file_cut_anywhere_is_refused():
    content = to_onnx(make([3, 4, 2], "gelu", output="softmax"))
    for end in range(0, len(content) - 1, 7):
        with pytest.raises(ValueError, match=r"^the given content is not a usable ONNX model: "):
            from_onnx(content[:end])


def test_missing_files(tmp_path, arrays):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.onnx"):
        from_onnx(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="source must be a path, got 3"):
        from_onnx(3)
    model = onnx.load_from_string(graph([("MatMul", ["x", "w"], {})], {"w": np.ones((3, 400), np.float32)}))
    path = tmp_path / "large.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert np.array_equal(from_onnx(path).weights[0], np.ones((3, 400)))
    with pytest.raises(ValueError, match=r"its weights are in another file, 'weights.bin': pass the path"):
        from_onnx(path.read_bytes())
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match=r"large.onnx' is not a usable ONNX model: .* which is missing"):
        from_onnx(path)


def test_names_of_strangers_are_printed_on_one_line():
    with pytest.raises(ValueError, match=r"node 'n0' \(A B\\x1b\[31m\) is an operator") as caught:
        from_onnx(graph([("A\nB\x1b[31m", ["x"], {})], {}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"location": "../secret"}, "expected a file in its own folder"),
        ({"location": "{folder}/secret"}, "expected a file in its own folder"),
        ({"location": "sub/../../secret"}, "expected a file in its own folder"),
        ({"location": "link"}, "expected a file in its own folder"),
        ({"location": "linked/secret"}, "expected a file in its own folder"),
        ({"location": "."}, "expected a file in its own folder"),
        ({"location": "sub"}, "which is missing"),
        ({"location": "a" * 5000}, "which is missing"),
        ({"location": ""}, "expected a file in its own folder"),
        ({}, "expected a file in its own folder"),
        ({"location": "own", "offset": "-4"}, "is not within the file"),
        ({"location": "own", "offset": "4"}, "is not within the file"),
        ({"location": "own", "offset": "x"}, "invalid literal"),
    ],
)
def test_weights_of_other_files_are_not_read(tmp_path, entries, reason):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for secret in (tmp_path / "secret", folder / "own"):
        np.ones((3, 4), np.float32).tofile(secret)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    model = onnx.load_from_string(graph([("MatMul", ["x", "w"], {})], {"w": np.ones((3, 4), np.float32)}))
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value.format(folder=tmp_path))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=f"model.onnx' is not a usable ONNX model: .*{reason}"):
        from_onnx(folder / "model.onnx")


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
