"""A network as a list of simple steps, between fastnn and every other format.

A reader says what it found as steps, in any order that another program may have them;
:func:`network_of` makes an MLP that gives the same outputs, or says what stands in the way. A writer starts
from :func:`steps_of`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ..activations import NAMES, Activation
from ..kernels.activations import OUTPUTS
from ..kernels.hooks.rows import NORM_EPS
from ..network.mlp import MLP


@dataclass
class Dense:
    """``x @ weight + bias`` with a weight of shape (n_in, n_out)."""

    weight: np.ndarray
    bias: np.ndarray
    where: str = ""


@dataclass
class Scale:
    """``x * factor + shift``, numbers or vectors."""

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
        """The same as two vectors."""
        factor = self.gain / np.sqrt(self.variance + self.eps)
        return Scale(factor, self.shift - self.mean * factor, self.where)


@dataclass
class LayerNorm:
    """The same with mean and variance of each row."""

    gain: np.ndarray
    shift: np.ndarray
    eps: float = NORM_EPS
    where: str = ""


@dataclass
class Activate:
    """An activation by its name in fastnn; alpha is the slopes of "prelu"."""

    name: str
    alpha: Any = None
    where: str = ""


@dataclass
class AddInput:
    """A residual connection around the layer."""

    where: str = ""


Step = Dense | Scale | BatchNorm | LayerNorm | Activate | AddInput


def as_network(model: Any, what: str) -> MLP:
    """The MLP that was given, or that of one of fastnn's fitted estimators."""
    if isinstance(model, MLP):
        return model
    if hasattr(model, "_fitted_network"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model, "coefs_")
        return model._fitted_network().net
    hint = ""
    if isinstance(getattr(model, "net", None), MLP):
        hint = "; pass its .net, and encode rows before, as its encoder does"
    raise TypeError(f"{what} takes a fastnn.MLP or a fitted fastnn estimator, got {model!r}{hint}.")


def steps_of(net: MLP, form: str, *, chain_only: bool = True) -> list[Step]:
    """What the network does to encoded rows at prediction, with copies of its parameters.

    Parameters
    ----------
    net : MLP
    form : str
        Where it is to go, for the messages.
    chain_only : bool
        Whether embeddings and residual connections are refused.
    """
    if chain_only and (net.embeddings or any(net.residual)):
        thing = "embeddings" if net.embeddings else "residual connections"
        raise ValueError(f"the network has {thing}, which {form} cannot hold: use to_onnx.")
    own = [activation.name for activation in net.activations if activation.is_own]
    if own:
        raise ValueError(
            f"activation {own[0]!r} is a function of your own, which {form} cannot hold: use one of "
            f"{', '.join(NAMES)}."
        )
    views = {name: view.copy() for name, view in net.parameters().items()}
    steps: list[Step] = []
    for depth in range(len(net.sizes) - 1):
        place = f"layers.{depth}"
        part = {name.rpartition(".")[2]: view for name, view in views.items() if name.startswith(f"{place}.")}
        steps.append(Dense(part["weight"], part["bias"], place))
        if depth == len(net.activations):
            steps.append(Activate(net.output or "identity", None, place))
            break
        if net.norm[depth] == "batch":
            mean, variance = part["running_mean"], part["running_variance"]
            steps.append(BatchNorm(part["gain"], part["shift"], mean, variance, where=place))
        elif net.norm[depth] == "layer":
            steps.append(LayerNorm(part["gain"], part["shift"], where=place))
        activation = net.activations[depth]
        steps.append(Activate(activation.name, part.get("slope", activation.alpha), place))
        if net.residual[depth]:
            steps.append(AddInput(place))
    return steps


def fold_norms(steps: Iterable[Step]) -> list[Step]:
    """The same steps with every batch normalisation made part of the dense layer before it."""
    folded: list[Step] = []
    for step in steps:
        if isinstance(step, BatchNorm) and folded and isinstance(folded[-1], Dense):
            folded[-1] = _scaled(folded[-1], step.as_scale())
        else:
            folded.append(step)
    return folded


def _scaled(dense: Dense, scale: Scale) -> Dense:
    weight = (dense.weight * scale.factor).astype(dense.weight.dtype)
    return Dense(weight, dense.bias * scale.factor + scale.shift, dense.where)


@dataclass
class _Layer:
    """A layer as it is put together from steps."""

    dense: Dense
    scaled: bool  # whether its input was, before
    norm: BatchNorm | LayerNorm | None = None
    activation: Activate | None = None
    residual: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it has neither an activation nor what follows one."""
        return self.activation is None and not self.residual


def network_of(steps: Iterable[Step], *, output: str | None = None, dtype: Any = None) -> MLP:
    """The MLP that does what the steps do.

    Scalings are folded into the dense layers beside them, as is a batch normalisation that does not stand
    right behind one; one that does stays, with its running statistics.

    Parameters
    ----------
    steps : iterable
    output : str, optional
        Activation of the output layer where the steps name none.
    dtype : {"float32", "float64"}, optional
        By default float64 if some dense layer is.

    Raises
    ------
    ValueError
        If the steps are not those of an MLP; the sentence names the step.

    Examples
    --------
    >>> dense = Dense(np.eye(2), np.zeros(2))
    >>> network_of([dense, Activate("tanh"), Scale(2.0, 0.0), dense]).weights[1]
    array([[2., 0.],
           [0., 2.]])
    """
    layers = _layers(steps)
    if dtype is None:
        wide = any(layer.dense.weight.dtype == np.float64 for layer in layers)
        dtype = "float64" if wide else "float32"
    last = layers[-1]
    if last.residual or isinstance(last.norm, LayerNorm):
        raise ValueError(
            f"{last.dense.where}: the output layer has a residual connection or a layer normalisation, which "
            "only hidden layers of fastnn have."
        )
    if last.norm is not None:
        last.dense, last.norm = _scaled(last.dense, last.norm.as_scale()), None
    found = last.activation.name if last.activation else None
    if found is not None and found not in OUTPUTS:
        raise ValueError(
            f"{last.activation.where}: the output layer has activation {found!r}, but fastnn's may have "  # type: ignore[union-attr]
            f"{', '.join(OUTPUTS)}."
        )
    if found is not None and output not in (None, found):
        raise ValueError(f"output={output!r} is given, but the model ends with {found!r} itself.")
    net = MLP(
        [layers[0].dense.weight.shape[0], *(layer.dense.weight.shape[1] for layer in layers)],
        [_activation(layer.activation) for layer in layers[:-1]],
        output=found or output or "identity",
        norm=[_norm_name(layer.norm) for layer in layers[:-1]],
        residual=[layer.residual for layer in layers[:-1]],
        init="zeros",
        dtype=dtype,
        seed=0,
    )
    views = net.parameters()
    for depth, layer in enumerate(layers):
        for name, array in _arrays(layer).items():
            view = views[f"layers.{depth}.{name}"]
            if not np.isfinite(array).all():
                raise ValueError(f"{layer.dense.where}: its {name} has values that are NaN or infinite.")
            if np.ndim(array) and np.shape(array) not in (view.shape, (1,)):
                raise ValueError(
                    f"{layer.dense.where}: its {name} has shape {np.shape(array)}, expected {view.shape}."
                )
            view[:] = array
    return net


def _layers(steps: Iterable[Step]) -> list[_Layer]:
    layers: list[_Layer] = []
    pending: Scale | None = None  # stands between an activation, or x, and the next dense layer
    for step in steps:
        last = layers[-1] if layers and pending is None else None
        if layers and isinstance(step, (Scale, BatchNorm, LayerNorm)):
            _check_width(step, layers[-1].dense)
        if isinstance(step, Dense):
            layers.append(_Layer(_checked(step, layers, pending), pending is not None))
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
                last.dense = _scaled(last.dense, scale)
            else:
                last.norm.gain = last.norm.gain * scale.factor
                last.norm.shift = last.norm.shift * scale.factor + scale.shift
        elif isinstance(step, Activate) and step.name == "identity":
            continue
        elif isinstance(step, AddInput):
            _add_residual(step, last)
        elif last is None or not last.is_open:
            called = f"activation {step.name!r}" if isinstance(step, Activate) else "a layer normalisation"
            raise ValueError(f"{step.where}: {called} does not follow a dense layer of its own.")
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
    return _complete(layers, pending)


def _check_width(step: Scale | BatchNorm | LayerNorm, before: Dense) -> None:
    """Raise unless a step has a number for each value that the layer before it gives."""
    width = before.weight.shape[1]
    for array in vars(step).values():
        if not isinstance(array, str) and np.size(array) not in (1, width):
            raise ValueError(
                f"{step.where} takes {np.size(array)} values, but the layer before it, {before.where}, gives "
                f"{width}."
            )


def _add_residual(step: AddInput, last: _Layer | None) -> None:
    if last is None or last.residual or last.scaled or len(set(last.dense.weight.shape)) > 1:
        raise ValueError(f"{step.where}: this is added to something else than a layer of as many outputs.")
    last.residual = True


def _complete(layers: list[_Layer], pending: Scale | None) -> list[_Layer]:
    if not layers:
        raise ValueError("there is no dense layer in it.")
    if pending is not None:
        raise ValueError(f"{pending.where}: a scaling follows the activation of the output layer.")
    return layers


def _checked(dense: Dense, layers: list[_Layer], pending: Scale | None) -> Dense:
    """A dense layer whose shapes fit, with the scaling before it folded in."""
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
            raise ValueError(f"{pending.where} scales another number of values than {dense.where} takes.")
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


def _arrays(layer: _Layer) -> dict[str, np.ndarray]:
    """A layer's parameters by fastnn's names."""
    arrays = {"weight": layer.dense.weight, "bias": layer.dense.bias}
    norm = layer.norm
    if norm is not None:
        arrays |= {"gain": norm.gain, "shift": norm.shift}
    if isinstance(norm, BatchNorm):
        # fastnn adds its own eps to a variance: the gain makes up for it.
        arrays["gain"] = norm.gain * np.sqrt((norm.variance + NORM_EPS) / (norm.variance + norm.eps))
        arrays |= {"running_mean": norm.mean, "running_variance": norm.variance}
    if layer.activation and layer.activation.name == "prelu":
        arrays["slope"] = np.asarray(layer.activation.alpha)
    return arrays


def class_target(classes: Iterable[Any]) -> dict[str, Any]:
    """The labels of a classifier, as a network's metadata keeps them."""
    labels = np.asarray(list(classes)).tolist()
    return {"name": "y", "task": "classification", "classes": labels, "mean": None, "scale": None}


def existing(path: str | os.PathLike[str], what: str) -> Path:
    """`path` if there is such a file."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{what} must be a path, got {path!r}.")
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(path)!r}.")
    return Path(path)


@contextlib.contextmanager
def reading(path: Any, form: str) -> Iterator[None]:
    """Turn whatever goes wrong with a file's content into one ValueError that names it."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        name = repr(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else "what was given"
        raise ValueError(f"{name} is not a usable {form}: {reason}") from error


def checked_output(output: str | None) -> str | None:
    """`output` if it is None or the name of an output layer's activation."""
    return None if output is None else _checks.check_name("output", output, OUTPUTS)
