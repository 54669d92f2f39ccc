"""Averages of the weights over training, which often generalise better than the last ones."""

from __future__ import annotations

from dataclasses import dataclass

from .. import _checks


@dataclass(frozen=True)
class EMA:
    """Exponential moving average over steps: ``average = decay * average + (1 - decay) * w``.

    Polyak and Juditsky (1992). It starts with the weights that training starts with.

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
