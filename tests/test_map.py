"""The map of the package: its floors, on which imports go down the stairs only.

Imports under ``TYPE_CHECKING`` and inside functions count like all others.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fastnn

# From the ground up. A file may import from its own package and from the floors below it.
FLOORS = (
    ("_version", "_fork"),
    ("_lazy", "_html", "_memory"),
    ("_checks",),
    ("_documents", "_fields", "_unpack", "_jit", "_labels"),
    ("kernels",),
    ("_threads",),
    ("_named", "evaluation", "history", "metrics"),
    ("activations", "losses", "optimizers", "schedules"),
    ("network",),
    ("data",),
    ("model",),
    ("training",),
    ("estimators", "plots"),
    ("tuning",),
    ("exchange",),
    ("app",),
    ("__init__", "__main__"),
)
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
ROOT = Path(fastnn.__file__).parent
MAX_LINES = 460  # about 450
# Longer files say at their head why they are.
REASON = "longer than"


def module_name(path: Path) -> str:
    """Dotted name below the package; a package's own file is called ``package.__init__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(name: str) -> set[str]:
    """Files of the package that a file imports from, wherever in it."""
    package = name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fastnn":
            base = node.module.split(".")[1:]
        elif isinstance(node, ast.Import) and any(
            alias.name.split(".")[0] == "fastnn" for alias in node.names
        ):
            base = []
        else:
            continue
        aliases = [alias.name for alias in node.names]
        for alias in aliases:
            for target in ([*base, alias], base):
                dotted = ".".join(target)
                if dotted in FILES or f"{dotted}.__init__" in FILES or not target:
                    found.add(dotted if dotted in FILES else f"{dotted}.__init__".lstrip("."))
                    break
    return found - {name}


IMPORTS = {name: imports_of(name) for name in FILES}


def test_every_file_is_on_a_floor():
    tops = {name.split(".")[0] for name in FILES}
    assert tops == set(FLOOR)


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down_the_stairs(name):
    top = name.split(".")[0]
    for target in IMPORTS[name]:
        other = target.split(".")[0]
        assert other == top or FLOOR[other] < FLOOR[top], f"{name} imports {target}"


def test_no_circles():
    done, path = set(), []

    def visit(name):
        assert name not in path, " imports ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for target in sorted(IMPORTS[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in FILES:
        visit(name)


def test_a_circle_is_found(monkeypatch):
    monkeypatch.setitem(IMPORTS, "_version", {"__main__"})
    monkeypatch.setitem(IMPORTS, "__main__", {"_version"})
    with pytest.raises(AssertionError, match="imports"):
        test_no_circles()


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_long_without_a_reason(name):
    text = FILES[name].read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert text.count("\n") <= MAX_LINES or REASON in docstring
