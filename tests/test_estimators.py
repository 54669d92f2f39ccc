"""The scikit-learn estimators: their defaults work, and say what does not."""

import pickle

import numpy as np
import pytest

import fastnn

datasets = pytest.importorskip("sklearn.datasets")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import cross_val_score, train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def split(load):
    x, y = load(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_test), y, y_test


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_classifier_is_as_good_as_its_model(name):
    x, x_test, y, y_test = split(getattr(datasets, f"load_{name}"))
    comp = fastnn.MLPClassifier(random_state=0).fit(x, y)
    ref = MLPClassifier(random_state=0).fit(x, y)
    # other random numbers: a few test rows of 38 to 450 may fall otherwise
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - max(0.02, 2.5 / len(y_test))
    proba = comp.predict_proba(x_test)
    assert proba.shape == (len(x_test), len(comp.classes_))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)  # float32
    assert np.array_equal(comp.predict(x_test), comp.classes_[proba.argmax(axis=1)])
    assert [w.shape for w in comp.coefs_] == [w.shape for w in ref.coefs_]
    assert [b.shape for b in comp.intercepts_] == [b.shape for b in ref.intercepts_]
    for attribute in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(comp, attribute) == getattr(ref, attribute)
    assert comp.t_ == comp.n_iter_ * len(x)
    assert len(comp.loss_curve_) == comp.n_iter_


def test_regressor_is_as_good_as_its_model():
    x, x_test, y, y_test = split(datasets.load_diabetes)
    comp = fastnn.MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    ref = MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - 0.05
    assert comp.predict(x_test).shape == y_test.shape


def test_loss_is_scikit_learns():
    """The same weights, the same penalty: the loss of one epoch at a negligible rate."""
    x, _, y, _ = split(datasets.load_wine)
    options = {"alpha": 5.0, "learning_rate_init": 1e-12, "max_iter": 1, "solver": "sgd", "shuffle": False}
    comp = fastnn.MLPClassifier(dtype="float64", **options).fit(x, y)
    ref = MLPClassifier(**options).fit(x, y)
    ref.coefs_, ref.intercepts_ = comp.coefs_, comp.intercepts_
    p = ref.predict_proba(x)
    penalty = 0.5 * 5.0 * sum((w**2).sum() for w in comp.coefs_) / len(x)
    expected = -np.log(p[np.arange(len(y)), y]).mean() + penalty
    assert comp.loss_ == pytest.approx(expected, rel=1e-9)  # a step of 1e-12 has moved the weights


def test_labels_of_any_kind():
    x, _, y, _ = split(datasets.load_iris)
    names = np.array(["setosa", "versicolor", "virginica"])
    model = fastnn.MLPClassifier(random_state=0).fit(x, names[y])
    assert set(model.predict(x)) <= set(names)
    assert model.score(x, names[y]) > 0.9


def test_multilabel_and_several_targets():
    x, y = datasets.make_multilabel_classification(200, random_state=0)
    model = fastnn.MLPClassifier(random_state=0).fit(x, y)
    assert model.predict(x).shape == y.shape
    ref = MLPClassifier(random_state=0).fit(x, y)
    assert (model.predict(x) == y).mean() > (ref.predict(x) == y).mean() - 0.02
    x, y = datasets.make_regression(200, n_targets=3, random_state=0)
    model = fastnn.MLPRegressor(random_state=0, learning_rate_init=0.01, max_iter=500).fit(x, y / y.std())
    assert model.predict(x).shape == (200, 3)
    assert model.score(x, y / y.std()) > 0.9


def test_early_stopping():
    x, _, y, _ = split(datasets.load_digits)
    model = fastnn.MLPClassifier(early_stopping=True, random_state=0).fit(x, y)
    assert model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None


def test_in_scikit_learns_hands():
    x, _, y, _ = split(datasets.load_digits)
    model = fastnn.MLPClassifier((32,), max_iter=50, random_state=0)
    assert cross_val_score(make_pipeline(StandardScaler(), model), x, y, cv=3).mean() > 0.9
    assert clone(model).get_params() == model.get_params()
    model.fit(x, y)
    size = len(pickle.dumps(model))
    assert size < 2 * 4 * 64 * 48 + 20_000  # the weights and little else; the data alone has 345 kB
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))
    again = clone(model).fit(x, y)
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_unfinished_training_warns():
    x, _, y, _ = split(datasets.load_iris)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        fastnn.MLPClassifier(max_iter=2).fit(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs"}, "solver='lbfgs' is not supported"),
        ({"learning_rate": "adaptive"}, "learning_rate='adaptive' is not supported"),
        ({"warm_start": True}, "warm_start=True is not supported"),
        ({"activation": "sine"}, "activation must be one of"),
        ({"hidden_layer_sizes": (10, -1)}, r"sizes\[2\] must be at least 1"),
        ({"max_iter": 0}, "epochs must be at least 1"),
    ],
)
def test_bad_parameters(options, message):
    x, _, y, _ = split(datasets.load_iris)
    with pytest.raises(ValueError, match=message):
        fastnn.MLPClassifier(**options).fit(x, y)


def test_bad_data():
    x, _, y, _ = split(datasets.load_iris)
    model = fastnn.MLPClassifier(max_iter=2)
    with pytest.raises(NotFittedError):
        model.predict(x)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(x * np.nan, y)
    with pytest.raises(ValueError, match="one class only"):
        model.fit(x, y * 0)
    with pytest.raises(ValueError, match="continuous"):
        model.fit(x, y + 0.5)
    with pytest.raises(ValueError, match="features"):
        model.fit(x, y).predict(x[:, :2])
