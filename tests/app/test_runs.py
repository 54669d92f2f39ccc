"""The folder of a run: how it is opened, and how its files are written."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("tomli_w")
from fastnn.app import runs


@pytest.fixture
def started(tmp_path):
    """A run whose training has only started."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / runs.CONFIG).write_text('source = "iris"\n')
    return runs.Run(tmp_path / "run")


def test_numpy_numbers_and_what_is_not_finite_can_be_written(started):
    started.write_json(runs.HISTORY, {1: np.float32(0.5), "b": [np.nan, np.arange(2)]})
    assert json.loads(started.history_text) == {"1": 0.5, "b": [None, [0, 1]]}


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        runs.Run(tmp_path)


def test_a_run_without_a_model(started):
    assert started.history_text is None
    assert started.config.source == "iris"
    with pytest.raises(FileNotFoundError, match="continue with fastnn train --resume"):
        runs.finished_run(started.folder)


def test_numbers_of_new_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [runs.new_folder("my data (2)") for _ in range(3)]
    assert names == [Path("runs") / f"my-data-2--{k}" for k in (1, 2, 3)]


def test_folders_that_are_taken(tmp_path, started):
    with pytest.raises(FileExistsError, match="there is a run in"):
        runs.check_free(started.folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        runs.check_free(tmp_path / "file" / "run")
    runs.check_free(tmp_path / "new" / "run")
