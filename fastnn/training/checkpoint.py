"""Checkpoints: all that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ..network import files as model_file

_NAME = re.compile(r"step-(\d{10})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often ``Trainer.fit`` writes down where it is.

    The same call of ``fit`` with the same data, after the process ended for whatever reason, goes on from the
    newest checkpoint and ends with the same bits as if it had never stopped. Files are written beside and
    renamed, and carry a checksum, so a half-written one is never taken for whole.

    Parameters
    ----------
    folder : path-like
        Made if there is none. One training a folder.
    every_epochs : int or None, default=1
    every_steps : int, optional
    every_minutes : float, optional
        Whichever comes first.
    keep : int, default=3
        How many of the newest are kept.
    resume : bool, default=True
        Whether a training starts from the newest checkpoint in the folder, if there is one. If not, its own
        take the place of those that are there.

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
        if Path(self.folder).exists() and not Path(self.folder).is_dir():
            raise ValueError(f"folder must be a folder, but {os.fspath(self.folder)!r} is a file.")

    def files(self) -> list[Path]:
        """Checkpoints in the folder, the newest first."""
        folder = Path(self.folder)
        found = [path for path in folder.glob("step-*.safetensors") if _NAME.fullmatch(path.name)]
        return sorted(found, reverse=True)

    def make_folder(self) -> Path:
        """Make the folder if there is none, and return it."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, step: int, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write a checkpoint, then remove those that are too many."""
        folder = self.make_folder()
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        # As it will be read: NumPy's numbers, which random generators and schedules may hold, as plain ones.
        state = json.loads(json.dumps(state, default=lambda numbers: numbers.tolist()))
        path = folder / f"step-{step:010d}.safetensors"
        model_file.write(path, arrays, {"checksum": _checksum(state, arrays)}, {"state": state})
        files = self.files()
        # Later ones are damaged, or of a training that went another way.
        place = files.index(path)
        for old in files[:place] + files[place + self.keep :]:
            old.unlink(missing_ok=True)
        for beside in folder.glob(".step-*"):  # left by a process that was killed while writing
            beside.unlink(missing_ok=True)

    def read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The newest checkpoint that is whole, or None.

        Raises
        ------
        ValueError
            If there are some, and none of them is whole.
        """
        reason: ValueError | None = None
        for path in self.files():
            try:
                header, metadata, arrays = model_file.read(path)
                with model_file.refusing(path):
                    state = metadata["state"]
                    if header["checksum"] != _checksum(state, arrays):
                        raise ValueError("its checksum is not that of its content.")
                    return state, arrays
            except ValueError as error:
                reason = reason or error
        if reason is not None:
            raise reason
        return None


def _checksum(state: dict[str, Any], arrays: dict[str, np.ndarray]) -> int:
    total = zlib.crc32(json.dumps(state).encode())
    for name, array in sorted(arrays.items()):
        total = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), total)
        total = zlib.crc32(array.data, total)
    return total


class Clock:
    """When the next checkpoint is due."""

    def __init__(self, rule: Checkpoint, step: int) -> None:
        self._rule = rule
        self._step = step
        self._time = time.monotonic()

    def at_most(self, n_steps: int, step: int) -> int:
        """So many steps, or fewer if one is due before."""
        every = self._rule.every_steps
        return n_steps if every is None else min(n_steps, max(1, self._step + every - step))

    def is_due(self, step: int, epoch_end: int | None = None) -> bool:
        """Whether one is due now, at the end of the epoch of that number or within one."""
        rule = self._rule
        steps, minutes = step - self._step, (time.monotonic() - self._time) / 60
        return (
            (rule.every_steps is not None and steps >= rule.every_steps)
            or (rule.every_minutes is not None and minutes >= rule.every_minutes)
            or bool(rule.every_epochs and epoch_end and epoch_end % rule.every_epochs == 0)
        )

    def written(self, step: int) -> None:
        """Note that one has been written."""
        self._step, self._time = step, time.monotonic()
