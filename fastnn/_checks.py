"""Checks of arguments; an error is one sentence: which argument, what came, what was expected."""

from __future__ import annotations

import numbers
import os
import reprlib
from collections.abc import Callable, Hashable, Iterable, Sized
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from ._fork import unforked
from ._memory import check_memory

DTYPES = ("float32", "float64")
LARGEST_COUNT = 2**31 - 1  # the kernels multiply two counts in 64 bits
LARGEST_SEED = 2**128 - 1
LARGEST_STATE = 2**32 - 1  # of scikit-learn's random_state
DISTRIBUTION = "fastnn-core"  # what pip knows this package as; the "fastnn" on PyPI is another project's
_MOST_SHOWN = 30  # names that a message lists
_MOST_LETTERS = 80  # of a value that a message shows
_NOT_NUMBERS = (bool, np.bool_, np.timedelta64)  # though some of them are registered as integers
_RNGS = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _MOST_LETTERS


def shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, and short however large the value is.

    Examples
    --------
    >>> shown("a"), shown([1] * 1000), shown(10**5000)
    ("'a'", '[1, 1, 1, 1, 1, 1, ...]', 'an integer of 16610 bits')
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 4 * _MOST_LETTERS:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write the longest in decimals
    try:
        text = _SHORT.repr(value)
    except Exception:  # a value may contain anything
        text = f"a {type(value).__name__}"
    return in_sentence(text, _MOST_LETTERS)


def escaped(text: str) -> str:
    r"""Return a text in which what does not print, such as a line end, stands as Python writes it.

    Examples
    --------
    >>> print(escaped("a\x1b[31m\n"))
    a\x1b[31m\n
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def in_sentence(text: str, most: int = 1000) -> str:
    r"""Return a text, which may be a stranger's, as a part of a sentence: on one line, and printable.

    Examples
    --------
    >>> print(in_sentence("a\n  b\x1b[31m"), in_sentence("a" * 20, 10))
    a b\x1b[31m aaaaaaa...
    """
    text = escaped(" ".join(text[: 10 * most].split()))
    return text if len(text) <= most else text[: most - 3] + "..."


def reason_of(error: BaseException) -> str:
    r"""Return the first line of an error's text as the end of a sentence.

    Examples
    --------
    >>> reason_of(ValueError("Bad block.\nAt 3")), reason_of(EOFError())
    ('Bad block', 'EOFError')
    """
    return in_sentence(str(error).strip().partition("\n")[0]).rstrip(".") or type(error).__name__


def listed(names: Iterable[str]) -> str:
    """Return names for a message, which lists some of them if they are many.

    Examples
    --------
    >>> listed("abc"), listed(map(str, range(1000)))[-24:]
    ('a, b, c', '28, 29, ... (1000 names)')
    """
    names = list(names)
    more = f", ... ({len(names)} names)" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def check_count(name: str, value: Any, minimum: int = 1, maximum: int = LARGEST_COUNT) -> int:
    """Return `value` as an int, which must be at least `minimum` and at most `maximum`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, _NOT_NUMBERS):
        raise TypeError(f"{name} must be an integer, got {shown(value)}.")
    count = int(value)
    if not minimum <= count <= maximum:
        bound = f"at least {minimum}" if count < minimum else f"at most {maximum}"
        raise ValueError(f"{name} must be {bound}, got {shown(count)}.")
    return count


def check_optional_count(name: str, value: Any, minimum: int = 1) -> int | None:
    """Return `value` as an int, which must be at least `minimum`, or None."""
    return None if value is None else check_count(name, value, minimum)


def check_number(name: str, value: Any, low: float, high: float = np.inf, open_low: bool = False) -> float:
    """Return `value` as a float, which must lie in [low, high), or in (low, high) if `open_low`."""
    if not isinstance(value, numbers.Real) or isinstance(value, _NOT_NUMBERS):
        raise TypeError(f"{name} must be a number, got {shown(value)}.")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not (low < number or (low == number and not open_low)) or not number < high:
        interval = f"{'(' if open_low else '['}{low:g}, {high:g})"
        raise ValueError(f"{name} must lie in {interval}, got {shown(value)}.")
    return number


def make_rng(seed: Any, name: str = "seed") -> np.random.Generator:
    """Return the generator that a seed stands for; a generator is returned as it is."""
    if seed is None or isinstance(seed, _RNGS):
        return np.random.default_rng(seed)
    if not isinstance(seed, numbers.Integral):
        raise TypeError(f"{name} must be an integer or a numpy.random.Generator, got {shown(seed)}.")
    return np.random.default_rng(check_count(name, seed, 0, LARGEST_SEED))


def check_flag(name: str, value: Any) -> bool:
    """Return `value` as a bool: True, False, or a number that equals one of them."""
    if isinstance(value, (bool, np.bool_, numbers.Integral)) and value in (0, 1):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {shown(value)}.")


def check_path(name: str, value: Any) -> Path:
    """Return `value`, a text or a path-like object, as a path that a system can hold."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a path, got {shown(value)}.")
    try:
        is_possible = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"{name} holds a character that no path can have, got {shown(text)}.")
    return Path(text)


def check_classes(classes: Any) -> list[Any]:
    """Return the labels of the classes, which must differ."""
    labels = check_items("classes", classes, "labels")
    try:
        n_different = len(set(labels))
    except TypeError:  # some cannot be compared
        n_different = 0
    if n_different < len(labels):
        raise ValueError(f"classes must hold different labels, got {shown(labels)}.")
    return labels


def is_collection(value: Any) -> TypeGuard[Iterable[Any]]:
    """Return whether `value` holds others: a text does not, nor does an array without dimensions."""
    is_other = isinstance(value, (str, bytes)) or is_sparse(value)
    return isinstance(value, Iterable) and not is_other and getattr(value, "ndim", 1) > 0


def check_items(name: str, value: Any, what: str) -> list[Any]:
    """Return the items of `value`, which must be a collection of `what`, other than a text."""
    if not is_collection(value):
        raise TypeError(f"{name} must be a sequence of {what}, got {shown(value)}.")
    if isinstance(value, Sized):
        check_memory(name, 8 * len(value), "its items")
    return list(value)


def check_limit(name: str, value: Any) -> float | None:
    """Return `value` as a float, which must be above 0, or None."""
    return None if value is None else check_number(name, value, 0.0, open_low=True)


def check_name(name: str, value: Any, known: Iterable[str]) -> str:
    """Return `value`, which must be one of `known`."""
    known = list(known)
    if isinstance(value, Hashable) and value in known:
        return value
    nearest = nearest_name(value, known) if isinstance(value, str) else None
    hint = "" if nearest is None else f" Did you mean {nearest!r}?"
    raise ValueError(f"{name} must be one of {listed(known)}, got {shown(value)}.{hint}")


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
        result = None if dtype is None else np.dtype(dtype)
    except Exception:  # NumPy passes on whatever a stranger's object raises
        result = None
    if result is None or result.name not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64, got {shown(dtype)}.")
    return result


def is_sparse(x: Any) -> bool:
    """Return whether `x` is a sparse matrix or array of SciPy, without importing SciPy."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz")


def as_array(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of any kind, whose rows must have the same shape."""
    if is_sparse(values):
        raise TypeError(f"{name} is a sparse matrix, expected a dense one: pass {name}.toarray().")
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values: remove or impute them.")
    try:
        array = values if isinstance(values, np.memmap) else np.asarray(values)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError(f"{name} cannot be converted to an array: its rows differ in shape.") from None
    except MemoryError:
        raise ValueError(f"{name} cannot be converted to an array: the memory does not suffice.") from None
    check_copy(name, array)
    return array


def check_copy(name: str, array: Any) -> None:
    """Refuse an array no copy of which fits into the memory, as a view may be that repeats one row."""
    if isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        check_memory(name, array.nbytes, "its values")


def as_rows(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of any kind that has rows."""
    array = as_array(name, values)
    if array.ndim == 0:
        raise ValueError(f"{name} must have rows, got the single value {shown(array.item())}.")
    if len(array) == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    return array


def as_numbers(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of real numbers, of the dtype that they have: integer, float or bool."""
    array = as_array(name, values)
    if array.dtype.kind in "OUS":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            wrong = next((value for value in array.flat if not _is_numeric(value)), values)
            raise ValueError(f"{name} must be numeric, but it holds {shown(wrong)}.") from None
    if array.dtype.kind == "c":
        raise ValueError(f"{name} has complex values, expected real ones.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, got dtype {array.dtype}.")
    return array


def as_finite(name: str, values: Any, dtype: npt.DTypeLike = np.float64) -> np.ndarray:
    """Return `values` as a finite, C-contiguous array of `dtype`, copied only if they are not one."""
    array = as_numbers(name, values)
    check_memory(name, array.size * np.dtype(dtype).itemsize, f"its values as {np.dtype(dtype)}")
    with np.errstate(over="ignore"):
        array = np.require(array, dtype, ["C", "A"])
    return _check_finite(name, array)


def _is_numeric(value: Any) -> bool:
    try:
        np.asarray(value, dtype=object).astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    return np.ndim(value) == 0


def check_x(name: str, x: Any, n_in: int, dtype: np.dtype, min_rows: int = 1) -> np.ndarray:
    """Return `x` as a finite, C-contiguous (n, n_in) matrix of `dtype`, copied only if it is not one."""
    x = as_numbers(name, x)
    if x.ndim != 2:
        hint = f" Use {name}.reshape(1, -1) for a single row." if x.ndim == 1 else ""
        raise ValueError(f"{name} must have 2 dimensions (rows, features), got shape {x.shape}.{hint}")
    if x.shape[1] != n_in:
        raise ValueError(f"{name} has {x.shape[1]} features, but the network takes {n_in}.")
    if x.shape[0] < min_rows:
        raise ValueError(f"{name} is empty: expected at least one row.")
    return as_finite(name, x, dtype)


def check_sparse(name: str, x: Any, n_in: int, dtype: np.dtype, min_rows: int = 1) -> Any:
    """Return `x` as a finite CSR matrix of `dtype` with n_in columns; it is copied only if it is not one.

    The columns of a row are sorted and unique: values at the same position are added.
    """
    if x.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions (rows, features), got shape {x.shape}.")
    if x.dtype.kind == "c":
        raise ValueError(f"{name} has complex values, expected real ones.")
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, got dtype {x.dtype}.")
    x = x.tocsr()
    if x.shape[1] != n_in:
        raise ValueError(f"{name} has {x.shape[1]} features, but the network takes {n_in}.")
    if x.shape[0] < min_rows:
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
    values = as_finite(name, weights)
    if values.ndim == 0:
        values = np.full(n_rows, float(values))
    if values.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), one number per row, got {values.shape}.")
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
    y = as_array(name, y)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != n_columns:
        shape = "(n,)" if n_columns == 1 else f"(n, {n_columns})"
        raise ValueError(f"{name} must have shape {shape}, got {y.shape}.")
    # A whole number equals its floor; NaN does not.
    if y.dtype.kind not in "iub" and not (y.dtype.kind == "f" and np.array_equal(y, np.floor(y))):
        raise ValueError(
            f"{name} must hold class numbers 0 to {n_classes - 1}, got dtype {y.dtype}; "
            "encode other labels with sklearn.preprocessing.LabelEncoder."
        )
    low, high = y.min(initial=0), y.max(initial=0)
    if low < 0 or high >= n_classes:
        outside = low if low < 0 else high
        raise ValueError(f"{name} holds the label {outside}, but the classes are 0 to {n_classes - 1}.")
    return np.ascontiguousarray(y, dtype=np.int32)


def check_targets(name: str, y: npt.ArrayLike, n_out: int, dtype: np.dtype) -> np.ndarray:
    """Return target values as a finite (n, n_out) matrix of `dtype`."""
    y = as_numbers(name, y)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2 or y.shape[1] != n_out:
        raise ValueError(f"{name} must have shape (n, {n_out}), one column per output, got {y.shape}.")
    return as_finite(name, y, dtype)


def check_lengths(first: str, n_first: int, second: str, n_second: int) -> None:
    """Raise ValueError unless two arrays have the same number of rows."""
    if n_first != n_second:
        raise ValueError(f"{first} has {n_first} rows and {second} has {n_second}, expected the same number.")


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or raise ImportError with the pip command that installs it."""
    import importlib

    try:
        with unforked():
            return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"this needs {module.partition('.')[0]}: {install_command(extra)}.") from error


def install_command(extra: str) -> str:
    """Return the pip command that installs fastnn with an extra.

    Examples
    --------
    >>> install_command("plots")
    'pip install "fastnn-core[plots]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'


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
