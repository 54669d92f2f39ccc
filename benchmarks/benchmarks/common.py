"""Networks, seeded data, trainers and step times, for the suites and scripts/compare.py."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import fastnn


class Network(NamedTuple):
    """An architecture and its batch size.

    Attributes
    ----------
    sizes : tuple of int
        Width of every layer, from the features to the classes.
    batch : int
        Number of rows of a training step.
    group : str
        Size class: "tiny", "small", "medium" or "large".

    Examples
    --------
    >>> Network((784, 128, 10), 128).name
    '784-128-10'
    """

    sizes: tuple[int, ...]
    batch: int
    group: str = "custom"

    @property
    def name(self) -> str:
        """Sizes joined by hyphens."""
        return "-".join(map(str, self.sizes))

    @property
    def step_flops(self) -> int:
        """Floating-point operations of a step's products; the first layer needs no input gradient."""
        weights = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(weights) - weights[0])

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch of about 10 GFLOP, but at least 2, and at most 1024."""
        return min(1024, max(2, int(1e10 / self.step_flops)))


NETWORKS = (
    Network((8, 32, 2), 32, "tiny"),
    Network((64, 64, 10), 32, "tiny"),
    Network((64, 128, 64, 10), 64, "small"),
    Network((784, 128, 10), 128, "small"),
    Network((784, 512, 512, 10), 128, "medium"),
    Network((784, 1024, 1024, 1024, 10), 256, "medium"),
    Network((1024, 2048, 2048, 2048, 1000), 512, "large"),
    Network((4096, 4096, 4096, 4096), 1024, "large"),
)

OPTIMIZERS = {"sgd": fastnn.SGD(), "momentum": fastnn.SGD(momentum=0.9), "adam": fastnn.Adam()}


def make_rows(network: Network, n_rows: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Return random rows and labels, the same at every call.

    Parameters
    ----------
    network : Network
    n_rows : int
    dtype : {"float32", "float64"}, default="float32"

    Returns
    -------
    x : ndarray of shape (n_rows, n_in)
    y : int64 ndarray of shape (n_rows,)

    Examples
    --------
    >>> make_rows(NETWORKS[0], 5)[0].shape
    (5, 8)
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_rows, network.sizes[0]), dtype=dtype)
    return x, rng.integers(network.sizes[-1], size=n_rows)


def make_text(
    n_rows: int, n_features: int, n_entries: int = 80, n_classes: int = 10
) -> tuple[Any, np.ndarray]:
    """Return random rows of word counts as a float32 CSR matrix, and labels, the same at every call.

    The frequency of words follows Zipf's law; their order is random. A text repeats some of its `n_entries`
    words. Rows are scaled to norm 1.

    Parameters
    ----------
    n_rows, n_features : int
    n_entries, n_classes : int, default=80, 10

    Returns
    -------
    x : csr_matrix of shape (n_rows, n_features)
    y : int64 ndarray of shape (n_rows,)

    Examples
    --------
    >>> make_text(5, 100)[0].shape
    (5, 100)
    """
    from scipy import sparse

    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_features + 1)
    words = rng.permutation(n_features)[
        np.searchsorted(share.cumsum() / share.sum(), rng.random((n_rows, n_entries)))
    ]
    rows = np.repeat(np.arange(n_rows), n_entries)
    ones = np.ones(words.size, np.float32)
    x = sparse.csr_matrix((ones, (rows, words.ravel())), shape=(n_rows, n_features))
    x.data = np.log1p(x.data)
    x.data /= np.repeat(np.sqrt(np.add.reduceat(x.data**2, x.indptr[:-1])), np.diff(x.indptr))
    return x, rng.integers(n_classes, size=n_rows)


def load_split(load) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a data set of scikit-learn, standardised, with a quarter of the rows held out for testing.

    Parameters
    ----------
    load : callable
        A loader, such as ``sklearn.datasets.load_digits``.

    Returns
    -------
    x_train, x_test, y_train, y_test : ndarray
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = load(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    scaler = StandardScaler().fit(x_train)
    return scaler.transform(x_train), scaler.transform(x_test), y_train, y_test


def make_trainer(
    network: Network,
    optimizer="adam",
    dtype: str = "float32",
    n_threads: int | None = None,
    of_net: dict[str, Any] | None = None,
    of_trainer: dict[str, Any] | None = None,
) -> fastnn.Trainer:
    """Return a trainer of a classifier with these sizes, ReLU by default, and the same initial weights.

    Parameters
    ----------
    network : Network
    optimizer : str or optimiser, default="adam"
    dtype : {"float32", "float64"}, default="float32"
    n_threads : int, optional
    of_net, of_trainer : dict, optional
        Further options of the network and of the trainer.

    Examples
    --------
    >>> make_trainer(NETWORKS[0]).batch_size
    32
    """
    options = {
        "loss": "cross_entropy" if network.sizes[-1] > 1 else "binary_cross_entropy",
        "optimizer": optimizer,
        "batch_size": network.batch,
        "seed": 0,
        "n_threads": n_threads,
    }
    net = fastnn.MLP(network.sizes, dtype=dtype, seed=0, **(of_net or {}))
    return fastnn.Trainer(net, **options | (of_trainer or {}))


def step_us(
    network: Network,
    optimizer="adam",
    dtype: str = "float32",
    n_threads: int | None = None,
    of_net: dict[str, Any] | None = None,
    of_trainer: dict[str, Any] | None = None,
    targets: Callable[[np.ndarray], np.ndarray] | None = None,
) -> float:
    """Return the time of a training step in microseconds: the median of about 0.3 s, or two epochs.

    Parameters
    ----------
    network, optimizer, dtype, n_threads, of_net, of_trainer
        See :func:`make_trainer`.
    targets : callable, optional
        Function that turns class numbers into the targets of the loss.
    """
    x, y = make_rows(network, network.epoch_steps * network.batch, dtype)
    y = y if targets is None else targets(y)
    trainer = make_trainer(network, optimizer, dtype, n_threads, of_net, of_trainer)
    history = trainer.fit(x, y, epochs=1, verbose=0)  # compiles, or loads compiled code
    trainer.fit(x, y, epochs=1, verbose=0)
    more = min(100, math.ceil(0.3 / history.epochs[1].seconds))
    trainer.fit(x, y, epochs=more, verbose=0)
    seconds = statistics.median(epoch.seconds for epoch in history.epochs[1:])
    return float(f"{1e6 * seconds / network.epoch_steps:.4g}")
