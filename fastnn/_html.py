"""HTML tables for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], n_text: int = 0) -> str:
    """Return an HTML table in the notebook's own colours, light or dark, with all text escaped.

    Parameters
    ----------
    caption : str
    header : sequence of str
    rows : iterable of sequences of str
    n_text : int, default=0
        Number of leading columns that hold text, which is aligned left; numbers are aligned right.

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
