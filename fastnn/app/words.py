"""Sentences and tables of the command line; commands say them, and compute nothing here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from ..history import History
    from ..training.trainer import Trainer
    from .preparation import Prepared
    from .runs import Run

MOST_COLUMNS = 40  # of a table to list; the report lists them all
_TEXT_COLUMNS = ("read as", "encoding")  # aligned to the left


def print_status(text: str) -> None:
    """Print a line on stderr: stdout is for results."""
    print(text, file=sys.stderr)


def print_content(content: Table | str, *, stderr: bool = False, wrap: bool = True) -> None:
    """Print a table or a text with rich's marks; without `wrap`, lines may be longer than the terminal."""
    from rich.console import Console

    Console(stderr=stderr, highlight=False, soft_wrap=not wrap).print(content)


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
    return (
        f"{prepared.dataset.name}: {train.n:,} rows to train on{between}, {prepared.test.n:,} to test on; "
        f"network {'-'.join(map(str, net.sizes))} ({net.n_params:,} parameters), {trainer.settings.loss.name}"
    )


def columns_table(columns: Sequence[Mapping[str, Any]]) -> Table:
    """List the columns of a table, and how the encoder that described them reads each."""
    table = _table("column", "read as", "encoding", "missing", "distinct")
    for column in columns:
        names = ("column", "kind", "encoding", "missing", "distinct")
        table.add_row(*(str(column.get(name, "")) for name in names))
    return table


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
        table.add_column(name, justify="right" if k and name not in _TEXT_COLUMNS else "left")
    return table
