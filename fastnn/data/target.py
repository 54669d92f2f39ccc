"""The target: labels as class numbers, or values on a common scale, and back."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._fields import Positive, Range, read_fields, read_record
from .._labels import distinct_labels, find_classes, label_text, similar_labels
from ..evaluation import TASKS
from .tables.written import PLAIN, Learnt, NumberForm, learn_form, parse_numbers

# A numeric target with more distinct values than this is a quantity, unless they are 0, 1, 2, ...
_MOST_CLASSES = 20
_MOST_TIMES = 100  # what 99 % of the values are below, that the largest may be unremarked

_FIELDS = {
    "name": str,
    "task": Literal["classification", "regression"],
    "classes": list[str | bool | int | Annotated[float, Range(finite=False)]] | None,
    "mean": list[float] | None,
    "scale": list[Positive] | None,
    "forms": list[dict[str, Any]],
}


def guess_task(y: ArrayLike) -> str:
    """Guess the task: text, booleans, integers that count from 0, and few different integers are classes.

    Text that reads as more than a few different numbers, such as "$1,234", counts as numbers.

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
    labels = _checks.as_rows("y", y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return "regression"
    if labels.dtype.kind in "OU":
        distinct, inverse = distinct_labels(labels)
        form = _learn_form(distinct, inverse).form if len(distinct) > _MOST_CLASSES else None
        if form is None:
            return "classification"
        labels = parse_numbers(distinct, form)[0][inverse]
    if labels.dtype.kind not in "iuf":
        return "classification"
    values = np.unique(labels)
    if np.any(values != np.floor(values)):
        return "regression"
    # Class numbers do so, and each occurs more than once; row numbers do, too, but each occurs once.
    counts_from_0 = len(labels) >= 2 * len(values) and np.array_equal(values, np.arange(len(values)))
    return "classification" if counts_from_0 or len(values) <= _MOST_CLASSES else "regression"


def _learn_form(distinct: list[Any], inverse: np.ndarray, decimal_sign: str = "") -> Learnt:
    return learn_form(distinct, np.bincount(inverse, minlength=len(distinct)), decimal_sign)


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
    forms : list of NumberForm
        How text of each output of a regression is written, such as "$1,234"; empty if it is not text.

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
        self.forms: list[NumberForm] = []
        self._readings: list[str] = []

    @property
    def n_out(self) -> int:
        """Number of outputs that a network needs: one for each class, or value."""
        return len(self.classes or self.mean or ())

    def fit(self, y: ArrayLike, *, decimal_sign: str = "") -> Target:
        """Learn classes, or mean and scale, from training rows.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, n_out)
        decimal_sign : {"", ".", ","}, default=""
            The decimal sign of other columns, for text such as 1.234 that does not show its own.

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
        self.forms, self._readings = [], []
        if task == "classification":
            self.classes = self._find_classes(y)
        else:
            if y.dtype.kind in "OU":
                found = [_learn_form(*self._distinct(column), decimal_sign) for column in _columns(y)]
                self.forms = [learnt.form or PLAIN for learnt in found]
                self._readings = [self._describe(learnt) for learnt in found if learnt.form is not None]
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
        labels, inverse = self._distinct(y)
        texts = list(map(label_text, labels))
        if all(isinstance(label, bool) for label in self.classes):  # a text file's TRUE is True elsewhere
            texts = [text.capitalize() for text in texts]
        unseen = [text for text in texts if text not in numbers]
        if unseen:
            near = _checks.nearest_name(unseen[0], numbers)
            hint = f" Did you mean {near!r}?" if near else ""
            more = f" (and {len(unseen) - 1} other labels)" if len(unseen) > 1 else ""
            shown = ", ".join(list(numbers)[:10]) + (", ..." if len(numbers) > 10 else "")
            raise ValueError(
                f"the target {self.name!r} holds {_checks.shown(unseen[0])}{more}, which it did not hold in "
                f"training: expected one of {shown}.{hint}"
            )
        return np.array([numbers[text] for text in texts], np.int64)[inverse]

    def read(self, y: ArrayLike) -> np.ndarray:
        """Return what y says, as predictions say it: labels (n,) as in `classes`, or values, float64.

        Values have shape (n,) where there is one output, and (n, n_out) where there are several.

        Raises
        ------
        ValueError
            As :meth:`encode`.

        Examples
        --------
        >>> Target().fit(["yes", "no"]).read([" no", "yes "]).tolist()
        ['no', 'yes']
        """
        if self.classes is not None:
            return self.decode_labels(self.encode(y))
        values = self._values(self._as_array(y))
        self._check_outputs(values)
        return values[:, 0] if values.shape[1] == 1 else values

    def notes(self, y: ArrayLike) -> list[str]:
        """Return a sentence for each thing in the target's rows that the user should know.

        Parameters
        ----------
        y : array-like of shape (n,) or (n, n_out)
            All rows, training and others.
        """
        if self.classes is not None:
            found = similar_labels(self.classes)
            return [f"the target {self.name!r} has labels {found}."] if found else []
        readings = [f"the target {self.name!r}: {reading}." for reading in self._readings if reading]
        values = self.read(y).reshape(len(y), -1)  # type: ignore[arg-type]
        names = self.name.split(", ") if values.shape[1] > 1 else [self.name]
        return readings + [
            sentence
            for name, column in zip(names, values.T, strict=False)
            if (sentence := _outlier(name, column))
        ]

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
        if [type(label) for label in labels.tolist()] != [type(label) for label in self.classes]:
            labels = np.array(self.classes, object)  # NumPy made text, or floats, of several types
        chosen = _checks.as_array("numbers", numbers)
        if chosen.dtype.kind not in "iu" or chosen.min(initial=0) < 0 or chosen.max(initial=0) >= len(labels):
            raise ValueError(f"numbers must be class numbers, 0 to {len(labels) - 1}.")
        return labels[chosen]

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "classes": self.classes,
            "mean": self.mean,
            "scale": self.scale,
            "forms": [dataclasses.asdict(form) for form in self.forms],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Target:
        """Make the target that :meth:`to_dict` described."""
        state = read_fields(state, _FIELDS, "target", optional=("forms",))
        target = cls(state["name"], state["task"])
        target.classes, target.mean, target.scale = state["classes"], state["mean"], state["scale"]
        if target.task == "classification":
            fits = target.mean is target.scale is None and len(target.classes or ()) >= 2
        else:
            fits = target.classes is None and len(target.mean or ()) == len(target.scale or ()) > 0
        if not fits:
            raise ValueError(
                "target must have two or more classes and neither mean nor scale, or no classes, and a mean "
                "and a scale of each value."
            )
        if len(set(map(label_text, target.classes or ()))) < len(target.classes or ()):
            raise ValueError("target.classes has a class twice.")
        target.forms = [read_record(NumberForm, form, "target.forms") for form in state.get("forms", [])]
        return target

    def __repr__(self) -> str:
        return f"Target({self.name!r}, task={self.task!r})"

    def _as_array(self, y: Any) -> np.ndarray:
        """Convert to shape (n,), or (n, n_out) where there are several columns."""
        if hasattr(y, "to_numpy"):
            y = y.to_numpy()
        y = _checks.as_array("y", y)
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
        labels = find_classes(self._distinct(y)[0])
        if len(labels) < 2:
            raise ValueError(
                f"the target {self.name!r} has one class only ({_checks.shown(labels[0])}): "
                "expected at least 2."
            )
        return [
            label if isinstance(label, (bool, int, float, str)) else label_text(label) for label in labels
        ]

    def _distinct(self, y: np.ndarray) -> tuple[list[Any], np.ndarray]:
        try:
            return distinct_labels(y)
        except TypeError as error:
            raise ValueError(f"the target {self.name!r} must hold labels or numbers: {error}.") from None

    def _values(self, y: np.ndarray) -> np.ndarray:
        """Convert to finite float64 (n, n_out)."""
        if y.dtype.kind in "OU":
            columns = _columns(y)
            forms = self.forms if len(self.forms) == len(columns) else [PLAIN] * len(columns)
            values = np.column_stack([self._parse(*pair) for pair in zip(columns, forms, strict=True)])
        else:
            with np.errstate(over="ignore"):
                values = y.astype(np.float64)
        values = values[:, np.newaxis] if values.ndim == 1 else values
        wrong = int((~np.isfinite(values)).any(axis=1).sum())
        if wrong:
            raise ValueError(
                f"the target {self.name!r} is missing or infinite in {wrong} of {len(values)} rows: "
                "drop them."
            )
        return values

    def _describe(self, learnt: Learnt) -> str:
        written = ""
        if learnt.form is not None and learnt.form.duration:
            written = "its durations are read as seconds"
        elif learnt.form not in (None, PLAIN):
            written = f"its numbers are written as {learnt.form.example()}"
        return "; ".join(filter(None, [written, learnt.note]))

    def _parse(self, column: np.ndarray, form: NumberForm) -> np.ndarray:
        distinct, inverse = self._distinct(column)
        numbers, readable = parse_numbers(distinct, form)
        if not readable.all() and not all(map(_is_missing_value, _take(distinct, ~readable))):
            wrong = next(v for v in _take(distinct, ~readable) if not _is_missing_value(v))
            rest = ": a regression needs numbers; labels are predicted by a classification."
            if self.mean is not None:  # new rows
                rest = f" written as in training, such as {form.example()}."
            raise ValueError(
                f"the target {self.name!r} holds {_checks.shown(wrong)}, which is not a number{rest}"
            )
        return numbers[inverse]

    def _check_outputs(self, values: np.ndarray) -> None:
        if self.mean is None:
            raise ValueError(f"the target {self.name!r} has learnt nothing yet: call fit first.")
        if values.shape[1] != len(self.mean):
            raise ValueError(
                f"the target {self.name!r} has {values.shape[1]} columns, but {len(self.mean)} in training."
            )


def _as_numbers(y: np.ndarray) -> np.ndarray | None:
    """Convert Python's numbers or booleans to an array of them; None if it would not hold them exactly."""
    items = y.tolist()
    try:
        typed = np.array(items)
    except ValueError:  # rows of different lengths
        return None
    if typed.shape != y.shape or typed.dtype.kind not in "biuf":
        return None
    is_same = typed.dtype.kind != "f" or typed.tolist() == items or np.isnan(typed).any()
    has_booleans = typed.dtype.kind != "b" and any(isinstance(item, bool) for item in y.ravel().tolist())
    return typed if is_same and not has_booleans else None


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


def _outlier(name: str, values: np.ndarray) -> str:
    """Say by how much a target's largest value is out of scale; "" if it is not."""
    sizes = np.sort(np.abs(values))
    usual = float(sizes[min(int(0.99 * len(sizes)), max(len(sizes) - 4, len(sizes) // 2))])
    if not 0 < _MOST_TIMES * usual < sizes[-1]:
        return ""
    value = values[np.argmax(np.abs(values))]
    what = "largest value" if value > 0 else "lowest value"
    return (
        f"the {what} of {name!r} ({value:.6g}) is {sizes[-1] / usual:,.0f} times the 99th percentile: "
        "is it a mistake?"
    )


def _columns(y: np.ndarray) -> list[np.ndarray]:
    return [y] if y.ndim == 1 else list(y.T)


def _take(values: list[Any], rows: np.ndarray) -> list[Any]:
    return [values[i] for i in np.flatnonzero(rows)]
