"""Time a training step of fastnn, scikit-learn, PyTorch and JAX, each in its fastest configuration.

All have the same network, batch, optimiser and rows, ReLU, cross-entropy and a constant learning rate. Each
library runs in its own process, on the same cores, and they take turns: a round of fastnn, then one of each
peer, and so on. Their configurations:

fastnn
    ``Trainer.fit``, no progress display.
scikit-learn
    ``MLPClassifier.partial_fit`` over the epoch, no penalty. For two classes it has one output.
PyTorch
    Eager mode, fused optimiser, gradients set to None; on one thread and on all.
JAX
    The whole epoch is one jitted ``lax.scan``; rows are gathered by a permutation at every step or, in
    another run, before the first step.

The fastest run of each library is reported. The large networks need about 8 GB.
"""

from __future__ import annotations

import datetime
import enum
import functools
import importlib.util
import itertools
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from unittest import mock

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from fastnn._threads import usable_cores
from fastnn.app.machine import describe, peak_gflops

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.common import NETWORKS, OPTIMIZERS, Network, make_rows, make_trainer

PATIENCE = 300.0  # seconds; a library that does not answer in that time is named and left out


class Job(NamedTuple):
    """A network and how it is trained."""

    network: Network
    optimizer: str
    dtype: str
    n_threads: int
    gather_once: bool = False  # JAX: gather the rows of the whole epoch before its first step


def train_fastnn(job: Job, x: np.ndarray, y: np.ndarray) -> Callable[[int], Any]:
    """Return a function that trains for a number of epochs."""
    trainer = make_trainer(job.network, OPTIMIZERS[job.optimizer], job.dtype, job.n_threads)
    return lambda epochs: trainer.fit(x, y, epochs=epochs, verbose=0)


def train_sklearn(job: Job, x: np.ndarray, y: np.ndarray) -> Callable[[int], Any]:
    """Return a function that trains for a number of epochs."""
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier(
        job.network.sizes[1:-1],
        solver=job.optimizer,
        alpha=0.0,
        batch_size=job.network.batch,
        learning_rate_init=OPTIMIZERS[job.optimizer].lr,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    classes = np.arange(job.network.sizes[-1])

    def train(epochs):
        for _ in range(epochs):
            net.partial_fit(x, y, classes=classes)

    return train


def train_torch(job: Job, x: np.ndarray, y: np.ndarray) -> Callable[[int], Any]:
    """Return a function that trains for a number of epochs."""
    import torch

    torch.set_num_threads(job.n_threads)
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(job.network.sizes):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1]).to(getattr(torch, job.dtype))
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[job.optimizer]
    optimizer = make(net.parameters(), lr=OPTIMIZERS[job.optimizer].lr, fused=True)
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)

    def train(epochs):
        for _ in range(epochs):
            for chosen in torch.randperm(len(rows)).split(job.network.batch):
                optimizer.zero_grad(set_to_none=True)
                logits = net(rows.index_select(0, chosen))
                torch.nn.functional.cross_entropy(logits, labels.index_select(0, chosen)).backward()
                optimizer.step()

    return train


def train_jax(job: Job, x: np.ndarray, y: np.ndarray) -> Callable[[int], Any]:
    """Return a function that trains for a number of epochs."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", job.dtype == "float64")
    lr, adam = OPTIMIZERS[job.optimizer].lr, job.optimizer == "adam"
    rng = np.random.default_rng(0)

    def cost(params, rows, labels):
        for w, b in params[:-1]:
            rows = jax.nn.relu(rows @ w + b)
        w, b = params[-1]
        log_p = jax.nn.log_softmax(rows @ w + b)
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    def adam_step(w, g, m, v, n_steps):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate, root = lr / (1 - 0.9**n_steps), 1 / jnp.sqrt(1 - 0.999**n_steps)
        return w - rate * m / (jnp.sqrt(v) * root + 1e-8), m, v

    def step(state, batch):
        params, m, v, n_steps = state
        grads = jax.grad(cost)(params, *batch)
        if not adam:
            return (jax.tree.map(lambda w, g: w - lr * g, params, grads), m, v, n_steps), None
        moved = jax.tree.map(functools.partial(adam_step, n_steps=n_steps), params, grads, m, v)
        params, m, v = (jax.tree.map(lambda _, new, i=i: new[i], params, moved) for i in range(3))
        return (params, m, v, n_steps + 1), None

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, rows, labels, order):
        def gather(chosen):
            return rows[chosen], labels[chosen]

        if job.gather_once:
            return jax.lax.scan(step, state, gather(order))[0]
        return jax.lax.scan(lambda state, chosen: step(state, gather(chosen)), state, order)[0]

    params = [
        (jnp.asarray(rng.standard_normal((n, k)) * math.sqrt(2 / n), job.dtype), jnp.zeros(k, job.dtype))
        for n, k in itertools.pairwise(job.network.sizes)
    ]
    zeros = functools.partial(jax.tree.map, jnp.zeros_like, params) if adam else list
    state = (params, zeros(), zeros(), jnp.asarray(1, job.dtype))
    rows, labels = jnp.asarray(x), jnp.asarray(y, np.int32)

    def train(epochs):
        nonlocal state
        for _ in range(epochs):
            order = rng.permutation(len(x)).astype(np.int32).reshape(-1, job.network.batch)
            state = epoch(state, rows, labels, order)
        jax.block_until_ready(state)

    return train


class Library(NamedTuple):
    """A library: its module, its imports, and its training function."""

    module: str
    statement: str
    prepare: Callable[[Job, np.ndarray, np.ndarray], Callable[[int], Any]]


OURS = "fastnn"
LIBRARIES = {
    OURS: Library("fastnn", "from fastnn import MLP, Trainer", train_fastnn),
    "scikit-learn": Library("sklearn", "from sklearn.neural_network import MLPClassifier", train_sklearn),
    "PyTorch": Library("torch", "import torch", train_torch),
    "JAX": Library("jax", "import jax.numpy", train_jax),
}


def variants(name: str, job: Job) -> dict[str, Job]:
    """Return the ways of running a library, by label; the fastest is reported."""
    if name == "PyTorch" and job.n_threads > 1:
        return {"PyTorch, 1 thread": job._replace(n_threads=1), f"PyTorch, {job.n_threads} threads": job}
    if name == "JAX":
        return {
            "JAX, rows gathered by the step": job,
            "JAX, rows gathered by the epoch": job._replace(gather_once=True),
        }
    return {name: job}


def serve(pipe, name: str, job: Job, seconds: float) -> None:
    """Be a contestant: answer with the time of the first call, then, when asked, with a round's time a step.

    Parameters
    ----------
    pipe : multiprocessing.connection.Connection
        Answers are figures, or a text that says what went wrong.
    name : str
        A key of LIBRARIES.
    job : Job
    seconds : float
        How long a round should take at least.
    """
    network = job.network
    try:
        exec(LIBRARIES[name].statement)
        rows = make_rows(network, network.epoch_steps * network.batch, job.dtype)
        train = LIBRARIES[name].prepare(job, *rows)

        def timed(epochs: int) -> float:
            start = time.perf_counter()
            train(epochs)
            return time.perf_counter() - start

        first, once = timed(1), timed(1)
        pipe.send(max(0.0, first - once))
        epochs = max(1, math.ceil(seconds / once))
        while pipe.recv():
            pipe.send(1e6 * timed(epochs) / (epochs * network.epoch_steps))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


class Contestant:
    """A library that runs in its own process.

    Attributes
    ----------
    name : str
        Of the library.
    label : str
        A key of :func:`variants`.
    first_call : float
        Seconds that the first epoch took longer than the second: compiling, loading, allocating.
    step_us : list of float
        Time of a step in microseconds, one figure a round.
    """

    def __init__(self, name: str, label: str, job: Job, seconds: float) -> None:
        self.name, self.label = name, label
        self.step_us: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=serve, args=(far_end, name, job, seconds), daemon=True)
        self._process.start()
        far_end.close()
        try:
            self.first_call = self._answer()
        except RuntimeError:
            self.close()
            raise

    def _answer(self) -> float:
        if not self._pipe.poll(PATIENCE):
            raise RuntimeError(f"no answer in {PATIENCE:.0f} s")
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("its process ended") from None
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def round(self) -> None:
        """Train for one round and record the time of a step."""
        self._pipe.send(True)
        self.step_us.append(self._answer())

    def close(self) -> None:
        """End its process."""
        self._process.kill()
        self._process.join()

    def figures(self) -> dict[str, Any]:
        """Return median and quartiles of the rounds, and the rounds themselves."""
        q1, median, q3 = np.percentile(self.step_us, [25, 50, 75]).tolist()
        return {
            "library": self.name,
            "median_us": median,
            "q1_us": q1,
            "q3_us": q3,
            "rounds_us": self.step_us,
            "first_call_s": self.first_call,
        }


def import_facts(library: Library) -> dict[str, Any]:
    """Return a library's version, and its import time in a fresh interpreter in seconds, median of three."""
    code = (
        f"import sys, time; start = time.perf_counter(); {library.statement}; "
        f"print(time.perf_counter() - start, sys.modules[{library.module!r}].__version__)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(3)]
    return {"version": runs[0][1], "import_s": statistics.median(float(seconds) for seconds, _ in runs)}


def cold_call_seconds(job: Job) -> float:
    """Return the seconds of fastnn's first call with an empty compile cache."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, NUMBA_CACHE_DIR=folder):
        contestant = Contestant(OURS, OURS, job, 0.0)
        contestant.close()
    return contestant.first_call


def machine(n_threads: int) -> dict[str, Any]:
    """Return the conditions of the figures: processor, cores, versions, date."""
    return describe() | {"threads": n_threads, "date": datetime.date.today().isoformat()}


def restrict_cores(n_threads: int) -> None:
    """Limit this process and its children to `n_threads` cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n_threads)


def compare(job: Job, names: list[str], rounds: int, seconds: float, say: Callable[[str], Any]) -> dict:
    """Time a training step of several libraries in turn; the first of them is fastnn.

    Parameters
    ----------
    job : Job
    names : list of str
        Keys of LIBRARIES.
    rounds : int
        How often each has its turn.
    seconds : float
        How long a turn takes at least.
    say : callable
        Told what is going on.

    Returns
    -------
    dict
        Every contestant's figures, who was left out and why, each library's best contestant, the best
        peer's time over fastnn's, and fastnn's GFLOP/s.

    Raises
    ------
    RuntimeError
        If fastnn itself fails.
    """
    network = job.network
    contestants: list[Contestant] = []
    left_out = {}
    for name in names:
        for label, variant in variants(name, job).items():
            say(f"{network.name}: {label} starts")
            try:
                contestants.append(Contestant(name, label, variant, seconds))
            except RuntimeError as error:
                if name == OURS:
                    raise
                left_out[label] = str(error)
    for turn in range(rounds):
        for contestant in list(contestants):
            say(f"{network.name}: round {turn + 1} of {rounds}, {contestant.label}")
            try:
                contestant.round()
            except RuntimeError as error:
                if contestant.name == OURS:
                    raise
                left_out[contestant.label] = str(error)
                contestants.remove(contestant)
                contestant.close()
    for contestant in contestants:
        contestant.close()

    figures = {contestant.label: contestant.figures() for contestant in contestants}
    best: dict[str, str] = {}
    for label, its in sorted(figures.items(), key=lambda item: item[1]["median_us"]):
        best.setdefault(its["library"], label)
    ours = figures[OURS]["median_us"]
    peers = [figures[label]["median_us"] for name, label in best.items() if name != OURS]
    return {
        "sizes": network.sizes,
        "batch": network.batch,
        "steps_per_epoch": network.epoch_steps,
        "step_gflop": network.step_flops / 1e9,
        "contestants": figures,
        "left_out": left_out,
        "best": best,
        "ratio": min(peers) / ours if peers else None,
        "gflops": network.step_flops / ours / 1e3,
    }


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _cell(result: dict, name: str) -> str:
    """Return a library's cell in a network's row."""
    if name not in result["best"]:
        return "left out"
    its = result["contestants"][result["best"][name]]
    half_spread = (its["q3_us"] - its["q1_us"]) / 2
    return f"{_short(its['median_us'])} ±{half_spread / its['median_us']:.1%}"


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}" if high - low < 0.01 else f"{low:.2f}-{high:.2f}"


def step_table(report: dict) -> Table:
    """Return a table with a row per network and a column per library."""
    settings = report["settings"]
    table = Table(
        title="Training step, us: median ± half the interquartile range; "
        f"{settings['optimizer']}, {settings['dtype']}",
        caption=f"Ratio: the best peer's time / fastnn's. Peak of the cores used: "
        f"{report['peak_gflops']:.0f} GFLOP/s.",
    )
    for heading in ("network", "batch", *report["libraries"], "ratio", "GFLOP/s", "of peak"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for result in report["networks"]:
        table.add_row(
            "-".join(map(str, result["sizes"])),
            str(result["batch"]),
            *(_cell(result, name) for name in report["libraries"]),
            f"{result['ratio']:.2f}" if result["ratio"] else "-",
            f"{result['gflops']:.1f}",
            f"{result['gflops'] / report['peak_gflops']:.0%}",
        )
    return table


def start_table(report: dict) -> Table:
    """Return a table of the costs before the first step."""
    table = Table(title="Before the first step, s, in a fresh process")
    table.add_column("library")
    for heading in ("version", "import", "first call", "first call, nothing compiled"):
        table.add_column(heading, justify="right")
    for name, facts in report["libraries"].items():
        first_calls = [
            result["contestants"][result["best"][name]]["first_call_s"]
            for result in report["networks"]
            if name in result["best"]
        ]
        cold = report.get("cold_call_s") if name == OURS else None
        table.add_row(
            name,
            facts["version"],
            f"{facts['import_s']:.2f}",
            _span(first_calls) if first_calls else "-",
            f"{cold:.1f}" if cold else "",
        )
    return table


_LOOKS = {
    OURS: ("#d62728", "D"),
    "scikit-learn": ("#e6a117", "o"),
    "PyTorch": ("#7b5ea7", "s"),
    "JAX": ("#3b8bc4", "^"),
}


def draw(report: dict, path: Path) -> None:
    """Plot the time of a step as a multiple of fastnn's, with a line of dots per network.

    Parameters
    ----------
    report : dict
    path : Path
        Its suffix says in which format.

    Raises
    ------
    ImportError
        Where matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    results = report["networks"]
    places = range(len(results))
    names = [f"{'-'.join(map(str, result['sizes']))}, {result['batch']}" for result in results]
    times = [
        {name: result["contestants"][label]["median_us"] for name, label in result["best"].items()}
        for result in results
    ]
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.4 * len(results)), layout="constrained")
    axes.axvline(1, color=_LOOKS[OURS][0], linewidth=1, zorder=1)
    limits = [1e6 * result["step_gflop"] / report["peak_gflops"] for result in results]
    limits = [limit / its[OURS] for limit, its in zip(limits, times, strict=True)]
    axes.scatter(limits, places, s=90, color="#999999", marker="|", label="multiply-adds at peak")
    for name in report["libraries"]:
        color, marker = _LOOKS[name]
        rows = [row for row in places if name in times[row]]
        multiples = [times[row][name] / times[row][OURS] for row in rows]
        axes.scatter(multiples, rows, 50, color, marker=marker, label=name, zorder=3)
    for row in places:
        at = {"xycoords": ("axes fraction", "data"), "va": "center", "color": _LOOKS[OURS][0]}
        axes.annotate(f"{_short(times[row][OURS])} us", (1.02, row), **at)
    axes.set_yticks(places, names)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g} x")
    axes.set_xlabel("time of a training step over fastnn's (its own: at the right); further right is slower")
    versions = [f"{name} {facts['version']}" for name, facts in report["libraries"].items()]
    what = [report["machine"]["llvm_cpu"], f"{report['machine']['threads']} threads", *versions]
    figure.supxlabel(", ".join([*what, report["machine"]["date"]]), fontsize=8, color="#777777")
    axes.grid(axis="both", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=5, frameon=False, columnspacing=1.2, handletextpad=0.2)
    figure.savefig(path, dpi=130)
    plt.close(figure)


Group = enum.Enum("Group", {network.group: network.group for network in NETWORKS}, type=str)
Optimizer = enum.Enum("Optimizer", {"adam": "adam", "sgd": "sgd"}, type=str)
Dtype = enum.Enum("Dtype", {"float32": "float32", "float64": "float64"}, type=str)


def chosen_networks(sizes: list[str], batch: list[int], only: Group | None) -> list[Network]:
    """Return the user's networks, or the eight of the suite, or a group of these."""
    if not sizes:
        return [network for network in NETWORKS if only is None or network.group == only.value]
    if len(batch) not in (1, len(sizes)):
        raise typer.BadParameter(f"got {len(sizes)} --sizes and {len(batch)} --batch: give one, or one each.")
    try:
        widths = [tuple(int(width) for width in text.split("-")) for text in sizes]
    except ValueError:
        raise typer.BadParameter(f"--sizes must be like 784-128-10, got {', '.join(sizes)}.") from None
    return [Network(w, b) for w, b in zip(widths, itertools.cycle(batch), strict=False)]


def main(
    sizes: Annotated[
        list[str] | None, typer.Option(help="Widths, such as 784-128-10; may be repeated.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="Batch size, 128 by default; may be repeated.")
    ] = None,
    only: Annotated[Group | None, typer.Option(help="One group of the eight networks.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn, at least one epoch.")] = 0.3,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; all usable cores by default.")
    ] = None,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.adam,
    dtype: Annotated[Dtype, typer.Option()] = Dtype.float32,
    cold: Annotated[bool, typer.Option(help="Also time fastnn's compilation, about 20 s.")] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them here; needs matplotlib.")] = None,
) -> None:
    """Time a training step of fastnn, scikit-learn, PyTorch and JAX, each in its fastest configuration."""
    networks = chosen_networks(sizes or [], batch or [128], only)
    if plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise typer.BadParameter("--plot needs matplotlib: pip install matplotlib.")
    n_threads = min(threads or usable_cores(), usable_cores())
    restrict_cores(n_threads)
    console = Console()
    if not console.is_terminal:
        console.width = 140  # a file has no width to keep to
    installed = [name for name, library in LIBRARIES.items() if importlib.util.find_spec(library.module)]
    for name in LIBRARIES:
        if name not in installed:
            console.print(f"{name} is not installed: left out.")

    jobs = [Job(network, optimizer.value, dtype.value, n_threads) for network in networks]
    report: dict[str, Any] = {
        "machine": machine(n_threads),
        "settings": {
            "optimizer": optimizer.value,
            "dtype": dtype.value,
            "rounds": rounds,
            "seconds": seconds,
        },
        "peak_gflops": 0.0,
        "networks": [],
    }
    with console.status("") as status:
        status.update("imports")
        report["libraries"] = {name: import_facts(LIBRARIES[name]) for name in installed}
        if cold:
            status.update("fastnn compiles")
            report["cold_call_s"] = cold_call_seconds(jobs[0])
        for job in jobs:
            report["peak_gflops"] = max(report["peak_gflops"], peak_gflops(job.dtype, n_threads))
            result = compare(job, installed, rounds, seconds, status.update)
            report["networks"].append(result)
            for label, reason in result["left_out"].items():
                console.print(f"{job.network.name}, {job.network.batch}: {label} left out: {reason}.")
    facts = report["machine"]
    console.print(
        f"{facts['cpu']} ({facts['llvm_cpu']}), {facts['cores']} cores, {facts['threads']} used, "
        f"{facts['vector_bits']}-bit vectors; {facts['system']}, Python {facts['python']}, "
        f"NumPy {facts['numpy']}, numba {facts['numba']}; {facts['date']}",
        soft_wrap=True,
    )
    console.print(step_table(report), start_table(report))
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2) + "\n")
    if plot is not None:
        draw(report, plot)


if __name__ == "__main__":
    typer.run(main)
