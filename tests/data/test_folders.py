"""Folders of files: suffixes, hidden files, the order of what is found."""

from __future__ import annotations

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
