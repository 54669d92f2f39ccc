"""The classifier's labels, and the weights of its classes."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

import fastnn
from estimators.comparison import classifier, pair, rows, split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_class_weights_are_sample_weights():
    x, y, _ = rows("multiclass")
    names = np.array(["a", "b", "c"])[y]
    options = {"max_iter": 20, "random_state": 0}
    by_class = fastnn.MLPClassifier(class_weight={"a": 3.0, "b": 0.5}, **options)
    by_sample = fastnn.MLPClassifier(**options).fit(x, y, np.array([3.0, 0.5, 1.0])[y])
    for ours, theirs in zip(by_class.fit(x, names).coefs_, by_sample.coefs_, strict=True):
        assert np.array_equal(ours, theirs)
    balanced = fastnn.MLPClassifier(class_weight="balanced", **options).fit(x, y)
    by_sample.fit(x, y, (len(y) / (3 * np.bincount(y)))[y])
    assert np.array_equal(balanced.coefs_[0], by_sample.coefs_[0])
    with pytest.raises(ValueError, match="balanced"):
        fastnn.MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1, 2])


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_classifier_is_as_good_as_its_model(name):
    x, x_test, y, y_test = split(getattr(datasets, f"load_{name}"))
    comp = fastnn.MLPClassifier(random_state=0).fit(x, y)
    ref = MLPClassifier(random_state=0).fit(x, y)
    # another order of the rows: a few test rows of 38 to 450 may fall otherwise
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - max(0.02, 2.5 / len(y_test))
    proba = comp.predict_proba(x_test)
    assert proba.shape == (len(x_test), len(comp.classes_))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)  # float32
    assert np.array_equal(comp.predict(x_test), comp.classes_[proba.argmax(axis=1)])


@pytest.mark.parametrize("labels", [["b", "a", "c"], [True, False], [-5, 3, 7], [0.0, 1.0]], ids=str)
def test_labels_of_any_kind(labels):
    x, y, _ = rows("multiclass")
    keep = y < len(labels)
    x, y = x[keep], np.array(labels)[y[keep]]
    model = fastnn.MLPClassifier(random_state=0).fit(x, y)
    assert np.array_equal(model.classes_, np.unique(y))
    assert model.predict(x).dtype == y.dtype
    assert model.score(x, y) > 0.95


def test_a_single_class():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier(max_iter=2).fit(x, np.full(len(y), "only"))
    assert set(model.predict(x)) == {"only"}
    assert np.array_equal(model.predict_proba(x), np.ones((len(x), 1)))


def test_stream_of_several_labels():
    x, y, _ = rows("multilabel")
    comp, ref = pair("MLPClassifier", max_iter=6)
    ref.fit(x, y)
    for _ in range(6):
        comp.partial_fit(x, y)
    for ours, theirs in zip(comp.coefs_, ref.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    assert np.array_equal(comp.predict(x), ref.predict(x))
    with pytest.raises(ValueError, match="5 labels"):
        comp.partial_fit(x, y[:, 0])


def test_partial_fit_and_classes():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(x, y)
    model.partial_fit(x[y < 2], y[y < 2], classes=[0, 1, 2]).partial_fit(x, y)
    assert model.predict_proba(x).shape == (len(x), 3)
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y has the classes \[1, 2, 3\]"):
        model.partial_fit(x, y + 1)
    with pytest.raises(ValueError, match="network was made for"):
        model.set_params(warm_start=True).fit(x[y < 2], y[y < 2])
    assert not hasattr(fastnn.MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(fastnn.MLPRegressor(solver="lbfgs"), "partial_fit")


def test_part_may_lack_classes_that_have_a_weight(wine):
    x, y = wine
    model = classifier(class_weight={0: 2.0, 1: 3.0}, shuffle=False)
    ref = clone(model).set_params(class_weight=None)
    part = y != 1
    model.partial_fit(x[part], y[part], classes=[0, 1, 2])
    ref.partial_fit(x[part], y[part], np.where(y[part] == 0, 2.0, 1.0), classes=[0, 1, 2])
    assert np.array_equal(model.coefs_[0], ref.coefs_[0])


def test_class_weights_do_not_count_in_validation(wine):
    x, y = wine
    seen = []

    def scorer(model, x, y, **weights):
        seen.append(weights)
        return 0.0

    classifier(scoring=scorer, class_weight="balanced", early_stopping=True).fit(x, y)
    classifier(scoring=scorer, early_stopping=True).fit(x, y, np.full(len(y), 2.0))
    assert seen[0] == {}
    assert set(seen[-1]["sample_weight"]) == {2.0}


def test_class_weight_of_an_unknown_class():
    x, y = np.arange(12.0).reshape(6, 2), ["a", "b", "a", "b", "a", "b"]
    with pytest.raises(ValueError, match=r"class_weight names \['c'\], but the classes are \['a', 'b'\]"):
        fastnn.MLPClassifier(class_weight={"a": 2.0, "c": 1.0}).fit(x, y)
    model = fastnn.MLPClassifier(class_weight={"a": 2.0, "b": 1.0}, max_iter=2)
    model.partial_fit(x[:1], y[:1], classes=["a", "b"])  # a part of a stream may lack a class


@pytest.mark.parametrize("out_activation", [None, "logistic"])
def test_partial_fit_from_weights_of_the_caller(out_activation, rng):
    """The first call needs the classes, whatever attributes the caller has set."""
    x, y, _ = rows("binary")
    model = fastnn.MLPClassifier((5,), random_state=0, solver=fastnn.SGD(1e-9))
    model.coefs_ = [rng.standard_normal((30, 5)), rng.standard_normal((5, 1))]
    model.intercepts_ = [np.zeros(5), np.zeros(1)]
    if out_activation:
        model.n_outputs_, model.out_activation_, model.t_ = 1, out_activation, 0
    before = [w.copy() for w in model.coefs_]
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(x, y)
    model.partial_fit(x, y, classes=[0, 1])
    for ours, theirs in zip(model.coefs_, before, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_class_with_one_row_is_named():
    """It cannot be in both parts of the data; the message has the caller's label for it."""
    x, y = np.arange(12.0).reshape(6, 2), ["a", "a", "a", "a", "a", "b"]
    ref = MLPClassifier(early_stopping=True)
    with pytest.raises(ValueError, match="only 1 member") as caught:
        ref.fit(x, y)
    if "Classes with too few members" not in str(caught.value):
        pytest.skip("this scikit-learn names no class")
    with pytest.raises(ValueError, match=r"have only 1 member.*\['b'\]"):
        fastnn.MLPClassifier(early_stopping=True).fit(x, y)
