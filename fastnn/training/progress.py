"""Progress of a training: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ..history import Epoch, History, format_figure

REFRESH_SECONDS = 0.1
SLOW_SECONDS = 2.0  # after which a step without a display says what it does
PLAIN_LINES = 20  # approximate limit on the lines of a run without a terminal
LIVE_ROWS = 8  # for the last epochs, or the last trials of a search
LIVE_REFRESH_SECONDS = 0.25  # a table takes longer to draw than a bar
CURVE_WIDTH = 48
CURVE_POINTS = 1000  # fewer than twice as many epochs are read, however long the training
_MORE_COLUMNS = (("lr", "lr", None), ("seconds", "seconds", None), ("samples/s", "samples_per_second", None))
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*#@"


@contextmanager
def announced(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Say on stderr what is being done within a block, if it takes longer than SLOW_SECONDS."""
    timer = threading.Timer(SLOW_SECONDS, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Silent(AbstractContextManager[Any]):
    """A display that shows nothing; the interface of all displays of a training."""

    def rows(self, done: int) -> None:
        """Report that `done` rows of the current epoch have been trained on."""

    def epoch(self, epoch: Epoch) -> None:
        """Report that an epoch has ended."""

    def __exit__(self, *exception: object) -> None:
        return None


class OnTerminal:
    """A display that is live within a block, if stderr is a terminal.

    Attributes
    ----------
    console : rich.console.Console
    shown : rich.live.Live or rich.progress.Progress
        Drawn again and again between start and stop.
    """

    console: Any
    shown: Any

    def __enter__(self) -> Any:
        if self.console.is_terminal:
            self.shown.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.console.is_terminal:  # elsewhere some versions of rich print an empty line
            self.shown.stop()


class Display(OnTerminal, Silent):
    """Show epochs on stderr through rich: a bar on a terminal, otherwise a line every few epochs.

    Parameters
    ----------
    n_epochs : int
        Number of epochs in the history at the end; those that it holds already count as done.
    n_rows : int
    history : History
    """

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
        self._epochs_done = self._epochs_before = len(history)
        self._first_end = 0.0
        self.console = Console(stderr=True)
        self.shown = self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            refresh_per_second=1 / REFRESH_SECONDS,
        )
        self._task = self._progress.add_task("", total=n_epochs, completed=len(history), figures="")

    def rows(self, done: int) -> None:
        """Move the bar within the epoch."""
        self._progress.update(self._task, completed=self._epochs_done + done / self._n_rows)

    def epoch(self, epoch: Epoch) -> None:
        """Show the epoch's figures."""
        self._epochs_done += 1
        now, n_shown = time.perf_counter(), self._epochs_done - self._epochs_before
        if n_shown == 1:  # it may include compilation, so it says nothing about the others
            self._first_end = now
        figures = self._figures(epoch)
        if self.console.is_terminal:
            self._progress.update(self._task, completed=self._epochs_done, figures=figures)
        elif n_shown % max(1, (self._n_epochs - self._epochs_before) // PLAIN_LINES) == 0:
            to_go = self._n_epochs - self._epochs_done
            pace = (now - self._first_end) / max(1, n_shown - 1) or epoch.seconds
            self.console.print(
                f"epoch {self._epochs_done}/{self._n_epochs}  {figures}  {to_go * pace:.0f} s left",
                highlight=False,
                soft_wrap=True,
            )

    def _figures(self, epoch: Epoch) -> str:
        parts = [
            f"{label} {format_figure(name, value)}"
            for label, name, value in self._named(epoch)
            if value is not None
        ]
        return "  ".join([*parts, f"{epoch.samples_per_second:,.0f} samples/s"])

    def _named(self, epoch: Epoch) -> list[tuple[str, str, float | None]]:
        """Return the figures to show for an epoch: label, name and value."""
        metric = self._history.metric_name
        named = [
            ("cost", "cost", epoch.cost),
            (metric, "metric", epoch.metric),
            ("val cost", "val_cost", epoch.val_cost),
            (f"val {metric}", "val_metric", epoch.val_metric),
        ]
        shown = {label for label, _, value in named if value is not None}
        return named + [
            (label, name, value)
            for name, value in epoch.more.items()
            if (label := name.replace("val_", "val ")) not in shown  # a further metric that is the usual one
            and not name.startswith("layers.")  # norms are too many for a line
        ]


class LiveDisplay(Display):
    """Show a long training in detail: a table of the last epochs, and curves of the cost.

    The epoch with the lowest cost, on the validation rows if there are any, is marked.
    """

    def __init__(self, n_epochs: int, n_rows: int, history: History) -> None:
        super().__init__(n_epochs, n_rows, history)
        self._best = min(history.epochs, key=_judged, default=None)
        if self.console.is_terminal:
            from rich.live import Live

            self.shown = Live(
                console=self.console,
                get_renderable=self._draw,
                refresh_per_second=1 / LIVE_REFRESH_SECONDS,
                vertical_overflow="crop",
            )

    def epoch(self, epoch: Epoch) -> None:
        """Show the epoch's figures."""
        super().epoch(epoch)
        if self._best is None or _judged(epoch) < _judged(self._best):
            self._best = epoch
        if self.console.is_terminal:  # the others are in the table
            self._progress.update(self._task, figures=f"{epoch.samples_per_second:,.0f} samples/s")

    def _draw(self) -> Any:
        """Return the renderable that the terminal shows now."""
        from rich.console import Group
        from rich.table import Table

        epochs, best = self._history.epochs, self._best
        if best is None:
            return self._progress
        shown = epochs[-max(1, min(LIVE_ROWS, self.console.height - 5)) :]
        shown = shown if shown[0].epoch <= best.epoch else [best, *shown[1:]]
        named = [*self._named(epochs[-1]), *_MORE_COLUMNS]
        columns = {"epoch": [f"{'* ' * (epoch is best)}{epoch.epoch}" for epoch in shown]}
        for label, name, _ in named:  # an earlier fit may have had other metrics
            columns[label] = [format_figure(name, getattr(e, name, e.more.get(name))) for e in shown]
        for label in ("seconds", "samples/s", "lr"):  # drop a column rather than cut off its numbers
            words = [[*label.split(), *cells] for label, cells in columns.items()]
            if sum(max(map(len, column)) + 2 for column in words) - 2 > self.console.width:
                del columns[label]
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for column in table.columns:
            column.justify = "right"
        for epoch, *cells in zip(shown, *columns.values(), strict=True):
            table.add_row(*cells, style="green" if epoch is best else "")
        curves = Table.grid(padding=(0, 1))
        is_unicode = self.console.encoding.startswith("utf")
        for label, name in {"cost": "cost", "val cost": "val_cost"}.items():
            some = epochs[:: max(1, len(epochs) // CURVE_POINTS)]
            values = [value for epoch in some if (value := epoch.figure(name)) is not None]
            if values:
                text = f"{format_figure(name, values[0])} to {format_figure(name, values[-1])}"
                curves.add_row(label, sparkline(values, CURVE_WIDTH, is_unicode), text)
        return Group(table, curves, self._progress)


def _judged(epoch: Epoch) -> float:
    """Return the cost by which epochs are compared."""
    cost = epoch.cost if epoch.val_cost is None else epoch.val_cost
    return cost if math.isfinite(cost) else math.inf


def sparkline(values: Sequence[float], width: int, is_unicode: bool = True) -> str:
    """Draw a curve in one line of text, on a logarithmic scale if all values are above 0.

    Parameters
    ----------
    values : sequence of float
        Values to draw; those that are not finite leave gaps.
    width : int
        Largest number of characters; each shows the mean of the values it covers.
    is_unicode : bool, default=True
        Whether block characters can be shown.

    Returns
    -------
    str

    Examples
    --------
    >>> sparkline([8, 4, 2, 1], 4, is_unicode=False)
    '@*-_'
    """
    blocks = _BLOCKS if is_unicode else _ASCII_BLOCKS
    n = max(1, min(width, len(values)))
    ends = [round(k * len(values) / n) for k in range(n + 1)]
    means = []
    for k in range(n):
        part = [value for value in values[ends[k] : ends[k + 1]] if math.isfinite(value)]
        means.append(sum(part) / len(part) if part else math.nan)
    finite = [mean for mean in means if math.isfinite(mean)]
    scale: Callable[[float], float] = math.log if finite and min(finite) > 0 else float
    heights = [scale(mean) for mean in finite]
    low, span = min(heights, default=0.0), max(heights, default=0.0) - min(heights, default=0.0)
    top = len(blocks) - 1
    return "".join(
        blocks[round(top * (scale(mean) - low) / span) if span else 0] if math.isfinite(mean) else " "
        for mean in means
    )


def make_display(verbose: int, n_epochs: int, n_rows: int, history: History) -> Silent:
    """Return the display of a training: 0 shows nothing, 1 a bar, 2 a live table."""
    if not verbose:
        return Silent()
    return (LiveDisplay if verbose > 1 else Display)(n_epochs, n_rows, history)
