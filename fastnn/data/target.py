"""The target: labels as class numbers, or values on a common scale, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..evaluation import TASKS

# A numeric target with more distinct values than this is a quantity, unless they are 0, 1, 2, ...
_MOST_CLASSES = 20


def guess_task(y: ArrayLike) -> str:
    """Guess the task: text, booleans, integers that count from 0, and few different integers are classes.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_out)

    Returns
    -------
    {"classification", "regression"}

    Examples
    --------
    >>> guess_task(["yes", "no"]), guess_task([0.5, 1.7])
    ('classification', 'regression')
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return "regression"
    if y.dtype.kind not in "iuf":
        return "classification"
    values = np.unique(y)
    if np.any(values != np.floor(values)):
        return "regression"
    # Class numbers do so, and each occurs more than once; row numbers do, too, but each occurs once.
    counts_from_0 = len(y) >= 2 * len(values) and np.array_equal(values, np.arange(len(values)))
    return "classification" if counts_from_0 or len(values) <= _MOST_CLASSES else "regression"


def label_text(value: Any) -> str:
    """Convert a label to text: 1, 1.0 and "1" give the same.

    Examples
    --------
    >>> label_text(3.0), label_text(np.int8(3)), label_text(" red "), label_text(True)
    ('3', '3', 'red', 'True')
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


class Target:
    """The target, and its encoding: class numbers, or values of mean 0 and standard deviation 1.

    Labels are compared by their text, so that 1, 1.0 and "1" are the same class.

    Parameters
    ----------
    name : str, default="y"
        Name of the target.
    task : {"classification", "regression"}, optional
        By default guessed from the labels; see :func:`guess_task`.

    Attributes
    ----------
    name, task
        Name and task as given; :meth:`fit` chooses a task that is None.
    classes : list or None
        The label of each class number, sorted; None for a regression.
    mean, scale : list of float or None
        Mean and standard deviation of each output of a regression; None for a classification.

    Examples
    --------
    >>> target = Target("kind").fit(["b", "a", "b"])
    >>> target.task, target.classes, target.encode(["a", "b"])
    ('classification', ['a', 'b'], array([0, 1]))
    >>> price = Target("price").fit([1.5, 2.5])
    >>> price.decode_values(price.encode([7.25]))
    array([[7.25]])
    """

    def __init__(self, name: str = "y", task: str | None = None) -> None:
        self.name = str(name)
        self.task = None if task is None else _checks.check_name("task", task, TASKS)
        self.classes: list[Any] | None = None
        self.mean: list[float] | None = None
        self.scale: list[float] | None = None

    @property
    def n_out(self) -> int:
        """Number of outputs that a network needs: one for each class, or value."""
        return len(self.classes or self.mean or ())

    def fit(self, y: ArrayLike) -> Target:
        """Learn classes, or mean and scale, from training rows.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, n_out)

        Returns
        -------
        Target
            Itself.

        Raises
        ------
        ValueError
            If there are no rows, values are missing, all are the same, or they do not fit the task.
        """
        y = self._as_array(y)
        if len(y) == 0:
            raise ValueError(f"the target {self.name!r} has no rows: expected at least 2.")
        if self.task != "regression":
            self._refuse_missing(y)
        task = self.task or guess_task(y)
        self.classes = self.mean = self.scale = None
        if task == "classification":
            self.classes = self._find_classes(y)
        else:
            values = self._values(y)
            if (values == values[0]).all():
                raise ValueError(
                    f"the target {self.name!r} is {values[0].tolist()} in every row: "
                    "expected different values."
                )
            with np.errstate(over="ignore"):
                mean, scale = values.mean(axis=0), values.std(axis=0)
            if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
                raise ValueError(
                    f"the target {self.name!r} has values so large that their deviation overflows."
                )
            self.mean, self.scale = mean.tolist(), np.where(scale > 0, scale, 1.0).tolist()
        self.task = task
        return self

    def encode(self, y: ArrayLike) -> np.ndarray:
        """Return class numbers (n,), int64; or standardised values (n, n_out), float64.

        Raises
        ------
        ValueError
            If a label was absent in training, or values are missing or not numbers.
        """
        y = self._as_array(y)
        if self.classes is None:
            values = self._values(y)
            self._check_outputs(values)
            return np.ascontiguousarray((values - np.array(self.mean)) / np.array(self.scale))
        self._refuse_missing(y)
        numbers = {label_text(label): number for number, label in enumerate(self.classes)}
        labels, inverse = _distinct(y)
        texts = list(map(label_text, labels))
        unseen = [text for text in texts if text not in numbers]
        if unseen:
            near = _checks.nearest_name(unseen[0], numbers)
            hint = f" Did you mean {near!r}?" if near else ""
            more = f" (and {len(unseen) - 1} other labels)" if len(unseen) > 1 else ""
            shown = ", ".join(list(numbers)[:10]) + (", ..." if len(numbers) > 10 else "")
            raise ValueError(
                f"the target {self.name!r} holds {unseen[0]!r}{more}, which it did not hold in training: "
                f"expected one of {shown}.{hint}"
            )
        return np.array([numbers[text] for text in texts], np.int64)[inverse]

    def decode_values(self, out: ArrayLike) -> np.ndarray:
        """Convert a regression's outputs (n, n_out) to values in the target's unit, of the same shape."""
        if self.mean is None:
            raise ValueError(f"the target {self.name!r} has classes, not values: use decode_labels.")
        mean, scale = np.array(self.mean), np.array(self.scale)
        if len(mean) == 1:
            mean, scale = mean[0], scale[0]
        return np.asarray(out, np.float64) * scale + mean

    def decode_labels(self, numbers: ArrayLike) -> np.ndarray:
        """Return the labels of class numbers of any shape.

        Examples
        --------
        >>> Target().fit(["b", "a"]).decode_labels([1, 1, 0]).tolist()
        ['b', 'b', 'a']
        """
        if self.classes is None:
            raise ValueError(f"the target {self.name!r} has values, not classes: use decode_values.")
        labels = np.array(self.classes)
        if labels.dtype.kind == "U" and not all(isinstance(label, str) for label in self.classes):
            labels = np.array(self.classes, object)  # NumPy made text of several types
        return labels[np.asarray(numbers)]

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": self.classes,
            "mean": self.mean,
            "scale": self.scale,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Target:
        """Make the target that :meth:`to_dict` described."""
        target = cls(state["name"], state["task"])
        target.classes, target.mean, target.scale = state["classes"], state["mean"], state["scale"]
        return target

    def __repr__(self) -> str:
        return f"Target({self.name!r}, task={self.task!r})"

    def _as_array(self, y: Any) -> np.ndarray:
        """Convert to shape (n,), or (n, n_out) where there are several columns."""
        if hasattr(y, "to_numpy"):
            y = y.to_numpy()
        y = np.asarray(y)
        if y.dtype == object:
            typed = _as_numbers(y)
            y = y if typed is None else typed
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim not in (1, 2) or 0 in y.shape[1:]:
            raise ValueError(
                f"the target {self.name!r} must have shape (n,) or (n, n_out), got shape {y.shape}."
            )
        if y.dtype.kind in "cmMV":
            raise ValueError(
                f"the target {self.name!r} is of dtype {y.dtype}: expected labels, or numbers (for a date, "
                "the time since another)."
            )
        return y

    def _refuse_missing(self, y: np.ndarray) -> None:
        missing = int(_is_missing(y).sum())
        if missing:
            raise ValueError(f"the target {self.name!r} is missing in {missing} of {len(y)} rows: drop them.")

    def _find_classes(self, y: np.ndarray) -> list[Any]:
        if y.ndim == 2:
            raise ValueError(
                f"the target {self.name!r} has {y.shape[1]} columns: a classification takes one only."
            )
        labels = [label.strip() if isinstance(label, str) else label for label in _distinct(y)[0]]
        labels = list({label_text(label): label for label in labels}.values())
        try:
            labels = sorted(labels)
        except TypeError:  # of several types
            labels = sorted(labels, key=label_text)
        if len(labels) < 2:
            raise ValueError(
                f"the target {self.name!r} has one class only ({labels[0]!r}): expected at least 2."
            )
        return [
            label if isinstance(label, (bool, int, float, str)) else label_text(label) for label in labels
        ]

    def _values(self, y: np.ndarray) -> np.ndarray:
        """Convert to finite float64 (n, n_out)."""
        try:
            with np.errstate(over="ignore"):
                values = y.astype(np.float64)
        except (TypeError, ValueError):
            wrong = next(value for value in y.ravel().tolist() if not _is_number(value))
            raise ValueError(
                f"the target {self.name!r} holds {wrong!r}, which is not a number: a regression needs "
                "numbers; labels are predicted by a classification."
            ) from None
        values = values[:, np.newaxis] if values.ndim == 1 else values
        wrong = int((~np.isfinite(values)).any(axis=1).sum())
        if wrong:
            raise ValueError(
                f"the target {self.name!r} is missing or infinite in {wrong} of {len(values)} rows: "
                "drop them."
            )
        return values

    def _check_outputs(self, values: np.ndarray) -> None:
        if self.mean is None:
            raise ValueError(f"the target {self.name!r} has learnt nothing yet: call fit first.")
        if values.shape[1] != len(self.mean):
            raise ValueError(
                f"the target {self.name!r} has {values.shape[1]} columns, but {len(self.mean)} in training."
            )


def _as_numbers(y: np.ndarray) -> np.ndarray | None:
    """Convert Python's numbers or booleans to an array of them; None if there are others."""
    try:
        typed = np.array(y.tolist())
    except ValueError:  # rows of different lengths
        return None
    return typed if typed.shape == y.shape and typed.dtype.kind in "biuf" else None


def _is_missing(y: np.ndarray) -> np.ndarray:
    """Find None, NaN, and blank text."""
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype.kind == "U":
        return np.char.str_len(np.char.strip(y)) == 0
    if y.dtype != object:
        return np.zeros(y.shape, bool)
    flat = [_is_missing_value(value) for value in y.ravel()]
    return np.array(flat, bool).reshape(y.shape)


def _is_missing_value(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    # NaN is not equal to itself, and a comparison with pandas.NA is neither true nor false.
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _distinct(y: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values as Python's own, and the index of each row's value."""
    if y.dtype != object:
        values, inverse = np.unique(y, return_inverse=True)
        return values.tolist(), inverse
    items = y.tolist()
    try:
        numbers = {value: number for number, value in enumerate(dict.fromkeys(items))}
    except TypeError as error:
        raise ValueError(f"a target must hold labels or numbers: {error}.") from None
    labels = [value.item() if isinstance(value, np.generic) else value for value in numbers]
    return labels, np.array([numbers[value] for value in items], np.int64)
