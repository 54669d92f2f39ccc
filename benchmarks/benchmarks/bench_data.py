"""Raw rows into vectors, and training from files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import fastnn
from fastnn.data import ArrayStream, TableEncoder, TextEncoder

N_ROWS = 100_000


class Table:
    """A table of numbers with gaps, categories and dates."""

    def setup(self):
        """Make the table and fit its encoder."""
        import pandas

        rng = np.random.default_rng(0)
        numbers = rng.standard_normal((N_ROWS, 4))
        numbers[rng.random(numbers.shape) < 0.05] = np.nan
        self.frame = pandas.DataFrame(numbers, columns=list("abcd"))
        self.frame["colour"] = rng.choice(["red", "green", "blue"], N_ROWS)
        self.frame["shop"] = [f"shop {k}" for k in rng.integers(0, 500, N_ROWS)]
        self.frame["day"] = pandas.Timestamp("2024-01-01") + pandas.to_timedelta(
            rng.integers(0, 10**7, N_ROWS), "s"
        )
        self.encoder = TableEncoder().fit(self.frame)

    def time_fit(self):
        """Learn what the columns are."""
        TableEncoder().fit(self.frame)

    def time_transform(self):
        """Encode 100,000 rows."""
        self.encoder.transform(self.frame)


class Text:
    """Documents of words drawn as Zipf has it."""

    def setup(self):
        """Make the documents and fit their encoder."""
        rng = np.random.default_rng(0)
        words = np.minimum(rng.zipf(1.3, (5000, 60)), 50_000)
        self.texts = [" ".join(f"w{k}" for k in row) for row in words]
        self.encoder = TextEncoder().fit(self.texts)

    def time_transform(self):
        """Encode 5,000 documents."""
        self.encoder.transform(self.texts)


class Stream:
    """An epoch from a file beside one from memory."""

    params = (["file", "memory"],)
    param_names = ("rows",)

    def setup(self, rows):
        """Write the file, and train once."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((N_ROWS, 100), dtype=np.float32)
        y = (x[:, 0] > 0).astype(np.int32)
        self.folder = tempfile.TemporaryDirectory()
        self.data = x, y
        if rows == "file":
            path = Path(self.folder.name, "x.npy")
            np.save(path, x)
            self.data = (ArrayStream(path, y),)
        net = fastnn.MLP([100, 128, 2], seed=0)
        self.trainer = fastnn.Trainer(net, loss="cross_entropy", batch_size=256, seed=0)
        self.trainer.fit(*self.data, epochs=1, verbose=0)

    def teardown(self, rows):
        """Remove the file."""
        self.folder.cleanup()

    def time_epoch(self, rows):
        """Train for an epoch."""
        self.trainer.fit(*self.data, epochs=1, verbose=0)
