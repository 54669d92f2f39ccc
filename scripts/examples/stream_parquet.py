"""Train on Parquet files without loading them: rows are decoded, encoded and learnt from in blocks.

Files of city rides are written, with durations whose noise is known. A stream of the folder is split, an
encoder is fitted on a sample, and a network trains on all rows. Its R squared is compared with the best that
the noise allows, and the memory of the process with that of all rows. The files need 1.4 GB in the temporary
folder; with --small they are too small to save memory.

    python scripts/examples/stream_parquet.py
"""

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import typer

import fastnn
from fastnn.data import TableEncoder, TableStream, Target

NOISE = 0.3


def write_rides(folder: Path, n_files: int, n_rows: int) -> tuple[float, float]:
    """Write the files, and return the variance of the target and the MiB that all rows take."""
    rng = np.random.default_rng(0)
    districts = np.array([f"district {number}" for number in range(40)])
    slowness = rng.normal(0, 0.5, 40)
    variances, size = [], 0.0
    for number in range(n_files):
        district, hour = rng.integers(0, 40, n_rows), rng.uniform(0, 24, n_rows)
        distance = rng.lognormal(1, 0.7, n_rows)
        sensors = rng.standard_normal((n_rows, 12))  # of which two matter
        minutes = 2 * np.log1p(distance) * (1 + 0.5 * np.exp(-((hour - 17) ** 2) / 4)) + slowness[district]
        minutes += 0.5 * np.maximum(sensors[:, 0], sensors[:, 1]) + rng.normal(0, NOISE, n_rows)
        frame = pd.DataFrame(sensors, columns=[f"sensor_{k}" for k in range(12)])
        frame = frame.assign(distance=distance, hour=hour, district=districts[district], minutes=minutes)
        frame.to_parquet(folder / f"rides-{number:02}.parquet", row_group_size=50_000)
        variances.append(minutes.var())
        size += frame.memory_usage(deep=True).sum() / 2**20
    return float(np.mean(variances)), size


def most_memory() -> float:
    """Return the peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(small: bool = False) -> None:
    """Write, stream, train and test."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        variance, size = write_rides(folder, *((4, 30_000) if small else (50, 200_000)))
        parts = TableStream(folder, "minutes").split(validation=0.05, test=0.1, seed=0)
        for name, part in parts._asdict().items():
            print(f"{name:10} {part.n_rows:9,} rows")

        rows, minutes = parts.train.sample(10_000 if small else 100_000)
        encoder, target = TableEncoder().fit(rows), Target("minutes", "regression").fit(minutes)
        train, validation, test = (part.encoded(encoder, target) for part in parts)

        net = fastnn.MLP([train.n_features, 64, 32, 1], "silu", embeddings=encoder.embeddings, seed=0)
        trainer = fastnn.Trainer(net, loss="mse", batch_size=128, schedule="one_cycle", seed=0)
        trainer.evaluate(encoder.transform(rows[:1000]), target.encode(minutes[:1000]))  # compiles
        before = most_memory()
        history = trainer.fit(train, epochs=2, validation_data=validation, verbose=0)
        for epoch in history.epochs:
            speed = train.n_rows / epoch.seconds
            print(f"epoch {epoch.epoch}: validation R² {epoch.val_metric:.4f}, {speed:,.0f} rows/s")
        best = 1 - NOISE**2 / variance
        print(f"test R² {trainer.evaluate(test)['r2']:.4f}; the noise allows {best:.4f} at most")
        print(f"the rows would take {size:,.0f} MiB; this process never had", end=" ")
        print(f"more than {most_memory():,.0f} MiB, and {before:,.0f} MiB before it trained")


if __name__ == "__main__":
    typer.run(main)
