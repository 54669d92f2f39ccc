"""Losses: what the user says, and what the kernels need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from . import _checks
from .kernels.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, MSE


@dataclass(frozen=True)
class LossInfo:
    """What is known of a loss by its name."""

    code: int = -1  # the core's, if it is the core's as long as all parameters are 0
    scale: float = 1.0
    output: str | None = None  # the output activation it implies; None if that is free
    kind: str = "values"  # of targets, one of KINDS
    parameters: Mapping[str, Any] = field(default_factory=dict)  # with their defaults


KINDS = {
    "class": "a class number a row",
    "labels": "0 or 1 for each output",
    "values": "any values",
    "nonnegative": "values from 0 on",
    "positive": "values above 0",
    "probabilities": "a probability for each output, which sum to 1 in a row",
}
LOSSES = {
    "mse": LossInfo(MSE),
    "squared_error": LossInfo(MSE, scale=0.5),
    "mae": LossInfo(),
    "huber": LossInfo(parameters={"delta": 1.0}),
    "log_cosh": LossInfo(),
    "quantile": LossInfo(parameters={"levels": 0.5}),
    "poisson": LossInfo(output="exp", kind="nonnegative"),
    "gamma": LossInfo(output="exp", kind="positive"),
    "tweedie": LossInfo(output="exp", kind="nonnegative", parameters={"power": 1.5}),
    "binary_cross_entropy": LossInfo(
        BINARY_CROSS_ENTROPY, output="sigmoid", kind="labels", parameters={"label_smoothing": 0.0}
    ),
    "binary_focal": LossInfo(output="sigmoid", kind="labels", parameters={"gamma": 2.0, "alpha": None}),
    "hinge": LossInfo(output="identity", kind="labels"),
    "squared_hinge": LossInfo(output="identity", kind="labels"),
    "cross_entropy": LossInfo(
        CROSS_ENTROPY, output="softmax", kind="class", parameters={"label_smoothing": 0.0}
    ),
    "focal": LossInfo(output="softmax", kind="class", parameters={"gamma": 2.0, "alpha": None}),
    "multiclass_hinge": LossInfo(output="identity", kind="class"),
    "kl_divergence": LossInfo(output="softmax", kind="probabilities"),
}
ALIASES = {"absolute_error": "mae"}


def _levels(value) -> list[float]:
    values = [value] if np.ndim(value) == 0 else list(value)
    if not values:
        raise ValueError("levels must name at least one quantile, got none.")
    return [_checks.check_number("levels", level, 0.0, 1.0, open_low=True) for level in values]


def _numbers(name: str, parameters: Mapping[str, Any]) -> list[float]:
    """The checked parameters of a loss as the numbers of its kernel."""
    check = _checks.check_number
    numbers = []
    for key, value in parameters.items():
        if key == "levels":
            numbers += _levels(value)
        elif key == "delta":
            numbers.append(check(key, value, 0.0, open_low=True))
        elif key == "power":
            numbers.append(check(key, value, 1.0, 2.0, open_low=True))
        elif key == "label_smoothing":
            numbers.append(check(key, value, 0.0, 1.0))
        elif key == "gamma":
            numbers.append(check(key, value, 0.0))
        elif value is not None:  # alpha: the weight of label 1 of two, or a factor
            numbers.append(check(key, value, 0.0, 1.0 if name == "binary_focal" else np.inf, open_low=True))
        else:
            numbers.append(-1.0 if name == "binary_focal" else 1.0)
    return numbers


class Loss:
    """A loss by name, or the user's own.

    The cost is the mean of the losses over the rows. Of several outputs, the loss of a row is the mean over
    them, unless they are the classes of one label.

    ===================== ========================================= ==================== ==============
    name                  loss of a prediction a, a target y        parameters           output
    ===================== ========================================= ==================== ==============
    mse                   (a - y)^2                                                      free
    squared_error         (a - y)^2 / 2                                                  free
    mae, absolute_error   abs(a - y)                                                     free
    huber                 e^2 / 2 of e = abs(a - y) up to delta,    delta=1.0            free
                          then the tangent (Huber, 1964)
    log_cosh              log(cosh(a - y))                                               free
    quantile              level (y - a) below y, (1 - level)        levels=0.5           free
                          (a - y) above (Koenker and Bassett, 1978)
    poisson               y log(y / a) - y + a                                           exp
    gamma                 y / a - log(y / a) - 1                                         exp
    tweedie               half of the deviance (Jorgensen, 1987)    power=1.5            exp
    binary_cross_entropy  -log of the label's probability           label_smoothing=0.0  sigmoid
    binary_focal          the same times (1 - probability)^gamma    gamma=2.0,           sigmoid
                          (Lin et al., 2017)                        alpha=None
    hinge                 max(0, 1 - z) of label 1, max(0, 1 + z)                        identity
                          of 0 (Cortes and Vapnik, 1995)
    squared_hinge         the same squared                                               identity
    cross_entropy         -log of the class's probability           label_smoothing=0.0  softmax
    focal                 the same times (1 - probability)^gamma    gamma=2.0,           softmax
                                                                    alpha=None
    multiclass_hinge      max(0, 1 + the largest other z - z)                            identity
                          (Crammer and Singer, 2001)
    kl_divergence         sum of y log(y / a) over the classes                           softmax
    ===================== ========================================= ==================== ==============

    Parameters
    ----------
    function : str or callable
        A name, or a function ``function(a, y)`` of two numbers, an output and its target, that numba can
        compile.
    derivative : callable, optional
        Of the user's own function to its first argument, also of (a, y). Without it, slopes are central
        differences, which evaluate the function twice more.
    **parameters
        `delta` > 0; `levels`, a number in (0, 1) or several, for as many outputs of one target each; `power`
        in (1, 2); `label_smoothing` in [0, 1) (Szegedy et al., 2016), spread over all classes, or both
        labels; `gamma` >= 0; `alpha`, for "binary_focal" the weight of label 1 in (0, 1), while that of
        label 0 is 1 - alpha, for "focal" a factor, None for neither.

    Attributes
    ----------
    name : str
        Of the user's own, the function's.
    parameters : dict
        All that the loss has, with their values.
    code : int
        The core's code; -1 if the kernel is called by address.
    kernel : compiled function or None
        What is called by address (:mod:`fastnn.kernels.hooks`); None for the core's.
    numbers : ndarray of float64
        The parameters as the kernel takes them.
    scale : float
        Factor on the kernel's loss.
    output : str or None
        The output activation it is computed with; None if that is free.
    kind : {"class", "labels", "values", "nonnegative", "positive", "probabilities"}
        What targets are.

    Raises
    ------
    ValueError
        If a name or a parameter is not what is described here, or the derivative is not the function's.
    TypeError
        If it is neither a name nor a function, or numba cannot compile it.

    Examples
    --------
    >>> Loss("quantile", levels=[0.1, 0.5, 0.9]).numbers
    array([0.1, 0.5, 0.9])
    >>> Loss("cross_entropy", label_smoothing=0.1)
    Loss('cross_entropy', label_smoothing=0.1)
    >>> import math
    >>> def cauchy(a, y):
    ...     return math.log1p((a - y) ** 2)
    >>> Loss(cauchy).kind
    'values'
    """

    def __init__(
        self,
        function: str | Callable[[float, float], float],
        derivative: Callable[[float, float], float] | None = None,
        **parameters: Any,
    ) -> None:
        self._given = function, derivative, parameters
        self._factor = 1.0
        if isinstance(function, str):
            if derivative is not None:
                raise ValueError(f"derivative is for functions of your own, but {function!r} brings its own.")
            self.name = _checks.check_name("loss", ALIASES.get(function, function), LOSSES)
            info = LOSSES[self.name]
        elif callable(function):
            self.name, info = getattr(function, "__name__", None) or repr(function), LossInfo()
        else:
            raise TypeError(f"loss must be a name, a function or a Loss, got {function!r}.")
        for key in parameters:
            if not info.parameters:
                raise ValueError(f"loss {self.name!r} has no parameters, got {key}={parameters[key]!r}.")
            _checks.check_name(f"parameter of loss {self.name!r}", key, info.parameters)
        self.parameters: dict[str, Any] = {**info.parameters, **parameters}
        self.numbers = np.array(_numbers(self.name, self.parameters), np.float64)
        self.code = info.code if not self.numbers.any() else -1
        self.scale, self.output, self.kind = info.scale, info.output, info.kind
        if callable(function):
            self.kernel  # noqa: B018 - errors in it belong here

    @cached_property
    def kernel(self):
        """The compiled function of :mod:`fastnn.kernels.hooks`; None for the core's."""
        function, derivative, _ = self._given
        if callable(function):
            from .kernels.hooks import custom

            return custom.loss_kernel(function, derivative)
        if self.code >= 0:
            return None
        from .kernels.hooks import losses

        return getattr(losses, self.name)

    def scaled(self, factor: float) -> Loss:
        """The same loss, times a factor: by the number of outputs, their mean becomes their sum.

        Examples
        --------
        >>> Loss("mse").scaled(3.0)
        Loss('mse').scaled(3.0)
        """
        loss = Loss.__new__(Loss)
        loss.__dict__.update(self.__dict__)
        loss.scale = self.scale * _checks.check_number("factor", factor, 0.0, open_low=True)
        loss._factor = self._factor * factor
        return loss

    @property
    def is_regression(self) -> bool:
        """Whether scores are squared errors, summed over the outputs; else fractions that are right."""
        return self.kind in ("values", "nonnegative", "positive")

    def n_targets(self, n_out: int) -> int:
        """How many columns targets have for a network of so many outputs.

        Raises
        ------
        ValueError
            If the loss does not go with so many outputs.
        """
        if self.kind in ("class", "probabilities") and n_out < 2:
            raise ValueError(
                f"loss {self.name!r} needs one output a class, but the network has a single output: "
                "use loss='binary_cross_entropy'."
            )
        if self.name == "quantile" and self.numbers.size > 1:
            if self.numbers.size != n_out:
                raise ValueError(
                    f"loss 'quantile' has {self.numbers.size} levels, but the network has {n_out} outputs: "
                    "expected as many."
                )
            return 1
        return 1 if self.kind == "class" else n_out

    def check_targets(self, name: str, y, n_out: int, dtype: np.dtype) -> np.ndarray:
        """Labels as an int32 matrix, or other targets as a matrix of `dtype`.

        Raises
        ------
        ValueError
            If `y`, called `name`, is not what the loss takes.
        """
        n_columns = self.n_targets(n_out)
        if self.kind in ("class", "labels"):
            return _checks.check_labels(name, y, n_columns, n_out if self.kind == "class" else 2)
        targets = _checks.check_targets(name, y, n_columns, dtype)
        least = targets.min(initial=np.inf)
        if self.kind == "positive" and least <= 0:
            raise ValueError(f"{name} must be above 0 for loss {self.name!r}, but it holds {least:g}.")
        if self.kind in ("nonnegative", "probabilities") and least < 0:
            raise ValueError(f"{name} must be at least 0 for loss {self.name!r}, but it holds {least:g}.")
        if self.kind == "probabilities":
            sums = targets.sum(axis=1)
            worst = int(np.abs(sums - 1).argmax())
            if abs(sums[worst] - 1) > 1e-3:
                raise ValueError(f"rows of {name} must sum to 1, but row {worst} sums to {sums[worst]:g}.")
        return targets

    def _key(self) -> tuple[Any, ...]:
        function, derivative, _ = self._given
        name = self.name if isinstance(function, str) else function
        return name, derivative, tuple(self.numbers), self.scale

    def __eq__(self, other) -> bool:
        return isinstance(other, Loss) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self):
        return _restored, (*self._given, self._factor)

    def __repr__(self) -> str:
        function, derivative, parameters = self._given
        parts = [repr(self.name) if isinstance(function, str) else self.name]
        if derivative is not None:
            parts.append(getattr(derivative, "__name__", None) or repr(derivative))
        parts += [f"{key}={value!r}" for key, value in parameters.items()]
        scaled = "" if self._factor == 1 else f".scaled({self._factor!r})"
        return f"Loss({', '.join(parts)}){scaled}"


def _restored(function, derivative, parameters, factor) -> Loss:
    return Loss(function, derivative, **parameters).scaled(factor)


def as_loss(spec: str | Callable[[float, float], float] | Loss) -> Loss:
    """A loss from its name or function, or the loss itself.

    Examples
    --------
    >>> as_loss("mae")
    Loss('mae')
    """
    return spec if isinstance(spec, Loss) else Loss(spec)
