"""Everything that training changes, in one record for pickle, checkpoints and resuming."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._memory import check_memory
from ..history import Epoch, History
from ..network.compiled import CompiledNetwork
from ..network.layout import aligned_copy, aligned_zeros
from .averages import Averager
from .settings import Settings

_VECTORS = ("m", "v", "u", "full_grad")


@dataclass
class StepPlan:
    """What single steps are in the eyes of a schedule: epochs of `n_steps` steps, of which `n_done` are done.

    Attributes
    ----------
    n_seen : int
        Number of rows trained on when the current epoch began.
    """

    n_steps: int
    n_epochs: int
    n_seen: int
    n_done: int = 0


class State:
    """Everything that training changes, including the network's parameters.

    Parameters
    ----------
    network : CompiledNetwork
    settings : Settings
    rng : numpy.random.Generator

    Attributes
    ----------
    rng : numpy.random.Generator
        Generator for the order of the rows.
    dropout_seed : int
    m, v, u : ndarray of shape (n_params,)
        The optimiser's vectors; those it does not use are empty.
    full_grad : ndarray of shape (n_params,)
        Gradient of all parameters; empty if each block's gradient is used immediately.
    averager : Averager
    n_batches, n_updates, n_seen : int
        Numbers of batches, updates and rows trained on, over all calls of fit.
    n_rows : int
        Number of rows of an epoch, in the latest call of fit.
    schedule : dict
        State of the schedule.
    planned : StepPlan or None
    history : History
    stop_reason : str or None
        Reason to end training; None while it continues.
    """

    def __init__(self, network: CompiledNetwork, settings: Settings, rng: np.random.Generator) -> None:
        self.network, self.rng = network, rng
        architecture, params = network.architecture, network.params
        n_vectors = settings.optimizer.n_states
        n_all = n_vectors + settings.needs_full_gradient
        check_memory("Trainer", n_all * params.nbytes, "the vectors of its optimiser")
        # Drawn only where it is used: without dropout, the order of the rows does not depend on it.
        drops = architecture.input_dropout > 0 or any(architecture.dropout)
        self.dropout_seed = int(rng.integers(2**63)) if drops else 0
        self.m, self.v, self.u = (
            aligned_zeros(params.size if k < n_vectors else 0, params.dtype) for k in range(3)
        )
        self.full_grad = aligned_zeros(params.size if settings.needs_full_gradient else 0, params.dtype)
        self.averager = Averager(settings.average, network)
        self.lr = getattr(settings.optimizer, "lr", 1.0)
        self.n_batches = self.n_updates = self.n_seen = self.n_rows = 0
        self.schedule: dict[str, Any] = {}
        self.planned: StepPlan | None = None
        self.history = History("r2" if settings.loss.is_regression else "accuracy")
        self.stop_reason: str | None = None

    @property
    def lr(self) -> float:
        """Learning rate from which the schedule starts."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = _checks.check_number("lr", lr, 0.0)

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 1."""
        return len(self.history) + 1

    def stop(self, reason: str) -> None:
        """Ask training to end; the first reason given is kept."""
        self.stop_reason = self.stop_reason or reason

    def count(self, n_rows: int, rows_per_update: int, is_whole_epoch: bool) -> None:
        """Add rows of an epoch, and their updates, to the counts."""
        self.n_seen += n_rows
        n_full, rest = divmod(n_rows, rows_per_update)
        self.n_updates += n_full + int(rest > 0 and is_whole_epoch)

    @contextlib.contextmanager
    def undrawn_if_refused(self) -> Iterator[None]:
        """Put the generator back where it was if the block raises: a refused call changes nothing."""
        before = self.rng.bit_generator.state
        try:
            yield
        except BaseException:
            self.rng.bit_generator.state = before
            raise

    def count_step(self, n_rows: int, n_batches: int) -> None:
        """Count a single step, one update by all rows of its batches."""
        self.n_seen += n_rows
        self.n_batches += n_batches
        self.n_updates += 1
        if self.planned is not None:
            self.planned.n_done += 1
            if self.planned.n_done % self.planned.n_steps == 0:
                self.planned.n_seen = self.n_seen

    def epoch_params(self) -> list[np.ndarray]:
        """Return the arrays of an epoch's network: parameters, averaged or not, and running statistics."""
        return [self.averager.averaged_params, self.network.running]

    # --- for checkpoints and pickle ---------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, for reading and writing in place."""
        vectors = {name: getattr(self, name) for name in _VECTORS}
        network = {"params": self.network.params, "running": self.network.running}
        return vectors | network | {"shadow": self.averager.shadow}

    def to_json(self) -> dict[str, Any]:
        """Return everything else, in a form that JSON can hold."""
        return {
            "batches": self.n_batches,
            "updates": self.n_updates,
            "seen": self.n_seen,
            "lr": self.lr,
            "schedule": self.schedule,
            "rng": self.rng.bit_generator.state,
            "dropout": self.dropout_seed,
            "n_averaged": self.averager.n_averaged,
            "history": [epoch._asdict() for epoch in self.history.epochs],
            "stop_reason": self.stop_reason,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`to_json` returned."""
        self.n_batches, self.n_updates, self.n_seen = state["batches"], state["updates"], state["seen"]
        self.lr, self.schedule = state["lr"], state["schedule"]
        self.rng.bit_generator.state = state["rng"]
        self.dropout_seed, self.averager.n_averaged = state["dropout"], state["n_averaged"]
        self.history.epochs[:] = [Epoch(**epoch) for epoch in state["history"]]
        self.stop_reason = state["stop_reason"]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _VECTORS:  # pickle does not keep the alignment
            setattr(self, name, aligned_copy(getattr(self, name)))
