"""fastnn: training multilayer perceptrons on a CPU, fast.

The public names are imported when they are first used, so ``import fastnn`` itself costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__

if TYPE_CHECKING:
    from .activations import Activation as Activation
    from .data import Stream as Stream
    from .estimators import MLPClassifier as MLPClassifier
    from .estimators import MLPRegressor as MLPRegressor
    from .history import History as History
    from .losses import Loss as Loss
    from .model import Model as Model
    from .network import MLP as MLP
    from .network import load as load
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
    from .training import EMA as EMA
    from .training import SWA as SWA
    from .training import Callback as Callback
    from .training import Checkpoint as Checkpoint
    from .training import DivergenceError as DivergenceError
    from .training import EarlyStopping as EarlyStopping
    from .training import JsonLog as JsonLog
    from .training import RecordBoundary as RecordBoundary
    from .training import RecordHistograms as RecordHistograms
    from .training import TensorBoard as TensorBoard
    from .training import Trainer as Trainer
    from .tuning import find_lr as find_lr
    from .tuning import tune as tune

_HOMES = {
    "MLP": "network",
    "Model": "model",
    "load": "network",
    "Activation": "activations",
    "Loss": "losses",
    "Trainer": "training",
    "DivergenceError": "training",
    "EarlyStopping": "training",
    "Callback": "training",
    "Checkpoint": "training",
    "EMA": "training",
    "SWA": "training",
    "find_lr": "tuning",
    "JsonLog": "training",
    "TensorBoard": "training",
    "RecordBoundary": "training",
    "RecordHistograms": "training",
    "Stream": "data",
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
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
