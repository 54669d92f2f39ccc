"""The examples run, and show what they promise."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT, TESTS

EXAMPLES = sorted((TESTS.parent / "scripts/examples").glob("*.py"))
# A telling part of what each prints, as a regular expression, and the optional packages that it needs.
PROMISES = {
    "boundary_animation": (r"sigmoid: the last layer's gradient is \d+,\d{3} times", ("matplotlib", "PIL")),
    "class_imbalance": (r"balanced +found \d+\.\d% of the malignant", ()),
    "custom_loss": (r"lopsided +too low in \d+% of the rows", ()),
    "export_and_serve": (r"the answers agree with fastnn: True", ("pandas", "onnx", "onnxruntime")),
    "fashion_mnist": (r"of 397 others right: [6-9]\d\.\d\d%", ("matplotlib",)),
    "how_a_network_learns": (r"its weights differ from ours by \d\.\de-1\d", ()),
    "quantile_regression": (r"between the outer quantiles: \d+% of the rows, expected 80 %", ()),
    "resume_after_a_kill": (r"the same bits as undisturbed: True", ()),
    "scikit_learn_pipeline": (r"fastnn +0\.[89]\d+ in ", ()),
    "stream_parquet": (r"test R² 0\.[789]\d+; the noise allows 0\.9\d+ at most", ("pandas", "pyarrow")),
    "tabular_classification": (r"(?s)same bits: True.*unseen or rare in training: 2 of 'town'", ("pandas",)),
    "text_classification": (r"averaged word vectors +accuracy [6-9]\d\.\d%", ("pandas",)),
    "tune_hyperparameters": (r"the same trials as undisturbed: True", ("optuna",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    promise, packages = PROMISES[path.stem]
    for package in ("typer", "sklearn", *packages):
        pytest.importorskip(package)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "MPLBACKEND": "agg",
        "TMPDIR": str(tmp_path),  # whatever an example leaves behind is removed with it
    }
    command = [sys.executable, "-W", "error::RuntimeWarning", str(path), "--small"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert re.search(promise, done.stdout), done.stdout
    drawn = re.findall(r"drawn: (.+)", done.stdout)
    assert len(drawn) == {"boundary_animation": 3, "fashion_mnist": 2}.get(path.stem, 0)
    for picture in drawn:
        with open(picture, "rb") as file:
            assert file.read(4) in (b"\x89PNG", b"GIF8")
