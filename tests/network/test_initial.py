"""Initial weights: their distributions."""

import numpy as np
import pytest

import fastnn
from fastnn.network.initial import initial_weights


@pytest.mark.parametrize(("scheme", "variance"), [("glorot", 2 / 1000), ("he", 2 / 600)])
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_initial_variance(scheme, distribution, variance):
    w = initial_weights(np.random.default_rng(0), f"{scheme}_{distribution}", 600, 400)
    # 240,000 draws: the standard error of the variance is below 0.3 % of it, of the mean 1e-4
    assert w.var() == pytest.approx(variance, rel=0.01)
    assert abs(w.mean()) < 5e-4
    if distribution == "uniform":
        assert np.abs(w).max() <= np.sqrt(3 * variance)
    else:
        assert np.abs(w).max() > 4 * np.sqrt(variance)


def test_initialisation_is_chosen_by_activation():
    relu, tanh = (fastnn.MLP([500, 400, 2], activation=name, seed=0) for name in ("relu", "tanh"))
    assert relu.weights[0].std() == pytest.approx(np.sqrt(2 / 500), rel=0.01)
    assert tanh.weights[0].std() == pytest.approx(np.sqrt(2 / 900), rel=0.01)
    assert all(not b.any() for b in relu.biases)


@pytest.mark.parametrize("n_in", [30, 50])
def test_orthogonal(n_in):
    w = initial_weights(np.random.default_rng(0), "orthogonal", n_in, 40)
    product = w @ w.T if n_in < 40 else w.T @ w
    np.testing.assert_allclose(product, np.eye(min(n_in, 40)), atol=1e-14)  # some eps
