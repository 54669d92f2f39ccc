"""Checks of arguments; an error is one sentence: which argument, what came, what was expected."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

DTYPES = ("float32", "float64")
_MOST_SHOWN = 30  # names that a message lists


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int, which must be at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def check_number(name: str, value: Any, low: float, high: float = np.inf, open_low: bool = False) -> float:
    """Return `value` as a float, which must lie in [low, high), or in (low, high) if `open_low`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    number = float(value)
    if not (low < number or (low == number and not open_low)) or not number < high:
        interval = f"{'(' if open_low else '['}{low:g}, {high:g})"
        raise ValueError(f"{name} must lie in {interval}, got {value}.")
    return number


def check_limit(name: str, value: Any) -> float | None:
    """Return `value` as a float, which must be above 0, or None."""
    return None if value is None else check_number(name, value, 0.0, open_low=True)


def check_name(name: str, value: Any, known: Iterable[str]) -> str:
    """Return `value`, which must be one of `known`."""
    known = list(known)
    if value in known:
        return value
    nearest = nearest_name(str(value), known)
    hint = "" if nearest is None else f" Did you mean {nearest!r}?"
    shown = ", ".join(known[:_MOST_SHOWN]) + (f", ... ({len(known)} names)" * (len(known) > _MOST_SHOWN))
    raise ValueError(f"{name} must be one of {shown}, got {value!r}.{hint}")


def nearest_name(value: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `value`, upper and lower case being equal; None if none is close."""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(value.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def function_name(function: Callable[..., Any]) -> str:
    """Return the name by which messages call a function."""
    return getattr(function, "__name__", None) or repr(function)


def check_dtype(dtype: Any) -> np.dtype:
    """Return `dtype` as a NumPy dtype, which must be float32 or float64."""
    try:
        result = np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result.name not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")
    return result


def is_sparse(x: Any) -> bool:
    """Return whether `x` is a sparse matrix or array of SciPy, without importing SciPy."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def check_x(name: str, x: Any, n_in: int, dtype: np.dtype) -> np.ndarray:
    """Return `x` as a finite, C-contiguous (n, n_in) matrix of `dtype`, copied only if it is not one."""
    if hasattr(x, "toarray"):
        raise TypeError(f"{name} is a sparse matrix, expected a dense one: pass {name}.toarray().")
    try:
        x = np.asarray(x)
        if x.dtype == object or x.dtype.kind in "USV":
            x = x.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it cannot be converted: {error}.") from None
    if x.dtype.kind == "c":
        raise ValueError(f"{name} has complex values, expected real ones.")
    if x.ndim != 2:
        hint = f" Use {name}.reshape(1, -1) for a single row." if x.ndim == 1 else ""
        raise ValueError(f"{name} must have 2 dimensions (rows, features), got shape {x.shape}.{hint}")
    if x.shape[1] != n_in:
        raise ValueError(f"{name} has {x.shape[1]} features, but the network takes {n_in}.")
    if x.shape[0] == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    with np.errstate(over="ignore"):
        x = np.require(x, dtype, ["C", "A"])
    return _check_finite(name, x)


def check_sparse(name: str, x: Any, n_in: int, dtype: np.dtype) -> Any:
    """Return `x` as a finite CSR matrix of `dtype` with n_in columns; it is copied only if it is not one.

    The columns of a row are sorted and unique: values at the same position are added.
    """
    if x.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions (rows, features), got shape {x.shape}.")
    x = x.tocsr()
    if x.dtype.kind == "c":
        raise ValueError(f"{name} has complex values, expected real ones.")
    if x.shape[1] != n_in:
        raise ValueError(f"{name} has {x.shape[1]} features, but the network takes {n_in}.")
    if x.shape[0] == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    starts, columns = x.indptr, x.indices[: x.indptr[-1]]
    if not (
        starts[0] == 0
        and (starts[1:] >= starts[:-1]).all()
        and starts[-1] <= len(x.indices) == len(x.data)
        and columns.min(initial=0) >= 0
        and columns.max(initial=0) < n_in
    ):
        raise ValueError(f"{name} is damaged: its indices point outside the matrix.")
    with np.errstate(over="ignore"):
        x = x.astype(dtype, copy=False)
    if not x.has_canonical_format:
        x = x.copy()
        x.sum_duplicates()
    finite = np.isfinite(x.data)
    if not finite.all():
        raise ValueError(
            f"{name} has {int((~finite).sum())} values that are NaN or infinite in {x.dtype}: "
            "remove or impute them."
        )
    return x


def check_categories(name: str, values: np.ndarray, column: int, n_categories: int) -> None:
    """Raise ValueError unless all values of a column are whole numbers from 0 to n_categories - 1."""
    wrong = (values < 0) | (values >= n_categories) | (values != np.floor(values))
    if wrong.any():
        raise ValueError(
            f"column {column} of {name} is embedded and must hold whole numbers from 0 to "
            f"{n_categories - 1}, but it holds {values[wrong][0]:.9g}."
        )


def check_weights(name: str, weights: npt.ArrayLike, n_rows: int) -> np.ndarray:
    """Return the weights of rows as a float64 vector: finite, not negative, not all 0."""
    try:
        values = np.asarray(weights, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it cannot be converted: {error}.") from None
    if values.ndim == 0:
        values = np.full(n_rows, float(values))
    if values.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), one number per row, got {values.shape}.")
    _check_finite(name, values)
    if values.min() < 0 or values.max() == 0:
        found = f"it holds {values.min():g}" if values.min() < 0 else "its values are all 0"
        raise ValueError(f"{name} must be at least 0, and above 0 in some row, but {found}.")
    return values


def _check_finite(name: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        # A finite sum means finite elements; an infinite one may be an overflow of finite ones.
        if np.isfinite(x.sum()):
            return x
    finite = np.isfinite(x)
    if not finite.all():
        first = [int(i) for i in np.argwhere(~finite)[0]]
        raise ValueError(
            f"{name} has {int((~finite).sum())} values that are NaN or infinite in {x.dtype} "
            f"(the first at {first}): remove or impute them."
        )
    return x


def check_labels(name: str, y: npt.ArrayLike, n_columns: int, n_classes: int) -> np.ndarray:
    """Return class numbers, 0 to n_classes - 1, as an int32 matrix (n, n_columns)."""
    y = np.asarray(y)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != n_columns:
        shape = "(n,)" if n_columns == 1 else f"(n, {n_columns})"
        raise ValueError(f"{name} must have shape {shape}, got {y.shape}.")
    if y.dtype.kind not in "iub":
        integral = y.dtype.kind == "f" and bool(np.all(np.mod(y, 1) == 0))
        if not integral:
            raise ValueError(
                f"{name} must hold class numbers 0 to {n_classes - 1}, got dtype {y.dtype}; "
                "encode other labels with sklearn.preprocessing.LabelEncoder."
            )
    low, high = y.min(), y.max()
    if low < 0 or high >= n_classes:
        outside = low if low < 0 else high
        raise ValueError(f"{name} holds the label {outside}, but the classes are 0 to {n_classes - 1}.")
    return np.ascontiguousarray(y, dtype=np.int32)


def check_targets(name: str, y: npt.ArrayLike, n_out: int, dtype: np.dtype) -> np.ndarray:
    """Return target values as a finite (n, n_out) matrix of `dtype`."""
    y = np.asarray(y)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != n_out:
        raise ValueError(f"{name} must have shape (n, {n_out}), one column per output, got {y.shape}.")
    try:
        y = np.require(y, dtype, ["C", "A"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it cannot be converted: {error}.") from None
    return _check_finite(name, y)


def check_lengths(first: str, n_first: int, second: str, n_second: int) -> None:
    """Raise ValueError unless two arrays have the same number of rows."""
    if n_first != n_second:
        raise ValueError(f"{first} has {n_first} rows and {second} has {n_second}, expected the same number.")


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or raise ImportError with the pip command that installs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'this needs {module.partition(".")[0]}: pip install "fastnn[{extra}]".') from error


class _Borrowed:
    """Array interface of an array's memory, marked writable."""

    def __init__(self, array: np.ndarray) -> None:
        self.owner = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.ctypes.data, False),
        }


def writable_view(array: np.ndarray) -> np.ndarray:
    """Return a view of the array's memory that is marked writable, for kernels that only read it.

    To numba a read-only array (a memory map, or what joblib passes to its workers) has another type, for
    which everything would be compiled once more.
    """
    return array if array.flags.writeable else np.asarray(_Borrowed(array))
