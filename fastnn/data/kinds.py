"""The kinds of data: for each its reader, its encoder, its files, and its name in messages.

To add a kind, write a module with a reader and an encoder, and add a line to ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .. import _checks
from .._unpack import SUFFIXES
from . import images, text
from .arrays import BUILT_IN, ArrayEncoder, is_array_folder, is_idx_file, read_arrays
from .dataset import Dataset, Encoder
from .folders import find_files, find_path
from .tables import files as tables
from .tables.content import split_member
from .tables.encoder import TableEncoder
from .tables.reading import Reading
from .tables.target_column import read_dataset


class Kind(NamedTuple):
    """A kind of data.

    Attributes
    ----------
    read : callable
        ``read(source, labelled=...)`` returns a Dataset; see `has_columns`.
    encoder : type
        Encodes such rows by default.
    suffixes : tuple of str
        Suffixes of files of this kind alone; "" stands for files without one, which count in folders only.
    noun : str
        Noun for the rows in messages, with its article.
    has_columns : bool
        True if `read` also takes `target`, `drop` and `drop_missing`, which name columns, and `reading`.
    """

    read: Callable[..., Dataset]
    encoder: type[Encoder]
    suffixes: tuple[str, ...]
    noun: str
    has_columns: bool = False


_TABLE_SUFFIXES = tuple(suffix for suffix in tables.SUFFIXES if not suffix.startswith(text.SUFFIXES[1:]))

# In this order a source is compared with them, and the first of several that fit is chosen.
KINDS: dict[str, Kind] = {
    "array": Kind(read_arrays, ArrayEncoder, (".npz", ".npy"), "an array"),
    "images": Kind(images.read_images, images.ImageEncoder, images.SUFFIXES, "images"),
    "text": Kind(text.read_text, text.TextEncoder, text.SUFFIXES, "text"),
    "table": Kind(read_dataset, TableEncoder, _TABLE_SUFFIXES, "a table", has_columns=True),
}


def encoder_from_dict(state: dict[str, Any]) -> Encoder:
    """Make the encoder, of whatever kind, that its ``to_dict`` described.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    kind = state.get("kind") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"its encoder is of kind {kind!r:.50}: expected one of {', '.join(KINDS)}.")
    return KINDS[kind].encoder.from_dict(state)


def read_source(
    source: Any,
    *,
    target: str | None = None,
    kind: str | None = None,
    labelled: bool = True,
    drop: Iterable[str] = (),
    drop_missing: bool = False,
    reading: Reading | None = None,
) -> Dataset:
    """Read a data set of any kind.

    Parameters
    ----------
    source : str, path or table
        A name of scikit-learn's (digits, iris, wine, breast_cancer, diabetes, linnerud), or the path of

        - a table: .csv, .tsv, .parquet, .feather, .arrow, .xlsx, .jsonl, ..., text also compressed, or in an
          archive (.zip); or a table in memory, such as a data frame: ``fastnn.data.read_dataset``;
        - arrays: .npz, a folder with x.npy and y.npy or the paths of both, a folder with the IDX files of
          MNIST: ``fastnn.data.read_arrays``;
        - a folder with a folder of images for each class: ``fastnn.data.read_images``;
        - texts: a folder with a folder for each class, or .txt with one a line (a table if `target` is
          given): ``fastnn.data.read_text``.
    target : str, optional
        The column of a table that is predicted.
    kind : {"array", "images", "text", "table"}, optional
        By default recognised from the source.
    labelled : bool, default=True
        If False, the source holds rows to predict only; y is None.
    drop, drop_missing, reading
        For tables: see ``fastnn.data.read_dataset``.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the source is of no kind, or damaged.
    FileNotFoundError
        If there is no such file and no data set of that name.
    ImportError
        If a library that reads it is not installed.

    Examples
    --------
    >>> data = read_source("iris")
    >>> data.kind, data.target, data.n
    ('array', 'species', 150)
    """
    labelled = _checks.check_flag("labelled", labelled)
    drop_missing = _checks.check_flag("drop_missing", drop_missing)
    kind = _recognise(source, target) if kind is None else _checks.check_name("kind", kind, KINDS)
    found = KINDS[kind]
    if found.has_columns:
        return found.read(
            source,
            target=target,
            labelled=labelled,
            drop=drop,
            drop_missing=drop_missing,
            reading=reading,
        )
    if target is not None:
        raise ValueError(
            f"target={target!r} names a column of a table, but {str(source)!r} is read as {found.noun}: "
            "leave it out."
        )
    if drop:
        raise ValueError(f"drop names columns of a table, but {str(source)!r} is read as {found.noun}.")
    if reading is not None and (given := reading.unused(())):
        raise ValueError(
            f"{', '.join(given)} would say how a table is written, but {str(source)!r} is read as "
            f"{found.noun}."
        )
    return found.read(source, labelled=labelled)


def _recognise(source: Any, target: str | None) -> str:
    """Find the kind of rows that a source holds."""
    if not isinstance(source, (str, Path)):
        is_paths = isinstance(source, (list, tuple)) and all(isinstance(item, (str, Path)) for item in source)
        return "array" if is_paths else "table"
    if source in BUILT_IN:
        return "array"
    if source == "-":  # the standard input
        return "table"
    if split_member(Path(source)):
        return "table"
    path = find_path(source, BUILT_IN)
    if path.is_dir():
        return _recognise_folder(path)
    if is_idx_file(path):
        return "array"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in SUFFIXES:  # of compressed files
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if target is not None and suffix in tables.SUFFIXES:
        return "table"
    for name, kind in KINDS.items():
        if suffix and suffix in kind.suffixes:
            return name
    found = f"has the ending {suffix!r}" if suffix else "has no ending that says what it is"
    raise ValueError(
        f"{str(path)!r} {found}: expected a table ({tables.SHOWN_SUFFIXES}), arrays (.npz, .npy), text "
        "(.txt), or a folder of images or texts."
    )


def _recognise_folder(folder: Path) -> str:
    if is_array_folder(folder):
        return "array"
    counts = {name: len(find_files(folder, kind.suffixes)) for name, kind in KINDS.items() if name != "array"}
    name = max(counts, key=counts.__getitem__)
    if counts[name] == 0:
        raise ValueError(
            f"nothing in the folder {str(folder)!r} can be read: expected a folder of images or texts for "
            "each class, x.npy and y.npy, or the four IDX files of MNIST."
        )
    return name
