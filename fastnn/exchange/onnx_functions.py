"""Activations that ONNX Runtime lacks in float64, as functions that are stored in the ONNX file.

They are written in ONNX's text format and use operators that the runtime has;
:func:`fastnn.exchange.from_onnx` recognises them by their domain and name.
"""

from __future__ import annotations

import math

from numba import types

from ..kernels.hooks.activations import GELU_CUBE, GELU_LINE, SELU_ALPHA, SELU_SCALE
from ..kernels.hooks.functions import _MILLS

DOMAIN = "fastnn"
OPSET = 20


def _constants(**values: float) -> str:
    """Return lines that define constants."""
    return "".join(f"{name} = Constant <value = double {{{value!r}}}> ()\n" for name, value in values.items())


_BELOW_AND_ABOVE = _constants(zero=0.0) + "below = Min(z, zero)\nabove = Relu(z)\n"
_SLOPED = _BELOW_AND_ABOVE + "part = Mul(slope, below)\na = Add(above, part)\n"
_EXPM1 = _BELOW_AND_ABOVE + _constants(one=1.0) + "e = Exp(below)\nm = Sub(e, one)\n"
_SOFTPLUS = _constants(one=1.0) + (
    "size = Abs(z)\nless = Neg(size)\ne = Exp(less)\nabove_1 = Add(one, e)\nlog = Log(above_1)\n"
    "above = Relu(z)\ns = Add(above, log)\n"
)
_HARD_SIGMOID = _constants(zero=0.0, three=3.0, six=6.0) + (
    "moved = Add(z, three)\ncut = Clip(moved, zero, six)\ns = Div(cut, six)\n"
)


def _normal_distribution() -> str:
    """Return lines that define ``p``, the normal distribution function of ``z``.

    It is the kernels' polynomial for Mills' ratio.
    """
    k, most, coefficients = _MILLS[types.float64]
    constants = {f"c{j}": c for j, c in enumerate(coefficients)}
    lines = _constants(
        zero=0.0, one=1.0, half=-0.5, peak=1 / math.sqrt(2 * math.pi), k=k, most=most, **constants
    )
    lines += (
        "size = Abs(z)\nx = Min(size, most)\nsquare = Mul(x, x)\nhalved = Mul(half, square)\n"
        "e = Exp(halved)\ndensity = Mul(peak, e)\nleft = Sub(x, k)\nright = Add(x, k)\nt = Div(left, right)\n"
    )
    value = "c0"
    for j in range(1, len(coefficients)):
        lines += f"m{j} = Mul({value}, t)\np{j} = Add(m{j}, c{j})\n"
        value = f"p{j}"
    return lines + (
        f"weighted = Mul(density, {value})\nx_1 = Add(one, x)\ntail = Div(weighted, x_1)\n"
        "rest = Sub(one, tail)\nis_above = Greater(z, zero)\np = Where(is_above, rest, tail)\n"
    )


_BODIES = {
    "leaky_relu": _SLOPED,
    "prelu": _SLOPED,
    "elu": _EXPM1 + "part = Mul(alpha, m)\na = Add(above, part)\n",
    "selu": _EXPM1
    + _constants(alpha=SELU_ALPHA, scale=SELU_SCALE)
    + "part = Mul(alpha, m)\nsum = Add(above, part)\na = Mul(scale, sum)\n",
    "gelu": _normal_distribution() + "a = Mul(z, p)\n",
    "gelu_tanh": _constants(line=GELU_LINE, cube=GELU_CUBE)
    + "square = Mul(z, z)\ncubed = Mul(cube, square)\nslope = Add(line, cubed)\n"
    + "steep = Mul(z, slope)\nshare = Sigmoid(steep)\na = Mul(z, share)\n",
    "mish": _SOFTPLUS + "share = Tanh(s)\na = Mul(z, share)\n",
    "softplus": _SOFTPLUS + "a = Identity(s)\n",
    "hard_sigmoid": _HARD_SIGMOID + "a = Identity(s)\n",
    "hard_swish": _HARD_SIGMOID + "a = Mul(z, s)\n",
}
NAMES = tuple(_BODIES)
_INPUTS = {"leaky_relu": "z, slope", "prelu": "z, slope", "elu": "z, alpha"}


def function_text(name: str) -> str:
    r"""Return the function of an activation, as :func:`onnx.parser.parse_function` reads it.

    Examples
    --------
    >>> function_text("hard_swish").partition(" {")[0]
    '<opset_import: ["": 20], domain: "fastnn">\nhard_swish (z) => (a)'
    """
    inputs = _INPUTS.get(name, "z")
    return (
        f'<opset_import: ["": {OPSET}], domain: "{DOMAIN}">\n{name} ({inputs}) => (a) {{\n{_BODIES[name]}}}'
    )
