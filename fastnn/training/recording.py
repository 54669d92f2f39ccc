"""Callbacks that record a network while it learns: outputs on a grid, gradients and outputs by layer.

:mod:`fastnn.plots` draws what they record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._memory import check_memory
from ..history import Epoch
from ..network.mlp import MLP
from .callbacks import Callback


def grid_axes(x: ArrayLike, resolution: int, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return the two axes of a grid around the points x, `resolution` values each.

    Parameters
    ----------
    x : array-like of shape (n, 2)
    resolution : int
        Number of values per axis.
    margin : float, default=0.1
        Extend the grid beyond the points by this share of their spread.

    Returns
    -------
    across, up : ndarray of shape (resolution,)

    Examples
    --------
    >>> across, up = grid_axes([[0, 0], [1, 2]], 3, margin=0)
    >>> across, up
    (array([0. , 0.5, 1. ]), array([0., 1., 2.]))
    """
    x = _checks.as_numbers("x", x).astype(np.float64)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must have 2 features, one for each axis of the grid, got shape {x.shape}.")
    if len(x) == 0 or not np.isfinite(x).all():
        raise ValueError("x must hold at least one row, and finite values only.")
    _checks.check_count("resolution", resolution, 2)
    check_memory(f"resolution={resolution}", 16 * resolution**2, "the points of its grid")
    low, high = x.min(axis=0), x.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    low, high = low - margin * spread, high + margin * spread
    return np.linspace(low[0], high[0], resolution), np.linspace(low[1], high[1], resolution)


def grid_points(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return all points of a grid, (len(up) * len(across), 2), row by row."""
    return np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)


class _Recorder(Callback):
    """A callback that records at the end of chosen epochs, and before the first."""

    def __init__(self, every: int, epochs: Iterable[int] | None) -> None:
        self._every = _checks.check_count("every", every)
        chosen = [] if epochs is None else _checks.check_items("epochs", epochs, "integers")
        self._chosen = None if epochs is None else {_checks.check_count("epochs", n, 0) for n in chosen}
        self.epochs: list[int] = []

    def _record(self, trainer: Any) -> None:
        raise NotImplementedError

    def _record_if_chosen(self, trainer: Any, epoch: int) -> None:
        chosen = epoch % self._every == 0 if self._chosen is None else epoch in self._chosen
        if chosen and epoch not in self.epochs[-1:]:
            self._record(trainer)
            self.epochs.append(epoch)

    def on_fit_begin(self, trainer: Any) -> None:
        self._record_if_chosen(trainer, len(trainer.history))

    def on_epoch_end(self, trainer: Any, epoch: Epoch) -> None:
        self._record_if_chosen(trainer, epoch.epoch)


class RecordBoundary(_Recorder):
    """Record a network's outputs on a grid around some points with two features.

    Parameters
    ----------
    x : array-like of shape (n, 2)
        Points; the grid extends beyond them by a tenth of their spread.
    every : int, default=1
        Number of epochs from one record to the next; the first is made before training, as epoch 0.
    epochs : iterable of int, optional
        Record after these epochs instead.
    resolution : int, default=100
        Number of grid points along each axis.

    Attributes
    ----------
    epochs : list of int
        The recorded epochs.
    outputs : list of ndarray of shape (resolution, resolution, n_out)
        One array for each recorded epoch: ``outputs[k][i, j]`` is the output at ``(across[j], up[i])``.
    across, up : ndarray of shape (resolution,)
        Axes of the grid.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what is described here, or the network does not take two features.

    Examples
    --------
    >>> import fastnn
    >>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> record = RecordBoundary(x, every=50, resolution=20)
    >>> net = fastnn.MLP([2, 8, 2], "tanh", seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
    >>> history = trainer.fit(x, y, epochs=100, callbacks=record, verbose=0)
    >>> record.epochs, record.outputs[-1].shape
    ([0, 50, 100], (20, 20, 2))
    """

    def __init__(
        self, x: ArrayLike, *, every: int = 1, epochs: Iterable[int] | None = None, resolution: int = 100
    ) -> None:
        super().__init__(every, epochs)
        self.across, self.up = grid_axes(x, resolution)
        self.output: str | None = None
        self.outputs: list[np.ndarray] = []

    def _record(self, trainer: Any) -> None:
        net: MLP = trainer.net
        if net.sizes[0] != 2:
            raise ValueError(f"RecordBoundary needs a network of 2 features, but it takes {net.sizes[0]}.")
        self.output = net.output
        outputs = net.predict_raw(grid_points(self.across, self.up))
        self.outputs.append(outputs.reshape(len(self.up), len(self.across), -1))


class Histogram(NamedTuple):
    """Counts of an array's values in bins of equal width.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
        Number of values in each bin.
    edges : ndarray of shape (n_bins + 1,)
    n_zero : int
        Number of values that are exactly 0, as many outputs of ReLU are; they are in no bin.

    Examples
    --------
    >>> Histogram.of(np.array([0.0, 1.0, 1.0, 2.0]), 2)
    Histogram(counts=array([2, 1]), edges=array([1. , 1.5, 2. ]), n_zero=1)
    """

    counts: np.ndarray
    edges: np.ndarray
    n_zero: int

    @classmethod
    def of(cls, values: np.ndarray, n_bins: int, *, log10: bool = False) -> Histogram:
        """Count the finite values of an array or, with `log10`, the logarithms of their absolute values."""
        values = values[np.isfinite(values)].astype(np.float64)
        nonzero = values[values != 0]
        counts, edges = np.histogram(np.log10(np.abs(nonzero)) if log10 else nonzero, n_bins)
        return cls(counts, edges, values.size - nonzero.size)


class RecordHistograms(_Recorder):
    """Record histograms of each layer's weight gradient and outputs, which show a vanishing gradient.

    Glorot and Bengio (2010) examined deep networks in this way.

    Parameters
    ----------
    x, y : array-like
        Rows, as in ``Trainer.fit``, whose gradient and outputs are recorded; a few hundred suffice.
    every : int, default=1
        Number of epochs from one record to the next; the first is made before training, as epoch 0.
    epochs : iterable of int, optional
        Record after these epochs instead.
    n_bins : int, default=40
        Number of bins, of equal width.

    Attributes
    ----------
    epochs : list of int
        The recorded epochs.
    gradients : list of list of Histogram
        Histograms of log10 of the gradient's absolute values, for each recorded epoch and layer.
    activations : list of list of Histogram
        Histograms of the layer's outputs, for each recorded epoch and layer.
    names : list of str
        Names of the layers.

    Examples
    --------
    >>> import fastnn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((64, 4))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> record = RecordHistograms(x, y, every=5)
    >>> net = fastnn.MLP([4, *[16] * 6, 2], "sigmoid", seed=0)
    >>> trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
    >>> history = trainer.fit(x, y, epochs=5, callbacks=record, verbose=0)
    >>> record.epochs
    [0, 5]
    >>> first, *_, last = [histogram.edges.max() for histogram in record.gradients[0]]
    >>> print(first < last - 2)  # powers of 10: the first layer's gradient is less than a hundredth
    True
    """

    def __init__(
        self,
        x: Any,
        y: ArrayLike,
        every: int = 1,
        *,
        epochs: Iterable[int] | None = None,
        n_bins: int = 40,
    ) -> None:
        super().__init__(every, epochs)
        self._rows = x, y
        self._n_bins = _checks.check_count("n_bins", n_bins, 2)
        self.gradients: list[list[Histogram]] = []
        self.activations: list[list[Histogram]] = []
        self.names: list[str] = []

    def _record(self, trainer: Any) -> None:
        x, y = self._rows
        net: MLP = trainer.net
        _, grad_weights, _ = trainer.gradient(x, y)
        outputs = net.layer_outputs(x.toarray() if _checks.is_sparse(x) else x)
        self.gradients.append([Histogram.of(grad, self._n_bins, log10=True) for grad in grad_weights])
        self.activations.append([Histogram.of(out, self._n_bins) for out in outputs])
        kinds = [*(activation.name for activation in net.activations), net.output or "identity"]
        self.names = [f"layer {depth} ({kind})" for depth, kind in enumerate(kinds)]
