"""What a run keeps of its training."""

import json

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pandas = pytest.importorskip("pandas")
from fastnn.app import workflow  # noqa: E402


def test_what_a_run_writes_down(table, config_of):
    run, history = workflow.train(config_of(), verbose=0)
    assert run.folder.as_posix() == "runs/table-1"
    summary = run.summary
    assert summary["data"]["rows"] == {"train": 144, "validation": 16, "test": 40}
    assert summary["data"]["classes"] == ["down", "up"]
    assert sum(summary["data"]["target_counts"].values()) == 144
    assert summary["training"]["epochs"] == len(history) == 3
    test = pandas.read_csv(run.folder / "test.csv")
    assert test.columns.tolist() == ["row", "truth", "prediction", "p_down", "p_up", "loss"]
    accuracy = (test.truth == test.prediction).mean()
    assert summary["test"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert test.truth.tolist() == table.y[test.row].tolist()
    worst = json.loads((run.folder / "worst.json").read_text())
    assert [entry["row"] for entry in worst] == test.sort_values("loss", ascending=False).row[:20].tolist()
    assert worst[0]["values"]["a"] == str(table.a[worst[0]["row"]])
    # The model takes rows as they stand in the file.
    answers = run.model.predict(table.loc[test.row].drop(columns="y"))
    assert answers.tolist() == test.prediction.tolist()
