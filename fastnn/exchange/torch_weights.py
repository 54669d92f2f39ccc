"""Weights to and from PyTorch, under the names that ``nn.Sequential`` gives them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import as_array, is_collection
from ..activations import Activation, as_activation
from ..network.files import read_tensors, refusing, write_atomically
from ..network.mlp import MLP
from .arguments import as_network, check_output, existing_file
from .steps import Activate, BatchNorm, Dense, LayerNorm, Step, network_of, steps_of

_PICKLE_SUFFIXES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}

# PyTorch's modules for fastnn's activations, as code.
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
    """Return the weights under the names of the ``nn.Sequential`` that computes the same outputs.

    For each layer it has the modules ``Linear``, ``BatchNorm1d`` or ``LayerNorm`` if the layer is normalised,
    and that of the activation; "identity" has none. Dropout is left out, as it has no weights and does
    nothing at prediction. A network with ReLU has "0.weight", of shape (n_out, n_in), "0.bias", "2.weight"
    and so on.

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
    """Write the weights of :func:`to_state_dict` to a safetensors file.

    The metadata entry "modules" holds the ``nn.Sequential`` that they belong to, as code. PyTorch reads the
    file by ``model.load_state_dict(safetensors.torch.load_file(path))``. It is written under another name
    first and then renamed.

    Parameters
    ----------
    net : MLP, or fitted MLPClassifier or MLPRegressor
    path : path-like

    Raises
    ------
    ValueError
        As in :func:`to_state_dict`.
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
    # A single entry, because safetensors writes several in an order that differs from run to run.
    metadata = {"modules": f"nn.Sequential({', '.join(modules)})"}
    write_atomically(path, save(state, metadata=metadata))


def _sequential(net: MLP) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the weights by their names in PyTorch, and the modules as code."""
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
    """Make a network of the weights of PyTorch's ``nn.Linear`` modules, one after another.

    Entries of ``BatchNorm1d``, ``LayerNorm`` and ``PReLU`` are recognised by their names and shapes. If the
    names of all modules differ only in their numbers ("0", "2"; "model.fc1", "model.fc2"), the numbers are
    their order; otherwise it is that of the dict, as PyTorch's ``state_dict()`` returns it. A state dict does
    not contain the activations.

    Parameters
    ----------
    state : dict of str to Tensor or ndarray, or path-like
        A state dict, or a safetensors file with one.
    activation : str, Activation or sequence of them, default="relu"
        Activation of the hidden layers, one for all or one each; layers with entries of a PReLU have "prelu".
    output : str, optional
        Activation of the output layer, "identity" by default; pass "softmax" for a classifier that was
        trained with ``CrossEntropyLoss``.

    Returns
    -------
    MLP
        float64 if the weights are.

    Raises
    ------
    ValueError
        If there are no Linear modules, their shapes do not fit together, a module is not a known one, their
        order is unknown, or the file is a pickle, which may run code.
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
    output = check_output(output)
    if isinstance(state, Mapping):
        return _network(_modules(state, is_ordered=True), activation, output)
    path = existing_file(state, "state")
    with refusing(path, "safetensors file of PyTorch weights"):
        return _network(_modules(_read_tensors(path), is_ordered=False), activation, output)


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file by name."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        start = file.read(2)
    if path.suffix in _PICKLE_SUFFIXES or start in (b"PK", b"\x80\x02"):
        raise ValueError(
            "it is a pickle, which may run code. In PyTorch, write safetensors.torch.save_file("
            'model.state_dict(), "model.safetensors") and pass that file.'
        )
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            if "fastnn" in (file.metadata() or {}):
                raise ValueError("it is a model of fastnn: use fastnn.load.")
            return read_tensors(file)
    except SafetensorError as error:
        raise ValueError(f"it is damaged or not a safetensors file ({error}).") from None


def _array(name: str, value: Any) -> np.ndarray:
    """Return a tensor or array as a NumPy array of float32, or of float64 if it is of float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value if str(value.dtype) == "torch.float64" else value.float()
    array = as_array(f"entry {name!r}", value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"entry {name!r} is of dtype {array.dtype}, expected numbers.")
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _modules(state: Mapping[str, Any], is_ordered: bool) -> dict[str, dict[str, np.ndarray]]:
    """Return the entries of each module, in the modules' order."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, value in state.items():
        module, _, kind = str(name).rpartition(".")
        if kind != "num_batches_tracked":
            modules.setdefault(module, {})[kind] = _array(name, value)
    if len({re.sub(r"\d+", "0", module) for module in modules}) <= 1:
        return dict(sorted(modules.items(), key=lambda item: _numbers(item[0])))
    if not is_ordered:
        raise ValueError(
            f"its modules {', '.join(list(modules)[:6])} are not numbered, and the file does not keep their "
            "order: pass a dict of its tensors in the order of the layers."
        )
    return modules


def _numbers(module: str) -> list[int]:
    """Return the numbers in a module's name."""
    return [int(digits) for digits in re.findall(r"\d+", module)]


def _network(
    modules: dict[str, dict[str, np.ndarray]],
    activation: str | Activation | Sequence[str | Activation],
    output: str | None,
) -> MLP:
    kinds = {module: _kind(module, entries) for module, entries in modules.items()}
    n_hidden = list(kinds.values()).count("Linear") - 1
    if n_hidden < 0:
        raise ValueError("it has no weights of a Linear module: expected entries such as '0.weight'.")
    given: list[Any] = list(activation) if is_collection(activation) else [activation] * n_hidden
    if len(given) != n_hidden:
        raise ValueError(f"activation has {len(given)} entries, but the state has {n_hidden} hidden layers.")
    return network_of(_steps(modules, kinds, [as_activation(each) for each in given]), output=output)


def _kind(module: str, entries: dict[str, np.ndarray]) -> str:
    """Return the class of a module, inferred from its entries and their dimensions."""
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
        f"module {module!r} holds {described}: expected one of {', '.join(known)}, with all its entries."
    )


def _steps(
    modules: dict[str, dict[str, np.ndarray]], kinds: dict[str, str], activations: list[Activation]
) -> list[Step]:
    """Return the steps of the modules, with an activation in each hidden layer."""
    steps: list[Step] = []
    names = list(modules)
    depth, has_activation = -1, True
    for index, name in enumerate(names):
        entries, kind, where = modules[name], kinds[name], f"module {name!r}"
        if kind == "Linear":
            depth += 1
            bias = entries.get("bias", np.zeros(1, np.float32))
            steps.append(Dense(entries["weight"].T, bias, where))
            has_activation = depth == len(activations)  # that of the output layer is not among them
        elif kind == "PReLU":
            steps.append(Activate("prelu", entries["weight"], where))
            has_activation = True
        else:
            if not has_activation and _follows_activation(names, index):
                steps.append(_activate(activations[depth], where))
                has_activation = True
            steps.append(_norm(entries, kind, where))
        ends_layer = index + 1 == len(names) or kinds[names[index + 1]] == "Linear"
        if ends_layer and not has_activation:
            steps.append(_activate(activations[depth], where))
    return steps


def _activate(activation: Activation, where: str) -> Step:
    if activation.is_own or activation.name == "prelu":
        raise ValueError(
            f"activation {activation.name!r} at {where} must be another name; for 'prelu', the state must "
            "hold the slopes of a PReLU."
        )
    return Activate(activation.name, activation.alpha, where)


def _norm(entries: dict[str, np.ndarray], kind: str, where: str) -> Step:
    if kind == "LayerNorm":
        return LayerNorm(entries["weight"], entries["bias"], where=where)
    mean, variance = entries["running_mean"], entries["running_var"]
    gain, shift = entries.get("weight", np.ones_like(mean)), entries.get("bias", np.zeros_like(mean))
    return BatchNorm(gain, shift, mean, variance, where=where)


def _follows_activation(names: list[str], index: int) -> bool:
    """Tell from the numbers that the names skip whether the activation precedes a normalisation."""
    if not all(re.search(r"(^|\.)\d+$", name) for name in names) or index == 0:
        return False
    numbers = [_numbers(name)[-1] for name in names]
    gap_before = numbers[index] - numbers[index - 1] > 1
    gap_after = index + 1 < len(names) and numbers[index + 1] - numbers[index] > 1
    if gap_before and gap_after:
        raise ValueError(
            f"module {names[index]!r} is a normalisation with unknown modules both before and after it, so "
            "it may precede or follow the activation."
        )
    return gap_before
