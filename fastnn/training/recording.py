"""Callbacks that keep what a network looked like while it learnt: :mod:`fastnn.plots` draws it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from ..history import Epoch
from ..network.mlp import MLP
from .callbacks import Callback


def plane(x, resolution: int, margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """The two axes of a grid around the points x, (n, 2): `resolution` values each.

    Examples
    --------
    >>> across, up = plane([[0, 0], [1, 2]], 3, margin=0)
    >>> across, up
    (array([0. , 0.5, 1. ]), array([0., 1., 2.]))
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must have 2 features, one an axis of the picture, got shape {x.shape}.")
    if len(x) == 0 or not np.isfinite(x).all():
        raise ValueError("x must hold at least one row, and finite values only.")
    _checks.check_count("resolution", resolution, 2)
    low, high = x.min(axis=0), x.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    low, high = low - margin * spread, high + margin * spread
    return np.linspace(low[0], high[0], resolution), np.linspace(low[1], high[1], resolution)


def grid_points(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """All points of a grid, (len(up) * len(across), 2), row by row."""
    return np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)


class _Recorder(Callback):
    """Records at the ends of chosen epochs, and before the first."""

    def __init__(self, every: int, epochs: Iterable[int] | None) -> None:
        self._every = _checks.check_count("every", every)
        self._chosen = None if epochs is None else {_checks.check_count("epochs", n, 0) for n in epochs}
        self.epochs: list[int] = []

    def _note(self, trainer: Any) -> None:
        raise NotImplementedError

    def _consider(self, trainer: Any, epoch: int) -> None:
        chosen = epoch % self._every == 0 if self._chosen is None else epoch in self._chosen
        if chosen and epoch not in self.epochs[-1:]:
            self._note(trainer)
            self.epochs.append(epoch)

    def on_fit_begin(self, trainer: Any) -> None:
        self._consider(trainer, len(trainer.history))

    def on_epoch_end(self, trainer: Any, epoch: Epoch) -> None:
        self._consider(trainer, epoch.epoch)


class RecordBoundary(_Recorder):
    """Keeps a network's outputs on a grid around some points with two features.

    Parameters
    ----------
    x : array-like of shape (n, 2)
        The grid reaches a tenth of their spread beyond them.
    every : int, default=1
        Record every so many epochs, and before the first (as epoch 0).
    epochs : iterable of int, optional
        Record after these instead.
    resolution : int, default=100
        Points of the grid along each axis.

    Attributes
    ----------
    epochs : list of int
        What was recorded.
    outputs : list of ndarray of shape (resolution, resolution, n_out)
        One an epoch: ``outputs[k][i, j]`` is the network's output at ``(across[j], up[i])``.
    across, up : ndarray of shape (resolution,)

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
        self, x, *, every: int = 1, epochs: Iterable[int] | None = None, resolution: int = 100
    ) -> None:
        super().__init__(every, epochs)
        self.across, self.up = plane(x, resolution)
        self.output: str | None = None
        self.outputs: list[np.ndarray] = []

    def _note(self, trainer: Any) -> None:
        net: MLP = trainer.net
        if net.sizes[0] != 2:
            raise ValueError(f"RecordBoundary needs a network of 2 features, but it takes {net.sizes[0]}.")
        self.output = net.output
        outputs = net.predict_raw(grid_points(self.across, self.up))
        self.outputs.append(outputs.reshape(len(self.up), len(self.across), -1))


class Histogram(NamedTuple):
    """How many of an array's values are where.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
    edges : ndarray of shape (n_bins + 1,)
    n_zero : int
        Values that are exactly 0, as ReLU gives them; they are in no bin.

    Examples
    --------
    >>> Histogram.of(np.array([0.0, 1.0, 1.0, 2.0]), 2)
    Histogram(counts=array([2, 1]), edges=array([1. , 1.5, 2. ]), n_zero=1)
    """

    counts: np.ndarray
    edges: np.ndarray
    n_zero: int

    @classmethod
    def of(cls, values: np.ndarray, n_bins: int, *, sizes: bool = False) -> Histogram:
        """Of an array, or of log10 of its absolute values; what is not finite is left out."""
        values = values[np.isfinite(values)].astype(np.float64)
        others = values[values != 0]
        counts, edges = np.histogram(np.log10(np.abs(others)) if sizes else others, n_bins)
        return cls(counts, edges, values.size - others.size)


class RecordHistograms(_Recorder):
    """Keeps histograms of each layer's weight gradient and outputs, so that a vanishing gradient is seen.

    Glorot and Bengio (2010) looked at deep networks this way.

    Parameters
    ----------
    x, y : array-like
        Rows to take gradient and outputs of, as in ``Trainer.fit``; a few hundred will do.
    every : int, default=1
        Record every so many epochs, and before the first (as epoch 0).
    epochs : iterable of int, optional
        Record after these instead.
    n_bins : int, default=40

    Attributes
    ----------
    epochs : list of int
        What was recorded.
    gradients : list of list of Histogram
        By epoch and layer, over log10 of the absolute values.
    activations : list of list of Histogram
        By epoch and layer: the outputs of the layers.
    names : list of str
        Of the layers.

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
        self, x, y, every: int = 1, *, epochs: Iterable[int] | None = None, n_bins: int = 40
    ) -> None:
        super().__init__(every, epochs)
        self._rows = x, y
        self._n_bins = _checks.check_count("n_bins", n_bins, 2)
        self.gradients: list[list[Histogram]] = []
        self.activations: list[list[Histogram]] = []
        self.names: list[str] = []

    def _note(self, trainer: Any) -> None:
        x, y = self._rows
        net: MLP = trainer.net
        _, grad_weights, _ = trainer.gradient(x, y)
        outputs = net.layer_outputs(x.toarray() if _checks.is_sparse(x) else x)
        self.gradients.append([Histogram.of(grad, self._n_bins, sizes=True) for grad in grad_weights])
        self.activations.append([Histogram.of(out, self._n_bins) for out in outputs])
        kinds = [*(activation.name for activation in net.activations), net.output or "identity"]
        self.names = [f"layer {depth} ({kind})" for depth, kind in enumerate(kinds)]
