"""Text of clock times and of durations."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .values import clean, is_missing_word

_CLOCK = re.compile(
    r"T?(?P<h>[01]?\d|2[0-4])"
    r"(?::(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d(?:[.,]\d+)?))?|(?<=\d\d)h(?P<n>[0-5]\d)|\.(?P<o>[0-5]\d)(?= ?uhr))?"
    r"(?: ?(?P<half>[ap])\.?m\.?| ?uhr| ?h|z)?",
    re.IGNORECASE,
)
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
_AMOUNT = r"(\d+(?:[.,]\d+)?)"
_IN_WORDS = re.compile(
    rf"{_AMOUNT} ?(?:(ms|milliseconds?)|(w(?:eeks?)?|d(?:ays?)?|h(?:(?:ou)?rs?)?|m(?:in(?:ute)?s?)?|"
    rf"s(?:ec(?:ond)?s?)?|std|tage?)(?![a-z])\.?)(?:,? (?:and )?|(?=\d)|$)",
    re.IGNORECASE,
)
_LEADING_DAYS = r"(?:(?P<d>\d+) ?d(?:ays?)?,? )?"
_BY_COLONS = re.compile(rf"{_LEADING_DAYS}(?P<a>\d+):(?P<b>[0-5]?\d)(?::(?P<c>[0-5]?\d))?(?P<f>[.,]\d+)?")
_ISO = re.compile(
    rf"P(?:{_AMOUNT}W)?(?:{_AMOUNT}D)?(?:T(?:{_AMOUNT}H)?(?:{_AMOUNT}M)?(?:{_AMOUNT}S)?)?", re.IGNORECASE
)


def parse_duration(text: str, two_numbers: str = "m:s") -> float | None:
    """Parse a duration: seconds; None if it is another text.

    Parameters
    ----------
    text : str
    two_numbers : {"h:m", "m:s"}
        What 1:23 means.

    Examples
    --------
    >>> [parse_duration(text) for text in ("1:23:45", "2 h 5 min", "PT1H30M", "0:59.5", "soon")]
    [5025.0, 7500.0, 5400.0, 59.5, None]
    """
    text = clean(text)
    sign, text = (-1.0, text[1:].lstrip()) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if match := _BY_COLONS.fullmatch(text):
        return sign * _by_colons(match, two_numbers)
    match = _ISO.fullmatch(text)
    if match and any(match.groups()):
        units = zip(match.groups(), "wdhms", strict=True)
        return sign * sum(_amount(amount) * _SECONDS[unit] for amount, unit in units if amount)
    seconds, end = 0.0, 0
    while end < len(text):
        match = _IN_WORDS.match(text, end)
        if match is None:
            return None
        unit = "ms" if match[2] else {"st": "h", "ta": "d"}.get(match[3][:2].lower(), match[3][0].lower())
        seconds, end = seconds + _amount(match[1]) * _SECONDS[unit], match.end()
    return sign * seconds if text else None


def _by_colons(match: re.Match[str], two_numbers: str) -> float:
    a, b, c = (int(match[name] or 0) for name in "abc")
    fraction = _amount("0" + match["f"]) if match["f"] else 0.0
    if match["c"] is None and (two_numbers == "m:s" or match["f"]):
        a, b, c = 0, a, b
    return int(match["d"] or 0) * 86400 + a * 3600 + b * 60 + c + fraction


def _amount(text: str) -> float:
    return float(text.replace(",", "."))


def parse_clock(text: str) -> float | None:
    """Parse a time of day: seconds since midnight; None if it is another text.

    Examples
    --------
    >>> [parse_clock(text) for text in ("14:05", "2:05 PM", "12 am", "07:30:15.5", "25:00", "14")]
    [50700.0, 50700.0, 0.0, 27015.5, None, None]
    """
    match = _CLOCK.fullmatch(clean(text))
    if match is None or not (match["m"] or match["n"] or match["o"] or match["half"]):
        return None
    hours, minutes = int(match["h"]), int(match["m"] or match["n"] or match["o"] or 0)
    seconds = _amount(match["s"] or "0")
    if match["half"]:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + 12 * (match["half"].lower() == "p")
    total = hours * 3600.0 + minutes * 60 + seconds
    return total if total <= 86400 else None


def find_durations(values: list[Any], is_known: np.ndarray, counts: np.ndarray, most_unread: float) -> str:
    """Return what two numbers mean in a column of durations, "h:m" or "m:s"; "" if it holds none.

    Beside values with hours, they are minutes and seconds.

    Parameters
    ----------
    values : list
        Distinct values.
    is_known : ndarray of shape (n,), bool
        Which of them are missing, or durations that are no text.
    counts : ndarray of shape (n,)
        Number of rows of each.
    most_unread : float
        Number of rows that may hold something else.
    """
    texts = [value for value in values if isinstance(value, str) and not is_missing_word(value)]
    if not texts or all(parse_duration(text) is None for text in texts[:10]):
        return ""
    pairs = zip(values, is_known.tolist(), strict=True)
    is_read = np.array(
        [known or (isinstance(v, str) and parse_duration(v) is not None) for v, known in pairs]
    )
    if counts[~is_read].sum() > most_unread:
        return ""
    is_short = all(text.count(":") == 1 and "." not in text and "," not in text for text in texts)
    return "h:m" if is_short else "m:s"
