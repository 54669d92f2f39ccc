"""Activations: names, numbers, functions of one's own, and their kernels."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import reference_hooks

from fastnn.activations import NAMES, Activation, as_activation
from fastnn.kernels.activations import ACTIVATIONS
from fastnn.kernels.hooks import activations


def softsign(z):
    return z / (1 + abs(z))


def softsign_slope(z):
    return 1 / (1 + abs(z)) ** 2


def calls_another(z):
    return softsign(2 * z)


def shrink(z):
    """Kinks at -1 and 1."""
    return max(z - 1, 0.0) + min(z + 1, 0.0)


def shrink_slope(z):
    return 1.0 if abs(z) > 1 else 0.0


def test_names():
    assert set(NAMES) == {*reference_hooks.ACTIVATIONS, "prelu"}
    for name in NAMES:
        activation = Activation(name)
        assert activation.name == name
        assert activation.code == ACTIVATIONS.get(name)
        assert activation.kernel is getattr(activations, name, None)
        assert (activation.kernel is None) == (name == "prelu")


@pytest.mark.parametrize(
    ("spec", "name", "alpha", "init"),
    [
        ("relu", "relu", None, "he_normal"),
        ("logistic", "sigmoid", None, "glorot_uniform"),
        ("swish", "silu", None, "he_normal"),
        ("selu", "selu", None, "lecun_normal"),
        ("leaky_relu", "leaky_relu", 0.01, "he_normal"),
        ("prelu", "prelu", 0.25, "he_normal"),
        (Activation("elu", alpha=2), "elu", 2.0, "he_normal"),
        (softsign, "softsign", None, "glorot_uniform"),
    ],
)
def test_what_follows_from_a_spec(spec, name, alpha, init):
    activation = as_activation(spec)
    assert (activation.name, activation.alpha, activation.init) == (name, alpha, init)


def test_equality_and_repr():
    assert Activation("swish") == Activation("silu")
    assert Activation("elu") == Activation("elu", alpha=1) != Activation("elu", alpha=0.5)
    assert len({Activation("elu"), Activation("elu", alpha=1.0), Activation(softsign)}) == 2
    assert Activation(softsign) != Activation(softsign, softsign_slope)
    assert Activation("relu") != "relu"
    assert repr(Activation("elu", alpha=0.5)) == "Activation('elu', alpha=0.5)"
    assert repr(Activation(softsign, softsign_slope)) == "Activation(softsign, softsign_slope)"


@pytest.mark.parametrize("activation", [Activation("elu", alpha=0.5), Activation(softsign, softsign_slope)])
def test_pickled(activation):
    activation.kernel  # noqa: B018 - which stays behind
    again = pickle.loads(pickle.dumps(activation))
    assert again == activation
    assert again.alpha == activation.alpha


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        (("gelo",), {}, ValueError, "activation must be one of .* Did you mean 'gelu'"),
        ((3,), {}, TypeError, r"activation must be a name, a function or fastnn\.Activation, got 3"),
        (("tanh",), {"alpha": 0.1}, ValueError, "alpha belongs to leaky_relu, prelu, elu, got alpha=0.1 for"),
        ((softsign,), {"alpha": 0.1}, ValueError, "alpha belongs to .* for 'softsign'"),
        (("elu",), {"alpha": -1}, ValueError, r"alpha must lie in \[0, inf\), got -1"),
        (("tanh", softsign_slope), {}, ValueError, "derivative is for functions of your own"),
        (
            (calls_another,),
            {},
            TypeError,
            "activation 'calls_another' cannot be compiled by numba: .*softsign.*decorate",
        ),
        ((softsign, lambda z: [z]), {}, TypeError, "derivative of activation '<lambda>' must return a real"),
        ((lambda z: math.sqrt(z - 10),) * 2, {}, ValueError, "must be finite somewhere between -6 and 6"),
        (
            (softsign, lambda z: 1 / (1 + abs(z))),
            {},
            ValueError,
            "derivative of activation 'softsign' is 0.142857 at z = -6, but finite differences .* 0.0204",
        ),
    ],
)
def test_refused(args, options, error, message):
    with pytest.raises(error, match=message):
        Activation(*args, **options)


@pytest.mark.parametrize("slope", [shrink_slope, lambda z: 1.0 if abs(z) >= 1 else 0.0])
def test_at_a_kink_the_slope_of_either_side_is_right(slope):
    Activation(shrink, slope)


def test_only_at_a_kink():
    with pytest.raises(ValueError, match=r"derivative of activation 'shrink' is 0\.5 at z = -6"):
        Activation(shrink, lambda z: 0.5)
    with pytest.raises(ValueError, match=r"is 1 at z = -0\.875, but .* give 0\."):
        Activation(shrink, lambda z: 1.0 if abs(z) > 0.8 else 0.0)


def test_derivative_of_part_of_the_line():
    Activation(math.log, lambda z: 1 / z)  # is finite only above 0
    with pytest.raises(ValueError, match=r"is 16 at z = 0\.125, but finite differences .* give 8\."):
        Activation(math.log, lambda z: 2 / z)


@pytest.mark.parametrize(
    ("function", "derivative", "ref"),
    [
        (softsign, softsign_slope, (softsign, softsign_slope)),
        (softsign, None, (softsign, softsign_slope)),
        (np.tanh, lambda z: 1 - math.tanh(z) ** 2, (np.tanh, lambda z: 1 - np.tanh(z) ** 2)),
        (lambda z: z > 0.5, None, (lambda z: z > 0.5, lambda z: 0 * z)),
    ],
)
def test_kernel_of_own_function(rng, dtype, function, derivative, ref):
    z = rng.uniform(-5, 5, (12, 20)).astype(dtype)
    z[5, 7] = np.nan
    comp, slopes = z.copy(), np.full_like(z, 7)
    Activation(function, derivative).kernel(comp, slopes, 0.0, 3, 9, 17)
    block, eps = np.s_[3:9, :17], np.finfo(dtype).eps
    inner = z[block].astype(np.float64)
    # Some roundings each. Central differences, in float64, err by h^2 / 6 times a third derivative below 10,
    # h being 6e-6 times up to 5.
    atol = 4 * eps if derivative else 4 * eps + 2e-9
    np.testing.assert_allclose(comp[block], ref[0](inner), rtol=4 * eps)
    finite = ~np.isnan(inner)
    np.testing.assert_allclose(slopes[block][finite], ref[1](inner)[finite], atol=atol)
    comp[block], slopes[block] = z[block], 7
    np.testing.assert_array_equal(comp, z)
    np.testing.assert_array_equal(slopes, 7)
