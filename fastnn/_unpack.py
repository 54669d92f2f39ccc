"""Compressed content, unpacked under a limit: a file of 1 MB may hold gigabytes.

By default content is refused if it is larger than 256 MiB and 200 times its compressed size, or than half the
memory. The environment variable ``FASTNN_MAX_UNPACKED``, such as "4GB", replaces both limits.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import Any

from ._checks import reason_of, require
from ._memory import memory_bytes

VARIABLE = "FASTNN_MAX_UNPACKED"
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")

_ALWAYS_ALLOWED = 256 << 20
_LARGEST_RATIO = 200  # tables and weights have 3 to 20, the most that gzip can reach is 1,032
_XZ_DICTIONARY = 128 << 20  # of memory that an .xz file may ask for; xz -9 asks for 65 MiB
_BLOCK_BYTES = 1 << 20
_STARTS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_size(name: str, text: str) -> int:
    """Return the number of bytes that a text such as "500MB", "4GB" or "4096" stands for.

    Raises
    ------
    ValueError
        If it is anything else; the sentence calls it `name`.

    Examples
    --------
    >>> parse_size("--max-unpacked", "4GB") == 4 * 2**30
    True
    """
    found = re.fullmatch(r"([0-9]{1,15}) ?([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{name} must be a size such as 500MB or 4GB, got {text!r}.")
    return int(found[1]) << _UNITS[found[2].upper()]


def check_unpacked(n_unpacked: int, n_packed: int, where: str) -> None:
    """Raise ValueError if content that is or claims to be of some size is larger than the limits.

    Parameters
    ----------
    n_unpacked, n_packed : int
        Bytes of the content, and of what it is unpacked from.
    where : str
        What the message calls it, such as the quoted path.
    """
    limit, reason = _limit(n_packed)
    if n_unpacked > limit:
        raise ValueError(
            f"{where} unpacks to more than {limit / 2**20:,.0f} MiB, {reason}: if that is right, set the "
            f'environment variable {VARIABLE}, or --max-unpacked of a command, to a size such as "4GB".'
        )


def _limit(n_packed: int) -> tuple[int, str]:
    """Return the number of bytes that content may unpack to, and which of the limits that is."""
    given = os.environ.get(VARIABLE)
    if given:
        return parse_size(VARIABLE, given), "the limit that is set"
    by_ratio = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * n_packed)
    memory = memory_bytes()
    if memory is not None and memory // 2 < by_ratio:
        return memory // 2, "half of the memory"
    return by_ratio, f"and to more than {_LARGEST_RATIO} times its size"


class _Limited(io.RawIOBase):
    """Unpacked content as a stream that counts what was read, and stops at the limit."""

    def __init__(self, stream: Any, n_packed: int, where: str) -> None:
        self.stream, self.n_packed, self.where, self.n_read = stream, n_packed, where, 0
        self.unchecked = _limit(n_packed)[0]

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, out: Any) -> int:
        """Read up to as many bytes as `out` has, and return their number; 0 at the end."""
        with _damage(self.where):
            block = self.stream.read(min(len(out), _BLOCK_BYTES))
        self.n_read += len(block)
        if self.n_read > self.unchecked:
            check_unpacked(self.n_read, self.n_packed, self.where)
        out[: len(block)] = block
        return len(block)

    def readall(self) -> bytes:
        """Read the rest."""
        content = io.BytesIO()  # grows in place: joined blocks would take the memory twice
        block = bytearray(_BLOCK_BYTES)
        while n := self.readinto(block):
            content.write(memoryview(block)[:n])
        return content.getvalue()


@contextmanager
def _damage(where: str) -> Iterator[None]:
    """Turn every error that the content causes into a ValueError."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{where} cannot be unpacked: it asks for more memory than there is.") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's: encrypted, or of another method
        raise ValueError(f"{where} cannot be unpacked: {reason_of(error)}.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the content's
            raise
        raise ValueError(f"{where} is cut short or damaged: {reason_of(error)}.") from error


def packing(file: BufferedIOBase) -> str | None:
    """Return how a file is compressed, "gzip", "bzip2", "xz" or "zstd", as its first bytes tell, or None."""
    start = file.read(max(map(len, _STARTS)))
    file.seek(0)
    return next((form for begins, form in _STARTS.items() if start.startswith(begins)), None)


@contextmanager
def open_unpacked(source: str | os.PathLike[str] | bytes) -> Iterator[BufferedIOBase]:
    """Open a file, compressed or not, to read its content under the limits.

    Parameters
    ----------
    source : path-like or bytes
        The file, or its content. Its first bytes tell how it is compressed, if it is.

    Yields
    ------
    binary file object
        Cannot seek if the file is compressed.

    Raises
    ------
    ValueError
        In reading, if it is damaged or larger than the limits.
    ImportError
        If it is compressed by zstd and neither Python 3.14 nor pyarrow is there to unpack it.

    Examples
    --------
    >>> with open_unpacked(gzip.compress(b"a,b")) as file:
    ...     file.read()
    b'a,b'
    """
    where, n_packed = _describe(source)
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        form = packing(file)
        if form is None:
            yield file
            return
        with _damage(where):
            unpacked = _OPENERS[form](file)
        with unpacked:
            yield io.BufferedReader(_Limited(unpacked, n_packed, where), _BLOCK_BYTES)


def _describe(source: str | os.PathLike[str] | bytes) -> tuple[str, int]:
    """Return what messages call a file or its content, and its size in bytes."""
    if isinstance(source, bytes):
        return "the content", len(source)
    return repr(os.fspath(source)), os.stat(source).st_size


def _open_xz(file: Any) -> Any:
    # LZMAFile has no limit for its dictionary: the start is read once with one.
    lzma.LZMADecompressor(memlimit=_XZ_DICTIONARY).decompress(file.read(_BLOCK_BYTES), max_length=1)
    file.seek(0)
    return lzma.LZMAFile(file)


def _open_zstd(file: Any) -> Any:
    try:
        return importlib.import_module("compression.zstd").ZstdFile(file)  # from Python 3.14 on
    except ImportError:
        return require("pyarrow", "tables").CompressedInputStream(file, "zstd")


_OPENERS: dict[str, Any] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "xz": _open_xz,
    "zstd": _open_zstd,
}


@contextmanager
def open_zip(source: str | os.PathLike[str] | bytes) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose members claim no more than the limits, all together.

    Raises
    ------
    ValueError
        If it is damaged, claims more, or is compressed by a method that could unpack to more than it claims.

    Examples
    --------
    >>> content = io.BytesIO()
    >>> with zipfile.ZipFile(content, "w") as archive:
    ...     archive.writestr("a.txt", "text")
    >>> with open_zip(content.getvalue()) as archive:
    ...     read_member(archive, "a.txt")
    b'text'
    """
    where, n_packed = _describe(source)
    with _damage(where):
        archive = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    with archive:
        check_unpacked(sum(member.file_size for member in archive.infolist()), n_packed, where)
        for member in archive.infolist():
            # Of other methods zipfile unpacks whole blocks, whatever their size.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{where} is compressed by another method than deflate: expected that one.")
        yield archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a member of an archive that :func:`open_zip` opened.

    A library that is to read the archive by itself may do so after ``archive.testzip()``, which shows that no
    member is larger than it claims: ``archive.read`` unpacks a whole member before it looks.

    Raises
    ------
    ValueError
        If there is no such member, or it is damaged.
    """
    if name not in archive.namelist():
        raise ValueError(f"it has no {name!r}.")
    with _damage(repr(name)), archive.open(name) as member:
        return member.read(archive.getinfo(name).file_size)
