"""Flags: one for each setting, told apart from its default, and combined with files."""

import inspect
import typing

import pytest

pytest.importorskip("typer")
pytest.importorskip("pydantic")
pytest.importorskip("tomli_w")

import typer
from typer.testing import CliRunner

from fastnn.app.config import Config
from fastnn.app.flags import configuration, given_settings, with_setting_flags


@pytest.fixture
def call():
    """Call a command that has a flag of its own and those of all settings; returns what it was given."""
    app, seen = typer.Typer(), []

    @app.command()
    @with_setting_flags
    def command(*, level: int = 1, settings: dict[str, typing.Any]) -> None:
        """Do something."""
        seen.append((level, settings))

    def run(*arguments):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return seen[-1] if seen else done.output

    return run


def test_every_setting_has_a_flag():
    @with_setting_flags
    def command(*, settings: dict[str, typing.Any]) -> None:
        """Do something."""

    assert set(inspect.signature(command).parameters) == Config.model_fields.keys() - {"source"}
    assert command.__doc__ == "Do something."


def test_only_flags_that_are_given_are_settings(call):
    assert call() == (1, {})
    assert call("--level", "3", "--hidden", "128") == (3, {"hidden": "128"})
    flags = ["--lr", "0.5", "--epochs", "7", "--no-stream", "--residual", "--columns", "a=text"]
    settings = {"lr": 0.5, "epochs": 7, "stream": False, "residual": True, "columns": ["a=text", "b=date"]}
    assert call(*flags, "--columns", "b=date") == (1, settings)


def test_help_tells_defaults_and_columns(call):
    text = " ".join(call("--help").replace("│", " ").split())
    assert "[default: 128]" in text
    assert "[default: relu]" in text
    assert "COLUMN=KIND" in text
    assert "default: None" not in text
    assert "default: False" not in text


def test_flags_take_precedence_over_files(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('source = "iris"\nepochs = 4\nlr = 0.1\n')
    assert configuration(None, path, {"lr": 0.2}) == Config(source="iris", epochs=4, lr=0.2)
    assert configuration("wine", path, {}).source == "wine"
    assert configuration("wine", None, {"hidden": "4,2"}) == Config(source="wine", hidden=[4, 2])
    assert given_settings(path, {"lr": 0.2}) == {"source": "iris", "epochs": 4, "lr": 0.2}
