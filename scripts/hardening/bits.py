"""Prove that results have the same bits on one and two threads, and in two runs.

Random architectures are trained with random options (data, loss, optimiser, schedule, averages, limits,
dropout, norms, sparse rows, ...), in three processes: on one thread, on two, and once more on one. Weights,
history, predictions and evaluation must be the same to the bit. Steps run in parallel regions however small
they are.

    python scripts/hardening/bits.py --n 1000
    python scripts/hardening/bits.py --n 20 --seed 1
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
from scipy import sparse

import fastnn
from fastnn import EMA, SWA, _threads
from fastnn.training import pace
from fastnn.training.loop import DivergenceError

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu", "prelu", "softplus", "selu")
OPTIMIZERS = (
    *("sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "lion", "lbfgs"),
    fastnn.SGD(lr=0.01, momentum=0.9, nesterov=True),
)
LOSSES = {
    "classes": ("cross_entropy", "focal", "multiclass_hinge"),
    "labels": ("binary_cross_entropy", "binary_focal", "hinge", "squared_hinge"),
    "values": ("mse", "squared_error", "mae", "huber", "log_cosh", "quantile"),
    "counts": ("poisson", "tweedie"),
}


def chosen(rng: np.random.Generator, options: Any) -> Any:
    """Return one of some options."""
    return options[int(rng.integers(len(options)))]


def perhaps(rng: np.random.Generator, options: dict[str, Any], share: float = 0.25) -> dict[str, Any]:
    """Return each option with this probability."""
    return {name: value for name, value in options.items() if rng.random() < share}


def make_case(number: int, seed: int, n_threads: int) -> tuple[fastnn.Trainer, tuple, dict[str, Any]]:
    """Return a random trainer, its data, and the options of fit."""
    rng = np.random.default_rng([seed, number])
    n_rows, n_in, n_out = (int(n) for n in rng.integers((20, 1, 2), (700, 70, 9)))
    hidden = [int(n) for n in rng.integers(1, 150, rng.integers(0, 5))]
    task = chosen(rng, tuple(LOSSES))
    of_layers = {
        "norm": chosen(rng, ("batch", "layer")),
        "residual": True,
        "dropout": float(rng.uniform(0.05, 0.5)),
    }
    options = perhaps(rng, of_layers) if hidden else {}
    options |= perhaps(rng, {"input_dropout": 0.2})
    optimizer = chosen(rng, OPTIMIZERS)
    if optimizer == "lbfgs":  # which needs a cost that is the same at every call
        options = {name: value for name, value in options.items() if value in ("layer", True)}
    activations = [chosen(rng, ACTIVATIONS) for _ in hidden] or "relu"
    dtype = chosen(rng, ("float32", "float64"))
    net = fastnn.MLP([n_in, *hidden, n_out], activations, dtype=dtype, seed=number, **options)
    x = rng.standard_normal((n_rows, n_in))
    if rng.random() < 0.25:
        x = sparse.csr_matrix(x * (rng.random(x.shape) < 0.2))
    y = {
        "classes": rng.integers(0, n_out, n_rows),
        "labels": rng.integers(0, 2, (n_rows, n_out)),
        "values": rng.standard_normal((n_rows, n_out)),
        "counts": rng.poisson(2.0, (n_rows, n_out)).astype(float),
    }[task]
    settings: dict[str, Any] = {"loss": chosen(rng, LOSSES[task]), "optimizer": optimizer}
    weights = perhaps(rng, {"sample_weight": rng.uniform(0.0, 2.0, n_rows)})
    limits = {"clip_norm": 0.5, "clip_value": 0.1, "max_norm": 1.5, "l1": 1e-4, "l2": 1e-3}
    if optimizer == "lbfgs":
        limits = {"l2": 1e-3}
    else:
        settings["batch_size"] = int(rng.integers(1, 200))
        average = chosen(rng, (EMA(0.9), SWA(1)))
        more = {"accumulate": int(rng.integers(2, 5)), "average": average, "shuffle": False}
        settings |= perhaps(rng, more) | perhaps(rng, {"schedule": chosen(rng, ("cosine", "one_cycle"))})
    if task == "classes":
        settings |= perhaps(rng, {"class_weight": "balanced"})
    settings |= perhaps(rng, limits)
    held_out = x[: n_rows // 3], y[: n_rows // 3]
    of_fit = perhaps(rng, {"record_norms": True, "validation_data": held_out}, 0.4)
    trainer = fastnn.Trainer(net, **settings, seed=number, n_threads=n_threads)
    return trainer, (x, y), of_fit | weights


def digest(number: int, seed: int, n_threads: int) -> dict[str, str]:
    """Train one random network; return a text of each of its results, which holds all bits."""
    trainer, (x, y), options = make_case(number, seed, n_threads)
    found = {"case": repr(trainer.net)}
    try:
        trainer.fit(x, y, epochs=2, verbose=0, **options)
    except DivergenceError as error:
        found["error"] = str(error)
    columns = trainer.history.to_dict()
    times = {"seconds", "samples_per_second"}
    found["history"] = repr({name: columns[name] for name in columns if name not in times})
    found["evaluation"] = repr(trainer.evaluate(x, y))
    with np.errstate(all="ignore"):
        outputs = trainer.net.predict_raw(x, n_threads=n_threads)
    for name, array in {**trainer.net.parameters(), "outputs": outputs}.items():
        found[name] = hashlib.sha256(array.tobytes()).hexdigest()
    return found


def print_digests(n: int, seed: int, n_threads: int, until: float) -> None:
    """Print the results of n networks, one a line, and how many parallel regions were opened."""
    pace.PARALLEL_STEP_FLOPS = 0
    _threads.usable_cores = lambda: 2
    regions: list[int] = []
    run_parts = _threads.run_parts
    _threads.run_parts = lambda *args: (regions.append(args[1]), run_parts(*args))
    warnings.simplefilter("ignore")
    for number in range(n):
        if time.time() > until:
            break
        print(json.dumps(digest(number, seed, n_threads)), flush=True)
    print(len(regions), flush=True)


def main() -> None:
    """Compare the three processes and print one line of result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20, help="number of architectures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="end after so many")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        print_digests(options.n, options.seed, options.threads, options.until)
        return
    start, until = time.perf_counter(), time.time() + 60 * options.minutes
    limits = {"NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, __file__, *f"--n {options.n} --seed {options.seed} --until {until}".split()]
    outputs = []
    for n_threads in (1, 2, 1):  # one after the other: each is to have two cores
        done = subprocess.run(
            [*command, "--threads", str(n_threads)],
            env=os.environ | limits,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            sys.exit(f"bits: on {n_threads} threads, the process ended with exit code {done.returncode}")
        outputs.append(done.stdout.splitlines())
    n_regions = [int(lines.pop()) for lines in outputs]
    n_right = n_cases = 0
    for number, lines in enumerate(itertools.zip_longest(*outputs)):
        if None in lines:  # the time was over
            break
        one, two, again = map(json.loads, lines)
        differing = {name for name in one if not one[name] == two[name] == again[name]}
        n_cases, n_right = n_cases + 1, n_right + (not differing)
        if differing:
            names = ", ".join(sorted(differing))
            print(f"architecture {number}: {names} differ: {one['case']}", file=sys.stderr)
    print(
        f"bits: {n_right} of {n_cases} architectures the same on 1 and 2 threads and in two runs; "
        f"{n_regions[1]} parallel regions; {time.perf_counter() - start:.0f} s"
    )
    sys.exit(n_right != n_cases or n_cases == 0 or n_regions[1] == 0 or n_regions[0] > 0)


if __name__ == "__main__":
    main()
