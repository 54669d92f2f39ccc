"""Pictures of a run, each with its title and its content in words."""

from __future__ import annotations

import io
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from ..model import MODEL
from ..network.files import write_atomically
from ..network.mlp import MLP, load
from .curves import METRIC_TITLES, Columns, best_index, curve_values, history_columns, learning_curve
from .layers import SHEET_WIDTH, first_layer_weights
from .predictions import (
    SCATTER_SIZE,
    Calibration,
    calibration,
    check_pair,
    confusion_matrix,
    matrix_size,
    outcomes_of,
    predicted_against_true,
    r2_and_mae,
    residuals,
)
from .run_files import (
    HISTORY,
    SUMMARY,
    TEST,
    check_run_folder,
    columns_by_target,
    damage_in,
    read_json,
    read_test_rows,
)
from .style import FIGURE_SIZE, as_written, format_number, one_line


class Picture(NamedTuple):
    """A picture of a run.

    Attributes
    ----------
    name : str
        A name that can be that of a file.
    title : str
    alt : str
        Content of the picture, in words and figures.
    draw : callable
        ``draw(ax)`` draws it. The figure should have ``layout="constrained"``.
    size : tuple of float
        Width and height of a figure that suits it, in inches.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[Any], Any]
    size: tuple[float, float] = FIGURE_SIZE


def run_pictures(run_folder: str | os.PathLike[str]) -> list[Picture]:
    """Return all pictures that go with a run: of its history, its test rows and its network.

    Parameters
    ----------
    run_folder : path-like

    Returns
    -------
    list of Picture

    Raises
    ------
    FileNotFoundError
        If it is not the folder of a finished run.
    ValueError
        If one of its files is damaged.

    Examples
    --------
    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> columns = {"epoch": [1, 2], "cost": [1.2, 0.3]}
    >>> text = json.dumps({"metric_name": "accuracy", "best_epoch": None, "columns": columns})
    >>> _ = (folder / "history.json").write_text(text)
    >>> _ = (folder / "summary.json").write_text("{}")
    >>> [picture.alt for picture in run_pictures(folder)]
    ['Training cost falls from 1.2 to 0.3 in 2 epochs.']
    """
    folder = _checks.check_path("run_folder", run_folder)
    check_run_folder(folder, HISTORY, SUMMARY)
    history, summary = read_json(folder / HISTORY), read_json(folder / SUMMARY)
    data = _part(summary, "data")
    with damage_in(folder / HISTORY):
        pictures = _history_pictures(history)
    if (folder / TEST).is_file():
        test = read_test_rows(folder / TEST)
        with damage_in(folder / TEST):
            for k, (target, columns) in enumerate(columns_by_target(test).items()):
                found = _test_pictures(columns, data) if columns["truth"] else []
                if target:
                    found = [
                        picture._replace(name=f"{picture.name}_{k}", title=f"{picture.title}: {target}")
                        for picture in found
                    ]
                pictures += found
    if (folder / MODEL).is_file():
        pictures += _network_pictures(load(folder / MODEL))
    return pictures


def _part(summary: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = summary.get(name)
    return part if isinstance(part, dict) else {}


def _history_pictures(history: dict[str, Any]) -> list[Picture]:
    columns, metric_name, best_epoch = history_columns(history)
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("its columns have different lengths")
    if not columns["epoch"]:
        return []
    metric = METRIC_TITLES.get(metric_name, metric_name)
    titles = {"cost": "Cost over training", "metric": f"{_capitalized(metric)} over training"}
    if len(set(columns.get("lr", []))) > 1:
        titles["lr"] = "Learning rate"

    def picture(figure: str, title: str) -> Picture:
        return Picture(
            {"metric": metric_name, "lr": "learning_rate"}.get(figure, figure),
            title,
            _curve_in_words(columns, figure, metric, best_epoch),
            lambda ax: learning_curve(history, figure, ax=ax),
        )

    return [picture(figure, title) for figure, title in titles.items() if figure in columns]


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _curve_in_words(columns: Columns, figure: str, metric: str, best_epoch: int | None) -> str:
    name = {"metric": metric, "lr": "learning rate"}.get(figure, figure)
    values = curve_values(columns, figure)
    first, last = values[0], values[-1]
    if last == first:
        course = f"stays at {format_number(last)}"
    else:
        verb = "falls" if last < first else "rises" if last > first else "stays"
        course = f"{verb} from {format_number(first)} to {format_number(last)}"
    n = len(values)
    subject = name if figure == "lr" else f"training {name}"
    text = f"{_capitalized(subject)} {course} in {n:,} epoch{'s' * (n > 1)}"
    best = best_index(columns, figure, None)
    if f"val_{figure}" in columns and best is not None:
        validation = curve_values(columns, f"val_{figure}")
        extreme = "lowest" if figure == "cost" else "highest"
        text += (
            f"; validation {name} is {extreme}, {format_number(validation[best])}, at epoch "
            f"{columns['epoch'][best]:,}, and {format_number(validation[-1])} at the end"
        )
    if best_epoch is not None and figure != "lr":
        text += f"; the weights of epoch {best_epoch:,} were restored"
    return text + "."


def _test_pictures(test: dict[str, list[str]], data: dict[str, Any]) -> list[Picture]:
    if data.get("task") == "regression":
        return _value_pictures(*check_pair(test["truth"], test["prediction"]))
    truth, prediction = test["truth"], test["prediction"]
    labels = [str(label) for label in data.get("classes") or []]
    if not labels or not set(truth + prediction) <= set(labels):
        labels = sorted(set(labels) | set(truth) | set(prediction))
    pictures = [
        Picture(
            "confusion_matrix",
            "Confusion matrix",
            _confusion_in_words(truth, prediction),
            lambda ax: confusion_matrix(truth, prediction, classes=labels, ax=ax),
            matrix_size(len(labels)),
        )
    ]
    if all(f"p_{label}" in test for label in labels) and len(labels) > 1:
        p = np.array([test[f"p_{label}"] for label in labels], dtype=np.float64).T
        pictures.append(
            Picture(
                "calibration",
                "Calibration",
                _calibration_in_words(truth, p, labels),
                lambda ax: calibration(truth, p, classes=labels, ax=ax),
            )
        )
    return pictures


def _confusion_in_words(truth: list[str], prediction: list[str]) -> str:
    pairs = list(zip(truth, prediction, strict=True))
    n_right = sum(a == b for a, b in pairs)
    text = f"{n_right:,} of {len(pairs):,} test rows are predicted correctly"
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    if wrong:
        (worst, count), *_ = wrong.most_common(1)
        times = "once" if count == 1 else f"{count:,} times"
        text += f"; the most frequent mistake is {worst[0]} predicted as {worst[1]} ({times})"
    return text + "."


def _calibration_in_words(truth: list[str], p: np.ndarray, labels: Sequence[str]) -> str:
    outcomes = outcomes_of(truth, p, labels)
    error = Calibration.of(outcomes.hits, outcomes.p, 10).error
    subject = f"The mean predicted probability of {labels[1]}" if outcomes.binary else "Mean confidence"
    came_true = "the share of such rows" if outcomes.binary else "the share predicted correctly"
    return (
        f"{subject} over {len(truth):,} test rows is {100 * outcomes.p.mean():.3g} %, {came_true} "
        f"{100 * outcomes.hits.mean():.3g} %; the expected calibration error is {error:.3f}."
    )


def _value_pictures(truth: np.ndarray, prediction: np.ndarray) -> list[Picture]:
    n = len(truth)
    r2, error = r2_and_mae(truth, prediction)
    rest = truth - prediction
    low, median, high = (format_number(value) for value in np.quantile(rest, [0.05, 0.5, 0.95]))
    return [
        Picture(
            "predicted_against_true",
            "Predicted against true",
            f"Predictions of {n:,} test rows against their true values, which run from "
            f"{format_number(truth.min())} to {format_number(truth.max())}: R² is {format_number(r2)}, the "
            f"mean absolute error {format_number(error)}.",
            lambda ax: predicted_against_true(truth, prediction, ax=ax),
            SCATTER_SIZE,
        ),
        Picture(
            "residuals",
            "Residuals",
            f"True less predicted values of {n:,} test rows: the median is {median}, and nine of ten lie "
            f"between {low} and {high}.",
            lambda ax: residuals(truth, prediction, ax=ax),
        ),
    ]


def _network_pictures(net: MLP) -> list[Picture]:
    """Return the picture of the first layer's weights, where the features are pixels."""
    encoder = net.metadata.get("encoder") or {}
    if encoder.get("kind") == "images":
        shape = (*encoder.get("size", ()), *((3,) if encoder.get("mode") == "RGB" else ()))
    elif encoder.get("kind") == "array":
        shape = tuple(encoder.get("shape") or ())
    else:
        return []
    images = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not images or math.prod(shape) != len(net.weights[0]) or min(shape[:2]) < 4:
        return []
    n = min(25, net.sizes[1])
    colours = "blue where a bright pixel excites the unit and red where it inhibits"
    if len(shape) == 3:
        colours = "in each colour light where it excites the unit and dark where it inhibits"
    return [
        Picture(
            "first_layer_weights",
            "Weights of the first layer",
            f"The weights into {n} of the {net.sizes[1]:,} units of the first layer as "
            f"images of {shape[0]} x {shape[1]} pixels, {colours}.",
            lambda ax: first_layer_weights(net, shape, n=n, ax=ax),
            (SHEET_WIDTH, SHEET_WIDTH),
        )
    ]


def save_pictures(run_folder: str | os.PathLike[str]) -> list[Path]:
    """Write the pictures of a run into its folder as ``pictures/NAME.png``, each in one step.

    Parameters
    ----------
    run_folder : path-like

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError, ValueError
        See :func:`run_pictures`.
    OSError
        If a file cannot be written.
    """
    figures = _checks.require("matplotlib.figure", "plots")
    pictures = run_pictures(run_folder)
    folder = _checks.check_path("run_folder", run_folder) / "pictures"
    folder.mkdir(exist_ok=True)
    paths = []
    for picture in pictures:
        figure = figures.Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure.add_subplot())
        as_written(figure.suptitle(one_line(picture.title), fontsize=11, x=0.02, ha="left"))
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150, metadata={"Description": picture.alt})
        paths.append(folder / f"{picture.name}.png")
        write_atomically(paths[-1], content.getvalue())
    return paths
