"""Networks from Keras' Sequential models, read without Keras."""

from __future__ import annotations

import functools
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import _checks
from ..network.mlp import MLP
from .arguments import check_output, content_errors, existing_file
from .steps import Activate, BatchNorm, Dense, LayerNorm, Scale, Step, network_of

# fastnn's names and alphas of Keras' activations.
_ACTIVATIONS: dict[str, tuple[str, float | None]] = {
    "linear": ("identity", None),
    "relu": ("relu", None),
    "tanh": ("tanh", None),
    "sigmoid": ("sigmoid", None),
    "softmax": ("softmax", None),
    "exponential": ("exp", None),
    "elu": ("elu", 1.0),
    "selu": ("selu", None),
    "gelu": ("gelu", None),
    "silu": ("silu", None),
    "swish": ("silu", None),
    "mish": ("mish", None),
    "softplus": ("softplus", None),
    "leaky_relu": ("leaky_relu", 0.2),
    "hard_sigmoid": ("hard_sigmoid", None),
    "hard_silu": ("hard_swish", None),
    "hard_swish": ("hard_swish", None),
}
# Layers that do nothing at prediction.
_IGNORED = {
    "InputLayer",
    "Dropout",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Flatten",
}
# Groups of a .keras file with the weights of a layer: the class's name in snake case; a number follows.
_GROUPS = {
    "Dense": "dense",
    "BatchNormalization": "batch_normalization",
    "LayerNormalization": "layer_normalization",
    "Normalization": "normalization",
    "PReLU": "p_re_lu",
}


def from_keras(path: str | os.PathLike[str], *, output: str | None = None) -> MLP:
    """Read a network from a ``Sequential`` model that Keras saved, in either of its formats.

    The model may have Dense layers with activations, Activation, ReLU, LeakyReLU, PReLU, ELU and Softmax
    layers, BatchNormalization, LayerNormalization with an epsilon of 1e-5, Normalization and Rescaling.
    Dropout and noise, which do nothing at prediction, are left out. Neither Keras nor TensorFlow is needed.

    Parameters
    ----------
    path : path-like
        A ``.keras`` file, or an HDF5 file (``.h5``) of a whole model.
    output : str, optional
        Activation of the output layer, if the model ends without one: "softmax" for a classifier that
        returns logits.

    Returns
    -------
    MLP
        float64 if the model's weights are.

    Raises
    ------
    ValueError
        If it is damaged, not a Keras model, or has a layer that fastnn does not have; the message names the
        layer.
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.

    Examples
    --------
    >>> import h5py, json, numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.h5"
    >>> layer = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "softmax"}}
    >>> config = {"class_name": "Sequential", "config": {"layers": [layer]}}
    >>> with h5py.File(path, "w") as file:
    ...     file.attrs["model_config"] = json.dumps(config)
    ...     group = file.create_group("model_weights/d")
    ...     group.attrs["weight_names"] = ["d/kernel", "d/bias"]
    ...     group["d/kernel"], group["d/bias"] = np.ones((3, 2), "f4"), np.zeros(2, "f4")
    >>> from_keras(path)
    MLP([3, 2], activation=[], output='softmax', dtype='float32')
    """
    output = check_output(output)
    h5py = _checks.require("h5py", "keras")
    path = existing_file(path, "path")
    with content_errors(path, "Keras model"):
        config, version, weights = _read(h5py, path)
        layers = _layers(config)
        steps: list[Step] = []
        for index, layer in enumerate(layers):
            steps += _steps(layer, weights(index, layers), version)
        return network_of(steps, output=output)


_Weights = Callable[[int, list[dict[str, Any]]], dict[str, np.ndarray]]


def _read(h5py: ModuleType, path: Path) -> tuple[dict[str, Any], str, _Weights]:
    """Return the model's config, Keras' version, and a function that returns a layer's weights by name.

    Its arguments are the layer's index and all layers.
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
                metadata = json.loads(archive.read("metadata.json"))
                content = archive.read("model.weights.h5")
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"it is damaged: {error}.") from None
        groups = _arrays_by_group(h5py, content)
        version = str(metadata.get("keras_version", "3"))
        return config, version, functools.partial(_weights_of_zip, groups)
    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise ValueError("it has weights but no model_config: save the whole model with model.save.")
            config = json.loads(file.attrs["model_config"])
            version = file.attrs.get("keras_version", "3")
            version = version.decode() if isinstance(version, bytes) else str(version)
            weights = {name: _weights_of_group(group) for name, group in file["model_weights"].items()}
    except OSError as error:
        raise ValueError(f"it is damaged, or neither a .keras nor an HDF5 file ({error}).") from None
    return config, version, lambda index, layers: weights.get(layers[index]["config"]["name"], {})


def _weights_of_group(group: Any) -> dict[str, np.ndarray]:
    """Return a layer's arrays in an .h5 file: "dense/kernel:0" is its kernel."""
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs["weight_names"]]
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(group[name]) for name in names}


def _arrays_by_group(h5py: ModuleType, content: bytes) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each group of a .keras file, in order."""
    with h5py.File(io.BytesIO(content), "r") as file:
        roots = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3 and 2
        root: Any = next((file[name] for name in roots if name in file), {})
        groups = {name: group["vars"] for name, group in root.items() if "vars" in group}
        return {
            name: [np.asarray(group[key]) for key in sorted(group, key=int)] for name, group in groups.items()
        }


def _weights_of_zip(
    groups: dict[str, list[np.ndarray]], index: int, layers: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    """Return a layer's arrays in a .keras file by name."""
    kind = layers[index]["class_name"]
    if kind not in _GROUPS:
        return {}
    number = sum(layer["class_name"] == kind for layer in layers[:index])
    name = f"{_GROUPS[kind]}_{number}" if number else _GROUPS[kind]
    arrays, names = groups.get(name, []), _weight_names(layers[index])
    if len(arrays) < len(names):
        raise ValueError(f"{_describe(layers[index])} has {len(arrays)} arrays, expected {', '.join(names)}.")
    return dict(zip(names, arrays, strict=False))


def _weight_names(layer: dict[str, Any]) -> list[str]:
    """Return the names of a layer's weights, in Keras' order."""
    kind, config = layer["class_name"], layer["config"]
    if kind == "Dense":
        return ["kernel", "bias"] if config.get("use_bias", True) else ["kernel"]
    if kind == "PReLU":
        return ["alpha"]
    if kind == "Normalization":
        return [] if config.get("mean") is not None else ["mean", "variance"]
    names = ["gamma"] * bool(config.get("scale", True)) + ["beta"] * bool(config.get("center", True))
    return names + ["moving_mean", "moving_variance"] * (kind == "BatchNormalization")


def _layers(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers of a Sequential model."""
    if config.get("class_name") != "Sequential":
        raise ValueError(f"it is a model of class {config.get('class_name')!r}: expected 'Sequential'.")
    inner = config["config"]
    return inner if isinstance(inner, list) else inner["layers"]


def _describe(layer: dict[str, Any]) -> str:
    """Return what messages call a layer."""
    return f"layer {layer['config'].get('name')!r} ({layer['class_name']})"


def _steps(layer: dict[str, Any], arrays: dict[str, np.ndarray], version: str) -> list[Step]:
    """Return the steps of a layer."""
    kind, config, where = layer["class_name"], layer["config"], _describe(layer)
    for name in _weight_names(layer) if kind in _GROUPS else []:
        if name not in arrays:
            raise ValueError(f"{where} has no {name}: its weights are not in the file.")
        if arrays[name].dtype.kind != "f":
            raise ValueError(f"{where}: its {name} is of dtype {arrays[name].dtype}, expected float.")
    if kind in _IGNORED:
        return []
    if kind == "Dense":
        weight = arrays["kernel"]
        bias = arrays.get("bias", np.zeros(weight.shape[-1], weight.dtype))
        return [Dense(weight, bias, where), _activation(config.get("activation"), where, version)]
    if kind == "Activation":
        return [_activation(config["activation"], where, version)]
    if kind in ("BatchNormalization", "LayerNormalization"):
        return [_norm(kind, config, arrays, where)]
    if kind == "Normalization":
        return [_normalization(config, arrays, where)]
    if kind == "Rescaling":
        return [Scale(np.asarray(config["scale"]), np.asarray(config.get("offset", 0.0)), where)]
    return [_activation_layer(kind, config, arrays, where)]


def _activation(given: Any, where: str, version: str) -> Step:
    """Return the step of an activation that a config names."""
    name = "linear" if given is None else given
    if isinstance(name, dict):
        name = name.get("config") if isinstance(name.get("config"), str) else name.get("class_name")
    if name not in _ACTIVATIONS or (name == "hard_sigmoid" and version.startswith("2")):
        raise ValueError(
            f"{where}: activation {name!r} is not one of {', '.join(_ACTIVATIONS)}, as Keras 3 defines them."
        )
    return Activate(*_ACTIVATIONS[name], where)


def _norm(kind: str, config: dict[str, Any], arrays: dict[str, np.ndarray], where: str) -> Step:
    axis = config.get("axis", -1)
    if axis not in (1, -1, [1], [-1]):
        raise ValueError(f"{where} works along axis {axis}: expected -1, across the outputs of a row.")
    if not arrays:
        raise ValueError(f"{where} has neither scale nor center: expected at least one of them.")
    example = next(iter(arrays.values()))
    gain, shift = arrays.get("gamma", np.ones_like(example)), arrays.get("beta", np.zeros_like(example))
    eps = config.get("epsilon", 1e-3)
    if kind == "LayerNormalization":
        return LayerNorm(gain, shift, eps, where)
    return BatchNorm(gain, shift, arrays["moving_mean"], arrays["moving_variance"], eps, where)


def _normalization(config: dict[str, Any], arrays: dict[str, np.ndarray], where: str) -> Step:
    mean = np.asarray(arrays.get("mean", config.get("mean")), np.float64).reshape(-1)
    variance = np.asarray(arrays.get("variance", config.get("variance")), np.float64).reshape(-1)
    deviation = np.maximum(np.sqrt(variance), 1e-7)  # as in Keras
    if config.get("invert"):
        return Scale(deviation, mean, where)
    return Scale(1 / deviation, -mean / deviation, where)


def _activation_layer(kind: str, config: dict[str, Any], arrays: dict[str, np.ndarray], where: str) -> Step:
    if kind == "PReLU":
        return Activate("prelu", arrays["alpha"].reshape(-1), where)
    if kind == "LeakyReLU":
        return Activate("leaky_relu", _number(config.get("negative_slope", config.get("alpha", 0.3))), where)
    if kind == "ELU":
        return Activate("elu", _number(config.get("alpha", 1.0)), where)
    if kind == "Softmax" and config.get("axis", -1) in (1, -1, [1], [-1]):
        return Activate("softmax", None, where)
    if kind == "ReLU" and config.get("max_value") is None and not config.get("threshold"):
        slope = _number(config.get("negative_slope") or 0.0)
        return Activate("leaky_relu", slope, where) if slope else Activate("relu", None, where)
    raise ValueError(f"{where} is a layer that fastnn does not have, or not with these settings.")


def _number(value: Any) -> float:
    """Return a number of a config, which older versions of Keras write as an array."""
    return float(value["config"]["value"] if isinstance(value, dict) else value)
