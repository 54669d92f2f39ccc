"""Progress on a terminal and without one."""

import io
import math

import numpy as np
import pytest
from conftest import draw

import fastnn
from fastnn.history import Epoch, History
from fastnn.training import progress
from fastnn.training.progress import LiveDisplay, sparkline
from training.examples import (
    make_blobs_trainer,
)


def make():
    net = fastnn.MLP([2, 8, 2], "tanh", seed=0)
    return fastnn.Trainer(net, loss="cross_entropy", batch_size=2, seed=0)


def test_a_live_table_shows_the_last_epochs_and_the_curve(xor, screen):
    make().fit(*xor, epochs=12, validation_data=xor, metrics="f1_macro", verbose=2)
    shown = screen.getvalue()
    for text in ("val accuracy", "val f1_macro", "samples/s", "12/12", "lr", "█", "val cost"):
        assert text in shown


def test_the_usual_metric_is_shown_once(xor, screen):
    make().fit(*xor, epochs=2, validation_data=xor, metrics=["accuracy", "f1_macro"], verbose=1)
    shown = screen.getvalue()
    assert shown.count("val accuracy") == shown.count("val f1_macro") > 0


def test_the_best_epoch_is_marked_and_stays(screen):
    history = History("accuracy")
    display = LiveDisplay(40, 100, history)
    for k in range(1, 31):
        epoch = Epoch(k, 1 / k, 0.5, abs(k - 10) + 1.0, 0.5, 0.1, 1000.0, 1e-3)
        history.epochs.append(epoch)
        display.epoch(epoch)
    lines = draw(display)
    rows = [line.split() for line in lines[1 : 1 + progress.LIVE_ROWS]]
    assert rows[0][:2] == ["*", "10"]
    assert [row[0] for row in rows[1:]] == [str(k) for k in range(24, 31)]
    assert "30/40" in lines[-1]
    assert all(len(line) <= 110 for line in lines)


def test_a_narrow_terminal_loses_columns_and_no_digits(screen):
    history = History("accuracy")
    display = LiveDisplay(4, 100, history)
    display.console.width = 50
    for k in range(1, 4):
        history.epochs.append(Epoch(k, 1.234e-05, 0.5, 2.345e-05, 0.5, 0.1, 1234567.0, 1e-3))
        display.epoch(history.epochs[-1])
    lines = draw(display)
    assert "1.23e-05" in "".join(lines)
    assert "2.35e-05" in "".join(lines) or "2.34e-05" in "".join(lines)
    assert "seconds" not in "".join(lines)
    assert "…" not in "".join(lines)


def test_metrics_that_an_earlier_fit_had_not(screen):
    history = History("accuracy")
    history.epochs.append(Epoch(1, 0.5, 0.5, None, None, 0.1, 1000.0))
    display = LiveDisplay(2, 100, history)
    history.epochs.append(Epoch(2, 0.25, 0.5, 0.5, 0.5, 0.1, 1000.0, 1e-3, {"val_f1": 0.125}))
    display.epoch(history.epochs[-1])
    lines = draw(display)
    assert "-" in lines[1]
    assert "0.1250" in lines[2]


def test_figures_that_are_not_finite_do_not_stop_it(screen):
    history = History("r2")
    display = LiveDisplay(2, 100, history)
    for k, cost in enumerate((math.nan, math.inf, 1.0), 1):
        epoch = Epoch(k, 1.0, 0.5, cost, math.nan, 0.1, 1000.0)
        history.epochs.append(epoch)
        display.epoch(epoch)
    assert any("* 3" in line for line in draw(display))


def test_without_a_terminal_both_are_the_same_plain_lines(xor, capsys):
    lines = {}
    for verbose in (1, 2):
        make().fit(*xor, epochs=40, verbose=verbose)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "\x1b" not in captured.err
        lines[verbose] = [line.split("  ")[:3] for line in captured.err.splitlines()]
    assert lines[1] == lines[2]
    assert len(lines[1]) == 20


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_later_fit_counts_on(xor, capsys, verbose):
    """A resumed training does, too: it begins with the history of its checkpoint."""
    trainer = make()
    trainer.fit(*xor, epochs=3, verbose=0)
    trainer.fit(*xor, epochs=2, verbose=verbose)
    counts = [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()]
    assert counts == ["epoch 4/5", "epoch 5/5"]


def test_the_bar_begins_where_the_history_ends(screen):
    history = History("accuracy")
    history.epochs.append(Epoch(1, 0.5, 0.5, None, None, 0.1, 1000.0))
    display = LiveDisplay(3, 100, history)
    display.rows(50)
    assert (display._progress.tasks[0].completed, display._progress.tasks[0].total) == (1.5, 3)


def test_progress_changes_nothing(xor, capsys):
    params = []
    for verbose in (0, 1, 2):
        trainer = make()
        trainer.fit(*xor, epochs=5, verbose=verbose)
        params.append(trainer.net.params.copy())
    np.testing.assert_array_equal(params[0], params[1])
    np.testing.assert_array_equal(params[0], params[2])


@pytest.mark.parametrize(
    ("values", "width", "curve"),
    [
        ([], 8, " "),
        ([3.0], 8, "_"),
        ([2, 2, 2], 8, "___"),
        ([1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7], 8, "_.-=+*#@"),  # logarithmic
        ([-1, 0, 1, 2, 3, 4, 5, 6], 8, "_.-=+*#@"),  # not where there are negative values
        ([1, math.nan, math.inf, 1e7], 8, "_  @"),
        ([8, 8, 4, 4, 2, 2, 1, 1], 4, "@*-_"),
        ([math.nan, math.nan], 8, "  "),
    ],
)
def test_sparkline(values, width, curve):
    assert sparkline(values, width, is_unicode=False) == curve


def test_progress_is_plain_and_short_without_a_terminal(blobs, capsys):
    make_blobs_trainer().fit(*blobs, epochs=200, verbose=1)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 20
    assert "\x1b" not in captured.err
    assert lines[-1].startswith("epoch 200/200  cost")
    assert "accuracy" in lines[-1]
    assert "samples/s" in lines[-1]


def test_silent(blobs, capsys):
    make_blobs_trainer().fit(*blobs, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(blobs, monkeypatch):
    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console", lambda **_: Console(file=screen, force_terminal=True, width=120)
    )
    make_blobs_trainer().fit(*blobs, epochs=3, validation_data=blobs, verbose=1)
    shown = screen.getvalue()
    assert "3/3" in shown
    assert "val accuracy" in shown
    assert "samples/s" in shown
