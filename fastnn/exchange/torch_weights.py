"""Weights to and from PyTorch, by the names that ``nn.Sequential`` gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..activations import Activation, as_activation
from ..network import files as model_file
from ..network.mlp import MLP
from .steps import (
    Activate,
    BatchNorm,
    Dense,
    LayerNorm,
    Step,
    as_network,
    checked_output,
    existing,
    network_of,
    reading,
    steps_of,
)

_PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}

# How PyTorch writes what fastnn has; one name stands for all modules without a parameter.
_MODULES = {
    "relu": "ReLU()",
    "tanh": "Tanh()",
    "sigmoid": "Sigmoid()",
    "leaky_relu": "LeakyReLU({alpha})",
    "elu": "ELU({alpha})",
    "selu": "SELU()",
    "gelu": "GELU()",
    "gelu_tanh": "GELU('tanh')",
    "silu": "SiLU()",
    "mish": "Mish()",
    "softplus": "Softplus()",
    "hard_sigmoid": "Hardsigmoid()",
    "hard_swish": "Hardswish()",
    "softmax": "Softmax(1)",
}


def to_state_dict(net: Any) -> dict[str, np.ndarray]:
    """The weights by the names of the ``nn.Sequential`` that computes the same.

    Its modules are, for each layer, ``Linear``, ``BatchNorm1d`` or ``LayerNorm`` if the layer is normalised,
    and the activation's; none stands for "identity". Dropout, which has no weights and does nothing at
    prediction, is left out. So a network with ReLU has "0.weight", (n_out, n_in), "0.bias", "2.weight" and
    so on.

    Parameters
    ----------
    net : MLP, or fitted MLPClassifier or MLPRegressor

    Returns
    -------
    dict of str to ndarray
        Copies. With PyTorch: ``model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})``.

    Raises
    ------
    ValueError
        If the network has embeddings, residual connections or an activation of your own.

    Examples
    --------
    >>> import fastnn
    >>> state = to_state_dict(fastnn.MLP([4, 8, 3], "relu", seed=0))
    >>> {name: array.shape for name, array in state.items()}
    {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
    """
    return _sequential(as_network(net, "to_state_dict"))[0]


def save_torch(net: Any, path: str | os.PathLike[str]) -> None:
    """Write the weights of :func:`to_state_dict` to a safetensors file, beside first and then renamed.

    Its metadata say under "modules" which ``nn.Sequential`` they belong to. PyTorch reads them by
    ``model.load_state_dict(safetensors.torch.load_file(path))``.

    Raises
    ------
    ValueError
        As :func:`to_state_dict`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile, fastnn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "torch.safetensors"
    >>> save_torch(fastnn.MLP([4, 8, 3], "gelu", output="softmax", seed=0), path)
    >>> from_state_dict(path, "gelu", output="softmax").sizes
    (4, 8, 3)
    """
    from safetensors.numpy import save

    state, modules = _sequential(as_network(net, "save_torch"))
    # One entry: safetensors writes several in an order that differs from run to run.
    model_file.write_atomically(
        path, save(state, metadata={"modules": f"nn.Sequential({', '.join(modules)})"})
    )


def _sequential(net: MLP) -> tuple[dict[str, np.ndarray], list[str]]:
    """Weights by their names in PyTorch, and the modules as PyTorch writes them."""
    state: dict[str, np.ndarray] = {}
    modules: list[str] = []

    def add(module: str, **arrays: np.ndarray) -> None:
        state.update({f"{len(modules)}.{name}": np.ascontiguousarray(a) for name, a in arrays.items()})
        modules.append(module)

    n_out = 0
    for step in steps_of(net, "nn.Sequential"):
        if isinstance(step, Dense):
            n_in, n_out = step.weight.shape
            add(f"nn.Linear({n_in}, {n_out})", weight=step.weight.T, bias=step.bias)
        elif isinstance(step, BatchNorm):
            add(
                f"nn.BatchNorm1d({n_out})",
                weight=step.gain,
                bias=step.shift,
                running_mean=step.mean,
                running_var=step.variance,
                num_batches_tracked=np.array(0, np.int64),
            )
        elif isinstance(step, LayerNorm):
            add(f"nn.LayerNorm({n_out})", weight=step.gain, bias=step.shift)
        elif isinstance(step, Activate) and step.name == "prelu":
            add(f"nn.PReLU({n_out})", weight=step.alpha)
        elif isinstance(step, Activate) and step.name != "identity":
            if step.name not in _MODULES:
                raise ValueError(
                    f"the network has the activation {step.name!r}, for which PyTorch has no module."
                )
            add("nn." + _MODULES[step.name].format(alpha=step.alpha))
    return state, modules


def from_state_dict(
    state: Mapping[str, Any] | str | os.PathLike[str],
    activation: str | Activation | Sequence[str | Activation] = "relu",
    *,
    output: str | None = None,
) -> MLP:
    """A network from the weights of PyTorch's ``nn.Linear`` modules, one after the other.

    Entries of ``BatchNorm1d``, ``LayerNorm`` and ``PReLU`` are recognised by what they hold. Where all
    modules' names have the same words and differ in their numbers ("0", "2"; "model.fc1", "model.fc2"), the
    numbers are their order; else it is that of the dict, as PyTorch's ``state_dict()`` gives it. Which
    activations and which output there are, no state dict says.

    Parameters
    ----------
    state : dict of str to Tensor or ndarray, or path-like
        A state dict, or a safetensors file with one.
    activation : str, Activation or sequence of them, default="relu"
        Of the hidden layers, one for all or one each; layers with entries of a PReLU have "prelu".
    output : str, optional
        Of the output layer, by default "identity": give "softmax" for a classifier that was trained with
        ``CrossEntropyLoss``.

    Returns
    -------
    MLP
        float64 if the weights are.

    Raises
    ------
    ValueError
        If there are no Linear modules, their shapes do not chain, entries are of no known module, the order
        cannot be told, or the file is a pickle, which may run code.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import numpy as np
    >>> state = {"0.weight": np.ones((8, 4)), "0.bias": np.zeros(8), "2.weight": np.ones((3, 8)),
    ...          "2.bias": np.zeros(3)}
    >>> from_state_dict(state, "tanh", output="softmax")
    MLP([4, 8, 3], activation=['tanh'], output='softmax', dtype='float64')
    """
    output = checked_output(output)
    if isinstance(state, Mapping):
        return _network(_modules(state, is_ordered=True), activation, output)
    path = existing(state, "state")
    with reading(path, "safetensors file of PyTorch weights"):
        return _network(_modules(_tensors(path), is_ordered=False), activation, output)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        start = file.read(2)
    if path.suffix in _PICKLES or start in (b"PK", b"\x80\x02"):
        raise ValueError(
            "it is a pickle, which may run code. In PyTorch, write safetensors.torch.save_file("
            'model.state_dict(), "model.safetensors") and give that file.'
        )
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            if "fastnn" in (file.metadata() or {}):
                raise ValueError("it is a model of fastnn itself: use fastnn.load.")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"it is damaged or no safetensors file ({error}).") from None


def _array(name: str, value: Any) -> np.ndarray:
    """A tensor or array as NumPy's, of float32 unless it is float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value if str(value.dtype) == "torch.float64" else value.float()
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"entry {name!r} is of dtype {array.dtype}: expected numbers.")
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _modules(state: Mapping[str, Any], is_ordered: bool) -> dict[str, dict[str, np.ndarray]]:
    """Entries by the module they belong to, in the modules' order."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, value in state.items():
        place, _, kind = str(name).rpartition(".")
        if kind != "num_batches_tracked":
            modules.setdefault(place, {})[kind] = _array(name, value)
    if len({re.sub(r"\d+", "0", place) for place in modules}) <= 1:
        return dict(sorted(modules.items(), key=lambda item: _numbers(item[0])))
    if not is_ordered:
        raise ValueError(
            f"its modules {', '.join(list(modules)[:6])} have no numbers that say their order, which the "
            "file does not keep: give a dict of its tensors in the order of the layers."
        )
    return modules


def _numbers(place: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", place)]


def _network(modules: dict[str, dict[str, np.ndarray]], activation, output: str | None) -> MLP:
    kinds = {place: _kind(place, entries) for place, entries in modules.items()}
    n_hidden = list(kinds.values()).count("Linear") - 1
    if n_hidden < 0:
        raise ValueError(
            "there are no weights of a Linear module in it: expected entries such as '0.weight'."
        )
    given = [activation] * n_hidden if isinstance(activation, (str, Activation)) else list(activation)
    if len(given) != n_hidden:
        raise ValueError(f"activation has {len(given)} entries, but the state has {n_hidden} hidden layers.")
    return network_of(_steps(modules, kinds, [as_activation(each) for each in given]), output=output)


def _kind(place: str, entries: dict[str, np.ndarray]) -> str:
    shapes = {kind: array.ndim for kind, array in entries.items()}
    known = {
        "Linear": ({"weight": 2}, {"weight": 2, "bias": 1}),
        "BatchNorm1d": (
            {"weight": 1, "bias": 1, "running_mean": 1, "running_var": 1},
            {"running_mean": 1, "running_var": 1},
        ),
        "LayerNorm": ({"weight": 1, "bias": 1},),
        "PReLU": ({"weight": 1},),
    }
    for name, forms in known.items():
        if shapes in forms:
            return name
    described = ", ".join(f"{kind} {array.shape}" for kind, array in entries.items())
    raise ValueError(
        f"module {place!r} holds {described}: expected {', '.join(known)}, with all their entries."
    )


def _steps(
    modules: dict[str, dict[str, np.ndarray]], kinds: dict[str, str], activations: list[Activation]
) -> list[Step]:
    """Steps with an activation in each hidden layer, at its place among the other modules."""
    steps: list[Step] = []
    places = list(modules)
    depth = -1
    for index, place in enumerate(places):
        entries, where = modules[place], f"module {place!r}"
        if kinds[place] == "Linear":
            depth += 1
            bias = entries.get("bias", np.zeros(1, np.float32))
            steps.append(Dense(entries["weight"].T, bias, where))
            done = depth == len(activations)  # the output layer's is not among them
        elif kinds[place] == "PReLU":
            steps.append(Activate("prelu", entries["weight"], where))
            done = True
        else:
            if not done and _follows_activation(places, kinds, index):
                steps.append(_activate(activations[depth], where))
                done = True
            steps.append(_norm(entries, kinds[place], where))
        ends = index + 1 == len(places) or kinds[places[index + 1]] == "Linear"
        if depth >= 0 and ends and not done:
            steps.append(_activate(activations[depth], where))
    return steps


def _activate(activation: Activation, where: str) -> Step:
    if activation.is_own or activation.name == "prelu":
        raise ValueError(
            f"activation {activation.name!r} at {where} cannot be given: expected a name, and slopes of a "
            "PReLU in the state."
        )
    return Activate(activation.name, activation.alpha, where)


def _norm(entries: dict[str, np.ndarray], kind: str, where: str) -> Step:
    if kind == "LayerNorm":
        return LayerNorm(entries["weight"], entries["bias"], where=where)
    mean, variance = entries["running_mean"], entries["running_var"]
    gain, shift = entries.get("weight", np.ones_like(mean)), entries.get("bias", np.zeros_like(mean))
    return BatchNorm(gain, shift, mean, variance, where=where)


def _follows_activation(places: list[str], kinds: dict[str, str], index: int) -> bool:
    """Whether the activation stands before a normalisation: numbers that are left out say where."""
    before, after = places[index - 1], places[index + 1] if index + 1 < len(places) else None
    if not all(re.search(r"(^|\.)\d+$", place) for place in places) or index == 0:
        return False
    gap_before = _numbers(places[index])[-1] - _numbers(before)[-1] > 1
    gap_after = after is not None and _numbers(after)[-1] - _numbers(places[index])[-1] > 1
    if gap_before and gap_after:
        raise ValueError(
            f"module {places[index]!r} is a normalisation with modules before and after it of which the "
            "state says nothing: whether it comes before or after the activation is not known."
        )
    return gap_before
