"""The model card of a run: README.md in its folder."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..network.files import write_atomically
from .findings import MOST_CLASSES, Finding, Findings

CARD = "README.md"


def write_model_card(run_folder: str | os.PathLike[str]) -> Path:
    """Write README.md into a run's folder: what the model does, how well, and what is not known of it.

    The parts are those of Mitchell et al. (2019), "Model Cards for Model Reporting".

    Parameters
    ----------
    run_folder : path-like
        As ``fastnn train`` writes it; only its file ``summary.json`` must be there.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileNotFoundError
        If it is not the folder of a finished run.
    ValueError
        If one of its files is damaged.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> write_model_card("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected the folder of a run.
    """
    run = Findings(run_folder)
    path = run.folder / CARD
    write_atomically(path, _card(run).encode())
    return path


def _card(run: Findings) -> str:
    summary, data, network = run.summary, run.data, run.network
    target = _plain(data.get("target") or "the target")
    what = f"one of {len(run.class_counts)} classes of {target}" if run.class_counts else target
    activations = ", ".join(map(str, network.get("activations") or [])) or "none"
    created, version = summary.get("created", "?"), summary.get("fastnn", "?")
    by_class = run.by_class()
    parts = [
        f"# Model card: {_plain(summary.get('name', 'a model'))}",
        _sentences(run.verdict()),
        "## The model",
        _list(
            f"Predicts {what} from {run.words.row}.",
            _plain(run.network_sentence or "A multilayer perceptron."),
            f"Activations: {_plain(activations)}; output: {_plain(network.get('output') or 'linear')}.",
            f"Trained on {_plain(created)} by fastnn {_plain(version)}.",
        ),
        "## How to use it",
        "In Python, from this folder:",
        _code(run.example_code(), "python"),
        "From the shell:",
        _code(f"fastnn predict . {run.words.file} --output predictions.csv", "bash"),
        "## Scores",
        _plain(f"{run.test_rows_sentence} {run.intervals_sentence}"),
        _table(
            ["score", "value", "95 % interval", f"always {run.baseline_answer}", "what it says"],
            _cells(run.scores(), "title", "value", "interval", "baseline", "says"),
        ),
    ]
    if by_class:
        worst = f", the {MOST_CLASSES} worst" if len(by_class) > MOST_CLASSES else ", the worst first"
        parts += [
            f"By class{worst}:",
            _table(
                ["class", "test rows", "correct", "95 % interval"],
                _cells(by_class[:MOST_CLASSES], "label", "n", "value", "interval"),
            ),
        ]
    parts += [
        "## Data",
        _table(["rows", "number", "use"], run.split()),
        _list(f"Source: {_plain(data.get('source', '?'))}.", *map(_plain, run.notes)),
        "## Limits",
        _list(*(_plain(finding.sentence) for finding in run.limits())),
        "## Training",
        _sentences(run.course()),
        _table(["setting", "value"], run.settings()),
        "## To reproduce it",
    ]
    if run.command_sentence:
        parts += [run.command_sentence, _code(str(summary["command"]), "bash")]
    versions = ", ".join(" ".join(pair) for pair in run.versions())
    parts.append(f"Versions: {_plain(versions)}. All settings are in config.toml.")
    return "\n\n".join(parts) + "\n"


def _sentences(findings: Iterable[Finding]) -> str:
    return _plain(" ".join(finding.sentence for finding in findings))


def _plain(value: Any) -> str:
    """Return text with everything escaped that means something in Markdown or in HTML."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", text)


def _code(text: str, language: str) -> str:
    """Return a block of code, within fences longer than any in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _list(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _cells(lines: Iterable[Mapping[str, Any]], *keys: str) -> list[list[Any]]:
    return [[line[key] for key in keys] for line in lines]


def _table(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "\n".join("| " + " | ".join(map(_plain, row)) + " |" for row in rows)
