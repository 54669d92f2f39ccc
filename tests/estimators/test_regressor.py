"""The regressor's targets and losses."""

import inspect

import numpy as np
import pytest
from sklearn import datasets
from sklearn.neural_network import MLPRegressor

import fastnn
from estimators.comparison import assert_same_training, pair, rows, split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_loss_of_several_targets_is_the_sum():
    """scikit-learn follows the gradient of the sum over the targets and quotes the mean."""
    x, y, name = rows("several targets")
    comp, ref = pair(name, alpha=0.0)
    assert_same_training(comp.fit(x, y), ref.fit(x, y), scale=y.shape[1])
    assert comp.predict(x).shape == y.shape


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs", "max_iter": 8}], ids=str)
def test_poisson_is_scikit_learns(options, rng):
    x, y, name = rows("one target")
    y = rng.poisson(np.exp(y)).astype(float)
    model = fastnn.MLPRegressor("poisson", (9,), max_iter=400, learning_rate_init=0.01, random_state=0)
    assert model.fit(x, y).predict(x).min() > 0
    assert model.out_activation_ == "exp"
    with pytest.raises(ValueError, match="y must be at least 0"):
        model.fit(x, y - 1)
    if "loss" not in inspect.signature(MLPRegressor).parameters:
        pytest.skip("this scikit-learn has no loss but the squared error")
    comp, ref = pair(name, loss="poisson", **options)
    assert_same_training(comp.fit(x, y), ref.fit(x, y))


def test_regressor_is_as_good_as_its_model():
    x, x_test, y, y_test = split(datasets.load_diabetes)
    comp = fastnn.MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    ref = MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - 0.05
    assert comp.predict(x_test).shape == y_test.shape


@pytest.mark.parametrize("loss", ["mae", "huber", "log_cosh", fastnn.Loss("quantile", levels=0.5)], ids=str)
def test_losses_of_regression(loss):
    x, y, _ = rows("one target")
    model = fastnn.MLPRegressor(loss, (50,), learning_rate_init=0.01, max_iter=300, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.95
    with pytest.raises(ValueError, match="'loss' parameter"):
        fastnn.MLPRegressor("cross_entropy").fit(x, y)


def test_partial_fit_from_weights_of_the_caller(rng):
    x, y, _ = rows("one target")
    model = fastnn.MLPRegressor(hidden_layer_sizes=(3,), solver=fastnn.SGD(1e-9))
    model.coefs_ = [rng.standard_normal((5, 3)), rng.standard_normal((3, 1))]
    model.intercepts_ = [np.zeros(3), np.zeros(1)]
    model.n_outputs_ = 1
    before = [w.copy() for w in model.coefs_]
    model.partial_fit(x, y)
    for ours, theirs in zip(model.coefs_, before, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
