"""What fastnn finds on this machine, and what the cores can do at most: ``fastnn doctor``."""

from __future__ import annotations

import importlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import llvmlite.binding
import numba
import numpy as np

from .._jit import jit
from .._threads import start_layer, usable_cores
from ..kernels.simd import HAS_FMA, WIDTH_BYTES, lanes, tile_add_outer, tile_shape, tile_store, tile_zeros
from ..kernels.sizes import TILE_ROWS, TILE_VECS
from ..kernels.step import train_part

_ROWS, _VECS = TILE_ROWS, TILE_VECS[WIDTH_BYTES]
_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}


@jit
def _multiply_add(out, left, right, n):
    tile = tile_zeros(tile_shape(out, _ROWS, _VECS))
    for k in range(n):
        tile = tile_add_outer(tile, left, 0, k & 7, right, 0)
    tile_store(tile, out, 0, 0)


def peak_gflops(dtype: Any = "float32", n_threads: int = 1) -> float:
    """Multiply-adds on a register tile, on `n_threads` cores at once: what no training can exceed.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default="float32"
    n_threads : int, default=1

    Returns
    -------
    float
        GFLOP/s of all the cores together: the best of ten runs of some milliseconds.

    Examples
    --------
    >>> peak_gflops("float64") > 0
    True
    """
    n_cols, n = _VECS * lanes(dtype), 500_000
    left, right = np.ones((_ROWS, 8), dtype), np.zeros((8, n_cols), dtype)
    outs = [np.empty((_ROWS, n_cols), dtype) for _ in range(n_threads)]
    _multiply_add(outs[0], left, right, 8)

    def rate(out):
        start = perf_counter()
        _multiply_add(out, left, right, n)
        return 2e-9 * n * out.size / (perf_counter() - start)

    with ThreadPoolExecutor(n_threads) as pool:
        return max(sum(pool.map(rate, outs)) for _ in range(10))


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = (line.split(": ")[1] for line in lines if line.startswith("model name"))
        return next(names, platform.machine())
    return platform.processor() or platform.machine()


def threading_layers() -> list[str]:
    """Names of numba's threading layers that can be loaded here, those first that numba prefers."""
    found = []
    for name, module in _LAYERS.items():
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        found.append(name)
    return found


def describe() -> dict[str, Any]:
    """Facts that bear on the speed of training, by name; it starts numba's threading layer.

    Examples
    --------
    >>> describe()["float32_lanes"] in (4, 8, 16)
    True
    """
    from .._version import __version__

    return {
        "fastnn": __version__,
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
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "threading_layer": start_layer(),
        "threading_layers": threading_layers(),
        "cache": str(train_part.stats.cache_path) if hasattr(train_part, "stats") else "none",
    }


def advice(facts: dict[str, Any]) -> list[str]:
    """What is wrong with a machine that :func:`describe` described, and the remedy, a sentence each.

    Examples
    --------
    >>> advice(describe() | {"threading_layer": "omp", "vector_bits": 512, "fused_multiply_add": True})
    []
    """
    found = []
    if facts["threading_layer"] == "workqueue":
        found.append(
            "Only numba's workqueue threads are there: they start slowly, and only the main thread may use "
            "them. Remedy: pip install tbb, or install the OpenMP runtime (libgomp1 on Debian and Ubuntu, "
            "libomp on macOS)."
        )
    if not facts["fused_multiply_add"]:
        found.append(
            f"No fused multiply-add is used on {facts['llvm_cpu']}: training runs at a fraction of what a "
            "newer CPU does. If the CPU is newer, see whether NUMBA_CPU_NAME is set."
        )
    if numba.config.DISABLE_JIT:
        found.append("NUMBA_DISABLE_JIT is set: everything runs as plain Python. Unset it.")
    return found
