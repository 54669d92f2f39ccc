"""A search for good settings, from a configuration to a configuration: ``fastnn tune``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection
from typing import Any

from ..tuning.result import TuneResult
from ..tuning.search import tune
from ..tuning.space import DEFAULTS
from .assembly import optimizer_settings
from .config import Config, panel_of
from .preparation import prepare

# Settings of network and training that trials use under another name, or that are of no use to them.
_KNOWN = {"hidden", "quantiles", "balanced", "threads", "checkpoint_minutes"}


def search(config: Config, *, fixed: Collection[str] = (), **options: Any) -> tuple[TuneResult, Config]:
    """Search for settings with a lower cost of the validation rows; the test rows are not used.

    Parameters
    ----------
    config : Config
    fixed : collection of str
        Settings that keep their values.
    **options
        As in :func:`fastnn.tuning.tune`.

    Returns
    -------
    result : TuneResult
    config : Config
        With the settings that were found.

    Warns
    -----
    UserWarning
        If there are settings that the trials do not use.

    Raises
    ------
    ValueError
        If the rows are streamed, or the hidden layers are given and differ.
    """
    if len(config.activation) > 1 or len(set(config.hidden)) > 1:
        raise ValueError(
            "a search needs hidden layers that are alike: give one width for all, and one activation."
        )
    if not config.hidden:
        raise ValueError("a search needs at least one hidden layer.")
    shared = [name for name in DEFAULTS if name in Config.model_fields]
    ignored = [
        name
        for name in Config.model_fields
        if panel_of(name) in ("Network", "Training")
        and name not in {*shared, *inspect.signature(tune).parameters, *_KNOWN}
        and getattr(config, name) != Config.model_fields[name].default
    ]
    if ignored:
        warnings.warn(
            f"the trials do not use {', '.join(ignored)}; the settings that are found include them.",
            stacklevel=2,
        )
    prepared = prepare(config)
    if prepared.train.stream is not None:
        raise ValueError("a search needs its rows in memory: give it fewer of them, or --no-stream.")
    space = {name: getattr(config, name) for name in shared if name in fixed}
    if "activation" in fixed:
        space["activation"] = config.activation[0]
    if "batch_size" in fixed:
        space["batch_size"] = config.batch_size or None
    if "hidden" in fixed:
        space |= {"n_layers": len(config.hidden), "width": config.hidden[0]}
    if config.balanced:
        space["class_weight"] = "balanced"
    validation = prepared.validation
    patience = config.patience or max(5, config.epochs // 5)
    result = tune(
        prepared.train.x,
        prepared.train.y,
        loss=prepared.loss,
        n_out=prepared.n_out,
        validation_data=None if validation is None else (validation.x, validation.y),
        epochs=config.epochs,
        patience=patience,
        space=space,
        embeddings=prepared.encoder.embeddings,
        dtype=config.dtype,
        seed=config.seed,
        n_threads=config.threads,
        **options,
    )
    found = result.settings
    values = {name: found[name] for name in shared} | {
        "activation": [found["activation"]],
        "batch_size": found["batch_size"] or 0,
        "hidden": [found["width"]] * found["n_layers"],
        "patience": patience,
    }
    lacking = optimizer_settings() - optimizer_settings(found["optimizer"])
    values |= {name: Config.model_fields[name].default for name in values if name in lacking}
    return result, config.model_copy(update=values)
