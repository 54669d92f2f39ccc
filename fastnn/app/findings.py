"""What the files of a run's folder tell: read, checked, and put into words for a report or a model card."""

from __future__ import annotations

import csv
import functools
import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from ..evaluation import baseline, wilson

FEW_ROWS = 30  # of a class: too few to say how good the model is at it
SPACE = "\N{NO-BREAK SPACE}"
_NOTHING = "\N{EN DASH}"


class Meaning(NamedTuple):
    """What a score is called, whether people read it in percent, and what it says."""

    title: str
    percent: bool
    says: str


_SCORES = {
    "accuracy": Meaning("Accuracy", True, "share of rows whose class is right"),
    "balanced_accuracy": Meaning(
        "Balanced accuracy", True, "share that is right of each class, averaged: rare classes count as much"
    ),
    "f1_macro": Meaning(
        "F1 (macro)",
        False,
        "averaged over classes: 1 if all rows of each are found, and no others; at worst 0",
    ),
    "log_loss": Meaning(
        "Log loss",
        False,
        "how much the truth surprises its probabilities: 0 is best; sure but wrong costs most",
    ),
    "roc_auc": Meaning(
        "ROC AUC", False, "chance that a row of a class outranks one of another: 0.5 is guessing, 1 is best"
    ),
    "r2": Meaning("R squared", False, "share of the target's variance that is explained: 1 is best"),
    "mae": Meaning("Mean absolute error", False, "mean distance from the truth, in the target's unit"),
    "rmse": Meaning(
        "Root mean squared error", False, "typical distance from the truth; large errors count more"
    ),
}
_STOPS = {
    "epochs": "all epochs were run",
    "early stopping": "the validation figures had stopped getting better",
    "interrupted": "it was interrupted",
    "diverged": "it diverged",
    "schedule": "the schedule had ended",
    "error": "an error ended it",
}
_USES = {
    "train": ("Training", "the weights were learnt from these"),
    "validation": ("Validation", "watched while training"),
    "test": ("Test", "scored once, at the end"),
}
_SETTINGS = {
    "loss": "Loss",
    "optimizer": "Optimiser",
    "schedule": "Learning rate",
    "batch_size": "Batch size",
    "l2": "L2 penalty",
    "epochs": "Epochs",
}


class Findings:
    """What a run's folder holds, and what can be said of it.

    Parameters
    ----------
    folder : path-like

    Attributes
    ----------
    summary, data, network, training, machine, history : dict
    worst : list
    config : str
    truth, prediction : ndarray of str of shape (n,) or (n, n_out)
        Of the test rows. Files that are not there, but for summary.json, leave their attributes empty.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or it is none of a finished run.
    ValueError
        If one of its files is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.folder)!r}: expected that of a run.")
        if not (self.folder / "summary.json").is_file():
            raise FileNotFoundError(
                f"there is no summary.json in {str(self.folder)!r}: expected the folder of a finished run."
            )
        self.summary = self._json("summary.json", dict)
        self.data, self.network, self.training, self.tests = (
            self._part(name) for name in ("data", "network", "training", "test")
        )
        if self.data.get("task") not in ("classification", "regression"):
            raise self._damaged("summary.json", f"its task is {self.data.get('task')!r}")
        for name, score in self.tests.items():
            if not isinstance(score, dict) or not _is_number(score.get("value")):
                raise self._damaged("summary.json", f"test score {name!r} has no value")
        machine = self.summary.get("machine")
        self.machine = machine if isinstance(machine, dict) else {}
        self.history = self._json("history.json", dict)
        self.worst = [entry for entry in self._json("worst.json", list) if isinstance(entry, dict)]
        config = self.folder / "config.toml"
        self.config = config.read_text("utf-8", "replace").strip() if config.is_file() else ""
        self.truth, self.prediction = self._test_rows()

    def _damaged(self, name: str, reason: Any) -> ValueError:
        return ValueError(f"{str(self.folder / name)!r} is damaged: {reason}.")

    def _part(self, name: str) -> dict[str, Any]:
        if not isinstance(self.summary.get(name), dict):
            raise self._damaged("summary.json", f"it has no part {name!r}")
        return self.summary[name]

    def _json(self, name: str, kind: type) -> Any:
        path = self.folder / name
        if not path.is_file():
            return kind()
        try:
            content = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise self._damaged(name, error) from error
        if not isinstance(content, kind):
            raise self._damaged(name, f"it holds no JSON {'object' if kind is dict else 'array'}")
        return content

    def _test_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and prediction of the test rows, as text; several columns where there are several targets."""
        path = self.folder / "test.csv"
        if not path.is_file():
            return np.empty(0, str), np.empty(0, str)
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            try:
                header = next(lines, [])
                names = ["truth"] if "truth" in header else [n for n in header if n.startswith("truth_")]
                parts = [
                    [header.index(name.replace("truth", part, 1)) for name in names]
                    for part in ("truth", "prediction")
                ]
                rows = [[[line[k] for k in part] for part in parts] for line in lines if line]
            except (ValueError, IndexError, csv.Error) as error:
                raise self._damaged("test.csv", error) from error
        found = np.array(rows, str).reshape(len(rows), 2, len(names))
        truth, prediction = found[:, 0], found[:, 1]
        return (truth[:, 0], prediction[:, 0]) if len(names) == 1 else (truth, prediction)

    # What is said in several places.

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""
        return self.data["task"] == "classification"

    @property
    def kind(self) -> tuple[str, str]:
        """What the rows are, and what one is."""
        kinds = {
            "table": ("A table", "the other columns of a table"),
            "text": ("Texts", "a text"),
            "images": ("Images", "an image"),
        }
        return kinds.get(str(self.data.get("kind")), ("Arrays of numbers", "an array of numbers"))

    @property
    def notes(self) -> list[str]:
        """Sentences on the data."""
        return [text[:1].upper() + text[1:] for text in map(str, self.data.get("notes") or [])]

    @property
    def counts(self) -> dict[str, int]:
        """Training rows of each class, most first."""
        found = self.data.get("target_counts") or {}
        return {str(label): int(n) for label, n in sorted(found.items(), key=lambda item: -item[1])}

    @property
    def guess(self) -> str:
        """What one would answer who knows nothing of a row."""
        return f"“{as_text(next(iter(self.counts), '?'), 40)}”" if self.classifies else "the mean"

    @property
    def method(self) -> str:
        """How intervals were found, and what they do not say."""
        how = "were bootstrapped (Efron and Tibshirani, 1993)"
        if self.classifies:
            how = f"of accuracy and of single classes are Wilson's (1927), the others {how}"
        sentences = [
            f"The intervals say how far chance in the choice of test rows may reach; those {how}.",
            "They say nothing of other training rows, another seed, or rows from elsewhere.",
        ]
        if any(_width(score) == 0 for score in self.tests.values()):
            sentences.append("Where all resamples agree, as on rows that are all right, they are not known.")
        return " ".join(sentences)

    def n_rows(self, part: str) -> int:
        """Rows of a part of the split."""
        return int((self.data.get("rows") or {}).get(part) or 0)

    @functools.cached_property
    def guessing(self) -> dict[str, float]:
        """Scores of always giving the most frequent class, or the mean, as far as they are known."""
        if self.classifies:
            labels, n = list(self.counts), list(self.counts.values())
            if not sum(n):
                return {}
            if not set(self.truth.tolist()) & set(labels):
                return {"accuracy": n[0] / sum(n)}
            return baseline(np.repeat(np.array(labels, object), n), self.truth, classes=labels)
        if not len(self.truth):
            return {"r2": 0.0}
        try:
            y = self.truth.astype(np.float64)
        except ValueError as error:
            raise self._damaged("test.csv", error) from error
        return baseline(y, y)

    def scores(self) -> list[dict[str, str]]:
        """Of each score its title, value, interval, what guessing would score, and what it says."""
        lines = []
        for name, score in self.tests.items():
            title, percent, says = _SCORES.get(name, Meaning(name, False, ""))
            write, width, guess = as_percent if percent else as_number, _width(score), self.guessing.get(name)
            lines.append(
                {
                    "title": title,
                    "value": write(score["value"], width),
                    "interval": as_interval(score, percent),
                    "guess": _NOTHING if guess is None else write(guess, width),
                    "says": says,
                }
            )
        return lines

    def by_class(self) -> list[dict[str, Any]]:
        """How many test rows of each class were found, with an interval; the worst class first."""
        if not self.classifies or not len(self.truth):
            return []
        rows, right = (
            Counter(self.truth.tolist()),
            Counter(self.truth[self.truth == self.prediction].tolist()),
        )
        lines = []
        for label, n in sorted(rows.items(), key=lambda item: (right[item[0]] / item[1], -item[1])):
            low, high = wilson(right[label], n)
            found = {
                "value": as_percent(right[label] / n),
                "interval": as_interval({"low": low, "high": high}, True),
            }
            lines.append({"label": label, "n": n, "few": n < FEW_ROWS, **found})
        return lines

    def verdict(self) -> list[str]:
        """How good the model is, how good guessing is, and whether the difference may be chance."""
        n, target = f"{self.n_rows('test'):,}", self.data.get("target") or "the target"
        name = "accuracy" if self.classifies else "rmse"
        if name not in self.tests:
            return [f"The model was trained to predict {target}."]
        score, guess = self.tests[name], self.guessing.get(name)
        value, width, interval = score["value"], _width(score), as_interval(score, self.classifies)
        if self.classifies:
            first = (
                f"The model gets {as_percent(value, width)} of {n} test rows right, which it had never seen"
            )
            sentences = [f"{first} (95 % interval {interval})."]
            if guess is not None:
                sentences.append(f"Always answering {self.guess} would get {as_percent(guess, width)} right.")
        else:
            r2 = (
                f"; R squared is {as_number(self.tests['r2']['value'], _width(self.tests['r2']))}"
                if "r2" in self.tests
                else ""
            )
            first = f"The model is typically {as_number(value, width)} off when it predicts {target}"
            of = (
                f"root mean squared error of {n} test rows, which it had never seen; 95 % interval {interval}"
            )
            sentences = [f"{first} ({of}){r2}."]
            if guess is not None:
                sentences.append(f"Always answering the mean would be {as_number(guess, width)} off.")
        if guess is None:
            return sentences
        low, high = (score[end] if _is_number(score.get(end)) else value for end in ("low", "high"))
        if not self.classifies:  # there less is better
            low, high, guess = -high, -low, -guess
        if low > guess:
            return [*sentences, "That is better than chance in the choice of test rows would explain."]
        if high < guess:
            return [*sentences, "The model is worse than that: don't use it."]
        return [*sentences, "Chance may explain the difference: this is no proof that it learnt anything."]

    def split(self) -> list[tuple[str, str, str]]:
        """Of each part of the rows its name, number and use."""
        total = max(1, sum(map(self.n_rows, _USES)))
        return [
            (title, f"{self.n_rows(part):,} ({as_percent(self.n_rows(part) / total)})", use)
            for part, (title, use) in _USES.items()
            if self.n_rows(part) or part != "validation"
        ]

    def quantiles(self) -> list[tuple[str, str]]:
        """Of the target's values in training."""
        names = ("smallest", "a quarter lies below", "half lies below", "three quarters lie below", "largest")
        values = self.data.get("target_quantiles") or []
        return [(name, f"{value:,.5g}") for name, value in zip(names, values, strict=False)]

    def course(self) -> list[str]:
        """How training went."""
        reason = str(self.training.get("stop_reason") or "epochs")
        epochs = as_count(self.training.get("epochs", "?"))
        plural = "" if epochs == "1" else "s"
        sentences = [
            f"Training ran for {epochs} epoch{plural} and ended because {_STOPS.get(reason, reason)}."
        ]
        if self.training.get("best_epoch") is not None:
            sentences.append(f"The weights kept are those of epoch {self.training['best_epoch']}.")
        costs = self._figures("cost")
        if len(costs) > 1:
            sentences.append(
                f"The cost of the training rows went from {as_number(costs[0])} to {as_number(costs[-1])}."
            )
        return sentences + self.advice()

    def _figures(self, name: str) -> list[float]:
        """A column of the history; empty where it is not a number in each epoch."""
        columns = self.history.get("columns")
        values = columns.get(name) if isinstance(columns, dict) else None
        return values if isinstance(values, list) and all(map(_is_number, values)) else []

    def advice(self) -> list[str]:
        """What the course of training says of its settings."""
        if not self.n_rows("validation"):
            return ["There were no validation rows, so overfitting would not be seen here."]
        costs = self._figures("val_cost")
        if len(costs) < 5:
            return []
        best = int(np.argmin(costs)) + 1
        if best == len(costs) and self.training.get("stop_reason") == "epochs":
            return ["The validation cost was lowest in the last epoch: more epochs may help."]
        if self.training.get("best_epoch") is None and costs[-1] > 1.2 * min(costs):
            overfits = f"The validation cost was lowest in epoch {best} and rose since: the model overfits."
            return [overfits, "Early stopping would keep that epoch's weights."]
        return []

    def settings(self) -> list[tuple[str, str]]:
        """Of training, by title."""
        found = [(title, self.training.get(name)) for name, title in _SETTINGS.items()]
        return [(title, as_text(value)) for title, value in found if value is not None]

    def limits(self) -> list[str]:
        """What is known to be doubtful, and what was not looked at."""
        found = [
            sentence for sentence in self.verdict() if sentence.startswith(("Chance", "The model is worse"))
        ]
        few = [f"“{line['label']}”" for line in self.by_class() if line["few"]]
        if few:
            shown = ", ".join(few[:10]) + (" and others" if len(few) > 10 else "")
            found.append(
                f"Fewer than {FEW_ROWS} test rows are of {shown}: how it does there is hardly known."
            )
        values = self.quantiles()
        if values:
            found.append(f"It was never tried on values below {values[0][1]} or above {values[-1][1]}.")
        reason = self.training.get("stop_reason")
        if reason in ("interrupted", "diverged", "error"):
            found.append(f"Training did not end as planned: {_STOPS[reason]}.")
        unknown = (
            "All rows came from the same source. Not measured: rows from elsewhere or from a later time, "
            "single groups of people or things, and what a wrong answer costs."
        )
        return [*found, *self.advice(), unknown]

    def speed(self) -> list[tuple[str, str]]:
        """How long training took, and on what."""
        seconds, rate = (self.training.get(name) for name in ("seconds", "samples_per_second"))
        found = [
            ("Training, all in all", as_time(seconds) if _is_number(seconds) else None),
            ("Rows a second while training", f"{rate:,.0f}" if _is_number(rate) else None),
            ("CPU", self.machine.get("cpu")),
            ("Cores it may use", self.machine.get("usable_cores")),
            ("System", self.machine.get("system")),
        ]
        return [(title, str(value)) for title, value in found if value]

    def versions(self) -> list[tuple[str, str]]:
        """Of what computed it."""
        found = {"fastnn": self.summary.get("fastnn")}
        found |= {name: self.machine.get(name) for name in ("numba", "numpy", "python")}
        return [(name, str(value)) for name, value in found.items() if value]

    @property
    def new_rows(self) -> str:
        """What a file of rows to predict may be called."""
        return {"table": "new.csv", "text": "new.txt", "images": "new/"}.get(
            str(self.data.get("kind")), "new.npy"
        )

    def use(self) -> str:
        """Lines of Python that use the model."""
        reads = {
            "table": 'import pandas\nrows = pandas.read_csv("new.csv")',
            "text": 'rows = open("new.txt").read().splitlines()',
            "images": 'import glob\nrows = sorted(glob.glob("new/*.png"))',
        }
        read = reads.get(str(self.data.get("kind")), 'import numpy\nrows = numpy.load("new.npy")')
        call = 'print(fastnn.Model.load("model.safetensors").predict(rows))'
        return f"import fastnn\n{read}\n{call}"


# Figures as text.


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _width(score: dict[str, Any]) -> float:
    low, high = score.get("low"), score.get("high")
    return high - low if _is_number(low) and _is_number(high) else 0.0


def as_count(value: Any) -> str:
    """A whole number with its thousands apart.

    Examples
    --------
    >>> as_count(1234567)
    '1,234,567'
    """
    return f"{value:,}" if _is_number(value) else str(value)


def as_number(value: float, width: float = 0.0) -> str:
    """With as many digits as an interval of that width gives a meaning to, or with three or four.

    Examples
    --------
    >>> as_number(53.2184, width=8.5), as_number(53.2184, width=0.05), as_number(53.2184)
    ('53.2', '53.218', '53.2')
    """
    if not math.isfinite(value):
        return _NOTHING
    if value != 0 and abs(value) < 1e-4:
        return f"{value:.3g}"
    scale = width if width > 0 else max(abs(value), 1e-4) / 20
    return f"{value:,.{min(6, max(0, 1 - math.floor(math.log10(scale))))}f}"


def as_percent(value: float, width: float = 0.0) -> str:
    """A share; with two decimals where an interval is that narrow.

    Examples
    --------
    >>> as_percent(0.98765).split(), as_percent(0.98765, width=0.001).split()
    (['98.8', '%'], ['98.77', '%'])
    """
    return f"{100 * value:.{2 if 0 < width < 0.002 else 1}f}{SPACE}%"


def as_interval(score: dict[str, Any], percent: bool) -> str:
    """From "low" to "high" of a score, or why not.

    Examples
    --------
    >>> as_interval({"low": 0.125, "high": 0.625}, percent=False)
    '0.12 to 0.62'
    """
    low, high, width = score.get("low"), score.get("high"), _width(score)
    if low is None or high is None or width == 0:
        return "not known"
    if percent:
        return f"{as_percent(low, width).partition(SPACE)[0]} to {as_percent(high, width)}"
    return f"{as_number(low, width)} to {as_number(high, width)}"


def as_time(seconds: float) -> str:
    """A time in the units that people use for one of its length.

    Examples
    --------
    >>> [as_time(seconds).split() for seconds in (1.234, 95.0, 600.0, 7260.0)]
    [['1.23', 's'], ['95', 's'], ['10', 'min'], ['2', 'h', '1', 'min']]
    """
    if seconds < 120:
        return f"{seconds:.{2 if seconds < 10 else 0}f}{SPACE}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return (f"{hours}{SPACE}h " if hours else "") + f"{minutes}{SPACE}min"


def as_text(value: Any, n_letters: int = 1500) -> str:
    """Whatever JSON may hold, for a cell of a table: not too long.

    Examples
    --------
    >>> as_text([True, 0.123456, 1234, None, "a"])
    'yes, 0.1235, 1,234, , a'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    if isinstance(value, dict):
        value = [f"{name}: {as_text(entry)}" for name, entry in value.items()]
    if isinstance(value, list):
        more = f" and {len(value) - 8:,} more" if len(value) > 8 else ""
        return ", ".join(map(as_text, value[:8])) + more
    text = str(value)
    return text if len(text) <= n_letters else text[:n_letters] + " …"
