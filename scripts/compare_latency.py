"""Time one training step from Python: fastnn, scikit-learn, PyTorch and JAX, batch by batch, on one thread.

Each library trains the same network on one batch of NumPy arrays per call and returns its cost as a float
(scikit-learn keeps it), as in online learning; they take turns, one round each. Adam, ReLU, cross-entropy,
float32. "kernel" is fastnn's own time of a step within a call of many, which no call can undercut.

    python scripts/compare_latency.py
    python scripts/compare_latency.py --sizes 64-128-64-10 --batch 32
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and PyTorch are imported
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import numpy as np  # noqa: E402
import typer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import fastnn  # noqa: E402

Step = Callable[[np.ndarray, np.ndarray], Any]
SIZES, BATCHES = ("8-32-2", "64-64-10", "64-128-64-10"), (1, 32)
_IN_A_CALL = 200  # steps by which the kernel's own time is measured


def fastnn_step(sizes: list[int]) -> Step:
    """Return ``trainer.step``."""
    net = fastnn.MLP(sizes, seed=0)
    return fastnn.Trainer(net, loss="cross_entropy", seed=0, n_threads=1).step


def sklearn_step(sizes: list[int]) -> Step:
    """Return ``partial_fit``."""
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(sizes[1:-1], alpha=0.0, random_state=0)
    classes = np.arange(sizes[-1])
    return lambda x, y: net.partial_fit(x, y, classes=classes).loss_


def torch_step(sizes: list[int]) -> Step:
    """Return a step in eager mode, with the fused Adam."""
    import torch

    torch.set_num_threads(1)
    pairs = [(torch.nn.Linear(*pair), torch.nn.ReLU()) for pair in itertools.pairwise(sizes)]
    net = torch.nn.Sequential(*list(itertools.chain(*pairs))[:-1])
    optimizer = torch.optim.Adam(net.parameters(), fused=True)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        cost = torch.nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y))
        cost.backward()
        optimizer.step()
        return cost.item()

    return step


def jax_step(sizes: list[int]) -> Step:
    """Return a jitted step, whose state is updated in place."""
    import jax
    import jax.numpy as jnp

    def cost_of(params, x, y):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        log_p = jax.nn.log_softmax(x @ params[-1][0] + params[-1][1])
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    def moved(w, g, m, v, n):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return w - 1e-3 * m / (1 - 0.9**n) / (jnp.sqrt(v / (1 - 0.999**n)) + 1e-8), m, v

    def update(state, x, y):
        params, m, v, n = state
        cost, grads = jax.value_and_grad(cost_of)(params, x, y)
        new = jax.tree.map(lambda *of: moved(*of, n), params, grads, m, v)
        params, m, v = (jax.tree.map(lambda _, t, i=i: t[i], params, new) for i in range(3))
        return (params, m, v, n + 1), cost

    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.standard_normal((n, k)) * np.sqrt(2 / n), "float32"), jnp.zeros(k))
        for n, k in itertools.pairwise(sizes)
    ]
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    state, jitted = (params, *zeros, jnp.float32(1)), jax.jit(update, donate_argnums=0)

    def step(x, y):
        nonlocal state
        state, cost = jitted(state, x, y)
        return float(cost)

    return step


STEPS: dict[str, tuple[str, Callable[[list[int]], Step]]] = {
    "fastnn": ("fastnn", fastnn_step),
    "scikit-learn": ("sklearn", sklearn_step),
    "PyTorch": ("torch", torch_step),
    "JAX": ("jax", jax_step),
}


def calls_us(step: Step, x: np.ndarray, y: np.ndarray, seconds: float) -> list[float]:
    """Return the times of single calls in microseconds."""
    clock, times = time.perf_counter_ns, []
    end = clock() + int(1e9 * seconds)
    while not times or clock() < end:
        start = clock()
        step(x, y)
        times.append((clock() - start) / 1e3)
    return times


def kernel_us(sizes: list[int], x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """Return a function that measures a step of fastnn within calls of many, in microseconds."""
    net = fastnn.MLP(sizes, seed=0)
    options: dict[str, Any] = {"batch_size": len(x), "shuffle": False, "seed": 0, "n_threads": 1}
    trainer = fastnn.Trainer(net, loss="cross_entropy", **options)
    rows, labels = np.tile(x, (_IN_A_CALL, 1)), np.tile(y, _IN_A_CALL)
    trainer.fit(rows, labels, epochs=5, verbose=0)

    def measure() -> float:
        history = trainer.fit(rows, labels, epochs=5, verbose=0)
        return 1e6 * min(epoch.seconds for epoch in history.epochs[-5:]) / _IN_A_CALL

    return measure


def compare(
    steps: dict[str, Step], sizes: list[int], batch: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Let the libraries take turns; return median and 99th percentile of each, in microseconds a call."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, sizes[0]), dtype="float32"), rng.integers(0, sizes[-1], batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    kernel, own = kernel_us(sizes, x, y), []
    for name, step in steps.items():
        calls_us(step, x, y, 0.05)  # compile
        assert np.isfinite(step(x, y)), name
    for _ in range(rounds):
        own.append(kernel())
        for name, step in steps.items():
            times[name] += calls_us(step, x, y, seconds)
    found = {name: np.percentile(its, [50, 99]).tolist() for name, its in times.items()}
    return {"kernel": float(np.median(own)), "calls": found}


def main(
    sizes: Annotated[list[str] | None, typer.Option(help="Widths of the layers; may be repeated.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Rows of a step; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.2,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Time one training step from Python, on one thread: fastnn, scikit-learn, PyTorch and JAX."""
    console = Console()
    console = console if console.is_terminal else Console(width=100)
    present = {name: make for name, (module, make) in STEPS.items() if importlib.util.find_spec(module)}
    table = Table("network, batch", "kernel", *present, title="us a step: median (99th percentile)")
    report: dict[str, dict[str, Any]] = {}
    for widths, n_rows in itertools.product(sizes or SIZES, batch or BATCHES):
        numbers = [int(width) for width in widths.split("-")]
        steps = {name: make(numbers) for name, make in present.items()}
        name = f"{widths}, {n_rows}"
        figures = report[name] = compare(steps, numbers, n_rows, rounds, seconds)
        cells = [f"{middle:,.1f} ({high:,.0f})" for middle, high in figures["calls"].values()]
        table.add_row(name, f"{figures['kernel']:,.1f}", *cells)
    console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
