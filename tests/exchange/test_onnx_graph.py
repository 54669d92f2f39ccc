"""Graphs of ONNX files: names of nodes and constants, dtypes, outputs."""

import numpy as np
import pytest

from fastnn.exchange.onnx_graph import Graph

onnx = pytest.importorskip("onnx")


def test_names_are_unique_and_outputs_get_theirs():
    graph = Graph(np.dtype("float32"))
    x = graph.input("x", np.float32, 3)
    graph.prefix = "layers.0"
    two = graph.constant(2, "two")
    once = graph.add("Mul", x, two)
    twice = graph.add("Mul", once, two)
    graph.output(twice, "y", np.float32, ["n", 3])
    assert [node.name for node in graph.nodes] == ["layers.0.Mul", "layers.0.Mul_1"]
    assert list(graph.nodes[1].output) == ["y"]
    assert list(graph.constants) == ["layers.0.two"]
    assert [value.name for value in (*graph.inputs, *graph.outputs)] == ["x", "y"]


def test_constants_have_the_dtype_of_the_graph_unless_told():
    graph = Graph(np.dtype("float32"))
    graph.constant([1.5], "a")
    graph.constant([1], "b", np.int64)
    graph.float64_row([1.0, 2.0], "c")
    arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in graph.constants.items()}
    assert [arrays[name].dtype.name for name in "abc"] == ["float32", "int64", "float64"]
    assert arrays["c"].shape == (1, 2)
