"""Averages of the weights over training, which often generalise better than the final weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from ..network.compiled import CompiledNetwork
from ..network.layout import aligned_copy


@dataclass(frozen=True)
class EMA:
    """Exponential moving average over steps: ``average = decay * average + (1 - decay) * w``.

    Polyak and Juditsky (1992). It starts from the weights at the start of training.

    Parameters
    ----------
    decay : float in (0, 1), default=0.999

    Examples
    --------
    >>> EMA(0.99)
    EMA(decay=0.99)
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        _checks.check_number("decay", self.decay, 0.0, 1.0, open_low=True)


@dataclass(frozen=True)
class SWA:
    """Stochastic weight averaging: the mean of the weights at the ends of epochs (Izmailov et al., 2018).

    Parameters
    ----------
    start : int, default=1
        First epoch to include, counted from 1.

    Examples
    --------
    >>> SWA(start=10)
    SWA(start=10)
    """

    start: int = 1

    def __post_init__(self) -> None:
        _checks.check_count("start", self.start)


class Averager:
    """Owner of the shadow weights, a second set of parameters beside the network's.

    During training, the network holds the weights being trained, and the shadow holds their average. Between
    calls of fit they are swapped: the network holds the average, and the shadow the weights to continue with.

    Parameters
    ----------
    rule : EMA, SWA or None
    network : CompiledNetwork

    Attributes
    ----------
    decay : float
        Decay of an EMA; otherwise 0.
    shadow : ndarray of shape (n_params,)
        Shadow weights; empty until training with a rule starts.
    n_averaged : int
        Number of epochs in the mean of an SWA.
    """

    def __init__(self, rule: EMA | SWA | None, network: CompiledNetwork) -> None:
        self._rule, self._network = rule, network
        self._is_training = False
        self.decay = rule.decay if isinstance(rule, EMA) else 0.0
        self.shadow = np.empty(0, network.params.dtype)
        self.n_averaged = 0

    @property
    def is_averaging(self) -> bool:
        """True if training is running and there is already an average."""
        return self._is_training and self._has_average

    @property
    def _has_average(self) -> bool:
        return isinstance(self._rule, EMA) or self.n_averaged > 0

    @property
    def averaged_params(self) -> np.ndarray:
        """The parameters with which an epoch is validated and kept: the average, if there is one."""
        return self.shadow if self.is_averaging else self._network.params

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Give the network the weights being trained within the block, and their average at its end."""
        if self._rule is None or self._is_training:  # a callback may call fit
            yield
            return
        if self.shadow.size == 0:
            self.shadow = aligned_copy(self._network.params)
        elif self._has_average:
            self._swap()
        self._is_training = True
        try:
            yield
        finally:
            if self._has_average:
                self._swap()
            self._is_training = False

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the averaged weights, if there are any, within the block."""
        if not self.is_averaging:
            yield
            return
        params = self._network.params
        trained = params.copy()
        params[:] = self.shadow
        try:
            yield
        finally:
            params[:] = trained

    def end_epoch(self, epoch: int) -> None:
        """Add the weights to the mean of an SWA, if it has begun; epochs are counted from 1."""
        if isinstance(self._rule, SWA) and epoch >= self._rule.start:
            self.n_averaged += 1
            self.shadow += (self._network.params - self.shadow) / self.n_averaged

    def _swap(self) -> None:
        params = self._network.params
        params[:], self.shadow[:] = self.shadow.copy(), params.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle; one made during training becomes an averager between two trainings."""
        self.__dict__.update(state)
        self.shadow = aligned_copy(self.shadow)  # pickle does not keep the alignment
        if self.is_averaging:
            self._swap()
        self._is_training = False
