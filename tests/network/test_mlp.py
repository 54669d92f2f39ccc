"""MLP: construction, initialisation, prediction, and its file."""

import json
import os
import pickle
import struct
import threading

import numpy as np
import pytest

import fastnn
from fastnn import _threads
from fastnn._threads import usable_cores
from fastnn.network.initial import initial_weights


def header_of(path):
    """The JSON header of a safetensors file, and the bytes after it."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewrite(path, change):
    """Apply `change` to a file's own header and its architecture, and write it back."""
    header, data = header_of(path)
    own = json.loads(header["__metadata__"]["fastnn"])
    change(own, own["architecture"])
    header["__metadata__"]["fastnn"] = json.dumps(own)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def model(tmp_path):
    net = fastnn.MLP([5, 7, 3], activation="tanh", output="softmax", seed=1)
    net.metadata = {"classes": ["a", "b", "c"]}
    path = tmp_path / "model.safetensors"
    net.save(path)
    return net, path


def test_same_seed_same_bits_and_other_seed_others():
    one, same, other = (fastnn.MLP([9, 8, 7], seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.params, same.params)
    assert not np.array_equal(one.params, other.params)


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


def test_activation_for_each_layer():
    net = fastnn.MLP([4, 5, 6, 2], activation=["tanh", "relu"], dtype="float64", seed=0)
    x = np.random.default_rng(0).standard_normal((10, 4))
    (w1, w2, w3), (b1, b2, b3) = net.weights, net.biases
    ref = np.maximum(np.tanh(x @ w1 + b1) @ w2 + b2, 0) @ w3 + b3
    # sums of a handful of products: rounding alone
    np.testing.assert_allclose(net.predict(x), ref, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_rows", [1, 5, 239, 240, 241, 1000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_prediction_does_not_depend_on_the_other_rows(n_rows, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    net = fastnn.MLP([6, 17, 4], output="softmax", seed=0)
    x = np.random.default_rng(1).standard_normal((1000, 6)).astype(np.float32)
    comp = net.predict_proba(x[:n_rows], n_threads=n_threads)
    assert np.array_equal(comp, net.predict_proba(x, n_threads=1)[:n_rows])
    np.testing.assert_allclose(comp.sum(axis=1), 1, rtol=1e-6)  # a few roundings of float32


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


def test_read_only_and_strided_rows_are_accepted_without_another_compilation():
    from fastnn.kernels.predict import predict_part

    net = fastnn.MLP([6, 5, 4], seed=0)
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    ref = net.predict(x)
    compiled = len(predict_part.signatures)
    frozen = x.copy()
    frozen.flags.writeable = False
    strided = np.repeat(x, 2, axis=0)[::2]
    for same in (frozen, np.asfortranarray(x), strided, x.astype(np.float64), x.tolist()):
        assert np.array_equal(net.predict(same), ref)
    assert len(predict_part.signatures) == compiled


@pytest.mark.parametrize("n_threads", [1, 2, None])
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_predictor(dtype, output, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    net = fastnn.MLP([6, 17, 4], output=output, dtype=dtype, seed=0)
    predict = net.predictor(n_threads=n_threads)
    x = np.random.default_rng(0).standard_normal((1000, 6)).astype(dtype)
    for rows in (x[:1], x[:7], x, x[::3], x[:, ::-1], x[:2].tolist(), x[:9].astype(np.longdouble)):
        comp = predict(rows)
        np.testing.assert_array_equal(comp, net.predict_raw(rows))
        assert comp.dtype == dtype
    net.weights[0][:] += 1  # it follows the weights
    np.testing.assert_array_equal(predict(x), net.predict_raw(x))


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_predictor_shares_out_a_large_call_of_a_small_network(monkeypatch):
    net, parts, real = fastnn.MLP([6, 17, 4], seed=0), [], _threads.run_parts
    monkeypatch.setattr(_threads, "run_parts", lambda *args: (parts.append(args[1]), real(*args)))
    x = np.zeros((100_000, 6), np.float32)  # 80 MFLOP
    predict = net.predictor(n_threads=None)
    predict(x[:1000])
    assert parts == []
    predict(x)
    assert parts[0] >= 2


def test_predictor_from_several_threads():
    net = fastnn.MLP([6, 100, 4], seed=0)
    predict, x = net.predictor(), np.random.default_rng(0).standard_normal((8, 200, 6)).astype(np.float32)
    expected, found = [net.predict_raw(rows) for rows in x], [[] for _ in x]

    def work(k):
        for _ in range(100):
            found[k].append(predict(x[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(x))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ref, results in zip(expected, found, strict=True):
        assert all(np.array_equal(ref, comp) for comp in results)


@pytest.mark.parametrize(
    ("x", "message"),
    [(np.zeros(6), "2 dimensions"), (np.zeros((2, 5)), "5 features"), ([["a"] * 6], "numeric")],
)
def test_predictor_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([6, 17, 4], seed=0).predictor()(x)


def test_file_round_trip(model):
    net, path = model
    comp = fastnn.load(path)
    assert repr(comp) == repr(net)
    assert comp.metadata == net.metadata
    assert np.array_equal(comp.params, net.params)
    header, _ = header_of(path)
    assert json.loads(header["__metadata__"]["fastnn"])["version"] == fastnn.__version__
    assert header["layers.0.weight"]["shape"] == [5, 7]


def test_loaded_network_trains_on(model):
    net, path = model
    x, y = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3
    loaded = fastnn.load(path)
    for one in (net, loaded):
        fastnn.Trainer(one, loss="cross_entropy", seed=0).fit(x, y, epochs=3, verbose=0)
    assert np.array_equal(net.params, loaded.params)


# Every kind of layer that a file can hold.
KEPT = {
    "batch norm": {"norm": "batch", "activation": "tanh"},
    "layer norm": {"norm": "layer", "activation": "gelu"},
    "prelu": {"activation": "prelu"},
    "residual": {"residual": True},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1, "activation": "tanh"},
    "alpha": {"activation": ["elu", "leaky_relu", "selu"]},
    "init": {"init": "orthogonal", "output": "exp"},
    "mixture": {
        "activation": ["prelu", "silu", "prelu"],
        "norm": ["batch", None, "layer"],
        "dropout": [0.1, 0.0, 0.2],
        "residual": [False, True, True],
        "output": "softmax",
    },
}


@pytest.fixture(params=KEPT.values(), ids=KEPT)
def kept(request, dtype, rng):
    """A network of which every parameter and running statistic is another number."""
    net = fastnn.MLP([6, 9, 9, 9, 4], **request.param, dtype=dtype, seed=0)
    for array in net.parameters().values():
        array[:] = rng.uniform(0.5, 1.5, array.shape)
    return net


def assert_same_network(comp, ref, x):
    assert repr(comp) == repr(ref)
    assert (comp.activations, comp.init, comp.residual) == (ref.activations, ref.init, ref.residual)
    assert comp.n_params == ref.n_params
    for (name, array), (ref_name, ref_array) in zip(
        comp.parameters().items(), ref.parameters().items(), strict=True
    ):
        assert name == ref_name
        np.testing.assert_array_equal(array, ref_array, strict=True)
    np.testing.assert_array_equal(comp.predict_raw(x), ref.predict_raw(x))


def test_kept_round_trips(kept, rng, tmp_path):
    x = rng.standard_normal((20, 6))
    kept.predict_raw(x)  # addresses, which hold in this process only, are there
    kept.save(tmp_path / "model")
    assert_same_network(fastnn.load(tmp_path / "model"), kept, x)
    assert_same_network(pickle.loads(pickle.dumps(kept)), kept, x)


def test_a_pickle_in_another_process(rng, tmp_path, run_python):
    kept = fastnn.MLP([6, 9, 9, 9, 4], **KEPT["mixture"], seed=0)
    x = rng.standard_normal((5, 6))
    (tmp_path / "net").write_bytes(pickle.dumps((kept, x)))
    code = f"import pickle; net, x = pickle.load(open({str(tmp_path / 'net')!r}, 'rb'));"
    code += " print(net.predict_raw(x).tolist())"
    assert json.loads(run_python(code).stdout) == kept.predict_raw(x).tolist()


def test_a_file_holds_no_function_of_ones_own(tmp_path):
    net = fastnn.MLP([3, 4, 2], own_function, seed=0)
    with pytest.raises(ValueError, match="'own_function' is a function of your own"):
        net.save(tmp_path / "model")
    x = np.ones((2, 3))
    assert_same_network(pickle.loads(pickle.dumps(net)), net, x)


def own_function(z):
    return z * abs(z)


@pytest.mark.parametrize("name", ["prelu", "tanh", "silu"])
def test_a_function_of_ones_own_may_bear_any_name(name, tmp_path):
    def function(z):
        return z * abs(z)

    ref = fastnn.MLP([3, 4, 2], function, seed=0)
    function.__name__ = name
    net = fastnn.MLP([3, 4, 2], function, seed=0)
    x = np.ones((2, 3))
    np.testing.assert_array_equal(net.predict(x), ref.predict(x))
    assert net.n_params == ref.n_params
    with pytest.raises(ValueError, match="function of your own"):
        net.save(tmp_path / "model")


@pytest.mark.parametrize("name", ["gain", "shift", "slope", "running_mean", "running_variance"])
@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_damaged_parameters_are_refused(tmp_path, name, damage):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "model"
    fastnn.MLP([3, 4, 2], "prelu", norm="batch", seed=0).save(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    key = f"layers.0.{name}"
    if damage == "missing":
        del tensors[key]
    else:
        tensors[key] = tensors[key][:-1] if damage == "shape" else np.full_like(tensors[key], np.nan)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ValueError, match=f"not a usable fastnn model: .*{key}"):
        fastnn.load(path)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predictor_of_kept_layers(kept, rng, n_threads, monkeypatch):
    monkeypatch.setattr("fastnn.network.predictor.PARALLEL_CALL_FLOPS", 0)
    predict, x = kept.predictor(n_threads=n_threads), rng.standard_normal((1000, 6)).astype(kept.dtype)
    whole = kept.predict_raw(x, n_threads=1)
    for rows in (x[:1], x[:241], x):
        np.testing.assert_array_equal(predict(rows), whole[: len(rows)])
        np.testing.assert_array_equal(kept.predict_raw(rows, n_threads=n_threads), whole[: len(rows)])
    for array in kept.parameters().values():  # it follows them
        array *= 0.5
    np.testing.assert_array_equal(predict(x), kept.predict_raw(x))
    assert (predict(x) != whole).any()


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


def test_where_parameters_start():
    net = fastnn.MLP([3, 4, 2], "prelu", norm="batch", seed=0)
    starts = {"bias": 0, "shift": 0, "gain": 1, "slope": 0.25, "running_mean": 0, "running_variance": 1}
    for name, value in starts.items():
        np.testing.assert_array_equal(net.parameters()[f"layers.0.{name}"], np.full(4, value, np.float32))
    assert net.n_params == 3 * 4 + 4 * 4 + 4 * 2 + 2


@pytest.mark.parametrize("n_in", [30, 50])
def test_orthogonal(n_in):
    w = initial_weights(np.random.default_rng(0), "orthogonal", n_in, 40)
    product = w @ w.T if n_in < 40 else w.T @ w
    np.testing.assert_allclose(product, np.eye(min(n_in, 40)), atol=1e-14)  # some eps


def test_weights_given(rng):
    given = [rng.standard_normal(shape) for shape in ((3, 4), (4, 2))]
    net = fastnn.MLP([3, 4, 2], init=given, dtype="float64")
    for w, ref in zip(net.weights, given, strict=True):
        np.testing.assert_array_equal(w, ref)


def test_residual_for_all_leaves_out_what_cannot_have_it():
    assert fastnn.MLP([4, 4, 4, 5, 5, 2], residual=True).residual == (False, True, False, True)


def test_network_pickles(model):
    net, _ = model
    x = np.ones((2, 5))
    assert np.array_equal(pickle.loads(pickle.dumps(net)).predict_proba(x), net.predict_proba(x))


def test_saving_is_atomic(model, monkeypatch):
    net, path = model
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    net.params[:] = 0
    with pytest.raises(OSError, match="no space left"):
        net.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        fastnn.load(tmp_path / "nothing")


@pytest.mark.parametrize("keep", [0, 7, 8, 60, -1])
def test_truncated_file_is_refused(model, keep):
    _, path = model
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a usable fastnn model"):
        fastnn.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a model", pickle.dumps({"a": 1}), b"\xff" * 100, b"\x00" * 100]
)
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a usable fastnn model"):
        fastnn.load(path)


def test_safetensors_of_another_program_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not written by fastnn"):
        fastnn.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m, a: m.update(format=99), "pip install --upgrade fastnn"),
        (lambda m, a: m.update(format="1"), "header"),
        (lambda m, a: m.pop("metadata"), "metadata"),
        (lambda m, a: m.update(metadata=[1]), "header"),
        (lambda m, a: m.update(architecture=3), "header"),
        (lambda m, a: a.pop("sizes"), "sizes"),
        (lambda m, a: a.update(sizes=[5, 10**12, 3]), "layers.0.weight"),
        (lambda m, a: a.update(sizes=[5, 7, 3] + [3] * 20_000), "20003 layer sizes"),
        (lambda m, a: a.update(sizes=[5, -7, 3]), "sizes[1] must be at least 1"),
        (lambda m, a: a.update(sizes="577"), "its sizes must be a list"),
        (lambda m, a: a.update(sizes=[5, 7, 3, 2]), "2 hidden layers"),
        (lambda m, a: a.update(dtype="float64"), "expected float64"),
        (lambda m, a: a.update(dtype={}), "dtype must be"),
        (lambda m, a: a.update(activation=[["sine", None]]), "activation must be one of"),
        (lambda m, a: a.update(activation=["relu"]), "to unpack"),
        (lambda m, a: a.update(activation=[[["relu"], None]]), "activation must be a name"),
        (lambda m, a: a.update(activation=[["relu", 0.1]]), "alpha belongs to"),
        (lambda m, a: a.update(activation=[["relu", None]] * 2), "hidden layers"),
        (lambda m, a: a.update(activation=[["prelu", None]]), "layers.0.slope"),
        (lambda m, a: a.update(norm=["batch"]), "layers.0.gain"),
        (lambda m, a: a.update(norm=[]), "hidden layers"),
        (lambda m, a: a.update(norm=None), "its norm must be a list"),
        (lambda m, a: a.update(dropout=[1.5]), "dropout must"),
        (lambda m, a: a.update(dropout=["a"]), "dropout must"),
        (lambda m, a: a.update(input_dropout=-1), "input_dropout must"),
        (lambda m, a: a.update(residual=[True]), r"residual[0]"),
        (lambda m, a: a.update(nonsense=1), "nonsense"),
        (lambda m, a: a.update(output="sine"), "output must be one of"),
        (lambda m, a: a.update(init=[]), "init has arrays of shapes []"),
        (lambda m, a: a.update(init=7), "init must be a name"),
    ],
)
def test_malicious_file_is_refused_with_the_reason(model, change, reason):
    _, path = model
    rewrite(path, change)
    with pytest.raises(ValueError, match="not a usable fastnn model") as caught:
        fastnn.load(path)
    assert reason in str(caught.value)


def test_model_with_nan_is_refused(model):
    net, path = model
    net.weights[0][0, 0] = np.nan
    net.save(path)
    with pytest.raises(ValueError, match="NaN"):
        fastnn.load(path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([4],), ValueError, "at least inputs and outputs"),
        (([4, -1],), ValueError, r"sizes\[1\] must be at least 1, got -1"),
        (([4, 0, 2],), ValueError, r"sizes\[1\] must be at least 1, got 0"),
        (([4, 2.5],), TypeError, r"sizes\[1\] must be an integer, got 2.5"),
        (([4, True],), TypeError, "integer"),
        ((7,), TypeError, "sequence of integers"),
        (([4, 3, 2], "rleu"), ValueError, "exp, got 'rleu'. Did you mean 'relu'"),
        (([4, 3, 2], ["relu", "tanh"]), ValueError, "activation has 2 entries, but the network has 1 hidden"),
    ],
)
def test_bad_architecture(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.MLP(*arguments)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"output": "sofmax"}, "Did you mean 'softmax'"),
        ({"init": "ones"}, "glorot_uniform"),
        ({"init": [np.zeros((4, 3)), np.zeros((3, 3))]}, r"shapes \[\(4, 3\), \(3, 3\)\]"),
        ({"dropout": 1.0}, "dropout must"),
        ({"dropout": [0.1, 0.2]}, "dropout has 2 entries"),
        ({"input_dropout": -0.1}, "input_dropout must"),
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"norm": [None, None]}, "norm has 2 entries"),
        ({"residual": [True]}, "has 4 inputs and 3 outputs"),
        ({"dtype": "float16"}, "float32 or float64, got 'float16'"),
        ({"dtype": "nonsense"}, "float32 or float64"),
    ],
)
def test_bad_option(option, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([4, 3, 2], **option)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(4), r"2 dimensions .*got shape \(4,\).*reshape"),
        (np.zeros((2, 3, 4)), "2 dimensions"),
        (np.zeros((2, 5)), "x has 5 features, but the network takes 4"),
        (np.zeros((0, 4)), "x is empty"),
        (np.full((2, 4), np.nan), "x has 8 values that are NaN or infinite"),
        ([[1, 2, np.inf, 4]], r"the first at \[0, 2\]"),
        (np.full((2, 4), 1e300), "infinite in float32"),
        ([["a", "b", "c", "d"]], "x must be numeric"),
        (np.zeros((2, 4), complex), "complex"),
    ],
)
def test_bad_rows(x, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([4, 3, 2], seed=0).predict(x)


def test_large_finite_values_whose_sum_overflows_are_accepted():
    x = np.full((4, 4), 1e308)
    fastnn.MLP([4, 2], dtype="float64", seed=0).predict(x)


@pytest.mark.parametrize("form", ["csr_matrix", "coo_array"])
def test_sparse_rows(form):
    sparse = pytest.importorskip("scipy.sparse")
    net = fastnn.MLP([5, 6, 3], "tanh", norm="batch", output="softmax", seed=0)
    x = np.random.default_rng(0).integers(0, 2, (30, 5)).astype(np.float32)
    rows = getattr(sparse, form)(x)
    np.testing.assert_array_equal(net.predict_proba(rows.tocsr()), net.predict_proba(x))
    np.testing.assert_array_equal(net.predict(rows.tocsr()[:1]), net.predict(x[:1]))


def test_probability_needs_a_probability():
    with pytest.raises(ValueError, match="softmax or sigmoid"):
        fastnn.MLP([4, 2], seed=0).predict_proba(np.zeros((1, 4)))


@pytest.mark.parametrize("n_threads", [0, -1])
def test_bad_thread_count(n_threads):
    with pytest.raises(ValueError, match="n_threads must be at least 1"):
        fastnn.MLP([4, 2], seed=0).predict(np.zeros((1, 4)), n_threads=n_threads)
