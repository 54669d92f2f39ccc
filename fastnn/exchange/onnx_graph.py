"""Graphs of ONNX files as they are written: nodes, constants, inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _checks
from . import onnx_functions


class Graph:
    """A graph that nodes are added to, one after another.

    Parameters
    ----------
    dtype : dtype
        Data type of constants that do not specify one.

    Attributes
    ----------
    prefix : str
        Precedes the names of nodes and constants.

    Raises
    ------
    ImportError
        If onnx is not installed.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.onnx = _checks.require("onnx", "onnx")
        self.dtype = dtype
        self.prefix = ""
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.functions: dict[str, Any] = {}
        self.domains: set[str] = set()

    def constant(self, value: ArrayLike, name: str, dtype: DTypeLike | None = None) -> str:
        """Add a named array and return its full name."""
        array = np.asarray(value, self.dtype if dtype is None else dtype, order="C")
        name = f"{self.prefix}.{name}" if self.prefix else name
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def float64_row(self, value: ArrayLike, name: str) -> str:
        """Add a float64 constant: one number for all columns, or one each."""
        return self.constant(np.asarray(value, np.float64).reshape(1, -1), name, np.float64)

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        stem = f"{self.prefix}.{op}" if self.prefix else op
        taken = sum(node.name == stem or node.name.startswith(f"{stem}_") for node in self.nodes)
        name = f"{stem}_{taken}" if taken else stem
        if domain:
            self.domains.add(domain)
        node = self.onnx.helper.make_node(op, inputs, [f"{name}:0"], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return node.output[0]

    def call(self, name: str, *inputs: str) -> str:
        """Add a node that calls one of fastnn's functions, which is then stored in the file."""
        if name not in self.functions:
            text = onnx_functions.function_text(name)
            self.functions[name] = self.onnx.parser.parse_function(text)
        return self.add(name, *inputs, domain=onnx_functions.DOMAIN)

    def cast(self, value: str, dtype: DTypeLike) -> str:
        """Add a conversion to another dtype."""
        return self.add("Cast", value, to=self.type_of(dtype))

    def type_of(self, dtype: DTypeLike) -> int:
        """Return ONNX's number for a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def input(self, name: str, dtype: DTypeLike, n_columns: int) -> str:
        """Add an input of shape (n, n_columns) and return its name."""
        self.inputs.append(
            self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), ["n", n_columns])
        )
        return name

    def output(self, value: str, name: str, dtype: DTypeLike, shape: list[str | int]) -> None:
        """Make a value an output of the file, under this name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for k, given in enumerate(names):
                    if given == value:
                        names[k] = name
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, self.type_of(dtype), shape))
