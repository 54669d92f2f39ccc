"""Recipes: settings become the network and the trainer that they describe."""

import numpy as np
import pytest

from fastnn import MLP, Loss, Trainer
from fastnn.optimizers import OPTIMIZERS
from fastnn.tuning.recipe import Recipe, searchable_arguments
from fastnn.tuning.space import DEFAULTS, Space
from tuning.searches import HELD_OUT, ROWS

pytest.importorskip("optuna")


def test_the_default_is_what_a_trainer_gives(found):
    trainer = Recipe(4, 2, Loss("cross_entropy")).make_trainer(found.default.settings)
    history = trainer.fit(*ROWS, epochs=6, validation_data=HELD_OUT, verbose=0)
    costs = [epoch.val_cost for epoch in history.epochs]
    assert found.default.score == min(costs)
    assert found.default.best_epoch == 1 + int(np.argmin(costs))


def test_every_setting_has_one_owner():
    """What belongs to whom is read from the signatures, and nothing is left out or given twice."""
    optimizers = {name for kind in OPTIMIZERS.values() for name in searchable_arguments(kind)}
    owners = [
        ["n_layers", "width"],
        searchable_arguments(MLP),
        searchable_arguments(Trainer),
        sorted(optimizers),
        [name for name in Loss("cross_entropy").parameters if name in DEFAULTS],
    ]
    assert sorted(name for names in owners for name in names) == sorted(DEFAULTS)


def test_settings_reach_network_optimizer_and_trainer():
    changes = {
        "n_layers": 3,
        "width": 8,
        "activation": "tanh",
        "dropout": 0.1,
        "input_dropout": 0.2,
        "norm": "layer",
        "residual": True,
        "init": "orthogonal",
        "optimizer": "sgd",
        "lr": 0.3,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "batch_size": 16,
        "l1": 0.1,
        "l2": 0.2,
        "clip_norm": 2.0,
        "class_weight": "balanced",
        "label_smoothing": 0.05,
    }
    assert set(changes) == set(DEFAULTS)
    trainer = Recipe(4, 2, Loss("cross_entropy"), dtype="float64").make_trainer(changes)
    net = trainer.net
    assert (net.sizes, net.dtype, net.dropout, net.input_dropout) == (
        (4, 8, 8, 8, 2),
        "float64",
        (0.1,) * 3,
        0.2,
    )
    assert (net.norm, net.residual, net.init) == (("layer",) * 3, (False, True, True), "orthogonal")
    assert [activation.name for activation in net.activations] == ["tanh"] * 3
    assert trainer.settings.optimizer == OPTIMIZERS["sgd"](lr=0.3, weight_decay=0.02)
    assert type(trainer.settings.schedule).__name__ == "Cosine"
    settings = trainer.settings
    assert (settings.batch_size, settings.l1, settings.l2, settings.clip_norm) == (16, 0.1, 0.2, 2.0)
    assert trainer.settings.class_weight == "balanced"
    assert trainer.settings.loss == Loss("cross_entropy", label_smoothing=0.05)


def test_an_optimizer_takes_the_settings_that_it_has():
    trainer = Recipe(4, 1, Loss("mse")).make_trainer({**DEFAULTS, "optimizer": "lbfgs"})
    assert trainer.settings.optimizer == OPTIMIZERS["lbfgs"]()


def test_label_smoothing_keeps_the_scale_of_a_loss():
    recipe = Recipe(4, 2, Loss("cross_entropy").scaled(3.0))
    assert recipe.make_loss({"label_smoothing": 0.1}) == Loss("cross_entropy", label_smoothing=0.1).scaled(
        3.0
    )
    assert recipe.make_loss({"label_smoothing": 0.1}).scale == 3.0
    unchanged = Loss("focal")
    assert Recipe(4, 2, unchanged).make_loss(DEFAULTS) is unchanged


def test_refused_values_name_their_setting():
    space = Space({"dropout": [0.1, 1.5]})
    with pytest.raises(ValueError, match=r"space\['dropout'\]: dropout must lie in"):
        Recipe(4, 2, Loss("cross_entropy")).check(space)
