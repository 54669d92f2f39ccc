"""The compiled side of a network: views, and its pickle."""

import json
import pickle

import numpy as np

import fastnn
from network.networks import KEPT


def test_a_pickle_in_another_process(rng, tmp_path, run_python):
    kept = fastnn.MLP([6, 9, 9, 9, 4], **KEPT["mixture"], seed=0)
    x = rng.standard_normal((5, 6))
    (tmp_path / "net").write_bytes(pickle.dumps((kept, x)))
    code = f"import pickle; net, x = pickle.load(open({str(tmp_path / 'net')!r}, 'rb'));"
    code += " print(net.predict_raw(x).tolist())"
    assert json.loads(run_python(code).stdout) == kept.predict_raw(x).tolist()


def test_dropout_is_for_training_only(dtype, rng):
    plain, dropped = (fastnn.MLP([6, 9, 4], "tanh", seed=0, dtype=dtype, dropout=p) for p in (0.0, 0.5))
    x = rng.standard_normal((10, 6))
    np.testing.assert_array_equal(dropped.predict(x), plain.predict(x))


def test_inference_takes_the_running_statistics(rng):
    net = fastnn.MLP([3, 4, 2], "identity", norm="batch", dtype="float64", seed=0)
    p = net.parameters()
    for name in ("running_mean", "running_variance", "gain", "shift", "bias"):
        p[f"layers.0.{name}"][:] = rng.uniform(0.5, 1.5, 4)
    x = rng.standard_normal((5, 3))
    z = x @ p["layers.0.weight"] + p["layers.0.bias"] - p["layers.0.running_mean"]
    z = z / np.sqrt(p["layers.0.running_variance"] + 1e-5) * p["layers.0.gain"] + p["layers.0.shift"]
    # a handful of sums of numbers of size 1
    np.testing.assert_allclose(net.predict(x), z @ net.weights[1] + net.biases[1], rtol=1e-13, atol=1e-13)


def test_network_pickles(model):
    net, _ = model
    x = np.ones((2, 5))
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict_proba(x), net.predict_proba(x))
