"""The pace of a training, on a simulated machine."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import _threads
from fastnn.training.pace import Pace


class Machine:
    """A simulated training: step times by number of threads, on its own clock."""

    def __init__(self, step_flops=1e9, n_threads=8, n_shares=100):
        self.pace = Pace(n_threads, step_flops, n_shares)
        self.seconds = 0.0
        self.by_count = {}

    def train(self, seconds, step_seconds):
        """Train for some seconds, and return the share of the time of each number of threads."""
        end, spent = self.seconds + seconds, dict.fromkeys(step_seconds, 0.0)
        while self.seconds < end:
            n_parts, n_steps = self.pace.chunk()
            took = n_steps * step_seconds[n_parts]
            self.pace.note(n_parts, n_steps, took)
            self.seconds += took
            spent[n_parts] += took
        return {n_parts: value / seconds for n_parts, value in spent.items()}


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(_threads, "usable_cores", lambda: 8)
    monkeypatch.setattr("fastnn.training.pace.PARALLEL_STEP_FLOPS", 1e6)


def test_a_busy_core_is_noticed_at_once(monkeypatch):
    """Two threads that wait for each other far longer than they work are dropped within a second."""
    monkeypatch.setattr(_threads, "usable_cores", lambda: 2)
    busy = Machine(step_flops=4e6, n_threads=2)  # guessed: 0.2 ms, so that the first chunk has 25 steps
    share = busy.train(2.0, {1: 1e-4, 2: 8e-3})
    assert share[2] < 0.15
    # Later trials take no longer than planned, though two threads are as slow as before.
    assert busy.train(2.0, {1: 1e-4, 2: 8e-3})[2] < 0.03
    quiet = Machine(step_flops=4e6, n_threads=2)
    assert quiet.train(1.0, {1: 1e-4, 2: 6e-5})[1] == 0


@pytest.mark.parametrize("fastest", [1, 2, 4, 8])
@pytest.mark.parametrize("step_flops", [1e5, 1e9])
def test_pace_finds_the_fastest_number_of_threads(eight_cores, fastest, step_flops):
    machine = Machine(step_flops)
    times = {n: 1e-4 * (1 + abs(np.log2(n / fastest))) for n in (1, 2, 4, 8)}
    assert machine.pace.chunk()[0] == (8 if step_flops > 1e6 else 1)
    machine.train(10.0, times)
    assert machine.train(100.0, times)[fastest] > 0.95
    # The machine changes: another process takes cores.
    times = {n: 1e-4 * n for n in (1, 2, 4, 8)}
    machine.train(20.0, times)
    assert machine.train(100.0, times)[1] > 0.95


def test_pace_keeps_to_a_number_that_is_as_good(eight_cores):
    machine = Machine()
    assert machine.train(100.0, dict.fromkeys((4, 8), 1e-4) | {8: 1.02e-4})[8] > 0.95


def test_pace_of_long_steps(eight_cores):
    machine = Machine(step_flops=1e12)
    # Steps of two seconds: one at a time, and for the first minutes nothing is tried.
    assert machine.pace.chunk() == (8, 1)
    assert machine.train(60.0, {8: 2.0}) == {8: 1.0}


def test_pace_stays_within_bounds(eight_cores):
    times = {n: 1e-4 / n for n in range(1, 9)}
    machine = Machine(n_threads=3)
    machine.train(20.0, times)
    assert machine.pace.n_parts == 3
    machine = Machine(n_shares=1)
    machine.train(20.0, times)
    assert machine.pace.n_parts == 1
    machine = Machine()
    machine.pace.alone()
    assert machine.pace.chunk()[0] == 1
