"""Encodings of text files: what a file is written in, and its content as UTF-8."""

from __future__ import annotations

import codecs
import re

# UTF-32 comes first: its mark for little endians begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
FALLBACK = "cp1252"  # of what is not UTF-8: Western European text of Windows
_HINT = "say what it is by --encoding, as in --encoding cp1251"
_HEAD_BYTES = 4096  # from which UTF-16 without a mark is told
_BLOCK_BYTES = 1 << 22


def to_utf8(content: bytes, where: str, encoding: str | None = None) -> tuple[bytes, str]:
    r"""Convert text to UTF-8.

    Parameters
    ----------
    content : bytes
    where : str
        Name of the file in messages.
    encoding : str, optional
        By default found from byte order marks, the zeros of UTF-16, and whether it is UTF-8; else cp1252.

    Returns
    -------
    content : bytes
        Without a byte order mark.
    encoding : str

    Raises
    ------
    ValueError
        If it is not text of that encoding, or of none that can be told.

    Examples
    --------
    >>> to_utf8("5 \u20ac".encode("cp1252"), "prices")
    (b'5 \xe2\x82\xac', 'cp1252')
    """
    name = codecs.lookup(encoding).name if encoding else None
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    if mark and (name in (None, "utf-8-sig") or _MARKS[mark].startswith(name)):
        content, name = content[len(mark) :], _MARKS[mark]
    elif name is None:
        name = _guess(content, where)
    if name == "utf-8":
        damage = _find_damage(content)
        if damage is not None:
            raise ValueError(f"{where} is not {encoding or name}: {_name_byte(content, damage)} ({_HINT}).")
        return content, name
    try:
        return content.decode(name).encode(), name
    except UnicodeError as error:
        byte = _name_byte(content, getattr(error, "start", 0))
        if encoding is None:
            raise ValueError(f"{where} is neither UTF-8 nor {name}: {byte}; {_HINT}.") from error
        raise ValueError(f"{where} is not {encoding}: {byte} ({_HINT}).") from error


def _name_byte(content: bytes, index: int) -> str:
    line = content.count(b"\n", 0, index) + 1
    return f"line {line} has the byte 0x{content[index]:02x}"


def _guess(content: bytes, where: str) -> str:
    """Guess the encoding of text without a byte order mark."""
    head = content[:_HEAD_BYTES]
    n_zeros = head.count(b"\0")
    if n_zeros:
        for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[start::2].count(b"\0") == n_zeros and n_zeros > len(head) // 5:
                return name
        raise ValueError(f"{where} is not text: it holds bytes that are 0.")
    damage = _find_damage(content)
    if damage is None:
        return "utf-8"
    # Bytes of another encoding hardly ever happen to be characters of UTF-8.
    text = content.decode("utf-8", "surrogateescape")
    n_damaged = len(re.findall("[\udc80-\udcff]", text))
    if len(re.findall("[^\0-\x7f\udc80-\udcff]", text)) > n_damaged:
        raise ValueError(
            f"{where} is not UTF-8: {_name_byte(content, damage)}, but other lines are; mend it, or {_HINT}."
        )
    return FALLBACK


def _find_damage(content: bytes) -> int | None:
    """Find the first byte that is not UTF-8; None if there is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()  # in blocks: the text itself would take more memory
    view, done = memoryview(content), 0
    while done < len(content):
        block = view[done : done + _BLOCK_BYTES]
        n_before = len(decoder.getstate()[0])
        try:
            decoder.decode(block, final=done + len(block) == len(content))
        except UnicodeDecodeError as error:
            return done - n_before + error.start
        done += len(block)
    return None
