"""Prove that a training killed by SIGKILL at any moment is resumed to the same bits, history included.

Short trainings are killed again and again, half of the times at a random moment, half at a random line of
the code that writes checkpoints and models, and resumed until one process ends by itself. Its weights and
history, and for the command line the results on the test rows, must be those of a training that was never
killed. All processes are forked from one that has imported and loaded everything, so a kill costs well under
a second.

    python scripts/hardening/kills.py --n 1000
    python scripts/hardening/kills.py --n 20 --command-line 0.2
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import EMA, Checkpoint
from fastnn.data import ArrayStream
from fastnn.network import files
from fastnn.training import checkpoint, pace, resume

WRITERS = {module.__file__ for module in (files, checkpoint, resume)}
TIMES = {"seconds", "samples_per_second"}
MOST_KILLS = 6  # of one training
PATIENCE = 120  # seconds until a process that is not killed counts as hanging


class Killed:
    """A kind of training: how it is run in a folder, and what must come out.

    Parameters
    ----------
    name : str
    run : callable
        Called with a folder: trains there, or resumes what it finds.
    result : callable
        Called with a folder: returns what must be the same, as bytes.
    folder : Path
        Empty, for the training that is not killed.
    """

    def __init__(
        self, name: str, run: Callable[[Path], None], result: Callable[[Path], bytes], folder: Path
    ) -> None:
        self.name, self.run, self.result = name, run, result
        folder.mkdir()
        lines: list[int] = []
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            with traced(lines.append):
                run(folder)  # loads everything, too
            self.expected, self.n_lines = result(folder), len(lines)
            shutil.rmtree(folder)
            folder.mkdir()
            start = time.perf_counter()
            run(folder)
        self.seconds = time.perf_counter() - start
        assert result(folder) == self.expected, f"{name}: two trainings differ"
        shutil.rmtree(folder)


@contextlib.contextmanager
def traced(call: Callable[[int], object]):
    """Call a function at every line of the code that writes files."""

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in WRITERS:
            return None
        if event == "line":
            call(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def start(kind: Killed, folder: Path, last_line: float) -> int:
    """Fork a process that trains, and kills itself before a line of the code that writes; return its id."""
    child = os.fork()
    if child:
        return child
    count = itertools.count(1)

    def kill_at_last(_: int) -> None:
        if next(count) >= last_line:
            os.kill(os.getpid(), signal.SIGKILL)

    log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        with traced(kill_at_last):
            kind.run(folder)
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
    os._exit(1)


def ended(child: int, seconds: float) -> int | None:
    """Wait for a process; return its exit code, negative if it was killed, or None if it still runs."""
    end = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.0005)


def kill_once(kind: Killed, folder: Path, moments: random.Random) -> int | None:
    """Start or resume a training and kill it; return its exit code."""
    in_writing = moments.random() < 0.5
    child = start(kind, folder, moments.randint(1, kind.n_lines) if in_writing else float("inf"))
    code = ended(child, PATIENCE if in_writing else moments.uniform(0, kind.seconds))
    if code is None:
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code if not in_writing else None
    return code


def train_with_kills(kind: Killed, folder: Path, most: int, moments: random.Random) -> tuple[int, str]:
    """Kill and resume a training until it ends by itself; return the number of kills, and what is wrong."""
    n_kills = 0
    folder.mkdir()
    while True:
        if n_kills < most:
            code = kill_once(kind, folder, moments)
        else:
            child = start(kind, folder, float("inf"))
            code = ended(child, PATIENCE)
            if code is None:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        if code == -signal.SIGKILL:
            n_kills += 1
            RESUMED.append(any(folder.rglob("step-*.safetensors")))
            continue
        if code is None:
            return n_kills, "hangs"
        if code != 0:
            return n_kills, f"exit code {code}: {Path(f'{folder}.log').read_text()}"
        try:
            return n_kills, "" if kind.result(folder) == kind.expected else "other bits"
        except Exception as error:  # a file that cannot be read, or not as it should
            return n_kills, f"{type(error).__name__}: {error}"


# --- what is trained --------------------------------------------------------------------------------------


def without_times(columns: dict[str, Any]) -> str:
    """Return the columns of a history as text to the last bit."""
    return repr({name: columns[name] for name in sorted(columns.keys() - TIMES)})


def trainer_kinds() -> dict[str, Callable[[], tuple[fastnn.Trainer, tuple, dict]]]:
    """Return functions that make a trainer, its data, and the options of fit, by name."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((90, 5)).astype("f4"), rng.standard_normal(90).astype("f4") + 3
    labels, weights = rng.integers(0, 3, 90), rng.uniform(0.5, 2, 90)

    def regression() -> Any:
        trainer = fastnn.Trainer(fastnn.MLP([5, 16, 1], seed=0), loss="mse", batch_size=16, seed=5)
        return trainer, (x, y), {"sample_weight": weights, "metrics": "r2", "record_norms": True}

    def classes() -> Any:
        net = fastnn.MLP([5, 12, 12, 3], "tanh", dropout=0.2, norm="batch", residual=True, seed=0)
        settings = {"optimizer": "nadam", "clip_norm": 1.0, "l2": 0.1, "average": EMA(0.9), "accumulate": 2}
        trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=16, seed=5, **settings)
        stopping = fastnn.EarlyStopping(patience=99)
        options = {"validation_data": (x[:30], labels[:30]), "early_stopping": stopping}
        return trainer, (x, labels), options

    def stream() -> Any:
        trainer = fastnn.Trainer(fastnn.MLP([5, 16, 1], seed=0), loss="huber", batch_size=16, seed=5)
        return trainer, (ArrayStream(x, y, sample_weight=weights, block_rows=40),), {"metrics": ()}

    def two_threads() -> Any:
        trainer, data, options = regression()
        settings = {"loss": "mse", "batch_size": 16, "seed": 5, "n_threads": 2}
        return fastnn.Trainer(trainer.net, **settings), data, options

    return {"regression": regression, "classes": classes, "stream": stream, "two threads": two_threads}


def trainer_kind(name: str, make: Callable[[], Any], folder: Path, epochs: int = 8) -> Killed:
    """Return a training by ``Trainer.fit``."""

    def run(folder: Path) -> None:
        trainer, data, options = make()
        # A parallel layer that this process starts would keep its children from opening regions.
        pace.PARALLEL_STEP_FLOPS = 0 if name == "two threads" and os.getpid() != PARENT else 1e18
        rule = Checkpoint(folder / "checkpoints", every_steps=2)
        trainer.fit(*data, epochs=epochs, checkpoint=rule, verbose=0, **options)
        trainer.net.save(folder / "model")
        history = trainer.history
        found = without_times(history.to_dict()), history.best_epoch, history.stop_reason
        (folder / "result").write_bytes(pickle.dumps((found, trainer.net.parameters())))

    def result(folder: Path) -> bytes:
        history, parameters = pickle.loads((folder / "result").read_bytes())
        for name, array in fastnn.load(folder / "model").parameters().items():
            assert array.tobytes() == parameters[name].tobytes(), f"{name} in the model's file"
        return pickle.dumps((history, {name: array.tobytes() for name, array in parameters.items()}))

    return Killed(name, run, result, folder)


def command_line_kind(table: Path, folder: Path, epochs: int = 30) -> Killed:
    """Return a training by ``fastnn train``."""
    from fastnn.app import cli

    def run(folder: Path) -> None:
        run_folder, options = folder / "run", ["--quiet", "--no-pictures"]
        if (run_folder / "config.toml").exists():
            command = ["--resume", str(run_folder)]
        else:  # killed before there was a run
            command = [str(table), "--target", "y", "--output", str(run_folder), "--epochs", str(epochs)]
            command += ["--threads", "1", "--checkpoint-minutes", "0.00001", "--optimizer", "adam"]
        sys.argv = ["fastnn", "train", *command, *options]
        try:
            cli.main()
        except SystemExit as ending:
            if ending.code:
                raise RuntimeError(f"exit code {ending.code}") from ending

    def result(folder: Path) -> bytes:
        run_folder = folder / "run"
        history = json.loads((run_folder / "history.json").read_text())
        columns, summary = history.pop("columns"), json.loads((run_folder / "summary.json").read_text())
        parameters = fastnn.Model.load(run_folder / "model.safetensors").net.parameters()
        weights = {name: array.tobytes() for name, array in parameters.items()}
        predictions = (run_folder / "test.csv").read_bytes()
        return pickle.dumps((without_times(columns), history, weights, summary["test"], predictions))

    return Killed("command line", run, result, folder)


def write_table(path: Path) -> None:
    """Write a table for a regression."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3)).round(3)
    rows = (f"{a},{b},{c},{2 * a + b * b:.4f}\n" for a, b, c in x)
    path.write_text("a,b,c,y\n" + "".join(rows))


PARENT = os.getpid()
RESUMED: list[bool] = []  # for each kill, whether it left a checkpoint to resume from


def main() -> None:
    """Kill trainings and print one line of result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=20, help="number of kills")
    parser.add_argument("--command-line", type=float, default=0.1, help="share of them of `fastnn train`")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments, began = random.Random(options.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = [trainer_kind(kind, make, folder / "0") for kind, make in trainer_kinds().items()]
        if options.command_line:
            write_table(folder / "table.csv")
            kinds.append(command_line_kind(folder / "table.csv", folder / "0"))
        wanted = {kind.name: options.n * (1 - options.command_line) / 4 for kind in kinds}
        wanted["command line"] = options.n * options.command_line
        n_kills, n_right, n_trainings, prepared = 0, 0, 0, time.perf_counter() - began
        for kind in kinds:
            n_of_kind = 0
            while n_of_kind < wanted[kind.name] and n_kills < options.n:
                n_trainings += 1
                path = folder / str(n_trainings)
                most = min(moments.randint(1, MOST_KILLS), options.n - n_kills)
                n, fault = train_with_kills(kind, path, most, moments)
                n_of_kind, n_kills, n_right = n_of_kind + n, n_kills + n, n_right + (0 if fault else n)
                if fault:
                    print(f"{kind.name}, training {n_trainings}: {fault}", file=sys.stderr)
                    n_right -= not n  # a training that fails without a kill is a fault, too
                shutil.rmtree(path)
    seconds = time.perf_counter() - began
    print(
        f"kills: {n_right} of {n_kills} kills, in {n_trainings} trainings, ended with the same bits, history "
        f"included; {sum(RESUMED)} left a checkpoint; {seconds:.0f} s, {prepared:.0f} of them to begin"
    )
    sys.exit(n_right != n_kills or n_kills < options.n or not any(RESUMED))


if __name__ == "__main__":
    main()
