"""How a delimited text is written: its encoding, lines of comment, delimiter and header."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .encodings import to_utf8
from .layout import Layout, common_width, find_layout, is_value, look_for_header
from .reading import WHITESPACE, Reading

_DELIMITERS = ",;\t|"
_COMMENTS = (b"#", b"%", b"//")
_SEP_LINE = re.compile(rb'"?sep=([!-~\t ])"?[,;\t|]*\r?\n', re.IGNORECASE)  # that Excel writes
# Spaces separate fields if no other delimiter gives so many rows of equal length; or if half of the fields
# are numbers then, and they are so many more than by the other delimiter, or more rows are of equal length.
_COMMON_SHARE, _MORE_NUMBERS, _FEWEST_NUMBERS = 0.8, 0.3, 0.5
# Of text from which delimiter and header are told: so many bytes, and lines if these are not too long.
_HEAD_BYTES, _HEAD_LINES, _LONG_HEAD_BYTES = 1 << 16, 30, 1 << 23


@dataclass(frozen=True)
class Text:
    """A delimited text whose form is known.

    Attributes
    ----------
    content : memoryview
        UTF-8, without what is above the first row of data.
    delimiter : str
        One character.
    layout : Layout
    n_above : int
        Number of lines above the first row of data.
    notes : list of str
        Ends of a sentence, "the file is read ...": what is not as in most files.
    encoding : str
        That of the file.
    is_squeezed : bool
        True if spaces separate the fields in the file, of which `content` has one tab each.
    """

    content: memoryview
    delimiter: str
    layout: Layout
    n_above: int
    notes: list[str]
    encoding: str
    is_squeezed: bool


def survey_text(content: bytes, where: str, reading: Reading, usual: str = ",") -> Text:
    r"""Find how a text file is written.

    Parameters
    ----------
    content : bytes
    where : str
        Name of the file in messages.
    reading : Reading
        What is known of it.
    usual : str, default=","
        The delimiter of such files.

    Raises
    ------
    ValueError
        If the text is empty or of another encoding.

    Examples
    --------
    >>> text = survey_text(b"May 2024\n\nx;y\n1,5;2\n", "prices", Reading())
    >>> text.delimiter, text.layout.names, text.n_above
    (';', ['x', 'y'], 3)
    """
    content, encoding = to_utf8(content, where, reading.encoding)
    notes = [] if reading.encoding or encoding == "utf-8" else [f"as {encoding} (--encoding)"]
    _check_not_empty(content, where)
    if b"\n" not in content[:_LONG_HEAD_BYTES] and b"\r" in content:
        content = content.replace(b"\r", b"\n")  # of old Macintoshes
    n_above = reading.skip_rows or 0
    content = content[_end_of_lines(content, n_above) :]
    delimiter = reading.delimiter
    if found := _SEP_LINE.match(content):
        content, n_above = content[found.end() :], n_above + 1
        delimiter = delimiter or found[1].decode()
    if reading.comment is not None:
        content = _blank_comments(content, reading.comment)
    else:
        content, n_comments = _without_comments(content, delimiter, usual)
        n_above += n_comments
        if n_comments:
            notes.append(f"without {n_comments} line{'s' * (n_comments > 1)} of comment (--comment)")
    _check_not_empty(content, where)
    head = _head(content)
    try:
        if delimiter is None:
            delimiter = _guess_delimiter(head, usual)
            if delimiter != usual:
                shown = {"\t": "tab", WHITESPACE: WHITESPACE}.get(delimiter, repr(delimiter))
                notes.append(f"with the separator {shown}")
        is_squeezed = delimiter == WHITESPACE
        if is_squeezed:
            content, delimiter = _squeeze(content), "\t"
            head = _head(content)
        rows, ends = _split(head, delimiter)
    except csv.Error as error:
        raise ValueError(f"{where} cannot be read as a table: {error}.") from error
    if len(head.encode()) < len(content) and len(rows) > 1:
        rows.pop()  # it may go on
    layout = find_layout(rows, reading.header)
    n_lines = ends[layout.start - 1] if layout.start else 0
    data = memoryview(content)[_end_of_lines(content, n_lines) :]
    notes += layout.notes
    return Text(data, delimiter, layout, n_above + n_lines, notes, encoding, is_squeezed)


def _check_not_empty(content: bytes, where: str) -> None:
    if not content or content.isspace():
        raise ValueError(f"{where} is empty.")


# --- lines --------------------------------------------------------------------------------------------


def _head(content: bytes) -> str:
    """Return whole lines from the start of a text."""
    if len(content) <= _HEAD_BYTES:
        return content.decode()
    end = 0
    for _ in range(_HEAD_LINES):
        after = content.find(b"\n", end) + 1
        if not after or (end and after > _LONG_HEAD_BYTES):
            break
        end = after
    end = max(end, content.rfind(b"\n", 0, _HEAD_BYTES) + 1)
    return content[: end or len(content)].decode()


def _end_of_lines(content: bytes, n: int) -> int:
    """Return where the first `n` lines end."""
    end = 0
    for _ in range(n):
        end = content.find(b"\n", end) + 1
        if not end:
            return len(content)
    return end


def _split(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Split text into rows of fields without spaces around them; return also the line where each row ends."""
    rows, ends = [], []
    for line, row in csv_rows(text, delimiter):
        rows.append([cell.strip() for cell in row] if len(row) > 1 or "".join(row).strip() else [])
        ends.append(line)
    return rows, ends


def csv_rows(text: str, delimiter: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line where each row ends, and its fields, which may be of any length.

    Raises
    ------
    csv.Error
        If it is damaged; if `strict`, also where a quote is never closed.
    """
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=strict)
    while True:
        limit = csv.field_size_limit(len(text) + 1)  # of the whole process: it is set for a row only
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(limit)
        if row is None:
            return
        yield reader.line_num, row


# --- comments -----------------------------------------------------------------------------------------


def _blank_comments(content: bytes, mark: str) -> bytes:
    """Empty the lines that begin with a mark, outside of quotes; the number of lines stays."""
    pattern = re.compile(rb'"[^"]*"|(?m:^[ \t]*' + re.escape(mark.encode()) + rb"[^\n]*)")
    return pattern.sub(lambda found: found[0] if found[0].startswith(b'"') else b"", content)


def _without_comments(content: bytes, delimiter: str | None, usual: str) -> tuple[bytes, int]:
    """Leave out the lines of comment above a table; the last may be its header, which loses its mark then.

    Returns
    -------
    content : bytes
    n_comments : int
        Number of lines left out.
    """
    start = content[:_HEAD_BYTES].lstrip()[:2]
    mark = next((mark for mark in _COMMENTS if start.startswith(mark)), None)
    if mark is None:
        return content, 0
    n, end, last = 0, 0, b""
    while True:
        after = content.find(b"\n", end) + 1
        line = content[end : after or len(content)].strip()
        if line and not line.startswith(mark):
            break
        if not after:  # there is nothing else: they are no comments
            return content, 0
        n, end, last = n + 1, after, line or last
    names, rest = last.removeprefix(mark), content[end:]
    with contextlib.suppress(csv.Error):
        if _are_names(names, rest, delimiter, usual):
            return names.lstrip() + b"\n" + rest, n - 1
    return rest, n


def _are_names(line: bytes, rest: bytes, delimiter: str | None, usual: str) -> bool:
    """Return whether a line of comment is the header of the table below it."""
    head = _head(rest)
    delimiter = delimiter or _guess_delimiter(head, usual)
    if delimiter == WHITESPACE:
        head, line, delimiter = _squeeze(head.encode()).decode(), _squeeze(line), "\t"
    rows = [row for row in _split(head, delimiter)[0] if row]
    width = common_width(rows)
    names = [row for row in _split(line.decode(), delimiter)[0] if row]
    if not names or len(names[0]) != width or width < 2:
        return False
    evidence, other = look_for_header([*names, *rows], width), look_for_header(rows, width)
    return evidence > other or (evidence == other and not line[:1].isspace())


# --- delimiters ---------------------------------------------------------------------------------------


def _squeeze(content: bytes) -> bytes:
    """Put one tab where fields are separated by any number of spaces and tabs."""
    if b'"' not in content:
        return b"\n".join(b"\t".join(line.split()) for line in content.split(b"\n"))
    pattern = re.compile(rb'"[^"\n]*"|[ \t]+')
    content = pattern.sub(lambda found: found[0] if found[0].startswith(b'"') else b"\t", content)
    return re.sub(rb"(?m)^\t|\t\r?$", b"", content)


def _guess_delimiter(head: str, usual: str) -> str:
    """Guess the delimiter: by it most rows have as many fields, and most of these are numbers."""
    scores = {delimiter: _score(head, delimiter, usual) for delimiter in (usual, *_DELIMITERS, WHITESPACE)}
    spaces = scores.pop(WHITESPACE)
    best = max(scores, key=scores.__getitem__)
    share, numbers, _, width = scores[best]
    more_numbers = spaces[1] >= numbers + (0 if spaces[0] > share else _MORE_NUMBERS)
    fits_better = share < _COMMON_SHARE or (spaces[1] >= _FEWEST_NUMBERS and more_numbers)
    if spaces[3] > 1 and spaces[0] >= _COMMON_SHARE and fits_better:
        return WHITESPACE
    return best if width > 1 else usual


def _score(head: str, delimiter: str, usual: str) -> tuple[float, float, bool, int]:
    """Return shares of rows of equal length and of numbers, whether it is usual, and fields of a row."""
    if delimiter == WHITESPACE:
        rows, _ = _split(_squeeze(head.encode()).decode(), "\t")
    else:
        rows, _ = _split(head, delimiter)
    rows = [row for row in rows if row][:100]
    width = common_width(rows)
    if width < 2:
        return 0.0, 0.0, False, 1
    alike = [row for row in rows if len(row) == width]
    n_values = sum(is_value(cell) for row in alike for cell in row)
    return len(alike) / len(rows), n_values / (len(alike) * width), delimiter == usual, width
