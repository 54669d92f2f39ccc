"""ONNX files as networks: chains of dense layers, normalisations and activations."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ..kernels.hooks.activations import SELU_ALPHA, SELU_SCALE
from ..network.mlp import MLP
from . import onnx_functions
from .steps import (
    Activate,
    AddInput,
    BatchNorm,
    Dense,
    LayerNorm,
    Scale,
    Step,
    checked_output,
    class_target,
    existing,
    network_of,
    reading,
)

_PLAIN = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Mish": "mish",
    "HardSwish": "hard_swish",
    "Exp": "exp",
}
# What the attributes must be, where fastnn has one form only; in ONNX's order, their defaults.
_FIXED = {
    "Selu": ("selu", {"alpha": (SELU_ALPHA, SELU_ALPHA), "gamma": (SELU_SCALE, SELU_SCALE)}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": (1 / 6, 0.2), "beta": (0.5, 0.5)}),
    "Swish": ("silu", {"alpha": (1.0, 1.0)}),
}
_WITH_ALPHA = {"LeakyRelu": ("leaky_relu", 0.01), "Elu": ("elu", 1.0)}
_GELUS = {"none": "gelu", "tanh": "gelu_tanh"}
# What z is multiplied by, as operators with their constants: PyTorch's exporter has no other form of these.
_GATED: dict[str, tuple[tuple[Any, ...], ...]] = {
    "silu": (("Sigmoid",),),
    "mish": (("Softplus",), ("Tanh",)),
    "gelu": (("Div", math.sqrt(2.0)), ("Erf",), ("Add", 1.0)),
}
_SILENT = {"Identity", "Dropout", "Cast"}


def from_onnx(source: str | os.PathLike[str] | bytes, *, output: str | None = None) -> MLP:
    """A network from an ONNX file whose graph is a chain of dense layers.

    Gemm, or MatMul with Add; activations; BatchNormalization and LayerNormalization; additions and
    multiplications by constants, which are folded into the dense layers beside them; residual connections
    around a layer; whatever else has constant inputs only. It follows the first output that the file names;
    what other outputs need beyond that is left out.

    Parameters
    ----------
    source : path-like or bytes
        The file, or its content.
    output : str, optional
        Activation of the output layer, if the graph ends without one: "softmax" of a classifier whose graph
        gives logits.

    Returns
    -------
    MLP
        float64 if the file's weights are.

    Raises
    ------
    ValueError
        If it is no ONNX file, is damaged, or does anything that an MLP does not: the sentence names the node
        and its operator.
    FileNotFoundError
        If there is no such file.
    ImportError
        If onnx is not installed.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn.exchange import to_onnx
    >>> net = fastnn.MLP([4, 8, 3], "gelu", output="softmax", seed=0)
    >>> from_onnx(to_onnx(net))
    MLP([4, 8, 3], activation=['gelu'], output='softmax', dtype='float32')
    """
    output = checked_output(output)
    onnx = _checks.require("onnx", "onnx")
    is_content = isinstance(source, (bytes, bytearray, memoryview))
    source = bytes(source) if is_content else existing(source, "source")  # type: ignore[arg-type]
    with reading(source, "ONNX model"):
        return _Reader(onnx, _read(onnx, source)).network(output)


def _read(onnx, source: Path | bytes):
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(source) if isinstance(source, Path) else onnx.load_model_from_string(source)
    except FileNotFoundError as error:
        raise ValueError(f"its weights are in another file, which is not there ({error}).") from None
    except onnx.checker.ValidationError as error:  # also of weights in another file
        raise ValueError(f"{str(error).strip()}") from None
    except DecodeError:
        raise ValueError("it is damaged or no ONNX file.") from None
    if not model.graph.node or not model.graph.output:
        raise ValueError("it is damaged or no ONNX file: it has no graph.")
    return model


class _Reader:
    """Walks through a graph and notes what it does to x, step by step."""

    def __init__(self, onnx, model) -> None:
        self.onnx, self.model, self.graph = onnx, model, model.graph
        self.constants: dict[str, np.ndarray] = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.graph.initializer
        }
        self.steps: list[Step] = []
        # How many steps a value is away from x.
        self.places: dict[str, int] = {self._input(): 0}
        self.result = self.graph.output[0].name
        self.nodes = [node for node in self._needed() if not self._evaluate(node)]

    def _input(self) -> str:
        inputs = [given.name for given in self.graph.input if given.name not in self.constants]
        if len(inputs) != 1:
            raise ValueError(f"it has the inputs {', '.join(inputs) or '(none)'}: expected a single one.")
        return inputs[0]

    def _needed(self) -> list[Any]:
        """The nodes that the result depends on, in order."""
        wanted, nodes = {self.result}, []
        for node in reversed(self.graph.node):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                nodes.append(node)
        return nodes[::-1]

    def network(self, output: str | None) -> MLP:
        done: set[str] = set()
        for node in self.nodes:
            if node.output[0] not in done and not self._is_gated(node, done):
                self._take(node)
        if self.places.get(self.result) != len(self.steps):
            raise ValueError(f"its output {self.result!r} is not at the end of a chain that begins with x.")
        net = network_of(self.steps, output=output)
        self._check_width(net)
        classes = next((entry.value for entry in self.model.metadata_props if entry.key == "classes"), None)
        if classes is not None and self.model.producer_name == "fastnn":
            net.metadata["target"] = class_target(json.loads(classes))
        return net

    def _check_width(self, net: MLP) -> None:
        dims = next(
            given for given in self.graph.input if given.name in self.places
        ).type.tensor_type.shape.dim
        n_features = int(np.prod([dim.dim_value for dim in dims[1:]])) if len(dims) > 1 else 0
        if n_features and n_features != net.sizes[0]:
            raise ValueError(
                f"its input has {n_features} features, but its first dense layer takes {net.sizes[0]}."
            )

    # What a node does.

    def _evaluate(self, node) -> bool:
        """Compute what has constant inputs only; whether it has."""
        if any(name and name not in self.constants for name in node.input):
            return False
        helper = self.onnx.helper
        values = {name: self.constants[name] for name in node.input if name}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in values.items()
        ]
        outputs = [self.onnx.ValueInfoProto(name=name) for name in node.output]
        from onnx.reference import ReferenceEvaluator

        graph = helper.make_graph([node], "constant", inputs, outputs)
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        results = ReferenceEvaluator(model).run(None, values)
        self.constants.update(zip(node.output, map(np.asarray, results), strict=True))
        return True

    def _is_gated(self, node, done: set[str]) -> bool:
        """Whether one of _GATED begins here, such as z sigmoid(z), which is then taken as a whole."""
        z, outputs = node.input[0], [node.output[0]]
        signs: list[tuple[Any, ...]] = []
        while len(signs) < 3:
            signs.append(
                (node.op_type, *(self.constants[n].item() for n in node.input if self._is_number(n)))
            )
            users = [other for other in self.nodes if node.output[0] in other.input]
            if len(users) != 1 or node.domain:
                return False
            (user,) = users
            outputs.append(user.output[0])
            if user.op_type == "Mul" and set(user.input) == {z, node.output[0]}:
                break
            node = user
        name = next((name for name, form in _GATED.items() if _alike(form, signs)), None)
        if name is None or self.places.get(z) != len(self.steps):
            return False
        self.steps.append(Activate(name, None, _called(user)))
        # The form that is in use leaves a factor to the next node.
        self._note(user, Scale(2.0, 0.0, _called(user)) if name == "gelu" else None)
        done.update(outputs)
        return True

    def _is_number(self, name: str) -> bool:
        return name in self.constants and self.constants[name].size == 1

    def _take(self, node) -> None:
        variable = [name for name in node.input if name and name not in self.constants]
        reader = getattr(self, f"_read_{node.op_type.lower()}", None)
        if node.domain == onnx_functions.DOMAIN and node.op_type in onnx_functions.NAMES:
            self._expect_chain(node, *variable)
            alpha = self.constants[node.input[1]] if len(node.input) > 1 else None
            scalar = alpha if alpha is None or node.op_type == "prelu" else float(alpha)
            step: Step | None = Activate(node.op_type, scalar, _called(node))
        elif node.domain not in ("", "ai.onnx"):
            raise ValueError(f"{_called(node)} is an operator of {node.domain!r}, which an MLP has not.")
        elif node.op_type == "Add" and len(variable) == 2:
            step = self._read_residual(node, variable)
        else:
            self._expect_chain(node, *variable)
            step = self._common(node) if reader is None else reader(node)
        self._note(node, step)

    def _note(self, node, step: Step | None) -> None:
        if step is not None:
            self.steps.append(step)
        self.places[node.output[0]] = len(self.steps)

    def _expect_chain(self, node, *names: str) -> None:
        """Raise unless a node takes what came last, and nothing else that varies."""
        if len(names) != 1 or self.places.get(names[0]) != len(self.steps):
            raise ValueError(
                f"{_called(node)} takes {', '.join(names)}: expected what the node before gives."
            )

    def _attributes(self, node) -> dict[str, Any]:
        """By name, with text as str."""
        values = {each.name: self.onnx.helper.get_attribute_value(each) for each in node.attribute}
        return {name: _python_value(value) for name, value in values.items()}

    def _constant(self, node, index: int, default=None) -> np.ndarray:
        """An input that must be constant, as a float array."""
        if index >= len(node.input) or not node.input[index]:
            return default
        name = node.input[index]
        if name not in self.constants:
            raise ValueError(f"{_called(node)}: its input {name!r} is not constant.")
        array = self.constants[name]
        return array if array.dtype == np.float64 else array.astype(np.float32)

    def _common(self, node) -> Step | None:
        """Operators without inputs of their own."""
        op, attributes, where = node.op_type, self._attributes(node), _called(node)
        if op in _SILENT:
            return None
        if op in _PLAIN:
            return Activate(_PLAIN[op], None, where)
        if op in _WITH_ALPHA:
            name, default = _WITH_ALPHA[op]
            return Activate(name, attributes.get("alpha", default), where)
        if op in _FIXED:
            name, expected = _FIXED[op]
            for key, (value, default) in expected.items():
                found = attributes.get(key, default)
                if not np.isclose(found, value, rtol=1e-5):
                    raise ValueError(f"{where} has {key} {found:g}, but fastnn's {name} has {value:g}.")
            return Activate(name, None, where)
        if op == "Gelu":
            return Activate(_GELUS[attributes.get("approximate", "none")], None, where)
        raise ValueError(f"{where} is an operator that cannot be part of an MLP.")

    def _read_softmax(self, node) -> Step:
        self._expect_axis(node, -1)
        return Activate("softmax", None, _called(node))

    def _expect_axis(self, node, default: int) -> None:
        axis = self._attributes(node).get("axis", default)
        if axis not in (1, -1):
            raise ValueError(f"{_called(node)} works along axis {axis}: expected 1, the outputs of a row.")

    def _read_flatten(self, node) -> None:
        self._expect_axis(node, 1)

    def _read_reshape(self, node) -> None:
        shape = self._constant(node, 1)
        if shape.size != 2 or shape[0] > 0:
            raise ValueError(f"{_called(node)} gives the shape {shape.tolist()}: expected rows as they are.")

    def _read_gemm(self, node) -> Step:
        attributes = self._attributes(node)
        if attributes.get("transA", 0) or node.input[0] in self.constants:
            raise ValueError(f"{_called(node)} multiplies from the left: expected rows times a constant.")
        weight, bias = self._constant(node, 1), self._constant(node, 2, np.zeros(1, np.float32))
        weight = (weight.T if attributes.get("transB", 0) else weight) * attributes.get("alpha", 1.0)
        return Dense(weight, bias.reshape(-1) * attributes.get("beta", 1.0), _called(node))

    def _read_matmul(self, node) -> Step:
        weight = self._constant(node, 1)
        return Dense(weight, np.zeros(weight.shape[-1], weight.dtype), _called(node))

    def _elementwise(self, node, terms: Callable[[np.ndarray], tuple[Any, Any]]) -> Step:
        """A scaling by a constant, on whichever side it stands."""
        index = 1 if node.input[1] in self.constants else 0
        constant = self._constant(node, index)
        if constant.ndim and constant.size != constant.shape[-1]:
            raise ValueError(f"{_called(node)} has a constant of shape {constant.shape}: expected a row.")
        factor, shift = terms(constant.reshape(-1) if constant.ndim else constant)
        return Scale(factor, shift, _called(node))

    def _read_add(self, node) -> Step:
        return self._elementwise(node, lambda c: (1.0, c))

    def _read_mul(self, node) -> Step:
        return self._elementwise(node, lambda c: (c, 0.0))

    def _read_sub(self, node) -> Step:
        if node.input[0] in self.constants:
            return self._elementwise(node, lambda c: (-1.0, c))
        return self._elementwise(node, lambda c: (1.0, -c))

    def _read_div(self, node) -> Step:
        if node.input[0] in self.constants:
            raise ValueError(f"{_called(node)} divides a constant by what varies, which an MLP does not.")
        return self._elementwise(node, lambda c: (1 / c, 0.0))

    def _read_prelu(self, node) -> Step:
        return Activate("prelu", self._constant(node, 1).reshape(-1), _called(node))

    def _read_batchnormalization(self, node) -> Step:
        attributes = self._attributes(node)
        if attributes.get("training_mode", 0):
            raise ValueError(f"{_called(node)} is in training mode: export the model for inference.")
        gain, shift, mean, variance = (self._constant(node, index) for index in range(1, 5))
        return BatchNorm(gain, shift, mean, variance, attributes.get("epsilon", 1e-5), _called(node))

    def _read_layernormalization(self, node) -> Step:
        self._expect_axis(node, -1)
        gain = self._constant(node, 1)
        shift = self._constant(node, 2, np.zeros_like(gain))
        eps = self._attributes(node).get("epsilon", 1e-5)
        return LayerNorm(gain, shift, eps, _called(node))

    def _read_residual(self, node, variable: Iterable[str]) -> Step:
        """The sum of a layer's output and its input."""
        places = sorted(self.places.get(name, -1) for name in variable)
        starts = [k for k, step in enumerate(self.steps) if isinstance(step, Dense)]
        if not starts or places != [starts[-1], len(self.steps)]:
            raise ValueError(
                f"{_called(node)} adds {' and '.join(variable)}: expected what a single dense layer takes "
                "and gives."
            )
        return AddInput(_called(node))


def _python_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    # These are float32: 0.01 shall not become 0.009999999776.
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _alike(form: tuple[tuple[Any, ...], ...], signs: list[tuple[Any, ...]]) -> bool:
    """Whether operators and numbers are those."""
    return len(form) == len(signs) and all(
        a[0] == b[0] and len(a) == len(b) and np.allclose(a[1:], b[1:], rtol=1e-5)
        for a, b in zip(form, signs, strict=True)
    )


def _called(node) -> str:
    return f"node {node.name or node.output[0]!r} ({node.op_type})"
