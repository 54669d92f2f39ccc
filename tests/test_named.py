"""Base of activations and losses: names and functions of one's own, equality, hashes and pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fastnn.activations import Activation
from fastnn.losses import Loss


def cube(z):
    return z * z * z


def distance(a, y):
    return abs(a - y)


CASES = [
    (lambda: Activation("elu", alpha=0.5), lambda: Activation("elu")),
    (lambda: Activation("swish"), lambda: Activation("relu")),
    (lambda: Activation(cube), lambda: Activation(cube, lambda z: 3 * z * z)),
    (lambda: Loss("huber", delta=2.0), lambda: Loss("huber")),
    (lambda: Loss("mse").scaled(2.0), lambda: Loss("mse")),
    (lambda: Loss(distance), lambda: Loss("mae")),
]


@pytest.mark.parametrize(("make", "make_other"), CASES)
def test_equality_and_pickles(make, make_other):
    function, other = make(), make_other()
    again = pickle.loads(pickle.dumps(function))
    for same in (make(), again):
        assert same == function != other
        assert hash(same) == hash(function)
        assert repr(same) == repr(function)
    assert "kernel" not in function.__getstate__()
    assert (again.kernel is None) == (function.kernel is None)


def test_an_unpickled_function_is_compiled_when_it_is_used():
    again = pickle.loads(pickle.dumps(Activation(cube)))
    assert "kernel" not in vars(again)
    a, slopes = np.array([[2.0]]), np.zeros((1, 1))
    again.kernel(a, slopes, 0.0, 0, 1, 1)
    assert a[0, 0] == 8
    assert slopes[0, 0] == pytest.approx(12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Activation("tanh", cube), ValueError, "derivative is for functions of your own, but 'tanh'"),
        (lambda: Loss("mse", distance), ValueError, "derivative is for functions of your own, but 'mse'"),
        (lambda: Loss(None), TypeError, r"loss must be a name, a function or fastnn\.Loss, got None"),
        (lambda: Loss("maa"), ValueError, r"loss must be one of .* Did you mean 'mae'\?"),
        (lambda: Activation(distance), TypeError, "activation 'distance' cannot be compiled by numba"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
