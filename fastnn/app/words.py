"""Sentences and tables of the command line; commands say them, and compute nothing here."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _checks
from ..data.tables.notes import list_some

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table
    from rich.text import Text

    from ..history import History
    from ..training.trainer import Trainer
    from .preparation import Prepared
    from .runs import Run

MOST_COLUMNS = 40  # of a table to list before training; --dry-run and the report list them all
_MOST_CLASSES = 8  # named in a sentence on the target
_MOST_LETTERS = 60  # of a name
_ANY_WIDTH = 100_000  # of a table that goes into a file
_NARROW = 90  # columns of a terminal on which figures leave their place to words
_TEXT_COLUMNS = ("read as", "encoding", "why")  # aligned to the left
_TITLES = {"kind": "read as", "note": "why"}


def print_status(text: str) -> None:
    """Print a line on stderr: stdout is for results."""
    print(printable(text), file=sys.stderr)


def printable(text: str, n_letters: int | None = None) -> str:
    r"""Return text that may be from data as a terminal may show it: in one line, and cut if it is longer.

    Examples
    --------
    >>> print(printable("a\x1b[31m\n"), printable("abc", 2))
    a\x1b[31m\n ab…
    """
    text = text if n_letters is None or len(text) <= n_letters else f"{text[:n_letters]}…"
    return _checks.escaped(text)


def print_content(
    content: Table | str, *, stderr: bool = False, wrap: bool = True, style: str | None = None
) -> None:
    """Print a table or a text; without `wrap`, lines may be longer than the terminal."""
    console(stderr=stderr, soft_wrap=not wrap).print(content, style=style)


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Make a console of rich; in a file its lines may be of any length, unless COLUMNS limits them.

    Names of columns and classes may hold anything: brackets are no marks of rich.
    """
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _ANY_WIDTH
    return made


def error_sentence(error: Exception) -> str:
    """Put an error into one line; what the system refuses, without its numbers."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{str(error.filename)!r} cannot be read or written: {error.strerror}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return " ".join(str(error).split())


# --- training -----------------------------------------------------------------------------------------


def plan_sentence(prepared: Prepared, trainer: Trainer) -> str:
    """Say what is about to be trained on how many rows."""
    train, validation, net = prepared.train, prepared.validation, trainer.net
    between = "" if validation is None else f", {validation.n:,} to validate on"
    name = printable(prepared.dataset.name, _MOST_LETTERS)
    return (
        f"{name}: {train.n:,} rows to train on{between}, {prepared.test.n:,} to test on; "
        f"network {'-'.join(map(str, net.sizes))} ({net.n_params:,} parameters), {trainer.settings.loss.name}"
    )


def target_sentence(facts: Mapping[str, Any]) -> str:
    """Say what is to be predicted, and how it is distributed over the training rows."""
    name, counts = printable(str(facts["target"]), _MOST_LETTERS), facts["target_counts"]
    if counts is None:
        low, _, middle, _, high = facts["target_quantiles"]
        return f"target {name}: regression, {low:g} to {high:g}, half of the rows below {middle:g}"
    total, frequent = max(1, sum(counts.values())), sorted(counts, key=counts.__getitem__, reverse=True)
    shares = [f"{printable(label, _MOST_LETTERS)} ({counts[label] / total:.1%})" for label in frequent]
    return f"target {name}: classification, {len(counts):,} classes: {list_some(shares, _MOST_CLASSES)}"


def columns_table(columns: Sequence[Mapping[str, Any]], *names: str, width: int = _ANY_WIDTH) -> Table:
    """List the columns of a table, and how the encoder that described them reads each.

    Parameters
    ----------
    columns : sequence of dict
        As :meth:`fastnn.data.Encoder.describe` returns them.
    names : str
        Keys of what is shown.
    width : int
        Number of characters of a line; where there are few, some of the figures are left out.
    """
    shown = names if width >= _NARROW else [n for n in names if n not in ("features", "missing", "distinct")]
    table = _table(*(_TITLES.get(name, name) for name in shown))
    for column in columns:
        table.add_row(*(_cell(column.get(name, ""), name == "column") for name in shown))
    return table


def print_columns(columns: Sequence[Mapping[str, Any]], *names: str, stderr: bool = False) -> None:
    """Print a table of :func:`columns_table` that fits the terminal."""
    to = console(stderr=stderr)
    to.print(columns_table(columns, *names, width=to.width))


def _cell(value: Any, is_name: bool) -> Text:
    """Return the cell of a table; brackets in it are no marks."""
    from rich.text import Text

    if not isinstance(value, str):
        return Text(f"{value:,}")
    return Text(printable(value, _MOST_LETTERS if is_name else None))


def plan(prepared: Prepared, trainer: Trainer) -> dict[str, Any]:
    """Collect what ``fastnn train --dry-run --json`` prints."""
    net = trainer.net
    return {
        "name": prepared.dataset.name,
        **prepared.describe(),
        "network": {"sizes": list(net.sizes), "parameters": net.n_params},
        "loss": trainer.settings.loss.name,
    }


def print_plan(prepared: Prepared, trainer: Trainer, *, as_json: bool, quiet: bool) -> None:
    """Print the result of a dry run: what a training would do with the data."""
    facts = plan(prepared, trainer)
    if as_json:
        print(json.dumps(facts))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have letters that its encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    print(plan_sentence(prepared, trainer))
    print(target_sentence(facts))
    if not quiet:
        print_columns(facts["columns"], *facts["columns"][0])
    for note in prepared.notes:
        print(f"Note: {note}")


def test_sentence(scores: Mapping[str, Mapping[str, float]], history: History) -> str:
    """Say how good the model is on the test rows, and how long it was trained."""
    metric = history.metric_name
    score, n_epochs = scores[metric], len(history)
    reason = "" if history.stop_reason == "epochs" else f" ({history.stop_reason})"
    return (
        f"test {metric} {score['value']:.4f} (95 % interval {score['low']:.4f} to {score['high']:.4f}) after "
        f"{n_epochs} epoch{'s' * (n_epochs != 1)}{reason}"
    )


def result(run: Run, history: History, seconds: float) -> dict[str, Any]:
    """Collect what ``fastnn train --json`` prints."""
    last = history.epochs[-1]
    return {
        **{f"test_{name}": score["value"] for name, score in run.summary["test"].items()},
        "train_loss": last.cost,
        f"train_{history.metric_name}": last.metric,
        "epochs": len(history),
        "stop_reason": history.stop_reason,
        "seconds": seconds,
        "samples_per_second": run.summary["training"]["samples_per_second"],
        "parameters": run.summary["network"]["n_params"],
        "seed": run.config.seed,
        "run": str(run.folder),
        "model": str(run.model_file),
    }


def resume_sentence(reason: str, run: Path) -> str:
    """Say how a training that did not end continues."""
    return f"{reason}: continue with fastnn train --resume {run}."


# --- models -------------------------------------------------------------------------------------------


def scores_table(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """List scores with their intervals."""
    table = _table("score", "value", "low", "high")
    for name, score in scores.items():
        table.add_row(name, *(f"{score[key]:.4f}" for key in ("value", "low", "high")))
    return table


# --- the machine --------------------------------------------------------------------------------------


def facts_table(facts: Mapping[str, Any]) -> Table:
    """List facts by name, a value or several each."""
    from rich.table import Table

    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")  # half a path is of no use
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value))
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None)
    for k, name in enumerate(columns):
        justify: JustifyMethod = "right" if k and name not in _TEXT_COLUMNS else "left"
        table.add_column(name, justify=justify, overflow="fold")
    return table
