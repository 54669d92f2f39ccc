"""What a source is, by its name, ending or content, and which reader takes it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .. import _checks
from . import images, text
from .arrays import BUILT_IN, existing, is_idx_file, is_idx_folder
from .dataset import Dataset, name_of
from .folders import find_files

_READERS = {
    "array": ("arrays", "read_arrays"),
    "images": ("images", "read_images"),
    "text": ("text", "read_text"),
}
KINDS = (*_READERS, "table")

_TABLES = (
    *(".csv", ".tsv", ".tab", ".parquet", ".pq", ".feather", ".arrow", ".ipc"),
    *(".xlsx", ".json", ".jsonl", ".ndjson"),
)
_ENDINGS = {
    "table": _TABLES,
    "array": (".npz", ".npy"),
    "text": tuple(suffix for suffix in text.SUFFIXES if suffix),
    "images": images.SUFFIXES,
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")


def read_source(
    source: Any,
    *,
    target: str | None = None,
    kind: str | None = None,
    labelled: bool = True,
    drop: Iterable[str] = (),
    drop_missing: bool = False,
) -> Dataset:
    """Read a data set, whatever it is.

    Parameters
    ----------
    source : str, path or table
        A name of scikit-learn's (digits, iris, wine, breast_cancer, diabetes, linnerud), or the path of

        - a table: .csv, .tsv, .parquet, .feather, .arrow, .xlsx, .jsonl; or what is a table already, such
          as a data frame: ``fastnn.data.read_dataset``;
        - arrays: .npz, a folder with x.npy and y.npy or the paths of both, a folder with the IDX files of
          MNIST: ``fastnn.data.read_arrays``;
        - a folder with a folder of images for each class: ``fastnn.data.read_images``;
        - texts: a folder with a folder for each class, or .txt with one a line (a table if `target` is
          given): ``fastnn.data.read_text``.
    target : str, optional
        Of a table: the column that is to be predicted.
    kind : {"array", "images", "text", "table"}, optional
        By default what the source looks like.
    labelled : bool, default=True
        If False, there is nothing but rows to predict; y is None.
    drop, drop_missing
        Of a table: as of ``fastnn.data.read_dataset``.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If it is none of these, or not what it seems to be.
    FileNotFoundError
        If there is no such file and no data set of that name.
    ImportError
        If what reads it is not installed.

    Examples
    --------
    >>> data = read_source("iris")
    >>> data.kind, data.target, data.n
    ('array', 'species', 150)
    """
    kind = _recognise(source, target) if kind is None else _checks.check_name("kind", kind, KINDS)
    if kind == "table":
        if labelled:
            return _reader("tables.encoder", "read_dataset")(
                source, target, drop=drop, drop_missing=drop_missing
            )
        is_file = isinstance(source, (str, Path)) and source != "-"
        name = name_of(Path(source)) if is_file else "table"
        return Dataset(name, "table", _reader("tables.files", "read_table")(source), None)
    if target is not None:
        raise ValueError(
            f"target={target!r} names a column of a table, but {str(source)!r} is read as "
            f"{_article(kind)}: leave it out."
        )
    if drop:
        raise ValueError(f"drop names columns of a table, but {str(source)!r} is read as {_article(kind)}.")
    home, name = _READERS[kind]
    return _reader(home, name)(source, labelled=labelled)


def _reader(home: str, name: str) -> Any:
    return getattr(importlib.import_module(f".{home}", __package__), name)


def _article(kind: str) -> str:
    return "an array" if kind == "array" else kind


def _recognise(source: Any, target: str | None) -> str:
    """The kind of rows that a source holds."""
    if not isinstance(source, (str, Path)):
        is_paths = isinstance(source, (list, tuple)) and all(isinstance(item, (str, Path)) for item in source)
        return "array" if is_paths else "table"
    if source in BUILT_IN:
        return "array"
    if source == "-":  # the standard input
        return "table"
    path = existing(source, BUILT_IN)
    if path.is_dir():
        return _recognise_folder(path)
    if is_idx_file(path):
        return "array"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending == ".txt" and target is not None:
        return "table"
    for kind, endings in _ENDINGS.items():
        if ending in endings:
            return kind
    had = f"has the ending {ending!r}" if ending else "has no ending that says what it is"
    raise ValueError(
        f"{str(path)!r} {had}: expected a table ({', '.join(_TABLES)}), arrays (.npz, .npy), text (.txt), or "
        "a folder of images or texts."
    )


def _recognise_folder(folder: Path) -> str:
    if is_idx_folder(folder) or any(folder.glob("*.npy")):
        return "array"
    counts = {
        "images": len(find_files(folder, images.SUFFIXES)),
        "text": len(find_files(folder, text.SUFFIXES)),
        "table": len(find_files(folder, _TABLES)),
    }
    kind = max(counts, key=counts.__getitem__)
    if counts[kind] == 0:
        raise ValueError(
            f"nothing in the folder {str(folder)!r} can be read: expected a folder of images or texts for "
            "each class, x.npy and y.npy, or the four IDX files of MNIST."
        )
    return kind
