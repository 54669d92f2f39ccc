"""Short forms of scripts/hardening: random arguments, random files, and what counts as a right outcome."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import _checks

for module in (
    "matplotlib",
    "pandas",
    "pyarrow",
    "sklearn",
    "optuna",
    "onnx",
    "h5py",
    "PIL",
    "openpyxl",
    "typer",
):
    pytest.importorskip(module)
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "scripts/hardening"
if not FOLDER.exists():
    pytest.skip("fastnn is installed without its scripts", allow_module_level=True)
sys.path.append(str(FOLDER))

import arguments  # noqa: E402
import judge  # noqa: E402
import readers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # what strange arguments warn of


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield
    plt.close("all")


# --- what counts as right -------------------------------------------------------------------------


def test_own_sentences_are_right():
    calls = [
        lambda: fastnn.MLP([0, 1]),
        lambda: fastnn.MLP([4, 2]).predict("a"),
        lambda: fastnn.load("missing"),
        lambda: Path("missing").read_bytes(),
        lambda: None,
    ]
    assert [judge.examine(call) for call in calls] == [None] * 5


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda: {}["a"], "KeyError is not an error for a user"),
        (lambda: float("a"), "ValueError of a stranger"),
        (lambda: _checks.check_count("n", 1, minimum="a"), "TypeError of a stranger"),  # inside the package
        (lambda: np.zeros(3).reshape(2, 2), "ValueError of a stranger"),
        (lambda: (_ for _ in ()).throw(ValueError("")), "ValueError says nothing"),
        (lambda: (_ for _ in ()).throw(ValueError("\ud800")), "ValueError cannot be written"),
        (lambda: _checks.check_name("n", 1, ["a\nb"]), "ValueError has several lines"),
        (lambda: sys.exit(1), "SystemExit is not an error for a user"),
    ],
)
def test_other_errors_are_not(call, fault):
    assert judge.examine(call).startswith(fault)


def test_a_hang_is_found():
    assert "takes more than" in judge.examine(lambda: [None for _ in iter(int, 1)], 0.2)


# --- random arguments -----------------------------------------------------------------------------


def test_everything_public_is_called():
    names = {target.name for target in arguments.public_callables()}
    assert set(fastnn.__all__) - arguments.PASSIVE - {"__version__"} <= names
    assert {"MLP.predict", "Trainer.fit", "Trainer.lr =", "tune", "read_table", "to_onnx"} <= names
    assert all(hasattr(fastnn, name) or name in names for name in arguments.instances() if name in names)


@pytest.mark.parametrize("first", range(0, 150, 30))
def test_random_arguments(first):
    faults = [arguments.run_example(1, number) for number in range(first, first + 30)]
    assert [fault for fault in faults if fault is not None] == []


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([10**400, -(10**5000)]),
    st.floats(), st.complex_numbers(),
    st.text(), st.binary(), st.lists(st.integers()), st.dictionaries(st.text(), st.floats()), st.decimals(),
    st.fractions(), st.datetimes(), st.lists(st.lists(st.floats())), st.recursive(st.none(), st.lists),
)  # fmt: skip
CHECKS = {
    "count": lambda value: _checks.check_count("n", value),
    "number": lambda value: _checks.check_number("p", value, 0.0, 1.0),
    "seed": _checks.make_rng,
    "flag": lambda value: _checks.check_flag("flag", value),
    "path": lambda value: _checks.check_path("path", value),
    "name": lambda value: _checks.check_name("name", value, ["a", "b"]),
    "dtype": _checks.check_dtype,
    "items": lambda value: _checks.check_items("items", value, "things"),
    "classes": _checks.check_classes,
    "x": lambda value: _checks.check_x("x", value, 2, np.dtype("float32")),
    "labels": lambda value: _checks.check_labels("y", value, 1, 3),
    "targets": lambda value: _checks.check_targets("y", value, 1, np.dtype("float64")),
    "weights": lambda value: _checks.check_weights("w", value, 3),
    "shown": _checks.shown,
}


@pytest.mark.parametrize("name", CHECKS)
@hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
@hypothesis.given(value=values)
def test_checks_give_a_sentence(name, value):
    assert judge.examine(lambda: CHECKS[name](value)) is None


# --- random files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", readers.KINDS)
def test_valid_files_are_read(kind):
    readers.read_content(kind, readers.valid(kind))


@pytest.mark.parametrize("kind", readers.KINDS)
def test_mutated_files(kind):
    faults = [readers.run_example([kind], 2, number) for number in range(3)]
    assert [fault for fault in faults if fault is not None] == []
