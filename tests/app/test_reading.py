"""How a source is read, on the command line: what is detected is said, and flags and runs say more."""

import contextlib
import gzip
import json
import os

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastnn.app.config import make_config, unpacking
from fastnn.app.preparation import prepare
from fastnn.training import progress

QUICK = ("--epochs", "2", "--hidden", "8", "--quiet", "--no-pictures")


def body(n=100, separator=",", decimal="."):
    x = np.random.default_rng(0).standard_normal((n, 2)) + np.arange(n)[:, None] % 2 * 3
    rows = (f"{a:.3f};{b:.3f}".replace(".", decimal) for a, b in x)
    return "".join(f"{row.replace(';', separator)}{separator}{'uv'[i % 2]}\n" for i, row in enumerate(rows))


def test_what_is_detected_is_said(run, tmp_path):
    (tmp_path / "t.csv").write_text("Größen\n\na;b;y\n" + body(separator=";", decimal=","), "cp1252")
    code, _, err = run("train", "t.csv", "--target", "y", *QUICK)
    assert code == 0
    (note,) = (line for line in err.splitlines() if "is read" in line)
    how = "as cp1252 (--encoding), with the separator ';', without 1 line above the table"
    assert note == f"Note: 't.csv' is read {how}."
    (tmp_path / "t.csv").write_text("a,b,y\n" + body())
    assert "is read" not in run("train", "t.csv", "--target", "y", *QUICK)[2]


def test_a_run_reads_new_rows_as_its_own(run, tmp_path):
    (tmp_path / "t.csv").write_text("1;2\na@b@y\n" + body(separator="@"))
    flags = ("--delimiter", "@", "--skip-rows", "1", "--max-unpacked", "1MB")
    assert run("train", "t.csv", "--target", "y", *flags, *QUICK, "--output", "run")[0] == 0
    code, out, err = run("evaluate", "run", "t.csv", "--json")
    assert code == 0, err
    assert json.loads(out)["accuracy"]["value"] > 0
    code, out, err = run("predict", "run", "t.csv")
    assert (code, len(out.splitlines())) == (0, 101), err
    (tmp_path / "new.csv").write_text("a,b\n1,2\n")  # written in another way
    flags = ("--delimiter", "comma", "--skip-rows", "0")
    code, out, err = run("predict", "run", "new.csv", *flags)
    assert (code, len(out.splitlines())) == (0, 2), err
    assert 'max_unpacked = "1MB"' in (tmp_path / "run/config.toml").read_text()


def test_no_header(run, tmp_path):
    (tmp_path / "t.csv").write_text(body())
    code, _, err = run("train", "t.csv", *QUICK)
    assert code == 1
    assert "the target: column 1, column 2, column 3." in err
    assert "is read without a header" in err
    assert run("train", "t.csv", "--target", "column 3", *QUICK)[0] == 0
    code, _, err = run("train", "t.csv", "--target", "y", *QUICK)
    assert code == 1
    assert "is read without a header" in err
    flags = ("--target", "column 1", *QUICK, "--output", "run")
    assert run("train", "t.csv", *flags)[0] == 0
    (tmp_path / "new.csv").write_text(
        "1.5,u\n2.5,v\n0.5,u\n"
    )  # without the target, so that names mean others
    code, _, err = run("predict", "run", "new.csv")
    assert code == 1
    assert "is read without a header" in err
    assert "the table lacks the column 'column 3'" in err
    assert "'u'" not in run("train", "t.csv", "--target", "u", "--header", *QUICK)[2]


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--delimiter", "ab", "delimiter must be one ASCII character or one of"),
        ("--encoding", "nope", "encoding must be one of Python's"),
        ("--decimal", ";", "decimal must be '.' or ','"),
        ("--max-unpacked", "much", "max_unpacked must be a size such as 500MB or 4GB, got 'much'"),
        ("--skip-rows", "-1", "skip_rows: input should be greater than or equal to 0"),
    ],
)
def test_flags_that_cannot_be_used(run, tmp_path, flag, value, sentence):
    (tmp_path / "t.csv").write_text("a,b,y\n" + body())
    code, _, err = run("train", "t.csv", "--target", "y", flag, value)
    assert code == 1
    assert sentence in err


def test_what_unpacks_to_too_much(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_MAX_UNPACKED", "1KB")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(("a,b,y\n" + body()).encode()))
    code, _, err = run("train", "t.csv.gz", "--target", "y", *QUICK)
    assert code == 1
    assert "--max-unpacked" in err
    assert run("train", "t.csv.gz", "--target", "y", "--max-unpacked", "1MB", *QUICK)[0] == 0


def test_the_limit_holds_within_a_block(monkeypatch):

    for before in ("1KB", None):
        if before is None:
            monkeypatch.delenv("FASTNN_MAX_UNPACKED")
        else:
            monkeypatch.setenv("FASTNN_MAX_UNPACKED", before)
        with contextlib.suppress(KeyError), unpacking(make_config(source="x", max_unpacked="2GB")):
            assert os.environ["FASTNN_MAX_UNPACKED"] == "2GB"
            raise KeyError
        assert os.environ.get("FASTNN_MAX_UNPACKED") == before


def test_slow_steps_are_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("a,b,y\n" + body())
    config = make_config(source=str(tmp_path / "t.csv"), target="y")
    prepare(config, quiet=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SLOW_SECONDS", 0.0)
    prepare(config)
    assert capsys.readouterr().err == ""
    prepare(config, quiet=False)
    reading, encoding = capsys.readouterr().err.splitlines()
    assert reading == f"reading {tmp_path / 't.csv'} ..."
    assert encoding == "encoding 100 rows ..."
