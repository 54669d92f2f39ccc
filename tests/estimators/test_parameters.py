"""The parameters of both estimators: scikit-learn's, and their documentation."""

import inspect
import re

import numpy as np
import pytest
from sklearn import neural_network

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = ["MLPClassifier", "MLPRegressor"]


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_scikit_learns(name):
    """The same names and defaults, in the same order where they may be given by position."""
    theirs = inspect.signature(getattr(neural_network, name)).parameters
    ours = inspect.signature(getattr(fastnn, name)).parameters
    assert {key: ours[key].default for key in theirs} == {key: p.default for key, p in theirs.items()}
    by_position = [key for key, p in theirs.items() if p.kind is not p.KEYWORD_ONLY]
    ours_by_position = [key for key, p in ours.items() if p.kind is not p.KEYWORD_ONLY]
    assert [key for key in ours_by_position if key in theirs] == by_position  # 1.6 has no loss yet


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_checked_and_documented(name):
    """The documentation names the parameters in the order of the signature, and their defaults."""
    estimator = getattr(fastnn, name)
    parameters = inspect.signature(estimator).parameters
    assert set(estimator._parameter_constraints) == set(parameters)
    documentation = inspect.getdoc(estimator)
    assert not re.search(r"{\w+}", documentation)  # nothing is left to fill in
    section = documentation.split("Parameters\n----------\n")[1].split("\n\nAttributes")[0]
    documented = re.findall(r"^(\w+) : (.*)$", section, re.MULTILINE)
    assert [key for key, _ in documented] == list(parameters)
    for key, text in documented:
        default = parameters[key].default
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        if "default=" in text:
            given = text.split("default=")[1]
            assert given == shown or float(given) == default, key
        else:
            assert default is None, key
            assert text.endswith(", optional"), key


@pytest.mark.parametrize("name", MODELS)
def test_attributes_are_documented(name):
    x, y = np.arange(24.0).reshape(12, 2), np.arange(12) % 3
    model = getattr(fastnn, name)(max_iter=2, early_stopping=True, validation_fraction=0.5).fit(x, y)
    section = inspect.getdoc(type(model)).split("Attributes\n----------\n")[1].split("\n\nExamples")[0]
    documented = set(re.findall(r"^(\w+_) : ", section, re.MULTILINE)) - {"feature_names_in_"}
    assert documented == {key for key in vars(model) if key.endswith("_") and not key.startswith("_")}


@pytest.mark.parametrize("name", MODELS)
def test_partial_fit_is_documented(name):
    method = getattr(fastnn, name).partial_fit
    text = inspect.getdoc(method)
    for key in inspect.signature(method).parameters:
        assert key in ("self", "y_val") or re.search(rf"^{key}\b.* : ", text, re.MULTILINE), key
