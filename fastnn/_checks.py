"""Errors at the Python boundary: one sentence that names the argument, what came and what was expected."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np

DTYPES = ("float32", "float64")
_MOST_SHOWN = 30  # names that may be meant


def check_count(name: str, value, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def check_number(name: str, value, low: float, high: float = np.inf, open_low: bool = False) -> float:
    """`value` as a float in [low, high), or in (low, high) where `open_low`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    number = float(value)
    if not (low < number or (low == number and not open_low)) or not number < high:
        interval = f"{'(' if open_low else '['}{low:g}, {high:g})"
        raise ValueError(f"{name} must lie in {interval}, got {value}.")
    return number


def check_limit(name: str, value) -> float | None:
    """`value` as a float above 0, or None."""
    return None if value is None else check_number(name, value, 0.0, open_low=True)


def check_name(name: str, value, known: Iterable[str]) -> str:
    """`value` if it is one of `known`."""
    known = list(known)
    if value in known:
        return value
    nearest = nearest_name(str(value), known)
    hint = "" if nearest is None else f" Did you mean {nearest!r}?"
    shown = ", ".join(known[:_MOST_SHOWN]) + (f", ... ({len(known)} names)" * (len(known) > _MOST_SHOWN))
    raise ValueError(f"{name} must be one of {shown}, got {value!r}.{hint}")


def nearest_name(value: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant, whatever its case; None if none comes near."""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(value.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def check_dtype(dtype) -> np.dtype:
    """`dtype` as float32 or float64."""
    try:
        result = np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result.name not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")
    return result


def is_sparse(x) -> bool:
    """Whether it is one of SciPy's sparse matrices or arrays; SciPy is not imported to find out."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def check_x(name: str, x, n_in: int, dtype: np.dtype) -> np.ndarray:
    """`x` as a finite, C-contiguous (n, n_in) matrix of `dtype`; copied only where it is not one."""
    if hasattr(x, "toarray"):
        raise TypeError(f"{name} is a sparse matrix, expected a dense one: pass {name}.toarray().")
    try:
        x = np.asarray(x)
        if x.dtype == object or x.dtype.kind in "USV":
            x = x.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it does not convert: {error}.") from None
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


def check_sparse(name: str, x, n_in: int, dtype: np.dtype):
    """`x` as a finite CSR matrix of `dtype` with n_in columns; copied only where it is not one.

    In every row the columns rise, and none comes twice: values that share a place are added up.
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
        raise ValueError(f"{name} is damaged: its indices point outside of the matrix.")
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
    """Raise unless all values of a column are whole numbers below n_categories."""
    wrong = (values < 0) | (values >= n_categories) | (values != np.floor(values))
    if wrong.any():
        raise ValueError(
            f"column {column} of {name} is embedded and must hold whole numbers from 0 to "
            f"{n_categories - 1}, but it holds {values[wrong][0]:.9g}."
        )


def check_weights(name: str, weights, n_rows: int) -> np.ndarray:
    """Weights of rows as a float64 vector: finite, not negative, not all 0."""
    try:
        weights = np.ascontiguousarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it does not convert: {error}.") from None
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), a number a row, got {weights.shape}.")
    _check_finite(name, weights)
    if weights.min() < 0 or weights.max() == 0:
        found = f"holds {weights.min():g}" if weights.min() < 0 else "are all 0"
        raise ValueError(f"{name} must be at least 0, and some of it above, but it {found}.")
    return weights


def _check_finite(name: str, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        # A sum is finite unless an element is not, or (rarely) it overflows: then look closer.
        if np.isfinite(x.sum()):
            return x
    finite = np.isfinite(x)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} has {int((~finite).sum())} values that are NaN or infinite in {x.dtype} "
            f"(the first at {list(place)}): remove or impute them."
        )
    return x


def check_labels(name: str, y, n_columns: int, n_classes: int) -> np.ndarray:
    """Class numbers 0 to n_classes - 1 as an int32 matrix (n, n_columns)."""
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


def check_targets(name: str, y, n_out: int, dtype: np.dtype) -> np.ndarray:
    """Target values as a finite (n, n_out) matrix of `dtype`."""
    y = np.asarray(y)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != n_out:
        raise ValueError(f"{name} must have shape (n, {n_out}), one column an output, got {y.shape}.")
    try:
        y = np.require(y, dtype, ["C", "A"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric, but it does not convert: {error}.") from None
    return _check_finite(name, y)


def check_lengths(first: str, n_first: int, second: str, n_second: int) -> None:
    """Raise unless two arrays have the same number of rows."""
    if n_first != n_second:
        raise ValueError(f"{first} has {n_first} rows and {second} has {n_second}: expected as many.")


def require(module: str, extra: str):
    """Import an optional dependency, or say which install brings it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'this needs {module.partition(".")[0]}: pip install "fastnn[{extra}]".') from error


class _Borrowed:
    """An array's memory as NumPy's array interface describes it, marked writable."""

    def __init__(self, array: np.ndarray) -> None:
        self.owner = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.ctypes.data, False),
        }


def writable_view(array: np.ndarray) -> np.ndarray:
    """The same memory, marked writable; for kernels that only read it.

    A read-only array (a memory map, what joblib hands its workers) is another type to numba and would
    compile everything once more.
    """
    return array if array.flags.writeable else np.asarray(_Borrowed(array))
