"""Progress of a search, on a terminal and without one."""

import math
import time

from conftest import draw

from fastnn.tuning.display import SearchDisplay
from fastnn.tuning.trial import Trial


def trial(number, score, ending="epochs"):
    settings = {"lr": 0.0123456, "activation": "relu", "norm": None}
    return Trial(number, score, ending, 10, 9, 0.5, settings)


def test_a_search_on_a_terminal(screen):
    display = SearchDisplay(30, math.inf)
    with display:
        display.trial(trial(1, 0.25), trial(1, 0).settings, before=True)
        for k in range(2, 20):
            done = trial(k, 0.5 + k, "pruned" if k % 2 else "early stopping")
            display.trial(done, done.settings)
    lines = draw(display)
    assert lines[1].split()[:3] == ["*", "1", "0.2500"]
    assert [line.split()[0] for line in lines[2:9]] == [str(k) for k in range(13, 20)]
    assert "best: lr=0.0123 activation=relu norm=none" in lines[-2]
    assert "19/30" in lines[-1]
    assert "left" in lines[-1]
    assert len(lines) < 24


def test_a_search_without_a_terminal(capsys):
    display = SearchDisplay(3, time.monotonic() + 60)
    with display:
        for k, score in enumerate((0.5, math.inf, 0.25), 1):
            done = trial(k, score, "epochs" if score < 1 else "diverged")
            display.trial(done, done.settings)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("trial 1/3  score 0.5000  epochs  lr=0.0123 activation=relu norm=none")
    assert "diverged" in lines[1]
    assert [line.endswith("best so far") for line in lines] == [True, False, True]
