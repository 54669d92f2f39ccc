"""The machine as it is described: its memory within containers, its threads, its peak, and advice."""

import os

import numpy as np
import pytest

from fastnn.app import machine
from fastnn.kernels import caches
from fastnn.kernels.simd import lanes
from fastnn.kernels.sizes import PAD, TILE_ROWS

GIB = 2**30
UNLIMITED = "9223372036854771712\n"  # what cgroup 1 says where there is no limit


@pytest.fixture
def control_groups(tmp_path, monkeypatch):
    """Pretend 16 GiB of memory, and control groups in a folder: a tree of files, and the process's own."""
    root, own_groups = tmp_path / "cgroup", tmp_path / "own"
    monkeypatch.setattr(machine, "_CONTROL_GROUPS", root)
    monkeypatch.setattr(machine, "_OWN_GROUPS", own_groups)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * GIB // 4096}.get)

    def make(groups, files):
        if groups is not None:
            own_groups.write_text(groups)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


@pytest.mark.parametrize(
    ("groups", "files", "gib"),
    [
        # A container sees its group as the root.
        ("0::/\n", {"memory.max": f"{3 * GIB}\n"}, 3),
        ("0::/\n", {"memory.max": "max\n"}, 16),
        ("0::/\n", {"memory.max": f"{64 * GIB}\n"}, 16),
        # Each of the groups around it limits a group.
        (
            "0::/user.slice/job\n",
            {"user.slice/memory.max": f"{2 * GIB}\n", "user.slice/job/memory.max": "max\n"},
            2,
        ),
        (
            "0::/user.slice/job\n",
            {"user.slice/memory.max": f"{2 * GIB}\n", "user.slice/job/memory.max": f"{GIB}\n"},
            1,
        ),
        # Groups of others do not.
        ("0::/mine\n", {"mine/memory.max": f"{2 * GIB}\n", "theirs/memory.max": f"{GIB}\n"}, 2),
        ("0::/../outside\n", {"outside/memory.max": f"{GIB}\n"}, 16),
        # cgroup 1, seen from within a container and from outside.
        ("4:memory:/docker/ab\n", {"memory/memory.limit_in_bytes": f"{GIB}\n"}, 1),
        (
            "5:cpu,cpuacct:/x\n4:memory:/docker/ab\n0::/\n",
            {
                "memory/memory.limit_in_bytes": UNLIMITED,
                "memory/docker/ab/memory.limit_in_bytes": f"{GIB}\n",
                "memory/x/memory.limit_in_bytes": "1\n",
            },
            1,
        ),
        # Another system, or no control groups.
        (None, {}, 16),
        ("0::/\n", {}, 16),
    ],
)
def test_memory_of_a_container(control_groups, groups, files, gib):
    control_groups(groups, files)
    assert machine.memory_bytes() == gib * GIB
    assert machine.describe()["memory_gib"] == gib


def test_memory_where_the_system_tells_little(control_groups, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert machine.memory_bytes() is None
    assert machine.describe()["memory_gib"] is None
    control_groups("0::/\n", {"memory.max": f"{64 * GIB}\n"})
    assert machine.memory_bytes() == 64 * GIB


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
    facts = machine.describe()
    assert "pip install tbb" in machine.advice(facts | {"threading_layer": "workqueue"})[0]
    assert "NUMBA_CPU_NAME" in machine.advice(facts | {"fused_multiply_add": False})[-1]
