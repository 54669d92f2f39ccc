"""ONNX's operators for activations: the table that files are written from and read by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..kernels.hooks.activations import SELU_ALPHA, SELU_SCALE


class Operator(NamedTuple):
    """The operator of an activation that has one in ONNX.

    Attributes
    ----------
    op_type : str
    attributes : mapping
        Their values in fastnn's form; None stands for the activation's alpha.
    defaults : mapping
        Values in ONNX of attributes that a node leaves out, where they differ.
    """

    op_type: str
    attributes: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}


OPERATORS = {
    "relu": Operator("Relu"),
    "tanh": Operator("Tanh"),
    "sigmoid": Operator("Sigmoid"),
    "softmax": Operator("Softmax", {"axis": -1}),
    "exp": Operator("Exp"),
    "leaky_relu": Operator("LeakyRelu", {"alpha": None}, {"alpha": 0.01}),
    "elu": Operator("Elu", {"alpha": None}, {"alpha": 1.0}),
    "selu": Operator("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
    "gelu": Operator("Gelu", {"approximate": "none"}),
    "gelu_tanh": Operator("Gelu", {"approximate": "tanh"}, {"approximate": "none"}),
    "mish": Operator("Mish"),
    "softplus": Operator("Softplus"),
    "hard_sigmoid": Operator("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, {"alpha": 0.2}),
    "hard_swish": Operator("HardSwish"),
}
# Read only: most runtimes do not have it yet.
_READ = {**OPERATORS, "silu": Operator("Swish", {"alpha": 1.0})}


def read_operator(op_type: str, attributes: Mapping[str, Any]) -> tuple[str, float | None] | None:
    """Return the activation of an operator and its alpha; None if it is not an activation's.

    Raises
    ------
    ValueError
        If the attributes are not those of fastnn's activation.

    Examples
    --------
    >>> read_operator("Gelu", {"approximate": "tanh"}), read_operator("Elu", {}), read_operator("Gemm", {})
    (('gelu_tanh', None), ('elu', 1.0), None)
    """
    reason = ""
    for name, operator in _READ.items():
        if operator.op_type != op_type:
            continue
        found = {**operator.attributes, **operator.defaults, **attributes}
        differing = [
            key
            for key, value in operator.attributes.items()
            if not (value is None or _is_close(found[key], value))
        ]
        if not differing:
            has_alpha = "alpha" in operator.attributes and operator.attributes["alpha"] is None
            return name, found["alpha"] if has_alpha else None
        key = differing[0]
        reason = reason or (
            f"has {key} {_short(found[key])}, but fastnn's {name} has {_short(operator.attributes[key])}."
        )
    if reason:
        raise ValueError(reason)
    return None


def _is_close(found: Any, expected: Any) -> bool:
    return found == expected if isinstance(expected, str) else bool(np.isclose(found, expected, rtol=1e-5))


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"
