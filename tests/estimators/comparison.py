"""fastnn's estimators beside scikit-learn's: the same rows, the same arithmetic, the same figures."""

import numpy as np
import pytest
from sklearn import datasets, neural_network
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import fastnn


def split(load):
    """Standardised rows to train on and to test with: x, x_test, y, y_test."""
    x, y = load(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_test), y, y_test


def rows(kind):
    """Standardised rows, targets of a kind, and the name of the estimator for them."""
    if kind == "binary":
        x, y = datasets.load_breast_cancer(return_X_y=True)
    elif kind == "multiclass":
        x, y = datasets.load_wine(return_X_y=True)
    elif kind == "multilabel":
        x, y = datasets.make_multilabel_classification(200, random_state=0)
    else:
        n_targets = 3 if kind == "several targets" else 1
        x, y = datasets.make_regression(200, 5, n_targets=n_targets, random_state=0)
        return StandardScaler().fit_transform(x), y / y.std(), "MLPRegressor"
    return StandardScaler().fit_transform(x), y, "MLPClassifier"


def pair(name, **options):
    """An estimator of fastnn and its model in scikit-learn, which do the same arithmetic."""
    options = {
        "hidden_layer_sizes": (20, 10),
        "batch_size": 50,
        "max_iter": 30,
        "shuffle": False,
        "random_state": 3,
        **options,
    }
    return getattr(fastnn, name)(**options), getattr(neural_network, name)(**options)


def assert_same_training(comp, ref, scale=1.0):
    """Assert equal weights and figures, with losses `scale` times as large."""
    for ours, theirs in zip(comp.coefs_ + comp.intercepts_, ref.coefs_ + ref.intercepts_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(comp, attribute) == getattr(ref, attribute), attribute
    assert comp.loss_ == pytest.approx(scale * ref.loss_, rel=1e-9)
    for attribute in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        if hasattr(ref, attribute):
            theirs = getattr(ref, attribute)
            theirs = theirs if theirs is None or "loss" not in attribute else scale * np.array(theirs)
            assert getattr(comp, attribute) == (theirs if theirs is None else pytest.approx(theirs, rel=1e-9))


def classifier(**options):
    """A small classifier that trains for 8 epochs."""
    return fastnn.MLPClassifier((8,), **{"max_iter": 8, "random_state": 0, **options})
