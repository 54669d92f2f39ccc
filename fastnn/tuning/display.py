"""Progress of a search: a live table of its trials on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager
from typing import Any

from ..history import format_figure
from ..training.progress import LIVE_REFRESH_SECONDS, LIVE_ROWS, OnTerminal

SETTINGS_START = 48  # width of the columns before the settings


class SilentSearch(AbstractContextManager[Any]):
    """The interface of a display of a search; it shows nothing."""

    def trial(self, trial: Any, chosen: dict[str, Any], before: bool = False) -> None:
        """Note that a :class:`fastnn.tuning.Trial` with these settings has ended, or had before this call."""

    def __exit__(self, *exception: object) -> None:
        return None


class SearchDisplay(OnTerminal, SilentSearch):
    """Show the trials of a search through rich, on stderr: a live table, else a line for each.

    Parameters
    ----------
    n_trials : int
    stop_at : float
        Time by ``time.monotonic`` after which no trial starts.
    """

    def __init__(self, n_trials: int, stop_at: float) -> None:
        from rich.console import Console
        from rich.live import Live

        self._n_trials, self._stop_at = n_trials, stop_at
        self._start = time.monotonic()
        self._trials: list[Any] = []
        self._chosen: list[dict[str, Any]] = []
        self._n_before = 0
        self.console = Console(stderr=True)
        self.shown = Live(
            console=self.console,
            get_renderable=self._draw,
            refresh_per_second=1 / LIVE_REFRESH_SECONDS,
            vertical_overflow="crop",
        )

    def trial(self, trial: Any, chosen: dict[str, Any], before: bool = False) -> None:
        """Show a trial that has ended."""
        self._trials.append(trial)
        self._chosen.append(chosen)
        self._n_before += before
        if self.console.is_terminal or before:
            return
        mark = "  best so far" if self._best() is trial else ""
        self.console.print(
            f"trial {len(self._trials)}/{self._n_trials}  score {format_figure('score', trial.score)}  "
            f"{trial.ending}  {_short(chosen)}  {self._left()}{mark}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def _best(self) -> Any:
        whole = [trial for trial in self._trials if trial.ending != "pruned"]
        return min(whole, key=lambda trial: trial.score, default=None)

    def _left(self) -> str:
        """Return the time left, at the pace until now."""
        now, done = time.monotonic(), len(self._trials) - self._n_before
        if not done:
            return f"{_clock(self._stop_at - now)} left" if math.isfinite(self._stop_at) else ""
        pace = (now - self._start) / done
        left = min((self._n_trials - len(self._trials)) * pace, self._stop_at - now)
        return f"{_clock(left)} left"

    def _draw(self) -> Any:
        """Return what the terminal is to show now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        trials = list(zip(self._trials, self._chosen, strict=False))
        best = self._best()
        table = Table("trial", "score", "ending", "epochs", "seconds", "settings", box=None, pad_edge=False)
        for column in table.columns:
            column.justify = "left" if column.header in ("ending", "settings") else "right"
        shown = trials[-max(1, min(LIVE_ROWS, self.console.height - 5)) :]
        if best is not None and all(trial is not best for trial, _ in shown):
            shown = [pair for pair in trials if pair[0] is best] + shown[1:]
        for trial, chosen in shown:
            cells = [format_figure("score", trial.score), trial.ending, str(trial.epochs)]
            settings = _short(chosen)
            if len(settings) > (width := max(10, self.console.width - SETTINGS_START)):
                settings = settings[: width - 3] + "..."  # those of the best follow in full
            cells += [format_figure("seconds", trial.seconds), settings]
            is_best = trial is best
            style = "green" if is_best else "dim" if trial.ending in ("pruned", "diverged") else ""
            table.add_row(f"{'* ' if is_best else ''}{trial.number}", *cells, style=style)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            "trial",
            f"{len(trials)}/{self._n_trials}",
            ProgressBar(total=self._n_trials, completed=len(trials), width=20),
            "" if best is None else f"best {format_figure('score', best.score)}",
            self._left(),
        )
        return Group(table, *self._best_settings(), bar) if trials else bar

    def _best_settings(self) -> list[Any]:
        from rich.text import Text

        best = self._best()
        chosen = [chosen for trial, chosen in zip(self._trials, self._chosen, strict=False) if trial is best]
        return [Text(f"best: {_short(settings)}", "green") for settings in chosen]


def _short(settings: dict[str, Any]) -> str:
    """Write settings in one line."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={str(value).lower()}"
        for name, value in settings.items()
    )


def _clock(seconds: float) -> str:
    """Write minutes and seconds, and hours where there are any."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def make_search_display(verbose: int, n_trials: int, stop_at: float) -> SilentSearch:
    """Return the display of a search: 0 shows nothing."""
    return SearchDisplay(n_trials, stop_at) if verbose else SilentSearch()
