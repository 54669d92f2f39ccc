"""Training repeats to the bit, for any number of threads, and compiles once."""

from __future__ import annotations

import importlib
import json
import pkgutil

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
from fastnn.training import pace
from training.examples import (
    fit_network,
)

needs_two_cores = pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")


def assert_same_bits(comp, ref):
    for name, array in ref[0].parameters().items():
        np.testing.assert_array_equal(comp[0].parameters()[name], array, name)
    assert comp[1] == ref[1]


# --- it repeats to the bit --------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_same_seed_same_bits(four_classes, dtype, optimizer):
    ref = fit_network(four_classes, dtype=dtype, optimizer=optimizer)
    assert_same_bits(fit_network(four_classes, dtype=dtype, optimizer=optimizer), ref)
    for other in ({"seed": 1}, {"net_seed": 1}):
        assert (
            fit_network(four_classes, dtype=dtype, optimizer=optimizer, **other)[0].params != ref[0].params
        ).any()


def test_calls_of_any_length_are_the_same(four_classes, monkeypatch):
    """Training is cut into calls by the clock, which must not show."""
    ref = fit_network(four_classes)
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS"):
        monkeypatch.setattr(pace, name, 0)
    assert_same_bits(fit_network(four_classes), ref)


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
        assert_same_bits(fit_network(data, **arguments), ref)
        if any(spy):
            return
    pytest.fail(f"{len(spy)} parallel calls, and in none of them all threads met")


@needs_two_cores
def test_changing_the_number_of_threads_changes_no_bit(four_classes, spy, monkeypatch):
    """As trials do while training goes on: here after every chunk, and every chunk is a step."""
    ref = fit_network(four_classes, n_threads=1)
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS", "FIRST_TRIAL_SECONDS", "TRIAL_SPACING"):
        monkeypatch.setattr(pace, name, 0)
    monkeypatch.setattr(pace, "TRIAL_SECONDS", 0)
    assert_parallel_gives(ref, spy, four_classes, n_threads=2)


@needs_two_cores
def test_two_threads_give_the_same_bits(dtype, rng, spy):
    data = rng.standard_normal((3000, 60)), rng.integers(0, 10, 3000)
    # 6 * 256 * 25,000 parameters are 40 MFLOP a step: parallel without being asked.
    arguments = {"sizes": (60, 128, 100, 10), "batch_size": 256, "dtype": dtype}
    ref = fit_network(data, n_threads=1, **arguments)
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
def test_two_threads_on_little_work(four_classes, spy, monkeypatch, sizes, batch_size, optimizer):
    arguments = {"sizes": sizes, "batch_size": batch_size, "optimizer": optimizer, "l2": 0.1}
    ref = fit_network(four_classes, n_threads=1, **arguments)
    monkeypatch.setattr(pace, "PARALLEL_STEP_FLOPS", 0)
    assert_parallel_gives(ref, spy, four_classes, n_threads=2, **arguments)


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
def as_given(request, four_classes):
    """The data, and the same with four of five features 0, as a sparse matrix."""
    if request.param == "dense":
        return four_classes
    x = np.where(np.random.default_rng(0).random(four_classes[0].shape) < 0.2, four_classes[0], 0)
    return pytest.importorskip("scipy.sparse").csr_matrix(x), four_classes[1]


@needs_two_cores
@pytest.mark.parametrize("feature", FEATURES)
def test_two_threads_with_every_feature(as_given, dtype, spy, monkeypatch, feature):
    arguments = {"sizes": (20, 40, 40, 4), "dtype": dtype, **FEATURES[feature]}
    ref = fit_network(as_given, n_threads=1, **arguments)
    monkeypatch.setattr(pace, "PARALLEL_STEP_FLOPS", 0)
    assert_parallel_gives(ref, spy, as_given, n_threads=2, **arguments)


@pytest.mark.parametrize("feature", FEATURES)
def test_calls_of_one_step_are_the_same(four_classes, monkeypatch, feature):
    ref = fit_network(four_classes, (20, 40, 40, 4), **FEATURES[feature])
    plain = fit_network(four_classes, (20, 40, 40, 4))
    assert (ref[0].weights[0] != plain[0].weights[0]).any()  # it does make a difference
    for name in ("CHUNK_SECONDS", "FIRST_CHUNK_SECONDS"):
        monkeypatch.setattr(pace, name, 0)
    assert_same_bits(fit_network(four_classes, (20, 40, 40, 4), **FEATURES[feature]), ref)


# --- it compiles once -------------------------------------------------------------------------------


def n_compiled():
    """Compiled forms of all kernels together."""
    kernels = set()
    for module in pkgutil.iter_modules(fastnn.kernels.__path__):
        values = vars(importlib.import_module(f"fastnn.kernels.{module.name}")).values()
        kernels |= {value for value in values if isinstance(value, type(step.train_part))}
    return sum(len(kernel.signatures) for kernel in kernels)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_another_network_compiles_nothing(dtype, four_classes, monkeypatch):
    reference.train_everything(dtype.name)
    with monkeypatch.context() as patch:  # what starts threads is loaded when it is first needed
        patch.setattr(pace, "PARALLEL_STEP_FLOPS", 0)
        reference.train_everything(dtype.name, 2)
    before = n_compiled(), compile_seconds()
    assert len(step.train_part.signatures) > 0
    for sizes, activation in [((20, 4), "relu"), ((20, 3, 4), "tanh"), ((20, 300, 17, 5, 4), "sigmoid")]:
        net, _ = fit_network(
            four_classes, sizes, net={"activation": activation}, dtype=dtype, batch_size=None, l2=0.5
        )
        net.predict(four_classes[0])
    assert (n_compiled(), compile_seconds()) == before


CODE = """
import json, reference
from fastnn.training import pace
from fastnn.network import predictor
from fastnn.training import core
from fastnn._jit import compile_seconds
pace.PARALLEL_STEP_FLOPS = core.PARALLEL_CALL_FLOPS = predictor.PARALLEL_CALL_FLOPS = 0
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
    lines = first.stderr.splitlines()  # more of them where compiling takes long
    assert lines[0].startswith("fastnn: compiling what is new for this CPU")
    assert set(lines[1:]) <= {"fastnn: compiling more that is new ..."}
    assert list(tmp_path.rglob("*.nbi"))
    figures, seconds = json.loads(first.stdout)
    assert seconds > 0
    # Nine updates without fused multiply-adds, with other forms of exp and tanh: some eps each.
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(figures[0], reference.train_everything(), rtol=50 * eps, atol=20 * eps)
