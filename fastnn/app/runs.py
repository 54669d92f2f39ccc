"""A run: a training with a folder of its own, in which everything that is known of it is kept."""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import platform
import re
import shlex
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numba
import numpy as np

from .. import _checks
from .._threads import usable_cores
from .._version import __version__
from ..evaluation import worst_rows
from ..history import History
from ..model import Model
from ..network import files as model_file
from ..training.checkpoint import Checkpoint
from ..training.logs import JsonLog, TensorBoard, as_json
from ..training.trainer import Trainer
from . import machine
from .config import Config, make_config, read_config, to_toml
from .model_card import write_model_card
from .preparation import Part, Prepared, early_stopping, make_model, prepare

MODEL, CONFIG, HISTORY, SUMMARY = "model.safetensors", "config.toml", "history.json", "summary.json"
TEST, WORST, LOG, CHECKPOINTS = "test.csv", "worst.json", "log.jsonl", "checkpoints"
_N_WORST = 20
_LONGEST = 2000  # characters of a text that is shown


class Run:
    """A run's folder.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    FileNotFoundError
        If there is no run there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / CONFIG).is_file():
            raise FileNotFoundError(f"{str(self.folder)!r} is no folder of a run: expected {CONFIG} in it.")

    @functools.cached_property
    def config(self) -> Config:
        """What it was configured by."""
        return make_config(**read_config(self.folder / CONFIG))

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        """What came of it."""
        return json.loads((self.folder / SUMMARY).read_text())

    @functools.cached_property
    def model(self) -> Model:
        """The trained model."""
        return Model.load(self.folder / MODEL)

    def write(self, name: str, content: str) -> Path:
        """Write a file of the run, beside it first and then renamed."""
        path = self.folder / name
        model_file.write_atomically(path, content.encode())
        return path


def _new_folder(stem: str) -> Path:
    name = re.sub(r"[^\w.-]+", "-", stem)
    for number in range(1, 1_000_000):
        path = Path("runs") / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError("runs/ is full.")


def _refuse_taken(folder: Path) -> None:
    """Raise if a run cannot have that folder, before any work is done."""
    if (folder / CONFIG).exists():
        raise FileExistsError(
            f"there is a run in {os.fspath(folder)!r} already: go on with it by --resume, or name another."
        )
    for path in (folder, *folder.parents):
        if path.exists():
            if not path.is_dir():
                raise NotADirectoryError(f"a run needs a folder, but {os.fspath(path)!r} is a file.")
            return


def train(
    config: Config,
    folder: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    verbose: int = 1,
    begin: Callable[[Prepared, Trainer], Any] = lambda prepared, trainer: None,
) -> tuple[Run, History]:
    """Train as a configuration says, and write down what came of it.

    Parameters
    ----------
    config : Config
    folder : path-like, optional
        Of the run; by default ``runs/NAME-N``, N being the first that is free. If nothing comes of the
        training, because an argument is wrong, none is left behind.
    resume : bool, default=False
        Whether to go on from the newest checkpoint in the folder; the configuration may ask for more epochs.
    tensorboard : bool, default=False
        Whether to write TensorBoard's logs, too.
    verbose : int, default=1
        As of ``Trainer.fit``.
    begin : callable, optional
        Is called when all has been read and checked, before training.

    Returns
    -------
    run : Run
    history : History
        Without epochs if training was interrupted in the first; then no model is saved.

    Raises
    ------
    FileExistsError
        If there is a run in the folder already, and it is not to go on.
    DivergenceError
        If the cost becomes NaN or infinite; the last finite weights are saved.
    ValueError, TypeError, OSError, ImportError
        If the data or a setting are not what is described in their place.
    """
    if not resume and folder is not None:
        _refuse_taken(Path(folder))
    prepared = prepare(config)
    model, trainer = make_model(config, prepared)
    begin(prepared, trainer)
    path = _new_folder(prepared.dataset.name) if folder is None else Path(folder)
    is_new = folder is None or not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    before = (path / CONFIG).read_bytes() if resume else None
    try:
        model_file.write_atomically(path / CONFIG, to_toml(config).encode())
        run = Run(path)
        _fit(run, prepared, model, trainer, resume=resume, tensorboard=tensorboard, verbose=verbose)
    except BaseException:
        if is_new and not len(trainer.history):
            shutil.rmtree(path)
            if folder is None and not any(path.parent.iterdir()):
                path.parent.rmdir()
        elif before is not None and not len(trainer.history):  # refused: the run is as it was
            model_file.write_atomically(path / CONFIG, before)
        raise
    return run, trainer.history


def _fit(
    run: Run, prepared: Prepared, model: Model, trainer: Trainer, *, resume, tensorboard, verbose
) -> None:
    config, train, validation = run.config, prepared.train, prepared.validation
    checkpoint = None
    if config.checkpoint_minutes:  # one comes at the end in any case, so that training can go on
        folder, minutes = run.folder / CHECKPOINTS, config.checkpoint_minutes
        checkpoint = Checkpoint(folder, every_epochs=None, every_minutes=minutes, resume=resume)
    watchers: list[Any] = [JsonLog(run.folder / LOG)]
    if tensorboard:
        watchers.append(TensorBoard(run.folder / "tensorboard"))
    started = time.perf_counter()
    try:
        trainer.fit(
            train.x if train.stream is None else train.stream,
            train.y if train.stream is None else None,
            epochs=config.epochs,
            validation_data=None if validation is None else (validation.x, validation.y),
            early_stopping=early_stopping(config),
            metrics=config.metrics,
            callbacks=watchers,
            checkpoint=checkpoint,
            verbose=verbose,
        )
    except BaseException:
        if len(trainer.history):
            _keep(run, model, trainer.history)
        raise
    if len(trainer.history):
        record(run, prepared, model, trainer, time.perf_counter() - started)


def _keep(run: Run, model: Model, history: History) -> None:
    """Write the model and its history."""
    model.save(run.folder / MODEL)
    columns = {
        "metric_name": history.metric_name,
        "best_epoch": history.best_epoch,
        "stop_reason": history.stop_reason,
        "columns": history.to_dict(),
    }
    run.write(HISTORY, _json(columns))


def record(run: Run, prepared: Prepared, model: Model, trainer: Trainer, seconds: float) -> None:
    """Write the model, and what is known of data, training and test."""
    history = trainer.history
    _keep(run, model, history)
    scores = _record_test(run, prepared, model, trainer)
    net, config = model.net, run.config
    trained = sum(epoch.seconds for epoch in history.epochs)
    n_rows = {
        "train": prepared.train.n,
        "validation": 0 if prepared.validation is None else prepared.validation.n,
        "test": prepared.test.n,
    }
    summary = {
        "name": prepared.dataset.name,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "fastnn": __version__,
        "command": command_of(config),
        "seed": config.seed,
        "data": {
            "source": config.source,
            "kind": prepared.dataset.kind,
            "target": prepared.target.name,
            "task": prepared.target.task,
            "classes": None if prepared.target.classes is None else list(map(str, prepared.target.classes)),
            "rows": n_rows,
            "n_features": net.sizes[0],
            "columns": prepared.encoder.describe(),
            "notes": prepared.notes,
            **_spread(prepared),
        },
        "network": {
            "summary": net.summary(),
            "n_params": net.n_params,
            "sizes": net.sizes,
            "activations": [activation.name for activation in net.activations],
            "output": net.output,
        },
        "training": {
            "loss": trainer.settings.loss.name,
            "optimizer": repr(trainer.settings.optimizer),
            "schedule": config.schedule or "constant",
            "batch_size": config.batch_size,
            "l2": config.l2,
            "epochs": len(history),
            "best_epoch": history.best_epoch,
            "stop_reason": history.stop_reason,
            "seconds": seconds,
            "samples_per_second": trainer.n_rows * len(history) / trained,
        },
        "test": scores,
        "machine": {
            "cpu": machine.cpu_name(),
            "usable_cores": usable_cores(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
    }
    run.write(SUMMARY, _json(summary))
    run.__dict__.pop("summary", None)
    write_model_card(run.folder)


def command_of(config: Config) -> str:
    """The command that trains the same again."""
    words = ["fastnn", "train", config.source]
    for name, value in config.model_dump(exclude_defaults=True, exclude={"source"}).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, dict):
            words += [part for key, kind in value.items() for part in (flag, f"{key}={kind}")]
        else:
            words += [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def _json(content: Any) -> str:
    return json.dumps(as_json(content), indent=1)


def _spread(prepared: Prepared) -> dict[str, Any]:
    """How the target is distributed over the rows to train on."""
    labels, target = prepared.train.labels, prepared.target
    if target.classes is not None:
        counts = np.bincount(prepared.train.y.ravel(), minlength=len(target.classes))
        return {
            "target_counts": dict(zip(map(str, target.classes), counts.tolist(), strict=True)),
            "target_quantiles": None,
        }
    values = np.asarray(labels, dtype=np.float64)
    return {"target_counts": None, "target_quantiles": np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()}


def _record_test(run: Run, prepared: Prepared, model: Model, trainer: Trainer) -> dict[str, Any]:
    """Write each test row's prediction, and the worst of them; their scores."""
    pandas = _checks.require("pandas", "tables")
    test = prepared.test
    outputs = model.net.predict_raw(test.x)
    losses = trainer.losses(test.x, test.y)
    columns = model.columns(outputs)
    truth = np.asarray(test.labels).reshape(test.n, -1)
    names = [name.replace("prediction", "truth") for name in columns if name.startswith("prediction")]
    of_truth = {name: truth[:, k] for k, name in enumerate(names)}
    table = {"row": test.numbers} | of_truth | columns | {"loss": losses}
    run.write(TEST, pandas.DataFrame(table).to_csv(index=False))

    worst = []
    for place in map(int, worst_rows(losses, _N_WORST)):
        entry = {
            "row": test.numbers[place],
            "loss": losses[place],
            "truth": ", ".join(str(values[place]) for values in of_truth.values()),
            "prediction": ", ".join(
                str(values[place]) for name, values in columns.items() if name.startswith("prediction")
            ),
        }
        if model.gives_probabilities:
            entry["probability"] = model.probabilities(outputs[place : place + 1]).max()
        worst.append(entry | shown(prepared, test, place))
    run.write(WORST, _json(worst))
    return model.scores(outputs, test.labels)


def shown(prepared: Prepared, part: Part, place: int) -> dict[str, Any]:
    """A row as a person would look at it: its values, its text, or its image."""
    kind, rows = prepared.dataset.kind, part.rows
    if kind == "table":
        row = rows.iloc[place]
        return {"values": {str(name): str(value) for name, value in row.items()}}
    if kind == "text":
        return {"text": rows[place][:_LONGEST]}
    row = rows[place]
    if isinstance(row, np.ndarray) and row.ndim < 2:
        names = prepared.encoder.feature_names
        return {"values": {name: f"{value:g}" for name, value in zip(names, row.tolist(), strict=True)}}
    return {"image": _data_uri(row)}


def _data_uri(image: Any) -> str | None:
    """An image, an array or a path, as a PNG inside a URI; None where Pillow is not installed."""
    try:
        pillow = _checks.require("PIL.Image", "images")
    except ImportError:
        return None
    if isinstance(image, np.ndarray):
        low, high = float(image.min()), float(image.max())
        if image.dtype != np.uint8:
            image = ((image - low) * (255 / max(high - low, 1e-30))).astype(np.uint8)
        picture = pillow.fromarray(image)
    else:
        picture = pillow.open(image)
        picture.thumbnail((256, 256))
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    content = io.BytesIO()
    picture.save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
