"""Cost of a step with each feature."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn.activations import NAMES
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS

from .common import Network, step_us

_NETWORK = Network((64, 128, 128, 64, 10), 64, "small")

# Options of the network and of the trainer, by feature.
_FEATURES: dict[str, tuple[dict, dict]] = {
    "plain": ({}, {}),
    "dropout": ({"dropout": 0.2}, {}),
    "batch norm": ({"norm": "batch"}, {}),
    "layer norm": ({"norm": "layer"}, {}),
    "residual": ({"residual": True}, {}),
    "l1": ({}, {"l1": 0.1}),
    "l2": ({}, {"l2": 0.1}),
    "clip value": ({}, {"clip_value": 0.1}),
    "clip norm": ({}, {"clip_norm": 1.0}),
    "accumulate 4": ({}, {"accumulate": 4}),
    "max norm": ({}, {"max_norm": 2.0}),
    "EMA": ({}, {"average": fastnn.EMA()}),
    "one cycle": ({}, {"schedule": "one_cycle"}),
    "class weight": ({}, {"class_weight": "balanced"}),
    "label smoothing": ({}, {"loss": fastnn.Loss("cross_entropy", label_smoothing=0.1)}),
    "focal": ({}, {"loss": "focal"}),
}


class Features:
    """Each feature by itself, one thread: its cost is the difference from "plain"."""

    params = (list(_FEATURES),)
    param_names = ("feature",)
    unit = "us"

    def track_step(self, feature):
        of_net, of_trainer = _FEATURES[feature]
        return step_us(_NETWORK, n_threads=1, of_net=of_net, of_trainer=of_trainer)


class Activations:
    """Every activation of hidden layers, one thread."""

    params = ([name for name in NAMES if name != "exp"],)
    param_names = ("activation",)
    unit = "us"

    def track_step(self, activation):
        return step_us(_NETWORK, n_threads=1, of_net={"activation": activation})


class Losses:
    """Every loss, one thread."""

    params = (list(LOSSES),)
    param_names = ("loss",)
    unit = "us"

    def track_step(self, loss):
        kind = LOSSES[loss].kind
        of_values = kind in ("values", "nonnegative", "positive")
        n_out = 1 if of_values else _NETWORK.sizes[-1]
        network = _NETWORK._replace(sizes=(*_NETWORK.sizes[:-1], n_out))

        def targets(y):
            if kind == "class":
                return y
            return y + 0.5 if of_values else np.eye(n_out)[y]

        return step_us(network, n_threads=1, of_trainer={"loss": loss}, targets=targets)


class Updates:
    """Every optimiser that steps, one thread."""

    params = ([name for name in OPTIMIZERS if name != "lbfgs"],)
    param_names = ("optimizer",)
    unit = "us"

    def track_step(self, optimizer):
        return step_us(_NETWORK, optimizer, n_threads=1)
