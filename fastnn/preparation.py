"""From a configuration to what a training needs: encoded rows in three parts, a network, a trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from .averaging import EMA
from .config import Config
from .data import (
    ArrayEncoder,
    Dataset,
    Encoder,
    ImageEncoder,
    TableEncoder,
    Target,
    TextEncoder,
    guess_task,
    leaks,
    read_source,
    split_rows,
    take,
)
from .losses import LOSSES, Loss
from .model import Model
from .network import MLP
from .optimizers import Optimizer, as_optimizer
from .stopping import EarlyStopping
from .trainer import Trainer

if TYPE_CHECKING:
    from .tuning import TuneResult

_IMAGE_MODES = {"grey": "L", "colour": "RGB", None: None}


@dataclass
class Part:
    """Some of the rows.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Of the rows in their source.
    rows, labels
        As they were read.
    x, y
        As the network takes them.
    """

    numbers: np.ndarray
    rows: Any
    labels: np.ndarray
    x: Any
    y: np.ndarray

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)


@dataclass
class Prepared:
    """Rows to train on, to validate on and to test with, encoded by what the first of them taught."""

    dataset: Dataset
    encoder: Encoder
    target: Target
    loss: Loss
    train: Part
    validation: Part | None
    test: Part
    notes: list[str]

    @property
    def n_out(self) -> int:
        """How many outputs the network has."""
        if self.target.classes is not None:
            return 1 if self.loss.kind == "labels" else len(self.target.classes)
        levels = self.loss.parameters.get("levels")
        return len(levels) if isinstance(levels, list) and len(levels) > 1 else self.train.y.shape[1]


def prepare(config: Config) -> Prepared:
    """Read the source, split it, and encode its rows; nothing is learnt from rows to validate or test with.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        If the source or a setting is not what is described in its place.
    """
    dataset = read_source(
        config.source, target=config.target, drop=config.drop, drop_missing=config.drop_missing
    )
    groups, times = _column(dataset, config, "group"), _column(dataset, config, "time")
    if config.group is not None:  # which would tell the group's rows apart from all others
        dataset = dataclasses.replace(dataset, rows=dataset.rows.drop(columns=config.group))
    labels = dataset.y if dataset.test is None else np.concatenate([dataset.y, dataset.test[1]])
    task = config.task or guess_task(labels)
    split = split_rows(
        dataset,
        task=task,
        test=config.test,
        validation=config.validation * (1 - config.test if dataset.test is None else 1),
        groups=groups,
        times=times,
        seed=config.seed,
    )
    # The names of all classes; but mean and scale of those rows only that are trained on.
    target = Target(dataset.target, task).fit(labels if task == "classification" else dataset.y[split.train])
    loss = choose_loss(config, target)
    rows = take(dataset.rows, split.train)
    encoder = make_encoder(config, dataset.kind).fit(rows)
    notes = [*split.notes, *_notes_of(encoder)]
    if dataset.kind == "table":
        notes += leaks(rows, dataset.y[split.train])

    def part(numbers: np.ndarray, rows: Any, labels: np.ndarray) -> Part:
        return Part(numbers, rows, labels, encoder.transform(rows), target.encode(labels))

    def own(numbers: np.ndarray) -> Part:
        return part(numbers, take(dataset.rows, numbers), dataset.y[numbers])

    test = own(split.test) if dataset.test is None else part(np.arange(len(dataset.test[1])), *dataset.test)
    return Prepared(
        dataset=dataset,
        encoder=encoder,
        target=target,
        loss=loss,
        train=part(split.train, rows, dataset.y[split.train]),
        validation=own(split.validation) if len(split.validation) else None,
        test=test,
        notes=notes,
    )


def _notes_of(encoder: Encoder) -> list[str]:
    """What an encoder has to say of columns that a person should know."""
    return encoder.notes() if isinstance(encoder, TableEncoder) else []


def _column(dataset: Dataset, config: Config, flag: str) -> np.ndarray | None:
    """Values of the column that the flag names, if it does, to split the rows by."""
    name = getattr(config, flag)
    if name is None:
        return None
    if dataset.kind != "table":
        raise ValueError(f"{flag} names a column, but {dataset.name!r} is no table.")
    _checks.check_name(flag, name, map(str, dataset.rows.columns))
    return dataset.rows[name].to_numpy()


def make_encoder(config: Config, kind: str) -> Encoder:
    """An encoder for rows of that kind, not fitted."""
    dtype = config.dtype
    if kind == "table":
        return TableEncoder(columns=config.columns, dtype=dtype)
    if config.columns:
        raise ValueError(f"columns are of tables, but {config.source!r} holds {kind}.")
    if kind == "text":
        return TextEncoder(config.text_method, dtype=dtype)
    if kind == "images":
        size = config.image_size and (config.image_size, config.image_size)
        return ImageEncoder(size=size, mode=_IMAGE_MODES[config.image_mode], dtype=dtype)
    return ArrayEncoder(dtype=dtype)


def choose_loss(config: Config, target: Target) -> Loss:
    """The loss that is asked for, or what the task needs, if it goes with the target."""
    regression = target.classes is None
    name = config.loss or ("quantile" if config.quantiles else "mse" if regression else "cross_entropy")
    _checks.check_name("loss", name, LOSSES)
    parameters: dict[str, Any] = {}
    if config.quantiles:
        if name != "quantile":
            raise ValueError(f"quantiles go with loss 'quantile', not with {name!r}.")
        parameters["levels"] = config.quantiles
    if config.label_smoothing:
        parameters["label_smoothing"] = config.label_smoothing
    loss = Loss(name, **parameters)
    if regression != loss.is_regression or loss.kind == "probabilities":
        kind = "regression" if regression else "classification"
        raise ValueError(f"loss {name!r} does not go with a {kind}.")
    if loss.kind == "labels" and len(target.classes or ()) != 2:
        n_classes = len(target.classes or ())
        raise ValueError(f"loss {name!r} needs 2 classes, but {target.name!r} has {n_classes}.")
    if loss.kind in ("nonnegative", "positive"):  # such values keep their unit
        n_values = len(target.mean or ())
        target.mean, target.scale = [0.0] * n_values, [1.0] * n_values
    return loss


def make_optimizer(config: Config) -> Optimizer:
    """The optimiser with the settings that were given."""
    optimizer: Any = as_optimizer(config.optimizer)
    fields = {field.name for field in dataclasses.fields(optimizer)}
    given = {name: getattr(config, name) for name in ("lr", "momentum", "weight_decay")}
    options = {name: value for name, value in given.items() if value is not None}
    if config.nesterov:
        options["nesterov"] = True
    for name in options:
        if name not in fields:
            raise ValueError(f"{name} does not go with optimizer {config.optimizer!r}.")
    return dataclasses.replace(optimizer, **options)


def make_model(config: Config, prepared: Prepared) -> tuple[Model, Trainer]:
    """An untrained model and its trainer."""
    activation = config.activation[0] if len(config.activation) == 1 else config.activation
    weights_seed, order_seed = np.random.SeedSequence(config.seed).spawn(2)
    net = MLP(
        [prepared.train.x.shape[1], *config.hidden, prepared.n_out],
        activation,
        dropout=config.dropout,
        norm=config.norm,
        residual=config.residual,
        embeddings=prepared.encoder.embeddings,
        dtype=config.dtype,
        seed=np.random.default_rng(weights_seed),
    )
    trainer = Trainer(
        net,
        loss=prepared.loss,
        optimizer=make_optimizer(config),
        schedule=config.schedule,
        batch_size=config.batch_size or None,
        l2=config.l2,
        clip_norm=config.clip_norm,
        average=None if config.ema is None else EMA(config.ema),
        class_weight="balanced" if config.balanced else None,
        lazy=config.lazy,
        seed=np.random.default_rng(order_seed),
        n_threads=config.threads,
    )
    return Model(net, prepared.encoder, prepared.target), trainer


def early_stopping(config: Config) -> EarlyStopping | None:
    """The rule that patience and monitor name, if any."""
    return EarlyStopping(config.monitor, patience=config.patience) if config.patience else None


# Settings that a search and a configuration know by the same name.
_SEARCHED = (
    *("activation", "dropout", "norm", "residual", "optimizer", "lr", "weight_decay", "schedule"),
    *("batch_size", "l2", "clip_norm", "label_smoothing"),
)


def search(config: Config, *, fixed: Collection[str] = (), **options: Any) -> tuple[TuneResult, Config]:
    """Search for settings with a lower cost of the validation rows; rows to test with are not looked at.

    Parameters
    ----------
    config : Config
    fixed : collection of str
        Settings that stay as they are.
    **options
        As of :func:`fastnn.tuning.tune`.

    Returns
    -------
    result : TuneResult
    config : Config
        With the settings that were found.
    """
    from .tuning import tune

    prepared = prepare(config)
    space = {name: getattr(config, name) for name in _SEARCHED if name in fixed}
    if len(config.activation) > 1 or len(set(config.hidden)) > 1:
        raise ValueError(
            "the search is for networks whose hidden layers are alike: name one width, one activation."
        )
    if "activation" in fixed:
        space["activation"] = config.activation[0]
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
    values = {name: found[name] for name in _SEARCHED} | {
        "activation": [found["activation"]],
        "hidden": [found["width"]] * found["n_layers"],
        "patience": patience,
    }
    fields = {field.name for field in dataclasses.fields(as_optimizer(found["optimizer"]))}  # type: ignore[arg-type]
    if "weight_decay" not in fields:
        values["weight_decay"] = None
    return result, config.model_copy(update=values)
