"""Progress of a training run: one updating line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from .history import Epoch, History, format_figure

REFRESH_SECONDS = 0.1
PLAIN_LINES = 20  # at most about this many lines of a run where there is no terminal


class Silent(AbstractContextManager):
    """The interface of a progress display, showing nothing."""

    def rows(self, done: int) -> None:
        """`done` rows of the current epoch have been trained on."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""

    def __exit__(self, *exception) -> None:
        return None


class Display(Silent):
    """Shows epochs through rich, on stderr: a bar on a terminal, else a line every so many epochs."""

    def __init__(self, n_epochs: int, n_rows: int, history: History) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._n_epochs, self._n_rows, self._history = n_epochs, n_rows, history
        self._epochs_done = 0
        self._first_end = 0.0
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            refresh_per_second=1 / REFRESH_SECONDS,
        )
        self._task = self._progress.add_task("", total=n_epochs, figures="")

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        if self._console.is_terminal:  # some versions of rich print an empty line else
            self._progress.stop()

    def rows(self, done: int) -> None:
        """Move the bar within the epoch."""
        self._progress.update(self._task, completed=self._epochs_done + done / self._n_rows)

    def epoch(self, epoch: Epoch) -> None:
        """Show the epoch's figures."""
        self._epochs_done += 1
        now = time.perf_counter()
        if self._epochs_done == 1:  # which may have compiled: no measure of the others
            self._first_end = now
        figures = self._figures(epoch)
        if self._console.is_terminal:
            self._progress.update(self._task, completed=self._epochs_done, figures=figures)
        elif self._epochs_done % max(1, self._n_epochs // PLAIN_LINES) == 0:
            to_go = self._n_epochs - self._epochs_done
            pace = (now - self._first_end) / max(1, self._epochs_done - 1) or epoch.seconds
            self._console.print(
                f"epoch {self._epochs_done}/{self._n_epochs}  {figures}  {to_go * pace:.0f} s left",
                highlight=False,
                soft_wrap=True,
            )

    def _figures(self, epoch: Epoch) -> str:
        metric = self._history.metric_name
        named = [
            ("cost", "cost", epoch.cost),
            (metric, "metric", epoch.metric),
            ("val cost", "val_cost", epoch.val_cost),
            (f"val {metric}", "val_metric", epoch.val_metric),
        ]
        named += [
            (name.replace("val_", "val "), name, value)
            for name, value in epoch.more.items()
            if not name.startswith("layers.")  # norms are for the table
        ]
        parts = [f"{label} {format_figure(name, value)}" for label, name, value in named if value is not None]
        return "  ".join([*parts, f"{epoch.samples_per_second:,.0f} samples/s"])
