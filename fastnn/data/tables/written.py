"""Numbers as people write them: decimal signs, thousands, money, percent, units, durations.

A column is written in one form, which is learnt from all of its values and then read in it for good.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ... import _checks
from .identifiers import names_things
from .times import find_durations, parse_duration
from .values import clean, is_missing_word

_MOST_UNREADABLE = 0.02  # of the values of a column of numbers may be other text
_MOST_UNITS = 6  # that are named as mixed; more of them are words behind numbers
_FEWEST_GROUPED = 10  # distinct values, beside small ones without a sign, show that it groups thousands

# --- patterns -----------------------------------------------------------------------------------------

_SYMBOL = r"[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u20a0-\u20cf\ufdfc]"
_CODES = (
    "AED ARS AUD BDT BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KES KRW MXN MYR "
    "NGN NOK NZD PEN PHP PKR PLN RMB RON RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR "
    "Rs kr Fr zł Kč Ft \u0440\u0443\u0431"
).replace(" ", "|")
_CURRENCY = rf"(?:[A-Za-z]{{0,3}}{_SYMBOL}|(?i:{_CODES})(?![a-z])\.?)"
_LETTER = r"[^\W\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u215f]"  # and no raised digit
_UNIT = rf"(?:(?:{_LETTER}|[%‰°\"']|{_SYMBOL})(?:{_LETTER}|[%‰°\"'./^*]|(?<=[^\W\d_^])\d|{_SYMBOL}){{0,15}})"
_WRITTEN = re.compile(
    rf"(?:[~\u2248] ?)?(?P<opened>\()? ?(?P<sign>[+-])? ?(?P<before>{_CURRENCY})? ?(?P<inner>[+-])? ?"
    r"(?P<digits>[.,]?\d(?:[\d.,'_ ]*[\d.,])?)(?<![.,] )"
    r"(?:(?:[eE]|[dD](?=[+-]))(?P<exponent>[+-]?\d{1,3})|"
    r" ?[x\u00d7*\u00b7] ?(?P<ten>00)(?:\^|\*\*)?(?P<power>[+-]?\d{1,3}))?"
    r"(?:(?<=[.,])-{1,2}|/-)? ?"  # 20.- and 20/- are 20
    rf"(?P<after>{_UNIT}(?: {_UNIT})?)??"
    r"(?P<behind>-)? ?(?P<closed>\))?(?: ?[*\u2020\u2021]{1,3})?"
)
_ZEROS = str.maketrans("123456789", "000000000")
_NOTHING = re.compile(rf"{_CURRENCY} ?-{{0,2}}|--? ?(?:{_CURRENCY}|%)").fullmatch  # as accounts have it
_IS_CURRENCY = re.compile(_CURRENCY).fullmatch
_MULTIPLES = {
    **dict.fromkeys(("k", "K", "thousand", "tsd"), 1e3),
    "lakh": 1e5,
    **dict.fromkeys(("M", "m", "mn", "mio", "Mio", "million"), 1e6),
    **dict.fromkeys(("crore", "cr"), 1e7),
    **dict.fromkeys(("B", "b", "bn", "G", "mrd", "Mrd", "billion"), 1e9),
    **dict.fromkeys(("T", "tn", "trillion"), 1e12),
}
_MULTIPLE = re.compile(rf"({'|'.join(sorted(_MULTIPLES, key=len, reverse=True))})\.?(?: (.+)|({_CURRENCY}))?")
_HALF_OF_DAY = re.compile(r"(?i:[ap]\.?m\.?)").fullmatch
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}([.,])\d{3}").fullmatch
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}").fullmatch


def _digits_pattern(sign: str) -> re.Pattern[str]:
    """Return the pattern of digits whose decimal sign is `sign`; the other sign groups thousands."""
    other = "," if sign == "." else "."
    grouped = rf"\d{{1,3}}(?:(?P<group>[{other}' _])\d{{3}})(?:(?P=group)\d{{3}})*"
    indian = rf"\d{{1,2}}(?:(?P<pairs>[{other}])\d\d)(?:(?P=pairs)\d\d)*(?P=pairs)\d{{3}}"
    return re.compile(rf"(?P<whole>{grouped}|{indian}|\d+)?(?:[{sign}](?P<fraction>\d*))?")


_DIGITS = {sign: _digits_pattern(sign) for sign in ".,"}


@dataclass(frozen=True)
class NumberForm:
    """The form in which a column's numbers are written.

    Attributes
    ----------
    decimal : {".", ","}
        The other of them groups thousands, as spaces, apostrophes and underscores do.
    thousands : str
        The sign that grouped thousands in training; "" if none did.
    unit : str
        Such as "$", "%" or "kg"; values without one are taken to have it, too.
    multiples : bool
        True if "k", "M", "bn" and so on behind a number multiply it.
    duration : {"", "h:m", "m:s"}
        Not "" for 1:23:45, "2 h 5 min" and PT1H, which are read as seconds; it says what 1:23 means.

    Examples
    --------
    >>> NumberForm(",", ".", "€").example(), NumberForm(unit="$", multiples=True).example()
    ('1.234,5 €', '$1234.5k')
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    multiples: bool = False
    duration: str = ""

    def __post_init__(self) -> None:
        _checks.check_name("decimal", self.decimal, (".", ","))
        _checks.check_name("duration", self.duration, ("", "h:m", "m:s"))

    @property
    def is_plain(self) -> bool:
        """True if numbers are written as programs write them."""
        return self == PLAIN

    def example(self) -> str:
        """Return a number written in this form."""
        if self.duration:
            return "1:23:45 or 2 h 5 min"
        number = f"1{self.thousands}234{self.decimal}5" + ("k" if self.multiples else "")
        if re.fullmatch(_SYMBOL, self.unit) and self.unit != "€":
            return self.unit + number
        return f"{number} {self.unit}".strip()


PLAIN = NumberForm()


class _Shape(NamedTuple):
    """A text taken apart but for its digits, all of which are taken for 0: most texts of a column share few.

    `groups` holds, for each decimal sign, the sign that groups thousands ("" if none does), or None where the
    digits are not grouped so.
    """

    negative: bool
    digits: slice
    exponent: slice
    ten: slice
    before: slice
    after: slice
    groups: dict[str, str | None]


class _Parts(NamedTuple):
    """A text taken apart: its shape, digits, exponent, and the unit with and without a multiple."""

    shape: _Shape
    digits: str
    exponent: str
    unit: str
    factor: float
    unit_of_multiple: str

    def unit_as(self, multiples: bool) -> str:
        """Return the unit, where multiples such as "k" belong to it or to the number."""
        return self.unit_of_multiple if multiples else self.unit

    def value(self, sign: str) -> float | None:
        """Return the number where `sign` is the decimal sign; None if its digits are not grouped so."""
        group, digits = self.shape.groups[sign], self.digits
        if group is None or (group and digits[0] == "0"):
            return None
        if group:
            digits = digits.replace(group, "")
        if sign == ",":
            digits = digits.replace(",", ".")
        number = float(f"{digits}e{self.exponent}" if self.exponent else digits)
        return -number if self.shape.negative else number


def _take_apart(text: str) -> _Parts | None:
    """Take apart a text that is a number with or without a unit; None if it is another text."""
    text = clean(text)
    shape = _find_shape(text.translate(_ZEROS))
    if shape is None or text[shape.ten] not in ("", "10"):
        return None
    units = _find_units(text[shape.before], text[shape.after])
    return units and _Parts(shape, text[shape.digits], text[shape.exponent], *units)


@functools.lru_cache(maxsize=4096)
def _find_shape(zeros: str) -> _Shape | None:
    match = _WRITTEN.fullmatch(zeros)
    if match is None or (match["opened"] is None) != (match["closed"] is None):
        return None
    signs = [sign for sign in (match["sign"], match["inner"], match["behind"], match["opened"]) if sign]
    if len(signs) > 1:
        return None
    groups: dict[str, str | None] = {}
    for sign, pattern in _DIGITS.items():
        found = pattern.fullmatch(match["digits"])
        is_number = found is not None and (found["whole"] or found["fraction"])
        groups[sign] = (found["group"] or found["pairs"] or "") if found is not None and is_number else None
    exponent = "power" if match["power"] else "exponent"
    spans = {name: slice(*match.span(name)) for name in ("digits", exponent, "ten", "before", "after")}
    return _Shape(
        negative=bool(signs) and signs[0] != "+",
        digits=spans["digits"],
        exponent=spans[exponent],
        ten=spans["ten"],
        before=spans["before"],
        after=spans["after"],
        groups=groups,
    )


@functools.lru_cache(maxsize=4096)
def _find_units(before: str, after: str) -> tuple[str, float, str] | None:
    """Return the unit, and the multiple and the unit if there is a multiple; None if it is a time of day."""
    if _HALF_OF_DAY(after):
        return None
    multiple = _MULTIPLE.fullmatch(after)
    rest = after if multiple is None else multiple[2] or multiple[3] or ""
    factor = 1.0 if multiple is None else _MULTIPLES[multiple[1]]
    return _unit(before, after), factor, _unit(before, rest)


def _unit(before: str, after: str) -> str:
    """Name a unit: "rooms" and "room" are the same, as are "usd" and "USD", "Rs." and "Rs"."""
    unit = f"{before} {after}".strip()
    if _IS_CURRENCY(unit):
        return unit.upper() if len(unit) == 3 and unit.isalpha() else unit.rstrip(".")
    return unit[:-1] if len(unit) > 3 and unit[-1] in "s." and unit[-2:] != "ss" else unit


# --- reading ------------------------------------------------------------------------------------------


def parse_numbers(values: list[Any], form: NumberForm) -> tuple[np.ndarray, np.ndarray]:
    """Parse distinct values in a form.

    Returns
    -------
    numbers : ndarray of shape (n,), float64
        NaN for those that are not numbers.
    readable : ndarray of shape (n,), bool
        Mask of the values that are numbers, or text for a missing one.
    """
    numbers, readable = np.full(len(values), np.nan), np.ones(len(values), bool)
    is_plain = form.decimal == "." and not form.duration
    for i, value in enumerate(values):
        number = _as_float(value) if is_plain or not isinstance(value, str) else None
        if number is None and isinstance(value, str):
            number = parse_duration(value, form.duration) if form.duration else _parse(value, form)
        if number is not None:
            numbers[i] = number
        else:
            readable[i] = _is_missing(value)
    return numbers, readable


def _as_float(value: Any) -> float | None:
    """Convert a number, a plain text of one, or a duration; None if it is something else."""
    if isinstance(value, str):
        try:
            return None if "_" in value else float(value)
        except ValueError:
            text = value.strip().lower()
            return float(text == "true") if text in ("true", "false") else None
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    if isinstance(value, (bool, int, float, decimal.Decimal, np.number, np.bool_)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


def _parse(text: str, form: NumberForm) -> float | None:
    parts = _take_apart(text)
    if parts is None:
        return None
    number = parts.value(form.decimal) if parts.unit_as(form.multiples) in ("", form.unit) else None
    return number if number is None or not form.multiples else number * parts.factor


def _is_missing(value: Any) -> bool:
    """Return whether a value is text for a missing number; "$ -" is, too."""
    return is_missing_word(value) or (isinstance(value, str) and _NOTHING(clean(value)) is not None)


# --- learning -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learnt:
    """What a column of text was found to be.

    Attributes
    ----------
    form : NumberForm or None
        None if its values are not numbers.
    note : str
        Remark for the user: what was ambiguous, or why the values are no numbers; may be empty.
    sign : {"", "shown", "unsure"}
        Whether the column shows which sign is the decimal one; "unsure" if its values are other numbers with
        the other sign.
    """

    form: NumberForm | None
    note: str = ""
    sign: str = ""


def learn_form(values: list[Any], counts: np.ndarray, decimal_sign: str = "") -> Learnt:
    """Learn the form in which a column's numbers are written.

    Parameters
    ----------
    values : list
        Distinct values.
    counts : ndarray of shape (n,)
        Number of rows of each.
    decimal_sign : {"", ".", ","}
        The decimal sign of other columns, which counts where this one does not show its own.

    Examples
    --------
    >>> learn_form(["$1,234", "$12,345.50"], np.ones(2)).form
    NumberForm(decimal='.', thousands=',', unit='$', multiples=False, duration='')
    >>> learn_form(["70.1 kg", "155 lb"], np.ones(2)).note
    "numbers in several units ('kg', 'lb'), which are not compared"
    """
    plain = [_as_float(value) for value in values]
    is_number = np.array([number is not None and number == number for number in plain], bool)
    is_missing = np.zeros(len(values), bool)
    for i in np.flatnonzero(~is_number):
        is_missing[i] = _is_missing(values[i])
    learnt = Learnt(None)
    if not names_things(values, counts):
        learnt = _learn_numbers(values, counts, is_number, is_missing, decimal_sign)
    if learnt.form is None:
        is_known = is_missing | np.array([isinstance(value, datetime.timedelta) for value in values], bool)
        two_numbers = find_durations(values, is_known, counts, _MOST_UNREADABLE * counts.sum())
        if two_numbers:
            note = "'1:23' is read as an hour and 23 minutes" if two_numbers == "h:m" else ""
            return Learnt(NumberForm(duration=two_numbers), note)
    return learnt


def _learn_numbers(
    values: list[Any], counts: np.ndarray, is_number: np.ndarray, is_missing: np.ndarray, decimal_sign: str
) -> Learnt:
    """Learn the form of numbers other than durations, of which plain numbers and missing values are known."""
    other = ~is_number & ~is_missing
    texts = [value.strip() for value in values if isinstance(value, str)]
    pointed = [text.lstrip("+-") for text in texts if "." in text]
    # A single value that is not grouped by threes shows that a point is the decimal sign.
    if not other.any() and not (pointed and all(map(_AMBIGUOUS, pointed))):
        return Learnt(PLAIN if is_number.any() else None, sign="shown" if pointed else "")
    known = _Known(values, counts)
    most_unread = _MOST_UNREADABLE * counts.sum()
    is_text = np.array([isinstance(value, str) for value in values], bool) & ~is_missing
    n_text, n_other = counts[is_text].sum(), counts[~is_text & ~is_missing & ~is_number].sum()
    if not known.parts or n_other + n_text - known.counts.sum() > most_unread:
        is_enough = counts[other].sum() <= most_unread and is_number.any()
        return Learnt(PLAIN if is_enough else None)
    if texts and len(pointed) == len(texts) and all(map(_ADDRESS, pointed)):
        return Learnt(None)
    unit, multiples, units = known.choose_unit()
    in_unit = known.in_unit(unit, multiples)
    bare = known.counts[in_unit & known.is_bare].sum() if unit == "%" else 0
    if bare > most_unread:
        return Learnt(None, "numbers with and without %, which are not compared")
    if n_text - known.counts[in_unit].sum() > most_unread:
        shown = ", ".join(map(repr, units))
        is_mixed = 1 < len(units) <= _MOST_UNITS
        return Learnt(None, f"numbers in several units ({shown}), which are not compared" if is_mixed else "")
    sign, note, how = known.choose_decimal(in_unit, unit, decimal_sign)
    is_read = in_unit & ~np.isnan(known.numbers[sign])
    if n_other + n_text - known.counts[is_read].sum() > most_unread:
        return Learnt(None)
    groups = [
        group
        for parts, read in zip(known.parts, is_read, strict=True)
        if read and (group := parts.shape.groups[sign])
    ]
    thousands = max(sorted(set(groups)), key=groups.count) if groups else ""
    return Learnt(NumberForm(sign, thousands, unit, multiples), note, how)


class _Known:
    """The texts of a column that can be taken apart, with their numbers for both decimal signs."""

    def __init__(self, values: list[Any], counts: np.ndarray) -> None:
        found = [
            (parts, count)
            for value, count in zip(values, counts.tolist(), strict=True)
            if isinstance(value, str) and (parts := _take_apart(value)) is not None
        ]
        self.parts = [parts for parts, _ in found]
        self.counts = np.array([count for _, count in found])
        self.numbers = {
            sign: np.array([parts.value(sign) for parts in self.parts], np.float64) for sign in ".,"
        }
        self.is_bare = np.array([parts.unit == "" and parts.digits != "0" for parts in self.parts], bool)

    def in_unit(self, unit: str, multiples: bool) -> np.ndarray:
        """Find the texts that are in a unit, or without one."""
        return np.array([parts.unit_as(multiples) in ("", unit) for parts in self.parts], bool)

    def choose_unit(self) -> tuple[str, bool, list[str]]:
        """Choose the unit, and whether multiples count; and list the units, the most frequent first."""
        found = []
        for multiples in (False, True):
            rows: dict[str, int] = {}
            for parts, count in zip(self.parts, self.counts.tolist(), strict=True):
                unit = parts.unit_as(multiples)
                rows[unit] = rows.get(unit, 0) + count
            n_bare = rows.pop("", 0)
            units = sorted(rows, key=lambda unit: -rows[unit])
            unit = units[0] if units else ""
            found.append((n_bare + rows.get(unit, 0), unit, units))
        (n_simple, unit, units), (n_multiplied, base, bases) = found
        multiplied = [parts for parts in self.parts if parts.factor != 1]
        has_multiples = bool(multiplied)
        if base and not _IS_CURRENCY(base):  # 12b beside 12a is the number of a house
            has_multiples = has_multiples and all(parts.unit_of_multiple for parts in multiplied)
        is_beside_bare = unit in _MULTIPLES and unit != "m" and self.is_bare.any()  # 961, 1.2k; m is metres
        if has_multiples and (n_multiplied > n_simple or _IS_CURRENCY(base) or is_beside_bare):
            return base, True, bases
        return unit, False, units

    def choose_decimal(self, rows: np.ndarray, unit: str, hint: str) -> tuple[str, str, str]:
        """Choose the decimal sign that reads more of some texts; say how it was chosen if both read them all.

        Returns
        -------
        sign : {".", ","}
        note : str
        how : {"", "shown", "unsure"}
            As in :class:`Learnt`.
        """
        point, comma = self.numbers["."], self.numbers[","]
        n_point, n_comma = (self.counts[rows & ~np.isnan(numbers)].sum() for numbers in (point, comma))
        if n_point != n_comma:
            return "." if n_point > n_comma else ",", "", "shown"
        unsure = np.flatnonzero(rows & (point != comma) & ~np.isnan(point) & ~np.isnan(comma))
        if not len(unsure):
            return ".", "", ""
        digits = self.parts[unsure[0]].digits
        separator = "." if "." in digits else ","
        sign = hint or ("," if separator == "." and self._is_grouped(rows, unit, len(unsure)) else ".")
        number = (point if sign == "." else comma)[unsure[0]]
        if sign != separator and _IS_CURRENCY(unit):  # as everybody expects
            return sign, "", "unsure"
        how = "is the decimal sign" if sign == separator else "groups thousands"
        return sign, f"{digits!r} is read as {abs(number):.15g}: {separator!r} {how}", "unsure"

    def _is_grouped(self, rows: np.ndarray, unit: str, n_unsure: int) -> bool:
        """Return whether points, each with three digits behind it, group thousands.

        Prices do not have three decimals; and where thousands are grouped, smaller numbers have no sign, and
        larger ones have one.
        """
        if _IS_CURRENCY(unit):
            return True
        whole = [p.digits for p, read in zip(self.parts, rows, strict=True) if read and p.digits.isdigit()]
        return n_unsure >= _FEWEST_GROUPED and 0 < len(whole) == sum(len(digits) <= 3 for digits in whole)
