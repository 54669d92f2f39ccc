"""Averages of the weights over training, which often generalise better than the last ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..network.compiled import CompiledNetwork
from ..network.layout import aligned_copy


@dataclass(frozen=True)
class EMA:
    """Exponential moving average over steps: ``average = decay * average + (1 - decay) * w``.

    Polyak and Juditsky (1992). It starts with the weights at the start of training.

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
        The first epoch that counts, from 1.

    Examples
    --------
    >>> SWA(start=10)
    SWA(start=10)
    """

    start: int = 1

    def __post_init__(self) -> None:
        _checks.check_count("start", self.start)


class Averager:
    """Owner of the shadow weights: a second set of parameters beside the network's.

    During training, the network has the weights that are trained, and the shadow is their average. In between
    it is the other way round: the network has the average, and the shadow the weights to train on with.

    Parameters
    ----------
    rule : EMA, SWA or None
    network : CompiledNetwork

    Attributes
    ----------
    decay : float
        Of an EMA, else 0.
    shadow : ndarray of shape (n_params,)
        Empty until training starts with a rule.
    n_averaged : int
        Epochs that an SWA has taken in.
    """

    def __init__(self, rule: EMA | SWA | None, network: CompiledNetwork) -> None:
        self._rule, self._network = rule, network
        self._is_training = False
        self.decay = rule.decay if isinstance(rule, EMA) else 0.0
        self.shadow = np.empty(0, network.params.dtype)
        self.n_averaged = 0

    @property
    def is_averaging(self) -> bool:
        """Whether training is on, and there is an average already."""
        return self._is_training and self._has_average

    @property
    def _has_average(self) -> bool:
        return isinstance(self._rule, EMA) or self.n_averaged > 0

    @property
    def averaged_params(self) -> np.ndarray:
        """The parameters of an epoch as they are validated and kept: averaged, if there is an average."""
        return self.shadow if self.is_averaging else self._network.params

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Let the network have the weights that are trained, and at the end their average."""
        if self._rule is None:
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
        """Let the network have the averaged weights, if there are any, within the block."""
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
        """Take the weights into the mean of an SWA, if it has begun; epochs are counted from 1."""
        if isinstance(self._rule, SWA) and epoch >= self._rule.start:
            self.n_averaged += 1
            self.shadow += (self._network.params - self.shadow) / self.n_averaged

    def _swap(self) -> None:
        params = self._network.params
        params[:], self.shadow[:] = self.shadow.copy(), params.copy()
