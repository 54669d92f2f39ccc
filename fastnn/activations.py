"""Activations of hidden layers: what the user says, and what the kernels need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

from . import _checks
from .kernels.activations import ACTIVATIONS


class _Named(NamedTuple):
    init: str = "glorot_uniform"
    alpha: float | None = None


# He et al. (2015): for those that let about half of a symmetric input through.
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


class Activation:
    """An activation by name, or the user's own.

    By name: "identity", "relu", "tanh", "sigmoid" (or "logistic"), "leaky_relu" (Maas et al., 2013), "prelu",
    whose slope is learned (He et al., 2015), "elu" (Clevert et al., 2016), "selu" (Klambauer et al., 2017),
    "gelu" and "gelu_tanh", exact and by its tanh formula (Hendrycks and Gimpel, 2016), "silu" (or "swish";
    Elfwing et al., 2018), "mish" (Misra, 2020), "softplus" (Dugas et al., 2001), "hard_sigmoid" and
    "hard_swish" (Howard et al., 2019), "exp".

    Parameters
    ----------
    function : str or callable
        A name, or a function of one number that numba can compile: ``function(z)``.
    derivative : callable, optional
        Of the user's own function, also of z. Without it, slopes are central differences, which evaluate the
        function twice more.
    alpha : float of at least 0, optional
        Slope for z < 0 of "leaky_relu" (0.01 by default), at the start of "prelu" (0.25); the limit, negated,
        of "elu" (1).

    Attributes
    ----------
    name : str
        Of the user's own, the function's.
    alpha : float or None
        The number in force; None where there is none.
    init : str
        How weights before it are best drawn.
    is_own : bool
        Whether it is the user's own, which may bear any name.
    code : int or None
        The core's code, if the core has it.
    kernel : compiled function or None
        What is called by address (:mod:`fastnn.kernels.hooks`); None for "prelu".

    Raises
    ------
    ValueError
        If a name or a number is not what is described here, or the derivative is not the function's.
    TypeError
        If it is neither a name nor a function, or numba cannot compile it.

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

    def __init__(
        self,
        function: str | Callable[[float], float],
        derivative: Callable[[float], float] | None = None,
        *,
        alpha: float | None = None,
    ) -> None:
        self._given = function, derivative, alpha
        if isinstance(function, str):
            if derivative is not None:
                raise ValueError(f"derivative is for functions of your own, but {function!r} brings its own.")
            self.name = _checks.check_name("activation", ALIASES.get(function, function), NAMES)
            self.init, self.alpha = _NAMED[self.name]
        elif callable(function):
            self.name, self.init, self.alpha = _own_name(function), "glorot_uniform", None
        else:
            raise TypeError(f"activation must be a name, a function or an Activation, got {function!r}.")
        if alpha is not None:
            if self.alpha is None:
                takers = ", ".join(name for name, named in _NAMED.items() if named.alpha is not None)
                raise ValueError(f"alpha belongs to {takers}, got alpha={alpha!r} for {self.name!r}.")
            self.alpha = _checks.check_number("alpha", alpha, 0.0)
        self.is_own = not isinstance(function, str)
        self.code = None if self.is_own else ACTIVATIONS.get(self.name)
        if callable(function):
            self.kernel  # noqa: B018 - errors in it belong here

    @cached_property
    def kernel(self):
        """The compiled function of :mod:`fastnn.kernels.hooks`; None for "prelu"."""
        function, derivative, _ = self._given
        if callable(function):
            from .kernels.hooks import custom

            return custom.activation_kernel(function, derivative)
        from .kernels.hooks import activations

        return getattr(activations, self.name, None)

    def _key(self) -> tuple[Any, ...]:
        function, derivative, _ = self._given
        return (self.name if isinstance(function, str) else function), derivative, self.alpha

    def __eq__(self, other) -> bool:
        return isinstance(other, Activation) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self):
        return _restored, self._given

    def __repr__(self) -> str:
        function, derivative, alpha = self._given
        parts = [repr(self.name) if isinstance(function, str) else self.name]
        if derivative is not None:
            parts.append(_own_name(derivative))
        if alpha is not None:
            parts.append(f"alpha={alpha!r}")
        return f"Activation({', '.join(parts)})"


def _restored(function, derivative, alpha) -> Activation:
    return Activation(function, derivative, alpha=alpha)


def _own_name(function) -> str:
    return getattr(function, "__name__", None) or repr(function)


def as_activation(spec: str | Callable[[float], float] | Activation) -> Activation:
    """An activation from its name or function, or the activation itself.

    Examples
    --------
    >>> as_activation("mish")
    Activation('mish')
    """
    return spec if isinstance(spec, Activation) else Activation(spec)
