"""Judgement of rows by a network and a loss: cost, metric, losses and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..data.streams.stream import Stream
from .core import Core
from .rows import Rows, check_rows
from .scores import cost_and_metric
from .sources import InMemory, Source, Streamed


class Evaluator:
    """The part of a trainer that trains nothing.

    Attributes
    ----------
    core : Core
        Network, settings and compiled kernels.
    """

    __slots__ = ()
    core: Core

    def evaluate(
        self, x: ArrayLike | Stream, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Compute the cost (mean loss, without penalty) and the metric of some rows.

        Parameters
        ----------
        x, y, sample_weight : array-like
            As in :meth:`fit`; x may be a stream.

        Returns
        -------
        dict
            "cost", and "accuracy" or "r2".

        Raises
        ------
        ValueError, TypeError
            If the rows are not what network and loss take.
        """
        if isinstance(x, Stream):
            source: Source = Streamed(x, self.core.network.architecture, self.core.settings, "x")
        else:
            source = InMemory(self._check_rows(x, y, sample_weight))
        cost, metric = cost_and_metric(self.core, source)
        return {"cost": cost, self.core.state.history.metric_name: metric}

    def losses(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Compute the loss of each row; the mean of all is the cost.

        Parameters
        ----------
        x, y : array-like
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n,), float64

        Raises
        ------
        ValueError, TypeError
            If the rows are not what network and loss take.
        """
        rows = self._check_rows(x, y)
        return self.core.score(rows.data, rows.n)[0]

    def gradient(
        self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
        """Compute the cost of all rows as one batch, and its gradient, as a training step does.

        Parameters
        ----------
        x, y, sample_weight : array-like
            As in :meth:`fit`.

        Returns
        -------
        cost : float
            Mean loss without penalty. Dropout is that of the first step; batch normalisation uses the
            statistics of these rows.
        grad_weights : list of ndarray, shape (n_in, n_out) each
        grad_biases : list of ndarray, shape (n_out,) each

        Raises
        ------
        ValueError, TypeError
            If the rows are not what network and loss take.
        """
        rows = self._check_rows(x, y, sample_weight)
        cost, grads = self.core.gradient(rows.data, rows.n)
        return cost, *self.core.network.split(grads)

    def _check_rows(self, x: Any, y: Any, sample_weight: Any = None) -> Rows:
        return check_rows(self.core.network.architecture, self.core.settings.loss, x, y, sample_weight)
