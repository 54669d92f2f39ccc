"""Splits of rows into training, validation and test parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._labels import label_text
from ..evaluation import TASKS
from .dataset import Dataset
from .tables.dates import find_date_form, read_dates
from .tables.numbers import read_numbers
from .tables.values import is_numeric
from .target import guess_task

WAYS = ("random", "group", "time")


class Split(NamedTuple):
    """The rows of each part.

    Attributes
    ----------
    train, validation, test : ndarray of shape (n_part,), int64
        Row numbers, none of them in two parts; in ascending order or, by time, from the earliest on.
    notes : tuple of str
        Sentences on the split that the user should read.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


def split_rows(
    data: Dataset | int,
    *,
    y: ArrayLike | None = None,
    task: str | None = None,
    test: float = 0.2,
    validation: float = 0.1,
    by: str | None = None,
    groups: ArrayLike | None = None,
    times: ArrayLike | None = None,
    seed: int = 0,
) -> Split:
    """Split rows into a training, a validation and a test part.

    A random split keeps the share of each class; classes too rare to be in all parts stay in the training
    part. A split by group puts no group into two parts. A split by time takes the latest rows for the test
    part, those before them for validation, and keeps rows of the same time together.

    Parameters
    ----------
    data : Dataset or int
        The rows, or their number. If a Dataset has test rows of its own, all others are split into training
        and validation, and the test part is empty.
    y : array-like of shape (n,) or (n, n_out), optional
        The target; by default the Dataset's. Without it, rows are drawn regardless of classes.
    task : {"classification", "regression"}, optional
        By default guessed from y; see :func:`guess_task`.
    test, validation : float in [0, 1), default=0.2 and 0.1
        Shares of all rows; 0 means none.
    by : {"random", "group", "time"}, optional
        By default "group" with `groups`, "time" with `times`, otherwise "random".
    groups, times : array-like of shape (n,) or str, optional
        The group or time of each row, or the name of a table's column. A split by time without `times`
        takes rows to be in the order of time.
    seed : int, default=0

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a part would be empty, or groups or times are missing.

    Examples
    --------
    >>> split = split_rows(10, y=[0, 1] * 5, test=0.2, validation=0.2)
    >>> split.train, split.validation, split.test
    (array([2, 3, 4, 5, 6, 7]), array([0, 9]), array([1, 8]))
    >>> split_rows(5, by="time").test
    array([4])
    """
    test = _checks.check_number("test", test, 0.0, 1.0)
    validation = _checks.check_number("validation", validation, 0.0, 1.0)
    rows = None
    if isinstance(data, Dataset):
        n, y, rows = data.n, data.y if y is None else y, data.rows
        test = test if data.test is None else 0.0
    else:
        n = _checks.check_count("the number of rows", data)
    if test + validation >= 1:
        raise ValueError(
            f"test and validation take {test + validation:g} of all rows: none are left to train."
        )
    if by is None:
        by = "group" if groups is not None else "time" if times is not None else "random"
    _checks.check_name("by", by, WAYS)
    for name, value, way in (("groups", groups, "group"), ("times", times, "time")):
        if value is not None and by != way:
            raise ValueError(f"{name} were given, but the split is by {by}: expected by={way!r}.")
    rng = _checks.make_rng(seed)
    sizes = [round(n * test), round(n * validation)]
    for name, share, i in (("test", test, 0), ("validation", validation, 1)):
        sizes[i] = max(sizes[i], 1) if share > 0 else 0
        if sizes[0] + sizes[1] >= n:
            raise ValueError(f"there are too few rows, {n}, to split {share:g} of them off as {name} rows.")
    notes: list[str] = []
    if by == "group":
        if groups is None:
            raise ValueError("a split by group needs groups: the group of each row, or a column's name.")
        parts = _by_group(_of_rows("groups", groups, n, rows), sizes, rng)
    elif by == "time":
        parts = _by_time(None if times is None else _of_rows("times", times, n, rows), n, sizes)
    else:
        if y is not None:
            y = _checks.as_rows("y", y)
            _checks.check_lengths("the data", n, "y", len(y))
        parts, notes = _at_random(n, _labels(y, task), sizes, rng)
    if by != "time":
        parts = [np.sort(part) for part in parts]
    train, validating, testing = parts
    return Split(train, validating, testing, tuple(notes))


def _of_rows(name: str, values: Any, n: int, rows: Any) -> np.ndarray:
    """Convert groups to numbers, or times to numbers in their order, none of them missing."""
    shown = name
    if isinstance(values, str):
        if not hasattr(rows, "columns"):
            raise ValueError(f"{name}={values!r} names a column, but the rows are not a table.")
        _checks.check_name(name, values, list(rows.columns))
        shown, values = f"the column {values!r}", rows[values]
    elif not hasattr(values, "dtype"):
        values = _checks.as_array(name, values)
    if np.ndim(values) != 1:
        raise ValueError(f"{name} must have shape (n,), one value per row, got {np.shape(values)}.")
    _checks.check_lengths("the data", n, name, len(values))
    if name == "times":
        ordered, missing = _order_of_times(values)
    else:
        ordered, missing = _numbers_of(values)
    if missing.any():
        raise ValueError(f"{shown} lacks {int(missing.sum())} of {n} values: every row needs one.")
    return ordered


def _numbers_of(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct values in the order in which they come; and find missing ones."""
    items = values.tolist()
    numbers: dict[Any, int] = {}
    missing = np.array([item is None or item != item or type(item).__name__ == "NAType" for item in items])
    return np.array([numbers.setdefault(item, len(numbers)) for item in items], np.int64), missing


def _order_of_times(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Convert numbers, dates, or text that reads as one of them, to float64; and find missing ones."""
    pandas = _checks.require("pandas", "tables")
    series = pandas.Series(values).reset_index(drop=True)
    if is_numeric(series):
        seconds, unread = read_numbers(series)
    else:
        form = find_date_form(series)
        if form is None:
            raise ValueError(f"times must be numbers or dates, got values such as {series.iloc[0]!r}.")
        seconds, unread = read_dates(series, form, "UTC")
    return seconds, np.isnan(seconds) | unread


def _by_group(groups: np.ndarray, sizes: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Fill each part with whole groups, in random order, until it has about its number of rows."""
    counts = np.bincount(groups)
    n_parts = 1 + sum(size > 0 for size in sizes)
    if len(counts) < n_parts:
        raise ValueError(f"there are {len(counts)} groups: expected at least {n_parts}, one for each part.")
    waiting = rng.permutation(len(counts)).tolist()
    part_of = np.zeros(len(counts), np.int64)
    for part, size in enumerate(sizes, 1):
        n_later = 1 + sum(later > 0 for later in sizes[part:])
        filled = 0
        # A last group may overfill a part by less than the part would lack without it.
        while size and len(waiting) > n_later and (filled == 0 or filled + counts[waiting[-1]] / 2 <= size):
            group = waiting.pop()
            part_of[group], filled = part, filled + counts[group]
    part_of_row = part_of[groups]
    return [np.flatnonzero(part_of_row == part) for part in (0, 2, 1)]


def _by_time(times: np.ndarray | None, n: int, sizes: list[int]) -> list[np.ndarray]:
    order = np.arange(n) if times is None else np.argsort(times, kind="stable")
    cuts = [n - sizes[0] - sizes[1], n - sizes[0]]
    if times is not None:
        in_order = times[order]
        # Rows with the time at a cut all go behind it.
        cuts = [cut if cut == n else int(np.searchsorted(in_order, in_order[cut])) for cut in cuts]
    train, validation, test = np.split(order, cuts)
    for name, part, size in (
        ("training", train, 1),
        ("validation", validation, sizes[1]),
        ("test", test, sizes[0]),
    ):
        if size and len(part) == 0:
            raise ValueError(f"too many rows have the same time: none are left for the {name} part.")
    return [train, validation, test]


def _labels(y: Any, task: str | None) -> list[str] | None:
    """Return the label of each row as text; None where there are no classes."""
    if task is not None:
        _checks.check_name("task", task, TASKS)
    y = None if y is None else np.asarray(y)
    if y is None or (y.ndim == 2 and y.shape[1] > 1) or (task or guess_task(y)) == "regression":
        return None
    return list(map(label_text, y.ravel().tolist()))


def _at_random(
    n: int, labels: list[str] | None, sizes: list[int], rng: np.random.Generator
) -> tuple[list[np.ndarray], list[str]]:
    """Draw each part at random with the share of each class; and say which classes are too rare."""
    drawn = rng.permutation(n)
    cuts = [n - sizes[0] - sizes[1], n - sizes[0]]
    if labels is None:
        return np.split(drawn, cuts), []
    names, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # The rows of a class are spread evenly over [0, 1): every stretch of it has the same share of each.
    in_class = drawn[np.argsort(classes[drawn], kind="stable")]
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    position = np.empty(n)
    position[in_class] = np.where(rank == 0, 0, (rank + 0.5) / np.repeat(counts, counts))
    parts = np.split(drawn[np.argsort(position[drawn], kind="stable")], cuts)
    notes = []
    for part, name, size in ((1, "validation", sizes[1]), (2, "test", sizes[0])):
        lacking = np.setdiff1d(np.arange(len(names)), classes[parts[part]])
        if size and len(lacking):
            shown = ", ".join(repr(str(names[c])) for c in lacking[:5])
            shown += " and others" if len(lacking) > 5 else ""
            subject = "class is" if len(lacking) == 1 else "classes are"
            notes.append(f"{len(lacking)} {subject} too rare to be in the {name} part: {shown}.")
    return parts, notes
