"""What the hardening scripts share: what counts as a right outcome, and examples run in forked batches.

A call is right if it returns, or raises one clear sentence of fastnn's own as ValueError, TypeError, OSError
or ImportError. The sentence is fastnn's own if a ``raise`` statement of the package raises it; errors that
Python, NumPy or pandas raise inside it are not. A batch of examples runs in a child process, so that a crash,
a hang or memory beyond the limit is one more finding, and every example can be run again by its number.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import fastnn

PACKAGE = Path(fastnn.__file__).parent
RIGHT = (ValueError, TypeError, OSError, ImportError)
# Sentences of others that are as clear as fastnn's own: part of the path of the file, and what they say.
CLEAR = (
    ("sklearn/utils/_param_validation.py", ""),
    ("sklearn/utils/validation.py", ""),
    ("sklearn/utils/multiclass.py", ""),
    ("sklearn/utils/_array_api.py", "could not convert|must be a string or a real number"),
)
FINDING = "{script} --seed {seed} --only {number}: {text}"


def fault_of(error: BaseException) -> str | None:
    """Return what is wrong with an error, or None if it is a right outcome."""
    name = type(error).__name__
    text = str(error)
    if not isinstance(error, RIGHT):
        return f"{name} is not an error for a user: {text[:200]}"
    if not text.strip():
        return f"{name} says nothing"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{name} cannot be written: {text[:200]!r}"
    frame = _innermost(error.__traceback__)
    if frame is None or (isinstance(error, OSError) and error.errno is not None):
        return None
    path, line = frame.tb_frame.f_code.co_filename, frame.tb_lineno
    if _is_checked_by_scikit_learn(error.__traceback__) or any(
        file in path and re.search(words, text) for file, words in CLEAR
    ):
        return None
    if PACKAGE not in Path(path).parents or line not in _raises(path):
        where = f"{Path(path).name}:{line}"
        return f"{name} of a stranger at {where}, {_last_own(error.__traceback__)}: {text[:200]!r}"
    return f"{name} has several lines: {text[:200]!r}" if "\n" in text.strip() else None


def _innermost(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _last_own(trace: TracebackType | None) -> str:
    """Return the innermost line of the package that a traceback passes through."""
    own = [frame for frame in traceback.extract_tb(trace) if PACKAGE in Path(frame.filename).parents]
    return (
        f"from {Path(own[-1].filename).relative_to(PACKAGE)}:{own[-1].lineno}" if own else "from the outside"
    )


def _is_checked_by_scikit_learn(trace: TracebackType | None) -> bool:
    """Return whether an estimator has handed its arguments to scikit-learn's checks, as all estimators do."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(trace)]
    own = [k for k, file in enumerate(files) if PACKAGE in file.parents]
    by_estimator = not own or files[own[-1]].parent == PACKAGE / "estimators"
    return by_estimator and any("sklearn" in file.parts for file in files[own[-1] if own else 0 :])


@functools.cache
def _raises(path: str) -> frozenset[int]:
    """Return the numbers of the lines of a file that belong to ``raise`` statements."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None)
    return frozenset(line for node in nodes for line in range(node.lineno, (node.end_lineno or 0) + 1))


class Hang(BaseException):
    """Raised in a call that takes too long."""


def examine(call: Callable[[], Any], seconds: float = 120.0) -> str | None:
    """Call a function; return what is wrong with the outcome, or None."""

    def stop(*_: Any) -> None:
        raise Hang

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Hang:
        return f"takes more than {seconds:g} s"
    except BaseException as error:
        return fault_of(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return None


def run_batches(
    example: Callable[[int], str | None], numbers: range, batch: int, memory: int, seconds: float
) -> dict[int, str]:
    """Run examples in forked children, and return the faults by number.

    Parameters
    ----------
    example : callable
        Runs the example of a number, and returns its fault or None.
    numbers : range
    batch : int
        Number of examples per child.
    memory : int
        Bytes that a child may allocate in addition to what it starts with.
    seconds : float
        Time without an answer after which a child is killed.
    """
    faults: dict[int, str] = {}
    todo = list(numbers)
    while todo:
        part, todo = todo[:batch], todo[batch:]
        done, ending = _run_child(example, part, memory, seconds)
        faults |= {number: fault for number, fault in done.items() if fault is not None}
        if len(done) < len(part):
            faults[part[len(done)]] = ending
            todo = part[len(done) + 1 :] + todo
    return faults


def _run_child(
    example: Callable[[int], str | None], numbers: list[int], memory: int, seconds: float
) -> tuple[dict[int, str | None], str]:
    """Run examples in one child; return what it found, by number, and how it ended."""
    read_end, write_end = os.pipe()
    folder = tempfile.mkdtemp(prefix="hardening-")
    child = os.fork()
    if child == 0:
        _limit_memory(memory)
        os.chdir(folder)
        os.close(read_end)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            for number in numbers:
                try:
                    found = example(number)
                except BaseException as error:
                    found = f"the script fails: {error!r:.200} at {_last_frame(error)}"
                line = json.dumps([number, found])
                os.write(write_end, f"{line}\n".encode())
        finally:
            os._exit(0)
    os.close(write_end)
    text, ending = b"", "the process ended"
    while True:
        if not select.select([read_end], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
            ending = f"no answer for {seconds:g} s"
            break
        piece = os.read(read_end, 2**16)
        if not piece:
            break
        text += piece
    os.close(read_end)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and ending == "the process ended":
        ending = f"the process died of {signal.Signals(os.WTERMSIG(status)).name}"
    shutil.rmtree(folder, ignore_errors=True)
    return dict(json.loads(line) for line in text.decode().splitlines()), ending


def _last_frame(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _limit_memory(n_bytes: int) -> None:
    """Limit the address space to what it is now and `n_bytes` more."""
    pages = Path("/proc/self/statm")
    if pages.exists():
        now = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, now + n_bytes))


def parser(description: str, n: int) -> argparse.ArgumentParser:
    """Return the parser of the flags that all these scripts have."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--n", type=int, default=n, help="number of examples")
    flags.add_argument("--seed", type=int, default=0, help="seed of the examples")
    flags.add_argument("--only", type=int, help="the number of a single example to run in this process")
    return flags


def report(script: str, what: str, n: int, seed: int, faults: dict[int, str], start: float) -> int:
    """Print one line of result and a line for each fault; return the exit status."""
    for number, text in sorted(faults.items()):
        print(FINDING.format(script=script, seed=seed, number=number, text=text))
    seconds = time.perf_counter() - start
    print(f"{n - len(faults)} of {n} {what} right, seed {seed}, {seconds:.0f} s")
    sys.stdout.flush()
    return 1 if faults else 0
