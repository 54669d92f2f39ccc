"""The search: never worse than the defaults, the same for a seed, also after a kill; bad input is refused."""

import json
import math
import os
import signal
import sqlite3
import sys
import threading
import time

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from fastnn import DivergenceError, Loss  # noqa: E402
from fastnn.tuning import search as tuning  # noqa: E402
from fastnn.tuning.search import DEFAULTS, Space, default_space, tune  # noqa: E402


def make_rows(seed, n=160):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 0.3 * rng.standard_normal(n) > 0).astype(int)


ROWS, HELD_OUT = make_rows(1), make_rows(2)
SPACE = {"width": (4, 32, "log"), "activation": ["relu", "tanh"], "norm": None}


def search(**options):
    given = {"loss": "cross_entropy", "validation_data": HELD_OUT, "n_trials": 8, "epochs": 6, "verbose": 0}
    return tune(*ROWS, **{**given, "space": SPACE, **options})


def facts(result):
    """All that a search must give again, without its times."""
    return [(t.number, t.score, t.ending, t.epochs, t.best_epoch, t.settings) for t in result.trials]


@pytest.fixture(scope="module")
def found():
    return search(n_trials=13)


# --- what it finds ----------------------------------------------------------------------------------


def test_the_first_trial_has_the_defaults_and_the_best_is_never_worse(found):
    assert found.default is found.trials[0]
    ours = {**DEFAULTS, "width": 32}  # the nearest to 128
    assert found.default.settings == ours
    assert found.score == min(trial.score for trial in found.trials if trial.ending != "pruned")
    assert found.score <= found.default.score
    assert found.settings == found.best.settings
    assert found.stop_reason == "trials"
    assert [trial.number for trial in found.trials] == list(range(1, 14))


def test_the_default_is_what_a_trainer_gives(found):
    trainer = tuning.Recipe(4, 2, Loss("cross_entropy")).make_trainer(found.default.settings)
    history = trainer.fit(*ROWS, epochs=6, validation_data=HELD_OUT, verbose=0)
    costs = [epoch.val_cost for epoch in history.epochs]
    assert found.default.score == min(costs)
    assert found.default.best_epoch == 1 + int(np.argmin(costs))


def test_fit_with_validation_data_repeats_the_best_trial(found):
    trainer = found.fit(*ROWS, validation_data=HELD_OUT, verbose=0)
    cost = tuning._plain_cost(trainer, Loss("cross_entropy"), HELD_OUT).function(None, None)
    assert cost == pytest.approx(found.score, rel=1e-12)
    assert trainer.history.best_epoch == found.best.best_epoch


def test_fit_without_validation_data_trains_as_long_as_the_best_epoch(found):
    trainer = found.fit(*ROWS, verbose=0)
    assert len(trainer.history) == found.best.best_epoch
    assert trainer.batch_size == found.settings["batch_size"]
    assert len(found.make_trainer().history) == 0


def test_hopeless_trials_are_pruned(found):
    pruned = [trial for trial in found.trials if trial.ending == "pruned"]
    assert pruned
    assert all(trial.epochs < 6 for trial in pruned)
    assert all(trial.ending != "pruned" for trial in search(pruner="none").trials)


@pytest.mark.parametrize("pruner", ["hyperband", "halving"])
def test_other_pruners(pruner):
    result = search(pruner=pruner, n_trials=12, epochs=12)
    assert len(result.trials) == 12
    assert result.score <= result.default.score


def test_importances_and_frame(found):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    importances = found.importances()
    assert set(importances) == set(found.study.user_attrs["searched"])
    assert math.fsum(importances.values()) == pytest.approx(1)
    frame = found.to_frame()
    assert frame.score.tolist() == [trial.score for trial in found.trials]
    assert frame.loc[1, "width"] == 32


def test_trials_are_judged_without_label_smoothing():
    smoothed = {**SPACE, "label_smoothing": 0.3, "lr": (1e-3, 1e-2, "log")}
    result = search(space=smoothed, n_trials=2)
    trainer = result.fit(*ROWS, validation_data=HELD_OUT, verbose=0)
    probabilities = trainer.net.predict_proba(HELD_OUT[0])
    cost = -np.log(probabilities[np.arange(len(HELD_OUT[1])), HELD_OUT[1]]).mean()
    assert result.score == pytest.approx(cost, rel=1e-5)
    assert trainer.loss.parameters["label_smoothing"] == 0.3


# --- seeds, threads, kills --------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_trials(found, tmp_path):
    again = search(n_trials=13, storage=tmp_path / "search.db")
    assert facts(again) == facts(found)
    assert facts(search(n_trials=4, seed=1)) != facts(found)[:4]


def test_it_goes_on_where_it_was(found, tmp_path):
    path = tmp_path / "odd name ? % {x}.db"
    search(n_trials=3, storage=path)
    assert facts(search(n_trials=13, storage=path)) == facts(found)
    seen = []
    assert facts(search(n_trials=13, storage=path, callbacks=seen.append)) == facts(found)
    assert seen == []  # there was nothing left to do
    assert path.exists()


def test_it_goes_on_after_a_kill(found, tmp_path, start):
    path = tmp_path / "search.db"
    code = f"""if True:
        import sys, time
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        import test_search
        def tell(trial):
            print(trial.number, flush=True)
        def slow(self, *args, real=test_search.tuning._Watch.on_epoch_end):
            time.sleep(0.02)
            return real(self, *args)
        test_search.tuning._Watch.on_epoch_end = slow
        test_search.search(n_trials=13, storage={str(path)!r}, callbacks=tell)
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


def test_a_trial_that_was_running_is_begun_anew(found, tmp_path):
    path = tmp_path / "search.db"
    search(n_trials=2, storage=path)
    study = optuna.load_study(study_name="fastnn", storage=f"sqlite:///{path}")
    study.ask()
    result = search(n_trials=13, storage=path)
    assert facts(result) == facts(found)
    assert [trial.state.name for trial in result.study.trials][2] == "FAIL"


def test_a_kill_in_the_first_trial_keeps_the_defaults_first(found, tmp_path):
    path = tmp_path / "search.db"
    with pytest.raises(ZeroDivisionError):
        search(storage=path, n_trials=13, callbacks=lambda trial: 1 / 0)
    with sqlite3.connect(path) as connection:  # as if it had been killed while it ran
        connection.execute("UPDATE trials SET state = 'RUNNING'")
        connection.execute("DELETE FROM trial_values")
    connection.close()
    assert facts(search(storage=path, n_trials=13)) == facts(found)


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
    watch = tuning._Watch.on_epoch_end
    calls = []

    def interrupted(self, trainer, epoch):
        calls.append(epoch)
        if len(calls) == 9:  # in the second trial
            raise KeyboardInterrupt
        watch(self, trainer, epoch)

    monkeypatch.setattr(tuning._Watch, "on_epoch_end", interrupted)
    with pytest.warns(UserWarning, match="interrupted after 1 of 8 trials") as caught:
        result = search()
    assert len(caught) == 1
    assert len(result.trials) == 1


def test_ctrl_c_before_there_is_anything(monkeypatch):
    def interrupted(self, trainer, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning._Watch, "on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search()


# --- data and losses --------------------------------------------------------------------------------


def test_folds_are_averaged():
    pytest.importorskip("sklearn")
    halves = [(np.arange(0, 80), np.arange(80, 160)), (np.arange(80, 160), np.arange(0, 80))]
    x, y = ROWS
    both = search(validation_data=None, folds=halves, n_trials=1)
    alone = [
        search(validation_data=(x[val], y[val]), folds=None, n_trials=1) for _, val in halves
    ]  # trained on all rows: only to see that the means are of two
    assert both.trials[0].score != alone[0].trials[0].score
    single = [search(validation_data=None, folds=[pair], n_trials=1).score for pair in halves]
    assert both.score == pytest.approx(np.mean(single))
    assert len(search(validation_data=None, folds=3, n_trials=7).trials) == 7


def test_rows_are_held_out_where_none_are_given():
    pytest.importorskip("sklearn")
    result = search(validation_data=None, n_trials=1)
    assert math.isfinite(result.score)


@pytest.mark.parametrize(
    ("loss", "y", "n_out"),
    [
        ("mse", ROWS[0][:, 0], 1),
        ("mse", ROWS[0][:, :2], 2),
        ("binary_cross_entropy", ROWS[1], 1),
        ("cross_entropy", ROWS[1] * 2, 3),
        ("kl_divergence", np.full((160, 3), 1 / 3), 3),
    ],
)
def test_losses_tell_the_outputs(loss, y, n_out):
    result = tune(
        ROWS[0], y, loss=loss, validation_data=(ROWS[0], y), n_trials=2, epochs=2, space=SPACE, verbose=0
    )
    assert result.make_trainer().net.sizes[-1] == n_out
    assert ("label_smoothing" in result.study.user_attrs["searched"]) == loss.endswith("cross_entropy")


def test_sparse_rows_and_embeddings():
    sparse = pytest.importorskip("scipy.sparse")
    x, y = ROWS
    rows = sparse.csr_matrix(np.where(x > 0, x, 0))
    options = {"loss": "cross_entropy", "n_trials": 2, "epochs": 2, "space": SPACE, "verbose": 0}
    dense = tune(rows.toarray(), y, validation_data=HELD_OUT, **options)
    result = tune(rows, y, validation_data=HELD_OUT, **options)
    assert result.score == pytest.approx(dense.score, rel=1e-4)
    categories = np.abs(x).astype(int).astype(np.float32)
    result = tune(categories, y, validation_data=(categories, y), embeddings={0: (9, 3)}, **options)
    assert result.make_trainer().net.embeddings == {0: (9, 3)}


def test_diverged_trials_are_bad_and_no_crash():
    space = {"lr": [1e-3, 1e30], "optimizer": "sgd", "activation": "relu", "norm": None}
    result = search(loss="mse", validation_data=ROWS, space=space, n_trials=10)
    endings = {trial.settings["lr"]: trial.ending for trial in result.trials}
    assert endings[1e30] == "diverged"
    assert result.settings["lr"] == 1e-3
    assert all(math.isinf(trial.score) for trial in result.trials if trial.ending == "diverged")
    json.dumps(result.settings)


def test_all_diverged():
    space = {"lr": [1e30, 1e32], "optimizer": "sgd", "activation": "relu", "norm": None}
    with pytest.raises(DivergenceError, match="all 2 trials diverged"):
        search(loss="mse", validation_data=ROWS, space=space, n_trials=2)


# --- the space --------------------------------------------------------------------------------------


def test_the_default_space_holds_the_defaults_and_is_accepted():
    where = default_space("cross_entropy", 10_000)
    for name, value in Space(where).first.items():
        assert value == DEFAULTS[name]
    assert default_space("mse", 20)["batch_size"] == [16, 32]


def test_values_of_a_space():
    where = Space({"n_layers": (2, 3), "width": [8], "lr": (0.1, 0.1), "batch_size": [64, 256], "l2": 0.5})
    assert set(where.searched) == {"n_layers", "batch_size"}
    assert where.first == {"n_layers": 2, "batch_size": 64}
    assert (where.fixed["width"], where.fixed["lr"], where.fixed["l2"]) == (8, 0.1, 0.5)
    settings = where.settings({"n_layers": 3, "batch_size": 256})
    assert set(settings) == set(DEFAULTS)


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"widht": (8, 16)}, ValueError, "Did you mean 'width'"),
        ({"width": (16, 8)}, ValueError, "must rise"),
        ({"width": (8, 16, "lin")}, ValueError, r"must be \(low, high\)"),
        ({"width": (8.5, 16)}, TypeError, "must be an integer"),
        ({"width": [0, 8]}, ValueError, "at least 1"),
        ({"lr": (0.0, 0.1, "log")}, ValueError, r"space\['lr'\] must lie in"),
        ({"lr": ("a", "b")}, TypeError, "must be a number"),
        ({"activation": []}, ValueError, "has no choices"),
        ({"activation": ["relu", "tahn"]}, ValueError, r"space\['activation'\].*Did you mean 'tanh'"),
        ({"activation": [len, "tanh"]}, TypeError, "must list texts, numbers or None"),
        ({"dropout": (0.0, 1.5)}, ValueError, r"space\['dropout'\]: dropout must lie in"),
        ({"norm": "layr"}, ValueError, "Did you mean 'layer'"),
        ({"schedule": ["cosin"]}, ValueError, "Did you mean 'cosine'"),
        ({k: DEFAULTS[k] for k in default_space("cross_entropy", 9)}, ValueError, "nothing to search"),
    ],
)  # fmt: skip
def test_bad_spaces(space, error, message):
    with pytest.raises(error, match=message):
        search(space=space)


def test_label_smoothing_of_a_loss_that_has_none():
    with pytest.raises(ValueError, match="label_smoothing, which loss 'mse' has not"):
        search(loss="mse", validation_data=ROWS, space={"label_smoothing": (0.0, 0.1)})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_trials": 0}, ValueError, "n_trials must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"pruner": "medain"}, ValueError, "Did you mean 'median'"),
        ({"loss": "crossentropy"}, ValueError, "Did you mean"),
        ({"n_out": 1}, ValueError, "needs one output per class"),
        ({"folds": 3}, ValueError, "validation_data or folds, not both"),
        ({"validation_data": 3}, TypeError, r"must be a tuple \(x_val, y_val\)"),
        ({"validation_data": (HELD_OUT[0][:, :3], HELD_OUT[1])}, ValueError, "x_val has 3 feat"),
        ({"validation_data": None, "folds": 1}, ValueError, "folds must be at least 2"),
        ({"validation_data": None, "folds": []}, ValueError, "folds is empty"),
        ({"validation_data": None, "folds": [3]}, TypeError, "must be a pair"),
        ({"validation_data": None, "folds": [([0, 1], [500])]}, ValueError, "holds row 500"),
        ({"validation_data": None, "folds": [([0, 1], [1, 2])]}, ValueError, "also to validate with"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"study_name": ""}, TypeError, "study_name must be a text"),
    ],
)  # fmt: skip
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        search(**options)


def test_bad_rows():
    with pytest.raises(ValueError, match="LabelEncoder"):
        tune(ROWS[0], np.array(["a", "b"] * 80), loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="x must have 2 dimensions"):
        tune(ROWS[1], ROWS[1], loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="x has 160 rows and y has 3"):
        tune(ROWS[0], [0, 1, 0], loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="NaN"):
        tune(np.full((4, 2), np.nan), [0, 1, 0, 1], loss="cross_entropy", validation_data=HELD_OUT)


# --- bad storage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 7}, "its epochs differ: it was 6, and is 7"),
        ({"seed": 5}, "its seed differ"),
        ({"space": {**SPACE, "lr": (1e-3, 1e-2)}}, "its space differ"),
        ({"validation_data": ROWS}, "its data differ. Use another study_name or file"),
        ({"pruner": "none"}, "its pruner differ"),
    ],
)
def test_another_search_is_refused_and_keeps_its_trials(options, message, tmp_path):
    path = tmp_path / "search.db"
    search(storage=path, n_trials=2)
    with pytest.raises(ValueError, match=message):
        search(storage=path, **options)
    assert len(search(storage=path, n_trials=2).trials) == 2
    assert len(search(storage=path, n_trials=1, study_name="other", **options).trials) == 1


def test_a_study_of_someone_else(tmp_path):
    path = tmp_path / "search.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="fastnn")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="was not made by fastnn"):
        search(storage=path)


def test_files_that_are_no_storage(tmp_path):
    text = tmp_path / "notes.db"
    text.write_text("a text that is long enough to be a header")
    with pytest.raises(ValueError, match=r"notes\.db' is not an SQLite file"):
        search(storage=text)
    assert text.read_text().startswith("a text")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cookies (a)")
    connection.close()
    with pytest.raises(ValueError, match="SQLite file of something else than Optuna"):
        search(storage=other)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        search(storage=tmp_path / "nowhere" / "search.db")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        search(storage=tmp_path)
    with pytest.raises(ValueError, match="the path of an SQLite file, not an address"):
        search(storage="sqlite:///search.db")


def test_a_file_cut_in_half(tmp_path):
    path = tmp_path / "search.db"
    search(storage=path, n_trials=2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"search\.db'.*malformed"):
        search(storage=path, n_trials=4)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_no_space_left_keeps_the_trials(tmp_path, run_python):
    path = tmp_path / "search.db"
    done = len(search(storage=path, n_trials=2).trials)
    code = f"""if True:
        import resource, signal, tuning.test_search as test_search
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        test_search.search(n_trials=2)  # compiled code is written, too
        limit = {path.stat().st_size + 8192}
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            test_search.search(n_trials=2000, storage={str(path)!r})
        except OSError as error:
            print(error)
    """
    shown = run_python(code).stdout
    assert "the search cannot go on with storage" in shown
    assert "The trials that it holds stay" in shown
    result = search(storage=path, n_trials=12)
    assert len(result.trials) >= 12
    assert facts(result)[:done] == facts(search(n_trials=done))
