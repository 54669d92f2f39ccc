"""Networks from Keras' Sequential models, read without Keras."""

from __future__ import annotations

import functools
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._documents import parse_json
from .._unpack import open_zip, read_member
from ..network.files import refusing
from ..network.mlp import MLP
from .arguments import check_output, existing_file
from .hdf5 import Hdf5Reader, open_hdf5
from .steps import Activate, BatchNorm, Dense, LayerNorm, Scale, Step, check_growth, network_of

_MAX_LAYERS = 10_000  # limit for files, which may come from strangers

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
    path = existing_file(path, "path")
    with refusing(path, "Keras model"):
        config, version, weights, n_numbers = _read(path)
        layers = _layers(config)
        steps: list[Step] = []
        for index, layer in enumerate(layers):
            steps += _steps(layer, weights(index, layers), version)
        check_growth(steps, n_numbers)
        return network_of(steps, output=output)


_Weights = Callable[[int, list[dict[str, Any]]], dict[str, np.ndarray]]


def _read(path: Path) -> tuple[dict[str, Any], str, _Weights, int]:
    """Return the model's config, Keras' version, a function that returns a layer's weights, and their number.

    The function's arguments are the layer's index and all layers; it returns arrays by name.
    """
    if zipfile.is_zipfile(path):
        with open_zip(path) as archive:
            config = parse_json(read_member(archive, "config.json"))
            metadata = parse_json(read_member(archive, "metadata.json"))
            content = read_member(archive, "model.weights.h5")
        with open_hdf5(content) as reader:
            groups = _arrays_by_group(reader)
        version = str(metadata.get("keras_version", "3"))
        return config, version, functools.partial(_weights_of_zip, groups), reader.n_numbers
    with open_hdf5(path) as reader:
        attributes = reader.file.attrs
        config = attributes.get("model_config")
        if config is None:
            raise ValueError("it has weights but no model_config: save the whole model with model.save.")
        if not isinstance(config, (str, bytes)):
            raise ValueError("its model_config is not text.")
        config = parse_json(config)
        version = attributes.get("keras_version", "3")
        version = version.decode() if isinstance(version, bytes) else str(version)
        root = reader.find(reader.file, "model_weights")
        weights = {name: _weights_of_group(reader, group) for name, group in reader.groups(root)}
    return (
        config,
        version,
        lambda index, layers: weights.get(layers[index]["config"]["name"], {}),
        reader.n_numbers,
    )


def _weights_of_group(reader: Hdf5Reader, group: Any) -> dict[str, np.ndarray]:
    """Return a layer's arrays in an .h5 file: "dense/kernel:0" is its kernel."""
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs["weight_names"]]
    return {name.rpartition("/")[2].partition(":")[0]: reader.read(group, name) for name in names}


def _arrays_by_group(reader: Hdf5Reader) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each group of a .keras file, in order."""
    roots = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3 and 2
    root = next((reader.find(reader.file, name) for name in roots if reader.has(reader.file, name)), None)
    groups = [] if root is None else reader.groups(root)
    found = {name: reader.find(group, "vars") for name, group in groups if reader.has(group, "vars")}
    return {
        name: [reader.read(group, key) for key in sorted(group, key=int)] for name, group in found.items()
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
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind != "Sequential":
        raise ValueError(f"it is a model of class {kind!r:.80}: expected 'Sequential'.")
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner["layers"]
    if not isinstance(layers, list) or len(layers) > _MAX_LAYERS:
        raise ValueError(f"its layers must be a list of at most {_MAX_LAYERS}.")
    for layer in layers:
        own = layer.get("config") if isinstance(layer, dict) else None
        if not (isinstance(own, dict) and isinstance(layer.get("class_name"), str)):
            raise ValueError("each of its layers must be an object with a class_name and a config.")
        if not isinstance(own.get("name", ""), str):
            raise ValueError(f"the name of a layer must be text, got {_checks.shown(own['name'])}.")
    return layers


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
        bias = arrays.get("bias", np.zeros(weight.shape[-1:], weight.dtype))
        return [Dense(weight, bias, where), _activation(config.get("activation"), where, version)]
    if kind == "Activation":
        return [_activation(config["activation"], where, version)]
    if kind in ("BatchNormalization", "LayerNormalization"):
        return [_norm(kind, config, arrays, where)]
    if kind == "Normalization":
        return [_normalization(config, arrays, where)]
    if kind == "Rescaling":
        offset = _checks.as_finite(f"offset of {where}", config.get("offset", 0.0))
        return [Scale(_checks.as_finite(f"scale of {where}", config["scale"]), offset, where)]
    return [_activation_layer(kind, config, arrays, where)]


def _activation(given: Any, where: str, version: str) -> Step:
    """Return the step of an activation that a config names."""
    name = "linear" if given is None else given
    if isinstance(name, dict):
        name = name.get("config") if isinstance(name.get("config"), str) else name.get("class_name")
    found = _ACTIVATIONS.get(name) if isinstance(name, str) else None
    if found is None or (name == "hard_sigmoid" and version.startswith("2")):
        raise ValueError(
            f"{where}: activation {_checks.shown(name)} is not one of {', '.join(_ACTIVATIONS)}, as Keras 3 "
            "defines them."
        )
    return Activate(*found, where)


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
    given = {name: arrays.get(name, config.get(name)) for name in ("mean", "variance")}
    mean, variance = (_checks.as_finite(f"{name} of {where}", given[name]).reshape(-1) for name in given)
    if variance.min(initial=0.0) < 0:
        raise ValueError(f"variance of {where} must be at least 0, got {variance.min():g}.")
    deviation = np.maximum(np.sqrt(variance), 1e-7)  # as in Keras
    if config.get("invert"):
        return Scale(deviation, mean, where)
    return Scale(1 / deviation, -mean / deviation, where)


def _activation_layer(kind: str, config: dict[str, Any], arrays: dict[str, np.ndarray], where: str) -> Step:
    if kind == "PReLU":
        return Activate("prelu", arrays["alpha"].reshape(-1), where)
    if kind == "LeakyReLU":
        slope = config.get("negative_slope", config.get("alpha", 0.3))
        return Activate("leaky_relu", _number(slope, where), where)
    if kind == "ELU":
        return Activate("elu", _number(config.get("alpha", 1.0), where), where)
    if kind == "Softmax" and config.get("axis", -1) in (1, -1, [1], [-1]):
        return Activate("softmax", None, where)
    if kind == "ReLU" and config.get("max_value") is None and not config.get("threshold"):
        slope = _number(config.get("negative_slope") or 0.0, where)
        return Activate("leaky_relu", slope, where) if slope else Activate("relu", None, where)
    raise ValueError(f"{where} is a layer that fastnn does not have, or not with these settings.")


def _number(value: Any, where: str) -> float:
    """Return the slope of a layer's config, which older versions of Keras write as an array."""
    value = value["config"]["value"] if isinstance(value, dict) else value
    return _checks.check_number(f"the slope of {where}", value, -np.inf)
