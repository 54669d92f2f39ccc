"""The model file: safetensors, with the architecture as JSON in its metadata."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import DISTRIBUTION, check_path, in_sentence
from .._documents import parse_json
from .._fields import Count, read_fields
from .._version import __version__

FORMAT = 2
_HEADER = {
    "format": int,
    "version": str,
    "architecture": dict[str, Any],
    "metadata": dict[str, Any],
    "checksum": Count,
}
# What damaged content, or content made by someone else, can cause.
_CONTENT_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def write(
    path: str | os.PathLike[str],
    tensors: dict[str, np.ndarray],
    architecture: dict[str, Any],
    metadata: dict[str, Any],
) -> None:
    """Write atomically: to a file beside `path`, flushed to disk, then renamed.

    Raises
    ------
    ValueError
        If the metadata could not be read again.
    OSError
        If the file cannot be written; an existing file at `path` then stays as it was.
    """
    from safetensors.numpy import save

    header = {"format": FORMAT, "version": __version__, "architecture": architecture, "metadata": metadata}
    try:
        header = read_fields(parse_json(json.dumps(header)), _HEADER, "header", optional=["checksum"])
    except (TypeError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
        raise ValueError(f"metadata must be a dict that JSON can hold: {reason}.") from error
    header["checksum"] = _checksum(header, tensors)
    # One entry: safetensors writes several in an order that differs from run to run.
    write_atomically(path, save(tensors, metadata={"fastnn": json.dumps(header)}))


def _checksum(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> int:
    """Return the checksum of header and tensors: it finds damage, not forgery."""
    total = zlib.crc32(json.dumps(header).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tensor.shape}".encode(), total)
        total = zlib.crc32(tensor.data, total)
    return total


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file at `path` in one step; on failure, an existing file stays as it was.

    Raises
    ------
    OSError
        If the file cannot be written; the error names `path`.
    """
    target = check_path("path", path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(target.parent)!r} to write {target.name!r} in.")
    try:
        _write_beside(target, content)
    except OSError as error:
        if error.errno is None:
            raise
        # Name the file the caller meant: the error names the temporary one, or none.
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def _write_beside(path: Path, content: bytes) -> None:
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(beside, 0o666 & ~mask)  # mkstemp creates it private
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


@contextlib.contextmanager
def refusing(source: str | os.PathLike[str] | bytes, form: str = "fastnn model") -> Iterator[None]:
    """Turn every error that a file's content causes into a ValueError that names the file.

    Parameters
    ----------
    source : path-like or bytes
        The file, or its content.
    form : str
        Expected kind of file, such as "Keras model".
    """
    try:
        yield
    except _CONTENT_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the content's
            raise
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
        if isinstance(error, OverflowError):
            reason = "a number in it is too large"
        elif isinstance(error, json.JSONDecodeError):
            reason = f"its JSON is damaged: {error}"
        name = "the given content" if isinstance(source, bytes) else repr(os.fspath(source))
        raise ValueError(f"{name} is not a usable {form}: {in_sentence(reason).rstrip('.')}.") from error


def read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """Read architecture, metadata and tensors of a model file; see :func:`fastnn.load` for the errors."""
    from safetensors import SafetensorError, safe_open

    if not check_path("path", path).is_file():
        raise FileNotFoundError(f"there is no model file at {os.fspath(path)!r}.")
    with refusing(path):
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                header = _checked_header(file.metadata() or {})
                tensors = read_tensors(file)
        except SafetensorError as error:
            raise ValueError(f"it is damaged or not a safetensors file ({error}).") from None
        checksum = header.pop("checksum", None)  # older files have none
        if checksum is not None and checksum != _checksum(header, tensors):
            raise ValueError("it is damaged: its checksum does not match its content.")
    return header["architecture"], header["metadata"], tensors


def read_tensors(file: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file that safe_open opened.

    Raises
    ------
    ValueError
        If a tensor is of a type that NumPy does not have, such as bfloat16.
    """
    kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    for name, kind in kinds.items():
        if re.fullmatch(r"BOOL|F(16|32|64)|[IU](8|16|32|64)", kind) is None:
            raise ValueError(f"tensor {name} is of type {kind}, which NumPy does not have.")
    return {name: file.get_tensor(name) for name in kinds}


def _checked_header(entries: dict[str, str]) -> dict[str, Any]:
    if "fastnn" not in entries:
        raise ValueError("it was not written by fastnn.")
    header = parse_json(entries["fastnn"])
    if not isinstance(header, dict) or type(header.get("format")) is not int:
        raise ValueError("its header is not what fastnn writes.")
    if header["format"] != FORMAT:
        hint = f": pip install --upgrade {DISTRIBUTION}" if header["format"] > FORMAT else ""
        raise ValueError(
            f"it has format {header['format']}, written by fastnn {header.get('version')}, but this fastnn "
            f"reads format {FORMAT}{hint}."
        )
    return read_fields(header, _HEADER, "header", optional=["checksum"])


def check_tensors(
    tensors: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]], dtype: np.dtype[Any]
) -> None:
    """Raise ValueError unless the tensors have the expected names, shapes and dtype and are finite."""
    if set(tensors) != set(expected):
        names = sorted(set(tensors) ^ set(expected))[:3]
        raise ValueError(f"its tensors do not fit its architecture: {', '.join(names)}.")
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype != dtype:
            raise ValueError(
                f"tensor {name} is {tensor.dtype.name} {tensor.shape}, expected {dtype} {shape}."
            )
        if not math.isfinite(float(np.abs(tensor).max())):
            raise ValueError(f"tensor {name} has values that are NaN or infinite.")
