"""Sentences and tables of the command line."""

import io
from types import SimpleNamespace

import pytest

import fastnn
from fastnn.app import words


def printed(table):
    from rich.console import Console

    screen = io.StringIO()
    Console(file=screen, width=80).print(table)
    return [line.split() for line in screen.getvalue().splitlines()]


def test_results_and_remarks_are_apart(capsys):
    words.print_status("a remark")
    words.print_content("a result")
    words.print_content("a table", stderr=True)
    assert capsys.readouterr() == ("a result\n", "a remark\na table\n")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left", "out.csv"), "'out.csv' cannot be read or written: No space left."),
        (OSError(5, "Input/output error"), "Input/output error."),
        (ValueError("two\n  lines"), "two lines"),
    ],
)
def test_errors_are_one_line(error, sentence):
    assert words.error_sentence(error) == sentence


def test_what_is_about_to_be_trained():
    trainer = fastnn.Trainer(fastnn.MLP([3, 4, 1]), loss="mse")
    prepared = SimpleNamespace(
        dataset=SimpleNamespace(name="houses"),
        train=SimpleNamespace(n=1200),
        validation=None,
        test=SimpleNamespace(n=30),
    )
    sentence = "houses: 1,200 rows to train on, 30 to test on; network 3-4-1 (21 parameters), mse"
    assert words.plan_sentence(prepared, trainer) == sentence
    prepared.validation = SimpleNamespace(n=7)
    assert "to train on, 7 to validate on, 30 to test on" in words.plan_sentence(prepared, trainer)


@pytest.mark.parametrize(
    ("n_epochs", "reason", "end"),
    [(1, "epochs", "after 1 epoch"), (3, "early stopping", "after 3 epochs (early stopping)")],
)
def test_how_good_the_model_is(n_epochs, reason, end):
    history = fastnn.History("r2")
    history.epochs += [None] * n_epochs
    history.stop_reason = reason
    sentence = words.test_sentence({"r2": {"value": 0.5, "low": 0.25, "high": 0.75}}, history)
    assert sentence == f"test r2 0.5000 (95 % interval 0.2500 to 0.7500) {end}"


def test_what_is_to_be_predicted():
    counts = {"up [x]": 30, "a\x1b[31m": 10}
    facts = {"target": "y", "target_counts": counts, "target_quantiles": None}
    sentence = "target y: classification, 2 classes: up [x] (75.0%), a\\x1b[31m (25.0%)"
    assert words.target_sentence(facts) == sentence
    facts["target_counts"] = {f"c{k}": 1 for k in range(100)}
    assert words.target_sentence(facts).endswith("c7 (1.0%) and 92 more")
    facts |= {"target_counts": None, "target_quantiles": [0, 10.5, 20, 30, 1e6]}
    assert words.target_sentence(facts) == "target y: regression, 0 to 1e+06, half of the rows below 20"


def test_names_are_no_marks_and_no_commands(capsys):
    names = ["[bold]b[/]", "\x1b[31mred", "a\nb", "x" * 1000, "naïve ✓"]
    entry = {"kind": "number", "encoding": "scaled", "features": 1, "missing": 1234, "note": "why " * 40}
    columns = [{"column": name} | entry for name in names]
    words.print_columns(columns, *columns[0])
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names)  # a file takes lines of any length
    assert [line.split()[0] for line in lines[:3]] == ["[bold]b[/]", "\\x1b[31mred", "a\\nb"]
    assert "x" * 60 + "…" in lines[3]
    assert "naïve ✓" in lines[4]
    assert all("1,234" in line for line in lines)


def test_a_narrow_terminal_shows_words_rather_than_figures(capsys, monkeypatch):
    columns = [{"column": "length", "kind": "number", "features": 1, "missing": 0, "note": "holds numbers"}]
    for width, figures in ((40, False), (200, True)):
        monkeypatch.setenv("COLUMNS", str(width))
        words.print_columns(columns, *columns[0])
        header = capsys.readouterr().out.splitlines()[0].split()
        assert ("missing" in header) == figures
        assert header[-1] == "why"


def test_tables():
    columns = [{"column": "a", "kind": "number", "encoding": "scaled", "missing": 0}]
    assert printed(words.columns_table(columns, *columns[0]))[1] == ["a", "number", "scaled", "0"]
    scores = {"r2": {"value": 0.5, "low": 0.25, "high": 1}}
    assert printed(words.scores_table(scores))[1] == ["r2", "0.5000", "0.2500", "1.0000"]
    facts = {"usable_cores": 2, "layers": ["omp", "tbb"]}
    assert printed(words.facts_table(facts)) == [["usable", "cores", "2"], ["layers", "omp,", "tbb"]]


def test_names_are_no_marks_of_the_terminal(capsys):
    columns = [{"column": "[bold]a[/x] :smile:", "kind": "number"}, {"column": "b\x1b[2J", "kind": "text"}]
    words.print_columns(columns, "column", "kind")
    words.print_status("note: \x1b[2J\x07")
    captured = capsys.readouterr()
    assert "[bold]a[/x] :smile:" in captured.out
    assert r"b\x1b[2J" in captured.out
    assert captured.err == "note: \\x1b[2J\\x07\n"
