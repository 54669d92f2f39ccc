"""Functions in ONNX files: fastnn's activations in float64, to the last digits."""

import numpy as np
import pytest

import fastnn
from exchange.onnx_networks import ACTIVATIONS, run
from fastnn.activations import NAMES
from fastnn.exchange import to_onnx
from fastnn.exchange.onnx_functions import DOMAIN, function_text
from fastnn.exchange.onnx_functions import NAMES as FUNCTIONS

onnx = pytest.importorskip("onnx")


def test_activations_far_out_in_float64():
    """Where exponentials overflow or vanish, and gelu's tail."""
    x = np.concatenate([np.linspace(-900, 900, 37), np.linspace(-40, 40, 101)])[:, np.newaxis]
    for name in (name for name in ACTIVATIONS if name != "exp"):
        net = fastnn.MLP([1, 1, 1], name, init=[np.eye(1), np.eye(1)], dtype="float64")
        found = run(to_onnx(net), x=x)["output"]
        # What is multiplied by up to 40 is good to 1e-16 of 1, not of its value: ONNX Runtime's own sigmoid,
        # and a logarithm of 1 + exp(z).
        atol = 1e-14 if name in ("silu", "gelu_tanh", "mish") else 1e-15
        np.testing.assert_allclose(found, net.predict_raw(x), rtol=1e-13, atol=atol, err_msg=name)


def test_functions_are_stored_once_and_only_in_float64():
    assert set(FUNCTIONS) <= set(NAMES)
    for dtype, expected in (("float64", ["mish"]), ("float32", [])):
        model = onnx.load_from_string(to_onnx(fastnn.MLP([2, 3, 3, 1], "mish", dtype=dtype, seed=0)))
        assert [function.name for function in model.functions] == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_texts_can_be_parsed(name):
    function = onnx.parser.parse_function(function_text(name))
    assert (function.name, function.domain, list(function.output)) == (name, DOMAIN, ["a"])
