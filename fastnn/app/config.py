"""Settings of a training: one field each, read from flags or a TOML or YAML file, and saved with the run.

A field is all that a new setting needs here. `flags` makes a flag of it, and `assembly` hands it to the
parameter of that name of ``MLP``, ``Trainer``, the optimiser or the loss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from .. import _checks
from .._documents import parse_toml, parse_yaml
from .._unpack import VARIABLE, parse_size

pydantic = _checks.require("pydantic", "cli")

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field  # noqa: E402

from ..data.tables.reading import Reading  # noqa: E402
from ..evaluation import TASKS  # noqa: E402
from ..history import MONITORS  # noqa: E402
from ..kernels.hooks.rows import NORMS  # noqa: E402
from ..losses import LOSSES  # noqa: E402
from ..optimizers import OPTIMIZERS  # noqa: E402
from ..schedules import SCHEDULES  # noqa: E402


def _split(value: Any) -> Any:
    """Split a text such as 128,64 into a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    """Turn a list of texts such as age=number into a dict."""
    if isinstance(value, Mapping) or not isinstance(value, (list, tuple)):
        return value
    pairs = [text.partition("=") for text in value]
    for name, sign, _ in pairs:
        if not sign:
            raise ValueError(f"expected COLUMN=KIND, got {name!r}")
    return {name.strip(): kind.strip() for name, _, kind in pairs}


READING = tuple(field.name for field in dataclasses.fields(Reading))  # settings of that class
SOURCE = (*READING, "max_unpacked")  # settings of how a source is read

Strings = Annotated[list[str], BeforeValidator(_split)]


def _field(panel: str, default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"panel": panel}, **limits)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


class Config(BaseModel):
    """Everything that decides how a model is trained; each field is a flag of ``fastnn train``.

    Examples
    --------
    >>> Config(source="digits", hidden="64,32").hidden
    [64, 32]
    """

    model_config = ConfigDict(extra="forbid", validate_default=False)

    source: str = _field("Data", ..., "What to learn from.")
    target: str | None = _field(
        "Data", None, "Column of a table to predict; several are separated by commas."
    )
    task: str | None = _field(
        "Data", None, f"{' or '.join(TASKS)}; by default chosen by the target's values."
    )
    columns: Annotated[dict[str, str], BeforeValidator(_pairs)] = _field(
        "Data",
        {},
        "How to read a column of a table, as in zip=category: number, category, one_hot, embedding, date, "
        "text or ignore.",
    )
    drop: Strings = _field("Data", [], "Columns of a table to leave out, separated by commas.")
    drop_missing: bool = _field("Data", False, "Leave out rows whose target is missing.")
    header: bool | None = _field(
        "Reading", None, "Whether the first row of a text file or a sheet holds names; by default detected."
    )
    delimiter: str | None = _field(
        "Reading",
        None,
        "What separates fields of a text file: a character, or comma, semicolon, tab, pipe or whitespace.",
    )
    encoding: str | None = _field("Reading", None, "Encoding of a text file, as in cp1251.")
    comment: str | None = _field("Reading", None, "What lines to leave out begin with, as in '#'.")
    skip_rows: int | None = _field("Reading", None, "Lines or rows to leave out at the top.", ge=0)
    sheet: str | None = _field("Reading", None, "Name or number of a sheet of Excel.")
    missing: Strings = _field(
        "Reading", [], "More words that stand for a missing value, separated by commas, as in -999."
    )
    decimal: str | None = _field("Reading", None, "Decimal sign of the numbers in a text file: . or ,")
    max_unpacked: str | None = _field(
        "Reading", None, "Most that a compressed file may unpack to, as in 4GB; see also FASTNN_MAX_UNPACKED."
    )
    text_method: Literal["tfidf", "counts", "bag"] = _field(
        "Data",
        "tfidf",
        "How documents become vectors: tfidf, counts, or bag, the mean of learned word vectors.",
    )
    image_size: int | None = _field("Data", None, "Height and width to which images are scaled.", ge=1)
    image_mode: Literal["grey", "colour"] | None = _field(
        "Data", None, "Read images as grey or colour; by default as in their files."
    )
    stream: bool | None = _field(
        "Data", None, "Read the rows in blocks while training; by default where memory is short."
    )

    test: float = _field("Split", 0.2, "Share of the rows to test on.", gt=0, lt=1)
    validation: float = _field("Split", 0.1, "Share of the training rows to validate on.", ge=0, lt=1)
    group: str | None = _field("Split", None, "Column whose rows of equal value stay in the same part.")
    time: str | None = _field("Split", None, "Column to split by: train on the earliest, test on the latest.")
    seed: int = _field("Split", 0, "Seed of the split, the weights and the shuffling.", ge=0)

    hidden: Annotated[list[int], BeforeValidator(_split)] = _field(
        "Network", [128], "Widths of the hidden layers, as in 128,64."
    )
    activation: Strings = _field(
        "Network", ["relu"], "Activation of the hidden layers, one for all or one for each."
    )
    dropout: float = _field("Network", 0.0, "Share of the hidden outputs to drop in training.", ge=0, lt=1)
    norm: str | None = _field("Network", None, f"Normalisation of the hidden layers: {_names(NORMS)}.")
    residual: bool = _field(
        "Network", False, "Add connections around hidden layers that are as wide as their input."
    )
    dtype: str = _field("Network", "float32", f"Number format of the network: {_names(_checks.DTYPES)}.")

    loss: str | None = _field("Training", None, f"Loss, by default chosen by the task: {_names(LOSSES)}.")
    quantiles: Annotated[list[float], BeforeValidator(_split)] = _field(
        "Training", [], "Levels to predict with --loss quantile, as in 0.1,0.5,0.9."
    )
    label_smoothing: float = _field("Training", 0.0, "Label smoothing of a cross-entropy loss.", ge=0, lt=1)
    optimizer: str = _field("Training", "adam", f"Optimiser: {_names(OPTIMIZERS)}.")
    lr: float | None = _field("Training", None, "Learning rate; by default the optimiser's own.", gt=0)
    momentum: float | None = _field("Training", None, "Momentum of sgd or rmsprop.", ge=0)
    nesterov: bool = _field("Training", False, "Use Nesterov's momentum with sgd.")
    weight_decay: float | None = _field(
        "Training", None, "Decoupled weight decay, for adamw, lion and others.", ge=0
    )
    l2: float = _field("Training", 0.1, "Strength of the L2 penalty.", ge=0)
    schedule: str | None = _field("Training", None, f"Schedule of the learning rate: {_names(SCHEDULES)}.")
    batch_size: int = _field("Training", 32, "Rows per step; 0 for all of them.", ge=0)
    epochs: int = _field("Training", 30, "Number of passes over the training rows.", ge=1)
    patience: int = _field(
        "Training",
        0,
        "Stop after this many epochs without improvement and keep the best weights; 0 for never.",
        ge=0,
    )
    monitor: str = _field(
        "Training",
        "val_cost",
        f"What patience watches: {_names(MONITORS)}, or a further metric, as in val_r2.",
    )
    metrics: Strings = _field("Training", [], "Further scores of each epoch, by scikit-learn's names.")
    balanced: bool = _field("Training", False, "Give every class the same weight.")
    clip_norm: float | None = _field("Training", None, "Scale gradients down to this norm.", gt=0)
    ema: float | None = _field("Training", None, "Average the weights with this decay.", gt=0, lt=1)
    lazy: bool = _field("Training", False, "For text: leave the weights of words that a batch lacks alone.")
    threads: int | None = _field("Training", None, "Threads to use; by default all usable cores.", ge=1)
    checkpoint_minutes: float = _field("Training", 5.0, "Minutes between checkpoints; 0 for none.", ge=0)

    @property
    def reading(self) -> Reading:
        """How the source is written."""
        return Reading(**{name: getattr(self, name) for name in READING})


@contextlib.contextmanager
def unpacking(config: Config) -> Iterator[None]:
    """Within a block, allow compressed files to unpack to what the configuration says."""
    before = os.environ.get(VARIABLE)
    if config.max_unpacked is not None:
        os.environ[VARIABLE] = config.max_unpacked
    try:
        yield
    finally:
        if config.max_unpacked is not None:
            os.environ.pop(VARIABLE)
            if before is not None:
                os.environ[VARIABLE] = before


def panel_of(name: str) -> str:
    """Return the group of a setting, under which help lists it.

    Examples
    --------
    >>> panel_of("epochs")
    'Training'
    """
    return cast(dict[str, str], Config.model_fields[name].json_schema_extra)["panel"]


def make_config(**values: Any) -> Config:
    """Check settings; errors are one sentence.

    Raises
    ------
    ValueError
        If a field cannot take its value, or there is no such field.

    Examples
    --------
    >>> make_config(source="iris", epochs="many")
    Traceback (most recent call last):
        ...
    ValueError: epochs: input should be a valid integer, unable to parse string as an integer, got 'many'.
    """
    for name in values:
        _checks.check_name("a setting", name, Config.model_fields)
    try:
        config = Config(**values)
    except pydantic.ValidationError as problem:
        error = problem.errors()[0]
        if error["type"] == "missing":
            raise ValueError(f"{error['loc'][0]} is missing: name what to learn from.") from None
        field = ".".join(map(str, error["loc"]))
        text = error["msg"].removeprefix("Value error, ")
        got = "" if error["type"] == "value_error" else f", got {_checks.shown(error['input'])}"
        raise ValueError(f"{field}: {text[0].lower()}{text[1:]}{got}.") from None
    _ = config.reading  # raises on what cannot be used
    if config.max_unpacked is not None:
        parse_size("max_unpacked", config.max_unpacked)
    return config


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the settings in a TOML or YAML file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a TOML or YAML file of settings.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no configuration file {str(path)!r}.")
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise ValueError(f"{str(path)!r} has the ending {path.suffix!r}: expected .toml, .yaml or .yml.")
    try:
        text = path.read_text("utf-8")
        values = parse_toml(text) if path.suffix == ".toml" else parse_yaml(text) or {}
    except ValueError as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise ValueError(f"{str(path)!r} cannot be read: {error}.") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ValueError(f"{str(path)!r} holds no settings: expected lines such as epochs = 50.")
    for name in values:
        _checks.check_name(f"a setting in {str(path)!r}", name, Config.model_fields)
    return values


def to_toml(config: Config) -> str:
    """Write the settings that are not None as TOML."""
    return _checks.require("tomli_w", "cli").dumps(config.model_dump(exclude_none=True))


def to_command(config: Config) -> str:
    """Write the command that trains with these settings.

    Examples
    --------
    >>> to_command(make_config(source="flowers.csv", target="kind", hidden=[64, 32], residual=True))
    'fastnn train flowers.csv --target kind --hidden 64,32 --residual'
    """
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
