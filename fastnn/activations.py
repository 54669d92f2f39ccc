"""Activations of hidden layers: their names and options, and what the kernels need of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import _checks
from ._named import NamedFunction
from .kernels.activations import ACTIVATIONS


class _Named(NamedTuple):
    init: str = "glorot_uniform"  # distribution of the initial weights before it
    alpha: float | None = None  # default of its number, if it has one


# He et al. (2015), for activations that pass about half of a symmetric input.
_LIKE_RELU = _Named("he_normal")
_NAMED = {
    "identity": _Named(),
    "relu": _LIKE_RELU,
    "tanh": _Named(),
    "sigmoid": _Named(),
    "leaky_relu": _Named("he_normal", 0.01),
    "prelu": _Named("he_normal", 0.25),
    "elu": _Named("he_normal", 1.0),
    "selu": _Named("lecun_normal"),
    "gelu": _LIKE_RELU,
    "gelu_tanh": _LIKE_RELU,
    "silu": _LIKE_RELU,
    "mish": _LIKE_RELU,
    "softplus": _LIKE_RELU,
    "hard_sigmoid": _Named(),
    "hard_swish": _LIKE_RELU,
    "exp": _Named(),
}
NAMES = tuple(_NAMED)
ALIASES = {"logistic": "sigmoid", "swish": "silu"}


class Activation(NamedFunction):
    """An activation by name, or the user's own.

    Names: "identity", "relu", "tanh", "sigmoid" (or "logistic"), "leaky_relu" (Maas et al., 2013), "prelu",
    whose slope is learned (He et al., 2015), "elu" (Clevert et al., 2016), "selu" (Klambauer et al., 2017),
    "gelu" and "gelu_tanh", exact and by its tanh formula (Hendrycks and Gimpel, 2016), "silu" (or "swish";
    Elfwing et al., 2018), "mish" (Misra, 2020), "softplus" (Dugas et al., 2001), "hard_sigmoid" and
    "hard_swish" (Howard et al., 2019), "exp".

    Parameters
    ----------
    function : str or callable
        A name, or a function of one number that numba can compile: ``function(z)``.
    derivative : callable, optional
        Derivative of the user's own function, also a function of z. Without it, slopes are central
        differences, for which the function is evaluated twice more.
    alpha : float of at least 0, optional
        Slope for z < 0 of "leaky_relu" (default 0.01), initial slope of "prelu" (0.25), or the negative of
        the limit of "elu" (1).

    Attributes
    ----------
    name : str
        Name of the activation, or of the user's function.
    alpha : float or None
        The value in use; None for an activation without one.
    init : str
        Distribution from which weights before it are best drawn.
    is_own : bool
        Whether it is the user's own, whose name may be any.
    code : int or None
        The core's code, if the core has it.
    kernel : compiled function or None
        Function that is called by address (:mod:`fastnn.kernels.hooks`); None for "prelu".

    Raises
    ------
    ValueError
        If a name or a number is not what is described here, or the derivative is not the function's.
    TypeError
        If `function` is neither a name nor a function, or numba cannot compile it.

    Examples
    --------
    >>> Activation("elu", alpha=0.5)
    Activation('elu', alpha=0.5)
    >>> Activation("swish").name
    'silu'
    >>> def softsign(z):
    ...     return z / (1 + abs(z))
    >>> Activation(softsign, lambda z: 1 / (1 + abs(z)) ** 2).name
    'softsign'
    """

    _role = "activation"

    def __init__(
        self,
        function: str | Callable[[float], float],
        derivative: Callable[[float], float] | None = None,
        *,
        alpha: float | None = None,
    ) -> None:
        super().__init__(function, derivative, {} if alpha is None else {"alpha": alpha}, NAMES, ALIASES)
        self.init, self.alpha = _Named() if self.is_own else _NAMED[self.name]
        if alpha is not None:
            if self.alpha is None:
                takers = ", ".join(name for name, named in _NAMED.items() if named.alpha is not None)
                raise ValueError(
                    f"alpha belongs to {takers}, got alpha={_checks.shown(alpha)} for {self.name!r}."
                )
            self.alpha = _checks.check_number("alpha", alpha, 0.0)
        self.code = None if self.is_own else ACTIVATIONS.get(self.name)

    def _named_kernel(self) -> Callable[..., None] | None:
        from .kernels.hooks import activations

        return getattr(activations, self.name, None)

    def _settings(self) -> tuple[Any, ...]:
        return (self.alpha,)


def as_activation(spec: str | Callable[[float], float] | Activation) -> Activation:
    """Return an activation from its name or function, or the activation itself.

    Examples
    --------
    >>> as_activation("mish")
    Activation('mish')
    """
    return spec if isinstance(spec, Activation) else Activation(spec)
