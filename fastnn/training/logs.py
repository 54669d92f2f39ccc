"""Logs of a training, written while it runs: JSON lines, and TensorBoard's event files."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import numbers
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._version import __version__
from ..history import Epoch
from .callbacks import Callback, TrainerLike

FLUSH_SECONDS = 0.5  # a flush waits for the disk: more often would slow down trainings of tiny networks
HISTOGRAM_BINS = 64


def describe(trainer: TrainerLike) -> dict[str, Any]:
    """Describe network and settings, as JSON can hold them.

    Parameters
    ----------
    trainer : Trainer

    Returns
    -------
    dict

    Examples
    --------
    >>> import fastnn
    >>> facts = describe(fastnn.Trainer(fastnn.MLP([4, 8, 3]), loss="cross_entropy", batch_size=16))
    >>> facts["sizes"], facts["loss"], facts["batch_size"]
    ([4, 8, 3], "Loss('cross_entropy')", 16)
    """
    net = trainer.net
    facts = {
        "sizes": list(net.sizes),
        "activations": [activation.name for activation in net.activations],
        "output": net.output,
        "parameters": net.n_params,
        "dtype": net.dtype.name,
        "dropout": list(net.dropout),
        "norm": list(net.norm),
        "lr": trainer.lr,
    }
    return facts | trainer.settings.describe()


def as_json(value: Any) -> Any:
    """The value as JSON can hold it: numbers that are NaN or infinite become None."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(item) for item in value]
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)


class _Log(Callback):
    """A log whose file may fail: then it says so, once, and training goes on without it."""

    _what = "log"
    _has_failed = False

    def _attempt(self, action: Callable[[], Any]) -> None:
        if self._has_failed:
            return
        try:
            action()
        except OSError as error:
            self._has_failed = True
            warnings.warn(
                f"{self._what} cannot be written, training goes on without it: {error}", stacklevel=2
            )


class JsonLog(_Log):
    """A callback that writes one JSON object a line, and each line at once.

    Every line has "time" (ISO 8601, UTC) and "event": "begin" with what is trained and how, "epoch" with the
    figures of the history, "end" with the reason. What is NaN or infinite is null. A file that is there is
    appended to: a training that goes on from a checkpoint may tell an epoch again, and the later line holds.

    Parameters
    ----------
    path : path-like
        Its folder must be there.

    Raises
    ------
    FileNotFoundError
        When training starts, if there is no such folder.

    Warns
    -----
    UserWarning
        If the file cannot be written any more, as on a full disk; its lines stay whole, and training goes on.

    Examples
    --------
    >>> import json, tempfile, numpy as np, fastnn
    >>> trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = JsonLog(f"{folder}/log.jsonl")
    ...     history = trainer.fit(np.eye(2), [0, 1], epochs=2, callbacks=log, verbose=0)
    ...     lines = [json.loads(line) for line in open(f"{folder}/log.jsonl")]
    >>> [line["event"] for line in lines]
    ['begin', 'epoch', 'epoch', 'end']
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._what = f"log {str(self.path)!r}"

    def write(self, event: str, **fields: Any) -> None:
        """Append a line.

        Parameters
        ----------
        event : str
            What has happened.
        **fields
            What belongs to it; turned into what JSON can hold.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event} | as_json(fields), ensure_ascii=False) + "\n"
        self._attempt(lambda: self._append(line.encode()))

    def _append(self, line: bytes) -> None:
        """All of the line or nothing: what a kill or a full disk has cut off is not gone on with."""
        with open(self.path, "a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # a line that was cut off: it ends here
                    line = b"\n" + line
            written = file.write(line)
            if written != len(line):
                file.truncate(size)
                raise OSError(f"only {written} of {len(line)} bytes could be written")

    def on_fit_begin(self, trainer: TrainerLike) -> None:
        """Write what is trained and how."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.path.parent)!r} for the log.")
        history = trainer.history
        facts = {"metric": history.metric_name, "rows": trainer.n_rows, "epochs_done": len(history)}
        self.write("begin", fastnn=__version__, **facts, **describe(trainer))

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:
        """Write the figures of an epoch."""
        figures = epoch._asdict()
        self.write("epoch", **figures.pop("more"), **figures)

    def on_fit_end(self, trainer: TrainerLike) -> None:
        """Write why training has ended."""
        if self.path.parent.is_dir():
            history = trainer.history
            ending = {"stop_reason": history.stop_reason, "best_epoch": history.best_epoch}
            self.write("end", epochs=len(history), **ending)


_serial = itertools.count()


class TensorBoard(_Log):
    """A callback that writes event files for TensorBoard, through tensorboardX.

    Scalars of every epoch: "cost", the metric by its name, "val_cost" and so on, "lr", "samples_per_second",
    more metrics, and norms. The settings are there as a text and as hyper-parameters. A training that goes on
    from a checkpoint takes the place of what the folder's earlier files tell of the same epochs.

    Parameters
    ----------
    folder : path-like
        Made if there is none. TensorBoard shows each folder as a run.
    histograms : bool, default=False
        Whether to write histograms of each layer's weights and biases.
    x, y : array-like, optional
        With `histograms`: some rows whose gradient is shown as well, layer by layer; it takes as long as a
        step with so many rows.

    Raises
    ------
    ImportError
        Where tensorboardX is not installed.

    Warns
    -----
    UserWarning
        If the files cannot be written any more, as on a full disk; training goes on.

    Examples
    --------
    >>> import os, tempfile, numpy as np, fastnn
    >>> trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = trainer.fit(np.eye(2), [0, 1], epochs=2, callbacks=TensorBoard(folder), verbose=0)
    ...     [file.startswith("events.out.tfevents") for file in os.listdir(folder)]
    [True]
    """

    def __init__(
        self, folder: str | os.PathLike[str], histograms: bool = False, x: Any = None, y: Any = None
    ) -> None:
        _checks.require("tensorboardX", "tensorboard")
        self.folder = Path(folder)
        self._what = f"TensorBoard's file in {str(self.folder)!r}"
        if (x is None) != (y is None):
            raise ValueError("TensorBoard needs both x and y for gradients, or neither.")
        if x is not None and not histograms:
            raise ValueError("TensorBoard shows gradients of x and y as histograms: pass histograms=True.")
        self.histograms, self._rows = bool(histograms), None if x is None else (x, y)
        self._writer: Any = None
        self._flushed = 0.0

    def on_fit_begin(self, trainer: TrainerLike) -> None:
        """Open a file, and write what is trained and how."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._has_failed = False
        self._attempt(lambda: self._begin(trainer))

    def on_epoch_end(self, trainer: TrainerLike, epoch: Epoch) -> None:
        """Write the figures of an epoch."""
        self._attempt(lambda: self._epoch(trainer, epoch))

    def on_fit_end(self, trainer: TrainerLike) -> None:
        """Close the file."""
        if self._writer is None:
            return
        self._attempt(lambda: self._write(self._session_end, len(trainer.history)))
        self._attempt(self._writer.flush)
        with contextlib.suppress(OSError):  # then it has failed before, and that was told
            self._writer.close()
        self._writer = None

    def _begin(self, trainer: TrainerLike) -> None:
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        # Its SummaryWriter queues events for a thread: what is queued when a flush comes is not flushed,
        # and where a write fails, the queue fills up and training waits forever.
        prefix, suffix = str(self.folder / "events"), f".{os.getpid()}.{next(_serial)}"
        self._writer = event_file_writer.EventsWriter(prefix, suffix)
        done = len(trainer.history)
        if done:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._writer.write_event(event_pb2.Event(wall_time=time.time(), step=done + 1, session_log=start))
        facts = {name: value for name, value in describe(trainer).items() if value is not None}
        text = "\n".join(["|setting|value|", "|-|-|", *(f"|{name}|{facts[name]}|" for name in facts)])
        self._write(summary.text("settings", text), done)
        plain = {
            name: value if isinstance(value, (bool, int, float)) else str(value)
            for name, value in facts.items()
        }
        names = {trainer.history.metric_name: 0.0, "cost": 0.0}
        experiment, session, self._session_end = summary.hparams(plain, names)
        self._write(experiment, done)
        self._write(session, done)
        self._writer.flush()

    def _epoch(self, trainer: TrainerLike, epoch: Epoch) -> None:
        from tensorboardX import summary

        metric = trainer.history.metric_name
        figures = epoch._asdict()
        figures |= figures.pop("more")
        names = {"metric": metric, "val_metric": f"val_{metric}"}
        for name, value in figures.items():
            if value is not None and name not in ("epoch", "seconds"):
                self._write(summary.scalar(names.get(name, name), float(value)), epoch.epoch)
        if self.histograms:
            for name, values in self._distributions(trainer).items():
                self._write(summary.histogram(name, values.ravel(), HISTOGRAM_BINS), epoch.epoch)
        now = time.monotonic()
        if now - self._flushed >= FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = now

    def _distributions(self, trainer: TrainerLike) -> dict[str, np.ndarray]:
        """What histograms are made of, by name."""
        kinds = {"weights": trainer.net.weights, "biases": trainer.net.biases}
        if self._rows is not None:
            _, kinds["weight_gradients"], kinds["bias_gradients"] = trainer.gradient(*self._rows)
        return {
            f"{kind}/layer_{depth}": array
            for kind, arrays in kinds.items()
            for depth, array in enumerate(arrays)
        }

    def _write(self, summary: Any, step: int) -> None:
        from tensorboardX.proto import event_pb2

        self._writer.write_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))
