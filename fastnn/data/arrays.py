"""Arrays from files and from scikit-learn, and their encoder, which standardises every feature."""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _checks
from .._fields import Count, Dtype, Positive, read_fields
from .._memory import check_memory
from .._unpack import open_unpacked, open_zip
from .dataset import Dataset, name_of
from .folders import find_path

# scikit-learn's data sets, and the task of each.
BUILT_IN = {
    "digits": "classification",
    "iris": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
    "linnerud": "regression",
}
_TARGETS = {
    "digits": "digit",
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "progression",
    "linnerud": "Weight, Waist, Pulse",
}

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

_FIELDS = {
    "kind": Literal["array"],
    "dtype": Dtype,
    "shape": list[Count],
    "mean": list[float],
    "scale": list[Positive],
    "feature_names": list[str] | None,
}

_BLOCK_BYTES = 1 << 22  # of float64 that are converted at a time: they stay in the cache

# x, y if there is one, and test rows (x, y) if there are some.
_Arrays: TypeAlias = tuple[np.ndarray, np.ndarray | None, tuple[np.ndarray, np.ndarray] | None]


def read_arrays(source: str | Path | Sequence[str | Path], *, labelled: bool = True) -> Dataset:
    """Read arrays: rows and targets.

    Parameters
    ----------
    source : str, path, or two paths
        A name of scikit-learn's (digits, iris, wine, breast_cancer, diabetes, linnerud), or the path of

        - a ``.npz`` file with x and y (or x_train and y_train, as Keras has it), and x_test and y_test if
          there are test rows;
        - a folder with x.npy and y.npy, and x_test.npy and y_test.npy if there are test rows; or the two
          paths themselves. These are mapped into memory, not read;
        - a folder with the four IDX files of MNIST or Fashion-MNIST, compressed or not.
    labelled : bool, default=True
        If False, y is neither needed nor read, and a single ``.npy`` is enough: rows to predict.

    Returns
    -------
    Dataset
        Data set of kind "array"; rows keep their shape and dtype.

    Raises
    ------
    ValueError
        If the source is none of these, or damaged.
    FileNotFoundError
        If there is no such file and no data set of that name.
    ImportError
        If a name is given and scikit-learn is not installed.

    Examples
    --------
    >>> digits = read_arrays("digits")
    >>> digits.rows.shape, digits.target
    ((1797, 8, 8), 'digit')
    """
    labelled = _checks.check_flag("labelled", labelled)
    if not isinstance(source, (str, Path)):
        x_path, y_path = _two_paths(source)
        data = Dataset(name_of(x_path), "array", *_pair(_map_npy(x_path), _map_npy(y_path)))
    elif source in BUILT_IN:
        data = _built_in(str(source))
    else:
        path = find_path(source, BUILT_IN)
        x, y, test = _read_folder(path, labelled) if path.is_dir() else _read_file(path, labelled)
        data = Dataset(name_of(path), "array", x, y, test=test)
    return data if labelled else replace(data, y=None, test=None)


def _read_folder(folder: Path, labelled: bool) -> _Arrays:
    if _is_idx_folder(folder):
        return _read_idx_folder(folder)
    files = {file.stem: file for file in sorted(folder.glob("*.npy"))}
    if not files:
        raise ValueError(f"{str(folder)!r} has neither x.npy and y.npy nor the four IDX files of MNIST.")
    return _named_arrays(folder, files, labelled)


def _read_file(path: Path, labelled: bool) -> _Arrays:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path, labelled)
    readers = {suffix: _read_idx} if is_idx_file(path) else {".npy": _map_npy}
    if suffix not in readers:
        raise ValueError(
            f"{str(path)!r} has the ending {path.suffix!r}: expected .npz, .npy, or a folder with x.npy and "
            "y.npy or with IDX files."
        )
    if labelled:
        raise ValueError(
            f"{str(path)!r} is one array: expected x and y, as the folder of both, the paths of both, or a "
            ".npz file."
        )
    return _not_empty("x", readers[suffix](path)), None, None


def _built_in(name: str) -> Dataset:
    bunch = getattr(_checks.require("sklearn.datasets", "sklearn"), f"load_{name}")()
    if name == "digits":
        return Dataset(name, "array", bunch.images, bunch.target, _TARGETS[name])
    y = bunch.target
    if BUILT_IN[name] == "classification":
        y = np.asarray(bunch.target_names)[y]
    x, names = bunch.data, [str(feature) for feature in bunch.feature_names]
    return Dataset(name, "array", x, y, _TARGETS[name], feature_names=names)


def _two_paths(source: Sequence[str | Path]) -> list[Path]:
    paths = list(source) if isinstance(source, (list, tuple)) else []
    if len(paths) != 2 or not all(isinstance(path, (str, Path)) for path in paths):
        raise TypeError(
            "source must be a name, a path, or the two paths of x.npy and y.npy, got "
            f"{_checks.shown(source)}."
        )
    return [find_path(path) for path in paths]


def _not_empty(name: str, x: np.ndarray) -> np.ndarray:
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"{name} is empty: expected at least one row.")
    return x


def _pair(x: np.ndarray, y: np.ndarray, ending: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return both if they have the same number of rows."""
    _not_empty(f"x{ending}", x)
    if y.ndim == 0:
        raise ValueError(f"y{ending} is a single value: expected one per row.")
    _checks.check_lengths(f"x{ending}", len(x), f"y{ending}", len(y))
    return x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _named_arrays(path: Path, found: Mapping[str, np.ndarray | Path], labelled: bool) -> _Arrays:
    """Pick x, y and the test rows from arrays, or files of arrays, by name."""
    first = "x_train" if "x" not in found and "x_train" in found else "x"
    second = "y_train" if "y" not in found and "y_train" in found else "y"
    missing = {first, second} - set(found) if labelled else {first} - set(found)
    if missing:
        raise ValueError(
            f"{str(path)!r} holds {_checks.listed(map(repr, sorted(found))) or 'nothing'}: expected arrays "
            f"x{' and y' if labelled else ''}."
        )

    def get(name: str) -> np.ndarray:
        array = found[name]
        return _map_npy(array) if isinstance(array, Path) else array

    if not labelled:
        return _not_empty("x", get(first)), None, None
    x, y = _pair(get(first), get(second))
    if "x_test" not in found or "y_test" not in found:
        return x, y, None
    test = _pair(get("x_test"), get("y_test"), "_test")
    if test[0].shape[1:] != x.shape[1:]:
        raise ValueError(
            f"rows of x_test have shape {test[0].shape[1:]}, but those of x have {x.shape[1:]}: "
            "expected the same."
        )
    return x, y, test


def _read_npz(path: Path, labelled: bool) -> _Arrays:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is damaged or another kind of file")
        with open_zip(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: _with_bytes(file[name], f"its member {name!r}") for name in file.files}
    except Exception as error:  # NumPy and zipfile raise all kinds of errors on damaged files
        raise ValueError(f"{str(path)!r} cannot be read as .npz: {_checks.reason_of(error)}.") from error
    return _named_arrays(path, arrays, labelled)


def _map_npy(path: Path) -> np.ndarray:
    """Map the array of a ``.npy`` file into memory."""
    try:
        return _with_bytes(np.lib.format.open_memmap(path, mode="r"), "it")
    except Exception as error:  # NumPy raises all kinds of errors on damaged files
        raise ValueError(f"{str(path)!r} cannot be read as .npy: {_checks.reason_of(error)}.") from error


def _with_bytes(array: Any, what: str) -> np.ndarray:
    """Return an array whose items take memory: without, a file of some bytes may claim any number of rows."""
    if not isinstance(array, np.ndarray) or array.dtype.itemsize == 0:
        raise ValueError(f"{what} is no array of numbers")
    return array


def is_array_folder(folder: Path) -> bool:
    """Return whether a folder holds ``.npy`` or IDX files."""
    return _is_idx_folder(folder) or any(folder.glob("*.npy"))


def _is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds files with MNIST's names."""
    return any(any(folder.glob(f"{part}-images*")) for part in ("train", "t10k"))


def is_idx_file(path: Path) -> bool:
    """Return whether a file has a name as MNIST's files have."""
    return path.is_file() and re.search(r"[-.]idx\d-", path.name) is not None


def _read_idx_folder(folder: Path) -> _Arrays:
    pairs = []
    for part in ("train", "t10k"):
        images, labels = (_read_idx(_idx_file(folder, f"{part}-{what}")) for what in ("images", "labels"))
        _checks.check_lengths(f"{part}-images", len(images), f"{part}-labels", len(labels))
        pairs.append((_not_empty(f"{part}-images", images), labels))
    return *pairs[0], pairs[1]


def _idx_file(folder: Path, stem: str) -> Path:
    found = sorted(folder.glob(f"{stem}*"))
    if not found:
        raise FileNotFoundError(
            f"there is no {stem}* in {str(folder)!r}: expected the four IDX files of MNIST."
        )
    return found[0]


def _read_idx(path: Path) -> np.ndarray:
    """Read an IDX file (LeCun's MNIST format): two zeros, dtype, number of axes, sizes, then the data."""
    with open_unpacked(path) as file:
        content = file.read()
    try:
        zeros, code, n_axes = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{n_axes}I", content, 4)
        if zeros != 0 or code not in _IDX_DTYPES:
            raise ValueError("it does not begin as an IDX file does")
        data = np.frombuffer(content, _IDX_DTYPES[code], offset=4 + 4 * n_axes)
        return data.reshape(shape)
    except (ValueError, struct.error) as error:
        raise ValueError(
            f"{str(path)!r} is damaged or not an IDX file: {_checks.reason_of(error)}."
        ) from error


def row_blocks(rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows in float64, block by block, with their slice: a copy of all of them may not fit."""
    step = max(1, _BLOCK_BYTES // (8 * math.prod(rows.shape[1:])))
    for start in range(0, len(rows), step):
        block = np.asarray(rows[start : start + step], dtype=np.float64)
        yield slice(start, start + len(block)), block.reshape(len(block), -1)


class ArrayEncoder:
    """Encoder that standardises every feature of numeric arrays to mean 0 and variance 1.

    Means and variances are found by scikit-learn's StandardScaler and applied block by block: memory-mapped
    rows stay on disk, and bytes are never converted all at once.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default="float32"
        Data type of the vectors.
    feature_names : sequence of str, optional
        Names of the features; by default x[0], x[1], ..., or x[0, 0], x[0, 1], ... of rows that are matrices.

    Attributes
    ----------
    shape : tuple of int
        Shape of a row.
    mean, scale : ndarray of shape (n_features,)
        A vector is ``(row.ravel() - mean) / scale``. The scale of a constant feature is 1.
    feature_names : list of str
    embeddings : dict
        Empty: no feature is a code of a category.

    Examples
    --------
    >>> encoder = ArrayEncoder().fit(np.array([[1, 7], [3, 7]]))
    >>> encoder.transform(np.array([[3, 7]]))
    array([[1., 0.]], dtype=float32)
    """

    kind: ClassVar[str] = "array"

    def __init__(self, dtype: DTypeLike = "float32", *, feature_names: Sequence[str] | None = None) -> None:
        self.dtype = _checks.check_dtype(dtype)
        self._given_names = (
            None
            if feature_names is None
            else [str(name) for name in _checks.check_items("feature_names", feature_names, "names")]
        )
        self.embeddings: dict[int, tuple[int, int]] = {}

    def fit(self, rows: ArrayLike) -> ArrayEncoder:
        """Learn mean and scale of every feature.

        Parameters
        ----------
        rows : array of shape (n, ...)

        Returns
        -------
        ArrayEncoder
            Itself.

        Raises
        ------
        ValueError
            If values are not numbers or not finite, or there are no rows.
        """
        rows = _not_empty("rows", self._check(rows))
        n_features = math.prod(rows.shape[1:])
        if self._given_names is not None and len(self._given_names) != n_features:
            raise ValueError(
                f"feature_names has {len(self._given_names)} names, but the rows have {n_features} features."
            )
        scaler = _checks.require("sklearn.preprocessing", "sklearn").StandardScaler()
        for part, block in row_blocks(rows):
            _check_finite(block, part.start)
            scaler.partial_fit(block)
        self.shape = rows.shape[1:]
        self.mean, self.scale = scaler.mean_, scaler.scale_
        return self

    def transform(self, rows: ArrayLike) -> np.ndarray:
        """Encode rows as vectors.

        Parameters
        ----------
        rows : array of shape (n, ...) or (n, n_features)

        Returns
        -------
        ndarray of shape (n, n_features)

        Raises
        ------
        ValueError
            If rows have another shape than in training, or values are not numbers or not finite.
        """
        rows = self._check(rows)
        if rows.shape[1:] not in (self.shape, self.mean.shape):
            expected = str(self.shape) if self.shape == self.mean.shape else f"{self.shape}, or flat,"
            raise ValueError(f"rows must have shape {expected} each, got {rows.shape[1:]}.")
        check_memory("rows", rows.size * self.dtype.itemsize, "their features")
        x = np.empty((len(rows), self.mean.size), self.dtype)
        for part, block in row_blocks(rows):
            _check_finite(block, part.start)
            with np.errstate(over="ignore"):  # the network says which of its features are infinite
                x[part] = (block - self.mean) / self.scale
        return x

    def _check(self, rows: ArrayLike) -> np.ndarray:
        rows = _checks.as_array("rows", rows)
        if rows.dtype.kind not in "biuf":
            raise ValueError(f"rows must be numbers, got dtype {rows.dtype}.")
        if rows.ndim < 2:
            raise ValueError(f"rows must have shape (n, ...), got {rows.shape}.")
        return rows

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature."""
        if self._given_names is not None:
            return self._given_names
        return [f"x[{', '.join(map(str, index))}]" for index in np.ndindex(self.shape)]

    def describe(self) -> list[dict[str, Any]]:
        """Describe what was decided, for the array as a whole."""
        size = " x ".join(map(str, self.shape))
        return [
            {
                "column": "x",
                "kind": f"{size} numbers",
                "encoding": "each standardised by its mean and standard deviation",
                "features": self.n_features,
                "note": "",
            }
        ]

    def unseen_summary(self) -> str:
        """Return "": numbers are never unseen."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "kind": self.kind,
            "dtype": self.dtype.name,
            "shape": list(self.shape),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "feature_names": self._given_names,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ArrayEncoder:
        """Make the encoder that :meth:`to_dict` described."""
        state = read_fields(state, _FIELDS, "encoder", optional=["feature_names"])
        encoder = cls(state["dtype"], feature_names=state.get("feature_names"))
        encoder.shape = tuple(state["shape"])
        encoder.mean, encoder.scale = (np.asarray(state[name], np.float64) for name in ("mean", "scale"))
        lengths = {encoder.mean.size, encoder.scale.size, len(encoder._given_names or encoder.mean)}
        if lengths != {math.prod(encoder.shape)}:
            raise ValueError(
                f"encoder.mean, .scale and .feature_names must have an entry for each feature of shape "
                f"{encoder.shape}."
            )
        return encoder

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.mean.size


def _check_finite(block: np.ndarray, first_row: int) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row, feature = np.argwhere(~finite)[0]
        raise ValueError(
            f"row {first_row + row} is NaN or infinite in feature {feature}: remove or impute such values."
        )
