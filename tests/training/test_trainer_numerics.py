"""Training as a whole: that it learns, that it repeats to the bit, that it compiles once."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import partial

import numba
import numpy as np
import pytest
import reference

import fastnn
import fastnn.kernels
from fastnn import _threads
from fastnn._jit import compile_seconds
from fastnn._threads import usable_cores
from fastnn.kernels import records, step

needs_two_cores = pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")


def load(name):
    """A data set that comes with scikit-learn, standardised, split in two halves."""
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    train, test = np.s_[::2], np.s_[1::2]
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    x = (x - mean) / np.where(deviation > 0, deviation, 1)
    return x[train], y[train], x[test], y[test]


@pytest.fixture
def noise(rng):
    """300 rows, of which no batch of a power of two is a divisor, in four classes."""
    return rng.standard_normal((300, 20)), rng.integers(0, 4, 300)


def fit(
    data, sizes=(20, 24, 4), *, epochs=2, seed=0, net_seed=0, dtype="float32", net=None, weights=None, **rest
):
    """A trained network and the costs of its epochs; `net` are its options, the rest are the trainer's."""
    network = fastnn.MLP(sizes, dtype=dtype, seed=net_seed, **(net or {}))
    options = {"loss": "cross_entropy", "batch_size": 32} | rest
    trainer = fastnn.Trainer(network, seed=seed, **options)
    history = trainer.fit(*data, epochs=epochs, sample_weight=weights, verbose=0)
    return network, history.to_dict()["cost"]


def assert_same_bits(comp, ref):
    for name, array in ref[0].parameters().items():
        np.testing.assert_array_equal(comp[0].parameters()[name], array, name)
    assert comp[1] == ref[1]


# --- it learns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_xor(dtype, loss, n_out, activation):
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    options = {"loss": loss, "optimizer": fastnn.Adam(lr=0.05), "batch_size": None, "epochs": 500}
    net, costs = fit((x, y), (2, 16, n_out), net={"activation": activation}, dtype=dtype, **options)
    assert list(net.predict(x)) == list(y)
    assert costs[-1] < 0.05  # guessing costs ln 2


@pytest.mark.parametrize(
    ("name", "sizes", "least"),
    # From half of the rows. Measured over ten seeds: 0.968 to 0.974 and 0.947 to 0.973 of the other half.
    [("digits", (64, 100, 10), 0.96), ("iris", (4, 16, 3), 0.93)],
)
def test_classes(dtype, name, sizes, least):
    x, y, x_test, y_test = load(name)
    lr = {"digits": 0.003, "iris": 0.01}[name]
    net, _ = fit((x, y), sizes, dtype=dtype, epochs=60, l2=0.1, optimizer=fastnn.Adam(lr=lr))
    assert (net.predict(x_test) == y_test).mean() >= least


def test_diabetes(dtype):
    x, y, x_test, y_test = load("diabetes")
    options = {"loss": "mse", "optimizer": fastnn.Adam(lr=0.005), "net": {"activation": "tanh"}, "l2": 3.0}
    net, _ = fit((x, (y - y.mean()) / y.std()), (10, 16, 1), dtype=dtype, epochs=20, **options)
    error = net.predict(x_test) * y.std() + y.mean() - y_test
    # R squared of least squares: 0.483. Measured over ten seeds: 0.475 to 0.486.
    assert 1 - (error**2).sum() / ((y_test - y_test.mean()) ** 2).sum() > 0.46


# --- what a step is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(20, 4), (20, 30, 7, 4)])
def test_l2_penalty(noise, dtype, sizes):
    l2, lr, n_rows = 3.0, 0.5, 300
    net = fastnn.MLP(sizes, "tanh", dtype=dtype, seed=0)
    for b in net.biases:
        b[:] = 0.5
    options = {"optimizer": fastnn.SGD(lr=lr), "batch_size": None, "shuffle": False}
    plain = fastnn.Trainer(net, loss="cross_entropy", **options)
    cost, grad_weights, grad_biases = plain.gradient(*noise)
    weights, biases = ([array.astype(np.float64) for array in arrays] for arrays in (net.weights, net.biases))
    decayed = fastnn.Trainer(net, loss="cross_entropy", l2=l2, **options)
    history = decayed.fit(*noise, epochs=1, verbose=0)
    # One step of numbers of size 1: some eps; the biases bear no penalty.
    eps = np.finfo(dtype).eps
    penalty = l2 / (2 * n_rows) * sum((w**2).sum() for w in weights)
    np.testing.assert_allclose(history.epochs[0].cost, cost + penalty, rtol=4 * eps)
    for comp, w, grad in zip(net.weights, weights, grad_weights, strict=True):
        np.testing.assert_allclose(comp, w - lr * (grad + l2 / n_rows * w), rtol=4 * eps, atol=4 * eps)
    for comp, b, grad in zip(net.biases, biases, grad_biases, strict=True):
        np.testing.assert_allclose(comp, b - lr * grad, rtol=4 * eps)


@pytest.mark.parametrize(
    "kind",
    [fastnn.SGD, partial(fastnn.SGD, momentum=0.9, nesterov=True), fastnn.Adam],
    ids=["sgd", "nesterov", "adam"],
)
def test_divergence_keeps_finite_weights(noise, dtype, kind):
    net = fastnn.MLP((20, 24, 24, 4), dtype=dtype, seed=0)
    # A weight of this size is finite, its square in the next layer hardly, that of an error no more.
    optimizer = kind(lr=float(np.sqrt(np.finfo(dtype).max)))
    diverging = fastnn.Trainer(net, loss="mse", optimizer=optimizer, seed=0)
    with pytest.raises(fastnn.DivergenceError, match="NaN or infinite"):
        diverging.fit(noise[0], noise[0][:, :4], epochs=50, verbose=0)
    assert np.isfinite(net.params).all()
    assert np.abs(net.params).max() > 1e6  # it did diverge in training
    assert diverging.history.stop_reason == "diverged"


# --- it repeats to the bit --------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_seed_same_bits(noise, dtype, optimizer):
    ref = fit(noise, dtype=dtype, optimizer=optimizer)
    assert_same_bits(fit(noise, dtype=dtype, optimizer=optimizer), ref)
    for other in ({"seed": 1}, {"net_seed": 1}):
        assert (fit(noise, dtype=dtype, optimizer=optimizer, **other)[0].params != ref[0].params).any()


def test_calls_of_any_length_are_the_same(noise, monkeypatch):
    """Training is cut into calls by the clock, which must not show."""
    ref = fit(noise)
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS"):
        monkeypatch.setattr(_threads, name, 0)
    assert_same_bits(fit(noise), ref)


@pytest.fixture
def spy(monkeypatch):
    """Note how the parallel calls ended: one entry a call, whether all of its threads came."""
    came = []

    real = _threads.run_parts

    def call(address, n_parts, args):
        real(address, n_parts, args)
        totals = args[-1]  # of a training call; others end with other things
        came.append(n_parts > 1 and not (np.shape(totals) == (records.N_TOTALS,) and totals[records.FAILED]))

    monkeypatch.setattr(_threads, "run_parts", call)
    return came


def assert_parallel_gives(ref, spy, data, **arguments):
    """Train until threads met in time, which a busy machine may prevent; every time with the same bits."""
    spy.clear()
    for _ in range(20):
        assert_same_bits(fit(data, **arguments), ref)
        if any(spy):
            return
    pytest.fail(f"{len(spy)} parallel calls, and in none of them all threads met")


@needs_two_cores
def test_changing_the_number_of_threads_changes_no_bit(noise, spy, monkeypatch):
    """As trials do while training goes on: here after every chunk, and every chunk is a step."""
    ref = fit(noise, n_threads=1)
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS", "FIRST_TRIAL_SECONDS", "TRIAL_SPACING"):
        monkeypatch.setattr(_threads, name, 0)
    monkeypatch.setattr(_threads, "TRIAL_SECONDS", 0)
    assert_parallel_gives(ref, spy, noise, n_threads=2)


@needs_two_cores
def test_two_threads_give_the_same_bits(dtype, rng, spy):
    data = rng.standard_normal((3000, 60)), rng.integers(0, 10, 3000)
    # 6 * 256 * 25,000 parameters are 40 MFLOP a step: parallel without being asked.
    arguments = {"sizes": (60, 128, 100, 10), "batch_size": 256, "dtype": dtype}
    ref = fit(data, n_threads=1, **arguments)
    assert spy == []
    for n_threads in (2, None):
        assert_parallel_gives(ref, spy, data, n_threads=n_threads, **arguments)
    spy.clear()
    comp, ref = (ref[0].predict_proba(data[0], n_threads=n_threads) for n_threads in (2, 1))
    np.testing.assert_array_equal(comp, ref)
    assert spy == [True]


@needs_two_cores
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [7, 32, 300])  # in tiles of six rows: two, six, fifty
@pytest.mark.parametrize("sizes", [(20, 4), (20, 1, 4), (20, 50, 31, 4)])
def test_two_threads_on_little_work(noise, spy, monkeypatch, sizes, batch_size, optimizer):
    arguments = {"sizes": sizes, "batch_size": batch_size, "optimizer": optimizer, "l2": 0.1}
    ref = fit(noise, n_threads=1, **arguments)
    monkeypatch.setattr(_threads, "PARALLEL_STEP_FLOPS", 0)
    assert_parallel_gives(ref, spy, noise, n_threads=2, **arguments)


WEIGHTS = np.arange(300) % 4
FEATURES = {
    "dropout": {"net": {"dropout": 0.3, "input_dropout": 0.1}},
    "batch norm": {"net": {"norm": "batch"}},
    "layer norm": {"net": {"norm": "layer"}},
    "prelu, residual": {"net": {"activation": "prelu", "residual": True}},
    "clip_norm": {"clip_norm": 0.1},
    "accumulate": {"accumulate": 3},
    "average": {"average": fastnn.EMA(0.9)},
    "max_norm": {"max_norm": 0.5},
    "l1": {"l1": 0.1, "rate_factors": {0: 0.5}, "clip_value": 0.01},
    "weights": {"weights": WEIGHTS, "class_weight": "balanced"},
}
FEATURES["all"] = {
    "net": {"dropout": 0.3, "norm": ["batch", "layer"], "activation": "prelu", "residual": True},
    "optimizer": fastnn.NAdam(weight_decay=0.1),
    "schedule": "cosine",
    "weights": WEIGHTS,
    "clip_norm": 0.1,
    "accumulate": 3,
    "average": fastnn.EMA(0.9),
    "max_norm": 0.5,
    "l1": 0.1,
}


@pytest.fixture(params=["dense", "sparse"])
def as_given(request, noise):
    """The data, and the same with four of five features 0, as a sparse matrix."""
    if request.param == "dense":
        return noise
    x = np.where(np.random.default_rng(0).random(noise[0].shape) < 0.2, noise[0], 0)
    return pytest.importorskip("scipy.sparse").csr_matrix(x), noise[1]


@needs_two_cores
@pytest.mark.parametrize("feature", FEATURES)
def test_two_threads_with_every_feature(as_given, dtype, spy, monkeypatch, feature):
    arguments = {"sizes": (20, 40, 40, 4), "dtype": dtype, **FEATURES[feature]}
    ref = fit(as_given, n_threads=1, **arguments)
    monkeypatch.setattr(_threads, "PARALLEL_STEP_FLOPS", 0)
    assert_parallel_gives(ref, spy, as_given, n_threads=2, **arguments)


@pytest.mark.parametrize("feature", FEATURES)
def test_calls_of_one_step_are_the_same(noise, monkeypatch, feature):
    ref = fit(noise, (20, 40, 40, 4), **FEATURES[feature])
    plain = fit(noise, (20, 40, 40, 4))
    assert (ref[0].weights[0] != plain[0].weights[0]).any()  # it does make a difference
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS"):
        monkeypatch.setattr(_threads, name, 0)
    assert_same_bits(fit(noise, (20, 40, 40, 4), **FEATURES[feature]), ref)


# --- it compiles once -------------------------------------------------------------------------------


def n_compiled():
    """Compiled forms of all kernels together."""
    kernels = set()
    for module in pkgutil.iter_modules(fastnn.kernels.__path__):
        values = vars(importlib.import_module(f"fastnn.kernels.{module.name}")).values()
        kernels |= {value for value in values if isinstance(value, type(step.train_part))}
    return sum(len(kernel.signatures) for kernel in kernels)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_another_network_compiles_nothing(dtype, noise):
    reference.train_everything(dtype.name)
    before = n_compiled(), compile_seconds()
    assert len(step.train_part.signatures) > 0
    for sizes, activation in [((20, 4), "relu"), ((20, 3, 4), "tanh"), ((20, 300, 17, 5, 4), "sigmoid")]:
        net, _ = fit(noise, sizes, net={"activation": activation}, dtype=dtype, batch_size=None, l2=0.5)
        net.predict(noise[0])
    assert (n_compiled(), compile_seconds()) == before


CODE = """
import json, reference
from fastnn import _threads
from fastnn.network import predictor
from fastnn.training import trainer
from fastnn._jit import compile_seconds
_threads.PARALLEL_STEP_FLOPS = trainer.PARALLEL_CALL_FLOPS = predictor.PARALLEL_CALL_FLOPS = 0
figures = [reference.train_everything(dtype, n) for dtype in {dtypes} for n in {threads}]
print(json.dumps([figures, compile_seconds()]))
"""


def test_a_second_process_compiles_nothing(run_python):
    code = CODE.format(dtypes=["float32", "float64"], threads=[1, 2])
    first, second = run_python(code), run_python(code)
    assert second.stderr == ""
    (ref, _), (comp, seconds) = json.loads(first.stdout), json.loads(second.stdout)
    assert seconds == 0.0
    assert comp == ref
    assert comp[0] == comp[1]
    assert comp[2] == comp[3]


def test_the_first_process_says_that_it_compiles(run_python, tmp_path):
    """It does so for the least of CPUs, whose narrow vectors and tiles are thereby tried on any machine."""
    code = CODE.format(dtypes=["float32"], threads=[1])
    first = run_python(code, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_CPU_NAME="generic")
    assert first.stderr.count("\n") == 1
    assert "compiling" in first.stderr
    assert list(tmp_path.rglob("*.nbi"))
    figures, seconds = json.loads(first.stdout)
    assert seconds > 0
    # Nine updates without fused multiply-adds, with other forms of exp and tanh: some eps each.
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(figures[0], reference.train_everything(), rtol=50 * eps, atol=20 * eps)
