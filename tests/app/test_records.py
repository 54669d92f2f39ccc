"""What a run keeps of its training."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pandas = pytest.importorskip("pandas")
from fastnn.app import records, workflow  # noqa: E402
from fastnn.app.findings import Findings  # noqa: E402


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


def test_targets_of_any_name(table, config_of):
    """Columns of predictions begin with "prediction_", and so may the names of targets."""
    table["prediction"] = table.a - table.b
    table.drop(columns=["y", "day"]).to_csv("table.csv", index=False)
    run, _ = workflow.train(config_of(target="a,prediction"), verbose=0)
    test = pandas.read_csv(run.folder / "test.csv")
    names = ["truth_a", "truth_prediction", "prediction_a", "prediction_prediction"]
    assert test.columns.tolist() == ["row", *names, "loss"]
    assert np.allclose(test.truth_prediction, table.prediction[test.row])


def test_labels_that_a_spreadsheet_would_run(table, config_of):
    table["y"] = np.where(table.y == "up", "=1+1", "-x")
    table.to_csv("table.csv", index=False)
    run, _ = workflow.train(config_of(), verbose=0)
    text = (run.folder / "test.csv").read_text()
    assert {field[:1] for line in text.splitlines()[1:] for field in line.split(",")[1:3]} == {"'"}
    found = Findings(run.folder)
    assert set(found.truth) == {"=1+1", "-x"}
    assert set(found.prediction) <= {"=1+1", "-x"}


@pytest.mark.parametrize(
    ("kind", "rows", "shown"),
    [
        ("table", pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}), {"values": {"a": "2", "b": "y"}}),
        ("text", ["short", "x" * 5000], {"text": "x" * 2000}),
        ("array", np.array([[1.0, 2.0], [0.5, 3.0]]), {"values": {"u": "0.5", "v": "3"}}),
    ],
)
def test_rows_as_people_read_them(kind, rows, shown):
    prepared = SimpleNamespace(
        dataset=SimpleNamespace(kind=kind), encoder=SimpleNamespace(feature_names=["u", "v"])
    )
    assert records.row_for_people(prepared, SimpleNamespace(rows=rows), 1) == shown


def test_images_are_shown_as_png():
    image = pytest.importorskip("PIL.Image")
    pixels = np.linspace(-1, 1, 2 * 4 * 4).reshape(2, 4, 4)
    prepared = SimpleNamespace(dataset=SimpleNamespace(kind="array"))
    uri = records.row_for_people(prepared, SimpleNamespace(rows=pixels), 1)["image"]
    picture = image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
    assert picture.size == (4, 4)
    assert picture.getextrema() == (0, 255)


def test_labels_and_values_are_scored_as_they_were_read(table, config_of):
    table["sure"] = np.where(table.a > 0, " yes ", "no")
    table["price"] = [f"${1000 * value + 5000:,.2f}" for value in table.a]
    table.to_csv("table.csv", index=False)
    run, _ = workflow.train(config_of(target="sure", drop=["price"], l2=0.0), verbose=0)
    test = pandas.read_csv(run.folder / "test.csv")
    assert run.summary["test"]["accuracy"]["value"] == pytest.approx((test.truth == test.prediction).mean())
    assert set(test.truth) == {"yes", "no"}
    run, _ = workflow.train(config_of(target="price", drop=["sure"], l2=0.0), verbose=0)
    assert "r2" in run.summary["test"]
    assert "the target 'price': its numbers are written as $1,234.5." in run.summary["data"]["notes"]
    test = pandas.read_csv(run.folder / "test.csv")
    np.testing.assert_allclose(test.truth, 1000 * table.a[test.row] + 5000, atol=0.006)
