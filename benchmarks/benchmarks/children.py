"""Functions that run in processes of their own, on given cores, with vectors as wide as asked for.

Libraries choose their code for a CPU when they start, and read environment variables then. What is measured
therefore runs in a child, whose environment says what is meant and nothing that was inherited.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

_FOLDER = str(Path(__file__).resolve().parents[1])
if _FOLDER not in sys.path:  # a child has its parent's path; asv finds this package in another way
    sys.path.append(_FOLDER)

PATIENCE = 300.0  # seconds that a child may take to answer

# By the name of --simd: the variables by which each library is limited to those vectors.
SIMD: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",  # fastnn
        "OPENBLAS_CORETYPE": "Haswell",  # NumPy, SciPy, scikit-learn
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch, with the next two
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",  # JAX
    },
}
# Inherited, these would cripple one library and not the other.
_NOT_INHERITED = (
    "ATEN_CPU_",
    "DNNL_",
    "GOTO_",
    "MKL_",
    "NPY_DISABLE_CPU_",
    "NUMBA_CPU_",
    "NVPL_BLAS_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "XLA_FLAGS",
)
_NUMBER_OF_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(simd: str = "native", n_threads: int = 1, more: Mapping[str, str] | None = None) -> dict:
    """Return the environment of a child.

    Parameters
    ----------
    simd : {"native", "avx2"}, default="native"
    n_threads : int, default=1
    more : mapping, optional
        Further variables. XLA's flags are added to those of `simd`.

    Examples
    --------
    >>> environment("avx2")["NUMBA_CPU_NAME"]
    'haswell'
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    found = kept | dict.fromkeys(_NUMBER_OF_THREADS, str(n_threads)) | SIMD[simd] | dict(more or {})
    flags = [variables["XLA_FLAGS"] for variables in (SIMD[simd], more or {}) if "XLA_FLAGS" in variables]
    return found | ({"XLA_FLAGS": " ".join(flags)} if flags else {})


@contextlib.contextmanager
def _on_cores(n: int) -> Iterator[None]:
    """Limit what is started meanwhile to the first `n` cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _serve(pipe: Any, prepare: Callable[..., Callable[..., Any]], args: tuple) -> None:
    with open(os.devnull, "w") as nowhere:  # of notices and of XLA's last words; errors are answers
        os.dup2(nowhere.fileno(), 2)
    try:
        function = prepare(*args)
        pipe.send(None)
        while True:
            pipe.send(function(*pipe.recv()))
    except EOFError:  # the parent has no more questions
        pass
    except Exception as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


class Child:
    """A process that calls ``prepare(*args)`` and then answers with what the function it returned returns.

    Parameters
    ----------
    prepare : callable
        A function of a module; so are `args` of types that can be pickled.
    simd, n_threads, more
        See :func:`environment`; there are as many cores as threads.

    Raises
    ------
    RuntimeError
        If `prepare` fails, or later the function, with what went wrong.
    """

    def __init__(
        self,
        prepare: Callable[..., Callable[..., Any]],
        *args: Any,
        simd: str = "native",
        n_threads: int = 1,
        more: Mapping[str, str] | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, prepare, args), daemon=True)
        variables = environment(simd, n_threads, more)
        with mock.patch.dict(os.environ, variables, clear=True), _on_cores(n_threads):
            self._process.start()
        far_end.close()
        try:
            self._answer()
        except RuntimeError:
            self.close()
            raise

    def ask(self, *args: Any) -> Any:
        """Return what the child's function returns for these arguments."""
        self._pipe.send(args)
        return self._answer()

    def _answer(self) -> Any:
        if not self._pipe.poll(PATIENCE):
            raise RuntimeError(f"no answer in {PATIENCE:.0f} s")
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise RuntimeError("its process ended") from None
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
