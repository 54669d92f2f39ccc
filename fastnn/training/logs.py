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
from typing import Any

import numpy as np

from .. import _checks
from .._version import __version__
from ..history import Epoch
from .callbacks import Callback, TrainerLike

FLUSH_SECONDS = 0.5  # a flush waits for the disk: more of them would slow down small trainings
HISTOGRAM_BINS = 64


def describe(trainer: TrainerLike) -> dict[str, Any]:
    """Describe network and settings in a form that JSON can hold.

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
    """Convert a value to a form that JSON can hold; NaN and infinite numbers become None."""
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
    """A log that warns once if its file cannot be written; training then continues without it."""

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
                f"{self._what} cannot be written, training continues without it: {error}", stacklevel=2
            )


class JsonLog(_Log):
    """A callback that writes one JSON object per line, and each line immediately.

    Every line has "time" (ISO 8601, UTC) and "event": "begin" with network and settings, "epoch" with the
    figures of the history, "end" with the reason. NaN and infinite numbers become null. An existing file is
    appended to: a training that resumes from a checkpoint may repeat an epoch, and the later line counts.

    Parameters
    ----------
    path : path-like
        The file; its folder must exist.

    Raises
    ------
    FileNotFoundError
        When training starts, if the folder does not exist.

    Warns
    -----
    UserWarning
        If the file can no longer be written, as on a full disk; its lines stay intact, training continues.

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
        self.path = _checks.check_path("path", path)
        self._what = f"log {str(self.path)!r}"

    def write(self, event: str, **fields: Any) -> None:
        """Append a line.

        Parameters
        ----------
        event : str
            Name of the event.
        **fields
            Values of the event, converted by :func:`as_json`.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event} | as_json(fields), ensure_ascii=False) + "\n"
        self._attempt(lambda: self._append(line.encode()))

    def _append(self, line: bytes) -> None:
        """Append all of the line or nothing; a line cut off by a kill or a full disk is not continued."""
        with open(self.path, "a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # end a line that was cut off
                    line = b"\n" + line
            written = file.write(line)
            if written != len(line):
                file.truncate(size)
                raise OSError(f"only {written} of {len(line)} bytes could be written")

    def on_fit_begin(self, trainer: TrainerLike) -> None:
        """Write network and settings."""
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
    more metrics, and norms. The settings appear as text and as hyper-parameters. A training that resumes
    from a checkpoint replaces what the folder's earlier files hold for the same epochs.

    Parameters
    ----------
    folder : path-like
        Created if missing. TensorBoard shows each folder as a run.
    histograms : bool, default=False
        Whether to write histograms of each layer's weights and biases.
    x, y : array-like, optional
        With `histograms`: rows whose gradient is also shown, layer by layer; it takes as long as a step with
        these rows.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.

    Warns
    -----
    UserWarning
        If the files can no longer be written, as on a full disk; training continues.

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
        self.folder = _checks.check_path("folder", folder)
        self._what = f"TensorBoard's file in {str(self.folder)!r}"
        self.histograms = _checks.check_flag("histograms", histograms)
        if (x is None) != (y is None):
            raise ValueError("TensorBoard needs both x and y for gradients, or neither.")
        if x is not None and not histograms:
            raise ValueError("TensorBoard shows gradients of x and y as histograms: pass histograms=True.")
        self._rows = None if x is None else (x, y)
        self._writer: Any = None
        self._flushed = 0.0

    def on_fit_begin(self, trainer: TrainerLike) -> None:
        """Open a file, and write network and settings."""
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
        with contextlib.suppress(OSError):  # it has failed before, with a warning
            self._writer.close()
        self._writer = None

    def _begin(self, trainer: TrainerLike) -> None:
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        # tensorboardX's SummaryWriter queues events for a thread: a flush does not write queued events, and
        # after a failed write the queue fills up and training waits forever.
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
        """Return the arrays to show as histograms, by name."""
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
