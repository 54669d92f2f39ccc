"""The model card of a run: README.md in its folder."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any

from ..network import files as model_file
from .findings import Findings, as_count

CARD = "README.md"
_N_CLASSES = 30


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
        The file's.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it is none of a finished run.
    ValueError
        If one of its files is damaged.
    ImportError
        Where scikit-learn is not installed.

    Examples
    --------
    >>> write_model_card("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected that of a run.
    """
    run = Findings(run_folder)
    path = run.folder / CARD
    model_file.write_atomically(path, _card(run).encode())
    return path


def _card(run: Findings) -> str:
    summary, data, network = run.summary, run.data, run.network
    target = _plain(data.get("target") or "the target")
    what = f"one of {len(run.counts)} classes of {target}" if run.counts else target
    sizes = " - ".join(map(str, network.get("sizes") or []))
    activations = ", ".join(map(str, network.get("activations") or [])) or "none"
    created, version = summary.get("created", "?"), summary.get("fastnn", "?")
    by_class = run.by_class()
    parts = [
        f"# Model card: {_plain(summary.get('name', 'a model'))}",
        _plain(" ".join(run.verdict())),
        "## The model",
        _list(
            f"Predicts {what} from {run.kind[1]}.",
            f"A multilayer perceptron, {sizes}, of {as_count(network.get('n_params', '?'))} parameters.",
            f"Activations: {_plain(activations)}; output: {_plain(network.get('output') or 'linear')}.",
            f"Trained at {_plain(created)} by fastnn {_plain(version)}.",
        ),
        "## How to use it",
        "In Python, from this folder:",
        _code(run.use(), "python"),
        "From the shell:",
        _code(f"fastnn predict . {run.new_rows} --output predictions.csv", "bash"),
        "## Scores",
        f"Of {run.n_rows('test'):,} test rows that took no part in training. {run.method}",
        _table(
            ["score", "value", "95 % interval", f"always {run.guess}", "what it says"],
            [[line[key] for key in ("title", "value", "interval", "guess", "says")] for line in run.scores()],
        ),
    ]
    if by_class:
        worst = f", the {_N_CLASSES} worst" if len(by_class) > _N_CLASSES else ", the worst first"
        parts += [
            f"By class{worst}:",
            _table(
                ["class", "test rows", "found", "95 % interval"],
                [
                    [line[key] for key in ("label", "n", "value", "interval")]
                    for line in by_class[:_N_CLASSES]
                ],
            ),
        ]
    parts += [
        "## Data",
        _table(["rows", "number", "use"], run.split()),
        _list(f"Source: {_plain(data.get('source', '?'))}.", *map(_plain, run.notes)),
        "## Limits",
        _list(*map(_plain, run.limits())),
        "## Training",
        _plain(" ".join(run.course())),
        _table(["setting", "value"], run.settings()),
        "## To reproduce it",
    ]
    if summary.get("command"):
        parts.append(_code(str(summary["command"]), "bash"))
    versions = ", ".join(" ".join(pair) for pair in run.versions())
    parts.append(
        f"Seed {_plain(summary.get('seed', '?'))}; {_plain(versions)}. All settings stand in config.toml. "
        "The same versions on the same kind of CPU give the same bits."
    )
    return "\n\n".join(parts) + "\n"


def _plain(value: Any) -> str:
    """Text that means itself in Markdown, and in the HTML which Markdown may hold."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", text)


def _code(text: str, language: str) -> str:
    """A block of code, within fences longer than any in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _list(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(names: Any, lines: Any) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "\n".join("| " + " | ".join(map(_plain, row)) + " |" for row in rows)
