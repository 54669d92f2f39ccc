"""Compressed content: every form is unpacked, and none beyond its limits."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
import zlib

import pyarrow
import pytest

from fastnn import _unpack
from fastnn._unpack import check_unpacked, open_unpacked, open_zip, parse_size, read_member

MIB = 1 << 20


def zst(content):
    """Compress as a .zst file."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


FORMS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zst}


def unpack(source):
    with open_unpacked(source) as file:
        return file.read()


def zipped(content, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a", content)
    return out.getvalue()


@pytest.fixture
def small_limits(monkeypatch):
    """Refuse content from 1 MiB on, where it is more than 10 times the compressed size."""
    monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", MIB)
    monkeypatch.setattr(_unpack, "_LARGEST_RATIO", 10)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_known_by_its_content(form, tmp_path):
    content = b"a,b\n" * 1000
    packed = FORMS[form](content)
    assert unpack(packed) == content
    (tmp_path / "table.csv").write_bytes(packed)
    with open_unpacked(tmp_path / "table.csv") as file:
        assert [file.readline(), file.read(3)] == [b"a,b\n", b"a,b"]


@pytest.mark.parametrize("form", FORMS)
def test_files_one_after_another_are_one_content(form):
    assert unpack(FORMS[form](b"a,b\n") + FORMS[form](b"c,d\n")) == b"a,b\nc,d\n"


def test_what_is_not_compressed_is_read_as_it_is():
    assert unpack(b"a,b\n") == b"a,b\n"
    assert unpack(b"") == b""


@pytest.mark.parametrize("form", FORMS)
def test_damage_is_one_sentence_that_names_the_file(form, tmp_path):
    packed = FORMS[form](bytes(range(256)) * 100)
    path = tmp_path / "x"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"/x' is cut short or damaged: .+\.$"):
        unpack(path)
    with pytest.raises(ValueError, match=r"the content is cut short or damaged: .+\.$"):
        unpack(packed[:10] + b"\xff" * 40)


@pytest.mark.parametrize("form", FORMS)
def test_a_bomb_is_refused_before_it_takes_memory(form, small_limits):
    bomb = FORMS[form](bytes(64 * MIB))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"unpacks to more than 1 MiB.*FASTNN_MAX_UNPACKED.*--max-unpacked"):
        unpack(bomb)
    assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    tracemalloc.stop()


def test_the_limits(small_limits, monkeypatch):
    monkeypatch.setattr(_unpack, "memory_bytes", lambda: 64 * MIB)
    check_unpacked(MIB, 1, "it")  # small content may have any ratio
    check_unpacked(10 * MIB, MIB, "it")  # larger content an honest one
    with pytest.raises(ValueError, match="it unpacks to more than 1 MiB, and to more than 10 times"):
        check_unpacked(MIB + 1, 1000, "it")
    with pytest.raises(ValueError, match="more than 32 MiB, half of the memory"):
        check_unpacked(33 * MIB, 33 * MIB, "it")
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "40MB")
    check_unpacked(40 * MIB, 1000, "it")
    with pytest.raises(ValueError, match="more than 40 MiB, the limit that is set"):
        check_unpacked(41 * MIB, 40 * MIB, "it")
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "much")
    with pytest.raises(ValueError, match="FASTNN_MAX_UNPACKED must be a size such as 500MB"):
        check_unpacked(1, 1, "it")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4096", 4096), ("1k", 1024), ("500MB", 500 * MIB), (" 4 GiB ", 4096 * MIB), ("1T", MIB * MIB)],
)
def test_sizes(text, n_bytes):
    assert parse_size("it", text) == n_bytes


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5GB", "GB", "1PB", "9" * 5000, "٣"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="it must be a size such as"):
        parse_size("it", text)


def test_an_xz_file_cannot_ask_for_a_dictionary_of_gigabytes():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(b"a" * 100, filters=filters))
    assert unpack(bytes(content)) == b"a" * 100
    start = content.index(b"\x21\x01", 12) + 2  # the dictionary's size, in a code of one byte
    content[start] = 38  # 2 GiB
    content[20:24] = zlib.crc32(content[12:20]).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"is cut short or damaged: Memory usage limit exceeded"):
        unpack(bytes(content))


def test_a_zip_archive(small_limits, monkeypatch):
    with open_zip(zipped(b"text")) as archive:
        assert read_member(archive, "a") == b"text"
        with pytest.raises(ValueError, match="it has no 'b'"):
            read_member(archive, "b")
    bomb = zipped(bytes(2 * MIB))
    with pytest.raises(ValueError, match="the content unpacks to more than 1 MiB"), open_zip(bomb):
        pass
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "2MB")
    with open_zip(bomb) as archive:
        assert len(read_member(archive, "a")) == 2 * MIB


def test_a_zip_archive_that_claims_less_than_it_holds(small_limits):
    size = (64 * MIB).to_bytes(4, "little")
    bomb = zipped(bytes(64 * MIB)).replace(size, (1000).to_bytes(4, "little"))
    tracemalloc.start()
    with open_zip(bomb) as archive, pytest.raises(ValueError, match="'a' is cut short or damaged: Bad CRC"):
        read_member(archive, "a")
    assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_archive_of_a_method_that_unpacks_without_bounds(method):
    with pytest.raises(ValueError, match="by another method than deflate"), open_zip(zipped(b"text", method)):
        pass


def test_a_damaged_zip_archive(tmp_path):
    content = zipped(bytes(range(256)) * 10)
    with pytest.raises(ValueError, match=r"the content is cut short or damaged: "), open_zip(content[:-30]):
        pass
    encrypted = bytearray(content)
    encrypted[6] |= 1
    encrypted[content.index(b"PK\x01\x02") + 8] |= 1
    with (
        open_zip(bytes(encrypted)) as archive,
        pytest.raises(ValueError, match="cannot be unpacked: File"),
    ):
        read_member(archive, "a")
    with pytest.raises(FileNotFoundError), open_zip(tmp_path / "none.zip"):
        pass
