"""All that is known of a run, as one HTML file; it reads the run's folder, and none of the data."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from .. import _checks
from ..network import files as model_file
from .findings import FEW_ROWS, SPACE, Findings, as_count, as_number, as_percent, as_text, as_time
from .model_card import write_model_card

if TYPE_CHECKING:
    from ..plots.run import Picture

__all__ = ["write_model_card", "write_report"]

REPORT = "report.html"
# Shown at most, of what may be many.
_N_COLUMNS, _N_CLASSES, _N_VALUES = 100, 30, 40

_OF_TEST = (
    "calibration",
    "confusion_matrix",
    "permutation_importance",
    "predicted_against_true",
    "residuals",
)
_FILES = {
    "model.safetensors": "the model: network, and how raw rows become numbers",
    "config.toml": "what it was trained by",
    "summary.json": "the figures of this report",
    "history.json": "figures of every epoch",
    "test.csv": "truth and prediction of every test row",
    "worst.json": "the test rows with the largest loss",
    "log.jsonl": "what happened, line by line",
    "README.md": "the model card",
    "pictures": "the pictures, one file each",
    "checkpoints": "states to go on from",
}


def write_report(run_folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Write all that is known of a run as one HTML file, which needs nothing else to be read.

    Parameters
    ----------
    run_folder : path-like
        As ``fastnn train`` writes it; only its file ``summary.json`` must be there.
    path : path-like, optional
        By default ``report.html`` in the folder.

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
        Where jinja2, matplotlib or scikit-learn is not installed.

    Examples
    --------
    >>> write_report("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected that of a run.
    """
    jinja2 = _checks.require("jinja2", "report")
    run = Findings(run_folder)
    path = run.folder / REPORT if path is None else Path(path)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = as_count
    text = environment.get_template("report.html.jinja").render(_view(run, path))
    model_file.write_atomically(path, text.encode())
    return path


def _view(run: Findings, path: Path) -> dict[str, Any]:
    """What the template shows, by name; figures as text."""
    pictures: dict[str, list[dict[str, Any]]] = {"network": [], "training": [], "test": []}
    for picture in _pictures(run.folder):
        shown = {
            "name": _slug(picture.name),
            "title": picture.title,
            "alt": picture.alt,
            "svg": _svg(picture),
        }
        pictures[_section(picture.name)].append(shown)
    by_class = run.by_class()
    worst = [_mistake(run, entry) for entry in run.worst]
    return {
        "run": run,
        "pictures": pictures,
        "tiles": _tiles(run),
        "classes": _class_bars(run.counts),
        "n_more_classes": max(0, len(run.counts) - _N_CLASSES),
        "columns": _columns(run),
        "by_class": by_class[:_N_CLASSES],
        "n_more_by_class": max(0, len(by_class) - _N_CLASSES),
        "few_rows": FEW_ROWS,
        "worst": worst,
        "n_wrong": sum(entry["wrong"] for entry in worst),
        "created": str(run.summary.get("created", "")).replace("T", " ").replace("+00:00", " UTC"),
        "files": _files(run, path),
    }


# Pictures.

# Two colours that no picture has, for text and lines: they become those of the page.
_INK, _RULE = "#010203", "#030201"
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "font.size": 10,
    "grid.color": _RULE,
    "legend.edgecolor": _RULE,
    "legend.framealpha": 0.0,
    "legend.labelcolor": _INK,
    "svg.fonttype": "none",  # letters, in the page's font: small, and they can be searched
    "svg.hashsalt": "fastnn",  # the same picture is the same text
    "text.color": _INK,
    "text.parse_math": False,  # in what users call their columns
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_MOST_POINTS = 2000  # drawn one by one
_NARROW = 6.0  # inches: such pictures are drawn smaller by a fifth, so that a phone shows their text larger


def _pictures(folder: Path) -> list[Picture]:
    """Those that the run's files allow."""
    from ..plots.run import run_pictures

    return run_pictures(folder) if (folder / "history.json").is_file() else []


def _section(name: str) -> str:
    """Of the report, in which a picture belongs."""
    if name.startswith("first_layer"):
        return "network"
    return "test" if name.startswith(_OF_TEST) else "training"  # several targets have one each


def _svg(picture: Picture) -> Any:
    """A picture as an element of the page: in its colours, without what repeats or may clash in it."""
    matplotlib = _checks.require("matplotlib", "report")
    figures = _checks.require("matplotlib.figure", "report")
    markup = _checks.require("markupsafe", "report")
    wide = picture.size[0] > _NARROW
    with matplotlib.rc_context(_STYLE):
        width, height = (side * (1.0 if wide else 0.8) for side in picture.size)
        figure = figures.Figure(figsize=(width, height), layout="constrained")
        picture.draw(figure.add_subplot())
        for artist in figure.findobj(lambda artist: _n_points(artist) > _MOST_POINTS):
            artist.set_rasterized(True)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    root = ElementTree.fromstring(content.getvalue())
    prefix = _slug(picture.name)
    for element in root.iter():
        for child in list(element):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):  # a style would be the page's
                element.remove(child)
        element.attrib |= {name: _own(name, text, prefix) for name, text in element.attrib.items()}
        if _LINK in element.attrib:
            element.set("href", element.attrib.pop(_LINK))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": picture.alt, "class": "wide" if wide else "narrow"}
    ElementTree.register_namespace("", _SVG)
    return markup.Markup(ElementTree.tostring(root, encoding="unicode"))


def _own(name: str, text: str, prefix: str) -> str:
    """An attribute in the page's colours, and with names that no other picture has."""
    if name == "id" or (name == _LINK and text.startswith("#")):
        return f"#{prefix}-{text[1:]}" if text.startswith("#") else f"{prefix}-{text}"
    text = text.replace("url(#", f"url(#{prefix}-")
    return text.replace(_INK, "currentColor").replace(_RULE, "var(--rule)")


def _slug(name: str) -> str:
    """Fit for an element's id."""
    return re.sub(r"\W+", "-", name)


def _n_points(artist: Any) -> int:
    """How many things an artist draws one by one."""
    get = getattr(artist, "get_offsets", None) or getattr(artist, "get_xdata", None)
    return 0 if get is None else len(np.atleast_1d(get()))


# Parts of the page.


def _tiles(run: Findings) -> list[tuple[str, str]]:
    """A few figures to see first."""
    scores = [(line["title"], line["value"]) for line in run.scores()]
    shown = 1 if run.classifies else 3
    found = [*scores[:shown], ("Test rows", f"{run.n_rows('test'):,}")]
    if "n_params" in run.network:
        found.append(("Parameters", as_count(run.network["n_params"])))
    if isinstance(run.training.get("seconds"), (int, float)):
        found.append(("Training time", as_time(run.training["seconds"])))
    return found


def _class_bars(counts: dict[str, int]) -> list[tuple[str, int, str, float]]:
    """Of each class its name, its rows in training, their share, and the length of a bar in percent."""
    total, most = max(1, sum(counts.values())), max([1, *counts.values()])
    shown = list(counts.items())[:_N_CLASSES]
    return [(label, n, as_percent(n / total), round(100 * n / most, 1)) for label, n in shown]


def _columns(run: Findings) -> dict[str, Any]:
    """What was decided of the data's columns, as header and lines of a table."""
    entries = [entry for entry in run.data.get("columns") or [] if isinstance(entry, dict)]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    shown = entries[:_N_COLUMNS]
    return {
        "names": [str(name).replace("_", " ") for name in names],
        "lines": [[as_text(entry.get(name)) for name in names] for entry in shown],
        "n_more": len(entries) - len(shown),
    }


def _mistake(run: Findings, entry: dict[str, Any]) -> dict[str, Any]:
    """One of the worst rows."""
    truth, prediction = str(entry.get("truth")), str(entry.get("prediction"))
    wrong, off = truth != prediction, None
    if not run.classifies:
        truth, prediction = (", ".join(map(_rounded, text.split(", "))) for text in (truth, prediction))
        with contextlib.suppress(KeyError, TypeError, ValueError):  # there are several targets
            off = f"{float(entry['prediction']) - float(entry['truth']):+,.4g}"
    sure, loss = entry.get("probability"), entry.get("loss")
    facts = [
        ("truth", as_text(truth, 200)),
        ("prediction", as_text(prediction, 200)),
        ("sure", as_percent(sure) if isinstance(sure, float) else None),
        ("off by", off),
        ("loss", as_number(loss) if isinstance(loss, (int, float)) else None),
    ]
    values = entry.get("values")
    values = list(values.items()) if isinstance(values, dict) else []
    text, image, row = entry.get("text"), entry.get("image"), as_text(entry.get("row")).replace(",", "")
    # Nothing but a picture that the file itself holds.
    own = isinstance(image, str) and re.fullmatch(r"data:image/[\w+]+;base64,[\w+/=]+", image)
    return {
        "row": row,
        "wrong": wrong,
        "facts": [fact for fact in facts if fact[1] is not None],
        "values": [(str(name), as_text(str(value), 300)) for name, value in values[:_N_VALUES]],
        "n_more": max(0, len(values) - _N_VALUES),
        "text": as_text(text) if isinstance(text, str) else None,
        "image": image if own else None,
        "alt": f"Test row {row}: {truth}, predicted as {prediction}",
    }


def _rounded(text: str) -> str:
    """A number as people read it, if it is one."""
    try:
        return f"{float(text):,.5g}"
    except ValueError:
        return text


def _files(run: Findings, path: Path) -> list[dict[str, Any]]:
    """The run's files that are there; linked where the report lies among them."""
    from ..network.summary import n_bytes

    linked = path.parent.resolve() == run.folder.resolve()
    found = []
    for name, meaning in _FILES.items():
        place = run.folder / name
        if place.exists():
            size = n_bytes(place.stat().st_size).replace(" ", SPACE) if place.is_file() else ""
            found.append({"name": name, "meaning": meaning, "size": size, "linked": linked})
    return found
