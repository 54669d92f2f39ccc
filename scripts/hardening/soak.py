"""Prove that a process that trains, predicts, saves and loads for a long time takes no more and more.

Memory, open files, threads and compiled forms are measured after every round; after the first third, which
fills caches, they must stay flat.

    python scripts/hardening/soak.py --minutes 30
    python scripts/hardening/soak.py --n 30
"""

from __future__ import annotations

import argparse
import gc
import math
import pickle
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import psutil
from scipy import sparse

import fastnn
from fastnn import EMA, Checkpoint
from fastnn.data import ArrayStream

LEAST_ROUNDS = 9  # below which nothing can be said
MEMORY_MIB = 8.0  # growth that allocators are allowed, from the second third's median to the last's


class Taken(NamedTuple):
    """What the process takes."""

    memory_mib: float
    files: int
    threads: int
    compiled: int


def measure() -> Taken:
    """Return what the process takes now."""
    gc.collect()
    process = psutil.Process()
    dispatchers = [each for each in gc.get_objects() if isinstance(each, numba.core.dispatcher.Dispatcher)]
    compiled = sum(len(dispatcher.overloads) for dispatcher in dispatchers)
    return Taken(process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(), compiled)


def work(rng: np.random.Generator, folder: Path) -> None:
    """Train networks of every kind, and predict, save, load, pickle and resume."""
    n_rows = int(rng.integers(200, 1200))
    x, labels = rng.standard_normal((n_rows, 20)).astype("f4"), rng.integers(0, 3, n_rows)
    net = fastnn.MLP([20, int(rng.integers(8, 96)), 3], dropout=0.1, seed=int(rng.integers(1000)))
    trainer = fastnn.Trainer(net, loss="cross_entropy", average=EMA(0.9), seed=0)
    rule = Checkpoint(folder / "checkpoints", every_steps=5, resume=False)
    trainer.fit(x, labels, epochs=3, checkpoint=rule, validation_data=(x, labels), verbose=0)
    net.save(folder / "model")
    loaded = fastnn.load(folder / "model")
    expected = net.predict_proba(x)
    if not np.array_equal(expected, loaded.predict_proba(x)):
        sys.exit("soak: a loaded model predicts other values")
    predict = pickle.loads(pickle.dumps(loaded)).predictor()
    for row in range(50):
        predict(x[row : row + 1])
    pickle.loads(pickle.dumps(trainer)).fit(x, labels, epochs=1, verbose=0)
    stream = ArrayStream(x, labels, block_rows=128)
    fastnn.Trainer(loaded, loss="cross_entropy", seed=0).fit(stream, epochs=2, verbose=0)
    rows = sparse.csr_matrix(x * (np.abs(x) > 1))
    model = fastnn.MLPClassifier(hidden_layer_sizes=(16,), max_iter=3, random_state=0)
    model.fit(rows, labels).predict(rows)
    model = fastnn.MLPRegressor(hidden_layer_sizes=(16,), solver="lbfgs", max_iter=3, random_state=0)
    model.fit(x, x[:, 0]).predict(x)


def faults(rounds: list[Taken]) -> list[str]:
    """Return what has grown from the second third of the rounds to the last."""
    third = len(rounds) // 3
    before, after = rounds[third : 2 * third], rounds[2 * third :]
    found = []
    for name in Taken._fields:
        first, last = (np.median([getattr(each, name) for each in part]) for part in (before, after))
        if last > first + (MEMORY_MIB if name == "memory_mib" else 0):
            found.append(f"{name} from {first:g} to {last:g}")
    return found


def main() -> None:
    """Work for a while and print one line of result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, help="end after so many; by default, after --n rounds")
    parser.add_argument("--n", type=int, default=30, help="number of rounds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, start, rounds = np.random.default_rng(options.seed), time.monotonic(), []
    end = start + 60 * options.minutes if options.minutes else math.inf
    warnings.simplefilter("ignore")  # estimators warn that a few iterations are not enough
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < end if options.minutes else len(rounds) < options.n:
            work(rng, Path(name))
            rounds.append(measure())
    found, last = faults(rounds), rounds[-1]
    begin = rounds[len(rounds) // 3]
    print(
        f"soak: {len(rounds)} rounds; memory {begin.memory_mib:.0f} to {last.memory_mib:.0f} MiB, files "
        f"{begin.files} to {last.files}, threads {begin.threads} to {last.threads}, compiled forms "
        f"{begin.compiled} to {last.compiled}: {'grown: ' + ', '.join(found) if found else 'flat'}; "
        f"{time.monotonic() - start:.0f} s"
    )
    sys.exit(bool(found) or len(rounds) < LEAST_ROUNDS)


if __name__ == "__main__":
    main()
