"""Flags of the command line: one for each setting of the configuration, and those that commands share."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

from .. import _checks

_checks.require("typer", "all")

import typer  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from .config import SOURCE, Config, make_config, panel_of, read_config  # noqa: E402

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a run, or a model file that fastnn wrote.")
]
Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="A name (digits, iris, wine, breast_cancer, diabetes, linnerud); a table (.csv, .tsv, .parquet, "
        ".feather, .xlsx, ..., also .csv.gz or .zip); a .npz with x and y; a folder with the IDX files of "
        "MNIST, with a folder of images or texts for each class, or with Parquet files.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="A .toml or .yaml file with settings; flags take precedence over it."),
]


def with_setting_flags(
    command: Callable[..., None], names: Collection[str] | None = None
) -> Callable[..., None]:
    """Add to a command a flag for each field of :class:`Config` except `source`.

    Parameters
    ----------
    command : callable
        A function of keyword-only parameters annotated for typer, and of `settings`: a dict of the flags that
        were given, by field.
    names : collection of str, optional
        Only these fields.

    Returns
    -------
    callable
        Function for ``typer.Typer.command``.
    """
    names = Config.model_fields.keys() - {"source"} if names is None else names
    flags = [_flag(name, field) for name, field in Config.model_fields.items() if name in names]
    annotations = typing.get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=annotations[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "settings"
    ]

    def run(**arguments: Any) -> None:
        given = {flag.name: arguments.pop(flag.name) for flag in flags}
        command(**arguments, settings={name: value for name, value in given.items() if value is not None})

    # typer reads the signature and the annotations.
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    vars(run)["__signature__"] = inspect.Signature([*own, *flags])
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *flags]}
    return run


def with_reading_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add to a command a flag for each setting of how a source is read; see :func:`with_setting_flags`."""
    return with_setting_flags(command, SOURCE)


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    """Make the flag of a field; its default, None, shows that it was not given."""
    default = field.get_default()
    types = {field.annotation, *typing.get_args(field.annotation)}
    is_plain = not isinstance(default, (list, dict))
    value_type: Any = next((kind for kind in (bool, int, float) if is_plain and kind in types), str)
    shown = ",".join(map(str, default)) if isinstance(default, list) else default
    text = "" if shown in (None, "", {}) or shown is False else f" [dim]\\[default: {shown}][/]"
    option = typer.Option(
        help=f"{field.description}{text}",
        rich_help_panel=panel_of(name),
        show_default=False,
        metavar="COLUMN=KIND" if isinstance(default, dict) else None,
    )
    annotation = Annotated[(list[str] if isinstance(default, dict) else value_type) | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def configuration(source: str | None, file: Path | None, settings: dict[str, Any]) -> Config:
    """Combine settings: flags take precedence over a file, and a file over the defaults.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file or a setting cannot be used.
    """
    return make_config(**given_settings(file, settings) | ({} if source is None else {"source": source}))


def given_settings(file: Path | None, settings: dict[str, Any]) -> dict[str, Any]:
    """Combine the settings of a file, if there is one, with flags, which take precedence."""
    return settings if file is None else read_config(file) | settings
