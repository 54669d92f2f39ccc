"""Networks as lists of simple steps, the common form between fastnn and all other formats.

A reader describes what it finds as steps, in any order that another program allows; :func:`network_of` makes
an MLP with the same outputs of them, or raises an error that says why it cannot. A writer starts from
:func:`steps_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..activations import NAMES, Activation
from ..kernels.activations import OUTPUTS
from ..kernels.hooks.rows import NORM_EPS
from ..network.mlp import MLP

_FEW_WEIGHTS = 1 << 24  # that a network may always have, 64 MiB
_MOST_USES = 4  # of each number of a file, if weights are more


@dataclass
class Dense:
    """``x @ weight + bias`` with a weight of shape (n_in, n_out).

    Here and in the other steps, `where` is what messages call the step.
    """

    weight: np.ndarray
    bias: np.ndarray
    where: str = ""


@dataclass
class Scale:
    """``x * factor + shift`` with numbers or vectors."""

    factor: Any
    shift: Any
    where: str = ""


@dataclass
class BatchNorm:
    """``gain (x - mean) / sqrt(variance + eps) + shift`` with running mean and variance."""

    gain: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float = NORM_EPS
    where: str = ""

    def as_scale(self) -> Scale:
        """Return the equivalent scaling."""
        factor = self.gain / np.sqrt(self.variance + self.eps)
        return Scale(factor, self.shift - self.mean * factor, self.where)


@dataclass
class LayerNorm:
    """``gain (x - mean) / sqrt(variance + eps) + shift`` with mean and variance of each row."""

    gain: np.ndarray
    shift: np.ndarray
    eps: float = NORM_EPS
    where: str = ""


@dataclass
class Activate:
    """An activation by its name in fastnn; the alpha of "prelu" is its slopes."""

    name: str
    alpha: Any = None
    where: str = ""


@dataclass
class AddInput:
    """A residual connection around the layer before."""

    where: str = ""


Step = Dense | Scale | BatchNorm | LayerNorm | Activate | AddInput


def steps_of(net: MLP, form: str, *, chain_only: bool = True) -> list[Step]:
    """Return what the network does to encoded rows at prediction, with copies of its parameters.

    Parameters
    ----------
    net : MLP
    form : str
        Name of the target format in error messages.
    chain_only : bool
        Refuse embeddings and residual connections.

    Raises
    ------
    ValueError
        If the network has a part that the form cannot hold.
    """
    if chain_only and (net.embeddings or any(net.residual)):
        part = "embeddings" if net.embeddings else "residual connections"
        raise ValueError(f"the network has {part}, which {form} cannot hold: use to_onnx.")
    custom = [activation.name for activation in net.activations if activation.is_own]
    if custom:
        raise ValueError(
            f"activation {custom[0]!r} is a function of your own, which {form} cannot hold: use one of "
            f"{', '.join(NAMES)}."
        )
    views = {name: view.copy() for name, view in net.parameters().items()}
    steps: list[Step] = []
    for depth in range(len(net.sizes) - 1):
        where = f"layers.{depth}"
        own = {name.rpartition(".")[2]: view for name, view in views.items() if name.startswith(f"{where}.")}
        steps.append(Dense(own["weight"], own["bias"], where))
        if depth == len(net.activations):
            steps.append(Activate(net.output or "identity", None, where))
            break
        if net.norm[depth] == "batch":
            mean, variance = own["running_mean"], own["running_variance"]
            steps.append(BatchNorm(own["gain"], own["shift"], mean, variance, where=where))
        elif net.norm[depth] == "layer":
            steps.append(LayerNorm(own["gain"], own["shift"], where=where))
        activation = net.activations[depth]
        steps.append(Activate(activation.name, own.get("slope", activation.alpha), where))
        if net.residual[depth]:
            steps.append(AddInput(where))
    return steps


def fold_norms(steps: Iterable[Step]) -> list[Step]:
    """Return the steps with every batch normalisation folded into the dense layer right before it."""
    folded: list[Step] = []
    for step in steps:
        if isinstance(step, BatchNorm) and folded and isinstance(folded[-1], Dense):
            folded[-1] = _scale_outputs(folded[-1], step.as_scale())
        else:
            folded.append(step)
    return folded


def _scale_outputs(dense: Dense, scale: Scale) -> Dense:
    weight = (dense.weight * scale.factor).astype(dense.weight.dtype)
    return Dense(weight, dense.bias * scale.factor + scale.shift, dense.where)


@dataclass
class _Layer:
    """A layer that is being put together from steps."""

    dense: Dense
    has_scaled_input: bool
    norm: BatchNorm | LayerNorm | None = None
    activation: Activate | None = None
    residual: bool = False

    @property
    def is_open(self) -> bool:
        """Return whether an activation can still be added."""
        return self.activation is None and not self.residual


def network_of(steps: Iterable[Step], *, output: str | None = None, dtype: Any = None) -> MLP:
    """Return the MLP that computes what the steps do.

    Scalings are folded into the dense layers beside them. A batch normalisation right after a dense layer is
    kept, with its running statistics; any other one is folded as well.

    Parameters
    ----------
    steps : iterable
    output : str, optional
        Activation of the output layer if the steps name none.
    dtype : {"float32", "float64"}, optional
        By default float64 if any dense layer is.

    Raises
    ------
    ValueError
        If the steps are not those of an MLP; the message names the step.

    Examples
    --------
    >>> dense = Dense(np.eye(2), np.zeros(2))
    >>> network_of([dense, Activate("tanh"), Scale(2.0, 0.0), dense]).weights[1]
    array([[2., 0.],
           [0., 2.]])
    """
    layers = _layers(steps)
    if dtype is None:
        is_double = any(layer.dense.weight.dtype == np.float64 for layer in layers)
        dtype = "float64" if is_double else "float32"
    last = layers[-1]
    if last.residual or isinstance(last.norm, LayerNorm):
        raise ValueError(
            f"{last.dense.where}: the output layer has a residual connection or a layer normalisation, "
            "which only hidden layers can have in fastnn."
        )
    if last.norm is not None:
        last.dense, last.norm = _scale_outputs(last.dense, last.norm.as_scale()), None
    if last.activation is not None:
        output = _check_output(last.activation, output)
    net = MLP(
        [layers[0].dense.weight.shape[0], *(layer.dense.weight.shape[1] for layer in layers)],
        [_activation(layer.activation) for layer in layers[:-1]],
        output=output or "identity",
        norm=[_norm_name(layer.norm) for layer in layers[:-1]],
        residual=[layer.residual for layer in layers[:-1]],
        init="zeros",
        dtype=dtype,
        seed=0,
    )
    views = net.parameters()
    for depth, layer in enumerate(layers):
        for name, array in _parameters(layer).items():
            view = views[f"layers.{depth}.{name}"]
            if not np.isfinite(array).all():
                raise ValueError(f"{layer.dense.where}: its {name} has values that are NaN or infinite.")
            if np.ndim(array) and np.shape(array) not in (view.shape, (1,)):
                raise ValueError(
                    f"{layer.dense.where}: its {name} has shape {np.shape(array)}, expected {view.shape}."
                )
            view[:] = array
    return net


def _check_output(step: Activate, output: str | None) -> str:
    """Return the activation that the steps end with, which `output` must not contradict."""
    if step.name not in OUTPUTS:
        raise ValueError(
            f"{step.where}: the output layer has the activation {step.name!r}, but in fastnn it can "
            f"only have {', '.join(OUTPUTS)}."
        )
    if output not in (None, step.name):
        raise ValueError(f"output={output!r} is given, but the model itself ends with {step.name!r}.")
    return step.name


def _layers(steps: Iterable[Step]) -> list[_Layer]:
    """Group the steps into layers."""
    layers: list[_Layer] = []
    pending: Scale | None = None  # a scaling between an activation, or x, and the next dense layer
    for step in steps:
        last = layers[-1] if layers and pending is None else None
        if isinstance(step, (Scale, BatchNorm, LayerNorm)):
            _check_width(step, layers[-1].dense if layers else None)
        if isinstance(step, Dense):
            layers.append(_Layer(_check_dense(step, layers, pending), pending is not None))
            pending = None
        elif isinstance(step, BatchNorm) and last and last.is_open and last.norm is None:
            last.norm = step
        elif isinstance(step, (Scale, BatchNorm)):
            scale = step if isinstance(step, Scale) else step.as_scale()
            if last is None or not last.is_open:
                before = pending or Scale(1.0, 0.0)
                factor = before.factor * np.asarray(scale.factor)
                pending = Scale(factor, before.shift * scale.factor + scale.shift, scale.where)
            elif last.norm is None:
                last.dense = _scale_outputs(last.dense, scale)
            else:
                gain, shift = last.norm.gain * scale.factor, last.norm.shift * scale.factor + scale.shift
                last.norm = replace(last.norm, gain=gain, shift=shift)
        elif isinstance(step, Activate) and step.name == "identity":
            continue
        elif isinstance(step, AddInput):
            _add_residual(step, last)
        elif last is None or not last.is_open:
            part = f"activation {step.name!r}" if isinstance(step, Activate) else "a layer normalisation"
            raise ValueError(f"{step.where}: {part} does not follow a dense layer of its own.")
        elif isinstance(step, LayerNorm):
            if last.norm is not None:
                raise ValueError(f"{step.where}: a layer is normalised twice.")
            if not np.isclose(step.eps, NORM_EPS, rtol=1e-3):
                raise ValueError(
                    f"{step.where}: a layer normalisation adds {step.eps:g} to variances, "
                    f"fastnn {NORM_EPS:g}."
                )
            last.norm = step
        else:
            last.activation = step
    if not layers:
        raise ValueError("it has no dense layer.")
    if pending is not None:
        raise ValueError(f"{pending.where}: a scaling follows the activation of the output layer.")
    return layers


def _check_width(step: Scale | BatchNorm | LayerNorm, before: Dense | None) -> None:
    """Raise ValueError unless a step has numbers, or rows with one number per output of the layer before."""
    arrays = [array for array in vars(step).values() if not isinstance(array, str)]
    sizes = {np.size(array) for array in arrays} - {1}
    if any(np.ndim(array) > 1 for array in arrays) or len(sizes) > 1:
        shapes = ", ".join(str(np.shape(array)) for array in arrays)
        raise ValueError(f"{step.where} has arrays of shapes {shapes}: expected rows of the same length.")
    if before is not None and not sizes <= {before.weight.shape[1]}:
        raise ValueError(
            f"{step.where} takes {min(sizes)} values, but the layer before it, {before.where}, gives "
            f"{before.weight.shape[1]}."
        )


def check_growth(steps: Iterable[Step], n_numbers: int) -> None:
    """Raise ValueError if layers have far more weights than their file has numbers, by using them repeatedly.

    Parameters
    ----------
    steps : iterable
    n_numbers : int
        Number of numbers that the file holds.
    """
    n_weights = sum(np.size(step.weight) for step in steps if isinstance(step, Dense))
    if n_weights > max(_FEW_WEIGHTS, _MOST_USES * n_numbers):
        raise ValueError(
            f"its layers have {n_weights} weights, but the file holds only {n_numbers} numbers: it uses the "
            "same weights again and again."
        )


def _add_residual(step: AddInput, last: _Layer | None) -> None:
    if last is None or last.residual or last.has_scaled_input or len(set(last.dense.weight.shape)) > 1:
        raise ValueError(
            f"{step.where}: only the output of a layer as wide as its input can be added to that input."
        )
    last.residual = True


def _check_dense(dense: Dense, layers: list[_Layer], pending: Scale | None) -> Dense:
    """Return a dense layer whose shapes fit, with the scaling before it folded in."""
    weight, bias = np.asarray(dense.weight), np.asarray(dense.bias)
    if weight.ndim != 2 or not weight.size or bias.shape not in ((), (1,), (weight.shape[1],)):
        raise ValueError(
            f"{dense.where}: its weight has shape {weight.shape} and its bias {bias.shape}, expected "
            "(n_in, n_out) and (n_out,)."
        )
    if layers and weight.shape[0] != layers[-1].dense.weight.shape[1]:
        raise ValueError(
            f"{dense.where} takes {weight.shape[0]} values, but the layer before it, "
            f"{layers[-1].dense.where}, gives {layers[-1].dense.weight.shape[1]}."
        )
    bias = np.broadcast_to(bias, weight.shape[1:])
    if pending is not None:
        if max(np.size(pending.factor), np.size(pending.shift)) not in (1, weight.shape[0]):
            raise ValueError(f"{pending.where} and {dense.where} take different numbers of values.")
        factor, shift = np.atleast_1d(pending.factor), np.broadcast_to(pending.shift, weight.shape[:1])
        bias, weight = bias + shift @ weight, (factor[:, np.newaxis] * weight).astype(weight.dtype)
    return Dense(weight, bias, dense.where)


def _activation(step: Activate | None) -> Activation:
    if step is None:
        return Activation("identity")
    try:
        return Activation(step.name, alpha=None if step.name == "prelu" else step.alpha)
    except ValueError as error:
        raise ValueError(f"{step.where}: {error}") from None


def _norm_name(norm: BatchNorm | LayerNorm | None) -> str | None:
    return {BatchNorm: "batch", LayerNorm: "layer"}.get(type(norm))


def _parameters(layer: _Layer) -> dict[str, np.ndarray]:
    """Return a layer's parameters by fastnn's names."""
    arrays = {"weight": layer.dense.weight, "bias": layer.dense.bias}
    norm = layer.norm
    if norm is not None:
        arrays |= {"gain": norm.gain, "shift": norm.shift}
    if isinstance(norm, BatchNorm):
        # fastnn adds its own eps to a variance; the gain compensates the difference.
        arrays["gain"] = norm.gain * np.sqrt((norm.variance + NORM_EPS) / (norm.variance + norm.eps))
        arrays |= {"running_mean": norm.mean, "running_variance": norm.variance}
    if layer.activation and layer.activation.name == "prelu":
        arrays["slope"] = np.asarray(layer.activation.alpha)
    return arrays


def has_one_label(net: MLP) -> bool:
    """Return whether a classifier's outputs are classes of one label; several sigmoids are labels each."""
    return net.output != "sigmoid" or net.sizes[-1] == 1


def class_target(classes: Iterable[Any]) -> dict[str, Any]:
    """Return the labels of a classifier as a network's metadata holds them."""
    labels = np.asarray(list(classes)).tolist()
    return {"name": "y", "task": "classification", "classes": labels, "mean": None, "scale": None}
