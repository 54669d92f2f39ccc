"""What is known of a run, for people: a report as one HTML file, and a model card.

Both read the files of a run's folder, and no data: they can be written again at any time.
"""

from __future__ import annotations

import contextlib
import csv
import html
import io
import json
import math
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from . import _checks, model_file
from .evaluation import baseline, wilson

if TYPE_CHECKING:
    from .plots import Picture

REPORT, CARD = "report.html", "README.md"

# Shown at most, of what may be many.
_N_COLUMNS, _N_CLASSES, _N_VALUES, _N_LETTERS = 100, 30, 40, 1500
_FEW_ROWS = 30  # of a class: too few to say how good the model is at it

# Name, whether it is a share that people read in percent, and what it says.
_SCORES = {
    "accuracy": ("Accuracy", True, "share of rows whose class is right"),
    "balanced_accuracy": (
        "Balanced accuracy",
        True,
        "share that is right of each class, averaged: rare classes count as much as frequent ones",
    ),
    "f1_macro": (
        "F1, averaged over classes",
        False,
        "1 if the model finds every row of each class, and nothing else; at worst 0",
    ),
    "log_loss": (
        "Log loss",
        False,
        "how much the truth surprises its probabilities: 0 is best, and being sure but wrong costs most",
    ),
    "roc_auc": (
        "ROC AUC",
        False,
        "chance that a row of a class gets a higher score than a row of another: 0.5 is guessing, 1 is best",
    ),
    "r2": (
        "R squared",
        False,
        "share of the target's variance that is explained: 0 is the mean's, 1 is best",
    ),
    "mae": (
        "Mean absolute error",
        False,
        "mean distance from the truth, in the target's unit: lower is better",
    ),
    "rmse": (
        "Root mean squared error",
        False,
        "typical distance from the truth, in the target's unit; large errors count more: lower is better",
    ),
}
_OF_TEST = (
    "calibration",
    "confusion_matrix",
    "permutation_importance",
    "predicted_against_true",
    "residuals",
)
_PARTS = {"train": "training", "validation": "validation", "test": "test"}
_STOPS = {
    "epochs": "all epochs were run",
    "early stopping": "the validation figures had stopped to get better",
    "interrupted": "it was interrupted",
    "diverged": "it diverged",
    "schedule": "the schedule had ended",
    "error": "an error ended it",
}
_FILES = {
    "model.safetensors": "the model: network, and how raw rows become numbers",
    "config.toml": "what it was trained by",
    "summary.json": "the figures of this report",
    "history.json": "figures of every epoch",
    "test.csv": "truth and prediction of every test row",
    "worst.json": "the test rows with the largest loss",
    "log.jsonl": "what happened, line by line",
    "README.md": "the model card",
    "report.html": "this report",
    "pictures": "the pictures, one file each",
    "checkpoints": "states to go on from",
}


class _Run:
    """The files of a run's folder as they were read; those that may be missing are empty then."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.folder)!r}: expected that of a run.")
        if not (self.folder / "summary.json").is_file():
            raise FileNotFoundError(
                f"there is no summary.json in {str(self.folder)!r}: expected the folder of a finished run."
            )
        self.summary = self._json("summary.json", dict)
        for part in ("data", "network", "training", "test"):
            if not isinstance(self.summary.get(part), dict):
                raise ValueError(f"{self._path('summary.json')} is damaged: it has no part {part!r}.")
        self.data, self.network, self.training = (self.summary[k] for k in ("data", "network", "training"))
        if self.data.get("task") not in ("classification", "regression"):
            raise ValueError(
                f"{self._path('summary.json')} is damaged: its task is {self.data.get('task')!r}."
            )
        for name, score in self.summary["test"].items():
            if not isinstance(score, dict) or not isinstance(score.get("value"), (int, float)):
                raise ValueError(
                    f"{self._path('summary.json')} is damaged: test score {name!r} has no value."
                )
        self.history = self._json("history.json", dict)
        self.worst = self._json("worst.json", list)
        config = self.folder / "config.toml"
        self.config = config.read_text("utf-8", "replace").strip() if config.is_file() else ""
        self.truth, self.prediction = self._test_rows()

    def _path(self, name: str) -> str:
        return repr(str(self.folder / name))

    def _json(self, name: str, kind: type) -> Any:
        path = self.folder / name
        if not path.is_file():
            return kind()
        try:
            content = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{self._path(name)} is damaged: {error}.") from error
        if not isinstance(content, kind):
            wanted = "object" if kind is dict else "array"
            raise ValueError(f"{self._path(name)} is damaged: it holds no JSON {wanted}.")
        return content

    def _test_rows(self) -> tuple[list[str], list[str]]:
        """Truth and prediction of the test rows; empty where there is no file or more than one target."""
        path = self.folder / "test.csv"
        if not path.is_file():
            return [], []
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            try:
                header = next(lines, [])
                if "truth" not in header or "prediction" not in header:
                    return [], []
                places = header.index("truth"), header.index("prediction")
                pairs = [(line[places[0]], line[places[1]]) for line in lines if line]
            except (IndexError, UnicodeDecodeError, csv.Error) as error:
                raise ValueError(f"{self._path('test.csv')} is damaged: {error}.") from error
        return [truth for truth, _ in pairs], [prediction for _, prediction in pairs]

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""
        return self.data["task"] == "classification"

    @property
    def counts(self) -> dict[str, int]:
        """Training rows of each class."""
        found = self.data.get("target_counts") or {}
        return {str(label): int(n) for label, n in found.items()}

    def n_rows(self, part: str) -> int:
        """Rows of a part of the split."""
        return int((self.data.get("rows") or {}).get(part) or 0)

    @property
    def most_frequent(self) -> str | None:
        """The class that one would guess who knows nothing of a row."""
        return max(self.counts, key=self.counts.__getitem__) if self.counts else None

    def guessing(self) -> dict[str, float]:
        """Scores of always giving the most frequent class, or the mean."""
        given = self.summary.get("baseline")
        if isinstance(given, dict):
            return given
        scores = self.summary["test"]
        if self.classifies:
            if not self.counts or not sum(self.counts.values()):
                return {}
            labels, n = list(self.counts), list(self.counts.values())
            if self.truth and set(self.truth) & set(labels):
                return baseline(np.repeat(np.array(labels, object), n), self.truth, classes=labels)
            return {"accuracy": max(n) / sum(n)}
        try:
            y = np.array(self.truth, np.float64)
        except ValueError as error:
            raise ValueError(f"{self._path('test.csv')} is damaged: {error}.") from error
        if len(y):
            return baseline(y, y)
        if "r2" in scores and "rmse" in scores and scores["r2"]["value"] < 1:
            return {"r2": 0.0, "rmse": scores["rmse"]["value"] / math.sqrt(1 - scores["r2"]["value"])}
        return {"r2": 0.0}

    def by_class(self) -> list[dict[str, Any]]:
        """How many test rows of each class are right, with an interval; the worst class first."""
        if not self.classifies or not self.truth:
            return []
        rows = Counter(self.truth)
        right = Counter(t for t, p in zip(self.truth, self.prediction, strict=True) if t == p)
        found = []
        for label, n in rows.items():
            low, high = wilson(right[label], n)
            found.append({"label": label, "n": n, "value": right[label] / n, "low": low, "high": high})
        return sorted(found, key=lambda entry: (entry["value"], -entry["n"]))


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
        Where jinja2 or matplotlib is not installed.

    Examples
    --------
    >>> write_report("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected that of a run.
    """
    run = _Run(run_folder)
    jinja2 = _checks.require("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "size": _size}
    path = run.folder / REPORT if path is None else Path(path)
    text = environment.get_template("report.html.jinja").render(_view(run, path))
    model_file.write_atomically(path, text.encode())
    return path


def _view(run: _Run, path: Path) -> dict[str, Any]:
    """What the template shows, by name; figures as text."""
    sections: dict[str, list[dict[str, str]]] = {"network": [], "training": [], "test": []}
    for picture in _pictures(run.folder):
        sections[_section(picture.name)].append(
            {"name": _slug(picture.name), "title": picture.title, "alt": picture.alt, "svg": _svg(picture)}
        )
    worst = [_mistake(run, entry) for entry in run.worst if isinstance(entry, dict)]
    counts = sorted(run.counts.items(), key=lambda item: -item[1])
    n_train = sum(run.counts.values())
    return {
        "run": run,
        "created": str(run.summary.get("created", "")).replace("T", " "),
        "kind": _KINDS.get(str(run.data.get("kind")), _KINDS["array"])[0],
        "n_test": f"{run.n_rows('test'):,}",
        "method": _METHOD,
        "speed": _speed(run),
        "summary": run.summary,
        "data": run.data,
        "verdict": _verdict(run),
        "tiles": _tiles(run),
        "split": _split(run),
        "columns": _table(run.data.get("columns") or []),
        "counts": [
            (label, n, _percent(n / max(1, n_train)), round(100 * n / max(1, counts[0][1]), 1))
            for label, n in counts[:_N_CLASSES]
        ],
        "n_more_classes": max(0, len(counts) - _N_CLASSES),
        "quantiles": _quantiles(run),
        "notes": list(map(str, run.data.get("notes") or [])),
        "training": _training(run),
        "sections": sections,
        "scores": _scores(run),
        "guess": _guess(run),
        "by_class": [
            entry | {"value": _percent(entry["value"]), "interval": _span(entry, True)}
            for entry in run.by_class()[:_N_CLASSES]
        ],
        "few_rows": _FEW_ROWS,
        "worst": worst,
        "n_wrong": sum(entry["wrong"] for entry in worst),
        "versions": _versions(run),
        "files": _files(run, path),
        "use": _use(run),
    }


def _pictures(folder: Path) -> list[Picture]:
    """Those that the run's files allow."""
    from .plots import run_pictures

    return run_pictures(folder) if (folder / "history.json").is_file() else []


def _section(name: str) -> str:
    """Of the report, in which a picture belongs."""
    if name.startswith("first_layer"):
        return "network"
    return "test" if name in _OF_TEST else "training"


# Colours of text and lines: two that no picture has, which become those of the page.
_INK, _RULE = "#010203", "#030201"
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.color": _RULE,
    "legend.edgecolor": _RULE,
    "legend.framealpha": 0.0,
    "legend.labelcolor": _INK,
    "svg.fonttype": "none",  # letters, in the page's font: small, and they can be searched
    "svg.hashsalt": "fastnn",  # the same pictures give the same file
    "text.color": _INK,
    "text.parse_math": False,  # of what users call their columns
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_MOST_POINTS = 2000  # drawn one by one
_WIDE = 6.0  # inches; a smaller one may shrink to a phone's width, its text is still readable


def _svg(picture: Picture) -> Any:
    """A picture for the page: in its colours, without what repeats or may clash in it."""
    matplotlib = _checks.require("matplotlib", "report")
    markup = _checks.require("markupsafe", "report")
    figures = _checks.require("matplotlib.figure", "report")
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure.add_subplot())
        for artist in figure.findobj(lambda artist: _n_points(artist) > _MOST_POINTS):
            artist.set_rasterized(True)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    root = ElementTree.fromstring(content.getvalue())
    prefix = _slug(picture.name)
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
        for name, value in list(parent.attrib.items()):
            value = value.replace(_INK, "currentColor").replace(_RULE, "var(--rule)")
            value = value.replace("url(#", f"url(#{prefix}-")
            if name == "id":
                value = f"{prefix}-{value}"
            elif name == _LINK:
                del parent.attrib[name]
                name = "href"
                value = f"#{prefix}-{value[1:]}" if value.startswith("#") else value
            parent.set(name, value)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    shape = "wide" if picture.size[0] > _WIDE else "chart"
    root.attrib |= {"role": "img", "aria-label": picture.alt, "class": shape}
    ElementTree.register_namespace("", _SVG)
    return markup.Markup(ElementTree.tostring(root, encoding="unicode"))


def _slug(name: str) -> str:
    """Fit for an element's id."""
    return re.sub(r"\W+", "-", name)


def _n_points(artist: Any) -> int:
    """How many things an artist draws one by one."""
    get = getattr(artist, "get_offsets", None) or getattr(artist, "get_xdata", None)
    return 0 if get is None else len(np.atleast_1d(get()))


# Figures as text.

_NOTHING = "\N{EN DASH}"


def _count(value: Any) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _size(n: float) -> str:
    from .summary import n_bytes

    return n_bytes(n).replace(" ", "\N{NO-BREAK SPACE}")


def _number(value: float, width: float = 0.0) -> str:
    """With as many digits as an interval of that width gives a meaning to, or with four."""
    if not math.isfinite(value):
        return _NOTHING
    if value != 0 and abs(value) < 1e-4:
        return f"{value:.3g}"
    scale = width if width > 0 else max(abs(value), 1e-4) / 50
    return f"{value:,.{min(6, max(0, 1 - math.floor(math.log10(scale))))}f}"


def _percent(value: float, width: float = 0.0) -> str:
    decimals = 2 if 0 < width < 0.002 else 1
    return f"{100 * value:.{decimals}f}\N{NO-BREAK SPACE}%"


def _width(score: dict[str, Any]) -> float:
    low, high = score.get("low"), score.get("high")
    return high - low if isinstance(low, (int, float)) and isinstance(high, (int, float)) else 0.0


def _span(score: dict[str, Any], percent: bool) -> str:
    """An interval, or why there is none."""
    if not isinstance(score.get("low"), (int, float)) or not isinstance(score.get("high"), (int, float)):
        return "not known"
    width = _width(score)
    if width == 0:
        return "none: all resamples agree"
    write = _percent if percent else _number
    return f"{write(score['low'], width)} to {write(score['high'], width)}"


def _scores(run: _Run) -> list[dict[str, str]]:
    """A line for each score."""
    guessing = run.guessing()
    lines = []
    for name, score in run.summary["test"].items():
        title, percent, meaning = _SCORES.get(name, (name, False, ""))
        write = _percent if percent else _number
        guess = guessing.get(name)
        lines.append(
            {
                "title": title,
                "value": write(score["value"], _width(score)),
                "interval": _span(score, percent),
                "guess": _NOTHING if guess is None else write(guess, _width(score)),
                "meaning": meaning,
            }
        )
    return lines


def _verdict(run: _Run) -> list[str]:
    """Sentences: how good it is, than whom it is better, and whether that is sure."""
    scores, guessing = run.summary["test"], run.guessing()
    n = f"{run.n_rows('test'):,}" if run.n_rows("test") else "the"
    target = run.data.get("target") or "the target"
    if run.classifies and "accuracy" in scores:
        score, guess, sign = scores["accuracy"], guessing.get("accuracy"), 1
        width = _width(score)
        first = (
            f"Of {n} test rows, which it had never seen, the model gets "
            f"{_percent(score['value'], width)} right (95 % interval {_span(score, True)})."
        )
        if guess is None:
            return [first]
        second = f"Always answering “{run.most_frequent}” would get {_percent(guess, width)} right."
    elif not run.classifies and "rmse" in scores:
        score, guess, sign = scores["rmse"], guessing.get("rmse"), -1
        width = _width(score)
        first = (
            f"On {n} test rows, which it had never seen, the model's prediction of {target} is typically "
            f"{_number(score['value'], width)} off (root mean squared error, "
            f"95 % interval {_span(score, False)})"
        )
        first += f"; R squared is {_number(scores['r2']['value'], 0.01)}." if "r2" in scores else "."
        if guess is None:
            return [first]
        second = f"Always answering the mean would be {_number(guess, width)} off."
    else:
        return [f"The model was trained to predict {target}; see its scores below."]
    low, high = score.get("low", score["value"]), score.get("high", score["value"])
    better, worse = (low > guess, high < guess) if sign > 0 else (high < guess, low > guess)
    if better:
        return [
            first,
            second,
            "The model has learnt something: that is more than chance in the test rows explains.",
        ]
    if worse:
        return [first, second, "The model is worse than that: don't use it."]
    return [
        first,
        second,
        "Chance in the test rows may explain the difference: this is no proof that it has learnt.",
    ]


def _tiles(run: _Run) -> list[tuple[str, str]]:
    """A few figures to see first."""
    training, scores = run.training, run.summary["test"]
    tiles = []
    for name in ("accuracy", "r2", "rmse"):
        if name in scores:
            title, percent, _ = _SCORES[name]
            write = _percent if percent else _number
            tiles.append((title, write(scores[name]["value"], _width(scores[name]))))
    tiles.append(("Test rows", f"{run.n_rows('test'):,}"))
    if "n_params" in run.network:
        tiles.append(("Parameters", _count(run.network["n_params"])))
    if isinstance(training.get("seconds"), (int, float)):
        tiles.append(("Training time", _seconds(training["seconds"])))
    return tiles


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.{2 if seconds < 10 else 0}f}\N{NO-BREAK SPACE}s"
    minutes = round(seconds / 60)
    hours = f"{minutes // 60}\N{NO-BREAK SPACE}h " if minutes >= 60 else ""
    return f"{hours}{minutes % 60 if hours else minutes}\N{NO-BREAK SPACE}min"


def _split(run: _Run) -> list[tuple[str, str, str]]:
    """Parts of the rows: name, number, share."""
    total = sum(run.n_rows(part) for part in _PARTS)
    uses = {
        "train": "the weights were learnt from these",
        "validation": "watched while training",
        "test": "scored once, at the end",
    }
    return [
        (
            name.capitalize(),
            f"{run.n_rows(part):,} ({_percent(run.n_rows(part) / max(total, 1))})",
            uses[part],
        )
        for part, name in _PARTS.items()
        if run.n_rows(part) or part != "validation"
    ]


def _table(entries: list[Any]) -> dict[str, Any]:
    """A list of dicts as header and lines of text."""
    entries = [entry for entry in entries if isinstance(entry, dict)]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    shown = entries[:_N_COLUMNS]
    return {
        "names": [str(name).replace("_", " ") for name in names],
        "lines": [[_cell(entry.get(name)) for name in names] for entry in shown],
        "n_more": len(entries) - len(shown),
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        more = f" and {len(value) - 8:,} more" if len(value) > 8 else ""
        return ", ".join(map(_cell, value[:8])) + more
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_cell(entry)}" for name, entry in list(value.items())[:8])
    return _clipped(str(value))


def _clipped(text: str, n: int = _N_LETTERS) -> str:
    return text if len(text) <= n else text[:n] + " …"


def _quantiles(run: _Run) -> list[tuple[str, str]]:
    names = ("smallest", "a quarter lies below", "half lies below", "three quarters lie below", "largest")
    values = run.data.get("target_quantiles") or []
    return [(name, f"{value:,.5g}") for name, value in zip(names, values, strict=False)]


def _training(run: _Run) -> dict[str, Any]:
    """How training went: sentences, and settings by name."""
    training = run.training
    epochs, best = training.get("epochs"), training.get("best_epoch")
    reason = str(training.get("stop_reason") or "epochs")
    sentences = [f"Training ran for {_count(epochs)} epochs and ended because {_STOPS.get(reason, reason)}."]
    if best is not None:
        sentences.append(f"The weights kept are those of epoch {best}.")
    columns = run.history.get("columns") or {}
    costs = [cost for cost in columns.get("cost") or [] if isinstance(cost, (int, float))]
    if len(costs) > 1:
        sentences.append(
            f"The cost of the training rows went from {_number(costs[0])} to {_number(costs[-1])}."
        )
    sentences += _advice(run, columns)
    wanted = {
        "loss": "Loss",
        "optimizer": "Optimiser",
        "schedule": "Learning rate",
        "batch_size": "Batch size",
        "l2": "L2 penalty",
        "epochs": "Epochs",
    }
    settings = [
        (title, _cell(training[name])) for name, title in wanted.items() if training.get(name) is not None
    ]
    return {"sentences": sentences, "settings": settings}


def _advice(run: _Run, columns: dict[str, Any]) -> list[str]:
    """What the course of training says of its settings."""
    costs = columns.get("val_cost") or []
    if not costs:
        return (
            []
            if run.n_rows("validation")
            else ["No rows validated it, so overfitting would not be seen here."]
        )
    if any(not isinstance(cost, (int, float)) for cost in costs) or len(costs) < 5:
        return []
    best = int(np.argmin(costs)) + 1
    if best == len(costs) and run.training.get("stop_reason") == "epochs":
        return ["The validation cost was lowest in the last epoch: more epochs may help."]
    if run.training.get("best_epoch") is None and costs[-1] > 1.2 * min(costs):
        overfits = f"The validation cost was lowest in epoch {best} and rose since: the model overfits."
        return [overfits, "Early stopping would keep that epoch's weights."]
    return []


def _mistake(run: _Run, entry: dict[str, Any]) -> dict[str, Any]:
    """One of the worst rows."""
    truth, prediction = str(entry.get("truth")), str(entry.get("prediction"))
    wrong = truth != prediction
    facts = [("truth", _clipped(truth, 200)), ("prediction", _clipped(prediction, 200))]
    if isinstance(entry.get("probability"), (int, float)):
        facts.append(("how sure", _percent(entry["probability"])))
    if not run.classifies:
        with contextlib.suppress(ValueError):  # of several targets
            facts.append(("off by", f"{float(prediction) - float(truth):+,.4g}"))
    if isinstance(entry.get("loss"), (int, float)):
        facts.append(("loss", _number(entry["loss"])))
    values = entry.get("values")
    values = list(values.items()) if isinstance(values, dict) else []
    image = entry.get("image")
    return {
        "row": _cell(entry.get("row")),
        "wrong": wrong,
        "facts": facts,
        "values": [(str(name), _clipped(str(value), 300)) for name, value in values[:_N_VALUES]],
        "n_more": max(0, len(values) - _N_VALUES),
        "text": _clipped(entry["text"]) if isinstance(entry.get("text"), str) else None,
        # Nothing but a picture that the file itself holds.
        "image": image
        if isinstance(image, str) and re.match(r"data:image/\w+;base64,[\w+/=]+$", image)
        else None,
        "alt": f"Test row {_cell(entry.get('row'))}: {truth}, predicted as {prediction}",
    }


def _speed(run: _Run) -> list[tuple[str, str]]:
    """How long training took, and on what."""
    training, machine = run.training, run.summary.get("machine") or {}
    found = []
    if isinstance(training.get("seconds"), (int, float)):
        found.append(("Training, all in all", _seconds(training["seconds"])))
    if isinstance(training.get("samples_per_second"), (int, float)):
        found.append(("Rows a second while training", f"{training['samples_per_second']:,.0f}"))
    for name, title in (("cpu", "CPU"), ("usable_cores", "Cores it may use"), ("system", "System")):
        if machine.get(name):
            found.append((title, str(machine[name])))
    return found


def _versions(run: _Run) -> list[tuple[str, str]]:
    machine = run.summary.get("machine") or {}
    found = [("fastnn", run.summary.get("fastnn"))]
    found += [(name, machine.get(name)) for name in ("numba", "numpy", "python")]
    return [(name, str(value)) for name, value in found if value]


def _files(run: _Run, path: Path) -> list[dict[str, Any]]:
    """The run's files that are there; linked where the report lies among them."""
    beside = path.parent.resolve() == run.folder.resolve()
    found = []
    for name, meaning in _FILES.items():
        place = run.folder / name
        if place.exists() or (beside and place.name == path.name):
            size = place.stat().st_size if place.is_file() and place != path else None
            found.append({"name": name, "meaning": meaning, "size": size, "link": beside})
    return found


def _use(run: _Run) -> str:
    """Three lines of Python that use the model."""
    reads = {
        "table": 'import pandas; rows = pandas.read_csv("new.csv")',
        "text": 'rows = open("new.txt").read().splitlines()',
        "images": 'import glob; rows = sorted(glob.glob("new/*.png"))',
    }
    read = reads.get(str(run.data.get("kind")), 'import numpy; rows = numpy.load("new.npy")')
    return (
        f'import fastnn; {read}\nmodel = fastnn.Model.load("model.safetensors")\nprint(model.predict(rows))'
    )


# The model card.


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

    Examples
    --------
    >>> write_model_card("runs/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected that of a run.
    """
    run = _Run(run_folder)
    path = run.folder / CARD
    model_file.write_atomically(path, _card(run).encode())
    return path


def _card(run: _Run) -> str:
    summary, data = run.summary, run.data
    name, target, source = (
        str(value or "?") for value in (summary.get("name"), data.get("target"), data.get("source"))
    )
    kind = _KINDS.get(str(data.get("kind")), _KINDS["array"])[1]
    what = (
        (f"one of {len(run.counts)} classes of {_md(target)}" if run.counts else f"a class of {_md(target)}")
        if run.classifies
        else f"the value of {_md(target)}"
    )
    sizes = " - ".join(map(str, run.network.get("sizes") or []))
    activations = ", ".join(map(str, run.network.get("activations") or [])) or "none"
    output, created = run.network.get("output") or "as the loss needs it", summary.get("created", "?")
    network = f"{sizes}, with {_count(run.network.get('n_params', '?'))} parameters"
    parts = [
        f"# Model card: {_md(name)}",
        " ".join(map(_md, _verdict(run))),
        "## The model",
        _bullets(
            [
                f"Predicts {what} from {kind}.",
                f"A multilayer perceptron, {network}.",
                f"Activations: {_md(activations)}; output: {_md(output)}.",
                f"Trained on {_md(created)} by fastnn {_md(summary.get('fastnn', '?'))}.",
            ]
        ),
        "## How to use it",
        "In Python, from this folder:",
        _fence(_use(run), "python"),
        "From the shell:",
        _fence("fastnn predict . new.csv --output predictions.csv", "bash"),
        "## Scores",
        f"On {run.n_rows('test'):,} test rows that took no part in training. {_METHOD}",
        _grid(
            ["score", "value", "95 % interval", f"always {_guess(run)}", "what it says"],
            [
                [line[key] for key in ("title", "value", "interval", "guess", "meaning")]
                for line in _scores(run)
            ],
        ),
    ]
    if by_class := run.by_class():
        parts += [
            "By class, the worst first:",
            _grid(
                ["class", "test rows", "found", "95 % interval"],
                [
                    [entry["label"], f"{entry['n']:,}", _percent(entry["value"]), _span(entry, True)]
                    for entry in by_class[:_N_CLASSES]
                ],
            ),
        ]
    parts += [
        "## Data",
        _grid(["rows", "number", "use"], [list(line) for line in _split(run)]),
        _bullets([f"Source: {_md(source)}.", *map(_md, data.get("notes") or [])]),
        "## Limits",
        _bullets(list(map(_md, _limits(run)))),
        "## Training",
        " ".join(map(_md, _training(run)["sentences"])),
        _grid(["setting", "value"], [list(line) for line in _training(run)["settings"]]),
        "## To reproduce it",
    ]
    if summary.get("command"):
        parts.append(_fence(str(summary["command"]), "bash"))
    versions = ", ".join(f"{name} {value}" for name, value in _versions(run))
    parts.append(
        f"Seed {_md(summary.get('seed', '?'))}; {_md(versions)}. All settings stand in config.toml. "
        "The same versions on the same kind of CPU give the same bits."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


_KINDS = {
    "table": ("A table", "the other columns of a table"),
    "text": ("Texts", "a text"),
    "images": ("Images", "an image"),
    "array": ("Arrays of numbers", "an array of numbers"),
}
_METHOD = (
    "The intervals say how far chance in the choice of test rows may reach: that of accuracy is Wilson's "
    "score interval (1927), the others are bootstrapped (Efron and Tibshirani, 1993). They say nothing of "
    "other training rows, another seed, or rows from elsewhere."
)


def _guess(run: _Run) -> str:
    return f"“{run.most_frequent}”" if run.classifies else "the mean"


def _limits(run: _Run) -> list[str]:
    """What is known to be doubtful, and what was not looked at."""
    found = []
    if len(verdict := _verdict(run)) == 3 and "learnt something" not in verdict[-1]:
        found.append(verdict[-1])
    few = [entry["label"] for entry in run.by_class() if entry["n"] < _FEW_ROWS]
    if few:
        shown = ", ".join(f"“{label}”" for label in few[:10]) + (" and others" if len(few) > 10 else "")
        found.append(
            f"Fewer than {_FEW_ROWS} test rows are of {shown}: how good it is at these is hardly known."
        )
    quantiles = run.data.get("target_quantiles")
    if quantiles:
        found.append(
            f"It was trained on values from {_number(quantiles[0])} to {_number(quantiles[-1])}: "
            "beyond them it was never tried."
        )
    if run.training.get("stop_reason") in ("interrupted", "diverged", "error"):
        found.append(f"Training did not end as planned: {_STOPS[run.training['stop_reason']]}.")
    found += _advice(run, run.history.get("columns") or {})
    found.append(
        "All rows came from the same source. Not measured: rows from elsewhere or from a later time, "
        "single groups of people or things, and what a wrong answer costs."
    )
    return found


def _md(value: Any) -> str:
    """Text that means itself in Markdown, and in the HTML which Markdown may hold."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", text)


def _fence(text: str, language: str) -> str:
    """A block of code, within fences longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _grid(names: list[str], lines: list[list[str]]) -> str:
    """A table."""
    rows = [list(map(_md, line)) for line in lines]
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [list(map(_md, names)), ["---"] * len(names), *rows]
    )
