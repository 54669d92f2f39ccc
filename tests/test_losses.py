"""Losses: names, parameters, functions of one's own, and the targets they take."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import reference_hooks

from fastnn.kernels import losses as core
from fastnn.kernels.activations import IDENTITY, TANH
from fastnn.kernels.hooks import losses
from fastnn.losses import KINDS, LOSSES, Loss, as_loss


def cauchy(a, y):
    return math.log1p((a - y) ** 2)


def cauchy_slope(a, y):
    return 2 * (a - y) / (1 + (a - y) ** 2)


def test_names():
    assert set(LOSSES) == {*reference_hooks.LOSSES, "mse", "squared_error"} - {"linear"}
    for name, info in LOSSES.items():
        loss = Loss(name)
        assert loss.kind in KINDS
        assert loss.output == info.output
        assert loss.code == core.LOSSES.get("mse" if name == "squared_error" else name, -1)
        assert loss.kernel is (None if loss.code >= 0 else getattr(losses, name))
        assert f"\n    {name}" in Loss.__doc__


@pytest.mark.parametrize(
    ("loss", "numbers", "code", "output"),
    [
        (Loss("mse"), [], core.MSE, None),
        (Loss("huber", delta=2), [2], -1, None),
        (Loss("quantile", levels=0.9), [0.9], -1, None),
        (Loss("quantile", levels=(0.1, 0.9)), [0.1, 0.9], -1, None),
        (Loss("tweedie"), [1.5], -1, "exp"),
        (Loss("cross_entropy", label_smoothing=0), [0], core.CROSS_ENTROPY, "softmax"),
        (Loss("cross_entropy", label_smoothing=0.1), [0.1], -1, "softmax"),
        (Loss("binary_cross_entropy"), [0], core.BINARY_CROSS_ENTROPY, "sigmoid"),
        (Loss("binary_cross_entropy", label_smoothing=0.1), [0.1], -1, "sigmoid"),
        (Loss("binary_focal"), [2, -1], -1, "sigmoid"),
        (Loss("binary_focal", gamma=1, alpha=0.25), [1, 0.25], -1, "sigmoid"),
        (Loss("focal", gamma=0), [0, 1], -1, "softmax"),
        (Loss("focal", alpha=0.25), [2, 0.25], -1, "softmax"),
        (Loss(cauchy), [], -1, None),
    ],
    ids=repr,
)
def test_what_follows_from_a_spec(loss, numbers, code, output):
    assert loss.numbers.dtype == np.float64
    np.testing.assert_array_equal(loss.numbers, numbers)
    assert (loss.code, loss.output, loss.scale) == (code, output, 1.0)
    assert (loss.kernel is None) == (code >= 0)
    assert as_loss(loss) is loss


def test_half_of_the_square():
    assert (Loss("squared_error").code, Loss("squared_error").scale) == (core.MSE, 0.5)


def test_equality_and_repr():
    assert Loss("absolute_error") == as_loss("mae")
    assert Loss("huber") == Loss("huber", delta=1) != Loss("huber", delta=2)
    assert len({Loss("huber"), Loss("huber", delta=1.0), Loss(cauchy)}) == 2
    assert Loss(cauchy) != Loss(cauchy, cauchy_slope)
    assert repr(Loss("huber", delta=2)) == "Loss('huber', delta=2)"
    assert repr(Loss(cauchy, cauchy_slope)) == "Loss(cauchy, cauchy_slope)"


@pytest.mark.parametrize("loss", [Loss("quantile", levels=[0.1, 0.9]), Loss(cauchy, cauchy_slope)])
def test_pickled(loss):
    loss.kernel  # noqa: B018 - which stays behind
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    assert again.parameters == loss.parameters


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (("hubber",), {}, ValueError, "loss must be one of .* Did you mean 'huber'"),
        ((3,), {}, TypeError, r"loss must be a name, a function or fastnn\.Loss, got 3"),
        (("mae",), {"delta": 1}, ValueError, "loss 'mae' has no parameters, got delta=1"),
        ((cauchy,), {"delta": 1}, ValueError, "loss 'cauchy' has no parameters"),
        (("focal",), {"gama": 1}, ValueError, "parameter of loss 'focal' must be .* Did you mean 'gamma'"),
        (("huber",), {"delta": 0}, ValueError, r"delta must lie in \(0, inf\), got 0"),
        (("quantile",), {"levels": [0.5, 1]}, ValueError, r"levels must lie in \(0, 1\), got 1"),
        (("quantile",), {"levels": []}, ValueError, "levels must name at least one quantile"),
        (("quantile",), {"levels": "half"}, TypeError, "levels must be a number, got 'half'"),
        (("tweedie",), {"power": 2}, ValueError, r"power must lie in \(1, 2\), got 2"),
        (("focal",), {"gamma": -1}, ValueError, r"gamma must lie in \[0, inf\), got -1"),
        (("binary_focal",), {"alpha": 1}, ValueError, r"alpha must lie in \(0, 1\), got 1"),
        (("cross_entropy",), {"label_smoothing": 1}, ValueError, r"label_smoothing must lie in \[0, 1\)"),
        (("mae", cauchy_slope), {}, ValueError, "derivative is for functions of your own"),
        ((lambda a: a,), {}, TypeError, "loss '<lambda>' cannot be compiled by numba: .*argument"),
        (
            (cauchy, lambda a, y: a - y),
            {},
            ValueError,
            "derivative of loss 'cauchy' is -3.5 at a = -6, y = -2.5, but finite differences .* give -0.528",
        ),
    ],
)
def test_refused(args, options, error, message):
    with pytest.raises(error, match=message):
        Loss(*args, **options)


def test_a_function_may_call_those_that_numba_knows():
    Loss(lambda a, y: abs(a - y), lambda a, y: np.sign(a - y))


@pytest.mark.parametrize("derivative", [cauchy_slope, None])
@pytest.mark.parametrize("output", [IDENTITY, TANH])
def test_kernel_of_own_function(rng, dtype, poisoned, derivative, output):
    a, y = rng.uniform(-3, 3, (12, 17)).astype(dtype), rng.standard_normal((12, 17)).astype(dtype)
    of_rows, delta, z = np.full((2, 12), np.nan), poisoned(np.full_like(a, np.nan), dtype), poisoned(a, dtype)
    loss = Loss(cauchy, derivative)
    loss.kernel(*of_rows, delta, z, y, loss.numbers, 0.5, 1 / 7, output, 17, 2, 12)
    a, y = a[2:].astype(np.float64), y[2:].astype(np.float64)
    slope = 1.0
    if output == TANH:
        a = np.tanh(a)
        slope = 1 - a**2
    eps = np.finfo(dtype).eps
    # Sums of 17 terms with some roundings each; central differences err by h^2 / 6 times a third derivative
    # below 10, h being 6e-6 times up to 3.
    close = {"rtol": 60 * eps, "atol": 10 * eps + (0 if derivative else 1e-9)}
    np.testing.assert_allclose(of_rows[0, 2:], 0.5 * np.log1p((a - y) ** 2).mean(axis=1), **close)
    np.testing.assert_allclose(of_rows[1, 2:], ((a - y) ** 2).sum(axis=1), **close)
    ref = 0.5 / 7 / 17 * cauchy_slope(a, y) * slope
    np.testing.assert_allclose(delta[2:, :17], ref, **close)
    assert np.isnan(of_rows[:, :2]).all()
    assert np.isnan(delta[:2]).all()


@pytest.mark.parametrize(
    ("loss", "n_out", "y", "ref"),
    [
        (Loss("mae"), 2, [[1, -2]], [[1.0, -2.0]]),
        (Loss("quantile", levels=[0.1, 0.5, 0.9]), 3, [1, 2], [[1.0], [2.0]]),
        (Loss("poisson"), 1, [0, 2], [[0.0], [2.0]]),
        (Loss("gamma"), 1, [0.5], [[0.5]]),
        (Loss("focal"), 3, [2, 0], [[2], [0]]),
        (Loss("hinge"), 2, [[0, 1]], [[0, 1]]),
        (Loss("kl_divergence"), 2, [[0.25, 0.75]], [[0.25, 0.75]]),
    ],
)
def test_targets(dtype, loss, n_out, y, ref):
    comp = loss.check_targets("y", y, n_out, dtype)
    np.testing.assert_array_equal(comp, ref)
    assert comp.dtype == (np.int32 if isinstance(ref[0][0], int) else dtype)
    assert comp.shape[1] == loss.n_targets(n_out)
    assert loss.is_regression == (loss.name in ("mae", "quantile", "poisson", "gamma"))


@pytest.mark.parametrize(
    ("loss", "n_out", "y", "message"),
    [
        ("poisson", 1, [1, -1], "y must be at least 0 for loss 'poisson', but it holds -1"),
        ("gamma", 1, [1, 0], "y must be above 0 for loss 'gamma', but it holds 0"),
        ("kl_divergence", 2, [[0.5, 0.5], [0.5, 0.7]], "rows of y must sum to 1, but row 1 sums to 1.2"),
        ("kl_divergence", 2, [[1.5, -0.5]], "y must be at least 0"),
        ("hinge", 1, [-1, 1], "y holds the label -1, but the classes are 0 to 1"),
        ("multiclass_hinge", 3, [3], "y holds the label 3, but the classes are 0 to 2"),
        ("multiclass_hinge", 1, [0], "needs one output per class, but the network has a single output"),
        (Loss("quantile", levels=[0.1, 0.9]), 3, [1], "has 2 levels, but the network has 3 outputs"),
    ],
)
def test_targets_refused(loss, n_out, y, message):
    with pytest.raises(ValueError, match=message):
        as_loss(loss).check_targets("y", y, n_out, np.dtype("float32"))
