"""Networks as ONNX files, with what leads raw rows into them where ONNX can say it."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from .. import _checks
from .._version import __version__
from ..kernels.hooks.activations import SELU_ALPHA, SELU_SCALE
from ..network import files as model_file
from ..network.mlp import MLP
from . import onnx_functions
from .steps import Activate, AddInput, BatchNorm, Dense, LayerNorm, Step, as_network, steps_of

IR_VERSION = 9  # of the operators' version, so that older runtimes read the file as well
_FAR = 1e9  # where smooth clipping is at its limit, and squares are finite
_LARGEST = 2**31 - 2**20  # bytes that a protocol buffer may have, less room for the rest

# In float32; functions of ours stand in for some of them in float64.
_OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "exp": ("Exp", {}),
    "selu": ("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "mish": ("Mish", {}),
    "softplus": ("Softplus", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}),
}
_WITH_ALPHA = {"leaky_relu": "LeakyRelu", "elu": "Elu"}


class _Graph:
    """Nodes, constants and inputs of a graph that grows."""

    def __init__(self, dtype: np.dtype) -> None:
        self.onnx = _checks.require("onnx", "onnx")
        self.dtype = dtype
        self.place = ""  # goes before the names of nodes
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.functions: dict[str, Any] = {}
        self.domains: set[str] = set()

    def constant(self, value, name: str, dtype: Any = None) -> str:
        """A named array, by default of the network's dtype."""
        array = np.asarray(value, self.dtype if dtype is None else dtype, order="C")
        name = f"{self.place}.{name}" if self.place else name
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def add(self, op: str, *inputs: str, domain: str = "", **attributes) -> str:
        """A node with one output, whose name comes back."""
        stem = f"{self.place}.{op}" if self.place else op
        taken = sum(node.name == stem or node.name.startswith(f"{stem}_") for node in self.nodes)
        name = f"{stem}_{taken}" if taken else stem
        if domain:
            self.domains.add(domain)
        node = self.onnx.helper.make_node(op, inputs, [f"{name}:0"], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return node.output[0]

    def call(self, name: str, *inputs: str) -> str:
        """A node that calls one of our functions, which then travels in the file."""
        if name not in self.functions:
            text = onnx_functions.function_text(name)
            self.functions[name] = self.onnx.parser.parse_function(text)
        return self.add(name, *inputs, domain=onnx_functions.DOMAIN)

    def cast(self, value: str, dtype: Any) -> str:
        return self.add("Cast", value, to=self.type_of(dtype))

    def type_of(self, dtype: Any) -> int:
        """ONNX's number for a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def input(self, name: str, dtype: Any, n_columns: int) -> str:
        self.inputs.append(
            self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), ["n", n_columns])
        )
        return name

    def output(self, value: str, name: str, dtype: Any, shape: list[Any]) -> None:
        """Make a value an output of the file, and rename it so."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for k, given in enumerate(names):
                    if given == value:
                        names[k] = name
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), shape))


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None, *, preprocessing: bool = True) -> bytes:
    """A network as an ONNX file, for ONNX Runtime and others.

    The input ``x`` has shape (n, n_features) and the network's dtype. The first output, ``output``, holds the
    output layer's activations, of a regression in the target's own unit; a classifier has a second one,
    ``label``: class numbers, or the classes' labels where they are known, (n,). A batch normalisation uses
    its running statistics, and dropout is left out.

    What leads raw rows into the network is part of the file, where ONNX can say it. For arrays ``x`` then
    holds raw rows, flattened; for pictures the pixels of the size and mode trained with, 0 to 255, the
    channels of a pixel side by side; for tables of numbers the columns in the order of training, float64,
    with NaN for missing values. A table that also has categories has an input of shape (n, 1) for each
    column, by its name ("output_column" for "output", "label_column" for "label"): float64 numbers, or
    strings, with an empty one for a missing value.

    Parameters
    ----------
    model : MLP, Model, or fitted MLPClassifier or MLPRegressor
    path : path-like, optional
        Where to write the file, beside first and then renamed.
    preprocessing : bool, default=True
        Whether what leads raw rows into the network, if the model says so, is part of the file. Without it,
        ``x`` holds encoded rows.

    Returns
    -------
    bytes
        The file's content, which ``onnxruntime.InferenceSession`` also takes. Its metadata name fastnn's
        version, features and classes, in JSON.

    Raises
    ------
    ValueError
        If ONNX cannot hold the network or what leads rows into it; the sentence says what to do.
    TypeError
        If the model is none of fastnn's.
    ImportError
        If onnx is not installed.

    Examples
    --------
    >>> import numpy as np, fastnn, onnxruntime
    >>> net = fastnn.MLP([4, 8, 3], "gelu", output="softmax", seed=0)
    >>> session = onnxruntime.InferenceSession(to_onnx(net))
    >>> x = np.ones((2, 4), np.float32)
    >>> output, label = session.run(None, {"x": x})
    >>> bool(np.allclose(output, net.predict_proba(x), atol=1e-6)), label.shape
    (True, (2,))
    """
    net, encoder, target = _parts(model)
    encoder = encoder if preprocessing else None
    if net.params.nbytes > _LARGEST:
        raise ValueError(
            f"the network's {net.params.nbytes / 2**30:.1f} GiB of parameters do not fit in an ONNX file, "
            "which holds 2 GiB."
        )
    steps = steps_of(net, "ONNX", chain_only=False)
    graph = _Graph(net.dtype)
    x = graph.input("x", net.dtype, net.sizes[0]) if encoder is None else _encode(graph, encoder, net)
    graph.place = ""
    value = _network(graph, net, steps, x)
    graph.place = ""
    _answers(graph, net, target, value)
    content = _file(graph, net, encoder, target)
    if path is not None:
        model_file.write_atomically(path, content)
    return content


def _parts(model: Any) -> tuple[MLP, dict[str, Any] | None, dict[str, Any] | None]:
    """The network, and how encoder and target are written down, where there are such."""
    if all(hasattr(model, name) for name in ("net", "encoder", "target")):
        return model.net, model.encoder.to_dict(), model.target.to_dict()
    net = as_network(model, "to_onnx")
    encoder, target = net.metadata.get("encoder"), net.metadata.get("target")
    classes = getattr(model, "classes_", None)
    if classes is not None and not getattr(model, "_is_multilabel", False):
        target = {"task": "classification", "classes": np.asarray(classes).tolist()}
    return net, encoder, target


# --- from x to the network's output ----------------------------------------------------------------


def _network(graph: _Graph, net: MLP, steps: list[Step], value: str) -> str:
    if net.embeddings:
        value = _embed(graph, net, value)
    entry = value
    for step in steps:
        graph.place = step.where
        if isinstance(step, Dense):
            entry = value
            w, b = graph.constant(step.weight, "weight"), graph.constant(step.bias, "bias")
            value = graph.add("Gemm", value, w, b)
        elif isinstance(step, BatchNorm):
            names = ("gain", "shift", "running_mean", "running_variance")
            arrays = (step.gain, step.shift, step.mean, step.variance)
            more = [graph.constant(array, name) for name, array in zip(names, arrays, strict=True)]
            value = graph.add("BatchNormalization", value, *more, epsilon=step.eps)
        elif isinstance(step, LayerNorm):
            more = [graph.constant(step.gain, "gain"), graph.constant(step.shift, "shift")]
            value = graph.add("LayerNormalization", value, *more, axis=-1, epsilon=step.eps)
        elif isinstance(step, Activate):
            value = _activate(graph, step, value)
        elif isinstance(step, AddInput):
            value = graph.add("Add", value, entry)
    return value


def _activate(graph: _Graph, step: Activate, value: str) -> str:
    name, alpha = step.name, step.alpha
    if name == "identity":
        return value
    if name == "silu":
        return graph.add("Mul", value, graph.add("Sigmoid", value))
    if graph.dtype == np.float64 and name in onnx_functions.NAMES:
        more = [] if alpha is None else [graph.constant(alpha, "slope" if name == "prelu" else "alpha")]
        return graph.call(name, value, *more)
    if name == "prelu":
        return graph.add("PRelu", value, graph.constant(alpha, "slope"))
    if name in _WITH_ALPHA:
        return graph.add(_WITH_ALPHA[name], value, alpha=alpha)
    if name not in _OPERATORS:
        raise ValueError(f"the network has the activation {name!r}, which cannot be written to an ONNX file.")
    operator, attributes = _OPERATORS[name]
    return graph.add(operator, value, **attributes)


def _embed(graph: _Graph, net: MLP, x: str) -> str:
    """Numeric features in their order, and then the vectors of categories."""
    graph.place = "embeddings"
    numeric = [column for column in range(net.sizes[0]) if column not in net.embeddings]
    parts = []
    if numeric:
        parts.append(graph.add("Gather", x, graph.constant(numeric, "numeric", np.int64), axis=1))
    for column in net.embeddings:
        graph.place = f"embeddings.{column}"
        table = graph.constant(net.parameters()[f"embeddings.{column}.weight"], "weight")
        codes = graph.add("Gather", x, graph.constant(column, "column", np.int64), axis=1)
        parts.append(graph.add("Gather", table, graph.cast(codes, np.int64), axis=0))
    graph.place = "embeddings"
    return graph.add("Concat", *parts, axis=1)


# --- from raw rows to x ----------------------------------------------------------------------------


def _encode(graph: _Graph, encoder: dict[str, Any], net: MLP) -> str:
    """Inputs of the file, and x as the encoder makes it of them."""
    graph.place = "rows"
    kind = encoder.get("kind")
    if kind in ("array", "images"):
        x = graph.input("x", net.dtype, net.sizes[0])
        # In float64: the difference of two large numbers would lose most digits of float32.
        wide = graph.cast(x, np.float64)
        if kind == "images":
            wide = graph.add("Div", wide, _row(graph, 255.0, "full"))
        centred = graph.add("Sub", wide, _row(graph, encoder["mean"], "mean"))
        return graph.cast(graph.add("Div", centred, _row(graph, encoder["scale"], "scale")), net.dtype)
    if kind == "table":
        return _encode_table(graph, encoder["columns"], net)
    raise ValueError(
        f"what turns rows of kind {kind!r} into numbers cannot be part of an ONNX file: encode rows before, "
        "and pass preprocessing=False."
    )


def _row(graph: _Graph, value, name: str) -> str:
    """A number for all features, or one for each, in float64."""
    return graph.constant(np.asarray(value, np.float64).reshape(1, -1), name, np.float64)


def _encode_table(graph: _Graph, columns: list[dict[str, Any]], net: MLP) -> str:
    columns = [column for column in columns if column["kind"] != "ignore"]
    for column in columns:
        if column["kind"] not in ("number", "category"):
            raise ValueError(
                f"column {column['name']!r} is of kind {column['kind']!r}, which an ONNX file cannot take "
                "apart: encode rows before, and pass preprocessing=False."
            )
    if all(column["kind"] == "number" for column in columns):
        x = graph.input("x", np.float64, len(columns))
        parts = [_encode_numbers(graph, columns, x)]
    else:
        parts = []
        for column in columns:
            graph.place = f"columns.{column['name']}"
            if column["kind"] == "number":
                x = graph.input(_input_name(column), np.float64, 1)
                parts.append(_encode_numbers(graph, [column], x))
            else:
                parts.append(_encode_category(graph, column))
    graph.place = "rows"
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _encode_numbers(graph: _Graph, columns: list[dict[str, Any]], x: str) -> str:
    """Features of columns of numbers: centred, scaled and smoothly clipped, with marks of missing ones.

    The clipping is that of Holzmueller et al. (2024).
    """
    fill, center, scale = (
        _row(graph, [column[key] for column in columns], key) for key in ("fill", "center", "scale")
    )
    three, one = _row(graph, 3.0, "three"), _row(graph, 1.0, "one")
    most, least = (
        graph.constant(limit, name, np.float64) for name, limit in (("most", _FAR), ("least", -_FAR))
    )
    missing = graph.add("IsNaN", graph.add("Sub", x, x))  # or infinite, which counts as missing
    z = graph.add("Div", graph.add("Sub", graph.add("Where", missing, fill, x), center), scale)
    z = graph.add("Clip", z, least, most)
    third = graph.add("Div", z, three)
    size = graph.add("Sqrt", graph.add("Add", one, graph.add("Mul", third, third)))
    features = graph.cast(graph.add("Div", z, size), graph.dtype)
    if not any(column["indicator"] for column in columns):
        return features
    both = graph.add("Concat", features, graph.cast(missing, graph.dtype), axis=1)
    order = []
    for k, column in enumerate(columns):
        order += [k, len(columns) + k] if column["indicator"] else [k]
    return graph.add("Gather", both, graph.constant(order, "order", np.int64), axis=1)


def _encode_category(graph: _Graph, column: dict[str, Any]) -> str:
    """A feature for each category, or the category's number, which is 0 for an unknown one."""
    is_embedded = column["encoding"] == "embedding"
    # None, at the end, is a missing value, which is an empty string here; no embedding has a vector for it.
    categories = ["" if c is None else c for c in column["categories"] if c is not None or not is_embedded]
    other = next((category for category in categories if not isinstance(category, str)), None)
    if other is not None:
        raise ValueError(
            f"column {column['name']!r} has categories that are no strings, such as {other!r}: encode rows "
            "before, and pass preprocessing=False."
        )
    numbers = list(range(1, len(categories) + 1))
    codes = graph.add(
        "LabelEncoder",
        graph.input(_input_name(column), object, 1),
        domain="ai.onnx.ml",
        keys_strings=categories,
        values_int64s=numbers,
        default_int64=0,
    )
    if is_embedded:
        return graph.cast(codes, graph.dtype)
    each = graph.constant([numbers], "numbers", np.int64)
    return graph.cast(graph.add("Equal", codes, each), graph.dtype)


def _input_name(column: dict[str, Any]) -> str:
    """A column's name, unless an output of the file has it."""
    name = column["name"]
    return f"{name}_column" if name in ("output", "label") else name


# --- from the network's output to answers ----------------------------------------------------------


def _answers(graph: _Graph, net: MLP, target: dict[str, Any] | None, value: str) -> None:
    n_out = net.sizes[-1]
    classes = target.get("classes") if target else None
    if target and classes is None and target.get("scale") is not None:
        wide = graph.cast(value, np.float64)
        scaled = graph.add("Mul", wide, _row(graph, target["scale"], "target.scale"))
        moved = graph.add("Add", scaled, _row(graph, target["mean"], "target.mean"))
        value = graph.cast(moved, net.dtype)
    if value in [given.name for given in graph.inputs] or not graph.nodes:
        value = graph.add("Identity", value)
    shape: list[Any] = ["n"]
    is_classifier = classes is not None or (target is None and net.output in ("softmax", "sigmoid"))
    if is_classifier:
        # Several sigmoids are labels of their own, unless they are known to be classes.
        if net.output == "softmax" or (n_out > 1 and (net.output != "sigmoid" or classes is not None)):
            label = graph.add("ArgMax", value, axis=1, keepdims=0)
        else:
            middle = graph.constant(0.5 if net.output == "sigmoid" else 0.0, "middle")
            label = graph.cast(graph.add("Greater", value, middle), np.int64)
            if n_out == 1:
                label = graph.add("Squeeze", label, graph.constant([1], "axis", np.int64))
            else:
                shape = ["n", n_out]
    graph.output(value, "output", net.dtype, ["n", n_out])
    if is_classifier:
        dtype: Any = np.int64
        if classes is not None:
            labels = np.asarray(classes)
            dtype = object if labels.dtype.kind in "US" else labels.dtype
            label = graph.add("Gather", graph.constant(labels, "classes", dtype), label)
        graph.output(label, "label", dtype, shape)


def _file(graph: _Graph, net: MLP, encoder: dict[str, Any] | None, target: dict[str, Any] | None) -> bytes:
    helper = graph.onnx.helper
    domains = {"": onnx_functions.OPSET, "ai.onnx.ml": 3, onnx_functions.DOMAIN: 1}
    used = [
        helper.make_opsetid(name, version)
        for name, version in domains.items()
        if name in {"", *graph.domains}
    ]
    body = helper.make_graph(
        graph.nodes, "fastnn", graph.inputs, graph.outputs, list(graph.constants.values())
    )
    model = helper.make_model(
        body,
        opset_imports=used,
        ir_version=IR_VERSION,
        producer_name="fastnn",
        producer_version=__version__,
        functions=list(graph.functions.values()),
        doc_string=repr(net),
    )
    about: dict[str, Any] = {"fastnn": __version__}
    if encoder is not None:
        about["feature_names"] = _feature_names(encoder)
    if target and target.get("classes") is not None:
        about["classes"] = target["classes"]
    if target and target.get("name") is not None:
        about["target"] = target["name"]
    helper.set_model_props(
        model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    )
    graph.onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _feature_names(encoder: dict[str, Any]) -> list[str]:
    """Of what the file's inputs hold."""
    if encoder["kind"] == "table":
        return [column["name"] for column in encoder["columns"] if column["kind"] != "ignore"]
    n_features = int(np.prod(encoder.get("shape") or np.shape(encoder["mean"])))
    return list(encoder.get("feature_names") or (f"x{k}" for k in range(n_features)))
