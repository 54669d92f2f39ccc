"""Networks to and from other programs: ONNX, PyTorch, scikit-learn and Keras.

Every way in reads a file or a fitted model into the same few steps (:mod:`fastnn.exchange.steps`), of which
one function makes a network; the ways out start from a network's steps. No file is trusted with code: nothing
is unpickled. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib

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
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'fastnn.exchange' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
