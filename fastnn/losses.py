"""Losses: their names, parameters and targets, and what the kernels need of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _checks
from ._named import NamedFunction
from .kernels.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, MSE


@dataclass(frozen=True)
class LossInfo:
    """Properties of a loss that has a name."""

    code: int = -1  # the core's code; the core has it while all parameters are 0
    scale: float = 1.0
    output: str | None = None  # output activation that it needs; None if any will do
    kind: str = "values"  # kind of its targets, one of KINDS
    parameters: Mapping[str, Any] = field(default_factory=dict)  # names and defaults


KINDS = {
    "class": "one class number per row",
    "labels": "0 or 1 for each output",
    "values": "any values",
    "nonnegative": "values of at least 0",
    "positive": "values above 0",
    "probabilities": "one probability per output, with a sum of 1 in each row",
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


# Of each parameter: lower and upper bound, and whether the lower bound is excluded.
_RANGES = {
    "delta": (0.0, np.inf, True),
    "power": (1.0, 2.0, True),
    "label_smoothing": (0.0, 1.0, False),
    "gamma": (0.0, np.inf, False),
}


def _numbers(name: str, parameters: Mapping[str, Any]) -> list[float]:
    """Return the checked parameters of a loss as the numbers that its kernel takes."""
    numbers = []
    for key, value in parameters.items():
        if key == "levels":
            numbers += _levels(value)
        elif key == "alpha":
            numbers.append(_alpha(name, value))
        else:
            numbers.append(_checks.check_number(key, value, *_RANGES[key]))
    return numbers


def _levels(value: npt.ArrayLike) -> list[float]:
    levels = np.atleast_1d(np.asarray(value, object)).tolist()
    if not levels:
        raise ValueError("levels must name at least one quantile, got none.")
    return [_checks.check_number("levels", level, 0.0, 1.0, open_low=True) for level in levels]


def _alpha(name: str, value: float | None) -> float:
    """Return the weight of label 1 (below 0: both labels have weight 1), or a factor on the loss."""
    is_share = name == "binary_focal"
    if value is None:
        return -1.0 if is_share else 1.0
    return _checks.check_number("alpha", value, 0.0, 1.0 if is_share else np.inf, open_low=True)


class Loss(NamedFunction):
    """A loss by name, or the user's own.

    The cost is the mean of the losses of the rows. The loss of a row with several outputs is their mean,
    unless the outputs are the classes of one label.

    ===================== ========================================= ==================== ==============
    name                  loss of a prediction a, a target y        parameters           output
    ===================== ========================================= ==================== ==============
    mse                   (a - y)^2                                                      free
    squared_error         (a - y)^2 / 2                                                  free
    mae, absolute_error   abs(a - y)                                                     free
    huber                 e^2 / 2 for e = abs(a - y) up to delta,   delta=1.0            free
                          then its tangent (Huber, 1964)
    log_cosh              log(cosh(a - y))                                               free
    quantile              level (y - a) below y, (1 - level)        levels=0.5           free
                          (a - y) above (Koenker and Bassett, 1978)
    poisson               y log(y / a) - y + a                                           exp
    gamma                 y / a - log(y / a) - 1                                         exp
    tweedie               half the deviance (Jorgensen, 1987)       power=1.5            exp
    binary_cross_entropy  -log of the label's probability           label_smoothing=0.0  sigmoid
    binary_focal          that times (1 - probability)^gamma        gamma=2.0,           sigmoid
                          (Lin et al., 2017)                        alpha=None
    hinge                 max(0, 1 - z) for label 1, max(0, 1 + z)                       identity
                          for 0 (Cortes and Vapnik, 1995)
    squared_hinge         hinge squared                                                  identity
    cross_entropy         -log of the class's probability           label_smoothing=0.0  softmax
    focal                 that times (1 - probability)^gamma        gamma=2.0,           softmax
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
        Derivative of the user's own function by its first argument, also a function of (a, y). Without it,
        slopes are central differences, for which the function is evaluated twice more.
    **parameters
        `delta` > 0. `levels`, a number in (0, 1), or several: then the network has one output per level and
        the target one column. `power` in (1, 2). `label_smoothing` in [0, 1), spread over all classes or
        both labels (Szegedy et al., 2016). `gamma` >= 0. `alpha`: for "binary_focal" the weight of label 1
        in (0, 1), where label 0 has the weight 1 - alpha; for "focal" a factor; None for neither.

    Attributes
    ----------
    name : str
        Name of the loss, or of the user's function.
    is_own : bool
        Whether it is the user's own.
    parameters : dict
        Names and values of all parameters of the loss.
    code : int
        The core's code; -1 if the kernel is called by address.
    kernel : compiled function or None
        Function that is called by address (:mod:`fastnn.kernels.hooks`); None for the core's losses.
    numbers : ndarray of float64
        The parameters in the form that the kernel takes.
    scale : float
        Factor on the kernel's loss.
    output : str or None
        Output activation that it is computed with; None if any will do.
    kind : {"class", "labels", "values", "nonnegative", "positive", "probabilities"}
        Kind of the targets.

    Raises
    ------
    ValueError
        If a name or a parameter is not what is described here, or the derivative is not the function's.
    TypeError
        If `function` is neither a name nor a function, or numba cannot compile it.

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

    _role = "loss"

    def __init__(
        self,
        function: str | Callable[[float, float], float],
        derivative: Callable[[float, float], float] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(function, derivative, parameters, LOSSES, ALIASES)
        info = LossInfo() if self.is_own else LOSSES[self.name]
        for key in parameters:
            if not info.parameters:
                raise ValueError(f"loss {self.name!r} has no parameters, got {key}={parameters[key]!r}.")
            _checks.check_name(f"parameter of loss {self.name!r}", key, info.parameters)
        self.parameters: dict[str, Any] = {**info.parameters, **parameters}
        self.numbers = np.array(_numbers(self.name, self.parameters), np.float64)
        self.code = info.code if not self.numbers.any() else -1
        self.scale, self.output, self.kind = info.scale, info.output, info.kind
        self._factor = 1.0

    def _named_kernel(self) -> Callable[..., None] | None:
        if self.code >= 0:
            return None
        from .kernels.hooks import losses

        return getattr(losses, self.name)

    def _settings(self) -> tuple[Any, ...]:
        return tuple(self.numbers), self.scale

    def scaled(self, factor: float) -> Loss:
        """Return this loss times a factor; with the number of outputs, their mean becomes their sum.

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
        """True if a row's score is its squared error, summed over outputs, False if its share of hits."""
        return self.kind in ("values", "nonnegative", "positive")

    def n_targets(self, n_out: int) -> int:
        """Return the number of columns of the targets for a network of `n_out` outputs.

        Raises
        ------
        ValueError
            If the loss cannot be used with that number of outputs.
        """
        if self.kind in ("class", "probabilities") and n_out < 2:
            raise ValueError(
                f"loss {self.name!r} needs one output per class, but the network has a single output: "
                "use loss='binary_cross_entropy'."
            )
        if self.name == "quantile" and self.numbers.size > 1:
            if self.numbers.size != n_out:
                raise ValueError(
                    f"loss 'quantile' has {self.numbers.size} levels, but the network has {n_out} outputs: "
                    "expected one output per level."
                )
            return 1
        return 1 if self.kind == "class" else n_out

    def check_targets(self, name: str, y: npt.ArrayLike, n_out: int, dtype: np.dtype) -> np.ndarray:
        """Return labels as an int32 matrix, other targets as a matrix of `dtype`.

        Raises
        ------
        ValueError
            If `y`, called `name` in the message, holds other targets than the loss takes.
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

    def __repr__(self) -> str:
        return super().__repr__() + ("" if self._factor == 1 else f".scaled({self._factor!r})")


def as_loss(spec: str | Callable[[float, float], float] | Loss) -> Loss:
    """Return a loss from its name or function, or the loss itself.

    Examples
    --------
    >>> as_loss("mae")
    Loss('mae')
    """
    return spec if isinstance(spec, Loss) else Loss(spec)
