"""The training loop: epochs, blocks of rows, and compiled calls of many steps."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from .._jit import compile_seconds
from .._threads import at_work
from ..kernels.records import (
    COST_SUM,
    FAILED,
    N_TOTALS,
    NOT_FINITE,
    NOT_TOGETHER,
    ROWS_DONE,
    STEPS_DONE,
    UpdateState,
)
from .callbacks import Batch, CallbackList, TrainerLike
from .core import Core, n_loaded
from .interrupts import held_back
from .progress import Silent, make_display
from .resume import Checkpoints
from .rows import Rows
from .scores import Scores
from .sources import Source
from .state import State
from .stopping import Best


class DivergenceError(ArithmeticError, ValueError):
    """Error raised when the cost of a training becomes NaN or infinite."""


def divergence(state: State, when: str) -> DivergenceError:
    """Return the error to raise for a cost that is not finite."""
    return DivergenceError(
        f"the cost became NaN or infinite {when} (after {state.n_batches} steps). Try a smaller learning "
        f"rate than {state.lr:g}, or standardise x and y. The network keeps its last finite weights."
    )


class Run:
    """One call of fit: its data and rules, and the state of the current epoch.

    Parameters
    ----------
    trainer : TrainerLike
        Handed to the callbacks.
    core : Core
    source : Source
        Rows to train on.
    scores : Scores
    best : Best
    checkpoints : Checkpoints
    callbacks : CallbackList
    n_epochs : int
        Number of epochs in the history at which training is complete.
    verbose : int
    """

    def __init__(
        self,
        trainer: TrainerLike,
        core: Core,
        source: Source,
        scores: Scores,
        best: Best,
        checkpoints: Checkpoints,
        callbacks: CallbackList,
        n_epochs: int,
        verbose: int,
    ) -> None:
        self.trainer, self.core, self.state, self.settings = trainer, core, core.state, core.settings
        self.source, self.scores, self.best = source, scores, best
        self.checkpoints, self.callbacks = checkpoints, callbacks
        self.n_epochs, self._verbose, self.display = n_epochs, verbose, Silent()
        self.n_done = 0  # rows of the current epoch that have been trained on
        self.totals = np.zeros(N_TOTALS)  # of the current epoch
        self._rates: tuple[float, np.ndarray] | None = None  # base rate, and the epoch's learning rates
        self._lr: float | None = None  # of the last step
        self._pressed: Sequence[int] = ()  # Ctrl-C, once for each time

    @property
    def goes_on(self) -> bool:
        """True if there is another epoch to train."""
        return self.state.stop_reason is None and len(self.state.history) < self.n_epochs

    def execute(self, driver: Callable[[Run], None]) -> None:
        """Train with a driver; leave network, history and callbacks in order, however it ends."""
        state, has_begun = self.state, False
        try:
            with state.averager.training():
                self._start()
                has_begun = True
                with at_work(), self.display, held_back(self.checkpoints.are_wanted) as self._pressed:
                    self.callbacks.on_fit_begin(self.trainer)
                    driver(self)
        except KeyboardInterrupt:
            state.stop_reason = "interrupted"
            warnings.warn("Training was interrupted; the network is kept as it is.", stacklevel=3)
        except DivergenceError:
            state.stop_reason = "diverged"
            raise
        except BaseException:
            state.stop_reason = "error"
            raise
        finally:
            self.source.close()
            state.history.stop_reason = state.stop_reason or "epochs"
            if has_begun:
                self._finish()

    def _start(self) -> None:
        """Restore a checkpoint, if there is one, and prepare rows and display."""
        state = self.state
        state.n_rows, state.stop_reason = self.source.n_rows, None
        resumed_at = self.checkpoints.restore(self.totals, self.best)
        self.n_done, rng = resumed_at or 0, state.rng if resumed_at is None else None
        first = len(state.history)
        self.source.start(first, self.n_epochs, rng)
        self.display = make_display(self._verbose, self.n_epochs, self.source.n_rows, state.history)

    def _finish(self) -> None:
        """Restore the best epoch and count the rows; the network already has its averaged weights."""
        state = self.state
        self._count(self.n_done)  # the rows of an unfinished epoch
        state.history.best_epoch = self.best.restore(state.epoch_params())
        self.callbacks.on_fit_end(self.trainer)

    def train_epochs(self) -> None:
        """Train by gradient descent until all epochs are done or something stops it."""
        while self.goes_on:
            self.callbacks.on_epoch_begin(self.trainer)
            if self.state.stop_reason is not None:
                break
            start = time.perf_counter() - compile_seconds()
            self._train_epoch()
            if self.n_done == self.source.n_rows:  # else a callback has stopped it
                self.end_epoch(time.perf_counter() - compile_seconds() - start)

    def end_epoch(self, seconds: float) -> None:
        """Record an epoch, and pass its figures to the display, the rules and the callbacks."""
        state = self.state
        state.averager.end_epoch(state.epoch)
        epoch = self.scores.epoch(self.totals, seconds, self._lr)
        state.history.epochs.append(epoch)
        self._count(self.source.n_rows)
        self.n_done, self.totals[:] = 0, 0
        self.source.end_epoch()
        self.display.epoch(epoch)
        if self.best.observe(epoch, state.epoch_params()):
            state.stop("early stopping")
        if self.settings.schedule.observe(epoch, state.schedule):
            state.stop("schedule")
        self.callbacks.on_epoch_end(self.trainer, epoch)
        self._checkpoint(epoch.epoch)

    def _train_epoch(self) -> None:
        """Train the rest of an epoch, block by block."""
        state, source, self._rates = self.state, self.source, None
        while self.n_done < source.n_rows and state.stop_reason is None:
            rows = source.next_block(self.n_done, state.rng)
            self._train_block(rows)
            if self.n_done == source.begin + rows.n:  # else a callback has stopped it
                source.end_block()

    def _train_block(self, rows: Rows) -> None:
        """Train the rest of a block, in compiled calls of as many steps as the pace allows."""
        state, core, callbacks = self.state, self.core, self.callbacks
        begin, end = self.source.begin, self.source.begin + rows.n
        rows_per_update = self.settings.rows_per_update(self.source.n_rows)
        batch_size = rows_per_update // self.settings.accumulate
        pace = core.pace(batch_size)
        network, work = core.records(rows.data, batch_size)
        update, rates = self._update_of_block(rows)
        lr = state.lr
        while self.n_done < end and state.stop_reason is None:
            if state.lr != lr:  # a callback has set it
                update, rates = self._update_of_block(rows)
                lr = state.lr
            n_parts, n_steps = pace.chunk()
            n_steps = 1 if callbacks.wants_batches else self.checkpoints.at_most(n_steps)
            loaded, start = n_loaded(), time.perf_counter()
            first, n_rows = self.n_done - begin, min(n_steps * batch_size, end - self.n_done)
            plan = (first, n_rows, batch_size, state.n_batches + 1)
            before = self.totals.copy()
            core.train(n_parts, network, work, rows.data, core.objective, update, plan, self.totals)
            if self.totals[FAILED] == NOT_TOGETHER:
                self.totals[FAILED] = 0
                pace.alone()
                continue
            n_steps = int(self.totals[STEPS_DONE] - before[STEPS_DONE])
            state.n_batches += n_steps
            if self.totals[FAILED] == NOT_FINITE:
                when = "in" if self.totals[ROWS_DONE] else "in the first batch of"
                raise divergence(state, f"{when} epoch {state.epoch}")
            if n_loaded() == loaded:  # else most of the time went into compiling or loading
                pace.note(n_parts, n_steps, time.perf_counter() - start)
            self._lr = float(rates[(first + n_rows - 1) // rows_per_update])
            self.n_done += n_rows
            self.display.rows(self.n_done)
            if callbacks.wants_batches:
                cost = float((self.totals - before)[COST_SUM] / n_rows)
                batch = Batch(state.epoch, state.n_batches, n_rows, cost, self._lr)
                callbacks.on_batch_end(self.trainer, batch)
                core.pack_weights(network)  # it may have written to the parameters
            if self.n_done < self.source.n_rows:
                self._checkpoint(None)

    def _update_of_block(self, rows: Rows) -> tuple[UpdateState, np.ndarray]:
        """Return the update's record with the rates for a block, and the learning rates alone."""
        state, settings, source = self.state, self.settings, self.source
        rows_per_update = settings.rows_per_update(source.n_rows)
        if self._rates is None or self._rates[0] != state.lr:
            n_updates = -(-source.n_rows // rows_per_update)
            epoch_rates = settings.schedule.rates(
                state.lr, len(state.history), self.n_epochs, n_updates, state.n_seen, state.schedule
            )
            self._rates = state.lr, epoch_rates
        done = source.begin // rows_per_update
        rates = self._rates[1][done:][: -(-rows.n // rows_per_update)]
        update = self.core.update._replace(rates=settings.optimizer.rates(rates, state.n_updates + done))
        if state.averager.decay > 0:
            update = update._replace(average=state.averager.shadow)
        return update, rates

    def _count(self, n_rows: int) -> None:
        rows_per_update = self.settings.rows_per_update(self.source.n_rows)
        self.state.count(n_rows, rows_per_update, n_rows == self.source.n_rows)

    def _checkpoint(self, ended_epoch: int | None) -> None:
        """Write a checkpoint if one is due or Ctrl-C was pressed; in the latter case, end training."""
        if not self.checkpoints.are_wanted:
            return
        is_finished = ended_epoch is not None and not self.goes_on
        if is_finished or self.checkpoints.is_due(ended_epoch) or self._pressed:
            self.checkpoints.write(self.n_done, self.totals, self.best)
        if self._pressed and not is_finished:
            raise KeyboardInterrupt
