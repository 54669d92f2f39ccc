"""From a configuration to encoded rows in three parts: to train on, to validate on and to test on."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._memory import memory_bytes
from ..data.arrays import ArrayEncoder
from ..data.dataset import Dataset, Encoder, name_of, take
from ..data.images import ImageEncoder
from ..data.kinds import read_source
from ..data.split import split_rows
from ..data.streams.arrays import ArrayStream
from ..data.streams.stream import Stream
from ..data.streams.tables import TableStream
from ..data.tables.encoder import TableEncoder
from ..data.tables.leaks import leaks
from ..data.target import Target, guess_task
from ..data.text import TextEncoder
from ..losses import Loss
from ..training.progress import announced
from .assembly import choose_loss
from .config import Config, unpacking

SAMPLE_ROWS = 200_000  # of a stream's training rows, for encoder and target to learn from
HELD_ROWS = 200_000  # of a stream, at most, to validate on and to test on
# Files larger than this share of the memory are streamed; compressed ones grow when they are read.
LARGE_COMPRESSED, LARGE_ARRAY = 0.05, 0.25
_COMPRESSED = (".parquet", ".arrow", ".feather")

_IMAGE_MODES = {"grey": "L", "colour": "RGB", None: None}


@dataclass
class Part:
    """Some of the rows.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Numbers of the rows in their source.
    rows, labels
        Raw rows and labels.
    x, y
        Features and targets for the network.
    stream : Stream or None
        All rows of the part where they do not fit into memory. The other attributes then hold a sample, and x
        is None.
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
    """Rows to train on, to validate on and to test on, and the encoders fitted to the training rows.

    Attributes
    ----------
    dataset : Dataset
        The rows as they were read; of a stream, a sample of the training rows.
    encoder : Encoder
    target : Target
    loss : Loss
    train : Part
    validation : Part or None
    test : Part
    notes : list of str
        Sentences on the data that the user should read.
    """

    dataset: Dataset
    encoder: Encoder
    target: Target
    loss: Loss
    train: Part
    validation: Part | None
    test: Part
    notes: list[str]

    @property
    def levels(self) -> list[float] | None:
        """Quantiles to predict, one for each output; None where it is not several of them."""
        levels = self.loss.parameters.get("levels")
        return levels if isinstance(levels, list) and len(levels) > 1 else None

    @property
    def n_in(self) -> int:
        """Number of features."""
        return self.test.x.shape[1]

    @property
    def n_out(self) -> int:
        """Number of outputs that the network needs."""
        if self.target.classes is not None:
            return 1 if self.loss.kind == "labels" else len(self.target.classes)
        return self.train.y.shape[1] if self.levels is None else len(self.levels)

    def describe(self) -> dict[str, Any]:
        """Return the facts on data, split, target and columns, for JSON."""
        return {
            "kind": self.dataset.kind,
            "target": self.target.name,
            "task": self.target.task,
            "classes": None if self.target.classes is None else list(map(str, self.target.classes)),
            "rows": {
                "train": self.train.n,
                "validation": 0 if self.validation is None else self.validation.n,
                "test": self.test.n,
            },
            "n_features": self.n_in,
            "columns": self.encoder.describe(),
            "notes": self.notes,
            **self._target_distribution(),
        }

    def _target_distribution(self) -> dict[str, Any]:
        """Count the classes, or take quartiles of the values, over the training rows."""
        classes = self.target.classes
        if classes is None:
            values = self.target.read(self.train.labels)
            quartiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
            return {"target_counts": None, "target_quantiles": quartiles}
        counts = np.bincount(self.train.y.ravel(), minlength=len(classes)).tolist()
        return {
            "target_counts": dict(zip(map(str, classes), counts, strict=True)),
            "target_quantiles": None,
        }


def prepare(config: Config, *, quiet: bool = True) -> Prepared:
    """Read the source, split it and encode its rows; nothing is learned from validation and test rows.

    Parameters
    ----------
    config : Config
    quiet : bool, default=True
        If False, steps that take long are named on stderr.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        If the source or a setting cannot be used.
    """
    with unpacking(config):
        if _is_streamed(config):
            with announced(f"reading {config.source} ...", quiet=quiet):
                return _prepare_stream(config)
        with announced(f"reading {config.source} ...", quiet=quiet):
            dataset = read_source(
                config.source,
                target=config.target,
                drop=config.drop,
                drop_missing=config.drop_missing,
                reading=config.reading,
            )
    with announced(f"encoding {dataset.n:,} rows ...", quiet=quiet):
        return _prepare_in_memory(config, dataset)


def _is_streamed(config: Config) -> bool:
    """Return whether rows are streamed: if so configured, for folders of tables, and for large files."""
    path = Path(config.source)
    if config.stream is not None or not path.exists():
        return bool(config.stream)
    memory = memory_bytes() or math.inf
    array = path / "x.npy"
    if array.exists():
        return array.stat().st_size > memory * LARGE_ARRAY
    if path.is_dir():
        return any(file.suffix in _COMPRESSED for file in path.rglob("*"))
    return path.suffix in _COMPRESSED and path.stat().st_size > memory * LARGE_COMPRESSED


# --- in memory ----------------------------------------------------------------------------------------


def _prepare_in_memory(config: Config, dataset: Dataset) -> Prepared:
    if config.group is not None and config.time is not None:
        raise ValueError("group and time cannot be combined: each is a way to split the rows.")
    groups, times = _column(dataset, config, "group"), _column(dataset, config, "time")
    if config.group is not None:  # a feature that new groups do not have
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
    rows = take(dataset.rows, split.train)
    encoder = make_encoder(config, dataset).fit(rows)
    # Classes are those of all rows, but mean and scale are of the training rows.
    known = labels if task == "classification" else dataset.y[split.train]
    target = Target(dataset.target, task).fit(known, decimal_sign=_decimal_sign(encoder))
    if target.classes is not None and len(target.classes) > max(20, len(labels) // 2):
        raise ValueError(
            f"the target {dataset.target!r} has {len(target.classes):,} different labels in {len(labels):,} "
            "rows: too few rows of each to learn from. Is it the right column?"
        )
    loss = _choose_loss(config, target)

    def encoded(numbers: np.ndarray, rows: Any, labels: np.ndarray) -> Part:
        return Part(numbers, rows, labels, encoder.transform(rows), target.encode(labels))

    def part_of(numbers: np.ndarray) -> Part:
        return encoded(numbers, take(dataset.rows, numbers), dataset.y[numbers])

    if dataset.test is None:
        test = part_of(split.test)
    else:
        test = encoded(np.arange(len(dataset.test[1])), *dataset.test)
    return Prepared(
        dataset=dataset,
        encoder=encoder,
        target=target,
        loss=loss,
        train=encoded(split.train, rows, dataset.y[split.train]),
        validation=part_of(split.validation) if len(split.validation) else None,
        test=test,
        notes=[
            *dataset.notes,
            *split.notes,
            *target.notes(labels),
            *_column_notes(encoder, rows, target.read(dataset.y[split.train])),
        ],
    )


def _column(dataset: Dataset, config: Config, setting: str) -> np.ndarray | None:
    """Return the column that a setting names to split the rows by; None if it names none."""
    name = getattr(config, setting)
    if name is None:
        return None
    if dataset.kind != "table":
        raise ValueError(f"{setting} names a column, but {dataset.name!r} is not a table.")
    _checks.check_name(setting, name, map(str, dataset.rows.columns))
    return dataset.rows[name].to_numpy()


# --- streams ------------------------------------------------------------------------------------------


def _prepare_stream(config: Config) -> Prepared:
    """Prepare rows that stay in their files; encoder and target learn from a sample of the training rows."""
    for setting in ("group", "time"):
        if getattr(config, setting) is not None:
            raise ValueError(f"{setting} cannot be combined with a stream, whose rows are split at random.")
    if config.drop_missing:
        raise ValueError("drop_missing cannot be combined with a stream, whose rows are counted beforehand.")
    stream, name = _open_stream(config)
    validation = config.validation * (1 - config.test)
    parts = stream.split(validation=validation, test=config.test, seed=config.seed)
    numbers, rows, labels = parts.train.sample(SAMPLE_ROWS, config.seed, numbers=True)
    task = config.task or guess_task(labels)
    kind = "table" if config.target is not None else "array"
    dataset = Dataset(name_of(Path(config.source)), kind, rows, labels, name)
    encoder = make_encoder(config, dataset).fit(rows)
    known = stream.distinct_labels() if task == "classification" else labels
    target = Target(name, task).fit(known, decimal_sign=_decimal_sign(encoder))
    loss = _choose_loss(config, target)
    notes = [
        f"the rows stay in their files; their encoding was learned from {len(labels):,} of them.",
        *target.notes(labels),
        *_column_notes(encoder, rows, target.read(labels)),
    ]

    def sample_of(part: Any, what: str) -> Part:
        numbers, rows, labels = part.sample(HELD_ROWS, config.seed, numbers=True)
        if len(labels) < part.n_rows:
            notes.append(f"{what} has {part.n_rows:,} rows, of which {len(labels):,} are used.")
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
        validation=None if parts.validation is None else sample_of(parts.validation, "the validation part"),
        test=sample_of(parts.test, "the test part"),
        notes=notes,
    )


def _open_stream(config: Config) -> tuple[Any, str]:
    """Open the source as a stream; return it with the name of its target."""
    path = Path(config.source)
    if path.is_dir() and (path / "x.npy").exists():
        return ArrayStream(path / "x.npy", path / "y.npy", dtype=config.dtype), "y"
    if config.target is None:
        raise ValueError(f"--target must name the column of {config.source!r} to predict.")
    options: dict[str, Any] = {"dtype": config.dtype, "reading": config.reading}
    stream = TableStream(config.source, config.target, **options)
    if config.drop:
        names = [str(name) for name in stream.sample(1)[0].columns]
        for name in config.drop:
            _checks.check_name("drop", name, names)
        columns = [name for name in names if name not in config.drop]
        stream = TableStream(config.source, config.target, columns=columns, **options)
    return stream, config.target


# --- encoding -----------------------------------------------------------------------------------------


def _choose_loss(config: Config, target: Target) -> Loss:
    """Choose the loss; a target of a loss for counts and amounts keeps its unit."""
    loss = choose_loss(config, target)
    if loss.kind in ("nonnegative", "positive"):
        n_values = len(target.mean or ())
        target.mean, target.scale = [0.0] * n_values, [1.0] * n_values
    return loss


def make_encoder(config: Config, dataset: Dataset) -> Encoder:
    """Make an encoder for rows of this kind, not fitted.

    Raises
    ------
    ValueError
        If a setting is for rows of another kind.
    """
    kind, dtype = dataset.kind, config.dtype
    if kind != "images" and (config.image_size or config.image_mode):
        raise ValueError(
            f"image_size and image_mode are for images, but {config.source!r} is of kind {kind!r}."
        )
    if kind == "table":
        return TableEncoder(columns=config.columns, dtype=dtype)
    if config.columns:
        raise ValueError(f"columns are for tables, but {config.source!r} is of kind {kind!r}.")
    if kind == "text":
        return TextEncoder(config.text_method, dtype=dtype)
    if kind == "images":
        size = config.image_size and (config.image_size, config.image_size)
        return ImageEncoder(size=size, mode=_IMAGE_MODES[config.image_mode], dtype=dtype)
    return ArrayEncoder(dtype=dtype, feature_names=dataset.feature_names)


def _decimal_sign(encoder: Encoder) -> str:
    """Return the decimal sign that a table's columns show; "" if none does."""
    return encoder.decimal_sign if isinstance(encoder, TableEncoder) else ""


def _column_notes(encoder: Encoder, rows: Any, labels: np.ndarray) -> list[str]:
    """Report the columns of a table that are left out, and those that reveal the target."""
    return [*encoder.notes(), *leaks(rows, labels)] if isinstance(encoder, TableEncoder) else []
