"""The forward pass inside the user's own compiled code."""

import gc
import warnings

import numba
import numpy as np
import pytest

import fastnn


def _rows(net, n=50):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, net.sizes[0])).astype(net.dtype)
    for column, (n_categories, _) in net.compiled_network.architecture.embeddings.items():
        x[:, column] = rng.integers(0, n_categories, n)
    return x


def _loop(forward, parallel=False):
    @numba.njit(parallel=parallel)
    def of_all(x, out):
        for i in numba.prange(len(x)):
            forward(x[i], out[i])

    return of_all


NETWORKS = {
    "plain": {},
    "float64": {"dtype": "float64"},
    "softmax": {"output": "softmax"},
    "many outputs": {"sizes": [8, 40, 37]},
    "one output": {"sizes": [8, 1]},
    "dropout": {"dropout": 0.5, "input_dropout": 0.2},
    "batch norm": {"norm": "batch"},
    "hooked": {"norm": "layer", "activation": "prelu"},
    "residual": {"sizes": [8, 8, 8, 3], "residual": True, "activation": "gelu"},
    "embeddings": {"embeddings": {1: (5, 3), 4: (7, 2)}},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_it_computes_what_predict_raw_does_to_the_bit(options):
    net = fastnn.MLP(**{"sizes": [8, 33, 20, 2], "seed": 0} | options)
    x, of_all = _rows(net), _loop(net.compiled())
    out = np.full((len(x), net.sizes[-1]), np.nan, net.dtype)
    of_all(x, out)
    np.testing.assert_array_equal(out, net.predict_raw(x))
    net.params[:] *= 2  # as training does: in place
    of_all(x, out)
    np.testing.assert_array_equal(out, net.predict_raw(x))


def test_threads_share_nothing():
    net = fastnn.MLP([8, 33, 20, 2], activation="gelu", seed=0)
    x = _rows(net, 5000)
    out = np.empty((len(x), 2), net.dtype)
    _loop(net.compiled(), parallel=True)(x, out)
    np.testing.assert_array_equal(out, net.predict_raw(x))


def test_the_code_outlives_the_network():
    net = fastnn.MLP([8, 33, 2], seed=0)
    x = _rows(net)
    wanted, out = net.predict_raw(x), np.empty((len(x), 2), net.dtype)
    of_all = _loop(net.compiled())
    del net
    gc.collect()
    of_all(x, out)
    np.testing.assert_array_equal(out, wanted)


def test_addresses_are_not_kept_on_disk():
    """Code compiled with addresses of this process in it must not be loaded by another."""
    net = fastnn.MLP([8, 3], seed=0)
    forward = net.compiled()

    def of_one(x, out):
        forward(x, out)

    cached = numba.njit(of_one, cache=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cached(np.zeros(8, net.dtype), np.zeros(3, net.dtype))
    assert any("dynamic globals" in str(warning.message) for warning in caught)
    assert not cached.stats.cache_hits


def test_wrong_rows_are_refused():
    net = fastnn.MLP([8, 3], embeddings={1: (5, 3)}, seed=0)
    forward = net.compiled()
    x, out = np.zeros(8, net.dtype), np.zeros(3, net.dtype)
    for wrong_x, wrong_out in [(x[:7], out), (x, out[:2])]:
        with pytest.raises(ValueError, match="8 features and a row of 3 outputs"):
            forward(wrong_x, wrong_out)
    for wrong_x, wrong_out in [(x.astype("float64"), out), (x[::2], out), (x, np.zeros((1, 3), net.dtype))]:
        with pytest.raises(numba.TypingError, match="must be a contiguous row of float32"):
            forward(wrong_x, wrong_out)
    for category in (-1, 5, np.nan):
        x[1] = category
        with pytest.raises(ValueError, match="category"):
            forward(x, out)


def test_a_network_too_wide_for_the_stack():
    with pytest.raises(ValueError, match="bytes of the stack"):
        fastnn.MLP([100_000, 1]).compiled()
