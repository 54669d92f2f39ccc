"""The network behind coefs_ and intercepts_."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn.estimators.fitted import FittedNetwork


@pytest.fixture
def fitted():
    return FittedNetwork(fastnn.MLP([4, 8, 3], output="softmax", seed=0))


def test_attributes_are_views(fitted):
    attributes = fitted.attributes
    for key, arrays in {"coefs_": fitted.net.weights, "intercepts_": fitted.net.biases}.items():
        for view, array in zip(attributes[key], arrays, strict=True):
            assert np.shares_memory(view, array)
    assert fitted.holds(attributes["coefs_"], attributes["intercepts_"])
    attributes["coefs_"][1] = attributes["coefs_"][1].copy()
    assert not fitted.holds(attributes["coefs_"], attributes["intercepts_"])
    assert not fitted.holds(attributes["coefs_"][:1], attributes["intercepts_"])


def test_assigned_arrays_are_copied(fitted, rng):
    x = np.ones((1, 4), np.float32)
    before = fitted.predictor(x)
    coefs = [rng.standard_normal(shape) for shape in ((4, 8), (8, 3))]
    intercepts = [rng.standard_normal(size) for size in (8, 3)]
    fitted.assign(coefs, intercepts)
    assert np.array_equal(fitted.net.weights[0], coefs[0].astype(np.float32))
    assert np.array_equal(fitted.predictor(x), fitted.net.predict_raw(x))
    assert not np.array_equal(fitted.predictor(x), before)
    with pytest.raises(ValueError, match=r"expected shape \(8, 3\), got \(3, 8\)"):
        fitted.assign([coefs[0], coefs[1].T], intercepts)


def test_pickle_holds_the_network_alone(fitted):
    fitted.predictor(np.ones((1, 4), np.float32))
    data = pickle.dumps(fitted)
    assert len(data) < len(pickle.dumps(fitted.net)) + 200
    assert np.array_equal(pickle.loads(data).net.params, fitted.net.params)
