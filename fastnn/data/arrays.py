"""Data sets from files and from scikit-learn, split and encoded: what the command line trains on."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _checks

# scikit-learn's own, by what is to be predicted.
BUILT_IN = {
    "digits": "classification",
    "iris": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
    "linnerud": "regression",
}
TASKS = ("classification", "regression")

# A numeric target with more distinct values than this is a quantity, unless they are 0, 1, 2, ...
_MOST_CLASSES = 20

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Dataset(NamedTuple):
    """Rows to train on and rows to test with.

    Attributes
    ----------
    name : str
    x_train, x_test : ndarray of shape (n, n_in)
    y_train, y_test : ndarray
        Class numbers, (n,), or values, (n,) or (n, n_out).
    classes : ndarray or None
        The label that each class number stands for; None for a regression.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: np.ndarray | None


def load_dataset(
    source: str,
    *,
    target: str | None = None,
    task: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    dtype: Any = "float32",
) -> Dataset:
    """Read a data set, encode its labels, and split off rows to test with.

    Parameters
    ----------
    source : str
        A name of scikit-learn's (digits, iris, wine, breast_cancer, diabetes, linnerud), or the path of
        a ``.npz`` file with x and y (and x_test and y_test, if it has them), of a ``.csv`` file, or of a
        folder with the four IDX files of MNIST or Fashion-MNIST, compressed or not.
    target : str, optional
        The column of a ``.csv`` that is to be predicted.
    task : {"classification", "regression"}, optional
        By default what the target looks like: text, booleans, numbers counting from 0 and up to 20
        distinct whole numbers are classes.
    test_fraction : float in (0, 1), default=0.2
        Share of the rows to test with, where the source does not say which.
    seed : int, default=0
        Of that split; classes keep their shares.
    dtype : {"float32", "float64"}, default="float32"
        Of the features, and of the values of a regression.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the source is not what is described here.
    FileNotFoundError
        If there is no such file and no data set of that name.
    ImportError
        If scikit-learn, or pandas for ``.csv``, is not installed.

    Examples
    --------
    >>> load_dataset("iris").x_train.shape
    (120, 4)
    """
    dtype = _checks.check_dtype(dtype)
    x, y, test, task = _read(source, target, task)
    y = np.asarray(y)
    if task is None:
        task = _guess_task(y)
    _checks.check_name("task", task, TASKS)
    classes = None
    if task == "classification":
        encoder = _checks.require("sklearn.preprocessing", "sklearn").LabelEncoder()
        y = encoder.fit_transform(y)
        classes = encoder.classes_
        if len(classes) < 2:
            raise ValueError(f"the target has one class only ({classes[0]!r}): expected at least 2.")
        if test is not None:
            unseen = np.setdiff1d(test[1], classes)
            if unseen.size:
                raise ValueError(f"y_test has the class {unseen[0]!r}, which y does not have.")
            test = test[0], encoder.transform(test[1])
    x, y = np.asarray(x, dtype), y if classes is not None else np.asarray(y, dtype)
    if test is None:
        split = _checks.require("sklearn.model_selection", "sklearn").train_test_split
        _checks.check_number("test_fraction", test_fraction, 0.0, 1.0, open_low=True)
        rare = classes is not None and np.bincount(y).min() < 2
        stratify = y if classes is not None and not rare else None
        x, x_test, y, y_test = split(x, y, test_size=test_fraction, random_state=seed, stratify=stratify)
    else:
        x_test, y_test = np.asarray(test[0], dtype), np.asarray(test[1])
        y_test = y_test if classes is not None else y_test.astype(dtype)
    return Dataset(Path(source).stem, x, y, x_test, y_test, classes)


def _read(source: str, target: str | None, task: str | None):
    """Features, target, test rows or None, and the task where it is known."""
    path = Path(source)
    if source in BUILT_IN:
        bunch = getattr(_checks.require("sklearn.datasets", "sklearn"), f"load_{source}")()
        return bunch.data, bunch.target, None, task or BUILT_IN[source]
    if path.is_dir():
        return *_read_idx_folder(path), task or "classification"
    if not path.exists():
        close = get_close_matches(source, BUILT_IN, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise FileNotFoundError(
            f"there is no file {source!r}, and no data set of that name: expected a path or one of "
            f"{', '.join(BUILT_IN)}.{hint}"
        )
    if path.suffix == ".npz":
        return *_read_npz(path), task
    if path.suffix == ".csv":
        return *_read_csv(path, target), None, task
    raise ValueError(
        f"{source!r} has the ending {path.suffix!r}: expected .npz, .csv, or a folder with IDX files."
    )


def _guess_task(y: np.ndarray) -> str:
    if y.ndim == 2 and y.shape[1] > 1:
        return "regression"
    if y.dtype.kind not in "iuf":
        return "classification"
    values = np.unique(y)
    if np.any(np.mod(values, 1) != 0):
        return "regression"
    counts_from_0 = np.array_equal(values, np.arange(len(values)))
    return "classification" if counts_from_0 or len(values) <= _MOST_CLASSES else "regression"


def _read_npz(path: Path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as .npz: {error}.") from error
    missing = {"x", "y"} - set(arrays)
    if missing:
        raise ValueError(
            f"{str(path)!r} holds {', '.join(sorted(arrays)) or 'nothing'}: expected arrays x and y."
        )
    x, y = _flat_rows(arrays["x"]), arrays["y"]
    _checks.check_lengths("x", len(x), "y", len(y))
    if "x_test" not in arrays or "y_test" not in arrays:
        return x, y, None
    x_test, y_test = _flat_rows(arrays["x_test"]), arrays["y_test"]
    _checks.check_lengths("x_test", len(x_test), "y_test", len(y_test))
    return x, y, (x_test, y_test)


def _flat_rows(x: np.ndarray) -> np.ndarray:
    """Samples of any shape as rows."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("x is empty: expected at least one row.")
    return x.reshape(len(x), -1)


def _read_csv(path: Path, target: str | None):
    pandas = _checks.require("pandas", "all")
    try:
        frame = pandas.read_csv(path)
    except (ValueError, UnicodeError) as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"{str(path)!r} cannot be read as .csv: {str(error).strip()}.") from error
    columns = [str(name) for name in frame.columns]
    if target is None:
        raise ValueError(f"say which column of {str(path)!r} is the target: {', '.join(columns[:20])}.")
    _checks.check_name("target", target, columns)
    if len(columns) < 2:
        raise ValueError(f"{str(path)!r} has one column only: expected features beside the target.")
    y, features = frame[target], frame.drop(columns=target)
    text = [str(name) for name in features.columns if not _is_numeric(pandas, features[name])]
    if text:
        raise ValueError(
            f"column {text[0]!r} is not numeric ({len(text)} such in all): encode or drop it first."
        )
    for name in frame.columns:
        missing = int(frame[name].isna().sum())
        if missing:
            raise ValueError(f"column {str(name)!r} lacks {missing} values: impute or drop them first.")
    return features.to_numpy(dtype=np.float64), y.to_numpy()


def _is_numeric(pandas, column) -> bool:
    return pandas.api.types.is_numeric_dtype(column)


def _read_idx_folder(folder: Path):
    train, test = (
        (_flat_rows(_read_idx(folder, f"{part}-images")), _read_idx(folder, f"{part}-labels"))
        for part in ("train", "t10k")
    )
    for part, (images, labels) in (("train", train), ("t10k", test)):
        _checks.check_lengths(f"{part}-images", len(images), f"{part}-labels", len(labels))
    return *train, test


def _read_idx(folder: Path, stem: str) -> np.ndarray:
    """Read an IDX file (LeCun's MNIST format): two zeros, dtype, number of axes, sizes, then the data."""
    found = sorted(folder.glob(f"{stem}*"))
    if not found:
        raise FileNotFoundError(
            f"there is no {stem}* in {str(folder)!r}: expected the four IDX files of MNIST."
        )
    path = found[0]
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        zeros, code, n_axes = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{n_axes}I", content, 4)
        if zeros != 0 or code not in _IDX_DTYPES:
            raise ValueError("it does not begin as an IDX file does")
        data = np.frombuffer(content, _IDX_DTYPES[code], offset=4 + 4 * n_axes)
        return data.reshape(shape)
    except (ValueError, struct.error, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{str(path)!r} is damaged or no IDX file: {error}.") from error
