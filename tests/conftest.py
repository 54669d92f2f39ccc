"""What the tests share: dtypes, seeded numbers, poisoned buffers, fresh processes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
from rich.console import Console

import fastnn
from fastnn.network.layout import panel_length, row_length

# A shell's background jobs ignore the interrupt; tests that press Ctrl-C themselves need it.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
ROOT = Path(fastnn.__file__).parents[1]
os.environ.pop("COLUMNS", None)  # the width of the terminal of whoever runs the tests


@pytest.fixture(params=["float32", "float64"])
def dtype(request) -> np.dtype:
    return np.dtype(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture
def poisoned():
    """Put a matrix into a wider buffer of the kernels' row lengths, with NaN wherever it is not."""

    def make(values, dtype, extra_rows=0):
        n_rows, n_cols = np.shape(values)
        buffer = np.full((n_rows + extra_rows, row_length(n_cols + 1)), np.nan, dtype)
        buffer[:n_rows, :n_cols] = values
        return buffer

    return make


@pytest.fixture
def panelled(poisoned):
    """Put a matrix into panels, with NaN wherever it is not; `layout.from_panels` is the way back.

    The panels have `capacity` rows; without one, as few as panels of a batch may have.
    """

    def make(values, dtype, capacity=None):
        n_rows = len(values)
        capacity = panel_length(n_rows) if capacity is None else capacity
        return reference.to_panels(poisoned(values, dtype, extra_rows=capacity - n_rows))

    return make


@pytest.fixture
def run_python():
    """Run code in a fresh Python, which can import the tests, and return what it printed."""

    def run(code, **environment):
        path = os.pathsep.join([str(TESTS), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, **environment}
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def start():
    """Start a program that Ctrl-C can end, even where the tests themselves run in the background."""
    processes = []

    def call(command, **options):
        # A shell's background jobs ignore the interrupt, and so would their children.
        def heed_interrupts():
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, preexec_fn=heed_interrupts, **pipes, **options))
        return processes[-1]

    yield call
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def screen(monkeypatch):
    """Stand in for a terminal of 110 columns; returns what it is sent."""
    file = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console", lambda **_: Console(file=file, force_terminal=True, width=110, height=24)
    )
    return file


def draw(display):
    """Draw a display, and return its lines without colours."""
    screen = io.StringIO()
    Console(file=screen, width=display.console.width).print(display._draw())
    return screen.getvalue().splitlines()
