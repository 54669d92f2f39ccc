"""Compare the scores of fastnn's and scikit-learn's estimators, and time several fits at once.

Both have the same settings, splits and seeds, and take turns; scores are those of held-out rows, beside the
seconds of a fit. fastnn is marked as worse if its mean is lower by more than the larger standard error.

The second table times GridSearchCV over several seeds with one network per core, beside the same search on
one core: two networks at once should take little more than half the time.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import joblib
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split
from sklearn.preprocessing import StandardScaler

import fastnn
from fastnn._threads import usable_cores
from fastnn.app.machine import describe
from fastnn.data import read_arrays

FASHION_ROWS = 10_000
LIBRARIES = {"scikit-learn": neural_network, "fastnn": fastnn}


class Task(NamedTuple):
    """A data set, the estimator for it, and its options."""

    name: str
    estimator: str
    x: np.ndarray
    y: np.ndarray
    options: dict[str, Any]


def make_tasks(fashion: Path | None) -> list[Task]:
    """Return scikit-learn's own data sets, and Fashion-MNIST if its folder is given."""
    tasks = [
        Task(name, "MLPClassifier", *getattr(datasets, f"load_{name}")(return_X_y=True), {})
        for name in ("digits", "iris", "wine", "breast_cancer")
    ]
    tasks.append(Task("diabetes", "MLPRegressor", *datasets.load_diabetes(return_X_y=True), {}))
    if fashion is not None:
        data = read_arrays(fashion)
        x, y = data.rows[:FASHION_ROWS].reshape(FASHION_ROWS, -1), data.y[:FASHION_ROWS]
        tasks.append(Task("Fashion-MNIST", "MLPClassifier", x, y, {"max_iter": 30}))
    return tasks


def split(task: Task, seed: int) -> list[np.ndarray]:
    """Return float32 training and test rows, standardised by the former, like targets of a regression."""
    is_regression = task.estimator == "MLPRegressor"
    x, x_test, y, y_test = train_test_split(
        task.x, task.y, random_state=seed, stratify=None if is_regression else task.y
    )
    scaler = StandardScaler().fit(x)
    x, x_test = (scaler.transform(rows).astype(np.float32) for rows in (x, x_test))
    if is_regression:
        y, y_test = (y - y.mean()) / y.std(), (y_test - y.mean()) / y.std()
    return [x, x_test, y, y_test]


def compare(task: Task, n_seeds: int) -> dict[str, Any]:
    """Return scores and seconds of each library by seed, and the difference with its standard error."""
    scores: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    seconds: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    for seed in range(-1, n_seeds):  # the first round may compile and is not counted
        x, x_test, y, y_test = split(task, max(seed, 0))
        for name, library in LIBRARIES.items():
            model = getattr(library, task.estimator)(random_state=max(seed, 0), **task.options)
            if seed < 0:
                model.set_params(max_iter=1)
            start = time.perf_counter()
            model.fit(x, y)
            if seed >= 0:
                seconds[name].append(time.perf_counter() - start)
                scores[name].append(model.score(x_test, y_test))
    difference = np.subtract(scores["fastnn"], scores["scikit-learn"])
    return {
        "task": task.name,
        "rows": len(task.x),
        "options": task.options,
        "scores": scores,
        "seconds": seconds,
        "difference": float(difference.mean()),
        "standard_error": standard_error(difference),
        "is_worse": bool(difference.mean() < -max(map(standard_error, scores.values()))),
    }


def standard_error(values) -> float:
    """Return the standard error of the mean."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def quality_table(results: list[dict[str, Any]], n_seeds: int) -> Table:
    """Return a table with a row per data set and columns per library."""
    table = Table(
        title=f"Accuracy or R2 of held-out rows, mean ± standard error of {n_seeds} seeds; seconds of a fit",
        caption="Difference: fastnn's less scikit-learn's, seed by seed.",
    )
    table.add_column("data")
    for name in LIBRARIES:
        table.add_column(name, justify="right")
        table.add_column("s", justify="right")
    for heading in ("difference", "fastnn is"):
        table.add_column(heading, justify="right")
    for result in results:
        cells = []
        for name in LIBRARIES:
            scores = result["scores"][name]
            cells.append(f"{np.mean(scores):.4f} ± {standard_error(scores):.4f}")
            cells.append(f"{np.mean(result['seconds'][name]):.3f}")
        cells.append(f"{result['difference']:+.4f} ± {result['standard_error']:.4f}")
        table.add_row(result["task"], *cells, "worse" if result["is_worse"] else "as good or better")
    return table


def at_once(rounds: int, n_jobs: int) -> list[dict[str, Any]]:
    """Return the seconds of a grid search over seeds, serial and one network per core, best of rounds."""
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    results = []
    for hidden in ((32,), (100,), (256, 256)):
        # about half a second each, so that starting and stopping workers does not matter
        model = fastnn.MLPClassifier(hidden, max_iter=400 if hidden == (32,) else 100, tol=0.0)
        model.set_params(n_iter_no_change=np.inf)
        runs: dict[str, Callable[[], float]] = {
            "one after another": _search(clone_with(model, n_threads=1), x, y, "sequential", 1),
            "processes": _search(model, x, y, "loky", n_jobs),
            "threads": _search(model, x, y, "threading", n_jobs),
        }
        for run in runs.values():
            run()
        seconds = {name: min(run() for _ in range(rounds)) for name, run in runs.items()}
        results.append({"sizes": [64, *hidden, 10], "seconds": seconds})
    return results


def clone_with(model, **parameters):
    """Return an unfitted copy of an estimator with some parameters changed."""
    return type(model)(**{**model.get_params(), **parameters})


def _search(model, x: np.ndarray, y: np.ndarray, backend: str, n_jobs: int) -> Callable[[], float]:
    split_once = ShuffleSplit(1, test_size=0.2, random_state=0)
    grid = {"random_state": list(range(4 * usable_cores()))}

    def run() -> float:
        search = GridSearchCV(model, grid, cv=split_once, refit=False)
        start = time.perf_counter()
        with joblib.parallel_config(backend, n_jobs=n_jobs):
            search.fit(x, y)
        return time.perf_counter() - start

    return run


def at_once_table(results: list[dict[str, Any]], n_jobs: int) -> Table:
    """Return a table with a row per network and a column per way of running."""
    table = Table(title=f"Grid search over {4 * usable_cores()} seeds, s; in brackets how much faster")
    table.add_column("network")
    names = list(results[0]["seconds"])
    for name in names:
        table.add_column(name if name == names[0] else f"{n_jobs} {name}", justify="right")
    for result in results:
        seconds = result["seconds"]
        cells = [f"{s:.2f} ({seconds[names[0]] / s:.2f}x)" for s in seconds.values()]
        table.add_row("-".join(map(str, result["sizes"])), *cells)
    return table


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Number of splits and seeds of each data set.")] = 10,
    fashion: Annotated[Path | None, typer.Option(help="Folder with the IDX files of Fashion-MNIST.")] = None,
    quality: Annotated[bool, typer.Option(help="Make the first table.")] = True,
    at_once_too: Annotated[
        bool, typer.Option("--at-once/--no-at-once", help="Make the second table.")
    ] = True,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Jobs of the second table; all usable cores by default.")
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds of the second table, of which the best counts.")
    ] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Compare the scores of fastnn's and scikit-learn's estimators, and time several fits at once."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # also for joblib's workers
    console = Console()
    if not console.is_terminal:
        console.width = 140  # not limited by a terminal
    n_jobs = jobs or usable_cores()
    report: dict[str, Any] = {"machine": describe(), "seeds": seeds, "quality": [], "at_once": []}
    with console.status("") as status:
        for task in make_tasks(fashion) if quality else []:
            status.update(task.name)
            report["quality"].append(compare(task, seeds))
        if at_once_too:
            status.update("several networks at once")
            report["at_once"] = at_once(rounds, n_jobs)
    if report["quality"]:
        console.print(quality_table(report["quality"], seeds))
    if report["at_once"]:
        console.print(at_once_table(report["at_once"], n_jobs))
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
