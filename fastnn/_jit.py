"""The one place with compiler options, the compile cache and the compile notice.

Every compiled function of fastnn is made by :func:`jit`, so that one decision holds everywhere:

* ``error_model="numpy"``: a division by zero gives inf, as in NumPy, and costs no branch.
* ``nogil``: a training step holds no interpreter lock, so Python threads can train side by side.
* No ``fastmath``: LLVM computes what the source says, in its order. Left to reorder sums and contract
  products, it decides by context, and the same kernel gave other bits when it came from the cache than
  when it had just been compiled. Where a fused multiply-add is worth having, the source says so.
* ``cache``: compiled code is kept on disk. numba's own cache looks at the modification time of the one
  file a function stands in; a kernel that inlines another file would go stale. Here every entry
  carries a stamp of all kernel sources, so an edit or an upgrade anywhere in them is seen.
"""

from __future__ import annotations

import functools
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


@functools.cache
def _source_stamp(module: str) -> tuple[str, str]:
    """Digest of every source that compiled code of a module is made from, and numba's version.

    The core does not know the hooks, so a change of a hook does not compile the core anew.
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
    """numba's file of cached forms, which also gets over an index that another version has written.

    numba unpickles the types in it before it looks at the stamp, and fails where one of them is gone.
    """

    def _load_index(self) -> dict[Any, str]:
        try:
            return super()._load_index()
        except OSError:
            raise
        except Exception:  # unpickling may raise anything
            return {}


def jit(function: Callable[..., Any] | None = None, *, parallel: bool = False, inline: bool = False) -> Any:
    """Compile `function` with the options that hold for all of fastnn.

    Parameters
    ----------
    function : callable
        A module-level function of arrays and scalars.
    parallel : bool
        Whether its ``prange`` loops run on several threads.
    inline : bool
        Whether its source is inlined into callers. numba optimises everything that a function calls anew at
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
        # RuntimeError: no folder on this machine can be written to (numba has tried the package's
        # own and the user's). AttributeError: a numba whose cache is built otherwise keeps its own.
        pass
    return dispatcher


def compiled_form(function: Any, args: tuple[Any, ...]) -> Any:
    """Compiled form of a jitted function for these arguments or numba types, compiled if need be."""
    types = tuple(arg if isinstance(arg, numba.types.Type) else numba.typeof(arg) for arg in args)
    function.compile(types)
    return function.overloads[types]


@jit
def span(start: Any, stop: Any) -> Any:
    """``range(start, stop)`` of unsigned numbers, for loops over elements.

    numba lets an index be negative, as Python does. Where it cannot prove that a start is not, it tests at
    every access, and LLVM then gives up vectorising the loop: an update ran 9 times slower. Index with
    these, do no arithmetic: unsigned with signed makes a float.
    """
    return range(np.uint64(start), np.uint64(stop))


class _CompileNotice(event.Listener):
    """Print once per process that fastnn is being compiled, and add up the seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._start = 0.0

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

    def on_end(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._start


def _is_ours(event: Any) -> bool:
    module = event.data["dispatcher"].py_func.__module__
    return module is not None and module.startswith("fastnn.")  # code given to exec has none


_notice = _CompileNotice()
event.register("numba:compile", _notice)


def compile_seconds() -> float:
    """Seconds this process has spent compiling fastnn's kernels; what the cache held adds nothing."""
    return _notice.seconds
