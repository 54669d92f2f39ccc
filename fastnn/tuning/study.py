"""Optuna's studies: opening the storage and the study in it, pruners, and errors in plain words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import _checks

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

PRUNERS = ("median", "hyperband", "halving", "none")
LOCK_SECONDS = 60.0  # how long a write waits for another one


def import_optuna() -> ModuleType:
    """Import Optuna, or raise an ImportError that says how to install it."""
    return _checks.require("optuna", "tune")


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log, and the warnings of interrupted trials."""
    optuna = import_optuna()
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "Training was interrupted")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@contextlib.contextmanager
def storage_errors(storage: str | os.PathLike[str] | None) -> Iterator[None]:
    """Turn failures of the storage's file into an OSError of one or two sentences."""
    if storage is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError

    optuna = import_optuna()
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
        reason = getattr(cause, "orig", None) or error
        raise OSError(
            f"the search cannot continue with storage {str(storage)!r}: {reason}. Its trials are kept: "
            "once the problem is solved, the same call continues with them."
        ) from error


@contextlib.contextmanager
def open_storage(storage: str | os.PathLike[str] | None) -> Iterator[BaseStorage | None]:
    """Open an SQLite file for Optuna, creating it if necessary; None stays None.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
    """
    if storage is None:
        yield None
        return
    path = _checks.check_path("storage", storage)
    _check_file(path, os.fspath(storage))

    def connect() -> sqlite3.Connection:
        connection = _connect(path, timeout=LOCK_SECONDS, check_same_thread=False)
        # Each report is a commit. With a log, those need not wait for the disk, and a kill loses none.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    try:  # a path in the address would have to be quoted, in ways that differ
        opened = import_optuna().storages.RDBStorage(
            "sqlite:///search.db", engine_kwargs={"creator": connect}
        )
    except RuntimeError as error:
        raise ValueError(f"storage {str(path)!r}: {error}") from error
    try:
        yield opened
    finally:
        opened.engine.dispose()  # which writes the log into the file; using the study opens it again


def _connect(path: Path, **options: Any) -> sqlite3.Connection:
    """Open the file of that very name: SQLite takes "file:a?mode=ro" for an address, ":memory:" for none."""
    return sqlite3.connect(path.absolute(), **options)


def _check_file(path: Path, given: str) -> None:
    """Raise unless the path is of one of Optuna's files, or of a new one in a folder that exists."""
    name = repr(given)
    if not path.parent.is_dir():
        if "://" in given:
            raise ValueError(f"storage must be the path of an SQLite file, not an address, got {name}.")
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} for the storage.")
    if path.is_dir():
        raise IsADirectoryError(f"storage {name} is a folder, expected an SQLite file.")
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise ValueError(f"storage {name} is not an SQLite file.")
    with contextlib.closing(_connect(path)) as connection, contextlib.suppress(sqlite3.Error):
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if tables and not {"studies", "trials"} <= tables:
            raise ValueError(f"storage {name} is an SQLite file of another program, not of Optuna.")


def open_study(
    storage: BaseStorage | None,
    study_name: str,
    pruner: BasePruner,
    facts: Mapping[str, Any],
    searched: Collection[str],
) -> Study:
    """Return the study, new or as the storage holds it, with trials that a kill interrupted marked as failed.

    Parameters
    ----------
    storage : BaseStorage or None
    study_name : str
    pruner : BasePruner
    facts : mapping
        Arguments that a search must repeat to continue with the trials in the storage.
    searched : collection of str
        Names of the settings that are searched.

    Raises
    ------
    ValueError
        If the study in the storage is of another search, or `study_name` holds half of a surrogate pair.
    TypeError
        If `study_name` is not a string with at least one character.
    """
    if not isinstance(study_name, str) or not study_name:
        raise TypeError(f"study_name must be a non-empty string, got {_checks.shown(study_name)}.")
    if study_name.encode(errors="ignore").decode() != study_name:
        raise ValueError(f"study_name holds half of a surrogate pair, got {_checks.shown(study_name)}.")
    optuna = import_optuna()
    try:
        study = optuna.create_study(
            storage=storage, study_name=study_name, pruner=pruner, load_if_exists=True, direction="minimize"
        )
    except optuna.exceptions.OptunaError as error:
        if isinstance(error, optuna.exceptions.StorageInternalError):
            raise
        raise ValueError(f"study {study_name!r} of the storage is not of this search: {error}") from error
    stored = study.user_attrs.get("facts")
    if stored is None:
        if study.get_trials(deepcopy=False):
            raise ValueError(
                f"study {study_name!r} of the storage was not made by fastnn: use another study_name or file."
            )
        study.set_user_attr("searched", list(searched))
        study.set_user_attr("facts", dict(facts))
    else:
        _check_facts(study_name, stored, facts)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _check_facts(study_name: str, stored: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        if stored.get(name) != value:
            values = "" if name == "data" else f": {stored.get(name)}, now {value}"
            raise ValueError(
                f"study {study_name!r} of the storage is of a search with different {name}{values}. "
                "Use another study_name or file."
            )


def make_pruner(name: str, epochs: int) -> BasePruner:
    """Return the pruner of that name for trials of a number of epochs."""
    pruners = import_optuna().pruners
    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 5)
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, epochs // 10), max_resource=epochs)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 10))
    return pruners.NopPruner()
