"""Files in a folder for each class, and how folders say which of them are to test with."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

# What ends the name of a folder of rows for one purpose: "train", "20news-bydate-train".
_PART = re.compile(r"(?:^|[-_. ])(train|test|val)(?:ing|id|idation)?$", re.IGNORECASE)

_IGNORED = ("__MACOSX", "unsup")  # what an archiver leaves behind; IMDB's reviews without a label


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """All files with one of those endings in a folder and in those below it, sorted; hidden ones left out."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(name))
        found += [
            Path(where, name)
            for name in sorted(files)
            if _counts(name) and Path(name).suffix.lower() in suffixes
        ]
    return found


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and _counts(path.name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in _IGNORED


def read_classes(folder: Path, suffixes: Collection[str], what: str):
    """Files of a folder of folders, one a class.

    Parameters
    ----------
    folder : Path
        Of the classes' folders; or of a folder "train" and one "test" or "val" that hold them. If all three
        are there, the rows of "val" are among those to train on.
    suffixes : collection of str
        Endings of the files, in lower case.
    what : str
        The files hold, for messages.

    Returns
    -------
    files : list of Path
    labels : ndarray of str
        The folders' names.
    test : tuple (files, labels) or None
    """
    parts = _parts(folder)
    if not parts:
        return *_read_part(folder, suffixes, what), None
    files, labels = _read_part(parts["train"], suffixes, what)
    test_part = "test" if "test" in parts else "val"
    test = _read_part(parts[test_part], suffixes, what, labels)
    if len(parts) == 3:
        more, more_labels = _read_part(parts["val"], suffixes, what, labels)
        files, labels = files + more, np.concatenate([labels, more_labels])
    return files, labels, test


def _parts(folder: Path) -> dict[str, Path]:
    """The folders for training, testing and validation by "train", "test", "val"; none if it is not split."""
    parts = {}
    for path in class_folders(folder):
        match = _PART.search(path.name)
        if match and class_folders(path):  # a class, too, may be called "train"
            parts[match[1].lower()] = path
    return parts if "train" in parts and len(parts) > 1 else {}


def _read_part(folder: Path, suffixes: Collection[str], what: str, known: np.ndarray | None = None):
    """Files and labels of a folder; `known` are the labels of the rows to train on, if these are others."""
    folders = class_folders(folder)
    expected = f"expected a folder for each class, its name being the label, with {what} in it"
    if not folders:
        n_files = len(find_files(folder, suffixes))
        found = f"{n_files} {what} but no folders" if n_files else f"no folders and no {what}"
        raise ValueError(f"{str(folder)!r} holds {found}: {expected}.")
    found_files = {path.name: find_files(path, suffixes) for path in folders}
    if not any(found_files.values()):
        endings = ", ".join(suffix or "no ending" for suffix in sorted(suffixes))
        raise ValueError(f"the folders in {str(folder)!r} hold no {what} ({endings}): {expected}.")
    for name, files in found_files.items():
        if not files and known is None:
            raise ValueError(f"the folder {str(folder / name)!r} holds no {what}: fill or remove it.")
        if files and known is not None and name not in known:
            raise ValueError(
                f"{str(folder)!r} has the class {name!r}, which those to train on do not have: "
                f"{', '.join(np.unique(known)[:20])}."
            )
    if len(folders) == 1 and known is None:
        deeper = f" Is it {str(folders[0])!r} that you mean?" if class_folders(folders[0]) else ""
        raise ValueError(
            f"{str(folder)!r} has one class only ({folders[0].name!r}): expected at least 2.{deeper}"
        )
    labels = np.repeat(list(found_files), [len(files) for files in found_files.values()])
    return [file for files in found_files.values() for file in files], labels
