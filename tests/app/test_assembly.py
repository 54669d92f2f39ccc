"""From a configuration to loss, optimiser, network and trainer: settings reach them by name."""

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pandas")
import fastnn
from fastnn.app import assembly, workflow
from fastnn.app.config import Config, make_config
from fastnn.app.preparation import prepare
from fastnn.data.target import Target


def test_settings_reach_network_and_trainer(table, config_of):
    config = config_of(
        hidden=[8, 8], activation=["tanh"], dropout=0.1, norm="layer", residual=True, ema=0.9, clip_norm=2.0,
        optimizer="adamw", lr=0.01, weight_decay=0.1, schedule="cosine", label_smoothing=0.1, balanced=True,
        batch_size=0, dtype="float64",
    )  # fmt: skip
    model, trainer = workflow.make_model(config, prepare(config))
    assert [activation.name for activation in model.net.activations] == ["tanh", "tanh"]
    assert (model.net.dropout, model.net.norm) == ((0.1, 0.1), ("layer", "layer"))
    assert model.net.residual == (False, True)
    settings = trainer.settings
    assert settings.optimizer == fastnn.AdamW(lr=0.01, weight_decay=0.1)
    assert (settings.clip_norm, settings.class_weight, settings.batch_size) == (
        2.0,
        "balanced",
        None,
    )
    assert trainer.settings.average == fastnn.EMA(0.9)
    assert trainer.settings.loss.parameters["label_smoothing"] == 0.1
    assert type(trainer.settings.schedule).__name__ == "Cosine"


# For each setting of network and training a value that is not its default.
CHANGED = {
    "hidden": [8, 8],
    "activation": ["tanh", "gelu"],
    "dropout": 0.25,
    "norm": "layer",
    "residual": True,
    "dtype": "float64",
    "loss": "mae",
    "quantiles": [0.1, 0.9],
    "label_smoothing": 0.125,
    "optimizer": "sgd",
    "lr": 0.125,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.25,
    "l2": 0.5,
    "schedule": "cosine",
    "batch_size": 16,
    "balanced": True,
    "clip_norm": 2.0,
    "ema": 0.75,
    "lazy": True,
    "threads": 1,
}
OF_A_FIT = {"epochs", "patience", "monitor", "metrics", "checkpoint_minutes"}  # not of the trainer


def test_no_setting_is_forgotten():
    of_trainer = {
        name
        for name, field in Config.model_fields.items()
        if field.json_schema_extra["panel"] in ("Network", "Training")
    }
    assert of_trainer == CHANGED.keys() | OF_A_FIT


@pytest.mark.parametrize("name", sorted(CHANGED.keys() - {"loss", "quantiles", "label_smoothing", "lazy"}))
def test_every_setting_changes_what_it_is_named_for(name):
    """Network and trainer of a configuration with one setting changed differ from those of the defaults."""

    def made(**settings):
        if name in ("momentum", "nesterov", "weight_decay"):
            settings["optimizer"] = "sgd"
        if name == "nesterov":
            settings["momentum"] = 0.9
        if name in ("activation", "residual"):
            settings["hidden"] = [8, 8]
        config = make_config(source="x", **settings)
        net = assembly.make_network(config, 8, 3)
        trainer = assembly.make_trainer(config, net, fastnn.Loss("cross_entropy"))
        return repr(net), net.init, repr(trainer.settings), repr(trainer.state.rng.bit_generator.state)

    assert made(**{name: CHANGED[name]}) != made()


def test_lazy_updates_reach_the_trainer():
    config = make_config(source="x", lazy=True, l2=0.0)
    net = assembly.make_network(config, 3, 2)
    assert assembly.make_trainer(config, net, fastnn.Loss("cross_entropy")).settings.lazy


def test_a_new_field_needs_no_other_line(monkeypatch):
    """A setting that is named like a parameter of the trainer reaches it without being mentioned anywhere."""

    class Extended(Config):
        accumulate: int = 1
        input_dropout: float = 0.0
        beta1: float = 0.9
        delta: float = 1.0

    monkeypatch.setattr(assembly, "Config", Extended)
    config = Extended(source="x", loss="huber", accumulate=4, input_dropout=0.5, beta1=0.5, delta=2.0)
    net = assembly.make_network(config, 3, 1)
    target = Target("y").fit([0.5, 1.5, 2.25])
    trainer = assembly.make_trainer(config, net, assembly.choose_loss(config, target))
    assert (trainer.settings.accumulate, net.input_dropout) == (4, 0.5)
    assert trainer.settings.optimizer == fastnn.Adam(beta1=0.5)
    assert trainer.settings.loss == fastnn.Loss("huber", delta=2.0)


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, fastnn.Loss("mse")),
        ({"quantiles": [0.5]}, fastnn.Loss("quantile", levels=[0.5])),
        ({"loss": "huber"}, fastnn.Loss("huber")),
    ],
)
def test_losses_of_a_regression(settings, loss):
    target = Target("y").fit(np.array([0.5, 1.5, 2.25]))
    assert assembly.choose_loss(make_config(source="x", **settings), target) == loss


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "mse"}, "loss 'mse' cannot be used for classification"),
        ({"loss": "kl_divergence"}, "loss 'kl_divergence' cannot be used for classification"),
        ({"loss": "hinge"}, "loss 'hinge' needs 2 classes, but 'y' has 3"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "loss 'hinge' has no parameters"),
        ({"loss": "cross_entropy", "quantiles": [0.5]}, "quantiles need loss 'quantile', but loss is 'cross"),
        ({"loss": "corss_entropy"}, "Did you mean 'cross_entropy'"),
    ],
)
def test_losses_that_cannot_be_used(settings, message):
    target = Target("y").fit(["a", "b", "c"])
    with pytest.raises(ValueError, match=message):
        assembly.choose_loss(make_config(source="x", **settings), target)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_settings_that_an_optimiser_lacks(name):
    config = make_config(source="x", optimizer="lion", **{name: 1})
    with pytest.raises(ValueError, match=f"{name} cannot be combined with optimizer 'lion'"):
        assembly.make_optimizer(config)


def test_early_stopping():
    assert assembly.make_early_stopping(make_config(source="x")) is None
    rule = assembly.make_early_stopping(make_config(source="x", patience=4, monitor="cost", validation=0))
    assert rule == fastnn.EarlyStopping("cost", patience=4)
    with pytest.raises(ValueError, match="validation is 0: set rows aside"):
        assembly.make_early_stopping(make_config(source="x", patience=4, validation=0))
