"""A run: the folder of a training, with its settings, model, history, scores and predictions."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

from ..model import Model
from ..network import files as model_file
from ..training.logs import as_json
from .config import Config, make_config, read_config

MODEL, CONFIG, HISTORY, SUMMARY = "model.safetensors", "config.toml", "history.json", "summary.json"
TEST, WORST, LOG, CHECKPOINTS = "test.csv", "worst.json", "log.jsonl", "checkpoints"


class Run:
    """The folder of a run.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    FileNotFoundError
        If it is not the folder of a run.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / CONFIG).is_file():
            raise FileNotFoundError(f"{str(self.folder)!r} is not the folder of a run: it has no {CONFIG}.")

    @functools.cached_property
    def config(self) -> Config:
        """Settings it was trained with."""
        return make_config(**read_config(self.folder / CONFIG))

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        """Facts on data, network, training and test."""
        return json.loads((self.folder / SUMMARY).read_text("utf-8"))

    @property
    def history_text(self) -> str | None:
        """Content of the history's file; None before the first epoch has ended."""
        path = self.folder / HISTORY
        return path.read_text("utf-8") if path.is_file() else None

    @property
    def model_file(self) -> Path:
        """File of the trained model."""
        return self.folder / MODEL

    @functools.cached_property
    def model(self) -> Model:
        """The trained model."""
        return Model.load(self.model_file)

    def write(self, name: str, content: str) -> None:
        """Replace a file of the run in one step."""
        model_file.write_atomically(self.folder / name, content.encode())

    def write_json(self, name: str, content: Any) -> None:
        """Replace a file of the run by JSON; numbers may be NumPy's, and become null if not finite."""
        self.write(name, json.dumps(as_json(content), indent=1))


def finished_run(folder: str | os.PathLike[str]) -> Run:
    """Open a run that has a model.

    Raises
    ------
    FileNotFoundError
        If it is not the folder of a run, or its training was interrupted before it had a model.
    """
    run = Run(folder)
    if not run.model_file.exists():
        raise FileNotFoundError(
            f"the run {str(run.folder)!r} was interrupted and has no model yet: continue with fastnn train "
            f"--resume {run.folder}."
        )
    return run


def load_model(path: str | os.PathLike[str]) -> Model:
    """Load the model of a run's folder, or of a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it cannot be read.
    """
    path = Path(path)
    if (path / CONFIG).is_file():
        return finished_run(path).model
    return Model.load(path / MODEL if path.is_dir() else path)


def new_folder(name: str) -> Path:
    """Make the first free folder of ``runs/NAME-1``, ``runs/NAME-2``, ..."""
    stem = re.sub(r"[^\w.-]+", "-", name)
    for number in range(1, 1_000_000):
        path = Path("runs") / f"{stem}-{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError("runs/ is full.")


def check_free(folder: Path) -> None:
    """Raise if a new run cannot have this folder."""
    if (folder / CONFIG).exists():
        raise FileExistsError(
            f"there is a run in {os.fspath(folder)!r} already: continue it with --resume, or name another "
            "folder."
        )
    for path in (folder, *folder.parents):
        if path.exists():
            if not path.is_dir():
                raise NotADirectoryError(f"a run needs a folder, but {os.fspath(path)!r} is a file.")
            return
