"""JSON, TOML and YAML of strangers: what they hold, or one sentence, and nothing else."""

import json

import pytest

from fastnn._documents import parse_json, parse_toml, parse_yaml


def test_what_they_hold():
    assert parse_json('{"a": [1, 2.5, null, "\\\\ud800", "\\ud83d\\ude00"]}') == {
        "a": [1, 2.5, None, "\\ud800", "\U0001f600"]
    }
    assert parse_toml("epochs = 5") == {"epochs": 5}
    pytest.importorskip("yaml")
    assert parse_yaml("epochs: 5") == {"epochs": 5}
    assert parse_yaml("") is None
    assert parse_json("9" * 400) == int("9" * 400)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_json, "[" * 200_000 + "]" * 200_000, "its JSON is nested too deeply"),
        (parse_json, '{"a":' * 200_000, "its JSON is nested too deeply"),
        (parse_json, '{"a": 1, "b": {"c": 1, "c": 2}}', "its JSON names 'c' twice"),
        (parse_json, b"\xff\xfe\xfd", "its JSON is not UTF-8"),
        (parse_json, "{'a': 1}", "Expecting property name"),
        (parse_json, "9" * 5000, "its JSON holds a number of 5000 digits"),
        (parse_json, r'["\ud800"]', "its JSON holds half of a surrogate pair"),
        (parse_json, r'{"\uDFFF": 1}', "its JSON holds half of a surrogate pair"),
        (parse_toml, "a = " + "[" * 100_000, "its TOML is nested too deeply"),
        (parse_toml, "a = 0x" + "f" * 10_000, "its TOML holds an integer of 40000 bits"),
        (parse_toml, r'a = "\ud800"', "not a valid Unicode scalar value|Unicode"),
        (parse_yaml, "[" * 3_000, "its YAML is nested too deeply"),
        (parse_yaml, "a: 0x" + "f" * 10_000, "its YAML holds an integer of 40000 bits"),
        (parse_yaml, "a: " + "9" * 5000, "its YAML holds a number of thousands of digits"),
        (parse_toml, "a = " + "9" * 5000, "its TOML holds a number of thousands of digits"),
        (parse_yaml, "a: 2020-13-45", "month"),
        (parse_yaml, "a: \0", "^unacceptable character #x0000: special characters are not allowed$"),
        (parse_yaml, "? {a: 1}\n: 2", "unhashable"),
        (parse_yaml, "x" * 2**21, "2,097,152 letters, expected at most 1,048,576"),
        (parse_yaml, "!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_absurd_content(parse, text, message):
    if parse is parse_yaml:
        pytest.importorskip("yaml")
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_aliases_of_aliases_are_counted():
    pytest.importorskip("yaml")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9)]
    with pytest.raises(ValueError, match="holds more than 100,000 values"):
        parse_yaml("\n".join(lines))


def test_an_alias_of_itself_ends():
    pytest.importorskip("yaml")
    with pytest.raises(ValueError, match="holds more than"):
        parse_yaml("a: &a [*a]")


def test_errors_of_syntax_know_the_line():
    with pytest.raises(json.JSONDecodeError) as caught:
        parse_json('{"a": 1,\n b}')
    assert caught.value.lineno == 2
    pytest.importorskip("yaml")
    with pytest.raises(ValueError, match="at line 2, column 2"):
        parse_yaml("a: [1\nb: 2")
