"""The settings of a training: the trainer's arguments, checked here and nowhere else, then frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from ..losses import Loss, as_loss
from ..network.architecture import Architecture
from ..optimizers import LBFGS, SGD, Optimizer, as_optimizer
from ..schedules import Schedule, as_schedule
from .averages import EMA, SWA


@dataclass(frozen=True)
class Settings:
    """The arguments of :class:`fastnn.Trainer` that its results depend on, and the number of threads.

    The fields have the names of the arguments; see there for their descriptions.
    """

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    batch_size: int | None
    l1: float
    l2: float
    clip_value: float | None
    clip_norm: float | None
    accumulate: int
    max_norm: float | None
    rate_factors: dict[int | str, float]
    average: EMA | SWA | None
    class_weight: dict[int, float] | str | None
    shuffle: bool
    lazy: bool
    n_threads: int | None

    @classmethod
    def check(cls, architecture: Architecture, **given: Any) -> Settings:
        """Check the trainer's arguments, one by one and in combination, for a network of this architecture.

        Parameters
        ----------
        architecture : Architecture
        **given
            The arguments, by field name.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what the trainer describes, or cannot be combined with another.
        """
        loss = as_loss(given["loss"])
        rate_factors, average = given["rate_factors"], given["average"]
        if not isinstance(rate_factors, (Mapping, type(None))):
            raise TypeError(
                f"rate_factors must be a dict of factors by layer, got {_checks.shown(rate_factors)}."
            )
        if average is not None and not isinstance(average, (EMA, SWA)):
            raise TypeError(
                f"average must be fastnn.EMA(...) or fastnn.SWA(...), got {_checks.shown(average)}."
            )
        settings = cls(
            loss=loss,
            optimizer=as_optimizer(given["optimizer"]),
            schedule=as_schedule(given["schedule"]),
            batch_size=_checks.check_optional_count("batch_size", given["batch_size"]),
            l1=_checks.check_number("l1", given["l1"], 0.0),
            l2=_checks.check_number("l2", given["l2"], 0.0),
            clip_value=_checks.check_limit("clip_value", given["clip_value"]),
            clip_norm=_checks.check_limit("clip_norm", given["clip_norm"]),
            accumulate=_checks.check_count("accumulate", given["accumulate"]),
            max_norm=_checks.check_limit("max_norm", given["max_norm"]),
            rate_factors=_check_rate_factors(rate_factors or {}, architecture),
            average=average,
            class_weight=_check_class_weight(given["class_weight"], loss, architecture),
            shuffle=_checks.check_flag("shuffle", given["shuffle"]),
            lazy=_checks.check_flag("lazy", given["lazy"]),
            n_threads=_checks.check_optional_count("n_threads", given["n_threads"]),
        )
        settings.output_for(architecture)
        settings._check_together(architecture)
        return settings

    def output_for(self, architecture: Architecture) -> str:
        """Return the output activation that network and loss agree on.

        Raises
        ------
        ValueError
            If they disagree: the loss needs another activation or another number of outputs.
        """
        wanted, name, output = self.loss.output, self.loss.name, architecture.output
        self.loss.n_targets(architecture.sizes[-1])
        if wanted is None:
            if output == "softmax":
                raise ValueError(
                    f"loss {name!r} cannot be combined with a softmax output: use loss='cross_entropy'."
                )
            return output or "identity"
        if output not in (None, wanted):
            raise ValueError(f"loss {name!r} needs output={wanted!r}, but the network has {output!r}.")
        return wanted

    def _check_together(self, architecture: Architecture) -> None:
        """Refuse combinations that cannot be trained."""
        unlike_lbfgs: dict[str, Any] = {
            "dropout": any(architecture.dropout) or architecture.input_dropout,
            "batch normalisation": "batch" in architecture.norm,
            "l1": self.l1,
            "clip_value": self.clip_value,
            "clip_norm": self.clip_norm,
            "accumulate": self.accumulate > 1,
            "max_norm": self.max_norm,
            "rate_factors": self.rate_factors,
            "average": self.average,
            "a schedule": self.schedule != as_schedule(None),
        }
        for what, given in unlike_lbfgs.items():
            if self.is_lbfgs and given:  # it needs a deterministic, smooth cost over all rows
                raise ValueError(f"optimizer 'lbfgs' cannot be combined with {what}.")
        unlike_lazy: dict[str, Any] = {
            "optimizer 'lbfgs'": self.is_lbfgs,
            "clip_norm": self.clip_norm,
            "accumulate": self.accumulate > 1,
            "max_norm": self.max_norm,
            "embeddings, which need dense rows": architecture.embeddings,
        }
        for what, given in unlike_lazy.items():
            if self.lazy and given:  # these need the full gradient, or move all weights
                raise ValueError(f"lazy cannot be combined with {what}.")

    @property
    def is_lbfgs(self) -> bool:
        """Whether SciPy minimises the cost, instead of gradient descent."""
        return isinstance(self.optimizer, LBFGS)

    @property
    def needs_full_gradient(self) -> bool:
        """True if an update needs the gradient of all parameters at once, instead of block by block."""
        return self.clip_norm is not None or self.accumulate > 1

    @property
    def skips_absent(self) -> bool:
        """True if weights without a gradient are skipped, because they would not or must not move."""
        optimizer = self.optimizer
        is_plain = isinstance(optimizer, SGD) and optimizer.momentum == optimizer.weight_decay == 0
        return self.lazy or (is_plain and self.l1 == self.l2 == 0 and not self.needs_full_gradient)

    def rows_per_update(self, n_rows: int) -> int:
        """Return the number of rows per update, in an epoch of n_rows."""
        return min(self.batch_size or n_rows, n_rows) * self.accumulate

    def task(self, n_out: int) -> str | None:
        """Return the kind of predictions that metrics score; None if rows have no single right answer."""
        kinds = {
            "class": "multiclass",
            "labels": "multilabel" if n_out > 1 else "binary",
            "probabilities": None,
        }
        return kinds.get(self.loss.kind, "regression")

    def factors(self, n_layers: int, n_embeddings: int) -> np.ndarray:
        """Return factors on the learning rate, (n_layers + n_embeddings, 2): for weights, for the rest."""
        factors = np.ones((n_layers + n_embeddings, 2))
        for key, factor in self.rate_factors.items():
            if key == "bias":
                factors[:, 1] *= factor
            elif key == "embeddings":
                factors[n_layers:] *= factor
            else:
                factors[int(key) % n_layers] *= factor
        return factors

    def describe(self) -> dict[str, Any]:
        """Return the settings in a form that JSON can hold: numbers, names, and everything else as text."""
        return {
            name: value if isinstance(value, (int, float, str, type(None))) else repr(value)
            for name, value in vars(self).items()
        }

    def digest(self) -> dict[str, str]:
        """Return, as text, the settings that must match those of a checkpoint to resume from it."""
        # No result depends on the number of threads.
        return {name: text_of(value) for name, value in vars(self).items() if name != "n_threads"}


def text_of(value: Any) -> str:
    """Return the value as text, without the addresses of functions, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _check_rate_factors(given: Mapping[Any, Any], architecture: Architecture) -> dict[int | str, float]:
    checked: dict[int | str, float] = {}
    n_layers = len(architecture.sizes) - 1
    for key, value in given.items():
        factor = _checks.check_number(f"rate_factors[{_checks.shown(key)}]", value, 0.0)
        is_number = isinstance(key, (int, np.integer)) and not isinstance(key, bool)
        is_layer = is_number and -n_layers <= key < n_layers
        if not is_layer and key not in ("bias", "embeddings"):
            raise ValueError(
                f"rate_factors has the key {_checks.shown(key)}: expected 'bias', 'embeddings' or a layer "
                f"from {-n_layers} to {n_layers - 1}."
            )
        if key == "embeddings" and not architecture.embeddings:
            raise ValueError("rate_factors has the key 'embeddings', but the network embeds no columns.")
        checked[int(key) if is_layer else key] = factor
    return checked


def _check_class_weight(
    class_weight: Any, loss: Loss, architecture: Architecture
) -> dict[int, float] | str | None:
    if class_weight is None:
        return None
    if loss.kind not in ("class", "labels") or (loss.kind == "labels" and architecture.sizes[-1] > 1):
        raise ValueError(f"class_weight needs one class per row, but loss {loss.name!r} has other targets.")
    if isinstance(class_weight, str):
        return _checks.check_name("class_weight", class_weight, ["balanced"])
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "class_weight must be 'balanced' or a dict of weights by class, got "
            f"{_checks.shown(class_weight)}."
        )
    n_classes = architecture.n_classes
    checked = {}
    for label, weight in class_weight.items():
        if _checks.check_count("a class of class_weight", label, 0) >= n_classes:
            raise ValueError(f"class_weight names class {label}, but the classes are 0 to {n_classes - 1}.")
        checked[int(label)] = _checks.check_number(f"class_weight[{label}]", weight, 0.0)
    return checked
