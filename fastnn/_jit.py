"""Compiler options, compile cache and compile notice, all in this one place.

Every compiled function of fastnn is made by :func:`jit`, so these decisions hold everywhere:

* ``error_model="numpy"``: division by zero gives inf, as in NumPy, without a branch.
* ``nogil``: a training step does not hold the interpreter lock, so Python threads can train in parallel.
* No ``fastmath``: LLVM computes what the source says, in its order. Free to reorder sums and contract
  products, it decides by context, and the same kernel gave different bits from the cache than freshly
  compiled. Where a fused multiply-add is worth having, the source requests it.
* ``cache``: compiled code is kept on disk. numba's own cache checks the modification time of the file that
  defines a function, so a kernel that inlines code of another file would go stale. Here every entry has a
  stamp of all kernel sources, which detects every edit and upgrade.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import caching, event

_PACKAGE = Path(__file__).parent
# Thresholds of the garbage collector while numba compiles, which makes many objects that live on: a first fit
# takes 15.6 to 17.0 s of CPU time instead of 17.7 to 18.0 (Zen 5), and 65 MiB more memory.
GC_THRESHOLD = 50_000, 50, 50


@functools.cache
def _source_stamp(module: str) -> tuple[str, str]:
    """Return a digest of all sources that a module's compiled code depends on, and numba's version.

    The core does not depend on the hooks, so an edited hook does not recompile the core.
    """
    digest = hashlib.sha256()
    sources = [Path(__file__), *(_PACKAGE / "kernels").glob("*.py")]
    if ".hooks" in module:
        sources += (_PACKAGE / "kernels" / "hooks").glob("*.py")
    for path in sorted(sources):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest(), numba.__version__


class _CacheFile(caching.IndexDataCacheFile):
    """numba's file of cached forms, which also tolerates an index written by another version.

    numba unpickles the types in it before it checks the stamp, and fails if one of them no longer exists.
    """

    def _load_index(self) -> dict[Any, str]:
        try:
            return super()._load_index()
        except OSError:
            raise
        except Exception:  # unpickling may raise anything
            return {}


def jit(function: Callable[..., Any] | None = None, *, parallel: bool = False, inline: bool = False) -> Any:
    """Compile `function` with the options common to all of fastnn.

    Parameters
    ----------
    function : callable
        A module-level function of arrays and scalars.
    parallel : bool
        Whether its ``prange`` loops run on several threads.
    inline : bool
        Whether its source is inlined into callers. numba optimises everything that a function calls again at
        every level of calls, so one level less shortens compilation; the machine code is the same.

    Returns
    -------
    numba dispatcher
        Compiled at its first call, then taken from the cache.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel, inline=inline)
    dispatcher = numba.njit(
        function,
        parallel=parallel,
        inline="always" if inline else "never",
        nogil=True,
        error_model="numpy",
    )
    if numba.config.DISABLE_JIT:
        return dispatcher
    try:
        dispatcher.enable_caching()
        cache = dispatcher._cache
        cache._cache_file = _CacheFile(
            cache_path=cache._cache_path,
            filename_base=cache._impl.filename_base,
            source_stamp=_source_stamp(function.__module__),
        )
    except (AttributeError, RuntimeError):
        # RuntimeError: no cache folder can be written (numba has tried the package's and the user's).
        # AttributeError: the cache of this version of numba is built differently, and is used as it is.
        pass
    return dispatcher


def compiled_form(function: Any, args: tuple[Any, ...]) -> Any:
    """Return the compiled form of a function for these arguments or numba types; compile it if needed."""
    types = tuple(arg if isinstance(arg, numba.types.Type) else numba.typeof(arg) for arg in args)
    function.compile(types)
    return function.overloads[types]


@jit
def span(start: Any, stop: Any) -> Any:
    """Return ``range(start, stop)`` of unsigned numbers, for loops over elements.

    numba allows negative indices, as Python does. Unless it can prove that a start is not negative, it tests
    every access, and LLVM then fails to vectorise the loop: an update ran 9 times slower. Use the numbers as
    indices only: arithmetic of unsigned with signed numbers gives a float.
    """
    return range(np.uint64(start), np.uint64(stop))


class _CompileNotice(event.Listener):
    """Listener that prints once per process that fastnn is being compiled, and adds up the seconds.

    While it is, the garbage collector runs less often.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._start = 0.0
        self._threshold = gc.get_threshold()

    def on_start(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth += 1
        if self._depth == 1:
            if self.seconds == 0.0:
                print(
                    "fastnn: compiling what is new for this CPU; from now on it comes from a cache ...",
                    file=sys.stderr,
                    flush=True,
                )
            self._start = time.perf_counter()
            self._threshold = gc.get_threshold()
            if 0 < self._threshold[0] < GC_THRESHOLD[0]:
                gc.set_threshold(*GC_THRESHOLD)

    def on_end(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._start
            gc.set_threshold(*self._threshold)


def _is_ours(event: Any) -> bool:
    module = event.data["dispatcher"].py_func.__module__
    return module is not None and module.startswith("fastnn.")  # code run by exec has none


_notice = _CompileNotice()
event.register("numba:compile", _notice)


def compile_seconds() -> float:
    """Return the seconds that this process has spent compiling fastnn's kernels; loading is not counted."""
    return _notice.seconds
