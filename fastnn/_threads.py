"""How many threads a call gets, and whether it may open a parallel region at all.

numba's threading layers each forbid something: workqueue aborts the process when two Python threads enter
it, GNU OpenMP when a forked child does. So a region is opened only by one Python thread at a time and
never in a child that inherited a started layer. Whoever may not, works on its own thread: the results are
the same to the bit, and where several threads or processes train at once, no cores stand idle anyway.
"""

from __future__ import annotations

import functools
import os
import threading
from pathlib import Path

import numba

from ._checks import check_count
from ._jit import compiled_form
from .kernels.sizes import (
    CHUNK_SECONDS,
    FIRST_CHUNK_SECONDS,
    FIRST_TRIAL_SECONDS,
    GUESSED_FLOPS,
    PARALLEL_STEP_FLOPS,
    TRIAL_GAIN,
    TRIAL_SECONDS,
    TRIAL_SPACING,
)
from .kernels.team import run_parts


def usable_cores() -> int:
    """Cores this process may use: its affinity, a container's CPU quota, and ``NUMBA_NUM_THREADS``.

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
    """CPU quota of the control group in whole cores, rounded up; `cores` where there is none."""
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
    """How many threads work of `flops` in `n_shares` separate pieces gets.

    Parameters
    ----------
    n_threads : int or None
        What the user asked for; None for all usable cores. Never more than the usable cores.
    flops : float
        Floating-point operations of the work; below `cutoff` one thread is faster.
    cutoff : float
    n_shares : int
        More threads than this would stand idle.
    """
    if n_threads is not None:
        check_count("n_threads", n_threads)
    if flops < cutoff or numba.config.DISABLE_JIT:
        return 1
    return max(1, min(n_threads or usable_cores(), usable_cores(), n_shares))


class Pace:
    """How many threads a training gets, and for how many steps before the next look at the clock.

    Results do not depend on the number of threads, so it follows what is measured: now and then half and
    twice as many are tried, and the fastest goes on. What a core costs to reach, and whether a neighbour
    is busy on it, no rule could know: on one machine two threads took a step of 0.9 MFLOP in 11 us, or in
    30, depending on where the cores were, and one thread in 12.

    Parameters
    ----------
    n_threads : int or None
        At most this many; None for all usable cores.
    step_flops : float
        Floating-point operations of a step; training starts with one thread if they are few.
    n_shares : int
        More threads than this would stand idle.
    """

    def __init__(self, n_threads: int | None, step_flops: float, n_shares: int) -> None:
        self._most = parts_for(n_threads, step_flops, 0, n_shares)
        self.n_parts = self._most if step_flops >= PARALLEL_STEP_FLOPS else 1
        self._guess = step_flops / GUESSED_FLOPS
        self._seconds: dict[int, float] = {}  # of a step, by number of threads, as last measured
        self._to_try: list[int] = []
        self._trained = 0.0  # seconds in all, and in the trials of this round
        self._tried = 0.0
        self._compared: tuple[int, ...] = ()  # numbers of threads, in the latest round
        self._next_round = max(FIRST_TRIAL_SECONDS, TRIAL_SPACING * self._guess)

    def chunk(self) -> tuple[int, int]:
        """Number of threads, and of steps, to go on with."""
        if not self._to_try and self._trained >= self._next_round and self._most > 1:
            near = {max(1, self.n_parts // 2), min(self._most, 2 * self.n_parts)} - {self.n_parts}
            # The present number again, too: what it took a while ago may have been in another weather.
            self._to_try, self._tried = [*near, self.n_parts], 0.0
            self._compared = tuple(self._to_try)
        if self._to_try:
            n_parts = self._to_try[0]
            return n_parts, self._steps(n_parts, TRIAL_SECONDS)
        seconds = CHUNK_SECONDS if self.n_parts in self._seconds else FIRST_CHUNK_SECONDS
        return self.n_parts, self._steps(self.n_parts, seconds)

    def _steps(self, n_parts: int, seconds: float) -> int:
        """How many steps of that many threads fit into a time; at least one."""
        known = self._seconds.get(n_parts) or self._seconds.get(self.n_parts) or self._guess
        return max(1, int(seconds / known))

    def note(self, n_parts: int, n_steps: int, seconds: float) -> None:
        """Take note of what a chunk took."""
        self._seconds[n_parts] = seconds / n_steps
        self._trained += seconds
        if not self._compared and n_parts > 1 and self._seconds[n_parts] > self._guess:
            self._next_round = 0.0  # far too slow: somebody else is busy on a core
        if self._to_try:
            self._tried += seconds
            self._to_try.remove(n_parts)
            if not self._to_try:
                self._decide()

    def _decide(self) -> None:
        fastest = min(self._compared, key=self._seconds.__getitem__)
        if self._seconds[fastest] < TRIAL_GAIN * self._seconds[self.n_parts]:
            self.n_parts = fastest
        self._next_round = self._trained + TRIAL_SPACING * self._tried

    def alone(self) -> None:
        """Go on with one thread: the others did not come."""
        self.n_parts, self._to_try = 1, []
        self._next_round = self._trained + FIRST_TRIAL_SECONDS


_gate = threading.Lock()
_working: set[int] = set()  # Python threads at work; each changes its own entry only, so without a lock
_forked_with_layer = False


def _layer() -> str | None:
    """Name of numba's threading layer if it has been started."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def _after_fork_in_child() -> None:
    global _gate, _forked_with_layer
    _gate = threading.Lock()
    _working.clear()
    _forked_with_layer = _layer() not in (None, "tbb")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def start_layer() -> str | None:
    """Start numba's threading layer, if that has not happened; its name.

    Examples
    --------
    >>> start_layer() in ("omp", "tbb", "workqueue")
    True
    """
    numba.get_num_threads()
    return _layer()


def _layer_allows() -> bool:
    if _forked_with_layer:
        return False
    # Other numba code of this process may enter workqueue from its own thread; the main one is likeliest
    # to be where it, too, is called.
    return start_layer() != "workqueue" or threading.current_thread() is threading.main_thread()


_addresses: dict[tuple, int] = {}


def _address(function, dtype, args: tuple) -> int:
    """Where the form of a kernel for that dtype starts; nothing but the dtype specialises a kernel."""
    if (function, dtype) not in _addresses:
        form = compiled_form(function, args)
        _addresses[function, dtype] = form.library.get_pointer_to_function(form.fndesc.llvm_func_name)
    return _addresses[function, dtype]


def launch(function, dtype, n_parts: int, *args) -> None:
    """Call ``function(part, n_parts, *args)`` for every part, on threads.

    If no region may be opened now, ``function(0, 1, *args)`` here: all the work in one part.

    Parameters
    ----------
    function : numba dispatcher
        A kernel of :mod:`fastnn.kernels.step` whose name ends in ``_part``.
    dtype : numpy.dtype
        Of the network.
    n_parts : int
    args : tuple
        What the function takes after the first two.
    """
    with at_work() as is_alone:
        if not (n_parts > 1 and is_alone and _run_region(function, dtype, n_parts, args)):
            function(0, 1, *args)


class at_work:  # noqa: N801  (reads as the function it is used as)
    """While it lasts, other Python threads open no parallel region; gives whether this one may.

    Several that train at once keep to a core each. With more threads than cores, a team would wait at
    every barrier for the one that has none.

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

    def __exit__(self, *exception) -> None:
        if self._is_outermost:
            _working.discard(self._me)


def _run_region(function, dtype, n_parts: int, args: tuple) -> bool:
    """Call every part of the work in a parallel region; whether one may be opened."""
    gate = _gate
    if not gate.acquire(blocking=False):
        return False
    try:
        if not _layer_allows():
            return False
        before = numba.get_num_threads()
        numba.set_num_threads(n_parts)
        try:
            run_parts(_address(function, dtype, (0, n_parts, *args)), n_parts, args)
        finally:
            numba.set_num_threads(before)
        return True
    finally:
        gate.release()
