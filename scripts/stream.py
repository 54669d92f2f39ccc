"""Train on data larger than memory, and compare speed and memory with data in memory.

The first table is for generated rows: classes around centres, written to a `.npy` file that is removed at the
end. The same network trains, in turn, on a part of them in memory and on all of them from the file, while the
memory of the process is measured. The second, with `--flights`, is for a Parquet file of flights (npm's vega-
datasets has one of 3 million): will a flight be more than 15 minutes late? Its rows are decoded and encoded
while they are read, then read as stored by `store`, then held in memory.
"""

from __future__ import annotations

import contextlib
import json
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import fastnn
from fastnn.app.machine import describe
from fastnn.data import ArrayStream, TableStream

MIB = 2**20
N_CLASSES = 10


class Memory:
    """Context that measures the memory of this process in MiB: at its start, and at its peak."""

    def __enter__(self) -> Memory:
        self.start = self.most = self._now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> float:
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:  # not Linux: the peak since the process began
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return pages * resource.getpagesize() / MIB


def write_classes(path: Path, n_rows: int, n_features: int) -> np.ndarray:
    """Write rows around the centres of their classes, part by part, and return their classes."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_CLASSES, n_features), dtype=np.float32)
    noise = 4 * rng.standard_normal((8192, n_features), dtype=np.float32)
    y = rng.integers(0, N_CLASSES, n_rows).astype(np.int32)
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_features)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_rows, len(noise)):
            part = y[start : start + len(noise)]
            file.write((centres[part] + np.roll(noise, int(rng.integers(len(noise))), 0)[: len(part)]).data)
    return y


def make_trainer(sizes: list[int], batch: int, threads: int | None, **options: Any) -> fastnn.Trainer:
    """Return a trainer of a new network, the same at every call."""
    loss = "cross_entropy" if sizes[-1] > 1 else "binary_cross_entropy"
    net = fastnn.MLP(sizes, seed=0, **options)
    return fastnn.Trainer(net, loss=loss, batch_size=batch, seed=0, n_threads=threads)


def rows_per_second(trainer: fastnn.Trainer, *data: Any, epochs: int = 1) -> float:
    """Return the speed of a number of further epochs."""
    done = len(trainer.history)
    trainer.fit(*data, epochs=epochs, verbose=0)
    epochs_run = trainer.history.epochs[done:]
    return trainer.n_rows * len(epochs_run) / sum(epoch.seconds for epoch in epochs_run)


def generated(
    folder: Path, gigabytes: float, sizes: list[int], batch: int, threads: int | None, rounds: int
) -> dict[str, Any]:
    """Return speed and memory of training from a file written for the purpose."""
    n_rows = int(gigabytes * 1e9 / (4 * sizes[0]))
    path = folder / "x.npy"
    start = time.perf_counter()
    y = write_classes(path, n_rows, sizes[0])
    write_seconds = time.perf_counter() - start
    stream = ArrayStream(path, y)
    # A tenth of it, or a gigabyte, in memory: enough rows that the CPU caches do not matter.
    x_part, y_part = stream.load(max(1, min(n_rows // 10, int(1e9 / (4 * sizes[0])))))
    in_memory, streaming = make_trainer(sizes, batch, threads), make_trainer(sizes, batch, threads)
    for trainer in (in_memory, streaming):  # to compile, and to find the number of threads
        trainer.fit(x_part, y_part, epochs=1, verbose=0)
    repeats = max(1, -(-n_rows // (rounds * len(x_part))))
    speeds: dict[str, list[float]] = {"memory": [], "stream": []}
    with Memory() as memory:
        for _ in range(rounds):
            speeds["memory"].append(rows_per_second(in_memory, x_part, y_part, epochs=min(repeats, 3)))
            speeds["stream"].append(rows_per_second(streaming, stream))
    return {
        "data": "generated",
        "rows": n_rows,
        "file_bytes": path.stat().st_size,
        "write_seconds": write_seconds,
        "sizes": sizes,
        "block_rows": stream.block_rows,
        "rows_per_second": {name: float(np.median(values)) for name, values in speeds.items()},
        "share_of_memory": float(np.median(np.divide(speeds["stream"], speeds["memory"]))),
        "mib_before": memory.start,
        "mib_more": memory.most - memory.start,
        "accuracy": streaming.evaluate(x_part, y_part)["accuracy"],
    }


class Late:
    """Target of a flight: 1 if it is more than a quarter of an hour late."""

    def encode(self, delay: np.ndarray) -> np.ndarray:
        """Encode minutes as 0 and 1."""
        return (delay > 15).astype(np.int32)


def flights(
    path: Path, folder: Path, hidden: list[int], batch: int, threads: int | None, epochs: int
) -> list[dict[str, Any]]:
    """Return speed, memory and accuracy of training on flights from Parquet, stored arrays and memory."""
    from fastnn.data import TableEncoder

    with Memory() as looking:
        parts = TableStream(path, "delay").split(validation=0.05, test=0.1)
        encoder = TableEncoder().fit(parts.train.sample(100_000)[0])
        train, validation, test = (part.encoded(encoder, Late()) for part in parts)
        held_out = validation.load(50_000)
    counts = test.count_labels()
    sizes = [train.n_features, *hidden, 1]
    options = {"embeddings": encoder.embeddings}
    rng = np.random.default_rng(0)  # compile before timing
    some = rng.permutation(len(held_out[0]))[:5000]
    make_trainer(sizes, batch, threads, **options).fit(
        held_out[0][some], held_out[1][some], epochs=2, verbose=0
    )
    results = []
    for name in ("Parquet", "stored", "memory"):
        trainer = make_trainer(sizes, batch, threads, **options)
        start = time.perf_counter()
        with Memory() as memory:
            rows: tuple[Any, ...] = (train,)
            if name == "stored":
                rows = (train.store(folder / "stored"),)
            elif name == "memory":
                rows = train.load()
            ready = time.perf_counter()
            trainer.fit(*rows, epochs=epochs, validation_data=held_out, verbose=0)
        seconds = time.perf_counter()
        results.append(
            {
                "data": name,
                "rows": train.n_rows,
                "sizes": sizes,
                "first_seconds": ready - start,
                "fit_seconds": seconds - ready,
                "rows_per_second": epochs * train.n_rows / sum(e.seconds for e in trainer.history.epochs),
                "mib_before": memory.start,
                "mib_more": memory.most - memory.start,
                "validation": trainer.history.to_dict()["val_metric"],
                "test": trainer.evaluate(test),
                "always_on_time": float(counts[0] / counts.sum()),
                "mib_to_look": looking.most - looking.start,
            }
        )
    return results


def show_generated(result: dict[str, Any]) -> Table:
    """Return one line of figures."""
    table = Table(title=f"{result['file_bytes'] / 1e9:.1f} GB of generated rows, {_name(result)}")
    for heading in (
        "rows",
        "from the file, rows/s",
        "in memory",
        "share",
        "MiB before",
        "most more",
        "accuracy",
    ):
        table.add_column(heading, justify="right")
    speeds = result["rows_per_second"]
    table.add_row(
        f"{result['rows']:,}",
        f"{speeds['stream']:,.0f}",
        f"{speeds['memory']:,.0f}",
        f"{result['share_of_memory']:.1%}",
        f"{result['mib_before']:,.0f}",
        f"{result['mib_more']:,.0f}",
        f"{result['accuracy']:.3f}",
    )
    return table


def show_flights(results: list[dict[str, Any]]) -> Table:
    """Return a table with a line for each way of reading."""
    first = results[0]
    table = Table(
        title=f"{first['rows']:,} flights to train on, {_name(first)}",
        caption=f"Of the test flights {first['always_on_time']:.4f} are not late.",
    )
    for heading in ("from", "s before", "s of fit", "rows/s", "most more MiB", "test accuracy", "test cost"):
        table.add_column(heading, justify="left" if heading == "from" else "right")
    for result in results:
        table.add_row(
            result["data"],
            f"{result['first_seconds']:.1f}",
            f"{result['fit_seconds']:.1f}",
            f"{result['rows_per_second']:,.0f}",
            f"{result['mib_more']:,.0f}",
            f"{result['test']['accuracy']:.4f}",
            f"{result['test']['cost']:.4f}",
        )
    return table


def _name(result: dict[str, Any]) -> str:
    return "-".join(map(str, result["sizes"]))


@contextlib.contextmanager
def temporary(folder: Path | None) -> Iterator[Path]:
    """Context of a folder that is removed with its contents."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        yield Path(made)


def main(
    gigabytes: Annotated[float, typer.Option(min=0.0, help="Size of the generated set; 0 for none.")] = 20.0,
    flights_path: Annotated[Path | None, typer.Option("--flights", help="Parquet file of flights.")] = None,
    sizes: Annotated[str, typer.Option(help="Widths for the generated set.")] = "784-256-128-10",
    hidden: Annotated[str, typer.Option(help="Hidden widths for the flights.")] = "256-128",
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 128,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs over the flights.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Epochs over the generated set.")] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; all usable cores by default.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder with room for the files.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Train on data larger than memory, and compare speed and memory with data in memory."""
    console = Console()
    if not console.is_terminal:
        console.width = 140  # not limited by a terminal
    report: dict[str, Any] = {"machine": describe()}
    with temporary(folder) as made:
        if gigabytes > 0:
            widths = [int(n) for n in sizes.split("-")]
            report["generated"] = generated(made, gigabytes, widths, batch, threads, rounds)
            console.print(show_generated(report["generated"]))
            (made / "x.npy").unlink()
        if flights_path is not None:
            widths = [int(n) for n in hidden.split("-")]
            report["flights"] = flights(flights_path, made, widths, batch, threads, epochs)
            console.print(show_flights(report["flights"]))
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
