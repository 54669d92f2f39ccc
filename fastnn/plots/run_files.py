"""The files of a run's folder, read and checked; each error is one sentence that names the file."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._documents import parse_json
from ..data.tables.spreadsheets import unescape

HISTORY, SUMMARY, TEST = "history.json", "summary.json", "test.csv"


def check_run_folder(folder: Path, *names: str) -> None:
    """Raise unless `folder` is a folder that holds files of these names.

    Examples
    --------
    >>> check_run_folder(Path("runs/nowhere"))
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no folder 'runs/nowhere': expected the folder of a run.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}: expected the folder of a run.")
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"there is no {name} in {str(folder)!r}: expected the folder of a finished run."
            )


@contextlib.contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Name the file in any error that its content causes.

    Examples
    --------
    >>> with damage_in(Path("test.csv")):
    ...     float("up")
    Traceback (most recent call last):
        ...
    ValueError: 'test.csv' is damaged: could not convert string to float: 'up'.
    """
    try:
        yield
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is damaged: {str(error).removesuffix('.')}.") from error


def read_json(path: Path, kind: type[dict] | type[list] = dict) -> Any:
    """Return the object, or the array, that a JSON file holds."""
    with damage_in(path):
        content = parse_json(path.read_text("utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"expected a JSON {'object' if kind is dict else 'array'}")
    return content


def read_test_rows(path: Path) -> dict[str, list[str]]:
    """Return the columns of a run's test rows as text.

    There is a column "truth" and a column "prediction"; with several targets, a pair of columns
    "truth_NAME" and "prediction_NAME" for each.
    """
    with damage_in(path), path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = [*map(unescape, next(lines, []))]
        rows = [[*map(unescape, row)] for row in lines if row]
        if any(len(row) != len(header) for row in rows):
            raise ValueError("its lines have different numbers of fields")
        several = [name.removeprefix("truth_") for name in header if name.startswith("truth_")]
        wanted = [f"{part}_{name}" for name in several for part in ("truth", "prediction")]
        missing = [name for name in wanted or ("truth", "prediction") if name not in header]
        if missing:
            raise ValueError(f"it has no column {missing[0]}, only {', '.join(header) or 'none'}")
    return {name: [row[k] for row in rows] for k, name in enumerate(header)}


def columns_by_target(test: dict[str, list[str]]) -> dict[str, dict[str, list[str]]]:
    """Return the columns "truth" and "prediction" of each target under its name.

    All columns of the only target are under the empty name.

    Examples
    --------
    >>> columns_by_target({"truth_height": ["1"], "prediction_height": ["2"]})
    {'height': {'truth': ['1'], 'prediction': ['2']}}
    """
    if "truth" in test:
        return {"": test}
    names = [name.removeprefix("truth_") for name in test if name.startswith("truth_")]
    return {name: {part: test[f"{part}_{name}"] for part in ("truth", "prediction")} for name in names}
