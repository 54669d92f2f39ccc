"""A run: the folder of a training, with its settings, model, history, scores and predictions."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

from ..model import CONFIG, MODEL, Model, find_model
from ..network import files as model_file
from ..plots.run_files import read_json
from ..training.logs import as_json
from .config import SOURCE, Config, make_config, read_config

HISTORY, SUMMARY, TEST, WORST = "history.json", "summary.json", "test.csv", "worst.json"
LOG, CHECKPOINTS = "log.jsonl", "checkpoints"


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
        return read_json(self.folder / SUMMARY)

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
    find_model(run.folder)
    return run


def source_config(path: str | os.PathLike[str], source: str, settings: dict[str, Any]) -> Config:
    """Return settings for reading rows for the model of a run, or of a model file.

    Those of the run hold for its new rows, too, where `settings` does not say otherwise.
    """
    given = Run(path).config.model_dump() if (Path(path) / CONFIG).is_file() else {}
    return make_config(**{name: given[name] for name in SOURCE if name in given} | settings, source=source)


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
