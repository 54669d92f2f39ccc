"""Number of threads of a call, and the rules for opening a parallel region.

Each of numba's threading layers has a limit: workqueue aborts the process if two Python threads enter it,
GNU OpenMP if a forked child does, and a child hangs by chance in TBB. So only one Python thread at a time
opens a region, and no child that inherited a started layer does. A caller that may not open a region runs on
its own thread, with the same results to the bit; where several threads or processes train at once, the cores
are busy anyway.

numba's own functions for the number of threads take a lock that a process shares with its children, and with
which a child can make its parent hang. So they are called only to start the layer.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.np.ufunc import parallel

from ._checks import check_count
from ._fork import new_lock, unforked
from ._jit import compiled_form
from .kernels.team import run_parts


def usable_cores() -> int:
    """Return the number of cores that affinity, container quota and ``NUMBA_NUM_THREADS`` allow.

    Examples
    --------
    >>> usable_cores() >= 1
    True
    """
    return min(_cores(), numba.config.NUMBA_NUM_THREADS)


@functools.cache
def _cores() -> int:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota(Path("/sys/fs/cgroup"), cores)))


def _quota(root: Path, cores: int) -> int:
    """Return the CPU quota of the control group in cores, rounded up; `cores` if there is none."""
    try:
        quota, period = (root / "cpu.max").read_text().split()  # cgroup 2
    except (OSError, ValueError):
        try:  # cgroup 1
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return cores
    try:
        return max(1, -(-int(quota) // int(period))) if int(quota) > 0 else cores
    except ValueError:  # "max"
        return cores


def parts_for(n_threads: int | None, flops: float, cutoff: float, n_shares: int) -> int:
    """Return the number of threads for work that splits into `n_shares` pieces.

    Parameters
    ----------
    n_threads : int or None
        Number that the user asks for; None for all usable cores. More than the usable cores are never used.
    flops : float
        Floating-point operations of the work.
    cutoff : float
        Number of operations below which one thread is faster.
    n_shares : int
        Number of pieces; more threads than this would be idle.
    """
    if n_threads is not None:
        check_count("n_threads", n_threads)
    if flops < cutoff or numba.config.DISABLE_JIT:
        return 1
    return max(1, min(n_threads or usable_cores(), usable_cores(), n_shares))


_gate = new_lock()
_working: set[int] = set()  # Python threads at work; no lock, as each changes only its own entry
_has_foreign_layer = False  # a layer that was started, or was being started, before this process was forked


def _layer() -> str | None:
    """Return the name of numba's threading layer, or None before it is started."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _after_fork_in_child() -> None:
    global _has_foreign_layer
    _working.clear()
    _has_foreign_layer = _layer() is not None or _is_being_started()


def _is_being_started() -> bool:
    """Return whether another thread, of code that is not fastnn's, is starting the layer."""
    lock = parallel._backend_init_thread_lock
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def start_layer() -> str | None:
    """Start numba's threading layer, if it is not running yet, and return its name.

    Examples
    --------
    >>> start_layer() in ("omp", "tbb", "workqueue")
    True
    """
    if _layer() is None:
        with unforked():
            numba.get_num_threads()
    return _layer()


def _layer_allows() -> bool:
    if _has_foreign_layer:
        return False
    # Other numba code in this process may enter workqueue, too. It is most likely called from the main
    # thread, so only that one opens a region.
    return start_layer() != "workqueue" or threading.current_thread() is threading.main_thread()


_addresses: dict[tuple[Any, np.dtype], int] = {}


def _address(function: Any, dtype: np.dtype, args: tuple[Any, ...]) -> int:
    """Return the address of a kernel's code for a dtype; only the dtype specialises a kernel."""
    if (function, dtype) not in _addresses:
        with unforked():  # LLVM has locks, too
            form = compiled_form(function, args)
            address = form.library.get_pointer_to_function(form.fndesc.llvm_func_name)
        _addresses[function, dtype] = address
    return _addresses[function, dtype]


def launch(function: Any, dtype: np.dtype, n_parts: int, *args: Any) -> None:
    """Call ``function(part, n_parts, *args)`` for each part on its own thread.

    If no region may be opened now, ``function(0, 1, *args)`` does all the work on this thread.

    Parameters
    ----------
    function : numba dispatcher
        A kernel of :mod:`fastnn.kernels.step` whose name ends in ``_part``.
    dtype : numpy.dtype
        Dtype of the network.
    n_parts : int
        Number of threads.
    args : tuple
        Arguments of the function after the first two.
    """
    with at_work() as is_alone:
        if not (n_parts > 1 and is_alone and _run_region(function, dtype, n_parts, args)):
            function(0, 1, *args)


class at_work:  # noqa: N801  (reads as the function it is used as)
    """Context in which no other Python thread opens a parallel region; tells whether this one may.

    Python threads that train at the same time use one core each. With more threads than cores, a team would
    wait at every barrier for the thread without a core.

    Examples
    --------
    >>> with at_work() as is_alone:
    ...     is_alone
    True
    """

    def __enter__(self) -> bool:
        self._me = threading.get_ident()
        self._is_outermost = self._me not in _working
        _working.add(self._me)
        return len(_working) == 1

    def __exit__(self, *exception: object) -> None:
        if self._is_outermost:
            _working.discard(self._me)


def _run_region(function: Any, dtype: np.dtype, n_parts: int, args: tuple[Any, ...]) -> bool:
    """Call every part of the work in a parallel region; return False if none may be opened."""
    if not _gate.acquire(blocking=False):
        return False
    try:
        if not _layer_allows():
            return False
        before = parallel._get_num_threads()
        parallel._set_num_threads(n_parts)
        try:
            run_parts(_address(function, dtype, (0, n_parts, *args)), n_parts, args)
        finally:
            parallel._set_num_threads(before)
        return True
    finally:
        _gate.release()
