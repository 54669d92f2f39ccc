"""HTML tables, and the notebook views of networks and estimators."""

from html.parser import HTMLParser

import numpy as np
import pytest

import fastnn
from fastnn._html import table
from fastnn.history import Epoch


class Cells(HTMLParser):
    """Rows of text of a table; elements must close in order."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.caption = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.caption += data


def test_text_is_escaped():
    cells = Cells(table("<b>", ["a & b"], [["<script>"]]))
    assert cells.caption == "<b>"
    assert cells.rows == [["a & b"], ["<script>"]]
    assert "<script>" not in table("", ["x"], [["<script>"]])


def test_no_colours_of_its_own():
    """So that it is as readable in a dark notebook."""
    history = fastnn.History("accuracy")
    history.epochs.append(Epoch(1, 0.5, 0.75, None, None, 0.1, 1000.0))
    for shown in (history, fastnn.MLP([2, 3, 1], seed=0)):
        assert "background" not in shown._repr_html_()
        assert "#" not in shown._repr_html_()
        assert "color:inherit" in shown._repr_html_()  # else a page without a doctype makes it black


def test_a_network_is_shown_as_its_summary():
    net = fastnn.MLP([4, 8, 8, 3], "gelu", norm="layer", embeddings={1: (5, 2)}, residual=True, seed=0)
    rows = Cells(net._repr_html_()).rows
    words = " ".join(" ".join(row) for row in rows).split()
    # The summary's lines but for the rule and the two on training.
    lines = [line for line in net.summary().splitlines() if "─" not in line][:-2]
    assert words == " ".join(lines).split()
    assert rows[-1][3] == f"{net.n_params:,}"


def test_estimators_are_shown_by_scikit_learn(rng):
    clone = pytest.importorskip("sklearn.base").clone
    x = rng.standard_normal((20, 3))
    model = fastnn.MLPRegressor(max_iter=2, hidden_layer_sizes=(4,), random_state=0)
    with pytest.warns(UserWarning, match="not converged"):
        fitted = clone(model).fit(x, np.arange(20.0))
    for shown in (model, fitted):
        assert "MLPRegressor" in shown._repr_html_()
        assert "hidden_layer_sizes" in shown._repr_html_()
