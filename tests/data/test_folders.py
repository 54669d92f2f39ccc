"""Folders of files: suffixes, hidden files, the order of what is found."""

from __future__ import annotations

import os

import pytest

from fastnn.data import read_text
from fastnn.data.folders import class_folders, find_files, find_suffix


def test_suffixes():
    suffixes = (".csv", ".csv.gz", ".gz")
    assert find_suffix("a.CSV", suffixes) == ".csv"
    assert find_suffix("a.b.csv.gz", suffixes) == ".csv.gz"
    assert find_suffix("a.json.gz", suffixes) == ".gz"
    assert find_suffix("csv", suffixes) is None
    assert find_suffix("1204", ("", ".txt")) == ""
    assert find_suffix("1204.doc", ("", ".txt")) is None


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in ("b", "a", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
        for file in ("2.txt", "1.TXT", ".3.txt", "4.png"):
            (tmp_path / name / file).touch()
    assert [path.name for path in class_folders(tmp_path)] == ["a", "b"]
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path, (".txt",))]
    assert found == ["a/1.TXT", "a/2.txt", "b/1.TXT", "b/2.txt"]


def test_a_class_whose_name_is_no_text(tmp_path):
    """The system's bytes, of another encoding: no file of JSON could hold them."""
    try:
        for name in (b"caf\xe9", b"tea"):
            os.mkdir(os.path.join(os.fsencode(tmp_path), name))
            with open(os.path.join(os.fsencode(tmp_path), name, b"1.txt"), "w") as file:
                file.write("a text")
    except OSError:
        pytest.skip("names are UTF-8 on this system")
    with pytest.raises(ValueError, match=r"caf.*' has a name that is not UTF-8: rename it\.$"):
        read_text(tmp_path)
