"""Numbers, shares, times and other values as they are written in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def interval_width(score: Mapping[str, Any]) -> float:
    """Return the width of a score's interval from "low" to "high", 0 where there is none."""
    low, high = score.get("low"), score.get("high")
    return high - low if is_number(low) and is_number(high) else 0.0


def as_count(value: Any) -> str:
    """Return a number with its thousands separated, anything else as it is.

    Examples
    --------
    >>> as_count(1234567)
    '1,234,567'
    """
    return f"{value:,}" if is_number(value) else str(value)


def as_number(value: float, width: float = 0.0) -> str:
    """Return a number with the digits that an interval of that width makes meaningful, else three or four.

    Examples
    --------
    >>> as_number(53.2184, width=8.5), as_number(53.2184, width=0.05), as_number(53.2184)
    ('53.2', '53.218', '53.2')
    """
    if not math.isfinite(value):
        return NOTHING
    if value != 0 and max(abs(value), width) < 1e-4:
        return f"{value:.3g}"
    scale = width if width > 0 else max(abs(value), 1e-4) / 20
    digits = min(6, max(0, 1 - math.floor(math.log10(scale))))
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # a zero has no sign


def as_percent(value: float, width: float = 0.0) -> str:
    """Return a share in percent, with two decimals where its interval is narrow.

    Examples
    --------
    >>> as_percent(0.98765).split(), as_percent(0.98765, width=0.001).split()
    (['98.8', '%'], ['98.77', '%'])
    """
    return f"{100 * value:.{2 if 0 < width < 0.002 else 1}f}{SPACE}%"


def as_interval(score: Mapping[str, Any], percent: bool) -> str:
    """Return a score's interval from "low" to "high".

    Examples
    --------
    >>> as_interval({"low": 0.125, "high": 0.625}, percent=False)
    '0.12 to 0.62'
    """
    low, high, width = score.get("low"), score.get("high"), interval_width(score)
    if low is None or high is None or width == 0:
        return "not known"
    if percent:
        return f"{as_percent(low, width).partition(SPACE)[0]} to {as_percent(high, width)}"
    return f"{as_number(low, width)} to {as_number(high, width)}"


def as_time(seconds: float) -> str:
    """Return a time in units that suit its length.

    Examples
    --------
    >>> [as_time(seconds).split() for seconds in (1.234, 95.0, 600.0, 7260.0)]
    [['1.23', 's'], ['95', 's'], ['10', 'min'], ['2', 'h', '1', 'min']]
    """
    if seconds < 120:
        return f"{seconds:.{2 if seconds < 10 else 0}f}{SPACE}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return (f"{hours}{SPACE}h " if hours else "") + f"{minutes}{SPACE}min"


def as_text(value: Any, n_letters: int = 1500) -> str:
    """Return any value of JSON as the text of a table's cell, cut where it is too long.

    Examples
    --------
    >>> as_text([True, 0.123456, 1234, None, "a"])
    'yes, 0.1235, 1,234, , a'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    if isinstance(value, dict):
        value = [f"{name}: {as_text(entry)}" for name, entry in value.items()]
    if isinstance(value, list):
        more = f" and {len(value) - 8:,} more" if len(value) > 8 else ""
        return ", ".join(map(as_text, value[:8])) + more
    text = str(value)
    return text if len(text) <= n_letters else text[:n_letters] + " …"
