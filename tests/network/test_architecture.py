"""Architecture: what is checked, and its JSON."""

import numpy as np
import pytest

import fastnn


def test_residual_for_all_leaves_out_what_cannot_have_it():
    assert fastnn.MLP([4, 4, 4, 5, 5, 2], residual=True).residual == (False, True, False, True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([4],), ValueError, "at least inputs and outputs"),
        (([4, -1],), ValueError, r"sizes\[1\] must be at least 1, got -1"),
        (([4, 0, 2],), ValueError, r"sizes\[1\] must be at least 1, got 0"),
        (([4, 2.5],), TypeError, r"sizes\[1\] must be an integer, got 2.5"),
        (([4, True],), TypeError, "integer"),
        ((7,), TypeError, "sequence of integers"),
        (([4, 3, 2], "rleu"), ValueError, "exp, got 'rleu'. Did you mean 'relu'"),
        (([4, 3, 2], ["relu", "tanh"]), ValueError, "activation has 2 entries, but the network has 1 hidden"),
    ],
)
def test_bad_architecture(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.MLP(*arguments)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"output": "sofmax"}, "Did you mean 'softmax'"),
        ({"init": "ones"}, "glorot_uniform"),
        ({"init": [np.zeros((4, 3)), np.zeros((3, 3))]}, r"shapes \[\(4, 3\), \(3, 3\)\]"),
        ({"dropout": 1.0}, "dropout must"),
        ({"dropout": [0.1, 0.2]}, "dropout has 2 entries"),
        ({"input_dropout": -0.1}, "input_dropout must"),
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"norm": [None, None]}, "norm has 2 entries"),
        ({"residual": [True]}, "has 4 inputs and 3 outputs"),
        ({"dtype": "float16"}, "float32 or float64, got 'float16'"),
        ({"dtype": "nonsense"}, "float32 or float64"),
    ],
)
def test_bad_option(option, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([4, 3, 2], **option)
