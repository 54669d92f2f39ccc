"""The machine as it is described: its memory, its threads, its peak, and advice."""

from pathlib import Path

import numba
import numpy as np
import pytest

from fastnn.app import machine
from fastnn.kernels import caches
from fastnn.kernels.simd import lanes
from fastnn.kernels.sizes import PAD, TILE_ROWS

GIB = 2**30


@pytest.mark.parametrize(("memory", "gib"), [(3 * GIB, 3.0), (None, None)])
def test_the_memory_is_described(monkeypatch, memory, gib):
    monkeypatch.setattr(machine, "memory_bytes", lambda: memory)
    assert machine.describe()["memory_gib"] == gib


def test_the_description_fits_together():
    facts = machine.describe()
    assert facts["threading_layer"] in facts["threading_layers"]
    assert 1 <= facts["usable_cores"] <= facts["cores"]
    assert facts["vector_bits"] == 32 * facts["float32_lanes"]
    assert (facts["l1_kib"] * 1024, facts["l2_kib"] * 1024) == (caches.L1_BYTES, caches.L2_BYTES)


def test_the_peak_is_measured_on_real_products():
    rng = np.random.default_rng(0)
    out = np.full((TILE_ROWS, machine._VECS * lanes("float32")), np.nan, "float32")
    left = rng.standard_normal((TILE_ROWS, PAD), dtype="float32")
    right = rng.standard_normal((8, out.shape[1]), dtype="float32")
    machine._multiply_add(out, left, right, 8)
    np.testing.assert_allclose(out, left[:, :8].sum(axis=1, keepdims=True) * right[0], rtol=1e-4, atol=1e-5)


def test_peaks_are_named_by_dtype_and_threads(monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(machine, "peak_gflops", lambda dtype, n_threads: 10.04 * n_threads)
    assert machine.peaks() == {
        "peak_gflops_float32_1_thread": 10.0,
        "peak_gflops_float32_2_threads": 20.1,
        "peak_gflops_float64_1_thread": 10.0,
        "peak_gflops_float64_2_threads": 20.1,
    }


def test_doctor_tells_the_remedy():
    facts = machine.describe() | {"other_fastnn": None}
    assert "pip install tbb" in machine.advice(facts | {"threading_layer": "workqueue"})[0]
    assert "NUMBA_CPU_NAME" in machine.advice(facts | {"fused_multiply_add": False})[-1]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no cache")
def test_doctor_looks_at_the_cache(monkeypatch):
    facts = machine.describe() | {"other_fastnn": None}
    assert Path(facts["cache"]).is_dir()
    assert facts["cache_writable"]
    assert "3 files of compiled code are damaged" in machine.advice(facts | {"cache_damaged": 3})[-1]
    refused = {"cache_refused": ["/full (No space left on device)"]}
    assert not any("/full" in sentence for sentence in machine.advice(facts | refused))  # another is used
    for change in ({"cache_writable": False}, {"cache_trusted": False}):
        assert "/full (No space" in machine.advice(facts | refused | change)[-1]
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/full")
    assert "NUMBA_CACHE_DIR" in machine.advice(facts | refused)[-1]


def test_doctor_tells_of_a_distribution_that_is_not_ours(tmp_path, monkeypatch):
    facts = machine.describe() | {"other_fastnn": None}
    assert not any("uninstall" in sentence for sentence in machine.advice(facts))
    folder = tmp_path / "fastnn-0.4.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: fastnn\nVersion: 0.4.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    facts = machine.describe()
    assert facts["other_fastnn"] == "0.4.0"
    assert "pip uninstall fastnn" in machine.advice(facts)[0]
