"""MLP: what it is made of, and what it predicts."""

import copy

import numpy as np
import pytest
import reference_step
from problems import CASES, draw_categories, make_net
from reference import activate_output, doubled

import fastnn
from fastnn.kernels.sizes import ROW_BLOCK


def test_same_seed_same_bits_and_other_seed_others():
    one, same, other = (fastnn.MLP([9, 8, 7], seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.params, same.params)
    assert not np.array_equal(one.params, other.params)


def test_activation_for_each_layer():
    net = fastnn.MLP([4, 5, 6, 2], activation=["tanh", "relu"], dtype="float64", seed=0)
    x = np.random.default_rng(0).standard_normal((10, 4))
    (w1, w2, w3), (b1, b2, b3) = net.weights, net.biases
    ref = np.maximum(np.tanh(x @ w1 + b1) @ w2 + b2, 0) @ w3 + b3
    # sums of a handful of products: rounding alone
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-12, atol=1e-14)


def test_what_predict_returns():
    x = np.random.default_rng(0).standard_normal((8, 3))
    softmax = fastnn.MLP([3, 4], output="softmax", seed=0)
    assert np.array_equal(softmax.predict(x), softmax.predict_proba(x).argmax(axis=1))
    single = fastnn.MLP([3, 1], output="sigmoid", seed=0)
    assert single.predict_proba(x).shape == (8, 2)
    assert np.array_equal(single.predict(x), single.predict_proba(x).argmax(axis=1))
    labels = fastnn.MLP([3, 5], output="sigmoid", seed=0)
    assert np.array_equal(labels.predict(x), labels.predict_proba(x) > 0.5)
    assert fastnn.MLP([3, 1], seed=0).predict(x).shape == (8,)
    assert fastnn.MLP([3, 2], seed=0).predict(x).shape == (8, 2)


def test_where_parameters_start():
    net = fastnn.MLP([3, 4, 2], "prelu", norm="batch", seed=0)
    starts = {"bias": 0, "shift": 0, "gain": 1, "slope": 0.25, "running_mean": 0, "running_variance": 1}
    for name, value in starts.items():
        np.testing.assert_array_equal(net.parameters()[f"layers.0.{name}"], np.full(4, value, np.float32))
    assert net.n_params == 3 * 4 + 4 * 4 + 4 * 2 + 2


def test_weights_given(rng):
    given = [rng.standard_normal(shape) for shape in ((3, 4), (4, 2))]
    net = fastnn.MLP([3, 4, 2], init=given, dtype="float64")
    for w, ref in zip(net.weights, given, strict=True):
        np.testing.assert_array_equal(w, ref)


def test_probability_needs_a_probability():
    with pytest.raises(ValueError, match="softmax or sigmoid"):
        fastnn.MLP([4, 2], seed=0).predict_proba(np.zeros((1, 4)))


@pytest.mark.parametrize("name", CASES)
def test_layer_outputs_against_the_twin(name, dtype, rng):
    case = CASES[name]
    net = make_net(case, dtype, rng)
    x = rng.standard_normal((ROW_BLOCK + 13, case.sizes[0])).astype(dtype)
    draw_categories(x, net, rng)
    outputs = net.layer_outputs(x)
    refs = [passed.a for passed in reference_step.forward(*doubled((net.compiled_network.view(), x)), step=0)]
    activate_output(refs[-1], None, None, net.compiled_network.view().output, case.sizes[-1], 0, len(x))
    assert len(outputs) == len(refs) == len(case.sizes) - 1
    for comp, ref in zip(outputs, refs, strict=True):
        assert comp.dtype == dtype
        bound = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(comp, ref, rtol=bound, atol=bound * max(1, np.abs(ref).max()))
    np.testing.assert_array_equal(outputs[-1], net.predict_raw(x))


def test_layer_outputs_of_wrong_rows():
    net = fastnn.MLP([3, 4, 2], seed=0)
    with pytest.raises(ValueError, match="x has 2 features, but the network takes 3"):
        net.layer_outputs(np.zeros((1, 2)))
    assert [len(out) for out in net.layer_outputs([[1, 2, 3]])] == [1, 1]


def test_a_copy_has_parameters_of_its_own():
    net = fastnn.MLP([3, 4, 2], seed=0)
    for other in (copy.copy(net), copy.deepcopy(net)):
        other.params[:] = 0
        assert net.params.any()
