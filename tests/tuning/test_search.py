"""The search: never worse than the defaults, the same for a seed, also after a kill; bad input is refused."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from fastnn import DivergenceError
from fastnn.tuning.space import DEFAULTS
from fastnn.tuning.trial import TrialMonitor
from tuning.searches import ROWS, facts, search

pytest.importorskip("optuna")


def test_the_first_trial_has_the_defaults_and_the_best_is_never_worse(found):
    assert found.default is found.trials[0]
    ours = {**DEFAULTS, "width": 32}  # the closest to 128
    assert found.default.settings == ours
    assert found.score == min(trial.score for trial in found.trials if trial.ending != "pruned")
    assert found.score <= found.default.score
    assert found.settings == found.best.settings
    assert found.stop_reason == "trials"
    assert [trial.number for trial in found.trials] == list(range(1, 14))


def test_the_same_seed_gives_the_same_trials(found, tmp_path):
    again = search(n_trials=13, storage=tmp_path / "search.db")
    assert facts(again) == facts(found)
    assert facts(search(n_trials=4, seed=1)) != facts(found)[:4]


def test_it_goes_on_after_a_kill(found, tmp_path, start):
    path = tmp_path / "search.db"
    code = f"""if True:
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from tuning.searches import search
        from fastnn.tuning.trial import TrialMonitor
        def tell(trial):
            print(trial.number, flush=True)
        def slow(self, *args, real=TrialMonitor.on_epoch_end):
            time.sleep(0.02)
            return real(self, *args)
        TrialMonitor.on_epoch_end = slow
        search(n_trials=13, storage={str(path)!r}, callbacks=tell)
    """
    process = start([sys.executable, "-c", code])
    for line in process.stdout:
        if line.strip() == "4":
            break
    time.sleep(0.05)  # into the fifth trial
    process.kill()
    process.wait()
    result = search(n_trials=13, storage=path)
    assert facts(result) == facts(found)
    states = [trial.state.name for trial in result.study.trials]
    assert "RUNNING" not in states
    assert states.count("FAIL") <= 1
    assert len(result.trials) == 13


def test_several_at_once():
    result = search(n_jobs=2, n_trials=12)
    assert len(result.trials) == 12
    assert sorted(trial.number for trial in result.trials) == list(range(1, 13))
    assert result.score <= max(result.trials, key=lambda trial: trial.settings == result.settings).score
    assert threading.active_count() < 20


def test_an_error_of_one_job_ends_all():
    def fail(trial):
        raise RuntimeError("of the callback")

    with pytest.raises(RuntimeError, match="of the callback"):
        search(n_jobs=2, n_trials=50, callbacks=fail)


def test_a_timeout_starts_no_more_trials():
    result = search(timeout=1e-9)
    assert len(result.trials) == 1
    assert result.stop_reason == "timeout"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_with_the_best_so_far(n_jobs, tmp_path):
    def interrupt(trial):
        if trial.number == 3:
            os.kill(os.getpid(), signal.SIGINT)

    # With two jobs others may end before the main thread, which gets the signal, has its turn.
    n_trials, when = (50, "[34]") if n_jobs == 1 else (500, r"\d+")
    with pytest.warns(UserWarning, match=f"interrupted after {when} of {n_trials} trials"):
        result = search(callbacks=interrupt, n_trials=n_trials, n_jobs=n_jobs, storage=tmp_path / "search.db")
    assert result.stop_reason == "interrupted"
    assert 3 <= len(result.trials) <= (6 if n_jobs == 1 else 250)
    assert "RUNNING" not in [trial.state.name for trial in result.study.trials]


def test_ctrl_c_within_a_trial_counts_it_not(monkeypatch):
    on_epoch_end = TrialMonitor.on_epoch_end
    calls = []

    def interrupted(self, trainer, epoch):
        calls.append(epoch)
        if len(calls) == 9:  # in the second trial
            raise KeyboardInterrupt
        on_epoch_end(self, trainer, epoch)

    monkeypatch.setattr(TrialMonitor, "on_epoch_end", interrupted)
    with pytest.warns(UserWarning, match="interrupted after 1 of 8 trials") as caught:
        result = search()
    assert len(caught) == 1
    assert len(result.trials) == 1


def test_ctrl_c_before_there_is_anything(monkeypatch):
    def interrupted(self, trainer, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrialMonitor, "on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search()


def test_all_diverged():
    space = {"lr": [1e30, 1e32], "optimizer": "sgd", "activation": "relu", "norm": None}
    with pytest.raises(DivergenceError, match="all 2 trials diverged"):
        search(loss="mse", validation_data=ROWS, space=space, n_trials=2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_trials": 0}, ValueError, "n_trials must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"pruner": "medain"}, ValueError, "Did you mean 'median'"),
        ({"loss": "crossentropy"}, ValueError, "Did you mean"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)  # fmt: skip
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        search(**options)
