"""Recipes: how the settings of a trial become a network and its trainer."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _checks
from ..losses import Loss
from ..network.mlp import MLP
from ..optimizers import as_optimizer
from ..training.trainer import Trainer
from .space import COUNTS, DEFAULTS, Space


def searchable_arguments(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments of a class or function that are also names of DEFAULTS.

    Examples
    --------
    >>> searchable_arguments(MLP)
    ['activation', 'dropout', 'input_dropout', 'norm', 'residual', 'init']
    """
    arguments = inspect.signature(function).parameters
    return [name for name in DEFAULTS if name in arguments]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that a trainer needs except for the settings: the common part of all trials.

    Attributes
    ----------
    n_in, n_out : int
    loss : Loss
    embeddings : dict or None
    dtype : str
    seed : int
    n_threads : int or None

    Examples
    --------
    >>> trainer = Recipe(4, 2, Loss("cross_entropy")).make_trainer(DEFAULTS)
    >>> trainer.net.sizes, trainer.settings.batch_size
    ((4, 128, 2), 32)
    """

    n_in: int
    n_out: int
    loss: Loss
    embeddings: Mapping[int, tuple[int, int]] | None = None
    dtype: str = "float32"
    seed: int = 0
    n_threads: int | None = None

    def make_loss(self, settings: Mapping[str, Any]) -> Loss:
        """Return the loss with the parameters that the settings name, such as its label smoothing."""
        changes = {name: settings[name] for name in self.loss.parameters if name in settings}
        if not changes:
            return self.loss
        loss = Loss(self.loss.name, **{**self.loss.parameters, **changes})
        return loss if loss.scale == self.loss.scale else loss.scaled(self.loss.scale / loss.scale)

    def make_trainer(self, settings: Mapping[str, Any], seed: int | None = None) -> Trainer:
        """Return a new network and its trainer; the same seed gives the same bits."""
        seeds = np.random.SeedSequence(self.seed if seed is None else seed).spawn(2)
        weights_rng, order_rng = map(np.random.default_rng, seeds)
        net = MLP(
            [self.n_in, *[settings["width"]] * settings["n_layers"], self.n_out],
            **{name: settings[name] for name in searchable_arguments(MLP)},
            embeddings=self.embeddings,
            dtype=self.dtype,
            seed=weights_rng,
        )
        optimizer: Any = as_optimizer(settings["optimizer"])
        fields = {name: settings[name] for name in searchable_arguments(type(optimizer))}
        arguments = {name: settings[name] for name in searchable_arguments(Trainer)}
        arguments["optimizer"] = dataclasses.replace(optimizer, **fields)
        return Trainer(
            net, loss=self.make_loss(settings), **arguments, seed=order_rng, n_threads=self.n_threads
        )

    def check(self, space: Space) -> None:
        """Refuse values that network or trainer would refuse, before the search begins.

        Raises
        ------
        ValueError, TypeError
        """
        small = space.settings(space.initial) | {"width": 1, "n_layers": 1}
        for name, values in space.probes.items():
            for value in values:
                if name in COUNTS and value is not None:
                    _checks.check_count(f"space[{name!r}]", value)
                    continue
                try:
                    self.make_trainer(small | {name: value})
                except (ValueError, TypeError) as error:
                    raise type(error)(f"space[{name!r}]: {error}") from None
        if "label_smoothing" in space.probes and "label_smoothing" not in self.loss.parameters:
            raise ValueError(f"space has label_smoothing, which loss {self.loss.name!r} does not support.")
