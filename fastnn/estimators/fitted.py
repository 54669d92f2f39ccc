"""The fitted network behind an estimator's ``coefs_`` and ``intercepts_``."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._fork import cached_property
from ..network.mlp import MLP
from ..network.predictor import Predictor


class FittedNetwork:
    """A network, its weights and biases under scikit-learn's names, and a predictor once one is needed.

    Parameters
    ----------
    net : MLP
        It is not copied: ``coefs_`` and ``intercepts_`` are views of its parameters.

    Examples
    --------
    >>> fitted = FittedNetwork(MLP([4, 8, 3], seed=0))
    >>> [w.shape for w in fitted.attributes["coefs_"]]
    [(4, 8), (8, 3)]
    """

    def __init__(self, net: MLP) -> None:
        self.net = net
        self._views = (*net.weights, *net.biases)

    def __reduce__(self) -> tuple[type[FittedNetwork], tuple[MLP]]:
        return FittedNetwork, (self.net,)

    @cached_property
    def predictor(self) -> Predictor:
        """The network prepared to predict a few rows."""
        return self.net.predictor()

    def holds(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> bool:
        """Return True if those are the network's own arrays."""
        arrays = (*coefs, *intercepts)
        return len(arrays) == len(self._views) and all(map(operator.is_, arrays, self._views))

    def assign(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> None:
        """Copy weights and biases of the same shapes into the network.

        Raises
        ------
        ValueError
            If a shape differs.
        """
        for view, array in zip(self._views, (*coefs, *intercepts), strict=True):
            if view.shape != np.shape(array):
                raise ValueError(
                    f"coefs_ and intercepts_ do not fit together: expected shape {view.shape}, got "
                    f"{np.shape(array)}."
                )
            view[:] = array

    @property
    def attributes(self) -> dict[str, Any]:
        """The estimator's attributes that refer to the network."""
        n_layers = len(self._views) // 2
        return {
            "_fitted": self,
            "coefs_": [*self._views[:n_layers]],
            "intercepts_": [*self._views[n_layers:]],
        }
