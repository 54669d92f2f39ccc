"""Networks as ONNX files, with the encoder of raw rows if ONNX can hold it."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from .._checks import check_flag
from .._version import __version__
from ..network import files as model_file
from ..network.mlp import MLP
from . import onnx_functions
from .arguments import as_network
from .onnx_encoders import add_encoder, feature_names
from .onnx_graph import Graph
from .onnx_operators import OPERATORS
from .steps import Activate, AddInput, BatchNorm, Dense, LayerNorm, Step, has_one_label, steps_of

IR_VERSION = 9  # of the operators' version, so that older runtimes can read the file
_MAX_BYTES = 2**31 - 2**20  # of the parameters: a protocol buffer holds 2 GiB, with everything else


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None, *, preprocessing: bool = True) -> bytes:
    """Convert a network to an ONNX file, for ONNX Runtime and others.

    The input ``x`` has shape (n, n_features) and the network's dtype. The first output, ``output``, holds the
    activations of the output layer, for a regression in the target's own unit; a classifier has a second
    one, ``label``, of shape (n,): class numbers, or the classes' labels if they are known. Batch
    normalisation uses its running statistics, and dropout is left out.

    A model's encoder of raw rows becomes part of the file if ONNX can hold it. For arrays ``x`` then holds
    raw rows, flattened; for images the pixels, of the size and mode of the training images, 0 to 255, the
    channels of a pixel side by side; for tables of numbers the columns in the order of training, float64,
    with NaN for missing values. A table that also has categories has an input of shape (n, 1) for each
    column, under its name ("output_column" for "output", "label_column" for "label"): float64 numbers, or
    strings, with the empty string for a missing value.

    Parameters
    ----------
    model : MLP, Model, or fitted MLPClassifier or MLPRegressor
    path : path-like, optional
        Where to write the file; it is written under another name first and then renamed.
    preprocessing : bool, default=True
        Include the encoder, if the model has one. Without it, ``x`` holds encoded rows.

    Returns
    -------
    bytes
        The file's content, which ``onnxruntime.InferenceSession`` takes as well. Its metadata hold fastnn's
        version, features and classes, in JSON.

    Raises
    ------
    ValueError
        If ONNX cannot hold the network or its encoder; the message tells what to do.
    TypeError
        If the model is not one of fastnn's.
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
    net, encoder, target = _network_and_metadata(model)
    encoder = encoder if check_flag("preprocessing", preprocessing) else None
    if net.params.nbytes > _MAX_BYTES:
        raise ValueError(
            f"the network has {net.params.nbytes / 2**30:.1f} GiB of parameters, but an ONNX file can only "
            "hold 2 GiB."
        )
    steps = steps_of(net, "ONNX", chain_only=False)
    graph = Graph(net.dtype)
    n_in = net.sizes[0]
    x = graph.input("x", net.dtype, n_in) if encoder is None else add_encoder(graph, encoder, n_in)
    graph.prefix = ""
    value = _add_network(graph, net, steps, x)
    graph.prefix = ""
    _add_outputs(graph, net, target, value)
    content = _serialize(graph, net, encoder, target)
    if path is not None:
        model_file.write_atomically(path, content)
    return content


def _network_and_metadata(model: Any) -> tuple[MLP, dict[str, Any] | None, dict[str, Any] | None]:
    """Return the network, and the states of encoder and target if there are any."""
    if all(hasattr(model, name) for name in ("net", "encoder", "target")):
        return model.net, model.encoder.to_dict(), model.target.to_dict()
    net = as_network(model, "to_onnx")
    encoder, target = net.metadata.get("encoder"), net.metadata.get("target")
    classes = getattr(model, "classes_", None)
    if classes is not None and has_one_label(net):
        target = {"task": "classification", "classes": np.asarray(classes).tolist()}
    return net, encoder, target


def _add_network(graph: Graph, net: MLP, steps: list[Step], value: str) -> str:
    """Add the nodes from x to the network's output."""
    if net.embeddings:
        value = _add_embeddings(graph, net, value)
    layer_input = value
    for step in steps:
        graph.prefix = step.where
        if isinstance(step, Dense):
            layer_input = value
            w, b = graph.constant(step.weight, "weight"), graph.constant(step.bias, "bias")
            value = graph.add("Gemm", value, w, b)
        elif isinstance(step, BatchNorm):
            names = ("gain", "shift", "running_mean", "running_variance")
            arrays = (step.gain, step.shift, step.mean, step.variance)
            constants = [graph.constant(array, name) for name, array in zip(names, arrays, strict=True)]
            value = graph.add("BatchNormalization", value, *constants, epsilon=step.eps)
        elif isinstance(step, LayerNorm):
            constants = [graph.constant(step.gain, "gain"), graph.constant(step.shift, "shift")]
            value = graph.add("LayerNormalization", value, *constants, axis=-1, epsilon=step.eps)
        elif isinstance(step, Activate):
            value = _add_activation(graph, step, value)
        elif isinstance(step, AddInput):
            value = graph.add("Add", value, layer_input)
    return value


def _add_activation(graph: Graph, step: Activate, value: str) -> str:
    """Add an activation: an operator, or a function of fastnn's if the runtime lacks the operator."""
    name, alpha = step.name, step.alpha
    if name == "identity":
        return value
    if name == "silu":
        return graph.add("Mul", value, graph.add("Sigmoid", value))
    if graph.dtype == np.float64 and name in onnx_functions.NAMES:
        inputs = [] if alpha is None else [graph.constant(alpha, "slope" if name == "prelu" else "alpha")]
        return graph.call(name, value, *inputs)
    if name == "prelu":
        return graph.add("PRelu", value, graph.constant(alpha, "slope"))
    if name not in OPERATORS:
        raise ValueError(f"the network has the activation {name!r}, which cannot be written to an ONNX file.")
    operator = OPERATORS[name]
    attributes = {key: alpha if value is None else value for key, value in operator.attributes.items()}
    return graph.add(operator.op_type, value, **attributes)


def _add_embeddings(graph: Graph, net: MLP, x: str) -> str:
    """Add a concatenation of the numeric features and the vectors of the categories."""
    graph.prefix = "embeddings"
    numeric = [column for column in range(net.sizes[0]) if column not in net.embeddings]
    parts = []
    if numeric:
        parts.append(graph.add("Gather", x, graph.constant(numeric, "numeric", np.int64), axis=1))
    for column in net.embeddings:
        graph.prefix = f"embeddings.{column}"
        table = graph.constant(net.parameters()[f"embeddings.{column}.weight"], "weight")
        codes = graph.add("Gather", x, graph.constant(column, "column", np.int64), axis=1)
        parts.append(graph.add("Gather", table, graph.cast(codes, np.int64), axis=0))
    graph.prefix = "embeddings"
    return graph.add("Concat", *parts, axis=1)


def _add_outputs(graph: Graph, net: MLP, target: dict[str, Any] | None, value: str) -> None:
    """Add the nodes from the network's output to the outputs of the file."""
    n_out = net.sizes[-1]
    classes = target.get("classes") if target else None
    if target and classes is None and target.get("scale") is not None:
        wide = graph.cast(value, np.float64)
        scaled = graph.add("Mul", wide, graph.float64_row(target["scale"], "target.scale"))
        moved = graph.add("Add", scaled, graph.float64_row(target["mean"], "target.mean"))
        value = graph.cast(moved, net.dtype)
    if value in [given.name for given in graph.inputs] or not graph.nodes:
        value = graph.add("Identity", value)
    shape: list[Any] = ["n"]
    is_classifier = classes is not None or (target is None and net.output in ("softmax", "sigmoid"))
    if is_classifier:
        # Each of several sigmoids is a label of its own, unless they are known to be classes.
        if net.output == "softmax" or (n_out > 1 and (net.output != "sigmoid" or classes is not None)):
            label = graph.add("ArgMax", value, axis=1, keepdims=0)
        else:
            threshold = graph.constant(0.5 if net.output == "sigmoid" else 0.0, "middle")
            label = graph.cast(graph.add("Greater", value, threshold), np.int64)
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


def _serialize(
    graph: Graph, net: MLP, encoder: dict[str, Any] | None, target: dict[str, Any] | None
) -> bytes:
    """Return the content of the file."""
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
    metadata: dict[str, Any] = {"fastnn": __version__}
    if encoder is not None:
        metadata["feature_names"] = feature_names(encoder)
    if target and target.get("classes") is not None:
        metadata["classes"] = target["classes"]
    if target and target.get("name") is not None:
        metadata["target"] = target["name"]
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    helper.set_model_props(model, texts)
    graph.onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
