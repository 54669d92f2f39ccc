"""From a configuration to the objects that train: loss, optimiser, network, trainer, early stopping.

A setting is passed to the parameter of the same name automatically. Only settings whose name or form differs
from the parameter's are mentioned here.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from .. import _checks
from ..data.target import Target
from ..losses import LOSSES, Loss
from ..network.mlp import MLP
from ..optimizers import OPTIMIZERS, Optimizer, as_optimizer
from ..training.averages import EMA
from ..training.stopping import EarlyStopping
from ..training.trainer import Trainer
from .config import Config


def _settings_of(function: Callable[..., Any], config: Config) -> dict[str, Any]:
    """Return the settings that are named like a parameter of `function`."""
    names = inspect.signature(function).parameters
    return {name: getattr(config, name) for name in Config.model_fields if name in names}


def _given_settings(names: Collection[str], config: Config) -> dict[str, Any]:
    """Return the settings of these names that differ from their defaults."""
    return {
        name: getattr(config, name)
        for name, field in Config.model_fields.items()
        if name in names and getattr(config, name) != field.default
    }


def choose_loss(config: Config, target: Target) -> Loss:
    """Make the configured loss or, without one, the loss of the task.

    Raises
    ------
    ValueError
        If the loss cannot be combined with the target or with a setting.
    """
    is_regression = target.classes is None
    name = config.loss or ("quantile" if config.quantiles else "mse" if is_regression else "cross_entropy")
    _checks.check_name("loss", name, LOSSES)
    parameters = _given_settings({key for info in LOSSES.values() for key in info.parameters}, config)
    if config.quantiles:
        if name != "quantile":
            raise ValueError(f"quantiles need loss 'quantile', but loss is {name!r}.")
        parameters["levels"] = config.quantiles
    loss = Loss(name, **parameters)
    if is_regression != loss.is_regression or loss.kind == "probabilities":
        task = "regression" if is_regression else "classification"
        raise ValueError(f"loss {name!r} cannot be used for {task}.")
    if loss.kind == "labels" and len(target.classes or ()) != 2:
        n_classes = len(target.classes or ())
        raise ValueError(f"loss {name!r} needs 2 classes, but {target.name!r} has {n_classes}.")
    return loss


def make_optimizer(config: Config) -> Optimizer:
    """Make the optimiser with the settings that were given.

    Raises
    ------
    ValueError
        If the optimiser does not have one of them.
    """
    options = _given_settings(optimizer_settings(), config)
    for name in options:
        if name not in optimizer_settings(config.optimizer):
            raise ValueError(f"{name} cannot be combined with optimizer {config.optimizer!r}.")
    return dataclasses.replace(as_optimizer(config.optimizer), **options)  # type: ignore[type-var]


def optimizer_settings(*names: str) -> set[str]:
    """Return what can be set of the optimisers with these names, or of any if none is given."""
    optimizers = map(as_optimizer, names or OPTIMIZERS)
    return {field.name for optimizer in optimizers for field in dataclasses.fields(optimizer)}  # type: ignore[arg-type]


def _generators(config: Config) -> list[np.random.Generator]:
    """Make the generators of the first weights and of the order of the rows."""
    return list(map(np.random.default_rng, np.random.SeedSequence(config.seed).spawn(2)))


def make_network(
    config: Config, n_in: int, n_out: int, embeddings: Mapping[int, tuple[int, int]] | None = None
) -> MLP:
    """Make an untrained network with these numbers of features and outputs."""
    activation = config.activation[0] if len(config.activation) == 1 else config.activation
    differing = {"activation": activation, "embeddings": embeddings, "seed": _generators(config)[0]}
    return MLP([n_in, *config.hidden, n_out], **_settings_of(MLP, config) | differing)


def make_trainer(config: Config, net: MLP, loss: Loss) -> Trainer:
    """Make the trainer of a network."""
    differing = {
        "loss": loss,
        "optimizer": make_optimizer(config),
        "batch_size": config.batch_size or None,
        "average": None if config.ema is None else EMA(config.ema),
        "class_weight": "balanced" if config.balanced else None,
        "seed": _generators(config)[1],
        "n_threads": config.threads,
    }
    return Trainer(net, **_settings_of(Trainer, config) | differing)


def make_early_stopping(config: Config) -> EarlyStopping | None:
    """Make the rule that patience and monitor describe, if there is one.

    Raises
    ------
    ValueError
        If it watches validation rows, and there are none.
    """
    if config.patience and config.monitor.startswith("val_") and not config.validation:
        raise ValueError(
            f"patience watches {config.monitor!r}, but validation is 0: set rows aside to validate on, "
            "or let monitor be 'cost'."
        )
    return EarlyStopping(config.monitor, patience=config.patience) if config.patience else None
