"""A trainer with all there is to remember, and what ends its training as a crash would."""

import os
import random
import signal
import sys
import time

import numpy as np

import fastnn
from fastnn import EMA, SWA, Callback, EarlyStopping
from fastnn.schedules import Plateau, WarmUp

N_ROWS, EPOCHS = 90, 6  # six batches an epoch, the last of 10 rows; updates of 4 and 2 batches

AVERAGES = {"none": None, "ema": EMA(0.9), "swa": SWA(2)}


class CrashError(Exception):
    pass


class CrashAfter(Callback):
    """End a training as a crash would, but within this process."""

    def __init__(self, n_batches):
        self.n_left = n_batches

    def on_batch_end(self, trainer, batch):
        self.n_left -= 1
        if self.n_left == 0:
            raise CrashError


def kill_and_restart(train, n_kills, longest):
    """Train in forked processes that are killed at random moments, until one ends by itself.

    Prints how many were killed, and exits as the last one did. `train(begin)` is to hand `begin` to fit as a
    callback; a process is killed up to `longest` seconds after that.
    """

    class Begin(Callback):
        def on_fit_begin(self, trainer):
            os.write(pipe, b"!")

    moments = random.Random(0)
    for n_killed in range(n_kills + 1):
        ready, pipe = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                train(Begin())
            except BaseException as error:
                os.write(2, repr(error).encode())
                os._exit(1)
            os._exit(0)
        os.close(pipe)
        os.read(ready, 1)
        os.close(ready)
        if n_killed < n_kills:
            time.sleep(moments.uniform(0.0, longest))
            os.kill(pid, signal.SIGKILL)
        ended = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(ended):
            print(n_killed)
            sys.exit(os.waitstatus_to_exitcode(ended))


def make_trainer(average=None, dtype="float32", **options):
    """A trainer that uses all there is to remember."""
    net = fastnn.MLP(
        [5, 12, 12, 3],
        ["tanh", "prelu"],
        dropout=[0.2, 0.1],
        input_dropout=0.1,
        norm=["batch", "layer"],
        residual=True,
        dtype=dtype,
        seed=0,
    )
    # The rate falls whenever the cost has not fallen by a third: several times in a few epochs.
    schedule = WarmUp(Plateau(factor=0.7, patience=1, min_delta=0.3, monitor="cost"), steps=5)
    settings = {
        "loss": "cross_entropy",
        "optimizer": fastnn.NAdam(lr=0.02, weight_decay=0.1),
        "schedule": schedule,
        "batch_size": 16,
        "accumulate": 4,
        "clip_norm": 1.0,
        "max_norm": 2.0,
        "l2": 0.1,
        "average": average,
        "class_weight": "balanced",
        "seed": 5,
    }
    return fastnn.Trainer(net, **settings | options)


def fit(trainer, epochs=EPOCHS, **options):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((N_ROWS, 5)), rng.integers(0, 3, N_ROWS)
    settings = {
        "sample_weight": rng.uniform(0.5, 2, N_ROWS),
        "validation_data": (rng.standard_normal((40, 5)), rng.integers(0, 3, 40)),
        "early_stopping": EarlyStopping(patience=100),
        "metrics": [mean_class],
        "verbose": 0,
    }
    return trainer.fit(x, y, epochs=epochs, **settings | options)


def mean_class(y_true, y_pred, sample_weight=None):
    return np.average(y_pred, weights=sample_weight)
