"""Encodings of text: what is told from the bytes, and what is refused."""

from __future__ import annotations

import pytest

from fastnn.data.tables.encodings import to_utf8

TEXT = "Größe,Preis\n1,5 €\n"
LONG = TEXT + "ü" * (1 << 22)  # more than is decoded at a time, with a character across


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_encodings_that_are_told(encoding, found):
    assert to_utf8(TEXT.encode(encoding), "t") == (TEXT.encode(), found)


def test_long_text():
    assert to_utf8(LONG.encode(), "t") == (LONG.encode(), "utf-8")
    with pytest.raises(ValueError, match="t is not UTF-8: line 3 has the byte 0xff, but other lines are"):
        to_utf8(LONG.encode() + b"\xff", "t")


def test_encodings_that_are_said():
    assert to_utf8("цена\n".encode("cp1251"), "t", "cp1251")[0].decode() == "цена\n"
    assert to_utf8("値段\n".encode("shift_jis"), "t", "shift_jis")[0].decode() == "値段\n"
    for encoding in ("utf-16", "utf-8", "utf-8-sig", "UTF8"):  # the mark goes, whether it is said or not
        text = TEXT.encode("utf-16" if encoding == "utf-16" else "utf-8-sig")
        assert to_utf8(text, "t", encoding)[0].decode() == TEXT


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (
            "値段、\n".encode("shift_jis"),
            None,
            "t is neither UTF-8 nor cp1252: line 1 .* say what it is by --enc",
        ),
        ("a\nGröße ß\nb\n".encode() + b"\xe9", None, "t is not UTF-8: line 4 has the byte 0xe9"),
        (b"a\n\xe9", "utf-8", "t is not utf-8: line 2 has the byte 0xe9"),
        (b"a\n\xe9", "ascii", "t is not ascii: line 2 has the byte 0xe9"),
        (b"abc\0\0\0def", None, "t is not text: it holds bytes that are 0"),
    ],
)
def test_what_is_refused(content, encoding, message):
    with pytest.raises(ValueError, match=message):
        to_utf8(content, "t", encoding)
