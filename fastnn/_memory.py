"""The memory of this process: how much it may use, and the refusal of what can never fit."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_SMALL = 2**26  # bytes that are always taken to fit: looking the memory up takes longer than a prediction
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def memory_bytes() -> int | None:
    """Memory that this process may use: the machine's or, if that is less, its container's limit.

    Returns
    -------
    int or None
        None where the system does not tell.

    Examples
    --------
    >>> memory_bytes() is None or memory_bytes() > 0
    True
    """
    limits = _memory_limits(_CONTROL_GROUPS, _OWN_GROUPS)
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)


def _memory_limits(root: Path, own_groups: Path) -> list[int]:
    """Read the memory limits of this process's control group and of all groups around it, in bytes.

    A container sees its own group as `root`, or the tree of the whole machine: both are looked at.
    """
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    files = [root / "memory.max", root / "memory/memory.limit_in_bytes"]
    for line in lines:
        _, controllers, name = line.split(":", 2)
        group = PurePosixPath(name.lstrip("/"))
        if ".." in group.parts:  # outside of what this process can see
            continue
        for part in (group, *group.parents):
            if not controllers:  # cgroup 2
                files.append(root / part / "memory.max")
            elif "memory" in controllers.split(","):  # cgroup 1
                files.append(root / "memory" / part / "memory.limit_in_bytes")
    limits = []
    for file in files:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return limits


def check_memory(what: str, n_bytes: int, purpose: str) -> None:
    """Raise ValueError if something needs more memory than this process may use, before it is allocated.

    Examples
    --------
    >>> check_memory("a network", 2**70, "its weights")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: a network needs 1024.0 EiB for its weights, but this process may use ...
    """
    available = None if n_bytes < _SMALL else memory_bytes()
    if available is not None and n_bytes > available:
        raise ValueError(
            f"{what} needs {size_text(n_bytes)} for {purpose}, but this process may use "
            f"{size_text(available)} of memory."
        )


def size_text(n_bytes: float) -> str:
    """Format a number of bytes with a binary unit.

    Examples
    --------
    >>> size_text(160), size_text(1536), size_text(24 * 2**30), size_text(2.0**72)
    ('160 B', '1.5 KiB', '24.0 GiB', '4096.0 EiB')
    """
    for unit in _UNITS:
        if n_bytes < 1024 or unit == _UNITS[-1]:
            break
        n_bytes /= 1024
    return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
