"""Speed of training a network on this machine, alone or beside other libraries: ``fastnn bench``.

This is a quick look, all in one process. ``scripts/compare.py`` is the thorough comparison: there each
library runs in its own process and in its fastest configuration.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._threads import usable_cores
from ..network.mlp import MLP
from ..optimizers import OPTIMIZERS, as_optimizer
from ..training.trainer import Trainer
from .machine import cpu_name, peak_gflops

if TYPE_CHECKING:
    from rich.table import Table

ROUNDS = 5  # turns of each library; the median is reported
EPOCH_FLOPS = 2e9
EPOCH_STEPS = 256  # at most

Train = Callable[[int], Any]  # trains for a number of epochs


def measure(
    sizes: Sequence[int],
    batch_size: int = 128,
    *,
    optimizer: str = "adam",
    dtype: Any = "float32",
    n_threads: int | None = None,
    seconds: float = 2.0,
    peers: Iterable[str] = (),
) -> dict[str, Any]:
    """Time a training step as ``Trainer.fit`` runs it, with ReLU, cross-entropy and random rows.

    Parameters
    ----------
    sizes : sequence of int
        Width of every layer, from the number of features to the number of classes.
    batch_size : int, default=128
    optimizer : str, default="adam"
        Peers are measured with "adam" and "sgd" only.
    dtype : {"float32", "float64"}, default="float32"
    n_threads : int, optional
        Largest number of threads; all usable cores by default.
    seconds : float, default=2.0
        Time for each library, without compiling and the first epochs.
    peers : iterable of {"sklearn", "torch"}, default=()
        Libraries that train the same network in turn with fastnn, where they are installed: on one thread or
        on all, whichever is faster.

    Returns
    -------
    dict
        "us_per_step" (median of the rounds, microseconds), "samples_per_second", "gflops" (of the matrix
        products), "peak_gflops" (:func:`fastnn.app.machine.peak_gflops` on as many threads), "share_of_peak",
        what was measured ("sizes", "batch_size", "optimizer", "dtype", "threads", "cpu"), "peers" (for each
        "us_per_step", and "ratio" to fastnn's) and "left_out" (for each the reason).

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used.

    Examples
    --------
    >>> result = measure([8, 16, 2], batch_size=32, seconds=0.1)
    >>> result["us_per_step"] > 0
    True
    """
    _checks.check_count("batch_size", batch_size)
    _checks.check_name("optimizer", optimizer, OPTIMIZERS)
    _checks.check_number("seconds", seconds, 0.0, open_low=True)
    dtype = _checks.check_dtype(dtype)
    if n_threads is not None:
        _checks.check_count("n_threads", n_threads)
    peers = [peers] if isinstance(peers, str) else list(peers)
    for peer in peers:
        _checks.check_name("peer", peer, PEERS)
    net = MLP(sizes, dtype=dtype, seed=0)  # checks the sizes
    if net.sizes[-1] < 2:
        raise ValueError(f"sizes must end with at least 2 classes, got {list(net.sizes)}.")
    threads = min(n_threads or usable_cores(), usable_cores())
    weights = [n_in * n_out for n_in, n_out in itertools.pairwise(net.sizes)]
    step_flops = 2 * batch_size * (3 * sum(weights) - weights[0])  # no gradient for the features
    n_steps = min(EPOCH_STEPS, max(2, int(EPOCH_FLOPS / step_flops)))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_steps * batch_size, net.sizes[0]), dtype=dtype)
    y = np.arange(len(x)) % net.sizes[-1]

    trainer = Trainer(
        net, loss="cross_entropy", optimizer=optimizer, batch_size=batch_size, seed=0, n_threads=threads
    )
    trains: dict[str, Train] = {"fastnn": lambda epochs: trainer.fit(x, y, epochs=epochs, verbose=0)}
    left_out = {}
    for peer in peers:
        if importlib.util.find_spec(peer) is None:
            left_out[peer] = "it is not installed"
        elif optimizer not in ("adam", "sgd"):
            left_out[peer] = f"it is not measured with optimizer {optimizer!r}"
        else:
            lr = as_optimizer(optimizer).lr
            plan = (net.sizes, batch_size, optimizer, lr)
            trains[peer] = _faster([PEERS[peer](*plan, n, x, y) for n in sorted({1, threads})])
    times = _in_turn(trains, seconds)
    us = {name: 1e6 * statistics.median(its) / n_steps for name, its in times.items()}
    ours, peak = us.pop("fastnn"), peak_gflops(dtype, threads)
    gflops = step_flops / ours / 1e3
    return {
        "sizes": list(net.sizes),
        "batch_size": batch_size,
        "optimizer": optimizer,
        "dtype": dtype.name,
        "threads": threads,
        "cpu": cpu_name(),
        "us_per_step": ours,
        "samples_per_second": 1e6 * batch_size / ours,
        "gflops": gflops,
        "peak_gflops": peak,
        "share_of_peak": gflops / peak,
        "peers": {name: {"us_per_step": theirs, "ratio": theirs / ours} for name, theirs in us.items()},
        "left_out": left_out,
    }


def _seconds(train: Train, epochs: int) -> float:
    """Time an epoch."""
    start = time.perf_counter()
    train(epochs)
    return (time.perf_counter() - start) / epochs


def _faster(ways: list[Train]) -> Train:
    """Choose the fastest way of a library: a small network may be slower on several threads."""
    for train in ways:
        train(1)  # loads and allocates
    return min(ways, key=lambda train: _seconds(train, 1))


def _in_turn(trains: Mapping[str, Train], seconds: float) -> dict[str, list[float]]:
    """Measure the seconds of an epoch by name, all libraries in turn in every round."""
    epochs = {}
    for name, train in trains.items():
        train(1)  # compiles and allocates
        epochs[name] = max(1, math.ceil(seconds / ROUNDS / _seconds(train, 1)))
    times: dict[str, list[float]] = {name: [] for name in trains}
    for _ in range(ROUNDS):
        for name, train in trains.items():
            times[name].append(_seconds(train, epochs[name]))
    return times


def _train_sklearn(
    sizes: Sequence[int],
    batch_size: int,
    optimizer: str,
    lr: float,
    n_threads: int,
    x: np.ndarray,
    y: np.ndarray,
) -> Train:
    """Make scikit-learn's network; with two classes it has one output, not two."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    net = MLPClassifier(
        sizes[1:-1], solver=optimizer, alpha=0.0, batch_size=batch_size, learning_rate_init=lr, momentum=0.0
    )
    classes = np.arange(sizes[-1])

    def train(epochs: int) -> None:
        with threadpool_limits(n_threads):
            for _ in range(epochs):
                net.partial_fit(x, y, classes=classes)

    return train


def _train_torch(
    sizes: Sequence[int],
    batch_size: int,
    optimizer: str,
    lr: float,
    n_threads: int,
    x: np.ndarray,
    y: np.ndarray,
) -> Train:
    """Make PyTorch's network: eager, with the fused optimiser."""
    import torch

    layers: list[Any] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)
    net = torch.nn.Sequential(*layers[:-1]).to(rows.dtype)
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
    fused = make(net.parameters(), lr=lr, fused=True)

    def train(epochs: int) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            for _ in range(epochs):
                for chosen in torch.randperm(len(rows)).split(batch_size):
                    fused.zero_grad(set_to_none=True)
                    cost = torch.nn.functional.cross_entropy(net(rows[chosen]), labels[chosen])
                    cost.backward()
                    fused.step()
        finally:
            torch.set_num_threads(before)

    return train


PEERS: dict[str, Callable[..., Train]] = {"sklearn": _train_sklearn, "torch": _train_torch}
PEER_NAMES = {"sklearn": "scikit-learn", "torch": "PyTorch"}


def table(results: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Table:
    """Turn results of :func:`measure` into a table for a terminal.

    Parameters
    ----------
    results : dict or iterable of dict

    Returns
    -------
    rich.table.Table
        A row for each result, with a column for each peer that any of them has: its time for a step, and the
        ratio to fastnn's.

    Examples
    --------
    >>> table(measure([8, 16, 2], batch_size=32, seconds=0.1)).row_count
    1
    """
    from rich.table import Table

    rows: list[Any] = [results] if isinstance(results, Mapping) else list(results)
    peers = list(dict.fromkeys(peer for row in rows for peer in (*row["peers"], *row["left_out"])))
    names = ["network", "batch", "us/step", "samples/s", "GFLOP/s", "of peak"]
    made = Table(*names, *(PEER_NAMES[peer] for peer in peers), box=None, pad_edge=False)
    for column in made.columns[1:]:
        column.justify = "right"
    for row in rows:
        cells = ["-".join(map(str, row["sizes"])), str(row["batch_size"]), _short(row["us_per_step"])]
        cells += [f"{row['samples_per_second']:,.0f}", f"{row['gflops']:.3g}", f"{row['share_of_peak']:.0%}"]
        for peer in peers:
            its = row["peers"].get(peer)
            cells.append(
                "left out" if its is None else f"{_short(its['us_per_step'])} ({its['ratio']:.1f} x)"
            )
        made.add_row(*cells)
    kinds = [f"{row['optimizer']}, {row['dtype']}, at most {row['threads']} threads" for row in rows]
    made.caption = "; ".join(dict.fromkeys(kinds))
    return made


def _short(us: float) -> str:
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"
