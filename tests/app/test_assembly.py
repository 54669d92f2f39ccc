"""From a configuration to network and trainer."""

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pandas")
import fastnn
from fastnn.app import workflow
from fastnn.app.preparation import prepare


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
    assert trainer.optimizer == fastnn.AdamW(lr=0.01, weight_decay=0.1)
    assert (trainer.clip_norm, trainer.class_weight, trainer.batch_size) == (2.0, "balanced", None)
    assert trainer.average == fastnn.EMA(0.9)
    assert trainer.loss.parameters["label_smoothing"] == 0.1
    assert type(trainer.schedule).__name__ == "Cosine"
