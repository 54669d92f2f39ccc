"""The report of a run: all that is known of it as one HTML file, from the files of the run's folder alone."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any

from .. import _checks
from .._memory import size_text
from ..network.files import write_atomically
from ..plots.run import Picture, run_pictures
from ..plots.run_files import HISTORY
from .drawings import element_id, svg_element
from .figures import SPACE, as_count, as_number, as_percent, as_text, as_time
from .findings import FEW_ROWS, MOST_CLASSES, Findings

REPORT = "report.html"
_N_COLUMNS, _N_VALUES = 100, 40  # shown of what may be many

_OF_TEST = (
    "calibration",
    "confusion_matrix",
    "permutation_importance",
    "predicted_against_true",
    "residuals",
)
_FILES = {
    "model.safetensors": "the model: the network and the encoding of raw rows",
    "config.toml": "the settings of the training",
    "summary.json": "the figures of this report",
    "history.json": "figures of every epoch",
    "test.csv": "truth and prediction of every test row",
    "worst.json": "the test rows with the largest loss",
    "log.jsonl": "the log, one event a line",
    "README.md": "the model card",
    "pictures": "the pictures, one file each",
    "checkpoints": "states that training can resume from",
}


def write_report(run_folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Write all that is known of a run as one HTML file, which needs no other file.

    Parameters
    ----------
    run_folder : path-like
        As ``fastnn train`` writes it; only its file ``summary.json`` must be there.
    path : path-like, optional
        File to write; by default ``report.html`` in the folder.

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
        If jinja2, matplotlib or scikit-learn is not installed.

    Examples
    --------
    >>> write_report("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected the folder of a run.
    """
    jinja2 = _checks.require("jinja2", "report")
    run = Findings(run_folder)
    path = run.folder / REPORT if path is None else Path(path)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = as_count
    text = environment.get_template("report.html.jinja").render(_view(run, path))
    write_atomically(path, text.encode())
    return path


def _view(run: Findings, path: Path) -> dict[str, Any]:
    """Return the values of the template's variables."""
    pictures: dict[str, list[dict[str, Any]]] = {"network": [], "training": [], "test": []}
    for picture in _pictures(run.folder):
        shown = {
            "name": element_id(picture.name),
            "title": picture.title,
            "alt": picture.alt,
            "svg": svg_element(picture),
        }
        pictures[_section(picture.name)].append(shown)
    by_class = run.by_class()
    worst = [_worst_row(run, entry) for entry in run.worst]
    return {
        "run": run,
        "pictures": pictures,
        "tiles": _tiles(run),
        "classes": _class_bars(run.class_counts),
        "n_more_classes": max(0, len(run.class_counts) - MOST_CLASSES),
        "columns": _columns(run),
        "by_class": by_class[:MOST_CLASSES],
        "n_more_by_class": max(0, len(by_class) - MOST_CLASSES),
        "few_rows": FEW_ROWS,
        "worst": worst,
        "n_wrong": sum(entry["wrong"] for entry in worst),
        "created": str(run.summary.get("created", "")).replace("T", " ").replace("+00:00", " UTC"),
        "files": _files(run, path),
    }


def _pictures(folder: Path) -> list[Picture]:
    """Return the pictures of the run; none without its history."""
    return run_pictures(folder) if (folder / HISTORY).is_file() else []


def _section(name: str) -> str:
    """Return the section of the report that a picture belongs to."""
    if name.startswith("first_layer"):
        return "network"
    return "test" if name.startswith(_OF_TEST) else "training"  # of several targets each has its own


def _tiles(run: Findings) -> list[tuple[str, str]]:
    """Return the few figures that are seen first, by title."""
    scores = [(line["title"], line["value"]) for line in run.scores()]
    shown = 1 if run.classifies else 3
    found = [*scores[:shown], ("Test rows", f"{run.n_rows('test'):,}")]
    if "n_params" in run.network:
        found.append(("Parameters", as_count(run.network["n_params"])))
    if isinstance(run.training.get("seconds"), (int, float)):
        found.append(("Training time", as_time(run.training["seconds"])))
    return found


def _class_bars(counts: dict[str, int]) -> list[tuple[str, int, str, float]]:
    """Return label, rows in training, share of rows, and length of its bar in percent for each class."""
    total, most = max(1, sum(counts.values())), max([1, *counts.values()])
    shown = list(counts.items())[:MOST_CLASSES]
    return [(label, n, as_percent(n / total), round(100 * n / most, 1)) for label, n in shown]


def _columns(run: Findings) -> dict[str, Any]:
    """Return header and lines of the table of what was decided on the data's columns."""
    entries = [entry for entry in run.data.get("columns") or [] if isinstance(entry, dict)]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    shown = entries[:_N_COLUMNS]
    return {
        "names": [str(name).replace("_", " ") for name in names],
        "lines": [[as_text(entry.get(name)) for name in names] for entry in shown],
        "n_more": len(entries) - len(shown),
    }


def _worst_row(run: Findings, entry: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of one of the worst rows."""
    truth, prediction = str(entry.get("truth")), str(entry.get("prediction"))
    wrong, error = truth != prediction, None
    if not run.classifies:
        truth, prediction = (", ".join(map(_rounded, text.split(", "))) for text in (truth, prediction))
        with contextlib.suppress(KeyError, TypeError, ValueError):  # there are several targets
            error = f"{float(entry['prediction']) - float(entry['truth']):+,.4g}"
    sure, loss = entry.get("probability"), entry.get("loss")
    facts = [
        ("truth", as_text(truth, 200)),
        ("prediction", as_text(prediction, 200)),
        ("confidence", as_percent(sure) if isinstance(sure, float) else None),
        ("off by", error),
        ("loss", as_number(loss) if isinstance(loss, (int, float)) else None),
    ]
    values = entry.get("values")
    values = list(values.items()) if isinstance(values, dict) else []
    text, image, row = entry.get("text"), entry.get("image"), as_text(entry.get("row")).replace(",", "")
    # Only an image that the run's file itself holds.
    embedded = isinstance(image, str) and re.fullmatch(r"data:image/[\w+]+;base64,[\w+/=]+", image)
    return {
        "row": row,
        "wrong": wrong,
        "facts": [fact for fact in facts if fact[1] is not None],
        "values": [(str(name), as_text(str(value), 300)) for name, value in values[:_N_VALUES]],
        "n_more": max(0, len(values) - _N_VALUES),
        "text": as_text(text) if isinstance(text, str) else None,
        "image": image if embedded else None,
        "alt": f"Test row {row}: {truth}, predicted as {prediction}",
    }


def _rounded(text: str) -> str:
    """Return a number with five digits, any other text as it is."""
    try:
        return f"{float(text):,.5g}"
    except ValueError:
        return text


def _files(run: Findings, path: Path) -> list[dict[str, Any]]:
    """Return the run's files that exist; they are linked if the report lies among them."""
    linked = path.parent.resolve() == run.folder.resolve()
    found = []
    for name, meaning in _FILES.items():
        file = run.folder / name
        if file.exists():
            size = size_text(file.stat().st_size).replace(" ", SPACE) if file.is_file() else ""
            found.append({"name": name, "meaning": meaning, "size": size, "linked": linked})
    return found
