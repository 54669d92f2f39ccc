"""Examples in docstrings and in the README run, and give what they show."""

import doctest
import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import fastnn

README = Path(__file__).parent.parent / "README.md"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert failed == 0


def test_public_names_have_examples():
    finder = doctest.DocTestFinder(recurse=False)
    for name in fastnn.__all__:
        thing = getattr(fastnn, name)
        if (isinstance(thing, type) and issubclass(thing, Exception)) or isinstance(thing, str):
            continue
        assert finder.find(thing, name)[0].examples, f"{name} has no example"


def test_readme_code_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(block, {})
