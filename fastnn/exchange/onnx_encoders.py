"""Encoders in ONNX files: the nodes that turn raw rows into a network's features."""

from __future__ import annotations

from typing import Any

import numpy as np

from .onnx_graph import Graph

_CLIP_LIMIT = 1e9  # smooth clipping is constant from there on, and squares are still finite
_HINT = "encode rows first, and pass preprocessing=False."


def add_encoder(graph: Graph, encoder: dict[str, Any], n_in: int) -> str:
    """Add inputs for raw rows and the encoder's nodes, and return the encoded value.

    Parameters
    ----------
    graph : Graph
    encoder : dict
        The encoder's ``to_dict()``.
    n_in : int
        Number of the network's inputs.

    Raises
    ------
    ValueError
        If ONNX cannot hold the encoder; the message tells what to do.
    """
    graph.prefix = "rows"
    kind = encoder.get("kind")
    if kind in ("array", "images"):
        x = graph.input("x", graph.dtype, n_in)
        # In float64, because the difference of two large numbers loses most digits of float32.
        wide = graph.cast(x, np.float64)
        if kind == "images":
            wide = graph.add("Div", wide, graph.float64_row(255.0, "full"))
        centred = graph.add("Sub", wide, graph.float64_row(encoder["mean"], "mean"))
        return graph.cast(
            graph.add("Div", centred, graph.float64_row(encoder["scale"], "scale")), graph.dtype
        )
    if kind == "table":
        return _add_table(graph, encoder["columns"])
    raise ValueError(f"the encoder of rows of kind {kind!r} cannot be part of an ONNX file: {_HINT}")


def _add_table(graph: Graph, columns: list[dict[str, Any]]) -> str:
    """Add the encoder of a table.

    Columns of numbers enter as numbers: "$1,234" as 1234, durations in seconds.
    """
    columns = [column for column in columns if column["kind"] != "ignore"]
    for column in columns:
        if column["kind"] not in ("number", "category"):
            raise ValueError(
                f"column {column['name']!r} is of kind {column['kind']!r}, which cannot be encoded in an "
                f"ONNX file: {_HINT}"
            )
    if all(column["kind"] == "number" for column in columns):
        x = graph.input("x", np.float64, len(columns))
        parts = [_add_numbers(graph, columns, x)]
    else:
        parts = []
        for column in columns:
            graph.prefix = f"columns.{column['name']}"
            if column["kind"] == "number":
                x = graph.input(_input_name(column), np.float64, 1)
                parts.append(_add_numbers(graph, [column], x))
            else:
                parts.append(_add_category(graph, column))
    graph.prefix = "rows"
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _add_numbers(graph: Graph, columns: list[dict[str, Any]], x: str) -> str:
    """Add the encoder of numeric columns: centring, scaling, smooth clipping, and marks of missing values.

    The clipping is that of Holzmueller et al. (2024).
    """
    fill, center, scale = (
        graph.float64_row([column[key] for column in columns], key) for key in ("fill", "center", "scale")
    )
    three, one = graph.float64_row(3.0, "three"), graph.float64_row(1.0, "one")
    most, least = (
        graph.constant(limit, name, np.float64)
        for name, limit in (("most", _CLIP_LIMIT), ("least", -_CLIP_LIMIT))
    )
    missing = graph.add("IsNaN", graph.add("Sub", x, x))  # infinite values count as missing
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


def _add_category(graph: Graph, column: dict[str, Any]) -> str:
    """Add the encoder of a categorical column: a feature per category, or the category's number.

    An unknown category has the number 0.
    """
    is_embedded = column["encoding"] == "embedding"
    # None stands for a missing value, which is an empty string in ONNX; embeddings have no vector for it.
    categories = ["" if c is None else c for c in column["categories"] if c is not None or not is_embedded]
    number = next((category for category in categories if not isinstance(category, str)), None)
    if number is not None:
        raise ValueError(
            f"column {column['name']!r} has categories that are not strings, such as {number!r}: {_HINT}"
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
    all_numbers = graph.constant([numbers], "numbers", np.int64)
    return graph.cast(graph.add("Equal", codes, all_numbers), graph.dtype)


def _input_name(column: dict[str, Any]) -> str:
    """Return a column's name, changed if an output of the file has the same."""
    name = column["name"]
    return f"{name}_column" if name in ("output", "label") else name


def feature_names(encoder: dict[str, Any]) -> list[str]:
    """Return the names of the columns or pixels that the file's inputs hold."""
    if encoder["kind"] == "table":
        return [column["name"] for column in encoder["columns"] if column["kind"] != "ignore"]
    n_features = int(np.prod(encoder.get("shape") or np.shape(encoder["mean"])))
    return list(encoder.get("feature_names") or (f"x{k}" for k in range(n_features)))
