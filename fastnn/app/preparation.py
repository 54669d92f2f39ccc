"""From a configuration to what a training needs: encoded rows in three parts, a network, a trainer."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from ..data import (
    ArrayEncoder,
    ArrayStream,
    Dataset,
    Encoder,
    ImageEncoder,
    Stream,
    TableEncoder,
    TableStream,
    Target,
    TextEncoder,
    guess_task,
    leaks,
    name_of,
    read_source,
    split_rows,
    take,
)
from ..losses import LOSSES, Loss
from ..model import Model
from ..network.mlp import MLP
from ..optimizers import Optimizer, as_optimizer
from ..training.averages import EMA
from ..training.stopping import EarlyStopping
from ..training.trainer import Trainer
from .config import Config

if TYPE_CHECKING:
    from ..tuning.search import TuneResult

SAMPLE_ROWS = 200_000  # of a stream, for encoder and target to learn from
HELD_ROWS = 200_000  # of a stream, at most, to validate on and to test with
# Shares of the memory from which on files are streamed: compressed ones, and arrays.
LARGE, LARGE_ARRAY = 0.05, 0.25
_STREAMED = (".parquet", ".arrow", ".feather")

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
    stream : Stream or None
        Of all rows of the part, where there are more than can be held: the others are then a sample, and
        x is None.
    """

    numbers: np.ndarray
    rows: Any
    labels: np.ndarray
    x: Any
    y: np.ndarray
    stream: Stream | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels) if self.stream is None else self.stream.n_rows


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
    if _is_stream(config):
        return _prepare_stream(config)
    dataset = read_source(
        config.source, target=config.target, drop=config.drop, drop_missing=config.drop_missing
    )
    if config.group is not None and config.time is not None:
        raise ValueError("group and time are two ways to split the rows: give one of them.")
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
    if target.classes is not None and len(target.classes) > max(20, len(labels) // 2):
        raise ValueError(
            f"the target {dataset.target!r} has {len(target.classes):,} different labels in {len(labels):,} "
            "rows: too few rows of each to learn from; is it the column that was meant?"
        )
    loss = choose_loss(config, target)
    rows = take(dataset.rows, split.train)
    encoder = make_encoder(config, dataset).fit(rows)
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


def _is_stream(config: Config) -> bool:
    """Whether the rows are to come in blocks: if that is said, of folders of tables, and of large files."""
    path = Path(config.source)
    if config.stream is not None or not path.exists():
        return bool(config.stream)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else np.inf
    array = path / "x.npy"
    if array.exists():
        return array.stat().st_size > memory * LARGE_ARRAY
    if path.is_dir():
        return any(file.suffix in _STREAMED for file in path.rglob("*"))
    return path.suffix in _STREAMED and path.stat().st_size > memory * LARGE


def _prepare_stream(config: Config) -> Prepared:
    """The same with rows that stay in their files: what encodes them learns from a sample of the training."""
    for flag in ("group", "time"):
        if getattr(config, flag) is not None:
            raise ValueError(f"{flag} does not go with a stream, whose rows are split at random.")
    if config.drop_missing:
        raise ValueError("drop_missing does not go with a stream, whose rows are counted before.")
    stream, name = _open_stream(config)
    rest = 1 - config.test
    parts = stream.split(validation=config.validation * rest, test=config.test, seed=config.seed)
    numbers, rows, labels = parts.train.sample(SAMPLE_ROWS, config.seed, numbers=True)
    task = config.task or guess_task(labels)
    target = Target(name, task).fit(stream.distinct_labels() if task == "classification" else labels)
    loss = choose_loss(config, target)
    kind = "table" if config.target is not None else "array"
    dataset = Dataset(name_of(Path(config.source)), kind, rows, labels, name)
    encoder = make_encoder(config, dataset).fit(rows)
    notes = [
        f"the rows stay in their files; what encodes them was learnt from {len(labels):,} of them.",
        *_notes_of(encoder),
    ]
    if kind == "table":
        notes += leaks(rows, labels)

    def held(part: Any, what: str) -> Part:
        numbers, rows, labels = part.sample(HELD_ROWS, config.seed, numbers=True)
        if len(labels) < part.n_rows:
            notes.append(f"{what} has {part.n_rows:,} rows, of which {len(labels):,} are taken.")
        return Part(numbers, rows, labels, encoder.transform(rows), target.encode(labels))

    return Prepared(
        dataset=dataset,
        encoder=encoder,
        target=target,
        loss=loss,
        train=Part(
            *(numbers, rows, labels, None, target.encode(labels)),
            stream=parts.train.encoded(encoder, target),
        ),
        validation=None if parts.validation is None else held(parts.validation, "the validation part"),
        test=held(parts.test, "the test part"),
        notes=notes,
    )


def _open_stream(config: Config) -> tuple[Any, str]:
    """Rows of the source in blocks, and what their target is called."""
    path = Path(config.source)
    if path.is_dir() and (path / "x.npy").exists():
        return ArrayStream(path / "x.npy", path / "y.npy", dtype=config.dtype), "y"
    if config.target is None:
        raise ValueError(f"say which column of {config.source!r} is the target.")
    stream = TableStream(config.source, config.target, dtype=config.dtype)
    if config.drop:
        names = [str(name) for name in stream.sample(1)[0].columns]
        for name in config.drop:
            _checks.check_name("a column to leave out", name, names)
        columns = [name for name in names if name not in config.drop]
        stream = TableStream(config.source, config.target, columns=columns, dtype=config.dtype)
    return stream, config.target


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


def make_encoder(config: Config, dataset: Dataset) -> Encoder:
    """An encoder for such rows, not fitted."""
    kind, dtype = dataset.kind, config.dtype
    if kind != "images" and (config.image_size or config.image_mode):
        raise ValueError(f"image_size and image_mode are of images, but {config.source!r} holds {kind}.")
    if kind == "table":
        return TableEncoder(columns=config.columns, dtype=dtype)
    if config.columns:
        raise ValueError(f"columns are of tables, but {config.source!r} holds {kind}.")
    if kind == "text":
        return TextEncoder(config.text_method, dtype=dtype)
    if kind == "images":
        size = config.image_size and (config.image_size, config.image_size)
        return ImageEncoder(size=size, mode=_IMAGE_MODES[config.image_mode], dtype=dtype)
    return ArrayEncoder(dtype=dtype, feature_names=dataset.feature_names)


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
        [prepared.test.x.shape[1], *config.hidden, prepared.n_out],
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
    levels = prepared.loss.parameters.get("levels")
    if isinstance(levels, list) and len(levels) > 1:
        net.metadata["levels"] = levels  # by which predictions are named
    return Model(net, prepared.encoder, prepared.target), trainer


def early_stopping(config: Config) -> EarlyStopping | None:
    """The rule that patience and monitor name, if any."""
    if config.patience and config.monitor.startswith("val_") and not config.validation:
        raise ValueError(
            f"patience watches {config.monitor!r}, but validation is 0: set rows aside to validate on, "
            "or let monitor be 'cost'."
        )
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
    from ..tuning.search import tune

    prepared = prepare(config)
    if prepared.train.stream is not None:
        raise ValueError("the search needs its rows in memory: take a part of them, or --no-stream.")
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
