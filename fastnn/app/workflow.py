"""Training from start to end: settings in, a run's folder out."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..history import History
from ..model import CONFIG, Model
from ..network import files as model_file
from ..training.checkpoint import Checkpoint
from ..training.logs import JsonLog, TensorBoard
from ..training.trainer import Trainer
from .assembly import make_early_stopping, make_network, make_trainer
from .config import Config, to_toml
from .preparation import Prepared, prepare
from .records import record, record_model
from .runs import CHECKPOINTS, LOG, Run, check_free, new_folder


def train(
    config: Config,
    folder: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    verbose: int = 1,
    begin: Callable[[Prepared, Trainer], None] | None = None,
) -> tuple[Run, History]:
    """Train as a configuration specifies, and write the results.

    Parameters
    ----------
    config : Config
    folder : path-like, optional
        Folder of the run; by default ``runs/NAME-N``, where N is the first free number. If training fails
        before its first epoch has ended, everything that it wrote is removed again.
    resume : bool, default=False
        Continue from the newest checkpoint in the folder; the configuration may ask for more epochs.
    tensorboard : bool, default=False
        Also write logs for TensorBoard.
    verbose : int, default=1
        As in ``Trainer.fit``.
    begin : callable, optional
        Called before training, when everything has been read and checked.

    Returns
    -------
    run : Run
    history : History
        Without epochs if training was interrupted in the first; then no model is saved.

    Raises
    ------
    FileExistsError
        If there is a run in the folder already, and `resume` is False.
    DivergenceError
        If the cost becomes NaN or infinite; the last finite weights are saved.
    ValueError, TypeError, OSError, ImportError
        If the data or a setting cannot be used.
    """
    if resume:
        if folder is None:
            raise ValueError("resume needs the folder of the run.")
        Run(folder)  # raises if it is none
    elif folder is not None:
        check_free(Path(folder))
    prepared = prepare(config, quiet=not verbose)
    model, trainer = make_model(config, prepared)
    if begin is not None:
        begin(prepared, trainer)
    path = new_folder(prepared.dataset.name) if folder is None else Path(folder)
    is_new = folder is None or not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    config_before = (path / CONFIG).read_bytes() if resume else None
    entries_before = set(path.iterdir())
    try:
        model_file.write_atomically(path / CONFIG, to_toml(config).encode())
        run = Run(path)
        _fit(run, prepared, model, trainer, resume=resume, tensorboard=tensorboard, verbose=verbose)
    except BaseException:
        if not len(trainer.history):
            if config_before is not None:
                model_file.write_atomically(path / CONFIG, config_before)
            _remove(set(path.iterdir()) - entries_before)
            if is_new:
                path.rmdir()
            if folder is None and not any(path.parent.iterdir()):
                path.parent.rmdir()
        raise
    return run, trainer.history


def plan(config: Config) -> tuple[Prepared, Trainer]:
    """Read and check everything that a training needs, without training or writing anything."""
    prepared = prepare(config)
    return prepared, make_model(config, prepared)[1]


def make_model(config: Config, prepared: Prepared) -> tuple[Model, Trainer]:
    """Make an untrained model for prepared rows, and its trainer."""
    net = make_network(config, prepared.n_in, prepared.n_out, prepared.encoder.embeddings)
    trainer = make_trainer(config, net, prepared.loss)
    if prepared.levels is not None:
        net.metadata["levels"] = prepared.levels  # which name the columns of predictions
    return Model(net, prepared.encoder, prepared.target), trainer


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _fit(
    run: Run,
    prepared: Prepared,
    model: Model,
    trainer: Trainer,
    *,
    resume: bool,
    tensorboard: bool,
    verbose: int,
) -> None:
    config, train, validation = run.config, prepared.train, prepared.validation
    checkpoint = None
    if config.checkpoint_minutes:  # the last one is written at the end in any case, to continue from
        folder, minutes = run.folder / CHECKPOINTS, config.checkpoint_minutes
        checkpoint = Checkpoint(folder, every_epochs=None, every_minutes=minutes, resume=resume)
    callbacks: list[JsonLog | TensorBoard] = [JsonLog(run.folder / LOG)]
    if tensorboard:
        callbacks.append(TensorBoard(run.folder / "tensorboard"))
    started = time.perf_counter()
    try:
        trainer.fit(
            train.x if train.stream is None else train.stream,
            train.y if train.stream is None else None,
            epochs=config.epochs,
            validation_data=None if validation is None else (validation.x, validation.y),
            early_stopping=make_early_stopping(config),
            metrics=config.metrics,
            callbacks=callbacks,
            checkpoint=checkpoint,
            verbose=verbose,
        )
    except BaseException:
        if len(trainer.history):
            record_model(run, model, trainer.history)
        raise
    if len(trainer.history):
        record(run, prepared, model, trainer, time.perf_counter() - started)
