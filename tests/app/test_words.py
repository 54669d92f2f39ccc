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
    words.print_content("a [bold]result[/]")
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


def test_tables():
    columns = [{"column": "a", "kind": "number", "encoding": "scaled", "missing": 0}]
    assert printed(words.columns_table(columns))[1] == ["a", "number", "scaled", "0"]
    scores = {"r2": {"value": 0.5, "low": 0.25, "high": 1}}
    assert printed(words.scores_table(scores))[1] == ["r2", "0.5000", "0.2500", "1.0000"]
    facts = {"usable_cores": 2, "layers": ["omp", "tbb"]}
    assert printed(words.facts_table(facts)) == [["usable", "cores", "2"], ["layers", "omp,", "tbb"]]
