"""The table of a network: its figures, counted anew."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn._memory import size_text

SIZES = (6, 9, 9, 9, 4)
NETWORKS = {
    "plain": {},
    "batch norm": {"norm": "batch"},
    "layer norm": {"norm": [None, "layer", None]},
    "prelu": {"activation": ["tanh", "prelu", "prelu"]},
    "own": {"activation": [abs, "gelu", "elu"]},
    "dropout": {"dropout": [0.5, 0.0, 0.125], "input_dropout": 0.1},
    "residual": {"residual": True},
    "output": {"output": "softmax"},
    "embeddings": {"embeddings": {5: (1000, 3), 1: (7, 1)}, "dtype": "float64"},
    # of which some rows take two lines
    "all": {
        "activation": ["prelu", "leaky_relu", "sigmoid"],
        "norm": ["batch", "layer", None],
        "dropout": [0.1234567, 0.25, 0.0],
        "residual": [True, True, False],
        "embeddings": {0: (50_000, 4)},
        "output": "softmax",
        "dtype": "float64",
    },
}
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
LINE = re.compile(
    r"(?P<name>feature \d+|\d+|all) +(?P<shape>\d+ → \d+)? +(?:(?P<then>\S.*?) {2,})?"
    r"(?P<count>[\d,]+) +(?P<memory>[\d.]+) (?P<unit>[KMG]?i?B) +(?P<flops>[\d,]+)"
)


def own(z):
    return abs(z)


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def net(request):
    options = dict(request.param)
    if "activation" in options:
        options["activation"] = [own if name is abs else name for name in options["activation"]]
    return fastnn.MLP(SIZES, **options, seed=0)


def rows_of(net):
    """Rows of the table by their name: the match of each, `then` with what a second line has of it."""
    rows, last = {}, None
    for line in net.summary().splitlines()[2:-2]:
        match = LINE.fullmatch(line)
        if match is None:
            rows[last]["then"] += " " + line.strip()
            continue
        last = match["name"]
        assert last not in rows
        rows[last] = match.groupdict()
    return rows


def number(text):
    return int(text.replace(",", ""))


def test_names_and_shapes(net):
    rows = rows_of(net)
    tables = [f"feature {column}" for column in net.embeddings]
    layers = [str(depth) for depth in range(len(SIZES) - 1)]
    assert list(rows) == [*tables, *layers, "all"]
    p = net.parameters()
    for name, row in rows.items():
        if name != "all":
            kind, _, place = name.rpartition(" ")
            shape = p[f"{'embeddings' if kind else 'layers'}.{place}.weight"].shape
            assert row["shape"] == f"{shape[0]} → {shape[1]}"
    assert rows["all"]["shape"] is None
    n_more = sum(width - 1 for _, width in net.embeddings.values())
    pairs = pairwise((SIZES[0] + n_more, *SIZES[1:]))
    assert [rows[name]["shape"] for name in layers] == [f"{n} → {m}" for n, m in pairs]


def test_parameters_add_up(net):
    rows = rows_of(net)
    for name, row in rows.items():
        prefix = {"all": ""}.get(name, f"layers.{name}.").replace("layers.feature ", "embeddings.")
        sizes = [
            array.size
            for key, array in net.parameters().items()
            if key.startswith(prefix) and "running" not in key
        ]
        assert number(row["count"]) == sum(sizes)
        n = sum(sizes) * net.dtype.itemsize
        # Written with one decimal.
        shown = float(row["memory"]) * UNITS[row["unit"]]
        assert abs(shown - n) <= (0 if row["unit"] == "B" else 0.051 * UNITS[row["unit"]])
    assert number(rows["all"]["count"]) == net.n_params
    assert net.n_params == sum(number(row["count"]) for name, row in rows.items() if name != "all")


def test_flops(net):
    rows = rows_of(net)
    for depth, w in enumerate(net.weights):
        assert number(rows[str(depth)]["flops"]) == 2 * w.size
    for column in net.embeddings:
        assert rows[f"feature {column}"]["flops"] == "0"
    n_flops = 2 * sum(w.size for w in net.weights)
    assert number(rows["all"]["flops"]) == n_flops
    assert f"a step about {3 * n_flops:,} FLOPs per row." in net.summary()


def test_what_follows(net):
    rows = rows_of(net)
    for depth, activation in enumerate(net.activations):
        parts = rows[str(depth)]["then"].split(", ")
        assert activation.name in parts
        kind = net.norm[depth]
        assert parts[: parts.index(activation.name)] == ([f"{kind} norm"] if kind else [])
        rate = net.dropout[depth]
        assert [part for part in parts if "dropout" in part] == ([f"dropout {rate:g}"] if rate else [])
        assert ("+ input" in parts) == net.residual[depth]
    assert rows["3"]["then"] == (net.output or "chosen by the loss")
    assert all(rows[f"feature {column}"]["then"] is None for column in net.embeddings)


def test_memory_of_a_training(net):
    work = net.compiled_network.layout.workspace(1, 1)
    n = work.activations.nbytes + work.deltas.nbytes + work.saved.nbytes
    total = net.n_params * net.dtype.itemsize
    expected = (
        f"takes about 5 times the {size_text(total)} of the parameters, and\n"
        f"{size_text(n)} per row of the batch;"
    )
    assert expected in net.summary()


def test_lines_are_not_too_long(net):
    assert max(map(len, net.summary().splitlines())) <= 100


def test_text_is_the_same_everywhere(monkeypatch):
    """In a notebook, where colours are asked for, and in a narrow terminal."""
    import rich.console

    net = fastnn.MLP(SIZES, embeddings={1: (7, 2)}, seed=0)
    ref = net.summary()
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    assert net.summary() == ref
    assert np.all([line == line.rstrip() for line in ref.splitlines()])
