"""Networks from ONNX files whose graph is a chain of dense layers, normalisations and activations."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import _checks
from .._documents import parse_json
from ..data.target import Target
from ..network.files import refusing
from ..network.mlp import MLP
from . import onnx_functions
from .arguments import check_output, existing_file
from .onnx_constants import Constants
from .onnx_operators import read_operator
from .steps import (
    Activate,
    AddInput,
    BatchNorm,
    Dense,
    LayerNorm,
    Scale,
    Step,
    check_growth,
    class_target,
    network_of,
)

# Operators, with their constants, of the factor that z is multiplied by: PyTorch exports these activations as
# z * factor(z).
_GATES: dict[str, tuple[tuple[Any, ...], ...]] = {
    "silu": (("Sigmoid",),),
    "mish": (("Softplus",), ("Tanh",)),
    "gelu": (("Div", math.sqrt(2.0)), ("Erf",), ("Add", 1.0)),
}
_IGNORED = {"Identity", "Dropout", "Cast"}


def from_onnx(source: str | os.PathLike[str] | bytes, *, output: str | None = None) -> MLP:
    """Read a network from an ONNX file whose graph is a chain of dense layers.

    The graph may have Gemm, or MatMul with Add; activations; BatchNormalization and LayerNormalization;
    additions of constants and multiplications by constants, which are folded into the dense layers beside
    them; residual connections around a layer; and arithmetic on constants, whose
    results may not be larger than the file. The first output of the file is read; nodes that only other
    outputs need are left out. Weights may be in another file of the same folder.

    Parameters
    ----------
    source : path-like or bytes
        The file, or its content.
    output : str, optional
        Activation of the output layer, if the graph ends without one: "softmax" for a classifier whose graph
        returns logits.

    Returns
    -------
    MLP
        float64 if the file's weights are.

    Raises
    ------
    ValueError
        If it is not an ONNX file, is damaged, or does anything that an MLP cannot do; the message names the
        node and its operator.
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
    output = check_output(output)
    onnx = _checks.require("onnx", "onnx")
    is_content = isinstance(source, (bytes, bytearray, memoryview))
    source = bytes(source) if is_content else existing_file(source, "source")  # type: ignore[arg-type]
    with refusing(source, "ONNX model"):
        folder = source.parent if isinstance(source, Path) else None
        return _GraphReader(onnx, _read(onnx, source), folder).network(output)


def _read(onnx: ModuleType, source: Path | bytes) -> Any:
    """Return the model of a file or its content, as onnx describes it, without weights in other files."""
    from google.protobuf.message import DecodeError

    content = source.read_bytes() if isinstance(source, Path) else source
    try:
        model = onnx.load_model_from_string(content, format="protobuf")
    except DecodeError:
        raise ValueError("it is damaged or not an ONNX file.") from None
    if not model.graph.node or not model.graph.output:
        raise ValueError("it is damaged or not an ONNX file: it has no graph.")
    return model


class _GraphReader:
    """Walks through a graph and notes what it does to x, step by step."""

    def __init__(self, onnx: ModuleType, model: Any, folder: Path | None) -> None:
        self.onnx, self.model, self.graph = onnx, model, model.graph
        self.constants = Constants(onnx, model, folder)
        self.steps: list[Step] = []
        # The number of steps from x to each value.
        self.depths: dict[str, int] = {self._input(): 0}
        self.result = self.graph.output[0].name
        self.nodes = [node for node in self._needed_nodes() if not self.constants.evaluate(node)]
        self.users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in {*node.input}:
                self.users.setdefault(name, []).append(node)

    def _input(self) -> str:
        """Return the name of the only input."""
        inputs = [given.name for given in self.graph.input if given.name not in self.constants]
        if len(inputs) != 1:
            raise ValueError(f"it has the inputs {', '.join(inputs) or '(none)'}: expected only one.")
        return inputs[0]

    def _needed_nodes(self) -> list[Any]:
        """Return the nodes that the result depends on, in order."""
        wanted, nodes = {self.result}, []
        for node in reversed(self.graph.node):
            if not node.output:
                raise ValueError(f"a node {node.op_type} has no output.")
            if wanted.intersection(node.output):
                wanted.update(node.input)
                nodes.append(node)
        return nodes[::-1]

    def network(self, output: str | None) -> MLP:
        """Return the network that computes what the graph does."""
        done: set[str] = set()
        for node in self.nodes:
            if node.output[0] not in done and not self._read_gate(node, done):
                self._read_node(node)
        if self.depths.get(self.result) != len(self.steps):
            raise ValueError(f"its output {self.result!r} is not at the end of a chain that starts with x.")
        check_growth(self.steps, self.constants.n_numbers)
        net = network_of(self.steps, output=output)
        self._check_width(net)
        classes = next((entry.value for entry in self.model.metadata_props if entry.key == "classes"), None)
        if classes is not None and self.model.producer_name == "fastnn":
            labels = parse_json(classes)
            if not isinstance(labels, list) or len(labels) != net.compiled_network.architecture.n_classes:
                raise ValueError("its metadata has other classes than the network has outputs.")
            net.metadata["target"] = Target.from_dict(class_target(labels)).to_dict()
        return net

    def _check_width(self, net: MLP) -> None:
        dims = next(
            given for given in self.graph.input if given.name in self.depths
        ).type.tensor_type.shape.dim
        n_features = int(np.prod([dim.dim_value for dim in dims[1:]])) if len(dims) > 1 else 0
        if n_features and n_features != net.sizes[0]:
            raise ValueError(
                f"its input has {n_features} features, but its first dense layer takes {net.sizes[0]}."
            )

    def _read_gate(self, node: Any, done: set[str]) -> bool:
        """Read an activation of several nodes, such as z sigmoid(z); return False if none starts here."""
        z, outputs = node.input[0], [node.output[0]]
        operators: list[tuple[Any, ...]] = []
        while len(operators) < 3:
            numbers = (self.constants[name].item() for name in node.input if self._is_number(name))
            operators.append((node.op_type, *numbers))
            users = self.users.get(node.output[0], [])
            if len(users) != 1 or node.domain:
                return False
            (user,) = users
            outputs.append(user.output[0])
            if user.op_type == "Mul" and set(user.input) == {z, node.output[0]}:
                break
            node = user
        name = next((name for name, form in _GATES.items() if _are_equal(form, operators)), None)
        if name is None or self.depths.get(z) != len(self.steps):
            return False
        self.steps.append(Activate(name, None, _describe(user)))
        # The exported form of gelu leaves a factor 0.5 to the next node.
        self._note(user, Scale(2.0, 0.0, _describe(user)) if name == "gelu" else None)
        done.update(outputs)
        return True

    def _is_number(self, name: str) -> bool:
        return name in self.constants and self.constants[name].size == 1

    def _read_node(self, node: Any) -> None:
        """Note the step of a node that depends on x."""
        variable = [name for name in node.input if name and name not in self.constants]
        reader = getattr(self, f"_read_op_{node.op_type.lower()}", None)
        if node.domain == onnx_functions.DOMAIN and node.op_type in onnx_functions.NAMES:
            self._expect_chain(node, *variable)
            alpha = self.constants[node.input[1]] if len(node.input) > 1 else None
            scalar = alpha if alpha is None or node.op_type == "prelu" else float(alpha)
            step: Step | None = Activate(node.op_type, scalar, _describe(node))
        elif node.domain not in ("", "ai.onnx"):
            raise ValueError(
                f"{_describe(node)} is an operator of {node.domain!r}, which an MLP does not have."
            )
        elif node.op_type == "Add" and len(variable) == 2:
            step = self._read_residual(node, variable)
        else:
            self._expect_chain(node, *variable)
            step = self._read_simple(node) if reader is None else reader(node)
        self._note(node, step)

    def _note(self, node: Any, step: Step | None) -> None:
        """Append the step of a node, None if it does nothing."""
        if step is not None:
            self.steps.append(step)
        self.depths[node.output[0]] = len(self.steps)

    def _expect_chain(self, node: Any, *names: str) -> None:
        """Raise ValueError unless a node takes the latest value, and nothing else that depends on x."""
        if len(names) != 1 or self.depths.get(names[0]) != len(self.steps):
            raise ValueError(
                f"{_describe(node)} takes {', '.join(names)}: expected only the output of the node before."
            )

    def _attributes(self, node: Any) -> dict[str, Any]:
        """Return a node's attributes by name, with text as str."""
        values = {each.name: self.onnx.helper.get_attribute_value(each) for each in node.attribute}
        for name, value in values.items():
            if not isinstance(value, (int, float, bytes)):
                raise ValueError(f"{_describe(node)}: its {name} is neither a number nor text.")
        return {name: _python_value(value) for name, value in values.items()}

    def _number(self, node: Any, name: str, default: float) -> float:
        """Return an attribute that must be a number."""
        value = self._attributes(node).get(name, default)
        if isinstance(value, str):
            raise ValueError(f"{_describe(node)}: its {name} is {value!r}, expected a number.")
        return value

    def _constant(self, node: Any, index: int, default: np.ndarray | None = None) -> np.ndarray:
        """Return an input, which must be constant, as a float array."""
        if index >= len(node.input) or not node.input[index]:
            if default is None:
                raise ValueError(f"{_describe(node)} lacks its input {index}.")
            return default
        name = node.input[index]
        if name not in self.constants:
            raise ValueError(f"{_describe(node)}: its input {name!r} is not constant.")
        array = self.constants[name]
        if array.dtype.kind in "OSUcmM":
            raise ValueError(f"{_describe(node)}: its input {name!r} is {array.dtype}, expected numbers.")
        return array if array.dtype == np.float64 else array.astype(np.float32)

    def _read_simple(self, node: Any) -> Step | None:
        """Read an operator whose only input is the value it changes."""
        where = _describe(node)
        if node.op_type in _IGNORED:
            return None
        try:
            found = read_operator(node.op_type, self._attributes(node))
        except ValueError as error:
            raise ValueError(f"{where} {error}") from None
        if found is None:
            raise ValueError(f"{where} is an operator that cannot be part of an MLP.")
        return Activate(*found, where)

    def _read_op_softmax(self, node: Any) -> Step:
        self._expect_axis(node, -1)
        return Activate("softmax", None, _describe(node))

    def _expect_axis(self, node: Any, default: int) -> None:
        """Raise ValueError unless a node works across the outputs of a row."""
        axis = self._number(node, "axis", default)
        if axis not in (1, -1):
            raise ValueError(
                f"{_describe(node)} works along axis {axis}: expected 1, across the outputs of a row."
            )

    def _read_op_flatten(self, node: Any) -> None:
        self._expect_axis(node, 1)

    def _read_op_reshape(self, node: Any) -> None:
        shape = self._constant(node, 1)
        if shape.size != 2 or shape[0] > 0:
            raise ValueError(
                f"{_describe(node)} changes the shape to {shape.tolist()}: expected [-1, n_features]."
            )

    def _read_op_gemm(self, node: Any) -> Step:
        if self._number(node, "transA", 0) or node.input[0] in self.constants:
            raise ValueError(f"{_describe(node)} multiplies from the left: expected rows times a constant.")
        weight, bias = self._constant(node, 1), self._constant(node, 2, np.zeros(1, np.float32))
        weight = (weight.T if self._number(node, "transB", 0) else weight) * self._number(node, "alpha", 1.0)
        return Dense(weight, bias.reshape(-1) * self._number(node, "beta", 1.0), _describe(node))

    def _read_op_matmul(self, node: Any) -> Step:
        weight = self._constant(node, 1)
        return Dense(weight, np.zeros(1, weight.dtype), _describe(node))

    def _elementwise(self, node: Any, factor_and_shift: Callable[[np.ndarray], tuple[Any, Any]]) -> Step:
        """Read a scaling whose factor and shift depend on a constant, the first or the second input."""
        index = 1 if node.input[1] in self.constants else 0
        constant = self._constant(node, index)
        if constant.ndim and constant.size != constant.shape[-1]:
            raise ValueError(
                f"{_describe(node)} has a constant of shape {constant.shape}: expected a number or a row."
            )
        factor, shift = factor_and_shift(constant.reshape(-1) if constant.ndim else constant)
        return Scale(factor, shift, _describe(node))

    def _read_op_add(self, node: Any) -> Step:
        return self._elementwise(node, lambda c: (1.0, c))

    def _read_op_mul(self, node: Any) -> Step:
        return self._elementwise(node, lambda c: (c, 0.0))

    def _read_op_sub(self, node: Any) -> Step:
        if node.input[0] in self.constants:
            return self._elementwise(node, lambda c: (-1.0, c))
        return self._elementwise(node, lambda c: (1.0, -c))

    def _read_op_div(self, node: Any) -> Step:
        if node.input[0] in self.constants:
            raise ValueError(f"{_describe(node)} divides a constant by a variable, which an MLP cannot do.")
        return self._elementwise(node, lambda c: (1 / c, 0.0))

    def _read_op_prelu(self, node: Any) -> Step:
        return Activate("prelu", self._constant(node, 1).reshape(-1), _describe(node))

    def _read_op_batchnormalization(self, node: Any) -> Step:
        if self._number(node, "training_mode", 0):
            raise ValueError(f"{_describe(node)} is in training mode: export the model for inference.")
        gain, shift, mean, variance = (self._constant(node, index) for index in range(1, 5))
        return BatchNorm(gain, shift, mean, variance, self._number(node, "epsilon", 1e-5), _describe(node))

    def _read_op_layernormalization(self, node: Any) -> Step:
        self._expect_axis(node, -1)
        gain = self._constant(node, 1)
        shift = self._constant(node, 2, np.zeros_like(gain))
        eps = self._number(node, "epsilon", 1e-5)
        return LayerNorm(gain, shift, eps, _describe(node))

    def _read_residual(self, node: Any, names: Sequence[str]) -> Step:
        """Read the sum of a layer's output and its input."""
        depths = sorted(self.depths.get(name, -1) for name in names)
        starts = [k for k, step in enumerate(self.steps) if isinstance(step, Dense)]
        if not starts or depths != [starts[-1], len(self.steps)]:
            raise ValueError(
                f"{_describe(node)} adds {' and '.join(names)}: expected input and output of a single dense "
                "layer."
            )
        return AddInput(_describe(node))


def _python_value(value: Any) -> Any:
    """Return an attribute's value with text as str and floats as written."""
    if isinstance(value, bytes):
        return value.decode()
    # ONNX stores float32: 0.01 must not become 0.009999999776.
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _are_equal(form: tuple[tuple[Any, ...], ...], operators: list[tuple[Any, ...]]) -> bool:
    """Return whether operators and their constants are those of a form."""
    return len(form) == len(operators) and all(
        a[0] == b[0] and len(a) == len(b) and np.allclose(a[1:], b[1:], rtol=1e-5)
        for a, b in zip(form, operators, strict=True)
    )


def _describe(node: Any) -> str:
    """Return what messages call a node."""
    return f"node {node.name or node.output[0]!r} ({node.op_type})"
