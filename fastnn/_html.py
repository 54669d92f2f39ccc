"""Networks and histories as notebooks show them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .history import History

MOST_ROWS = 20  # of a history that are shown whole; of a longer one, half as many from each end


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], n_text: int = 0) -> str:
    """An HTML table in the notebook's own colours, light or dark; all text is escaped.

    Parameters
    ----------
    caption : str
    header : sequence of str
    rows : iterable of sequences of str
    n_text : int, default=0
        The first so many columns hold text, and are aligned to the left; the others, numbers, to the right.

    Examples
    --------
    >>> print(table("a < b", ["n"], [["1"]]))
    <table style="width:auto;color:inherit">
    <caption style="text-align:left;color:inherit">a &lt; b</caption>
    <thead><tr><th scope="col" style="text-align:right;padding:0.1em 0.6em">n</th></tr></thead>
    <tbody>
    <tr><td style="text-align:right;padding:0.1em 0.6em">1</td></tr>
    </tbody>
    </table>
    """

    def line(tag: str, cells: Sequence[str]) -> str:
        sides = ["left" if k < n_text else "right" for k in range(len(cells))]
        return "".join(
            f'<{tag} style="text-align:{side};padding:0.1em 0.6em">{html.escape(cell)}</{tag[:2]}>'
            for side, cell in zip(sides, cells, strict=True)
        )

    head = line('th scope="col"', header)
    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    title = f'<caption style="text-align:left;color:inherit">{html.escape(caption)}</caption>'
    content = f"{title}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<table style="width:auto;color:inherit">\n{content}\n</table>'


def history_table(history: History) -> str:
    """The figures of the epochs; of many, the first and the last.

    Examples
    --------
    >>> import fastnn
    >>> "no epochs" in history_table(fastnn.History("accuracy"))
    True
    """
    if len(history) == 0:
        return table("no epochs yet", [], [])
    header, *rows = zip(*history.cells(), strict=True)
    if len(rows) > MOST_ROWS:
        half = MOST_ROWS // 2
        rows = [*rows[:half], ("…",) * len(header), *rows[-half:]]
    caption = f"{len(history):,} epochs"
    if history.stop_reason != "epochs":
        caption += f", ended by: {history.stop_reason}"
    if history.best_epoch is not None:
        caption += f"; the weights of epoch {history.best_epoch:,} were restored"
    return table(caption, header, rows)
