"""ONNX's operators for activations: what is written is read back, and other forms are refused."""

import pytest

from fastnn.activations import NAMES
from fastnn.exchange.onnx_operators import OPERATORS, read_operator
from fastnn.kernels.activations import OUTPUTS


def test_operators_are_of_known_activations():
    assert set(OPERATORS) <= {*NAMES, *OUTPUTS}


@pytest.mark.parametrize("name", OPERATORS)
def test_what_is_written_is_read(name):
    operator = OPERATORS[name]
    has_alpha = name in ("leaky_relu", "elu")
    attributes = {key: 0.3 if value is None else value for key, value in operator.attributes.items()}
    assert read_operator(operator.op_type, attributes) == (name, 0.3 if has_alpha else None)


def test_attributes_that_are_left_out_have_the_defaults_of_onnx():
    onnx = pytest.importorskip("onnx")
    for name, operator in OPERATORS.items():
        schema = onnx.defs.get_schema(operator.op_type)
        for key in operator.attributes:
            default = onnx.helper.get_attribute_value(schema.attributes[key].default_value)
            default = default.decode() if isinstance(default, bytes) else default
            ours = {**operator.attributes, **operator.defaults}[key]
            assert ours == (default if isinstance(default, str) else pytest.approx(default, rel=1e-6)), name


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("HardSigmoid", {}, "has alpha 0.2, but fastnn's hard_sigmoid has 0.166667"),
        ("Selu", {"gamma": 2.0}, "has gamma 2, but fastnn's selu has 1.0507"),
        ("Gelu", {"approximate": "erf"}, "has approximate 'erf', but fastnn's gelu has 'none'"),
        ("Swish", {"alpha": 2.0}, "has alpha 2, but fastnn's silu has 1"),
    ],
)
def test_other_forms_are_refused(op_type, attributes, message):
    with pytest.raises(ValueError, match=message):
        read_operator(op_type, attributes)


def test_other_operators_are_none():
    assert read_operator("Gemm", {"alpha": 1.0}) is None
