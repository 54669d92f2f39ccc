"""What the scripts and benchmarks measure and report: right products, no inherited limits, paired ratios."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.kernels import sizes

pytest.importorskip("typer")
ROOT = Path(fastnn.__file__).resolve().parents[1]
sys.path += [str(ROOT / "scripts"), str(ROOT / "benchmarks")]
if not (ROOT / "scripts/compare.py").exists():
    pytest.skip("fastnn is installed without its scripts", allow_module_level=True)

import compare  # noqa: E402
import compare_latency  # noqa: E402
import competitors  # noqa: E402
import heatmap  # noqa: E402
import tune  # noqa: E402
from benchmarks.common import Network  # noqa: E402

from benchmarks import children, passes  # noqa: E402
from fastnn.kernels.step import pack_weights  # noqa: E402
from fastnn.network.layout import from_panels  # noqa: E402


@pytest.mark.parametrize("shape", [(5, 33, 65), (250, 17, 16)])
@pytest.mark.parametrize("name", passes.PASSES)
def test_the_passes_compute_a_layer(shape, name):
    n_rows, n_in, n_out = shape
    network, work, grad = passes.hidden_layer(shape, "float32")
    work.activations[:] -= 0.5  # else ReLU lets everything pass
    before, layer = network.layers[:2]

    def in_rows(flat, start, n_cols):
        return from_panels(flat[start * work.capacity :][: n_cols * work.capacity], work.capacity)[:n_rows]

    a = in_rows(work.activations, layer.in_start, layer.in_cols)[:, : n_in + 1]
    delta = in_rows(work.deltas, layer.d_start, layer.d_cols)[:, :n_out]
    w = network.params[layer.w_start :][: layer.w_rows * layer.w_cols].reshape(layer.w_rows, -1)[:, :n_out]
    w[n_in] = 0.1 * np.arange(n_out)
    pack_weights(network)
    grad[:] = np.nan
    passes.KERNELS[name](2, network, work, grad, n_rows)
    if name == "forward":
        got = in_rows(work.activations, layer.out_start, layer.out_cols)[:, :n_out]
        expected = np.maximum(a[:, :n_in] @ w[:n_in] + w[n_in], 0)
    elif name == "backward_data":
        got = in_rows(work.deltas, before.d_start, before.d_cols)[:, :n_in]
        expected = delta @ w[:n_in].T * (a[:, :n_in] > 0)
    else:  # of the last block, which is the only one here
        got = grad[: (n_in + 1) * layer.w_cols].reshape(n_in + 1, -1)[:, :n_out]
        expected = a.T @ delta
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_numpys_products_have_the_shapes_of_the_passes():
    products = passes.numpy_products((2, 3, 5), "float64")
    shapes = {name: product().shape for name, product in products.items()}
    assert shapes == {"forward": (2, 5), "backward_data": (2, 3), "backward_weights": (3, 5)}


def test_children_inherit_no_limits(monkeypatch):
    for name in ("OPENBLAS_CORETYPE", "NUMBA_CPU_NAME", "ATEN_CPU_CAPABILITY", "XLA_FLAGS", "MKL_CBWR"):
        monkeypatch.setenv(name, "inherited")
    monkeypatch.setenv("MINE", "kept")
    native, avx2 = children.environment("native", 2), children.environment("avx2", 2, {"XLA_FLAGS": "--more"})
    assert "inherited" not in {*native.values(), *avx2.values()}
    assert native["MINE"] == "kept"
    assert native["OMP_NUM_THREADS"] == native["OPENBLAS_NUM_THREADS"] == "2"
    assert avx2["OPENBLAS_CORETYPE"] == "Haswell"
    assert avx2["XLA_FLAGS"].split() == [children.SIMD["avx2"]["XLA_FLAGS"], "--more"]


def test_a_child_has_the_width_asked_for_and_reports_errors():
    if sys.platform == "darwin" or "arm" in fastnn.app.machine.describe()["system"].lower():
        pytest.skip("a CPU without AVX2")
    with children.Child(passes.machine_facts, "float32", simd="avx2") as child:
        facts, peak = child.ask(1)
        assert (facts["llvm_cpu"], facts["vector_bits"]) == ("haswell", 256)
        assert peak > 0
        with pytest.raises(RuntimeError, match="TypeError"):
            child.ask(1, 2)
    with pytest.raises(RuntimeError, match="KeyError"):
        children.Child(passes.pass_rates, "no library", "float32")


def test_ratios_are_paired_by_round():
    job = competitors.Job(Network((8, 4, 2), 16), "adam", "float32", 1)
    figures = {
        "fastnn": {"library": "fastnn", "rounds_us": [1.0, 2.0, 4.0], "first_call_s": 0.1},
        "slow": {"library": "JAX", "rounds_us": [9.0, 9.0, 9.0], "first_call_s": 0.1},
        "fast": {"library": "JAX", "rounds_us": [2.0, 6.0, 8.0], "first_call_s": 0.1},
        compare.PRODUCTS: {"library": compare.PRODUCTS, "rounds_us": [0.5, 1.0, 2.0], "first_call_s": 0.1},
    }
    result = compare.result_of(job, figures)
    assert result["best_peer"] == "JAX"  # products are no peer
    assert result["libraries"]["JAX"]["label"] == "fast"
    assert result["libraries"]["JAX"]["ratio"] == {"median": 2.0, "least": 2.0, "largest": 3.0}
    assert result["gflops"] == pytest.approx(job.network.step_flops / 2.0 / 1e3)


def test_a_cliff_is_far_below_both_neighbours():
    assert heatmap.cliffs([[10, 6, 10], [10, 10, 10]]) == [(0, 1)]
    assert heatmap.cliffs([[10, 8, 6, 4]]) == []
    assert heatmap.cliffs([[10], [6], [10]]) == [(1, 0)]


def test_all_numbers_to_tune_exist_and_fit():
    assert set(tune.NAMES) - {"K_BLOCK"} <= set(vars(sizes))
    for name in ("ROW_BLOCK", "BLOCK_ROWS"):
        assert all(value % sizes.PAD == 0 for value in tune.CANDIDATES[name])
    assert not tune.fits("TILE_VECS", 3, 32)
    assert tune.fits("TILE_VECS", 3, 64)


def test_latency_is_of_steps_that_train():
    steps = {"fastnn": compare_latency.fastnn_step([4, 5, 3])}
    figures = compare_latency.compare(steps, [4, 5, 3], batch=8, rounds=1, seconds=0.01)
    assert figures["kernel"] > 0
    median, high = figures["calls"]["fastnn"]
    assert 0 < median <= high
    x, y = np.ones((8, 4), "float32"), np.zeros(8, int)
    costs = [steps["fastnn"](x, y) for _ in range(50)]
    assert costs[-1] < costs[0]
