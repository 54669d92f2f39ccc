"""Optimisers: what the user says, and the record the kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _checks
from .kernels import updates


@dataclass(frozen=True)
class SGD:
    """Gradient descent, plain or with momentum.

    Plain: ``w -= lr * g``. With momentum: ``m = momentum * m + g; w -= lr * m``; Nesterov's form moves by
    ``g + momentum * m`` instead (Sutskever et al., 2013).

    Parameters
    ----------
    lr : float, default=0.01
        Learning rate.
    momentum : float in [0, 1), default=0.0
    nesterov : bool, default=False
        Needs a momentum above 0.

    Examples
    --------
    >>> SGD(lr=0.1, momentum=0.9, nesterov=True)
    SGD(lr=0.1, momentum=0.9, nesterov=True)
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _checks.check_number("lr", self.lr, 0.0, open_low=True)
        _checks.check_number("momentum", self.momentum, 0.0, 1.0)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0, got momentum=0.")

    @property
    def n_states(self) -> int:
        """How many vectors of the parameters' size it keeps."""
        return int(self.momentum > 0)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2015): steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    lr : float, default=0.001
        Learning rate.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        How slowly the two means forget.
    eps : float, default=1e-8
        Added to the root of the second mean, after its bias is corrected.

    Examples
    --------
    >>> Adam(lr=3e-4).beta2
    0.999
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _checks.check_number("lr", self.lr, 0.0, open_low=True)
        _checks.check_number("beta1", self.beta1, 0.0, 1.0)
        _checks.check_number("beta2", self.beta2, 0.0, 1.0)
        _checks.check_number("eps", self.eps, 0.0, open_low=True)

    @property
    def n_states(self) -> int:
        """How many vectors of the parameters' size it keeps."""
        return 2


OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def as_optimizer(optimizer: str | SGD | Adam) -> SGD | Adam:
    """An optimiser from its name, with its defaults, or the optimiser itself."""
    if isinstance(optimizer, str):
        return OPTIMIZERS[_checks.check_name("optimizer", optimizer, OPTIMIZERS)]()
    if not isinstance(optimizer, (SGD, Adam)):
        raise TypeError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)} or an optimiser such as fastnn.Adam(), "
            f"got {optimizer!r}."
        )
    return optimizer


def settings(optimizer: SGD | Adam, l2: float) -> np.ndarray:
    """The optimiser as the kernels' record of shape (1,)."""
    record = np.zeros(1, dtype=updates.SETTINGS)
    record["l2"] = l2
    record["kind"] = updates.OPTIMIZERS[type(optimizer).__name__.lower()]
    for name, value in vars(optimizer).items():
        record[name] = value
    return record
