"""Time from the start of a process to its first result."""

from __future__ import annotations

import textwrap

import numpy as np

_TRAIN = """
import fastnn, numpy
with numpy.load("digits.npz") as data:
    x, y = data["x"], data["y"]
net = fastnn.MLP([64, 64, 10], seed=0)
trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
trainer.fit(x, y, epochs=20, verbose=0)
"""

_TRAIN_COLD = f"""
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.environ["NUMBA_CACHE_DIR"] = folder
{textwrap.indent(_TRAIN, "    ")}
"""


class Import:
    """Imports; fastnn's names are imported on first use, so one is used."""

    number = 1

    def timeraw_fastnn(self):
        return "import fastnn; fastnn.Trainer"

    def timeraw_numba(self):
        return "import numba"


class FirstTraining:
    """Import fastnn, read the digits, train for 20 epochs."""

    number = 1

    def setup_cache(self):
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        np.savez("digits.npz", x=x / 16, y=y)
        exec(_TRAIN)

    def timeraw_warm(self):
        return _TRAIN

    def timeraw_cold(self):
        """Training with an empty compile cache."""
        return _TRAIN_COLD

    timeraw_cold.repeat = 1
    timeraw_cold.rounds = 1
    timeraw_cold.warmup_time = 0
