"""Networks to and from other programs: ONNX, PyTorch, scikit-learn and Keras.

Every reader turns a file or a fitted model into the same few steps (:mod:`fastnn.exchange.steps`), of which
one function makes a network; every writer starts from a network's steps. No code of a file is run: nothing
is unpickled. Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .keras_weights import from_keras as from_keras
    from .onnx_export import to_onnx as to_onnx
    from .onnx_import import from_onnx as from_onnx
    from .sklearn_models import from_sklearn as from_sklearn
    from .sklearn_models import to_sklearn as to_sklearn
    from .torch_weights import from_state_dict as from_state_dict
    from .torch_weights import save_torch as save_torch
    from .torch_weights import to_state_dict as to_state_dict

_HOMES = {
    "to_onnx": "onnx_export",
    "from_onnx": "onnx_import",
    "to_state_dict": "torch_weights",
    "from_state_dict": "torch_weights",
    "save_torch": "torch_weights",
    "to_sklearn": "sklearn_models",
    "from_sklearn": "sklearn_models",
    "from_keras": "keras_weights",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
