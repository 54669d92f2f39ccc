"""Fitted multilayer perceptrons of scikit-learn as networks, and networks as such."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn.exchange import from_sklearn, to_onnx, to_sklearn

pytest.importorskip("sklearn")
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

CLOSE = {"rtol": 1e-6, "atol": 1e-6}
SHORT = {"random_state": 0, "max_iter": 15}


def fitted(model, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def classification(kind, dtype="float64"):
    x, y = load_iris(return_X_y=True)
    if kind == "multilabel":
        x, y = make_multilabel_classification(150, 4, n_classes=3, random_state=0)
    elif kind == "binary":
        x, y = x[:100], np.array(["no", "yes"])[y[:100]]
    elif kind == "multiclass":
        y = np.array(["setosa", "versicolor", "virginica"])[y]
    return x.astype(dtype), y


KINDS = ("binary", "multiclass", "multilabel")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_classifiers_there_and_back(kind, activation, dtype):
    x, y = classification(kind, dtype)
    theirs = fitted(MLPClassifier((9, 7), activation, **SHORT), x, y)
    net = from_sklearn(theirs)
    assert net.dtype == theirs.coefs_[0].dtype
    np.testing.assert_allclose(net.predict_proba(x), theirs.predict_proba(x), **CLOSE)
    back = to_sklearn(net)
    np.testing.assert_array_equal(back.predict(x), theirs.predict(x))
    np.testing.assert_allclose(back.predict_proba(x), theirs.predict_proba(x), **CLOSE)
    if kind != "multilabel":
        np.testing.assert_array_equal(back.classes_, theirs.classes_)
        assert net.metadata["target"]["classes"] == theirs.classes_.tolist()
    theirs.coefs_[0][:] = 0  # of which there is a copy
    assert net.weights[0].any()


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_out", [1, 2])
def test_regressors_there_and_back(loss, n_out, dtype):
    x, y = load_diabetes(return_X_y=True)
    x, y = x.astype(dtype), np.column_stack([y, 400 - y])[:, :n_out].squeeze() / 100
    try:
        theirs = fitted(MLPRegressor(loss, (9,), "tanh", **SHORT), x, y)
    except TypeError:  # scikit-learn before 1.7 has one loss
        theirs = fitted(MLPRegressor((9,), "tanh", **SHORT), x, y)
    net = from_sklearn(theirs)
    np.testing.assert_allclose(net.predict(x), theirs.predict(x), **CLOSE)
    np.testing.assert_allclose(to_sklearn(net).predict(x), theirs.predict(x), **CLOSE)
    assert net.output == ("exp" if getattr(theirs, "loss", None) == "poisson" else "identity")


@pytest.mark.parametrize("kind", KINDS)
def test_estimators_of_fastnn(kind):
    x, y = classification(kind)
    ours = fitted(fastnn.MLPClassifier((9,), norm="batch", dropout=0.1, **SHORT), x, y)
    theirs = to_sklearn(ours)
    assert type(theirs) is MLPClassifier
    np.testing.assert_array_equal(theirs.predict(x), ours.predict(x))
    np.testing.assert_allclose(theirs.predict_proba(x), ours.predict_proba(x), **CLOSE)
    np.testing.assert_allclose(from_sklearn(ours).predict_raw(x), ours._fitted_network().net.predict_raw(x))


def test_a_softmax_of_two_classes(rng):
    net = fastnn.MLP([4, 6, 2], "tanh", output="softmax", dtype="float64", seed=0)
    net.biases[1][:] = 0.3, -0.4
    x = rng.normal(0, 1, (200, 4))
    model = to_sklearn(net, classes=["off", "on"])
    np.testing.assert_allclose(model.predict_proba(x), net.predict_proba(x), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(x), np.array(["off", "on"])[net.predict(x)])


def test_training_goes_on():
    x, y = classification("multiclass")
    model = to_sklearn(from_sklearn(fitted(MLPClassifier((9,), **SHORT), x, y)))
    before = model.score(x, y)
    model.set_params(learning_rate_init=0.02)
    for _ in range(60):
        model.partial_fit(x, y)
    assert model.score(x, y) > max(before, 0.8)
    x, y = load_diabetes(return_X_y=True)
    values = to_sklearn(fastnn.MLP([10, 8, 1], "relu", dtype="float64", seed=0))
    before = values.predict(x)
    assert values.partial_fit(x, y).predict(x).mean() > before.mean()


def test_no_hidden_layer(rng):
    x = rng.normal(0, 1, (50, 4)).astype(np.float32)
    for output in ("softmax", "identity", "tanh"):
        net = fastnn.MLP([4, 3], output=output, seed=0)
        model = to_sklearn(net)
        comp = model.predict_proba(x) if output == "softmax" else model.predict(x)
        np.testing.assert_allclose(comp, net.predict_raw(x), **CLOSE)


def test_labels_travel_to_onnx():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    x, y = classification("multiclass")
    theirs = fitted(MLPClassifier((9,), **SHORT), x, y)
    session = runtime.InferenceSession(to_onnx(from_sklearn(theirs)))
    assert (session.run(["label"], {"x": x})[0] == theirs.predict(x)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"activation": "gelu"},
            "the activation 'gelu', but scikit-learn's MLP has only identity, logistic",
        ),
        (
            {"activation": ["relu", "tanh"]},
            "the activations relu, tanh, but scikit-learn's MLP has the same",
        ),
        ({"norm": "layer"}, "has a layer normalisation"),
        ({"residual": True}, "has residual connections, which scikit-learn's MLP cannot hold"),
        ({"embeddings": {0: (2, 2)}}, "has embeddings, which scikit-learn's MLP cannot hold"),
    ],
)
def test_networks_that_scikit_learn_cannot_hold(options, message):
    with pytest.raises(ValueError, match=message):
        to_sklearn(fastnn.MLP([4, 5, 5, 3], **options, output="softmax", seed=0))


def test_bad_classes():
    net = fastnn.MLP([4, 5, 3], output="softmax", seed=0)
    with pytest.raises(ValueError, match=r"classes has 2 labels, but the network has 3 classes"):
        to_sklearn(net, classes=["a", "b"])
    with pytest.raises(ValueError, match="classes must be sorted and distinct"):
        to_sklearn(net, classes=["b", "a", "c"])
    with pytest.raises(ValueError, match="classes are given, but the network's output is 'identity'"):
        to_sklearn(fastnn.MLP([4, 5, 3], seed=0), classes=["a", "b", "c"])


def test_what_is_no_model():
    with pytest.raises(TypeError, match="model must be a fitted MLPClassifier or MLPRegressor, got int"):
        from_sklearn(3)
    for model in (MLPClassifier(), fastnn.MLPRegressor()):
        with pytest.raises(ValueError, match="is not fitted yet"):
            from_sklearn(model)
    with pytest.raises(TypeError, match=r"to_sklearn takes a fastnn.MLP"):
        to_sklearn(MLPClassifier())
