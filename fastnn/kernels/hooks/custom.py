"""Kernels of the user's own activations and losses, which numba compiles in this process.

They are closures, which the cache on disk cannot hold; each takes about a second per dtype, and 3 MB, which
numba cannot free before the process ends. So functions that compute the same share one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core import errors, types

from ..._checks import function_name
from ..._jit import jit
from .activations import apply_terms as apply_activation
from .content import Content
from .functions import number
from .losses import apply_to_output

_njit = functools.partial(jit, cache=False)
_MOST_KERNELS = 256  # of functions no longer in use; to forget one frees a tenth of its memory

# With this step the truncation error of a central difference is about as large as its rounding error.
STEP = float(np.cbrt(np.finfo(np.float64).eps))
# For a function of size 1, as smooth as those in use, the error of a difference is about 1e-10.
TOLERANCE = 1e-5
POINTS = tuple(np.linspace(-6.0, 6.0, 97))
TARGETS = (-2.5, -1.0, 0.0, 0.3, 1.0, 4.0)


def _shared(make_kernel: Callable[..., Callable[..., None]]) -> Callable[..., Callable[..., None]]:
    """Decorate a maker of kernels so that functions of equal content are given the same kernel."""
    kernel_of = functools.lru_cache(_MOST_KERNELS)(lambda content: make_kernel(*content.functions))

    @functools.wraps(make_kernel)
    def shared(
        value: Callable[..., float], derivative: Callable[..., float] | None = None
    ) -> Callable[..., None]:
        content = Content(value, derivative)
        if content.key is None or numba.config.DISABLE_JIT:
            return make_kernel(value, derivative)
        kernel = kernel_of(content)
        content.freeze()
        return kernel

    return shared


def _compiled(role: str, function: Callable[..., float], n_args: int) -> Any:
    """Compile a function for both dtypes, or raise TypeError with numba's reason."""
    dispatcher: Any
    if numba.config.DISABLE_JIT or hasattr(function, "py_func"):
        dispatcher = function
    elif isinstance(function, FunctionType):
        dispatcher = _njit(function)
    elif n_args == 1:  # not a Python function, but numba may know it: math.tanh, np.tanh
        dispatcher = _njit(lambda z: function(z))
    else:
        dispatcher = _njit(lambda a, y: function(a, y))
    if numba.config.DISABLE_JIT:
        return dispatcher
    name = function_name(function)
    for kind in (types.float32, types.float64):
        try:
            dispatcher.compile((kind,) * n_args)
        except (errors.NumbaError, TypeError, ValueError, NotImplementedError) as error:
            lines = [line.strip() for line in str(error).splitlines()]
            reason = next((line for line in lines if line and not line.startswith("Failed in")), repr(error))
            if "<class 'function'>" in reason:
                reason += "; decorate the functions that it calls with numba.njit"
            raise TypeError(f"{role} {name!r} cannot be compiled by numba: {reason}") from error
        result = dispatcher.overloads[(kind,) * n_args].signature.return_type
        if not isinstance(result, (types.Float, types.Integer, types.Boolean)):
            raise TypeError(f"{role} {name!r} must return a real number, but it returns {result}.")
    return dispatcher


def _evaluate(function: Callable[..., float], *args: float) -> float:
    """Return the function's value, or NaN where it is not defined."""
    with np.errstate(all="ignore"):
        try:
            return float(function(*map(np.float64, args)))
        except (ValueError, ArithmeticError):
            return math.nan


def _check_derivative(
    role: str,
    name: str,
    value: Callable[..., float],
    derivative: Callable[..., float],
    points: Iterable[tuple[float, ...]],
) -> None:
    """Compare a derivative by the first argument with finite differences, wherever they are finite.

    At a kink, the slopes of both sides and all slopes between them are accepted.
    """
    n_compared = 0
    for x, *rest in points:
        h = STEP * max(1.0, abs(x))
        below, here, above = (_evaluate(value, x + step, *rest) for step in (-h, 0.0, h))
        if not all(map(math.isfinite, (below, here, above))):
            continue
        n_compared += 1
        slope, sides = _evaluate(derivative, x, *rest), ((here - below) / h, (above - here) / h)
        slack = TOLERANCE * (1.0 + abs(here) + min(map(abs, sides)))
        if not min(sides) - slack <= slope <= max(sides) + slack:
            point = f"a = {x:g}, y = {rest[0]:g}" if rest else f"z = {x:g}"
            raise ValueError(
                f"derivative of {role} {name!r} is {slope:.6g} at {point}, but finite differences of the "
                f"function give {(above - below) / (2 * h):.6g}."
            )
    if n_compared == 0:
        raise ValueError(
            f"{role} {name!r} must be finite somewhere between {POINTS[0]:g} and {POINTS[-1]:g}, "
            "but it is finite at none of the points tried."
        )


@_njit
def _half_step(x):
    return STEP * max(1.0, abs(x))


@_shared
def activation_kernel(
    value: Callable[[float], float], derivative: Callable[[float], float] | None = None
) -> Callable[..., None]:
    """Return the activation kernel of ``value(z)`` and ``derivative(z)``.

    A derivative is first compared with central differences. Without one, the slopes are such differences,
    taken in float64.

    Raises
    ------
    TypeError
        If numba cannot compile a function.
    ValueError
        If the derivative is not that of the function.
    """
    role = "activation"
    f = _compiled(role, value, 1)
    if derivative is None:

        @_njit(inline=True)
        def terms(z, alpha):
            x = np.float64(z)
            h = _half_step(x)
            return number(f(z), z), number((f(x + h) - f(x - h)) / (h + h), z)

    else:
        g = _compiled(f"derivative of {role}", derivative, 1)
        _check_derivative(role, function_name(value), f, g, ((z,) for z in POINTS))

        @_njit(inline=True)
        def terms(z, alpha):
            return number(f(z), z), number(g(z), z)

    @_njit
    def kernel(a, slopes, alpha, r0, r1, n_out):
        apply_activation(terms, a, slopes, alpha, r0, r1, n_out)

    return kernel


@_shared
def loss_kernel(
    value: Callable[[float, float], float], derivative: Callable[[float, float], float] | None = None
) -> Callable[..., None]:
    """Return the loss kernel of ``value(a, y)`` and its ``derivative(a, y)`` by `a`, for each output.

    The derivative is used, and errors are raised, as in :func:`activation_kernel`.
    """
    role = "loss"
    f = _compiled(role, value, 2)
    if derivative is None:

        @_njit(inline=True)
        def terms(a, y, p, q):
            x, target, error = np.float64(a), np.float64(y), a - y
            h = _half_step(x)
            slope = (f(x + h, target) - f(x - h, target)) / (h + h)
            return number(f(a, y), a), number(slope, a), error * error

    else:
        g = _compiled(f"derivative of {role}", derivative, 2)
        points = ((a, y) for y in TARGETS for a in POINTS)
        _check_derivative(role, function_name(value), f, g, points)

        @_njit(inline=True)
        def terms(a, y, p, q):
            error = a - y
            return number(f(a, y), a), number(g(a, y), a), error * error

    @_njit
    def kernel(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1):
        apply_to_output(
            terms, row_loss, row_score, delta, z, y, 0.0, 0.0, scale, share, output, n_out, r0, r1
        )

    return kernel
