"""The package as a whole: public names, and what importing it costs."""

import subprocess
import sys

import pytest

import fastnn

HEAVY = (
    *("numba", "numpy", "sklearn", "rich", "pandas", "typer", "safetensors", "matplotlib", "pyarrow"),
    *("pydantic", "optuna", "onnx", "h5py", "PIL", "jinja2", "tensorboardX"),
)


def test_public_names():
    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
    assert set(fastnn.__all__) == set(dir(fastnn))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = fastnn.Nonsense


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import fastnn", ()),
        ("import fastnn; fastnn.MLP; fastnn.Trainer; fastnn.load", ("numba", "numpy")),
    ],
)
def test_import_is_light(code, allowed):
    """Modules are counted, not seconds: what is not imported costs nothing on any machine."""
    check = f"{code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert eval(loaded) == [name for name in HEAVY if name in allowed]


def test_no_thread_is_started_at_import():
    check = "import fastnn, threading; fastnn.Trainer; print(threading.active_count()); import numba;"
    check += "numba.threading_layer()"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert run.stdout == "1\n"
    assert "not initialized" in run.stderr
