"""Checkpoints: everything a training needs to continue as if it had never stopped."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._fields import read_fields
from ..network import files as model_file

_NAME = re.compile(r"step-(\d{10})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Rule for where and how often ``Trainer.fit`` saves its state.

    If the process ends, for whatever reason, the same call of ``fit`` with the same data continues from the
    newest checkpoint and ends with the same bits as without the interruption. Files are renamed into place
    when complete and carry a checksum, so a partly written one is never used.

    Parameters
    ----------
    folder : path-like
        Created if missing. Use one folder per training.
    every_epochs : int or None, default=1
    every_steps : int, optional
    every_minutes : float, optional
        Intervals between checkpoints; whichever ends first counts.
    keep : int, default=3
        Number of checkpoints to keep, the newest ones.
    resume : bool, default=True
        Whether a training continues from the newest checkpoint in the folder, if there is one. Otherwise its
        own checkpoints replace the existing ones.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here.

    Examples
    --------
    >>> Checkpoint("run-1", every_minutes=5).keep
    3
    """

    folder: str | os.PathLike[str]
    every_epochs: int | None = 1
    every_steps: int | None = None
    every_minutes: float | None = None
    keep: int = 3
    resume: bool = True

    def __post_init__(self) -> None:
        _checks.check_count("keep", self.keep)
        for name in ("every_epochs", "every_steps"):
            if getattr(self, name) is not None:
                _checks.check_count(name, getattr(self, name))
        if self.every_minutes is not None:
            _checks.check_number("every_minutes", self.every_minutes, 0.0, open_low=True)
        folder = _checks.check_path("folder", self.folder)
        _checks.check_flag("resume", self.resume)
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"folder must be a folder, but {os.fspath(self.folder)!r} is a file.")

    def files(self) -> list[Path]:
        """Return the checkpoints in the folder, newest first."""
        folder = Path(self.folder)
        found = [path for path in folder.glob("step-*.safetensors") if _NAME.fullmatch(path.name)]
        return sorted(found, reverse=True)

    def make_folder(self) -> Path:
        """Create the folder if it is missing, and return it."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, step: int, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, then remove all but the newest `keep`.

        Parameters
        ----------
        step : int
            Number of steps done, which names the file.
        state : dict
            Values that JSON can hold, NumPy's numbers included.
        arrays : dict of str to ndarray
        """
        folder = self.make_folder()
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        # Random generators and schedules may hold NumPy numbers.
        state = json.loads(json.dumps(state, default=lambda numbers: numbers.tolist()))
        path = folder / f"step-{step:010d}.safetensors"
        model_file.write(path, arrays, {}, {"state": state})
        files = self.files()
        # Files of later steps are damaged, or belong to another course of the training.
        place = files.index(path)
        for old in files[:place] + files[place + self.keep :]:
            old.unlink(missing_ok=True)
        for beside in folder.glob(".step-*"):  # left by a process that was killed while writing
            beside.unlink(missing_ok=True)

    def read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return the newest intact checkpoint, or None if there are no checkpoints.

        Returns
        -------
        tuple (state, arrays) or None

        Raises
        ------
        ValueError
            If there are checkpoints, but none of them is intact.
        """
        reason: ValueError | None = None
        for path in self.files():
            try:
                _, metadata, arrays = model_file.read(path)
                with model_file.refusing(path, "checkpoint"):
                    return read_fields(metadata, {"state": dict[str, Any]}, "metadata")["state"], arrays
            except ValueError as error:
                reason = reason or error
        if reason is not None:
            raise reason
        return None


class Clock:
    """A clock that tells when the next checkpoint is due."""

    def __init__(self, rule: Checkpoint, step: int) -> None:
        self._rule = rule
        self._step = step
        self._time = time.monotonic()

    def at_most(self, n_steps: int, step: int) -> int:
        """Return the number of steps, or fewer if a checkpoint is due before."""
        every = self._rule.every_steps
        return n_steps if every is None else min(n_steps, max(1, self._step + every - step))

    def is_due(self, step: int, epoch_end: int | None = None) -> bool:
        """Return whether a checkpoint is due now, at the end of the given epoch or within one (None)."""
        rule = self._rule
        steps, minutes = step - self._step, (time.monotonic() - self._time) / 60
        return (
            (rule.every_steps is not None and steps >= rule.every_steps)
            or (rule.every_minutes is not None and minutes >= rule.every_minutes)
            or bool(rule.every_epochs and epoch_end and epoch_end % rule.every_epochs == 0)
        )

    def written(self, step: int) -> None:
        """Record that a checkpoint has been written."""
        self._step, self._time = step, time.monotonic()
