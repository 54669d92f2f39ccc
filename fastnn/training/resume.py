"""Writing of checkpoints during training, and resumption from one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import _checks
from ..kernels.records import N_TOTALS
from ..network import files as model_file
from .checkpoint import Checkpoint, Clock
from .core import Core
from .settings import text_of
from .sources import Source
from .stopping import Best, EarlyStopping


class Checkpoints:
    """The checkpoints of one call of fit; without a rule, there are none.

    Parameters
    ----------
    rule : Checkpoint or None
    core : Core
    source, held_out : Source, Source or None
    early_stopping : EarlyStopping or None

    Raises
    ------
    ValueError
        If the folder holds checkpoints of another training, or none of them is intact.
    """

    def __init__(
        self,
        rule: Checkpoint | None,
        core: Core,
        source: Source,
        held_out: Source | None,
        early_stopping: EarlyStopping | None,
    ) -> None:
        if rule is not None and not isinstance(rule, Checkpoint):
            raise TypeError(f"checkpoint must be a fastnn.Checkpoint, got {_checks.shown(rule)}.")
        self._rule, self._state, self._source, self._held_out = rule, core.state, source, held_out
        self._found: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None
        if rule is None:
            return
        if core.settings.is_lbfgs:
            raise ValueError("checkpoint cannot be combined with optimizer 'lbfgs', whose state SciPy keeps.")
        self._digest = _digest(core, source, held_out, early_stopping)
        self._clock = Clock(rule, core.state.n_batches)
        rule.make_folder()  # now, so that it does not fail only after the first epoch
        self._found = rule.read() if rule.resume else None
        if self._found is not None:
            self._check(*self._found, rule)

    def _check(self, state: dict[str, Any], arrays: dict[str, np.ndarray], rule: Checkpoint) -> None:
        """Raise, before anything is restored, if a checkpoint is of another training or lacks a part."""
        needed_of_state = {*self._state.to_json(), "source", "best", "digest", "done"}
        needed_of_arrays = {*self._state.arrays(), *self._source.arrays(), "totals"}
        found_arrays = set(arrays)
        if arrays.get("totals", np.empty(0)).shape != (N_TOTALS,):
            found_arrays.discard("totals")
        missing = sorted(needed_of_state - state.keys() | needed_of_arrays - found_arrays)
        if missing:
            raise ValueError(
                f"the newest checkpoint in {str(rule.folder)!r} lacks {', '.join(missing)}: another version "
                "of fastnn has written it. Use another folder, or pass resume=False."
            )
        found = state["digest"] if isinstance(state["digest"], dict) else {}
        for name, value in self._digest.items():
            if found.get(name) != value:
                raise ValueError(
                    f"the checkpoints in {str(rule.folder)!r} are of another training: {name} was "
                    f"{found.get(name)}, but is now {value}. Use another folder, or pass resume=False."
                )

    @property
    def are_wanted(self) -> bool:
        """True if checkpoints are to be written."""
        return self._rule is not None

    def restore(self, totals: np.ndarray, best: Best) -> int | None:
        """Restore the checkpoint found in the folder; return the rows done of its epoch, None without one."""
        if self._found is None or self._rule is None:
            return None
        state, arrays = self._found
        own = self._arrays(totals, best)
        with model_file.refusing(self._rule.folder, "folder of checkpoints"):
            for name, array in own.items():
                if (arrays[name].shape, arrays[name].dtype) != (array.shape, array.dtype):
                    raise ValueError(
                        f"array {name} is {arrays[name].dtype} {arrays[name].shape}, expected {array.dtype} "
                        f"{array.shape}."
                    )
            for name, array in own.items():
                array[:] = arrays[name]
            self._state.restore(state)
            self._source.counters, best.state = state["source"], state["best"]
            n_done = int(state["done"])
        self._clock = Clock(self._rule, self._state.n_batches)
        self._found = None
        return n_done

    def at_most(self, n_steps: int) -> int:
        """Return the number of steps, or fewer if a checkpoint is due before."""
        return self._clock.at_most(n_steps, self._state.n_batches) if self.are_wanted else n_steps

    def is_due(self, epoch: int | None) -> bool:
        """Return whether a checkpoint is due now, at the end of the given epoch or within one (None)."""
        return self.are_wanted and self._clock.is_due(self._state.n_batches, epoch)

    def write(self, n_done: int, totals: np.ndarray, best: Best) -> None:
        """Write a checkpoint, after `n_done` rows of the epoch."""
        if self._rule is None:
            return
        state = self._state.to_json() | {
            "digest": self._digest,
            "done": n_done,
            "source": self._source.counters,
            "best": best.state,
        }
        self._rule.write(self._state.n_batches, state, self._arrays(totals, best))
        self._clock.written(self._state.n_batches)

    def _arrays(self, totals: np.ndarray, best: Best) -> dict[str, np.ndarray]:
        """Return all arrays that a checkpoint holds, by name."""
        of_best = {f"best.{k}": array for k, array in enumerate(best.arrays)}
        held_out = {} if self._held_out is None else self._held_out.arrays()
        of_held_out = {f"held_out.{name}": array for name, array in held_out.items()}
        return self._state.arrays() | self._source.arrays() | of_held_out | {"totals": totals} | of_best


def _digest(
    core: Core, source: Source, held_out: Source | None, early_stopping: EarlyStopping | None
) -> dict[str, Any]:
    """Return the facts by which a training recognises its own checkpoints."""
    state = core.state
    digest: dict[str, Any] = {"net": text_of(core.network.architecture)} | core.settings.digest()
    digest |= {
        "early_stopping": text_of(early_stopping),
        "random generator": type(state.rng.bit_generator).__name__,
        "rows": source.n_rows,
        "data": source.fingerprint(),
        "validation rows": 0 if held_out is None else held_out.n_rows,
        "validation data": None if held_out is None else held_out.fingerprint(),
        "first epoch": state.epoch,
    }
    return json.loads(json.dumps(digest))  # in the form in which it is read back
