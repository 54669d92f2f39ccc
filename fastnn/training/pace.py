"""The pace of a training: how many threads it gets, and for how many steps at a time."""

from __future__ import annotations

from .._threads import parts_for
from ..kernels.sizes import (
    CHUNK_SECONDS,
    FIRST_CHUNK_SECONDS,
    FIRST_TRIAL_SECONDS,
    GUESSED_FLOPS,
    PARALLEL_STEP_FLOPS,
    TRIAL_GAIN,
    TRIAL_SECONDS,
    TRIAL_SPACING,
)


class Pace:
    """Number of threads of a training, chosen by timing chunks of steps.

    Results do not depend on the number of threads, so it can follow measurements: from time to time half and
    twice as many threads are tried, and the fastest number is kept. No rule could know the cost of reaching a
    core, or whether another process keeps it busy: on one machine, a step of 0.9 MFLOP took two threads 11 or
    30 us, depending on where the cores were, and one thread 12 us.

    Parameters
    ----------
    n_threads : int or None
        Largest number of threads; None for all usable cores.
    step_flops : float
        Floating-point operations of a step; if they are few, training starts with one thread.
    n_shares : int
        Number of pieces of a step; more threads than this would be idle.
    """

    def __init__(self, n_threads: int | None, step_flops: float, n_shares: int) -> None:
        self._most = parts_for(n_threads, step_flops, 0, n_shares)
        self.n_parts = self._most if step_flops >= PARALLEL_STEP_FLOPS else 1
        self._guess = step_flops / GUESSED_FLOPS
        self._seconds: dict[int, float] = {}  # time of a step by number of threads, last measured
        self._to_try: list[int] = []  # numbers of threads still to be tried in this round
        self._trained = 0.0  # seconds of training in all
        self._tried = 0.0  # seconds of the trials of this round
        self._compared: tuple[int, ...] = ()  # numbers of threads tried in the latest round
        self._next_round = max(FIRST_TRIAL_SECONDS, TRIAL_SPACING * self._guess)

    def chunk(self) -> tuple[int, int]:
        """Return the number of threads and of steps of the next chunk."""
        if not self._to_try and self._trained >= self._next_round and self._most > 1:
            near = {max(1, self.n_parts // 2), min(self._most, 2 * self.n_parts)} - {self.n_parts}
            # The current number is timed again, too: the load of the machine may have changed.
            self._to_try, self._tried = [*near, self.n_parts], 0.0
            self._compared = tuple(self._to_try)
        if self._to_try:
            n_parts = self._to_try[0]
            return n_parts, self._steps(n_parts, TRIAL_SECONDS)
        seconds = CHUNK_SECONDS if self.n_parts in self._seconds else FIRST_CHUNK_SECONDS
        return self.n_parts, self._steps(self.n_parts, seconds)

    def _steps(self, n_parts: int, seconds: float) -> int:
        """Return the number of steps, at least 1, that `n_parts` threads do in this time."""
        known = self._seconds.get(n_parts) or self._seconds.get(self.n_parts) or self._guess
        return max(1, int(seconds / known))

    def note(self, n_parts: int, n_steps: int, seconds: float) -> None:
        """Record the time of a chunk."""
        self._seconds[n_parts] = seconds / n_steps
        self._trained += seconds
        if not self._compared and n_parts > 1 and self._seconds[n_parts] > self._guess:
            self._next_round = 0.0  # far slower than guessed: another process keeps a core busy
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
        """Continue with one thread, after the others of a team failed to start in time."""
        self.n_parts, self._to_try = 1, []
        self._next_round = self._trained + FIRST_TRIAL_SECONDS
