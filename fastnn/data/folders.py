"""Files and folders: finding them, and folders with a folder for each class."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from .. import _checks

# The end of the name of a folder of rows for one purpose: "train", "20news-bydate-train".
_PART = re.compile(r"(?:^|[-_. ])(train|test|val)(?:ing|id|idation)?$", re.IGNORECASE)

_IGNORED = ("__MACOSX", "unsup")  # what an archiver leaves behind; IMDB's reviews without a label


def find_path(source: str | Path, names: Collection[str] = ()) -> Path:
    """Return the path of a file or folder.

    Parameters
    ----------
    source : str or Path
    names : collection of str
        Data sets that could be meant instead.

    Raises
    ------
    FileNotFoundError
        If nothing is there; it suggests the nearest name.
    """
    path = _checks.check_path("source", source).expanduser()
    if path.exists():
        return path
    try:
        beside = {entry.name: str(path.with_name(entry.name)) for entry in path.parent.iterdir()}
    except OSError:
        beside = {}
    near = _checks.nearest_name(str(source), names) or beside.get(
        _checks.nearest_name(path.name, beside) or ""
    )
    hint = f" Did you mean {near!r}?" if near else ""
    if not names:
        raise FileNotFoundError(f"there is no file or folder {str(source)!r}.{hint}")
    raise FileNotFoundError(
        f"there is no file {str(source)!r}, and no data set of that name: expected a path or one of "
        f"{', '.join(names)}.{hint}"
    )


def find_suffix(name: str, suffixes: Collection[str]) -> str | None:
    """Return the longest of the suffixes in which a file's name ends, in any case; None if there is none.

    Examples
    --------
    >>> find_suffix("flowers.CSV.gz", (".csv", ".csv.gz")), find_suffix("notes", (".txt", ""))
    ('.csv.gz', '')
    """
    lower = name.lower()
    found = [suffix for suffix in suffixes if suffix and lower.endswith(suffix)]
    if found:
        return max(found, key=len)
    return "" if "" in suffixes and not Path(name).suffix else None


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return all files with one of the suffixes in a folder and below it, sorted; none is hidden."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_visible(name))
        found += [
            Path(where, name)
            for name in sorted(files)
            if is_visible(name) and find_suffix(name, suffixes) is not None
        ]
    return found


def class_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and is_visible(path.name))


def is_visible(name: str) -> bool:
    """Return whether the name of a file or folder is neither hidden nor left behind by an archiver."""
    return not name.startswith(".") and name not in _IGNORED


def read_classes(
    folder: Path, suffixes: Collection[str], noun: str
) -> tuple[list[Path], np.ndarray, tuple[list[Path], np.ndarray] | None]:
    """Find the files of a folder of folders, one a class.

    Parameters
    ----------
    folder : Path
        With a folder for each class; or with a folder "train" and one "test" or "val" that hold them. If all
        three are there, the rows of "val" are training rows, too.
    suffixes : collection of str
        Suffixes of the files, in lower case.
    noun : str
        Name of the files' content in error messages.

    Returns
    -------
    files : list of Path
    labels : ndarray of str
        The folders' names.
    test : tuple (files, labels) or None
    """
    parts = _find_parts(folder)
    if not parts:
        return *_read_part(folder, suffixes, noun), None
    files, labels = _read_part(parts["train"], suffixes, noun)
    test_part = "test" if "test" in parts else "val"
    test = _read_part(parts[test_part], suffixes, noun, labels)
    if len(parts) == 3:
        more, more_labels = _read_part(parts["val"], suffixes, noun, labels)
        files, labels = files + more, np.concatenate([labels, more_labels])
    return files, labels, test


def _find_parts(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts "train", "test" and "val"; none if the folder is not split."""
    parts = {}
    for path in class_folders(folder):
        match = _PART.search(path.name)
        if match and class_folders(path):  # a class, too, may be called "train"
            parts[match[1].lower()] = path
    return parts if "train" in parts and len(parts) > 1 else {}


def _read_part(
    folder: Path, suffixes: Collection[str], noun: str, known: np.ndarray | None = None
) -> tuple[list[Path], np.ndarray]:
    """Find files and labels of a part; `known` are the labels of the training rows, if these are others."""
    folders = class_folders(folder)
    expected = f"expected a folder for each class, its name being the label, with {noun} in it"
    if not folders:
        n_files = len(find_files(folder, suffixes))
        found = f"{n_files} {noun} but no folders" if n_files else f"no folders and no {noun}"
        raise ValueError(f"{str(folder)!r} holds {found}: {expected}.")
    found_files = {path.name: find_files(path, suffixes) for path in folders}
    if not any(found_files.values()):
        endings = ", ".join(suffix or "no ending" for suffix in sorted(suffixes))
        raise ValueError(f"the folders in {str(folder)!r} hold no {noun} ({endings}): {expected}.")
    for name, files in found_files.items():
        if not name.isascii() and name != name.encode(errors="replace").decode():
            raise ValueError(f"the folder {str(folder / name)!r} has a name that is not UTF-8: rename it.")
        if not files and known is None:
            raise ValueError(f"the folder {str(folder / name)!r} holds no {noun}: fill or remove it.")
        if files and known is not None and name not in known:
            raise ValueError(
                f"{str(folder)!r} has the class {name!r}, which the training rows do not have: "
                f"{', '.join(np.unique(known)[:20])}."
            )
    if len(folders) == 1 and known is None:
        deeper = f" Is it {str(folders[0])!r} that you mean?" if class_folders(folders[0]) else ""
        raise ValueError(
            f"{str(folder)!r} has one class only ({folders[0].name!r}): expected at least 2.{deeper}"
        )
    labels = np.repeat(list(found_files), [len(files) for files in found_files.values()])
    return [file for files in found_files.values() for file in files], labels
