"""The content of a file, however it is packed: compressed, in an archive, or as it is."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ... import _checks, _unpack
from ..folders import find_suffix, is_visible

ARCHIVES = (".zip", ".tar", *(f".tar{suffix}" for suffix in _unpack.SUFFIXES), ".tgz")
_ZIP_START = b"PK\x03\x04"
_BOOK = "xl/workbook.xml"  # by which an .xlsx file is told from other archives
_PROSE = ("readme", "license", "licence", "index", "changelog")


@dataclass(frozen=True)
class Content:
    """A file, or a file in an archive.

    Attributes
    ----------
    name : str
        Name of the file, with its ending.
    where : str
        What messages call it.
    path : Path or None
        Where it lies, if it is a file of its own.
    packed : bytes
        Its content, if it is in an archive or has been read.
    """

    name: str
    where: str
    path: Path | None = None
    packed: bytes = b""

    @property
    def source(self) -> Path | bytes:
        """The path, or else the content."""
        return self.path or self.packed

    def start(self) -> bytes:
        """Return the first bytes, as they are stored."""
        if self.path is None:
            return self.packed[:4]
        with open(self.path, "rb") as file:
            return file.read(4)

    def read(self) -> bytes:
        """Read and unpack all of it.

        Raises
        ------
        ValueError
            If it is damaged, or unpacks to more than the limit.
        """
        with _unpack.open_unpacked(self.source) as file:
            return file.read()


def split_member(path: Path) -> tuple[Path, str] | None:
    """Split a path such as ``a.zip/b.csv`` into an archive and the file in it; None if it is no such path."""
    for parent in path.parents:
        if find_suffix(parent.name, ARCHIVES) and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def is_book(content: Content) -> bool:
    """Return whether the content is an .xlsx file, whatever its name."""
    with _unpack.open_zip(content.source) as archive:
        return _BOOK in archive.namelist()


def is_zip(content: Content) -> bool:
    """Return whether the content is a zip archive or an .xlsx file, whatever its name."""
    return content.start() == _ZIP_START


def open_member(content: Content, suffixes: Collection[str], member: str | None = None) -> Content:
    """Read a file in an archive.

    Parameters
    ----------
    content : Content
        A zip or tar archive.
    suffixes : collection of str
        Endings of the files that can be read.
    member : str, optional
        Name of the file; by default the only table in it.

    Raises
    ------
    ValueError
        If there is no table in it, or there are several and none is named.
    """
    if is_zip(content):
        with _unpack.open_zip(content.source) as archive:
            names = [name for name in dict.fromkeys(archive.namelist()) if not name.endswith("/")]
            chosen = _choose(content, names, suffixes, member)
            packed = _unpack.read_member(archive, chosen)
    else:
        try:
            with tarfile.open(fileobj=io.BytesIO(content.read())) as archive:
                files = {entry.name: entry for entry in archive.getmembers() if entry.isfile()}
                chosen = _choose(content, list(files), suffixes, member)
                packed = archive.extractfile(files[chosen]).read()  # type: ignore[union-attr]
        except (tarfile.TarError, EOFError) as error:
            reason = _checks.reason_of(error).rstrip(":")
            raise ValueError(f"{content.where} is cut short, or not an archive: {reason}.") from error
    return Content(PurePosixPath(chosen).name, f"{content.where[:-1]}/{chosen}'", packed=packed)


def _choose(content: Content, names: list[str], suffixes: Collection[str], member: str | None) -> str:
    if member is not None:
        if member not in names:
            raise ValueError(f"{content.where} holds no {member!r}: expected one of {_shown(names)}.")
        return member
    paths = [PurePosixPath(name) for name in names]
    tables = [
        path
        for path in paths
        if find_suffix(path.name, suffixes)
        and all(map(is_visible, path.parts))
        and path.name.partition(".")[0].lower() not in _PROSE
    ]
    # Text may be about the tables beside it.
    tables = [path for path in tables if not path.name.lower().endswith(".txt")] or tables
    if len(tables) == 1:
        return str(tables[0])
    if not tables:
        raise ValueError(f"{content.where} holds no table: {_shown(names)}. Unpack what is to be read.")
    raise ValueError(
        f"{content.where} holds {len(tables)} tables, {_shown(list(map(str, tables)))}: name the one to "
        f"read, as in {content.where[:-1]}/{tables[0]}'."
    )


def _shown(names: list[str]) -> str:
    return (", ".join(names[:10]) + (", ..." if len(names) > 10 else "")) or "nothing"
