"""Sizes of the data caches of this CPU, as the operating system reports them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from pathlib import Path

# Of a core whose caches are not known: those of most x86 cores since 2013 are at least as large.
DEFAULT_BYTES = {1: 32 * 1024, 2: 256 * 1024}
_MOST_BYTES = {1: 256 * 1024, 2: 4 * 1024 * 1024}  # larger ones are shared by many cores
_SYSFS = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1024, "M": 1024**2}
_SYSCTL_NAMES = {1: b"hw.l1dcachesize", 2: b"hw.l2cachesize"}


def read_sysfs(folder: Path = _SYSFS) -> dict[int, int]:
    """Return the bytes of data or unified caches by level, as Linux lists them."""
    found: dict[int, int] = {}
    for cache in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
            if kind in ("Data", "Unified"):
                found[int(level)] = int(size[:-1]) * _UNITS[size[-1]] if size[-1] in _UNITS else int(size)
        except (OSError, ValueError, LookupError):
            continue
    return found


def read_sysctl() -> dict[int, int]:
    """Return the bytes of caches by level, as macOS lists them."""
    found: dict[int, int] = {}
    library = ctypes.CDLL(None)
    for level, name in _SYSCTL_NAMES.items():
        value, size = ctypes.c_int64(0), ctypes.c_size_t(8)
        if library.sysctlbyname(name, ctypes.byref(value), ctypes.byref(size), None, 0) == 0:
            found[level] = value.value
    return found


def usable(found: Mapping[int, int]) -> tuple[int, int]:
    """Return the bytes of L1 and L2 that block sizes are computed from."""
    sizes = [
        min(most, max(DEFAULT_BYTES[level] // 2, found.get(level, DEFAULT_BYTES[level])))
        for level, most in _MOST_BYTES.items()
    ]
    return sizes[0], sizes[1]


L1_BYTES, L2_BYTES = usable(read_sysctl() if sys.platform == "darwin" else read_sysfs())
