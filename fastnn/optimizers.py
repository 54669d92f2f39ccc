"""Optimisers: their settings, and the numbers that their kernels read.

A kernel takes an optimiser's `constants`, and one row of `rates` per step with all numbers that change from
step to step: the kernel itself computes only what differs between elements.

The file is longer than most because it is a catalogue: one class per method, with its equation and source.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import _checks
from .kernels import updates
from .kernels.updates import N_RATES

_SHARE = 0.0, 1.0, False
_POSITIVE = 0.0, np.inf, True
_NOT_NEGATIVE = 0.0, np.inf, False
_RANGES = {
    "lr": _POSITIVE,
    "momentum": _SHARE,
    "alpha": _SHARE,
    "rho": _SHARE,
    "beta1": _SHARE,
    "beta2": _SHARE,
    "eps": _POSITIVE,
    "momentum_decay": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "tol": _NOT_NEGATIVE,
}


class _Form(NamedTuple):
    """Kernel of an optimiser's step, and its requirements."""

    kernel: str  # name in kernels.hooks.updates
    n_states: int
    constants: tuple[float, ...] = ()


class Optimizer:
    """Base class of all optimisers, also of your own.

    An optimiser has the fields `lr` and `weight_decay`, and names its kernel, the number of its states, its
    constants and its rates.

    Examples
    --------
    >>> isinstance(as_optimizer("lion"), Optimizer)
    True
    """

    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.name in _RANGES:
                _checks.check_number(field.name, getattr(self, field.name), *_RANGES[field.name])
            elif isinstance(field.default, bool):
                _checks.check_flag(field.name, getattr(self, field.name))

    @property
    def _form(self) -> _Form:
        raise NotImplementedError

    @property
    def _core(self) -> int | None:
        """Code of the core's own form of the optimiser, which has no weight decay; None if there is none."""
        return None

    @property
    def n_states(self) -> int:
        """Number of state vectors of the parameters' size, at most 3; they start at zero."""
        return self._form.n_states

    @property
    def kernel(self) -> Callable:
        """Compiled function that makes a step; :mod:`fastnn.kernels.hooks` has its signature."""
        from .kernels.hooks import updates as hooks

        return getattr(hooks, self._form.kernel)

    @property
    def core_kind(self) -> int | None:
        """The core's code of the optimiser, or None if its kernel must be called."""
        return None if self.weight_decay else self._core

    def constants(self) -> np.ndarray:
        """Return the kernel's numbers that stay the same at all steps, as float64."""
        return np.array(self._form.constants, dtype=np.float64)

    def rates(self, lr: np.ndarray, step: int) -> np.ndarray:
        """Return the kernel's numbers for each of the next steps.

        Parameters
        ----------
        lr : ndarray of shape (n,), float64
            Learning rates of the next n steps.
        step : int
            Number of steps done before.

        Returns
        -------
        ndarray of shape (n, N_RATES), float64
            One row per step: the learning rate, the numbers derived from it, and zeros.

        Examples
        --------
        >>> Adam(beta1=0.5, beta2=0.75).rates(np.array([0.1, 0.1]), step=0).round(3)
        array([[0.1  , 0.2  , 2.   , 0.   , 0.   ],
               [0.1  , 0.133, 1.512, 0.   , 0.   ]])
        """
        lr = np.asarray(lr, dtype=np.float64)
        table = np.zeros((len(lr), N_RATES))
        numbers = np.arange(step + 1, step + 1 + len(lr))
        for column, values in enumerate([lr, *self._corrected(lr, numbers)]):
            table[:, column] = values
        return table

    def _corrected(self, lr: np.ndarray, step: np.ndarray) -> Iterable[Any]:
        """Return the columns after the learning rate, for steps counted from 1."""
        return ()


def powers(base: float, exponents: np.ndarray) -> np.ndarray:
    """Return ``base ** exponents`` by repeated squaring: unlike pow, it has the same bits on all machines."""
    result = np.ones(len(exponents))
    while exponents.any():
        result = np.where(exponents & 1, result * base, result)
        base, exponents = base * base, exponents >> 1
    return result


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, plain or with momentum.

    Plain: ``w -= lr * g``. With momentum: ``m = momentum * m + g; w -= lr * m`` (Rumelhart et al., 1986);
    Nesterov's form moves by ``g + momentum * m`` instead (Sutskever et al., 2013).

    Parameters
    ----------
    lr : float, default=0.01
        Learning rate.
    momentum : float in [0, 1), default=0.0
        Share of the running sum of gradients that is kept at each step.
    nesterov : bool, default=False
        Whether to use Nesterov's form, for which the momentum must be above 0.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step (Loshchilov and Hutter, 2019).

    Examples
    --------
    >>> SGD(lr=0.1, momentum=0.9, nesterov=True)
    SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0)
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0, got momentum=0.")

    @property
    def _form(self) -> _Form:
        if self.momentum > 0:
            return _Form("momentum", 1, (self.momentum, self.nesterov))
        return _Form("sgd", 0)

    @property
    def _core(self) -> int | None:
        return updates.SGD


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012): gradients over the root of a running mean of their squares.

    ``v = alpha * v + (1 - alpha) * g**2; w -= lr * g / (sqrt(v) + eps)``, as in PyTorch.

    Parameters
    ----------
    lr : float, default=0.01
        Learning rate.
    alpha : float in [0, 1), default=0.99
        Decay rate of the running mean.
    eps : float, default=1e-8
        Added to the root.
    momentum : float in [0, 1), default=0.0
        Momentum of the quotients.
    centered : bool, default=False
        Whether to divide by the standard deviation instead, the root of v minus the square of a running
        mean of gradients (Graves, 2013).
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step (Loshchilov and Hutter, 2019).

    Examples
    --------
    >>> RMSprop(momentum=0.9).n_states
    2
    """

    lr: float = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        constants = self.alpha, 1 - self.alpha, self.eps, self.momentum
        if self.centered:
            return _Form("rmsprop_centered", 3, constants)
        if self.momentum > 0:
            return _Form("rmsprop_momentum", 2, constants)
        return _Form("rmsprop", 1, constants)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011): gradients over the root of the sum of all their squares.

    ``v += g**2; w -= lr * g / (sqrt(v) + eps)``

    Parameters
    ----------
    lr : float, default=0.01
        Learning rate.
    eps : float, default=1e-10
        Added to the root.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step (Loshchilov and Hutter, 2019).

    Examples
    --------
    >>> Adagrad(lr=0.1)
    Adagrad(lr=0.1, eps=1e-10, weight_decay=0.0)
    """

    lr: float = 0.01
    eps: float = 1e-10
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        return _Form("adagrad", 1, (self.eps,))


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps scaled to the size of recent steps, so a learning rate of 1 works.

    ``v = rho * v + (1 - rho) * g**2; d = sqrt((u + eps) / (v + eps)) * g;``
    ``u = rho * u + (1 - rho) * d**2; w -= lr * d``

    Parameters
    ----------
    lr : float, default=1.0
        Learning rate.
    rho : float in [0, 1), default=0.9
        Decay rate of the two running means.
    eps : float, default=1e-6
        Added to both means; it sets the size of the first steps.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step (Loshchilov and Hutter, 2019).

    Examples
    --------
    >>> Adadelta().lr
    1.0
    """

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        return _Form("adadelta", 2, (self.rho, 1 - self.rho, self.eps))


@dataclass(frozen=True)
class _TwoMeans(Optimizer):
    """Base of Adam's family: a running mean m of gradients and, in all but Lion, v of their squares."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999

    @property
    def _betas(self) -> tuple[float, ...]:
        # 1 - beta in float64: 1 - 0.999 in float32 is off by 1e-5.
        return self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2


@dataclass(frozen=True)
class Adam(_TwoMeans):
    """Adam (Kingma and Ba, 2015): steps scaled by running means of the gradient and of its square.

    ``w -= lr * m' / (sqrt(v') + eps)``, where m' and v' are the means corrected for their start at 0.

    Parameters
    ----------
    lr : float, default=0.001
        Learning rate.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        Decay rates of the two running means.
    eps : float, default=1e-8
        Added to the root of the second mean, after its bias correction.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step: see :class:`AdamW`.
    amsgrad : bool, default=False
        Whether to divide by the largest v so far, so that steps do not grow again (Reddi et al., 2018).

    Examples
    --------
    >>> Adam(lr=3e-4).beta2
    0.999
    """

    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    @property
    def _form(self) -> _Form:
        return _Form("amsgrad", 3, self._betas) if self.amsgrad else _Form("adam", 2, self._betas)

    @property
    def _core(self) -> int | None:
        return None if self.amsgrad else updates.ADAM

    def _corrected(self, lr: np.ndarray, step: np.ndarray) -> Iterable[Any]:
        return lr / (1 - powers(self.beta1, step)), 1 / np.sqrt(1 - powers(self.beta2, step)), self.eps


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (Loshchilov and Hutter, 2019): Adam with decoupled weight decay.

    A penalty in the cost passes through Adam's means and so shrinks weights with small gradients most; the
    decay shrinks all weights by the same share, ``lr * weight_decay`` at each step.

    Parameters
    ----------
    lr, beta1, beta2, eps, amsgrad
        See :class:`Adam`.
    weight_decay : float, default=0.01
        Weights also shrink by ``lr * weight_decay * w`` at each step.

    Examples
    --------
    >>> AdamW(lr=3e-4).weight_decay
    0.01
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class NAdam(_TwoMeans):
    """NAdam (Dozat, 2016): Adam with Nesterov's momentum, which grows over the first steps.

    Parameters
    ----------
    lr : float, default=0.002
        Learning rate.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        Decay rates of the two running means.
    eps : float, default=1e-8
        Added to the root of the second mean, after its bias correction.
    momentum_decay : float, default=0.004
        The momentum of step t is ``beta1 * (1 - 0.96**(t * momentum_decay) / 2)``.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step: see :class:`AdamW`.

    Examples
    --------
    >>> NAdam(lr=0.01).momentum_decay
    0.004
    """

    lr: float = 2e-3
    eps: float = 1e-8
    momentum_decay: float = 4e-3
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        return _Form("nadam", 2, self._betas)

    def _momentum(self, step: np.ndarray) -> np.ndarray:
        return self.beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def _corrected(self, lr: np.ndarray, step: np.ndarray) -> Iterable[Any]:
        # The product of all momenta is computed from the first step on, so it need not be kept as a state. No
        # momentum is above beta1; once the product is below 2**-54, 1 minus it is 1, so 0 stands for it.
        last = math.ceil(54 * math.log(2) / -math.log(self.beta1)) if self.beta1 > 0 else 0
        last = min(last, step.max(initial=0) + 1)
        products = np.append(np.cumprod(self._momentum(np.arange(1, last + 1))), 0.0)
        product, next_product = products[np.minimum(step - 1, last)], products[np.minimum(step, last)]
        on_mean = lr * self._momentum(step + 1) / (1 - next_product)
        on_slope = lr * (1 - self._momentum(step)) / (1 - product)
        return on_mean, 1 / np.sqrt(1 - powers(self.beta2, step)), self.eps, on_slope


@dataclass(frozen=True)
class RAdam(_TwoMeans):
    """RAdam (Liu et al., 2020): Adam, with steps scaled down while the variance of its second mean is large.

    In the first few steps the second mean is not used, and the step is ``lr * m'``.

    Parameters
    ----------
    lr : float, default=0.001
        Learning rate.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        Decay rates of the two running means.
    eps : float, default=1e-8
        Added to the root of the second mean, before its bias correction.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step: see :class:`AdamW`.

    Examples
    --------
    >>> RAdam(lr=0.01).n_states
    2
    """

    eps: float = 1e-8
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        return _Form("adam", 2, self._betas)

    def _corrected(self, lr: np.ndarray, step: np.ndarray) -> Iterable[Any]:
        past = powers(self.beta2, step)
        # v is about a simple mean of the last `length` squares, and of `longest` squares in the end.
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * step * past / (1 - past)
        trusted = length > 5
        on_mean = lr / (1 - powers(self.beta1, step))
        n = length[trusted]
        rectified = (n - 4) * (n - 2) * longest / ((longest - 4) * (longest - 2) * n)
        on_mean[trusted] *= np.sqrt(rectified * (1 - past[trusted]))
        # Where v is not trusted, the denominator is 0 * sqrt(v) + 1.
        return on_mean, np.where(trusted, 1.0, 0.0), np.where(trusted, self.eps, 1.0)


@dataclass(frozen=True)
class Lion(_TwoMeans):
    """Lion (Chen et al., 2023): steps of equal size, by the sign of a mix of gradient and running mean.

    ``w -= lr * sign(beta1 * m + (1 - beta1) * g)``, then ``m = beta2 * m + (1 - beta2) * g``. It needs a
    learning rate 3 to 10 times smaller than Adam's, and a weight decay larger by the same factor.

    Parameters
    ----------
    lr : float, default=0.0001
        Learning rate.
    beta1, beta2 : float in [0, 1), default=0.9, 0.99
        Weight of the mean in the step, and decay rate of the mean.
    weight_decay : float, default=0.0
        Weights also shrink by ``lr * weight_decay * w`` at each step: see :class:`AdamW`.

    Examples
    --------
    >>> Lion().n_states
    1
    """

    lr: float = 1e-4
    beta2: float = 0.99
    weight_decay: float = 0.0

    @property
    def _form(self) -> _Form:
        return _Form("lion", 1, self._betas)


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal, 1989) by SciPy: a quasi-Newton method on all rows at once.

    It suits data sets of a few thousand rows. Line searches set the size of its steps, so there is no
    learning rate; an epoch is an iteration.

    Parameters
    ----------
    tol : float, default=1e-5
        Training ends when no element of the gradient is larger.
    max_fun : int, default=15000
        Training ends after this many evaluations of the cost.
    history_size : int, default=10
        Number of past steps from which the curvature is estimated.

    Examples
    --------
    >>> LBFGS(tol=1e-6)
    LBFGS(tol=1e-06, max_fun=15000, history_size=10)
    """

    tol: float = 1e-5
    max_fun: int = 15000
    history_size: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.check_count("max_fun", self.max_fun)
        _checks.check_count("history_size", self.history_size)

    @property
    def n_states(self) -> int:
        """0: SciPy keeps the state."""
        return 0


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "adam": Adam,
    "amsgrad": partial(Adam, amsgrad=True),
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
    "lbfgs": LBFGS,
}


def as_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return an optimiser from its name, with default settings, or the optimiser itself.

    Examples
    --------
    >>> as_optimizer("sgd").lr
    0.01
    """
    if isinstance(optimizer, str):
        return OPTIMIZERS[_checks.check_name("optimizer", optimizer, OPTIMIZERS)]()
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)} or an optimiser such as fastnn.Adam(), "
            f"got {_checks.shown(optimizer)}."
        )
    return optimizer
