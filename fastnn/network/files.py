"""The model file: safetensors, with the architecture as JSON in its metadata."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 2


def write(
    path: str | os.PathLike[str],
    tensors: dict[str, np.ndarray],
    architecture: dict[str, Any],
    metadata: dict[str, Any],
) -> None:
    """Write atomically: to a file beside `path`, flushed to disk, then renamed."""
    from safetensors.numpy import save

    from .._version import __version__

    header = {
        "format": FORMAT,
        "version": __version__,
        "architecture": architecture,
        "metadata": metadata,
    }
    # One entry: safetensors writes several in an order that differs from run to run.
    write_atomically(path, save(tensors, metadata={"fastnn": json.dumps(header)}))


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the file at `path` in one step; on failure, an existing file stays as it was.

    Raises
    ------
    OSError
        If the file cannot be written; the error names `path`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write {path.name!r} in.")
    try:
        _write_beside(path, content)
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
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn every error that a file's content causes into a ValueError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{os.fspath(path)!r} is not a usable fastnn model: {reason}") from error


def read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """Read architecture, metadata and tensors of a model file; see :func:`fastnn.load` for the errors."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no model file at {os.fspath(path)!r}.")
    with refusing(path):
        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                header = _checked_header(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"it is damaged or not a safetensors file ({error}).") from None
    return header["architecture"], header["metadata"], tensors


def _checked_header(entries: dict[str, str]) -> dict[str, Any]:
    if "fastnn" not in entries:
        raise ValueError("it was not written by fastnn.")
    header = json.loads(entries["fastnn"])
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise ValueError("its header is not what fastnn writes.")
    if header["format"] != FORMAT:
        hint = ": pip install --upgrade fastnn" if header["format"] > FORMAT else ""
        raise ValueError(
            f"it has format {header['format']}, written by fastnn {header.get('version')}, but this fastnn "
            f"reads format {FORMAT}{hint}."
        )
    if not all(isinstance(header[part], dict) for part in ("architecture", "metadata")):
        raise ValueError("its header is not what fastnn writes.")
    return header


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
