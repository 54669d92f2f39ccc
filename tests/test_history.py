"""Histories: their figures, columns, and text and notebook views."""

from __future__ import annotations

import pytest
from test_html import Cells

import fastnn
from fastnn.history import _MOST_SHOWN, MONITORS, Epoch, format_figure


def make_history(n_epochs, **more):
    history = fastnn.History("accuracy")
    for n in range(1, n_epochs + 1):
        history.epochs.append(Epoch(n, 1 / n, 0.5, None, None, 0.1, 1234.0, 0.01, more))
    return history


def test_columns():
    history = make_history(2, norm=3.0)
    columns = history.to_dict()
    assert list(columns) == ["epoch", "cost", "metric", "seconds", "samples_per_second", "lr", "norm"]
    assert columns["cost"] == [1.0, 0.5]
    assert columns["norm"] == [3.0, 3.0]
    history.epochs[1] = history.epochs[1]._replace(val_cost=0.25, more={})
    columns = history.to_dict()
    assert columns["val_cost"] == [None, 0.25]
    assert columns["norm"] == [3.0, None]
    assert "val_metric" not in columns


def test_a_figure_by_its_name():
    epoch = Epoch(1, 0.5, 0.75, 0.25, 0.8, 0.1, 1000.0, more={"val_f1": 0.9})
    assert epoch.figure("val_f1") == 0.9
    assert [epoch.figure(name) for name in MONITORS] == [0.25, 0.8, 0.5, 0.75]
    with pytest.raises(AttributeError):
        epoch.figure("f1")


def test_data_frame():
    pytest.importorskip("pandas")
    frame = make_history(3).to_frame()
    assert frame.index.name == "epoch"
    assert frame["cost"].tolist() == [1, 1 / 2, 1 / 3]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cost", None, "-"),
        ("epoch", 12, "12"),
        ("samples_per_second", 12345.6, "12,346"),
        ("seconds", 1.234, "1.23"),
        ("cost", 0.12345, "0.1235"),
        ("cost", 12345.6, "1.23e+04"),
        ("cost", -0.00012345, "-0.000123"),
    ],
)
def test_figures_as_text(name, value, text):
    assert format_figure(name, value) == text


def test_a_short_history_is_shown_whole():
    history = make_history(3, **{"val_<f1>": 0.25})
    history.best_epoch, history.stop_reason = 2, "early stopping"
    cells = Cells(history._repr_html_())
    assert cells.rows[0] == ["epoch", "cost", "accuracy", "seconds", "samples/s", "lr", "val_<f1>"]
    assert cells.rows[2] == ["2", "0.5000", "0.5000", "0.10", "1,234", "0.0100", "0.2500"]
    assert len(cells.rows) == 4
    assert cells.caption == "3 epochs, ended by: early stopping; the weights of epoch 2 were restored"
    assert [row.split() for row in str(history).splitlines()] == cells.rows


def test_of_a_long_history_the_ends_are_shown():
    rows = Cells(make_history(1000)._repr_html_()).rows
    assert len(rows) == 1 + _MOST_SHOWN + 1
    assert [row[0] for row in rows[-11:]] == ["…", *map(str, range(991, 1001))]


def test_an_empty_history():
    assert Cells(make_history(0)._repr_html_()).caption == "no epochs yet"
