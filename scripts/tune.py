"""Measure the numbers of fastnn/kernels/sizes.py on this machine.

Some other values of each number are tried. Each runs in its own process, which compiles the kernels with it
(about 15 s) and trains a few networks on one thread, in turn with the current values. The table shows the
time with the current values over the time with the value tried: above 1, that value is faster here. Nothing
is written; a value that wins on all networks, by more than TILE_ROWS tried with its current value differs
from 1, belongs in kernels/sizes.py with its figures. Some numbers depend on the vectors' width: see --simd.

The last table is for the cut-off of the parallel strategy: the work from which two threads are faster than
one.
"""

from __future__ import annotations

import enum
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from benchmarks.children import SIMD, environment

ROOT = Path(__file__).resolve().parents[1]

# Values to try, by name. Of a dict it is the entry for the vectors at hand, K_BLOCK what `sum_block` returns;
# ROW_BLOCK and BLOCK_ROWS are multiples of PAD.
CANDIDATES: dict[str, list[int]] = {
    "TILE_ROWS": [4, 8, 12],
    "LOW_ROWS": [2, 3, 4],
    "TILE_VECS": [1, 2, 3],
    "K_BLOCK": [128, 256, 384, 512, 1024],
    "FETCHED_ROWS": [0, 1, 4],
    "ROW_BLOCK": [96, 480],
    "ROW_GROUP": [4, 64],
    "ROWS_AHEAD": [8, 128],
    "BYTES_AHEAD": [1, 65536],
    "FETCHED_BYTES": [0, 1 << 40],
    "BLOCK_ROWS": [48, 192],
    "BLOCK_COLS": [64, 1024],
}
NAMES = (*CANDIDATES, "PARALLEL_STEP_FLOPS")
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
    if name == "K_BLOCK":
        sizes.sum_block = lambda width_bytes, value=value: value
    elif isinstance(getattr(sizes, name), dict):
        setattr(sizes, name, dict.fromkeys(getattr(sizes, name), value))
    else:
        assert hasattr(sizes, name), name
        setattr(sizes, name, value)
{rest}
"""
_STEPS = """
from benchmarks.common import Network, step_us
print(json.dumps([step_us(Network(tuple(s), b), n_threads=n) for s, b, n in {jobs!r}]))
"""
_PRESENT = """
from fastnn.kernels.dense import K_BLOCK
from fastnn.kernels.simd import WIDTH_BYTES
found = dict(vars(sizes), K_BLOCK=K_BLOCK)
found |= {{k: v[WIDTH_BYTES] for k, v in found.items() if isinstance(v, dict) and WIDTH_BYTES in v}}
print(json.dumps([WIDTH_BYTES, dict((name, found[name]) for name in {names!r})]))
"""


def run(code: str, values: dict[str, int], simd: str, cache: str | None = None) -> Any:
    """Return what a child with these values prints; None if it fails."""
    code = _CHILD.format(root=str(ROOT), values=values, rest=code)
    variables = environment(simd, 2, {"NUMBA_CACHE_DIR": cache} if cache else None)
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def times(values: dict[str, int], jobs: list, simd: str, cache: str) -> list[float] | None:
    """Return the time of a step of each job with these values, in us; None if the process fails."""
    return run(_STEPS.format(jobs=jobs), values, simd, cache)


def fits(name: str, value: int, width_bytes: int) -> bool:
    """Tell whether the kernels can work with a value: tiles of narrow vectors fit into a panel."""
    return name != "TILE_VECS" or width_bytes == 64 or value * width_bytes <= 64


def compare(name: str, value: int, rounds: int, simd: str, cache: str) -> list[float] | None:
    """Return, for each network, the time with the current values over that with `value`, best of rounds."""
    jobs = [(widths, batch, 1) for widths, batch in NETWORKS]
    with tempfile.TemporaryDirectory() as other_cache:
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(times({}, jobs, simd, cache))
            theirs.append(times({name: value}, jobs, simd, other_cache))
    if any(run is None for run in [*ours, *theirs]):
        return None
    best = [[min(run[k] for run in runs) for k in range(len(jobs))] for runs in (ours, theirs)]
    return [mine / other for mine, other in zip(*best, strict=True)]


Simd = enum.Enum("Simd", {name: name for name in SIMD}, type=str)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Names of numbers; all by default.")] = None,
    simd: Annotated[Simd, typer.Option(help="Width of vectors.")] = Simd.native,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each value.")] = 2,
) -> None:
    """Measure the numbers of fastnn/kernels/sizes.py on this machine."""
    for name in only or []:
        if name not in NAMES:
            raise typer.BadParameter(f"--only must be one of {', '.join(NAMES)}, got {name}.")
    width_bytes, current = run(_PRESENT.format(names=list(CANDIDATES)), {}, simd.value)
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
        present = current[name]
        tried = [value for value in values if value != present and fits(name, value, width_bytes)]
        for value in [present, *tried] if name == "TILE_ROWS" else tried:
            if console.is_terminal:
                console.print(f"{name} = {value} ...", end="\r")
            ratios = compare(name, value, rounds, simd.value, base.name)
            cells = [f"{ratio:.2f}" for ratio in ratios] if ratios else ["fails"]
            table.add_row(name, str(present), str(value), *cells)
    console.print(table)
    if only and "PARALLEL_STEP_FLOPS" not in only:
        return
    table = Table("network, batch", "MFLOP a step", "1 thread, us", "2 threads, us", title="Two threads")
    jobs = [((width, width, 10), batch, n) for width, batch in SHARED for n in (1, 2)]
    with tempfile.TemporaryDirectory() as cache:
        figures = times({"PARALLEL_STEP_FLOPS": 0}, jobs, simd.value, cache) or []
    for (widths, batch, _), one, two in zip(jobs[::2], figures[::2], figures[1::2], strict=False):
        flops = 6 * batch * sum(a * b for a, b in itertools.pairwise(widths))
        table.add_row(
            f"{'-'.join(map(str, widths))}, {batch}", f"{flops / 1e6:.2g}", f"{one:.4g}", f"{two:.4g}"
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
