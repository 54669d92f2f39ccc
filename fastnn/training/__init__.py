"""Training: the trainer, its parts, and its callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .averages import EMA as EMA
    from .averages import SWA as SWA
    from .callbacks import Callback as Callback
    from .checkpoint import Checkpoint as Checkpoint
    from .logs import JsonLog as JsonLog
    from .logs import TensorBoard as TensorBoard
    from .loop import DivergenceError as DivergenceError
    from .recording import RecordBoundary as RecordBoundary
    from .recording import RecordHistograms as RecordHistograms
    from .stopping import EarlyStopping as EarlyStopping
    from .trainer import Trainer as Trainer

_HOMES = {
    "Trainer": "trainer",
    "DivergenceError": "loop",
    "EarlyStopping": "stopping",
    "Callback": "callbacks",
    "Checkpoint": "checkpoint",
    "EMA": "averages",
    "SWA": "averages",
    "JsonLog": "logs",
    "TensorBoard": "logs",
    "RecordBoundary": "recording",
    "RecordHistograms": "recording",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
