"""Findings on a run, read from its files: on the data, the training and the scores."""

from __future__ import annotations

import functools
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..evaluation import baseline, wilson
from ..plots.run_files import (
    HISTORY,
    SUMMARY,
    TEST,
    check_run_folder,
    columns_by_target,
    damage_in,
    read_json,
    read_test_rows,
)
from .figures import (
    NOTHING,
    as_count,
    as_interval,
    as_number,
    as_percent,
    as_text,
    as_time,
    interval_width,
    is_number,
)
from .terms import (
    ARRAYS,
    DATA,
    OUTCOMES,
    SCORES,
    SETTING_TITLES,
    STOPS,
    UNPLANNED_STOPS,
    USES,
    DataWords,
    ScoreMeaning,
)

FEW_ROWS = 30  # of a class: too few to say how good the model is at it
MOST_CLASSES = 30  # shown of what may be many
_N_NAMED = 10  # classes named in a sentence
_FEWEST_EPOCHS = 5  # that say something of a course


@dataclass(frozen=True)
class Finding:
    """One statement about a run.

    Attributes
    ----------
    kind : str
        Subject: "score", "baseline", "better", "chance", "worse", ...
    sentence : str
    severity : {"fact", "limit"}
        A limit is something that a user of the model should know before relying on it.
    figures : dict
        The numbers and names that the sentence is about.
    """

    kind: str
    sentence: str
    severity: Literal["fact", "limit"] = "fact"
    figures: dict[str, Any] = field(default_factory=dict)


class Findings:
    """Content of a run's folder, and statements about it.

    Parameters
    ----------
    folder : path-like
        As ``fastnn train`` writes it; only its file ``summary.json`` must be there.

    Attributes
    ----------
    folder : Path
    summary : dict
        The content of ``summary.json``; `data`, `network`, `training`, `tests` and `machine` are its parts.
    history : dict
    worst : list of dict
        The test rows with the largest loss.
    config : str
    truth, prediction : ndarray of str of shape (n,) or (n, n_out)
        Answers for the test rows. A missing file leaves its attribute empty.

    Raises
    ------
    FileNotFoundError
        If it is not the folder of a finished run.
    ValueError
        If one of its files is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        check_run_folder(self.folder, SUMMARY)
        self.summary: dict[str, Any] = read_json(self.folder / SUMMARY)
        with damage_in(self.folder / SUMMARY):
            self.data, self.network, self.training, self.tests = (
                self._summary_part(name) for name in ("data", "network", "training", "test")
            )
            if self.data.get("task") not in ("classification", "regression"):
                raise ValueError(f"its task is {self.data.get('task')!r}")
            for name, score in self.tests.items():
                if not isinstance(score, dict) or not is_number(score.get("value")):
                    raise ValueError(f"test score {name!r} has no value")
        machine = self.summary.get("machine")
        self.machine: dict[str, Any] = machine if isinstance(machine, dict) else {}
        self.history: dict[str, Any] = self._read_optional(HISTORY, dict)
        worst = self._read_optional("worst.json", list)
        self.worst: list[dict[str, Any]] = [entry for entry in worst if isinstance(entry, dict)]
        config = self.folder / "config.toml"
        self.config = config.read_text("utf-8", "replace").strip() if config.is_file() else ""
        self.truth, self.prediction = self._read_test_rows()

    def _summary_part(self, name: str) -> dict[str, Any]:
        part = self.summary.get(name)
        if not isinstance(part, dict):
            raise ValueError(f"it has no part {name!r}")
        return part

    def _read_optional(self, name: str, kind: type[dict] | type[list]) -> Any:
        path = self.folder / name
        return read_json(path, kind) if path.is_file() else kind()

    def _read_test_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return truth and prediction of the test rows as text, with a column for each of several targets."""
        path = self.folder / TEST
        if not path.is_file():
            return np.empty(0, str), np.empty(0, str)
        targets = columns_by_target(read_test_rows(path)).values()
        truth, prediction = (
            np.column_stack([np.array(target[part], str) for target in targets])
            for part in ("truth", "prediction")
        )
        return (truth[:, 0], prediction[:, 0]) if len(targets) == 1 else (truth, prediction)

    # The data.

    @property
    def classifies(self) -> bool:
        """True if the model predicts classes, False if it predicts values."""
        return self.data["task"] == "classification"

    @property
    def words(self) -> DataWords:
        """Words for this kind of data."""
        return DATA.get(str(self.data.get("kind")), ARRAYS)

    @property
    def notes(self) -> list[str]:
        """Sentences on the data."""
        return [text[:1].upper() + text[1:] for text in map(str, self.data.get("notes") or [])]

    @property
    def class_counts(self) -> dict[str, int]:
        """Training rows of each class, the most frequent class first."""
        found = self.data.get("target_counts") or {}
        return {str(label): int(n) for label, n in sorted(found.items(), key=lambda item: -item[1])}

    def n_rows(self, part: str) -> int:
        """Return the number of rows of a part of the split."""
        return int((self.data.get("rows") or {}).get(part) or 0)

    def split(self) -> list[tuple[str, str, str]]:
        """Return the name, the rows and the use of each part of the split."""
        total = max(1, sum(map(self.n_rows, USES)))
        return [
            (title, f"{self.n_rows(part):,} ({as_percent(self.n_rows(part) / total)})", use)
            for part, (title, use) in USES.items()
            if self.n_rows(part) or part != "validation"
        ]

    def quantiles(self) -> list[tuple[str, str]]:
        """Return the quartiles of the target's values in training."""
        names = ("smallest", "a quarter lies below", "half lies below", "three quarters lie below", "largest")
        values = self.data.get("target_quantiles") or []
        return [(name, f"{value:,.5g}") for name, value in zip(names, values, strict=False)]

    # The scores.

    @property
    def baseline_answer(self) -> str:
        """The answer of the baseline, which is the same for all rows, in words."""
        return f"“{as_text(next(iter(self.class_counts), '?'), 40)}”" if self.classifies else "the mean"

    @functools.cached_property
    def baseline_scores(self) -> dict[str, float]:
        """Scores of always answering the most frequent class, or the mean, as far as they are known."""
        if self.classifies:
            labels, n = list(self.class_counts), list(self.class_counts.values())
            if not sum(n):
                return {}
            if not set(self.truth.tolist()) & set(labels):
                return {"accuracy": n[0] / sum(n)}
            return baseline(np.repeat(np.array(labels, object), n), self.truth, classes=labels)
        if not len(self.truth):
            return {"r2": 0.0}
        with damage_in(self.folder / TEST):
            y = self.truth.astype(np.float64)
        return baseline(y, y)

    @property
    def test_rows_sentence(self) -> str:
        """A sentence on the rows that the scores are of."""
        return (
            f"Scores on {self.n_rows('test'):,} test rows, which the model did not learn from, beside the "
            f"scores of always answering {self.baseline_answer}."
        )

    @property
    def intervals_sentence(self) -> str:
        """Sentences on how the intervals were found, and what they do not say."""
        how = "were bootstrapped (Efron and Tibshirani, 1993)"
        if self.classifies:
            how = f"of accuracy and of single classes are Wilson's (1927), the others {how}"
        sentences = [
            f"The intervals show how far chance in the choice of test rows may move a score; those {how}.",
            "They say nothing about other training rows, another seed, or rows from elsewhere.",
        ]
        if any(interval_width(score) == 0 for score in self.tests.values()):
            sentences.append(
                "An interval is not known where all resamples agree, for example where every row is right."
            )
        return " ".join(sentences)

    def scores(self) -> list[dict[str, str]]:
        """Return title, value, interval, baseline and meaning of each score."""
        lines = []
        for name, score in self.tests.items():
            title, percent, says = SCORES.get(name, ScoreMeaning(name, False, ""))
            write, width = as_percent if percent else as_number, interval_width(score)
            guess = self.baseline_scores.get(name)
            lines.append(
                {
                    "title": title,
                    "value": write(score["value"], width),
                    "interval": as_interval(score, percent),
                    "baseline": NOTHING if guess is None else write(guess, width),
                    "says": says,
                }
            )
        return lines

    def by_class(self) -> list[dict[str, Any]]:
        """Return how many test rows of each class were found, with an interval; the worst class first."""
        if not self.classifies or not len(self.truth):
            return []
        rows = Counter(self.truth.tolist())
        right = Counter(self.truth[self.truth == self.prediction].tolist())
        lines = []
        for label, n in sorted(rows.items(), key=lambda item: (right[item[0]] / item[1], -item[1])):
            low, high = wilson(right[label], n)
            lines.append(
                {
                    "label": label,
                    "n": n,
                    "few": n < FEW_ROWS,
                    "value": as_percent(right[label] / n),
                    "interval": as_interval({"low": low, "high": high}, True),
                }
            )
        return lines

    def verdict(self) -> list[Finding]:
        """Return how good the model is, how good guessing is, and whether the difference may be chance."""
        n, target = f"{self.n_rows('test'):,}", self.data.get("target") or "the target"
        name = "accuracy" if self.classifies else "rmse"
        if name not in self.tests:
            return [Finding("purpose", f"The model was trained to predict {target}.")]
        score, guess = self.tests[name], self.baseline_scores.get(name)
        value, width, interval = score["value"], interval_width(score), as_interval(score, self.classifies)
        if self.classifies:
            model = (
                f"The model predicts the class of {as_percent(value, width)} of {n} unseen test rows "
                f"correctly (95 % interval {interval})."
            )
            other = f"Always answering {self.baseline_answer} would be right for {{}}."
        else:
            model = (
                f"The model is typically off by {as_number(value, width)} when it predicts {target} (root "
                f"mean squared error on {n} unseen test rows; 95 % interval {interval})"
            )
            if "r2" in self.tests:
                r2 = self.tests["r2"]
                model += f"; R squared is {as_number(r2['value'], interval_width(r2))}"
            model += "."
            other = "Always answering the mean would be off by {}."
        found = [Finding("score", model, figures={"name": name, **score})]
        if guess is None:
            return found
        write = as_percent if self.classifies else as_number
        other = other.format(write(guess, width))
        return [*found, Finding("baseline", other, figures={"name": name, "value": guess}), self._compared()]

    def _compared(self) -> Finding:
        """Compare the main score, of which there is a baseline, with that."""
        name = "accuracy" if self.classifies else "rmse"
        score, guess = self.tests[name], self.baseline_scores[name]
        low, high = (score[end] if is_number(score.get(end)) else score["value"] for end in ("low", "high"))
        if not self.classifies:  # the lower the better
            low, high, guess = -high, -low, -guess
        if low > guess:
            return Finding(
                "better",
                "The difference is larger than chance in the choice of test rows would explain.",
            )
        if high < guess:
            return Finding("worse", "The model is worse than that: do not use it.", "limit")
        text = "Chance may explain the difference: the model may have learnt nothing."
        return Finding("chance", text, "limit")

    # The training.

    def course(self) -> list[Finding]:
        """Return statements on how training went, and on what that implies for its settings."""
        reason = str(self.training.get("stop_reason") or "epochs")
        epochs = as_count(self.training.get("epochs", "?"))
        ending = (
            f"Training ran for {epochs} epoch{'' if epochs == '1' else 's'} and ended because "
            f"{STOPS.get(reason, reason)}."
        )
        found = [Finding("ending", ending, figures={"reason": reason})]
        best = self.training.get("best_epoch")
        if best is not None:
            restored = f"The weights of epoch {best} were restored."
            found.append(Finding("restored", restored, figures={"epoch": best}))
        costs = self._column("cost")
        if len(costs) > 1:
            first, last = costs[0], costs[-1]
            cost = f"The training cost went from {as_number(first)} to {as_number(last)}."
            found.append(Finding("cost", cost, figures={"first": first, "last": last}))
        return found + self.advice()

    def _column(self, name: str) -> list[float]:
        """Return a column of the history; empty if it does not hold a number for each epoch."""
        columns = self.history.get("columns")
        values = columns.get(name) if isinstance(columns, dict) else None
        return values if isinstance(values, list) and all(map(is_number, values)) else []

    def advice(self) -> list[Finding]:
        """Return statements on what the course of training implies for its settings."""
        if not self.n_rows("validation"):
            text = "There were no validation rows, so overfitting would go unnoticed."
            return [Finding("no validation", text, "limit")]
        costs = self._column("val_cost")
        if len(costs) < _FEWEST_EPOCHS:
            return []
        best = int(np.argmin(costs)) + 1
        if best == len(costs) and self.training.get("stop_reason") == "epochs":
            text = "The validation cost was lowest in the last epoch: more epochs may help."
            return [Finding("more epochs", text, "limit", {"epoch": best})]
        if self.training.get("best_epoch") is None and costs[-1] > 1.2 * min(costs):
            text = (
                f"The validation cost was lowest in epoch {best} and has risen since: the model overfits. "
                "Early stopping would keep that epoch's weights."
            )
            return [Finding("overfitting", text, "limit", {"epoch": best})]
        return []

    def settings(self) -> list[tuple[str, str]]:
        """Return the settings of training that the summary holds, by title."""
        return [
            (SETTING_TITLES.get(name, name.replace("_", " ").capitalize()), as_text(value))
            for name, value in self.training.items()
            if name not in OUTCOMES and value is not None
        ]

    # What follows for a user.

    def limits(self) -> list[Finding]:
        """Return what is known to be doubtful, and what was not examined."""
        found = self.verdict()
        few = [line["label"] for line in self.by_class() if line["few"]]
        if few:
            shown = ", ".join(f"“{label}”" for label in few[:_N_NAMED])
            shown += " and others" if len(few) > _N_NAMED else ""
            text = (
                f"There are fewer than {FEW_ROWS} test rows of {shown}: how good it is there is hardly known."
            )
            found.append(Finding("few rows", text, "limit", {"classes": few}))
        values = self.quantiles()
        if values:
            (_, low), *_, (_, high) = values
            text = f"The training rows have no values below {low} or above {high}: beyond them it is untried."
            found.append(Finding("range", text, "limit", {"low": low, "high": high}))
        reason = self.training.get("stop_reason")
        if reason in UNPLANNED_STOPS:
            text = f"Training did not end as planned: {STOPS[reason]}."
            found.append(Finding("unplanned ending", text, "limit", {"reason": reason}))
        unknown = (
            "All rows come from the same source. Not measured: how good it is on rows from elsewhere or from "
            "a later time, or for single groups of people or things, and what a wrong answer costs."
        )
        found += [*self.advice(), Finding("not measured", unknown, "limit")]
        return [finding for finding in found if finding.severity == "limit"]

    @property
    def network_sentence(self) -> str:
        """A sentence on the network's layers and parameters; empty if the summary does not say."""
        sizes = self.network.get("sizes")
        if not sizes:
            return ""
        widths = " \N{EN DASH} ".join(map(str, sizes))
        n_params = as_count(self.network.get("n_params", "?"))
        return f"A multilayer perceptron of {len(sizes) - 1} layers, {widths}, with {n_params} parameters."

    @property
    def command_sentence(self) -> str:
        """A sentence on the command that trains the same model again; empty if the summary has none."""
        if not self.summary.get("command"):
            return ""
        seed = self.summary.get("seed")
        with_seed = f", with seed {seed}" if is_number(seed) else ""
        return (
            f"This command trains the same model again{with_seed}; the same versions on the same kind of CPU "
            "give the same bits."
        )

    def speed(self) -> list[tuple[str, str]]:
        """Return how long training took, and on which machine."""
        seconds, rate = (self.training.get(name) for name in ("seconds", "samples_per_second"))
        found = [
            ("Training time", as_time(seconds) if is_number(seconds) else None),
            ("Training rows per second", f"{rate:,.0f}" if is_number(rate) else None),
            ("CPU", self.machine.get("cpu")),
            ("Usable cores", self.machine.get("usable_cores")),
            ("System", self.machine.get("system")),
        ]
        return [(title, str(value)) for title, value in found if value]

    def versions(self) -> list[tuple[str, str]]:
        """Return the versions of the programs that trained it."""
        found = {"fastnn": self.summary.get("fastnn")}
        found |= {name: self.machine.get(name) for name in ("numba", "numpy", "python")}
        return [(name, str(value)) for name, value in found.items() if value]

    def example_code(self) -> str:
        """Return lines of Python that use the model."""
        call = 'print(fastnn.Model.load("model.safetensors").predict(rows))'
        return f"import fastnn\n{self.words.read}\n{call}"
