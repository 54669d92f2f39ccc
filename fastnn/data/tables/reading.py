"""How the file of a table is written: its header, separator, encoding and the like, as a user may say it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ... import _checks

# Separators that are hard to type. "whitespace" is any number of spaces and tabs.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": "whitespace"}
WHITESPACE = "whitespace"


@dataclass(frozen=True)
class Reading:
    r"""How a text file or a sheet of Excel is written; what is left out is detected.

    The flags of ``fastnn train``, ``predict``, ``evaluate`` and ``tune`` have the same names.

    Parameters
    ----------
    header : bool, optional
        Whether the first row holds the names of the columns; if False, they are "column 1", "column 2", ...
    delimiter : str, optional
        What separates the fields: a character, or "comma", "semicolon", "tab", "pipe" or "whitespace" (any
        number of spaces and tabs).
    encoding : str, optional
        A name that Python knows, such as "cp1252", "utf-16" or "shift_jis". Detected are UTF-8, UTF-16 and
        UTF-32; other text is taken for cp1252.
    comment : str, optional
        Lines that begin with it are left out, wherever they are.
    skip_rows : int, optional
        How many lines, or rows of a sheet, to leave out at the top.
    sheet : str, optional
        Name or number (from 1) of a sheet of Excel; by default the first that looks like a table.
    missing : sequence of str, default=()
        More words that stand for a missing value, such as "-999", in every column.
    decimal : {".", ","}, optional
        Decimal sign of the numbers.

    Raises
    ------
    ValueError, TypeError
        If one of them cannot be used.

    Examples
    --------
    >>> Reading(delimiter="tab", missing="-999").delimiter
    '\t'
    """

    header: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    comment: str | None = None
    skip_rows: int | None = None
    sheet: str | int | None = None
    missing: tuple[str, ...] = ()
    decimal: str | None = None

    def __post_init__(self) -> None:
        for name in ("delimiter", "encoding", "comment", "decimal"):
            value = getattr(self, name)
            if not isinstance(value, (str, type(None))):
                raise TypeError(f"{name} must be text, got {_checks.shown(value)}.")
        if self.header is not None:
            _checks.check_flag("header", self.header)
        if isinstance(self.sheet, bool) or not isinstance(self.sheet, (str, int, type(None))):
            raise TypeError(f"sheet must be a name or a number, got {_checks.shown(self.sheet)}.")
        given = [self.missing] if isinstance(self.missing, str) else self.missing
        missing = tuple(_checks.check_items("missing", given, "words"))
        if not all(isinstance(word, str) for word in missing):
            raise TypeError(f"missing must hold words, got {_checks.shown(self.missing)}.")
        object.__setattr__(self, "missing", missing)
        if self.delimiter is not None:
            delimiter = DELIMITERS.get(self.delimiter, self.delimiter)
            object.__setattr__(self, "delimiter", delimiter)
            if delimiter != WHITESPACE and (len(delimiter) != 1 or delimiter in '"\r\n' or delimiter > "~"):
                names = ", ".join(name for name in DELIMITERS if name.isalpha())
                raise ValueError(
                    f"delimiter must be one ASCII character or one of {names}, got {self.delimiter!r}."
                )
        if self.encoding is not None and not _is_text_encoding(self.encoding):
            raise ValueError(f"encoding must be one of Python's, such as cp1252, got {self.encoding!r}.")
        if self.comment is not None and (not self.comment.strip() or not self.comment.isprintable()):
            raise ValueError(f"comment must be what lines of comment begin with, got {self.comment!r}.")
        if self.skip_rows is not None:
            _checks.check_count("skip_rows", self.skip_rows, 0)
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}.")

    def unused(self, used: tuple[str, ...]) -> list[str]:
        """Return the names of the settings that were given, but are none of `used`."""
        return [
            field.name
            for field in fields(self)
            if field.name not in used and getattr(self, field.name) != field.default
        ]


def as_reading(reading: Reading | None) -> Reading:
    """Return how a file is read: as it is told, or in the usual way.

    Raises
    ------
    TypeError
        If `reading` is neither.
    """
    if not isinstance(reading, (Reading, type(None))):
        raise TypeError(f"reading must be a fastnn.data.Reading, got {_checks.shown(reading)}.")
    return reading or Reading()


def _is_text_encoding(name: str) -> bool:
    try:
        return "a,1".encode(name).decode(name) == "a,1"
    except (LookupError, ValueError):  # unknown, or no encoding of text, such as base64
        return False
