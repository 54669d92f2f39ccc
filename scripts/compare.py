"""Time a training step of fastnn, scikit-learn, PyTorch and JAX, each in its fastest configuration.

All have the same network, batch, optimiser and rows, ReLU, cross-entropy and a constant learning rate. Each
runs in its own process (its configurations: competitors.py), on the same cores, and they take turns: a round
of fastnn, then one of each peer, and so on. A ratio is the median of the rounds' ratios, with the least and
the largest; of each library the configuration with the least median time is reported.

Beside them run the products of a step alone, as NumPy's OpenBLAS computes them: no bias, no activation, no
update. The last columns give fastnn's rate, and its share of the multiply-adds that the cores reach in
registers.

No process inherits limits such as OPENBLAS_CORETYPE. With --simd avx2 all are limited to AVX2; of NumPy and
scikit-learn, though, only the products are, and of JAX only what XLA itself compiles: on a CPU with AVX-512
its products reached 150 GFLOP/s a core where AVX2 has 135. The large networks need about 8 GB.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import importlib.util
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.children import SIMD, Child, environment
from benchmarks.common import NETWORKS, Network
from benchmarks.passes import machine_facts
from competitors import LIBRARIES, OURS, PRODUCTS, Job, Library, contestant, variants

from fastnn._threads import usable_cores


def import_facts(library: Library, simd: str) -> dict[str, Any]:
    """Return a library's version, and its import time in a fresh interpreter in seconds, median of three."""
    code = (
        f"import sys, time; start = time.perf_counter(); {library.statement}; "
        f"print(time.perf_counter() - start, sys.modules[{library.module!r}].__version__)"
    )
    runs = [
        subprocess.check_output([sys.executable, "-c", code], env=environment(simd), text=True).split()
        for _ in range(3)
    ]
    return {"version": runs[0][1], "import_s": statistics.median(float(seconds) for seconds, _ in runs)}


def cold_call_seconds(job: Job, simd: str) -> float:
    """Return the seconds of fastnn's first call with an empty compile cache."""
    with tempfile.TemporaryDirectory() as folder:
        limits = {"simd": simd, "n_threads": job.n_threads, "more": {"NUMBA_CACHE_DIR": folder}}
        with Child(contestant, OURS, job, 0.0, **limits) as child:
            return child.ask()[0]


def take_turns(
    job: Job, names: list[str], simd: str, wide: bool, rounds: int, seconds: float, say: Callable[[str], Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Time a training step of several libraries in turn; the first of them is fastnn.

    Parameters
    ----------
    job : Job
    names : list of str
        Keys of LIBRARIES.
    simd : str
        A key of SIMD.
    wide : bool
        Whether vectors have 512 bits.
    rounds : int
        How often each has its turn.
    seconds : float
        How long a turn takes at least.
    say : callable
        Told what is going on.

    Returns
    -------
    figures : dict
        By label, the library, the seconds of its first call, and the time of a step in each round.
    left_out : dict
        By label, why it is not there.

    Raises
    ------
    RuntimeError
        If fastnn itself fails.
    """
    children: dict[str, Child] = {}
    figures: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    entries = [(name, label, *way) for name in names for label, way in variants(name, job, wide).items()]
    with contextlib.ExitStack() as stack:

        def attempt(name: str, label: str, action: Callable[[], Any]) -> None:
            try:
                action()
            except RuntimeError as error:
                if name == OURS:
                    raise
                left_out[label] = str(error)
                figures.pop(label, None)

        def start(name: str, label: str, its_job: Job, more: dict[str, str]) -> None:
            limits = {"simd": simd, "n_threads": job.n_threads, "more": more}
            children[label] = stack.enter_context(Child(contestant, name, its_job, seconds, **limits))
            figures[label] = {"library": name, "rounds_us": []}

        def turn(label: str) -> None:
            figures[label]["first_call_s"], us = children[label].ask()
            figures[label]["rounds_us"].append(us)

        for name, label, its_job, more in entries:
            say(f"{job.network.name}: {label} starts")
            attempt(name, label, lambda: start(name, label, its_job, more))  # noqa: B023
        for number in range(rounds):
            for label in list(figures):
                say(f"{job.network.name}: round {number + 1} of {rounds}, {label}")
                attempt(figures[label]["library"], label, lambda: turn(label))  # noqa: B023
    return figures, left_out


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and largest."""
    return {"median": statistics.median(values), "least": min(values), "largest": max(values)}


def result_of(job: Job, figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a network's result: of each library the best contestant and its ratio to fastnn."""
    ours = figures[OURS]["rounds_us"]
    libraries: dict[str, dict[str, Any]] = {}
    for label, its in sorted(figures.items(), key=lambda item: statistics.median(item[1]["rounds_us"])):
        libraries.setdefault(
            its["library"],
            {
                "label": label,
                "us": spread(its["rounds_us"]),
                "ratio": spread([b / a for a, b in zip(ours, its["rounds_us"], strict=True)]),
                "first_call_s": its["first_call_s"],
            },
        )
    peers = {name: its for name, its in libraries.items() if name not in (OURS, PRODUCTS)}
    return {
        "sizes": job.network.sizes,
        "batch": job.network.batch,
        "threads": job.n_threads,
        "libraries": libraries,
        "best_peer": min(peers, key=lambda name: peers[name]["us"]["median"], default=None),
        "gflops": job.network.step_flops / statistics.median(ours) / 1e3,
        "contestants": figures,
    }


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _ratio(its: dict[str, float]) -> str:
    median, least, largest = (_digits(its[name]) for name in ("median", "least", "largest"))
    return f"{median} ({least}-{largest})"


def _share(report: dict[str, Any], result: dict[str, Any]) -> float:
    """Return fastnn's rate over the peak of as many cores."""
    return result["gflops"] / report["peak_gflops"][result["threads"]]


def _cell(result: dict[str, Any], name: str) -> str:
    """Return a library's cell in a network's row: its time, and below it its ratio to fastnn's."""
    its = result["libraries"].get(name)
    if its is None:
        return "left out"
    us = its["us"]
    below = f"({_short(us['least'])}-{_short(us['largest'])})" if name == OURS else _ratio(its["ratio"])
    return f"{_short(us['median'])}\n{below}"


def step_table(report: dict[str, Any]) -> Table:
    """Return a table with a row per network and number of threads, and a column per library."""
    settings = report["settings"]
    table = Table(
        title=f"Training step, us, median of {settings['rounds']} rounds (least-largest); "
        f"below, times fastnn's; {settings['optimizer']}, {settings['dtype']}, {settings['simd']} vectors",
        show_lines=True,
    )
    headings = ("network", "batch", "threads", *report["libraries"], "best peer", "GFLOP/s", "of peak")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for result in report["networks"]:
        table.add_row(
            "-".join(map(str, result["sizes"])),
            str(result["batch"]),
            str(result["threads"]),
            *(_cell(result, name) for name in report["libraries"]),
            result["best_peer"] or "-",
            f"{result['gflops']:.1f}",
            f"{_share(report, result):.0%}",
        )
    return table


def start_table(report: dict[str, Any]) -> Table:
    """Return a table of the costs before the first step."""
    table = Table(title="Before the first step, s, in a fresh process")
    table.add_column("library")
    for heading in ("version", "import", "first call", "first call, nothing compiled"):
        table.add_column(heading, justify="right")
    for name, facts in report["libraries"].items():
        results = [result["libraries"] for result in report["networks"]]
        first = [its[name]["first_call_s"] for its in results if name in its]
        cold = report.get("cold_call_s") if name == OURS else None
        span = f"{min(first):.2f}-{max(first):.2f}" if first else "-"
        table.add_row(name, facts["version"], f"{facts['import_s']:.2f}", span, f"{cold:.1f}" if cold else "")
    return table


_LOOKS = {
    OURS: ("#d62728", "D"),
    "scikit-learn": ("#e6a117", "o"),
    "PyTorch": ("#7b5ea7", "s"),
    "JAX": ("#3b8bc4", "^"),
    PRODUCTS: ("#555555", "x"),
}


def draw(report: dict[str, Any], path: Path) -> None:
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

    results, facts = report["networks"], report["machine"]
    places = range(len(results))
    several = len({result["threads"] for result in results}) > 1
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.4 * len(results)), layout="constrained")
    axes.axvline(1, color=_LOOKS[OURS][0], linewidth=1, zorder=1)
    shares = [_share(report, result) for result in results]
    axes.scatter(shares, places, s=90, color="#999999", marker="|", label="multiply-adds at peak")
    for name in report["libraries"]:
        color, marker = _LOOKS[name]
        rows = [row for row in places if name in results[row]["libraries"]]
        multiples = [results[row]["libraries"][name]["ratio"]["median"] for row in rows]
        axes.scatter(multiples, rows, 50, color, marker=marker, label=name, zorder=3)
    for row, result in enumerate(results):
        us = _short(result["libraries"][OURS]["us"]["median"])
        at = {"xycoords": ("axes fraction", "data"), "va": "center", "color": _LOOKS[OURS][0]}
        axes.annotate(f"{us} us", (1.02, row), **at)
    axes.set_yticks(
        places,
        [
            f"{'-'.join(map(str, result['sizes']))}, {result['batch']}"
            + (f", {result['threads']} thread{'s' * (result['threads'] > 1)}" if several else "")
            for result in results
        ],
    )
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g} x")
    axes.set_xlabel("time of a training step over fastnn's (its own: at the right); further right is slower")
    versions = [f"{name} {its['version']}" for name, its in report["libraries"].items()]
    what = [f"{facts['llvm_cpu']}, {facts['vector_bits']}-bit vectors", report["settings"]["dtype"]]
    if not several:
        what.append(f"{results[0]['threads']} thread{'s' * (results[0]['threads'] > 1)}")
    figure.supxlabel(", ".join([*what, *versions, facts["date"]]), fontsize=7, color="#777777")
    axes.grid(axis="both", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=6, frameon=False, columnspacing=1.2, handletextpad=0.2)
    figure.savefig(path, dpi=130)
    plt.close(figure)


Group = enum.Enum("Group", {network.group: network.group for network in NETWORKS}, type=str)
Optimizer = enum.Enum("Optimizer", {"adam": "adam", "sgd": "sgd"}, type=str)
Dtype = enum.Enum("Dtype", {"float32": "float32", "float64": "float64"}, type=str)
Simd = enum.Enum("Simd", {name: name for name in SIMD}, type=str)


def chosen_networks(
    sizes: list[str], batch: list[int], only: list[Group] | None, quick: bool
) -> list[Network]:
    """Return the user's networks, or those of the suite in some groups, the large ones unless `quick`."""
    if not sizes:
        groups = {group.value for group in only or Group} - ({"large"} if quick and not only else set())
        return [network for network in NETWORKS if network.group in groups]
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
    only: Annotated[
        list[Group] | None, typer.Option(help="A group of the eight networks; may be repeated.")
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Number of threads; may be repeated. By default 1 and all usable cores."),
    ] = None,
    simd: Annotated[Simd, typer.Option(help="Width of vectors.")] = Simd.native,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.adam,
    dtype: Annotated[Dtype, typer.Option()] = Dtype.float32,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn, at least one epoch.")] = 0.3,
    quick: Annotated[
        bool, typer.Option("--quick", help="3 turns of 0.1 s, no large networks, no compilation.")
    ] = False,
    cold: Annotated[bool, typer.Option(help="Also time fastnn's compilation, about 20 s.")] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them here; needs matplotlib.")] = None,
) -> None:
    """Time a training step of fastnn, scikit-learn, PyTorch and JAX, each in its fastest configuration."""
    networks = chosen_networks(sizes or [], batch or [128], only, quick)
    if plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise typer.BadParameter("--plot needs matplotlib: pip install matplotlib.")
    if quick:
        rounds, seconds, cold = 3, 0.1, False
    counts = sorted({min(n, usable_cores()) for n in threads or (1, usable_cores())})
    jobs = [Job(network, optimizer.value, dtype.value, n) for n in counts for network in networks]
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a file has no width to keep to
    installed = [name for name, library in LIBRARIES.items() if importlib.util.find_spec(library.module)]
    for name in LIBRARIES:
        if name not in installed:
            console.print(f"{name} is not installed: left out.")

    with Child(machine_facts, dtype.value, simd=simd.value, n_threads=counts[-1]) as child:
        facts, _ = child.ask(1)
    facts |= {"date": datetime.date.today().isoformat()}
    console.print(
        f"{facts['cpu']} (kernels for {facts['llvm_cpu']}, {facts['vector_bits']}-bit vectors), "
        f"{facts['cores']} cores; {facts['system']}, Python {facts['python']}, NumPy {facts['numpy']}, "
        f"numba {facts['numba']}; {facts['date']}",
        soft_wrap=True,
    )
    settings = {"optimizer": optimizer.value, "dtype": dtype.value, "simd": simd.value}
    settings |= {"rounds": rounds, "seconds": seconds}
    peaks = dict.fromkeys(counts, 0.0)
    report: dict[str, Any] = {"machine": facts, "settings": settings, "peak_gflops": peaks, "networks": []}
    with console.status("imports") as status:
        report["libraries"] = {name: import_facts(LIBRARIES[name], simd.value) for name in installed}
        if cold:
            status.update("fastnn compiles")
            report["cold_call_s"] = cold_call_seconds(jobs[0], simd.value)
        for job in jobs:
            status.update("peak")
            with Child(machine_facts, job.dtype, simd=simd.value, n_threads=job.n_threads) as child:
                peaks[job.n_threads] = max(peaks[job.n_threads], child.ask(job.n_threads)[1])
            wide = facts["vector_bits"] == 512
            figures, left_out = take_turns(job, installed, simd.value, wide, rounds, seconds, status.update)
            report["networks"].append(result_of(job, figures) | {"left_out": left_out})
            for label, reason in left_out.items():
                console.print(f"{job.network.name}, {job.network.batch}: {label} left out: {reason}.")
    console.print(step_table(report), start_table(report))
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2) + "\n")
    if plot is not None:
        draw(report, plot)


if __name__ == "__main__":
    typer.run(main)
