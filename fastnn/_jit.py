"""Compiler options, compile cache and compile notice, all in this one place.

Every compiled function of fastnn is made by :func:`jit`, so these decisions hold everywhere:

* ``error_model="numpy"``: division by zero gives inf, as in NumPy, without a branch.
* ``nogil``: a training step does not hold the interpreter lock, so Python threads can train in parallel.
* No ``fastmath``: LLVM computes what the source says, in its order. Free to reorder sums and contract
  products, it decides by context, and the same kernel gave different bits from the cache than freshly
  compiled. Where a fused multiply-add is worth having, the source requests it.
* ``cache``: compiled code is kept on disk. numba's own cache checks the modification time of the file that
  defines a function, so a kernel that inlines code of another file would go stale. Here every file has a
  stamp of all kernel sources, which detects every edit and upgrade, and a digest, which detects damage. No
  file is read that another user could have written.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numba
import numpy as np
from numba.core import caching, event
from numba.core.compiler_lock import global_compiler_lock

from ._fork import take_at_forks

_PACKAGE = Path(__file__).parent
take_at_forks(global_compiler_lock._lock)
# Thresholds of the garbage collector while numba compiles, which makes many objects that live on: a first fit
# takes 15.6 to 17.0 s of CPU time instead of 17.7 to 18.0 (Zen 5), and 65 MiB more memory.
GC_THRESHOLD = 50_000, 50, 50
_REMEDY = "set NUMBA_CACHE_DIR to a folder that only you can write to"
NOTICE_SECONDS = 20  # at least, between two lines which say that something is compiled


@functools.cache
def _source_stamp(module: str) -> bytes:
    """Return a digest of all sources that a module's compiled code depends on, and of numba's version.

    The core does not depend on the hooks, so an edited hook does not recompile the core.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    sources = [Path(__file__), *(_PACKAGE / "kernels").glob("*.py")]
    if ".hooks" in module:
        sources += (_PACKAGE / "kernels" / "hooks").glob("*.py")
    for path in sorted(sources):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.digest()


# --- cache: which folder ------------------------------------------------------------------------------


class _UntrustedError(OSError):
    """Others may write to a folder or file, which holds pickles and machine code."""


@functools.cache
def _is_private(group: int, owner: int) -> bool:
    """Return whether a group is its owner's alone, as where each user has a group of the same name."""
    import grp
    import pwd

    try:
        name, found = pwd.getpwuid(owner).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def _check_trust(what: str, found: os.stat_result, any_owner: bool = False) -> None:
    """Raise an error unless only this user, root, or the owner of fastnn's sources may write to `what`.

    On Windows nothing is checked: the folders that numba chooses there are the user's own.
    """
    if not hasattr(os, "geteuid"):
        return
    if not any_owner and found.st_uid not in (os.geteuid(), 0, _PACKAGE.stat().st_uid):
        raise _UntrustedError(f"{what} belongs to another user (number {found.st_uid})")
    by_group = found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid, found.st_uid)
    if found.st_mode & stat.S_IWOTH or by_group:
        raise _UntrustedError(f"other users may write to {what} (mode {stat.S_IMODE(found.st_mode):o})")


def _check_folder(path: str) -> None:
    """Raise an error unless a cache folder, which exists, is trusted, and cannot be exchanged by others."""
    folder = Path(path).resolve()
    _check_trust(str(folder), folder.stat())
    parent = folder.parent.stat()
    if not parent.st_mode & stat.S_ISVTX:  # as /tmp has: only its owner can rename or remove a folder in it
        _check_trust(str(folder.parent), parent, any_owner=True)


_folders: set[str] = set()  # of the cache
_refused: dict[str, OSError] = {}  # by folder: why it cannot hold the cache
_told: set[str] = set()


def _tell(problem: str, sentence: str) -> None:
    """Print a sentence about a problem that many kernels have, once per process."""
    if problem not in _told:
        _told.add(problem)
        print(f"fastnn: {sentence}", file=sys.stderr, flush=True)


class _Locator:
    """What is added to numba's locators of cache folders: each looks at one folder, the next is tried."""

    def ensure_cache_path(self) -> None:
        path = self.get_cache_path()  # type: ignore[attr-defined]
        try:
            if Path(path).parts[:1] == ("~",):
                raise FileNotFoundError("the home folder is not known")
            os.makedirs(path, mode=0o755, exist_ok=True)
            _check_folder(path)
            super().ensure_cache_path()  # type: ignore[misc]
        except OSError as error:
            _refused[path] = error
            if isinstance(error, _UntrustedError):
                _tell("untrusted", f"compiled code in {path} is not used, as {error}: {_REMEDY}.")
            raise


class _CacheImpl(caching.CompileResultCacheImpl):
    """numba's choice of a cache folder, and its way of taking compiled code apart."""

    _locator_classes: ClassVar = [
        type(locator.__name__, (_Locator, locator), {})
        for locator in caching.CompileResultCacheImpl._locator_classes
    ]


# --- cache: its files ---------------------------------------------------------------------------------

_FORMAT = b"fastnn's compiled code, format "
_MAGIC = _FORMAT + b"2\n"
_OF_OTHERS = _FORMAT, b"\x80"  # other formats, and pickles without a head
_DIGEST_BYTES = hashlib.sha256().digest_size


def _digest(path: str, rest: bytes) -> bytes:
    """Digest of a file's name and content: under another name, a file is damaged."""
    return hashlib.sha256(os.path.basename(path).encode() + b"\0" + rest).digest()


def _seal(path: str, stamp: bytes, content: bytes) -> bytes:
    """Put a head before the content of a cache file: a digest, and the stamp of its sources."""
    return _MAGIC + _digest(path, stamp + content) + stamp + content


def _unseal(path: str, sealed: bytes) -> tuple[bytes, bytes]:
    """Return stamp and content of a cache file; raise OSError if it is damaged."""
    at = len(_MAGIC) + _DIGEST_BYTES
    if not sealed.startswith(_MAGIC) or sealed[len(_MAGIC) : at] != _digest(path, sealed[at:]):
        raise OSError("it is damaged")
    return sealed[at : at + _DIGEST_BYTES], sealed[at + _DIGEST_BYTES :]


def _read_file(path: str | Path) -> tuple[os.stat_result, bytes]:
    """Return status and content of a regular file: a pipe would be waited for, a device may have no end."""

    def without_waiting(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    with open(path, "rb", opener=without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is not a regular file")
        return found, file.read()


class _CacheFile(caching.IndexDataCacheFile):
    """numba's index and files of the compiled forms of a function, each sealed.

    A file that is damaged, of other sources, or of another user is not unpickled: its form is compiled again,
    and the file is replaced. A form's file also holds its key: of two processes that add forms at once, one
    may replace the other's index, which then names the other's file.
    """

    def load(self, key: Any) -> Any:
        found = super().load(key)  # None after an OSError
        return None if found is None or found[0] != key else found[1]

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def _load_index(self) -> dict[Any, str]:
        try:
            return self._read(self._index_path)
        except OSError:
            return {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, overloads)

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: str) -> Any:
        found, sealed = _read_file(path)
        _check_trust(path, found)
        stamp, content = _unseal(path, sealed)
        if stamp != self._source_stamp:
            raise OSError("it is of other sources")
        try:
            return pickle.loads(content)
        except Exception as error:  # unpickling may raise anything, such as where a type no longer exists
            raise OSError("it cannot be unpickled") from error

    def _write(self, path: str, data: Any) -> None:
        sealed = _seal(path, self._source_stamp, self._dump(data))
        with self._open_for_write(path) as file:  # beside it, and renamed
            # Nobody else writes to it, whatever the mask; some systems and file systems have no modes.
            with contextlib.suppress(AttributeError, OSError):
                os.fchmod(file.fileno(), os.fstat(file.fileno()).st_mode & 0o755)
            file.write(sealed)


class _Cache(caching.FunctionCache):
    """numba's cache of a function's compiled forms. It may fail to hold one, but raises no error."""

    _impl_class = _CacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=_source_stamp(function.__module__),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever it was, compiling again replaces it
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell("unwritable", f"what is compiled now is compiled {self.outlook(error)}.")

    def outlook(self, error: OSError) -> str:
        reason = error.strerror or error
        return f"again at each start, as {self._cache_path} cannot be written to ({reason}): {_REMEDY}"


def _write_error(folder: str) -> OSError | None:
    """Write a megabyte, as much as the code of a large kernel; return the error, if there is one."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
    except OSError as error:
        return error
    return None


def cache_facts() -> dict[str, Any]:
    """Look at the folders and files of the cache of the kernels that are imported.

    Returns
    -------
    dict
        ``cache_writable``: whether the folders in use take a megabyte; ``cache_trusted``: False if others
        may write to a folder, which was passed over; ``cache_refused``: folders that cannot be used, each
        with its reason; ``cache_damaged``: number of damaged files. Files of other versions are not damaged.
    """
    n_damaged, refused = 0, dict(_refused)
    for folder in sorted(_folders):
        if error := _write_error(folder):
            refused[folder] = error
        for path in (*Path(folder).glob("*.nbi"), *Path(folder).glob("*.nbc")):
            try:
                _, sealed = _read_file(path)
                if sealed.startswith(_MAGIC) or not sealed.startswith(_OF_OTHERS):
                    _unseal(str(path), sealed)
            except OSError:
                n_damaged += path.exists()
    return {
        "cache_writable": bool(_folders) and not _folders.intersection(refused),
        "cache_trusted": not any(isinstance(error, _UntrustedError) for error in refused.values()),
        "cache_refused": [f"{folder} ({error.strerror or error})" for folder, error in refused.items()],
        "cache_damaged": n_damaged,
    }


# --- compiling ----------------------------------------------------------------------------------------


def jit(
    function: Callable[..., Any] | None = None,
    *,
    parallel: bool = False,
    inline: bool = False,
    cache: bool = True,
) -> Any:
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
    cache : bool
        Whether compiled forms are kept on disk, which holds no closure.

    Returns
    -------
    numba dispatcher
        Compiled at its first call, or taken from the cache.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel, inline=inline, cache=cache)
    dispatcher = numba.njit(
        function,
        parallel=parallel,
        inline="always" if inline else "never",
        nogil=True,
        error_model="numpy",
    )
    if numba.config.DISABLE_JIT or not cache:
        return dispatcher
    try:
        dispatcher._cache = _Cache(function)
        _folders.add(dispatcher._cache.cache_path)
    except (AttributeError, OSError, RuntimeError):
        # RuntimeError: no folder can hold the cache (numba has tried the package's and the user's).
        # OSError: the sources are not files. AttributeError: numba has changed how its cache is built.
        pass
    return dispatcher


def compiled_form(function: Any, args: tuple[Any, ...]) -> Any:
    """Return the compiled form of a function for these arguments or numba types; compile it if needed."""
    types = tuple(arg if isinstance(arg, numba.types.Type) else numba.typeof(arg) for arg in args)
    function.compile(types)
    return function.overloads[types]


def entry_point(function: Any, args: tuple[Any, ...]) -> Any:
    """Return a function that calls the compiled form for arguments like these without numba's dispatch."""
    if numba.config.DISABLE_JIT:
        return function
    return compiled_form(function, args).entry_point


@jit
def span(start: Any, stop: Any) -> Any:
    """Return ``range(start, stop)`` of unsigned numbers, for loops over elements.

    numba allows negative indices, as Python does. Unless it can prove that a start is not negative, it tests
    every access, and LLVM then fails to vectorise the loop: an update ran 9 times slower. Use the numbers as
    indices only: arithmetic of unsigned with signed numbers gives a float.
    """
    return range(np.uint64(start), np.uint64(stop))


class _CompileNotice(event.Listener):
    """Listener that prints that fastnn is being compiled, now and later, and adds up the seconds.

    While it is, the garbage collector runs less often.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._said: float | None = None  # time of the latest line
        self._depth = 0
        self._start = 0.0
        self._threshold = gc.get_threshold()

    def on_start(self, event: Any) -> None:
        if not _is_ours(event):
            return
        self._depth += 1
        if self._depth == 1:
            self._start = time.perf_counter()
            if self._said is None or self._start - self._said > NOTICE_SECONDS:
                what = self._outlook(event) if self._said is None else "compiling more that is new"
                print(f"fastnn: {what} ...", file=sys.stderr, flush=True)
                self._said = self._start
            self._threshold = gc.get_threshold()
            if 0 < self._threshold[0] < GC_THRESHOLD[0]:
                gc.set_threshold(*GC_THRESHOLD)

    @staticmethod
    def _outlook(event: Any) -> str:
        cache = event.data["dispatcher"]._cache
        if isinstance(cache, _Cache):
            if (error := _write_error(cache.cache_path)) is None:
                return "compiling what is new for this CPU; from now on it comes from a cache"
            _told.add("unwritable")
            return f"compiling, and {cache.outlook(error)}"
        if _folders:
            return "compiling a function of your own"
        return f"compiling, and again at each start, as no folder can hold compiled code: {_REMEDY}"

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
