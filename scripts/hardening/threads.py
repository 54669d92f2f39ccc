"""Prove that training gives the same bits from every kind of thread and process, on every threading layer.

Each cell of {omp, tbb, workqueue} x {main thread, 2 and 8 threads, fork, forkserver, spawn, loky, beside
torch, beside scikit-learn} is a process of its own, which is killed, and counted as a hang, if it does not
end in time. A layer or library that is not installed is named and left out.

    python scripts/hardening/threads.py --n 20
    python scripts/hardening/threads.py --n 2 --layers omp --situations main fork
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

LAYERS = ("omp", "tbb", "workqueue")
SECONDS, SECONDS_EACH = 120, 6  # after which a cell counts as hanging: these, and for each of its n
OTHER_BITS, NOT_INSTALLED = 3, 4  # exit codes


def trained(n_threads: int = 2, epochs: int = 4) -> bytes:
    """Train and predict, in parallel regions however small the work is; return the bits."""
    import fastnn
    from fastnn import _threads
    from fastnn.training import pace

    pace.PARALLEL_STEP_FLOPS = 0
    _threads.usable_cores = lambda: 2
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((500, 20)).astype(np.float32), rng.integers(0, 3, 500)
    net = fastnn.MLP([20, 33, 17, 3], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=64, seed=0, n_threads=n_threads)
    trainer.fit(x, y, epochs=epochs, verbose=0)
    return net.params.tobytes() + net.predict_proba(x, n_threads=n_threads).tobytes()


def check(found: bytes, expected: bytes) -> None:
    """End the process if the bits are others."""
    if found != expected:
        os._exit(OTHER_BITS)


def in_main(n: int, expected: bytes) -> None:
    """Train in the main thread, and make sure that parallel regions are opened."""
    from fastnn import _threads

    regions, run_parts = [], _threads.run_parts
    _threads.run_parts = lambda *args: (regions.append(args[1]), run_parts(*args))
    for _ in range(n):
        check(trained(), expected)
    if set(regions) != {2}:
        sys.exit(f"no parallel region was opened: {set(regions)}")


def in_threads(n: int, expected: bytes, n_threads: int) -> None:
    """Train in several Python threads at once."""
    wrong = []

    def work() -> None:
        wrong.extend(1 for _ in range(n) if trained() != expected)

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        os._exit(OTHER_BITS)


@contextlib.contextmanager
def busy(work: Callable[[], object], n_threads: int):
    """Call a function again and again in other threads."""
    done = threading.Event()

    def repeat() -> None:
        while not done.is_set():
            work()

    threads = [threading.Thread(target=repeat) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def in_forked_children(n: int, expected: bytes) -> None:
    """Fork while other threads start the layer, train alone or side by side, and call a predictor."""
    import fastnn

    predict, x = fastnn.MLP([64, 256, 10], seed=0).predictor(), np.ones((4000, 64), np.float32)
    outputs = predict(x).tobytes()
    for work, n_threads in ((trained, 1), (trained, 3), (lambda: predict(x), 2)):
        with busy(work, n_threads):
            for k in range(n):
                time.sleep(0.002 * (k % 7))
                child = os.fork()
                if child == 0:
                    right = trained() == expected and predict(x).tobytes() == outputs
                    os._exit(0 if right else OTHER_BITS)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                if code:
                    os._exit(code if code > 0 else 128 - code)
    check(trained(), expected)


def in_processes(n: int, expected: bytes, method: str) -> None:
    """Train in processes of :mod:`multiprocessing`, before and after this one does."""
    for _ in range(2):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            for found in pool.map(trained, [1, 2] * n):
                check(found, expected)
        check(trained(), expected)


def in_loky(n: int, expected: bytes) -> None:
    """Train in joblib's processes and threads."""
    import joblib

    for backend in ("loky", "threading"):
        for found in joblib.Parallel(2, backend=backend)(joblib.delayed(trained)() for _ in range(2 * n)):
            check(found, expected)


def beside(n: int, expected: bytes, work: Callable[[], object]) -> None:
    """Train in turn with another library, beside it in a thread, and in children forked after it."""
    for _ in range(n):
        work()
        check(trained(), expected)
    with busy(work, 1):
        for _ in range(n):
            check(trained(), expected)
    for _ in range(n):
        child = os.fork()
        if child == 0:
            os._exit(0 if trained() == expected else OTHER_BITS)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            os._exit(code if code > 0 else 128 - code)


def beside_torch(n: int, expected: bytes) -> None:
    """Train beside PyTorch on two threads."""
    import torch

    torch.set_num_threads(2)
    layer, x = torch.nn.Linear(256, 256), torch.ones(512, 256)
    beside(n, expected, lambda: layer(x).sum().backward())


def beside_sklearn(n: int, expected: bytes) -> None:
    """Train beside scikit-learn's OpenMP loops."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x = np.random.default_rng(0).standard_normal((2000, 8))
    beside(n, expected, lambda: HistGradientBoostingRegressor(max_iter=5).fit(x, x[:, 0]))


SITUATIONS: dict[str, tuple[Callable[[int, bytes], None], str]] = {
    "main": (in_main, ""),
    "2 threads": (lambda n, bits: in_threads(n, bits, 2), ""),
    "8 threads": (lambda n, bits: in_threads(n, bits, 8), ""),
    "fork": (in_forked_children, ""),
    "forkserver": (lambda n, bits: in_processes(n, bits, "forkserver"), ""),
    "spawn": (lambda n, bits: in_processes(n, bits, "spawn"), ""),
    "loky": (in_loky, "joblib"),
    "torch": (beside_torch, "torch"),
    "sklearn": (beside_sklearn, "sklearn"),
}


def run_cell(situation: str, n: int) -> None:
    """Run one cell in this process, whose layer the environment chooses."""
    from fastnn.app.machine import threading_layers

    if os.environ["NUMBA_THREADING_LAYER"] not in threading_layers():
        sys.exit(NOT_INSTALLED)
    expected = trained(1)  # which does not start the layer: it starts while others fork
    SITUATIONS[situation][0](n, expected)


def judge_cell(layer: str, situation: str, n: int) -> str:
    """Run one cell in a process of its own; return "" or what is wrong."""
    library = SITUATIONS[situation][1]
    if library and importlib.util.find_spec(library) is None:
        return "left out"
    path = os.pathsep.join([str(Path(sys.prefix) / "lib"), os.environ.get("LD_LIBRARY_PATH", "")])
    limits = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2", "LD_LIBRARY_PATH": path}
    command = [sys.executable, __file__, "--cell", situation, "--n", str(n)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=os.environ | limits, start_new_session=True, **pipes)
    try:
        _, errors = process.communicate(timeout=SECONDS + SECONDS_EACH * n)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children, too
        process.communicate()
        return "hang"
    if process.returncode == NOT_INSTALLED:
        return "left out"
    if process.returncode:
        print(f"{layer}, {situation}: exit code {process.returncode}\n{errors}", file=sys.stderr)
    return {0: "", OTHER_BITS: "other bits"}.get(process.returncode, "abort")


def main() -> None:
    """Run the cells and print one line of result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20, help="trainings, or children, of each kind in a cell")
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--situations", nargs="+", choices=list(SITUATIONS), default=list(SITUATIONS))
    parser.add_argument("--cell", choices=list(SITUATIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        run_cell(options.cell, options.n)
        return
    start = time.perf_counter()
    cells = [(layer, situation) for layer in options.layers for situation in options.situations]
    found = {cell: judge_cell(*cell, options.n) for cell in cells}
    counts = {kind: list(found.values()).count(kind) for kind in ("abort", "hang", "other bits")}
    left_out = ", ".join(" ".join(cell) for cell, kind in found.items() if kind == "left out")
    n_run = sum(kind != "left out" for kind in found.values())
    print(
        f"threads: {n_run} cells, n={options.n}: "
        + ", ".join(f"{n} {kind}{'s' * (kind != 'other bits')}" for kind, n in counts.items())
        + (f"; not installed: {left_out}" if left_out else "")
        + f"; {time.perf_counter() - start:.0f} s"
    )
    sys.exit(any(counts.values()) or n_run == 0)


if __name__ == "__main__":
    main()
