"""A search, from a configuration to a configuration."""

import pytest

pytest.importorskip("optuna")
pytest.importorskip("pydantic")
pytest.importorskip("pandas")
import fastnn
from fastnn.app.assembly import make_optimizer
from fastnn.app.search import search


def test_what_was_found_is_a_configuration(table, config_of):
    result, found = search(config_of(), n_trials=2, verbose=0)
    assert found.hidden == [result.settings["width"]] * result.settings["n_layers"]
    assert found.activation == [result.settings["activation"]]
    assert (found.lr, found.optimizer) == (result.settings["lr"], result.settings["optimizer"])
    assert (found.source, found.target, found.patience) == ("table.csv", "y", 5)


def test_settings_that_are_given_stay(table, config_of):
    settings = {"hidden": [6, 6], "activation": ["tanh"], "batch_size": 0, "norm": "layer"}
    result, found = search(
        config_of(balanced=True, patience=2, **settings), fixed=settings, n_trials=2, verbose=0
    )
    assert {name: getattr(found, name) for name in settings} == settings
    assert result.settings["batch_size"] is None  # all rows
    assert result.settings["class_weight"] == "balanced"
    assert found.patience == 2


def test_settings_that_trials_do_not_use_are_named(table, config_of):
    config = config_of(ema=0.5, lazy=True, monitor="cost", hidden=[8], epochs=3, threads=1)
    with pytest.warns(UserWarning, match="do not use monitor, ema, lazy; the settings"):
        _, found = search(config, n_trials=1, verbose=0)
    assert (found.ema, found.lazy) == (0.5, True)


def test_settings_that_an_optimiser_lacks_are_left_out(table, config_of):
    config = config_of(optimizer="lbfgs", batch_size=0)
    fixed = ["optimizer", "batch_size", "dropout", "norm", "schedule"]
    _, found = search(config, fixed=fixed, n_trials=1, verbose=0)
    assert (found.lr, found.weight_decay) == (None, None)
    assert make_optimizer(found) == fastnn.LBFGS()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [8, 4]}, "hidden layers that are alike"),
        ({"activation": ["tanh", "relu"]}, "hidden layers that are alike"),
        ({"hidden": []}, "at least one hidden layer"),
        ({"stream": True}, "needs its rows in memory"),
    ],
)
def test_networks_and_rows_that_are_not_searched(table, config_of, settings, message):
    with pytest.raises(ValueError, match=message):
        search(config_of(**settings), n_trials=1, verbose=0)
