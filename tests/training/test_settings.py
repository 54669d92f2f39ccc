"""Settings: arguments are checked one by one and together, before anything changes."""

import math

import pytest

import fastnn
from fastnn import EarlyStopping
from training.examples import make_blobs_trainer, make_whole_batch_trainer


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "cross_entrop"}, ValueError, "Did you mean 'cross_entropy'"),
        ({"optimizer": "adm"}, ValueError, "radam, lion, lbfgs, got 'adm'. Did you mean 'adam'"),
        ({"optimizer": 3}, TypeError, "optimizer must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer"),
        ({"l2": -1.0}, ValueError, r"l2 must lie in \[0, inf\), got -1"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"loss": "cross_entropy", "sizes": (2, 1)}, ValueError, "binary_cross_entropy"),
    ],
)
def test_bad_trainer(options, error, message):
    with pytest.raises(error, match=message):
        make_blobs_trainer(**options)


@pytest.mark.parametrize(
    ("make_optimizer", "message"),
    [
        (lambda: fastnn.Adam(lr=0), r"lr must lie in \(0, inf\)"),
        (lambda: fastnn.Adam(lr=float("nan")), "lr must lie"),
        (lambda: fastnn.Adam(beta1=1.0), r"beta1 must lie in \[0, 1\)"),
        (lambda: fastnn.SGD(momentum=-0.1), "momentum must lie"),
        (lambda: fastnn.SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: EarlyStopping(patience=0), "patience must be at least 1"),
    ],
)
def test_bad_settings(make_optimizer, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer()


def test_loss_and_output_must_agree():
    for output, loss in (("tanh", "cross_entropy"), ("softmax", "mse"), ("softmax", "binary_cross_entropy")):
        with pytest.raises(ValueError, match="output"):
            fastnn.Trainer(fastnn.MLP([2, 3], output=output, seed=0), loss=loss)
    with pytest.raises(TypeError, match=r"must be a fastnn\.MLP, got list"):
        fastnn.Trainer([2, 3], loss="mse")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1": -1}, ValueError, r"l1 must lie in \[0, inf\)"),
        ({"l1": "1"}, TypeError, "l1 must be a number"),
        ({"clip_value": 0}, ValueError, r"clip_value must lie in \(0, inf\)"),
        ({"clip_norm": -1}, ValueError, "clip_norm must lie"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm must lie"),
        ({"max_norm": 0.0}, ValueError, "max_norm must lie"),
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1"),
        ({"rate_factors": {2: 0.5}}, ValueError, "key 2: expected .* or a layer from -2 to 1"),
        ({"rate_factors": {"biases": 0.5}}, ValueError, "key 'biases'"),
        ({"rate_factors": {0: -1}}, ValueError, r"rate_factors\[0\] must lie"),
        ({"rate_factors": [1, 0]}, TypeError, "rate_factors must be a dict"),
        ({"schedule": "cosin"}, ValueError, "Did you mean 'cosine'"),
        ({"schedule": 0.1}, TypeError, "schedule must be one of"),
        ({"loss": fastnn.Loss("quantile", levels=[0.1, 0.9])}, ValueError, "2 levels, .* 3 outputs"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        make_whole_batch_trainer(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_weight": "balance"}, ValueError, "Did you mean 'balanced'"),
        ({"class_weight": {3: 1.0}}, ValueError, "names class 3, but the classes are 0 to 2"),
        ({"class_weight": {-1: 1.0}}, ValueError, "a class of class_weight must be at least 0"),
        ({"class_weight": {"a": 1.0}}, TypeError, "a class of class_weight must be an integer"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must lie"),
        ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be 'balanced' or a dict"),
        (
            {"class_weight": "balanced", "loss": "mse"},
            ValueError,
            "needs one class per row, but loss 'mse' has other targets",
        ),
        ({"class_weight": {0: 1}, "loss": "binary_cross_entropy"}, ValueError, "needs one class per row"),
    ],
)
def test_bad_class_weights(options, error, message):
    with pytest.raises(error, match=message):
        make_whole_batch_trainer(**options)
