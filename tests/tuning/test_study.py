"""Studies: pruners, resumed searches, and files that are no storage of the search."""

import os
import sqlite3
import sys

import pytest

from tuning.searches import ROWS, SPACE, facts, search

optuna = pytest.importorskip("optuna")


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


def test_it_goes_on_where_it_was(found, tmp_path):
    path = tmp_path / "odd name ? % {x}.db"
    search(n_trials=3, storage=path)
    assert facts(search(n_trials=13, storage=path)) == facts(found)
    seen = []
    assert facts(search(n_trials=13, storage=path, callbacks=seen.append)) == facts(found)
    assert seen == []  # there was nothing left to do
    assert path.exists()


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 7}, "with different epochs: 6, now 7"),
        ({"seed": 5}, "with different seed: 0, now 5"),
        ({"space": {**SPACE, "lr": (1e-3, 1e-2)}}, "with different space: "),
        ({"validation_data": ROWS}, "with different data. Use another study_name or file"),
        ({"pruner": "none"}, "with different pruner: median, now none"),
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
    with pytest.raises(ValueError, match="SQLite file of another program, not of Optuna"):
        search(storage=other)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        search(storage=tmp_path / "nowhere" / "search.db")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        search(storage=tmp_path)
    with pytest.raises(ValueError, match=r"not an address, got 'sqlite:///search\.db'"):
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
        import resource, signal
        from tuning.searches import search
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        search(n_trials=2)  # compiled code is written, too
        limit = {path.stat().st_size + 8192}
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            search(n_trials=2000, storage={str(path)!r})
        except OSError as error:
            print(error)
    """
    shown = run_python(code).stdout
    assert "the search cannot continue with storage" in shown
    assert "Its trials are kept" in shown
    result = search(storage=path, n_trials=12)
    assert len(result.trials) >= 12
    assert facts(result)[:done] == facts(search(n_trials=done))


def test_a_study_needs_a_name(tmp_path):
    with pytest.raises(TypeError, match="study_name must be a non-empty string, got ''"):
        search(study_name="")
    with pytest.raises(ValueError, match="study_name holds half of a surrogate pair"):
        search(study_name="\ud800", storage=tmp_path / "study.db")


@pytest.mark.parametrize("name", ["file:x.db?cache=shared", ":memory:", "sqlite:/x?y#z.db"])
def test_a_path_is_no_address(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    search(n_trials=1, storage=name)
    assert os.path.exists(name)
    assert len(search(n_trials=1, storage=name).trials) == 1
    assert len(list(tmp_path.iterdir())) == 1
