"""The machine as fastnn finds it, its memory, and the peak rate of its cores: ``fastnn doctor``."""

from __future__ import annotations

import importlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import llvmlite.binding
import numba
import numpy as np

from .._checks import DISTRIBUTION, DTYPES
from .._jit import cache_facts, jit
from .._memory import memory_bytes
from .._threads import start_layer, usable_cores
from .._version import __version__
from ..kernels.caches import L1_BYTES, L2_BYTES
from ..kernels.simd import HAS_FMA, WIDTH_BYTES, lanes, tile_add_outer, tile_shape, tile_store, tile_zeros
from ..kernels.sizes import PAD, TILE_ROWS, TILE_VECS
from ..kernels.step import train_part

_ROWS, _VECS = TILE_ROWS, TILE_VECS[WIDTH_BYTES]
_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


@jit
def _multiply_add(out: Any, left: Any, right: Any, n: Any) -> None:
    tile = tile_zeros(tile_shape(out, _ROWS, _VECS))
    for k in range(n):
        tile = tile_add_outer(tile, left, 0, k & 7, 1, right, 0, 0, PAD)
    tile_store(tile, out, 0, 0, PAD)


def peak_gflops(dtype: Any = "float32", n_threads: int = 1) -> float:
    """Measure multiply-adds on a register tile, on `n_threads` cores at once: no training can exceed it.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default="float32"
    n_threads : int, default=1

    Returns
    -------
    float
        GFLOP/s of all the cores together, the best of ten runs of some milliseconds.

    Examples
    --------
    >>> peak_gflops("float64") > 0
    True
    """
    n_cols, n = _VECS * lanes(dtype), 500_000
    left, right = np.ones((_ROWS, PAD), dtype), np.zeros((8, n_cols), dtype)
    outs = [np.empty((_ROWS, n_cols), dtype) for _ in range(n_threads)]
    _multiply_add(outs[0], left, right, 8)

    def rate(out: np.ndarray) -> float:
        start = perf_counter()
        _multiply_add(out, left, right, n)
        return 2e-9 * n * out.size / (perf_counter() - start)

    with ThreadPoolExecutor(n_threads) as pool:
        return max(sum(pool.map(rate, outs)) for _ in range(10))


def peaks() -> dict[str, float]:
    """Measure the peak of each dtype on one core and on all usable ones, by name."""
    return {
        f"peak_gflops_{dtype}_{n}_thread{'s' * (n > 1)}": round(peak_gflops(dtype, n), 1)
        for dtype in DTYPES
        for n in sorted({1, usable_cores()})
    }


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = (line.split(": ")[1] for line in lines if line.startswith("model name"))
        return next(names, platform.machine())
    return platform.processor() or platform.machine()


def threading_layers() -> list[str]:
    """Return the names of the threading layers that can be loaded here, in numba's order of preference."""
    found = []
    for name, module in _LAYERS.items():
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        found.append(name)
    return found


def other_distribution() -> str | None:
    """Return the version of the distribution "fastnn" if it is installed: it is not this package's."""
    try:
        return metadata.version("fastnn")
    except metadata.PackageNotFoundError:
        return None


def describe() -> dict[str, Any]:
    """Collect facts that bear on the speed of training, by name; this starts numba's threading layer.

    Examples
    --------
    >>> describe()["float32_lanes"] in (4, 8, 16)
    True
    """
    from ..kernels.hooks import link  # noqa: F401  (the cache of the hooks is looked at, too)

    memory = memory_bytes()
    return {
        "fastnn": __version__,
        "other_fastnn": other_distribution(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "llvm_cpu": numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        "vector_bits": 8 * WIDTH_BYTES,
        "fused_multiply_add": HAS_FMA,
        "float32_lanes": lanes("float32"),
        "tile": f"{_ROWS} x {_VECS * lanes('float32')} float32",
        "l1_kib": L1_BYTES // 1024,  # of the caches, what block sizes are computed from
        "l2_kib": L2_BYTES // 1024,
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "threading_layer": start_layer(),
        "threading_layers": threading_layers(),
        "cache": (hasattr(train_part, "stats") and train_part.stats.cache_path) or "none",
        **cache_facts(),
    }


def advice(facts: dict[str, Any]) -> list[str]:
    """List what slows training down on a machine that :func:`describe` described, with remedies.

    Examples
    --------
    >>> good = {"threading_layer": "omp", "fused_multiply_add": True, "other_fastnn": None}
    >>> advice(describe() | good)
    []
    """
    found = []
    if facts["threading_layer"] == "workqueue":
        found.append(
            "numba finds no threading layer but workqueue, whose threads start slowly and serve the main "
            "thread only. Remedy: pip install tbb, or install the OpenMP runtime (libgomp1 on Debian and "
            "Ubuntu, libomp on macOS)."
        )
    if not facts["fused_multiply_add"]:
        found.append(
            f"{facts['llvm_cpu']} has no fused multiply-add: training is several times slower than on a "
            "newer CPU. If the CPU is newer, check whether NUMBA_CPU_NAME is set."
        )
    if facts["other_fastnn"] is not None:
        found.append(
            f"The distribution fastnn {facts['other_fastnn']} is installed beside {DISTRIBUTION}: another "
            "project's, or this one's under an earlier name. Files of one may have replaced the other's. "
            f"Remedy: pip uninstall fastnn {DISTRIBUTION}, then install {DISTRIBUTION} again."
        )
    if facts["cache_damaged"]:
        found.append(
            f"{facts['cache_damaged']} files of compiled code are damaged. Those that are needed are "
            "compiled again and replaced, the others can be deleted. If they come back, check the disk."
        )
    refused, named = facts["cache_refused"], numba.config.CACHE_DIR
    remedy = "Remedy: set NUMBA_CACHE_DIR to a folder that only you can write to."
    if not facts["cache_writable"] and not numba.config.DISABLE_JIT:
        found.append(f"Compiled code cannot be kept, so each start compiles: {'; '.join(refused)}. {remedy}")
    elif not facts["cache_trusted"] or (named and any(line.startswith(named) for line in refused)):
        found.append(f"Folders of compiled code that are not used: {'; '.join(refused)}. {remedy}")
    if numba.config.DISABLE_JIT:
        found.append("NUMBA_DISABLE_JIT is set: everything runs as plain Python. Unset it.")
    return found
