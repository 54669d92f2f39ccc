"""fastnn: training multilayer perceptrons on a CPU, fast.

The public names are imported when they are first used, so ``import fastnn`` itself costs little.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOMES = {
    "MLP": "network",
    "Model": "model",
    "load": "network",
    "Activation": "activations",
    "Loss": "losses",
    "Trainer": "trainer",
    "DivergenceError": "trainer",
    "EarlyStopping": "stopping",
    "Callback": "callbacks",
    "Checkpoint": "checkpoint",
    "EMA": "averaging",
    "SWA": "averaging",
    "find_lr": "lr_finder",
    "JsonLog": "logs",
    "TensorBoard": "logs",
    "RecordBoundary": "recording",
    "RecordHistograms": "recording",
    "Stream": "data.stream",
    "tune": "tuning",
    "Optimizer": "optimizers",
    "SGD": "optimizers",
    "RMSprop": "optimizers",
    "Adagrad": "optimizers",
    "Adadelta": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "NAdam": "optimizers",
    "RAdam": "optimizers",
    "Lion": "optimizers",
    "LBFGS": "optimizers",
    "History": "history",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
