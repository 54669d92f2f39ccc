"""Settings: from flags, from files, and as they are saved with a run."""

import shlex

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("tomli_w")

from fastnn.app.config import Config, make_config, read_config, to_command, to_toml


def test_text_becomes_lists_and_dicts():
    config = make_config(
        source="x.csv",
        hidden="64, 32",
        activation="relu,tanh",
        columns=["zip=category", "note = text"],
        drop="id,name",
        quantiles="0.1,0.9",
    )
    assert config.hidden == [64, 32]
    assert config.activation == ["relu", "tanh"]
    assert config.columns == {"zip": "category", "note": "text"}
    assert config.drop == ["id", "name"]
    assert config.quantiles == [0.1, 0.9]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", 'source = "x"\nhidden = [8, 4]\nlr = 0.01\n[columns]\nzip = "category"\n'),
        ("a.yaml", "source: x\nhidden: [8, 4]\nlr: 0.01\ncolumns:\n  zip: category\n"),
    ],
)
def test_files_say_the_same(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    config = make_config(**read_config(tmp_path / name))
    assert config == make_config(source="x", hidden=[8, 4], lr=0.01, columns={"zip": "category"})


def test_a_saved_configuration_is_the_same(tmp_path):
    config = make_config(
        source="x.csv", hidden="8", columns={"a b": "text"}, lr=1e-3, stream=False, quantiles=[0.5, 0.75]
    )
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert make_config(**read_config(tmp_path / "config.toml")) == config


def test_commands_are_for_a_shell():
    config = make_config(
        source="my data.csv", columns={"a b": "text", "c": "date"}, stream=False, hidden=[], residual=True
    )
    assert shlex.split(to_command(config)) == [
        *("fastnn", "train", "my data.csv", "--columns", "a b=text", "--columns", "c=date"),
        *("--no-stream", "--hidden", "", "--residual"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hiden": "3"}, "Did you mean 'hidden'"),
        ({"lr": -1}, "lr: input should be greater than 0, got -1"),
        ({"lr": "fast"}, "lr: input should be a valid number.*'fast'"),
        ({"hidden": "a,b"}, "hidden.0: .*valid integer.*'a'"),
        ({"columns": ["zip"]}, "expected COLUMN=KIND"),
        ({"test": 1.5}, "test: input should be less than 1"),
        ({"epochs": 0}, "epochs: .*greater than or equal to 1"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(values, message):
    with pytest.raises(ValueError, match=message) as raised:
        make_config(source="x", **values)
    assert "\n" not in str(raised.value)


def test_the_source_is_needed():
    with pytest.raises(ValueError, match="source is missing"):
        make_config(epochs=3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "epochs =", "cannot be read"),
        ("a.yaml", "a: [1", "cannot be read"),
        ("a.yaml", "just text", "holds no settings"),
        ("a.json", "{}", "expected .toml, .yaml or .yml"),
        ("a.toml", "epoch = 3", r"a setting in '.*a\.toml' must be one of .* Did you mean 'epochs'"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_config(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no configuration file"):
        read_config(tmp_path / "none.toml")


def test_every_setting_has_help_and_a_panel():
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert field.json_schema_extra["panel"] in ("Data", "Reading", "Split", "Network", "Training"), name
