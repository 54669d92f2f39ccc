"""Fixtures of the command line's tests: a call of ``fastnn`` in a folder of its own, and small tables."""

import sys

import numpy as np
import pytest


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``fastnn`` in a folder of its own; returns exit code, stdout, stderr."""
    from fastnn.app.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastnn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table in the current folder: two numbers, a group, a day, and the class that the numbers tell."""
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 200
    frame = pandas.DataFrame({"a": rng.standard_normal(n), "b": rng.standard_normal(n)})
    frame["who"] = rng.choice(list("uvwxyz"), n)
    frame["day"] = pandas.date_range("2024-01-01", periods=n)[rng.permutation(n)].strftime("%Y-%m-%d")
    frame["y"] = np.where(frame.a + frame.b > 0, "up", "down")
    frame.to_csv("table.csv", index=False)
    return frame


@pytest.fixture
def config_of():
    """Make a configuration that trains quickly on the table."""
    from fastnn.app.config import make_config

    def make(**settings):
        given = {"source": "table.csv", "target": "y", "hidden": [8], "epochs": 3} | settings
        return make_config(**given)

    return make
