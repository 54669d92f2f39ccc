"""The compiled side of a network: views, and its pickle."""

import json
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.network.layout import ALIGN_BYTES
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


NETWORKS = KEPT | {"embeddings": {"embeddings": {2: (6, 3), 0: (3, 2)}, "norm": "batch"}}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_shapes_are_those_of_the_views(options, dtype):
    compiled = fastnn.MLP([6, 9, 9, 9, 4], **options, dtype=dtype, seed=0).compiled_network
    views = compiled.layout.named_views(compiled.params, compiled.running)
    assert {name: view.shape for name, view in views.items()} == compiled.layout.named_shapes()
    assert list(views) == list(compiled.layout.named_shapes()) == list(compiled.parameters())
    n_learnt = compiled.layout.n_learnt()
    assert {name: views[name].size for name in n_learnt} == n_learnt
    for number, view in enumerate(views.values()):
        view[:] = number + 1  # all lie apart: none is overwritten by a later one
    for number, (name, view) in enumerate(compiled.parameters().items()):
        np.testing.assert_array_equal(view, np.full(view.shape, number + 1, dtype), name)
        owner = compiled.running if "running" in name else compiled.params
        assert np.shares_memory(view, owner), name


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_what_was_unpickled_is_aligned(options):
    compiled = fastnn.MLP([6, 9, 9, 9, 4], **options, seed=0).compiled_network
    comp = pickle.loads(pickle.dumps(compiled))
    for array in (comp.params, comp.running):
        assert array.ctypes.data % ALIGN_BYTES == 0
    assert comp.architecture == compiled.architecture
    for name, view in compiled.parameters().items():
        np.testing.assert_array_equal(comp.parameters()[name], view, name)


def test_weights_that_were_given_are_not_pickled_twice():
    given = [np.ones((300, 400)), np.ones((400, 2))]
    plain, comp = (fastnn.MLP([300, 400, 2], init=init, seed=0) for init in (None, given))
    assert len(pickle.dumps(comp)) == pytest.approx(len(pickle.dumps(plain)), abs=1000)


def test_parts_of_a_flat_vector():
    net = fastnn.MLP([6, 9, 4], "prelu", norm="batch", seed=0)
    weights, biases = net.compiled_network.split(net.params)
    for comp, ref in zip([*weights, *biases], [*net.weights, *net.biases], strict=True):
        np.testing.assert_array_equal(comp, ref)
        assert np.shares_memory(comp, net.params)
