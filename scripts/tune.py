"""Measure the numbers of fastnn/kernels/sizes.py on this machine.

Some other values of each number are tried. Each runs in its own process, which compiles the kernels with it
(about 15 s) and trains a few networks on one thread, in turn with the current values. The table shows the
time with the current values over the time with the value tried: above 1, that value is faster here. Nothing
is written; a value that wins on all networks, by more than the spread of "current", belongs in
kernels/sizes.py with its figures.

The last table is for the cut-off of the parallel strategy: the work from which two threads are faster than
one.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]

# Values to try, by name; TILE_VECS is the entry for this CPU's vectors.
CANDIDATES: dict[str, list[int]] = {
    "TILE_ROWS": [4, 8, 12],
    "TILE_VECS": [1, 2, 3],
    "K_BLOCK": [256, 384, 768],
    "PREFETCH_STEP": [4, 16, 1 << 30],
    "FETCHED_LEFT_BYTES": [0, 1 << 40],
    "ROW_BLOCK": [120, 480],
    "ROW_GROUP": [4, 64],
    "ROWS_AHEAD": [8, 128],
    "BYTES_AHEAD": [1, 65536],
    "FETCHED_BYTES": [0, 1 << 40],
    "BLOCK_ROWS": [48, 192],
    "BLOCK_COLS": [64, 1024],
}
NETWORKS = [
    ((64, 64, 10), 32),
    ((784, 128, 10), 128),
    ((784, 512, 512, 10), 128),
    ((1024, 2048, 2048, 10), 512),
]
SHARED = [(16, 32), (32, 32), (64, 32), (64, 64), (128, 64), (128, 128), (256, 128)]

_CHILD = """
import json, sys
sys.path[:0] = [{root!r}, {root!r} + "/benchmarks"]
from fastnn.kernels import sizes
for name, value in {values!r}.items():
    if name == "TILE_VECS":
        value = dict.fromkeys(sizes.TILE_VECS, value)
    setattr(sizes, name, value)
from benchmarks.common import Network, step_us
print(json.dumps([step_us(Network(tuple(s), b), n_threads=n) for s, b, n in {jobs!r}]))
"""


def times(values: dict[str, int], jobs: list, cache: str) -> list[float] | None:
    """Return the time of a step of each job with these values, in us; None if the process fails."""
    code = _CHILD.format(root=str(ROOT), values=values, jobs=jobs)
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def compare(name: str, value: int, rounds: int, cache: str) -> list[float] | None:
    """Return, for each network, the time with the current values over that with `value`, best of rounds."""
    jobs = [(widths, batch, 1) for widths, batch in NETWORKS]
    with tempfile.TemporaryDirectory() as other_cache:
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(times({}, jobs, cache))
            theirs.append(times({name: value}, jobs, other_cache))
    if any(run is None for run in [*ours, *theirs]):
        return None
    best = [[min(run[k] for run in runs) for k in range(len(jobs))] for runs in (ours, theirs)]
    return [mine / other for mine, other in zip(*best, strict=True)]


def main(
    only: Annotated[list[str] | None, typer.Option(help="Names of numbers; all by default.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each value.")] = 2,
) -> None:
    """Measure the numbers of fastnn/kernels/sizes.py on this machine."""
    for name in only or []:
        if name not in {*CANDIDATES, "PARALLEL_STEP_FLOPS"}:
            raise typer.BadParameter(f"--only must be one of {', '.join(CANDIDATES)}, got {name}.")
    sys.path.insert(0, str(ROOT))
    from fastnn.kernels import sizes
    from fastnn.kernels.simd import WIDTH_BYTES

    console = Console()
    if not console.is_terminal:
        console.width = 140  # not limited by a terminal
    headings = [f"{'-'.join(map(str, widths))}, {batch}" for widths, batch in NETWORKS]
    table = Table(
        "number", "current", "tried", *headings, title="Time with the current value / time with the one tried"
    )
    base = tempfile.TemporaryDirectory()  # the current kernels, compiled once for all comparisons
    for name, values in CANDIDATES.items():
        if only and name not in only:
            continue
        present = getattr(sizes, name)
        present = present[WIDTH_BYTES] if isinstance(present, dict) else present
        for value in [present, *values] if name == "TILE_ROWS" else values:
            if console.is_terminal:
                console.print(f"{name} = {value} ...", end="\r")
            ratios = compare(name, value, rounds, base.name)
            cells = [f"{ratio:.2f}" for ratio in ratios] if ratios else ["fails"]
            table.add_row(name, str(present), str(value), *cells)
    console.print(table)
    if only and "PARALLEL_STEP_FLOPS" not in only:
        return
    table = Table("network, batch", "MFLOP a step", "1 thread, us", "2 threads, us", title="Two threads")
    jobs = [((width, width, 10), batch, n) for width, batch in SHARED for n in (1, 2)]
    with tempfile.TemporaryDirectory() as cache:
        figures = times({"PARALLEL_STEP_FLOPS": 0}, jobs, cache) or []
    for (widths, batch, _), one, two in zip(jobs[::2], figures[::2], figures[1::2], strict=False):
        flops = 6 * batch * sum(a * b for a, b in itertools.pairwise(widths))
        table.add_row(
            f"{'-'.join(map(str, widths))}, {batch}", f"{flops / 1e6:.2g}", f"{one:.4g}", f"{two:.4g}"
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
