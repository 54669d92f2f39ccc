"""The model card of a run: its parts, its code, text that stays text."""

from __future__ import annotations

import re

import pytest

from app.made_runs import KINDS, hostile_run, make_run, write_json

pytest.importorskip("sklearn")

from fastnn.app.model_card import write_model_card


@pytest.mark.parametrize("kind", KINDS)
def test_model_card(kind, tmp_path):
    run = make_run(tmp_path / "run", kind)
    card = write_model_card(run).read_text()
    assert run / "README.md" == write_model_card(run)
    for part in (
        "# Model card: flowers",
        "## The model",
        "## How to use it",
        "## Scores",
        "## Data",
        "## Limits",
    ):
        assert f"\n{part}" in f"\n{card}"
    assert 'fastnn.Model.load("model.safetensors")' in card
    assert "fastnn predict" in card
    python = re.search("```python\n(.*?)```", card, re.DOTALL)[1]
    compile(python, "card", "exec")
    assert "fastnn train flowers.csv --target species --hidden 32,16" in card
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) >= 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_classes_with_few_rows_are_named(tmp_path):
    card = write_model_card(make_run(tmp_path / "run", "ten classes")).read_text()
    assert "There are fewer than 30 test rows of" in card


def test_hostile_text_stays_text(tmp_path):
    card = write_model_card(hostile_run(tmp_path / "run")).read_text()
    outside = re.sub(r"(`{3,}).*?\1", "", card, flags=re.DOTALL)
    assert "<" not in outside
    for line in outside.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6)


def test_summary_with_little_in_it(tmp_path):
    data = {"task": "classification", "target": "y"}
    write_json(tmp_path / "summary.json", {"data": data, "network": {}, "training": {}, "test": {}})
    assert write_model_card(tmp_path).read_text().startswith("# Model card")


def test_limits_are_listed(tmp_path):
    """Each finding that is a limit, and no fact."""
    run = make_run(tmp_path / "run", training={"stop_reason": "diverged"})
    part = write_model_card(run).read_text().partition("## Limits\n")[2].partition("## ")[0]
    assert "- Training did not end as planned: the cost diverged.\n" in part
    assert "larger than chance" not in part
