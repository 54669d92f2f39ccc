"""Short forms of the scripts that prove fastnn sound: each must run, and find no fault."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts/hardening"
pytestmark = [
    pytest.mark.skipif(not SCRIPTS.exists(), reason="fastnn is installed without its scripts"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]

SHORT = {
    "threads.py": "--n 1 --layers omp workqueue --situations main fork",
    "bits.py": "--n 4",
    "kills.py": "--n 4 --command-line 0",
    "soak.py": "--n 9",
}
# As long as a test may take that is left out unless asked for.
LONGER = {
    "threads.py": "--n 2",
    "bits.py": "--n 30 --seed 1",
    "kills.py": "--n 60",
    "soak.py": "--n 30",
    "damage.py": "--n 1000",
    "arguments.py": "--n 1000 --seed 5",
    "readers.py": "--n 1000 --seed 5",
}


def run(script, options, **environment):
    environment = {**os.environ, **environment}
    command = [sys.executable, str(SCRIPTS / script), *options.split()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("script", LONGER)
def test_longer(script):
    done = run(script, LONGER[script])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SHORT)
def test_short(script):
    if script == "soak.py":
        pytest.importorskip("psutil")
    done = run(script, SHORT[script])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(script.removesuffix(".py"))
    assert done.stdout.count("\n") == 1
