"""Time an epoch over sparse rows with fastnn, scikit-learn and PyTorch, on one thread.

Rows of word counts, ReLU, cross-entropy, Adam, and the same batch size for all; they take turns, one epoch
each.

fastnn
    ``Trainer.fit`` of the CSR matrix; and with ``lazy=True``.
scikit-learn
    ``MLPClassifier.partial_fit`` of the CSR matrix, no penalty.
PyTorch
    The first layer is an ``EmbeddingBag`` that sums weighted vectors, since a dense layer of so many features
    is far too slow; with Adam, and with SparseAdam for the bag.

The two lazy forms skip the weights of absent words, so their trainings differ from the others.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and PyTorch are imported

import numpy as np  # noqa: E402
import typer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import fastnn  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.common import make_text  # noqa: E402

Epoch = Callable[[], Any]


def fastnn_epoch(x, y, sizes: list[int], batch: int, lazy: bool = False) -> Epoch:
    """Return a function that trains one epoch with fastnn."""
    trainer = fastnn.Trainer(
        fastnn.MLP(sizes, seed=0),
        loss="cross_entropy",
        optimizer="adam",
        batch_size=batch,
        lazy=lazy,
        seed=0,
        n_threads=1,
    )
    return lambda: trainer.fit(x, y, epochs=1, verbose=0)


def sklearn_epoch(x, y, sizes: list[int], batch: int) -> Epoch:
    """Return a function that trains one epoch with scikit-learn."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(sizes[1:-1], batch_size=batch, alpha=0.0, random_state=0)
    classes = np.arange(sizes[-1])
    return lambda: model.partial_fit(x, y, classes=classes)


def torch_epoch(x, y, sizes: list[int], batch: int, lazy: bool = False) -> Epoch:
    """Return a function that trains one epoch with PyTorch, through an embedding bag."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    bag = torch.nn.EmbeddingBag(sizes[0], sizes[1], mode="sum", sparse=lazy)
    torch.nn.init.kaiming_uniform_(bag.weight.data)
    shift = torch.nn.Parameter(torch.zeros(sizes[1]))
    layers: list[Any] = []
    for n_in, n_out in itertools.pairwise(sizes[1:]):
        layers += [torch.nn.ReLU(), torch.nn.Linear(n_in, n_out)]
    rest = torch.nn.Sequential(*layers)
    others = [shift, *rest.parameters()]
    optimizers: list[Any] = [torch.optim.Adam(others if lazy else [*others, bag.weight], fused=True)]
    if lazy:
        optimizers.append(torch.optim.SparseAdam([bag.weight]))
    labels, rng = torch.from_numpy(y), np.random.default_rng(0)

    def epoch():
        order = rng.permutation(len(y))
        mixed = x[order]
        words, values = torch.from_numpy(mixed.indices), torch.from_numpy(mixed.data)
        starts = torch.from_numpy(mixed.indptr)
        targets = labels[torch.from_numpy(order)]
        for first in range(0, len(y), batch):
            begin, end = int(starts[first]), int(starts[min(first + batch, len(y))])
            offsets = starts[first : min(first + batch, len(y))] - begin
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            z = bag(words[begin:end], offsets, per_sample_weights=values[begin:end]) + shift
            torch.nn.functional.cross_entropy(rest(z), targets[first : first + batch]).backward()
            for optimizer in optimizers:
                optimizer.step()

    return epoch


LIBRARIES: dict[str, tuple[str, Callable[..., Epoch], dict[str, Any]]] = {
    "fastnn": ("fastnn", fastnn_epoch, {}),
    "fastnn, lazy": ("fastnn", fastnn_epoch, {"lazy": True}),
    "scikit-learn": ("sklearn", sklearn_epoch, {}),
    "PyTorch, Adam": ("torch", torch_epoch, {}),
    "PyTorch, SparseAdam": ("torch", torch_epoch, {"lazy": True}),
}


def main(
    rows: Annotated[int, typer.Option(min=1, help="Number of rows.")] = 10_000,
    features: Annotated[int, typer.Option(min=1, help="Number of words of the vocabulary.")] = 30_000,
    entries: Annotated[int, typer.Option(min=1, help="Number of words of a row.")] = 80,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the hidden layer.")] = 100,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 5,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Time an epoch over sparse rows with fastnn, scikit-learn and PyTorch, on one thread."""
    console = Console()
    x, y = make_text(rows, features, entries, classes)
    epochs: dict[str, Epoch] = {}
    for name, (module, make, options) in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            console.print(f"{name} is not installed and left out.")
        else:
            epochs[name] = make(x, y, [features, hidden, classes], batch, **options)
            epochs[name]()  # compiles, allocates
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            epoch()
            times[name].append(time.perf_counter() - start)
    n_steps = -(-rows // batch)
    report = {name: 1e3 * statistics.median(its) / n_steps for name, its in times.items()}
    title = (
        f"{features}-{hidden}-{classes}, batches of {batch} rows of {x.nnz / rows:.0f} entries, one thread"
    )
    table = Table("library", "ms a step", "times fastnn", title=title)
    for name, ms in report.items():
        table.add_row(name, f"{ms:,.3g}", f"{ms / report['fastnn']:.3g}")
    console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
