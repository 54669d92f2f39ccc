"""fastnn: training multilayer perceptrons on a CPU, fast.

The public names are imported when they are first used, so ``import fastnn`` itself costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__

if TYPE_CHECKING:
    from .activations import Activation as Activation
    from .data.streams.stream import Stream as Stream
    from .estimators.classifier import MLPClassifier as MLPClassifier
    from .estimators.regressor import MLPRegressor as MLPRegressor
    from .history import History as History
    from .losses import Loss as Loss
    from .model import Model as Model
    from .network.mlp import MLP as MLP
    from .network.mlp import load as load
    from .optimizers import LBFGS as LBFGS
    from .optimizers import SGD as SGD
    from .optimizers import Adadelta as Adadelta
    from .optimizers import Adagrad as Adagrad
    from .optimizers import Adam as Adam
    from .optimizers import AdamW as AdamW
    from .optimizers import Lion as Lion
    from .optimizers import NAdam as NAdam
    from .optimizers import Optimizer as Optimizer
    from .optimizers import RAdam as RAdam
    from .optimizers import RMSprop as RMSprop
    from .training.averages import EMA as EMA
    from .training.averages import SWA as SWA
    from .training.callbacks import Callback as Callback
    from .training.checkpoint import Checkpoint as Checkpoint
    from .training.logs import JsonLog as JsonLog
    from .training.logs import TensorBoard as TensorBoard
    from .training.recording import RecordBoundary as RecordBoundary
    from .training.recording import RecordHistograms as RecordHistograms
    from .training.stopping import EarlyStopping as EarlyStopping
    from .training.trainer import DivergenceError as DivergenceError
    from .training.trainer import Trainer as Trainer
    from .tuning.lr_finder import find_lr as find_lr
    from .tuning.search import tune as tune

_HOMES = {
    "MLP": "network.mlp",
    "Model": "model",
    "load": "network.mlp",
    "Activation": "activations",
    "Loss": "losses",
    "Trainer": "training.trainer",
    "DivergenceError": "training.trainer",
    "EarlyStopping": "training.stopping",
    "Callback": "training.callbacks",
    "Checkpoint": "training.checkpoint",
    "EMA": "training.averages",
    "SWA": "training.averages",
    "find_lr": "tuning.lr_finder",
    "JsonLog": "training.logs",
    "TensorBoard": "training.logs",
    "RecordBoundary": "training.recording",
    "RecordHistograms": "training.recording",
    "Stream": "data.streams.stream",
    "tune": "tuning.search",
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
    "MLPClassifier": "estimators.classifier",
    "MLPRegressor": "estimators.regressor",
}
__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
