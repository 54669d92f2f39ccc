"""Search spaces: what is searched, what is fixed, where the search starts, and what is refused."""

import pytest

from fastnn.tuning.search import tune
from fastnn.tuning.space import DEFAULTS, Space, default_space
from tuning.searches import ROWS, search

pytest.importorskip("optuna")


def test_the_default_space_holds_the_defaults_and_is_accepted():
    where = default_space("cross_entropy", 10_000)
    for name, value in Space(where).initial.items():
        assert value == DEFAULTS[name]
    assert default_space("mse", 20)["batch_size"] == [16, 32]


def test_values_of_a_space():
    where = Space({"n_layers": (2, 3), "width": [8], "lr": (0.1, 0.1), "batch_size": [64, 256], "l2": 0.5})
    assert set(where.searched) == {"n_layers", "batch_size"}
    assert where.initial == {"n_layers": 2, "batch_size": 64}
    assert (where.fixed["width"], where.fixed["lr"], where.fixed["l2"]) == (8, 0.1, 0.5)
    settings = where.settings({"n_layers": 3, "batch_size": 256})
    assert set(settings) == set(DEFAULTS)


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"widht": (8, 16)}, ValueError, "Did you mean 'width'"),
        ({"width": (16, 8)}, ValueError, "must not have low above high"),
        ({"width": (8, 16, "lin")}, ValueError, r"must be \(low, high\)"),
        ({"width": (8.5, 16)}, TypeError, "must be an integer"),
        ({"width": [0, 8]}, ValueError, "at least 1"),
        ({"lr": (0.0, 0.1, "log")}, ValueError, r"space\['lr'\] must lie in"),
        ({"lr": ("a", "b")}, TypeError, "must be a number"),
        ({"activation": []}, ValueError, "has no choices"),
        ({"activation": ["relu", "tahn"]}, ValueError, r"space\['activation'\].*Did you mean 'tanh'"),
        ({"activation": [len, "tanh"]}, TypeError, "must list strings, numbers or None"),
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
    with pytest.raises(ValueError, match="label_smoothing, which loss 'mse' does not support"):
        search(loss="mse", validation_data=ROWS, space={"label_smoothing": (0.0, 0.1)})


def test_the_documentation_of_tune_names_every_setting():
    _, _, text = tune.__doc__.partition("``fastnn.tuning.space.DEFAULTS``: ")
    names = text.partition(".")[0].split(",")
    assert [name.strip() for name in names] == list(DEFAULTS)


def test_a_space_is_recognised_by_its_text():
    """Storages of earlier versions hold this text, and are to be resumed."""
    space = Space({"width": (8, 64, "log"), "norm": [None, "layer"], "dropout": (0.0, 0.5)})
    assert repr(space) == (
        "{'dropout': FloatDistribution(high=0.5, log=False, low=0.0, step=None), "
        "'norm': CategoricalDistribution(choices=(None, 'layer')), "
        "'width': IntDistribution(high=64, log=True, low=8, step=1)}, fixed {'n_layers': 1, "
        "'activation': 'relu', 'input_dropout': 0.0, 'residual': False, 'init': None, 'optimizer': 'adamw', "
        "'lr': 0.001, 'weight_decay': 0.01, 'schedule': 'constant', 'batch_size': 32, 'l1': 0.0, 'l2': 0.0, "
        "'clip_norm': None, 'class_weight': None, 'label_smoothing': 0.0}"
    )
