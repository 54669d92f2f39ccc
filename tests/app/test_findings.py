"""Findings on a run: their kinds, severities and figures, whatever their sentences say."""

from __future__ import annotations

import csv
import json

import pytest

from app.made_runs import make_run, write_json

pytest.importorskip("sklearn")

from fastnn.app.findings import Finding, Findings


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def with_history(run, val_cost):
    history = json.loads((run / "history.json").read_text())
    history["columns"]["val_cost"] = val_cost
    write_json(run / "history.json", history)
    return Findings(run)


@pytest.mark.parametrize(
    ("score", "kind"),
    [
        ({"value": 0.95, "low": 0.9, "high": 0.97}, "better"),
        ({"value": 0.7, "low": 0.6, "high": 0.8}, "chance"),
        ({"value": 0.2, "low": 0.1, "high": 0.3}, "worse"),
        ({"value": 0.2}, "worse"),  # without an interval
    ],
)
def test_verdict_on_a_classifier(tmp_path, score, kind):
    run = make_run(tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", summary | {"test": {"accuracy": score}})
    found = Findings(run)
    verdict = found.verdict()
    assert kinds(verdict) == ["score", "baseline", kind]
    assert verdict[0].figures == {"name": "accuracy", **score}
    assert 0.6 < verdict[1].figures["value"] < 0.8
    assert (kind in kinds(found.limits())) == (kind != "better")


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(10.0, 20.0, "better"), (10.0, 500.0, "chance"), (400.0, 500.0, "worse")]
)
def test_of_errors_the_lower_is_the_better(tmp_path, low, high, kind):
    run = make_run(tmp_path / "run", "regression", test={"rmse": {"value": low, "low": low, "high": high}})
    assert kinds(Findings(run).verdict())[-1] == kind


def test_verdict_without_scores(tmp_path):
    run = make_run(tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", summary | {"test": {}})
    assert kinds(Findings(run).verdict()) == ["purpose"]


@pytest.mark.parametrize(
    ("val_cost", "best_epoch", "kind", "epoch"),
    [
        ([1 + (k - 5) ** 2 for k in range(20)], None, "overfitting", 6),
        ([1 + (k - 5) ** 2 for k in range(20)], 6, None, None),  # its weights were restored
        ([20 - k for k in range(20)], None, "more epochs", 20),
        ([2, 1], None, None, None),  # too few epochs to say
        ([1.0] * 19 + [None], None, None, None),
    ],
)
def test_advice(tmp_path, val_cost, best_epoch, kind, epoch):
    run = make_run(tmp_path / "run", training={"best_epoch": best_epoch, "stop_reason": "epochs"})
    found = with_history(run, val_cost)
    assert kinds(found.advice()) == ([] if kind is None else [kind])
    if kind is not None:
        assert found.advice()[0].figures == {"epoch": epoch}
        assert kinds(found.course())[-1] == kind
        assert kind in kinds(found.limits())


def test_no_validation_rows(tmp_path):
    run = make_run(tmp_path / "run", data={"rows": {"train": 900, "validation": 0, "test": 100}})
    assert kinds(Findings(run).advice()) == ["no validation"]


def test_course_of_a_restored_run(tmp_path):
    ending, restored, cost = Findings(make_run(tmp_path / "run")).course()
    assert (ending.kind, ending.figures) == ("ending", {"reason": "early stopping"})
    assert (restored.kind, restored.figures) == ("restored", {"epoch": 17})
    assert cost.figures["first"] > cost.figures["last"]


def test_limits_are_no_facts(tmp_path):
    found = Findings(make_run(tmp_path / "run", "ten classes", training={"stop_reason": "diverged"}))
    assert kinds(found.limits()) == ["few rows", "unplanned ending", "not measured"]
    few = found.limits()[0].figures["classes"]
    assert sorted(few) == sorted(line["label"] for line in found.by_class() if line["n"] < 30)
    regression = Findings(make_run(tmp_path / "other", "regression"))
    assert kinds(regression.limits()) == ["range", "not measured"]


def test_limits_do_not_hang_on_words(tmp_path):
    """A target may be called as it likes."""
    run = make_run(tmp_path / "run", data={"target": "Chance"})
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", summary | {"test": {}, "name": "Chance"})
    assert kinds(Findings(run).limits()) == ["not measured"]


def test_settings_are_those_of_the_summary(tmp_path):
    run = make_run(tmp_path / "run", training={"max_norm": 3.0, "class_weight": None})
    assert Findings(run).settings() == [
        ("Loss", "cross_entropy"),
        ("Optimiser", "Adam(lr=0.001)"),
        ("Learning-rate schedule", "exponential"),
        ("Batch size", "32"),
        ("L2 penalty", "0.0001"),
        ("Epochs", "20"),
        ("Max norm", "3"),
    ]


def test_by_class_the_worst_first(tmp_path):
    run = make_run(tmp_path / "run", "ten classes")
    found = Findings(run)
    lines = list(csv.DictReader((run / "test.csv").open()))
    shares = {}
    for label in {line["truth"] for line in lines}:
        rows = [line for line in lines if line["truth"] == label]
        shares[label] = sum(line["prediction"] == label for line in rows) / len(rows)
    order = [line["label"] for line in found.by_class()]
    assert [shares[label] for label in order] == sorted(shares.values())


def test_several_targets_have_a_column_each(tmp_path):
    found = Findings(make_run(tmp_path / "run", "several targets"))
    assert found.truth.shape == found.prediction.shape == (200, 2)
    assert found.scores()[0]["baseline"] == "0.000"
    assert Findings(make_run(tmp_path / "one", "regression")).truth.shape == (200,)


def test_a_run_of_scores_alone(tmp_path):
    data = {"task": "classification", "target": "y"}
    write_json(tmp_path / "summary.json", {"data": data, "network": {}, "training": {}, "test": {}})
    found = Findings(tmp_path)
    assert found.network_sentence == found.command_sentence == found.config == ""
    assert found.worst == found.by_class() == found.settings() == []
