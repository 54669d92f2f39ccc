"""The command line, as a user runs it."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn

pytest.importorskip("typer")

from fastnn import machine
from fastnn.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``fastnn`` in a folder of its own; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastnn", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return call


def test_train_digits(tmp_path):
    command = [sys.executable, "-m", "fastnn", "train", "digits", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    out, err = done.stdout, done.stderr
    assert done.returncode == 0, err
    result = json.loads(out.splitlines()[-1])
    assert len(out.splitlines()) == 1
    assert result["test_accuracy"] >= 0.97
    assert {"train_loss", "epochs", "seconds", "samples_per_second", "model"} <= set(result)
    assert "epoch 30/30" in err
    assert "model saved to fastnn-digits.safetensors" in err
    net = fastnn.load(tmp_path / result["model"])
    assert net.metadata["classes"] == list(range(10))
    assert "Traceback" not in err


def test_same_seed_gives_the_same_file(run, tmp_path):
    for name, threads in (("a", "1"), ("b", "2")):
        options = ["--epochs", "2", "--seed", "5", "--threads", threads, "--output", name, "--quiet"]
        assert run("train", "iris", *options)[0] == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_option(run, tmp_path):
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.savetxt(tmp_path / "own.csv", np.c_[x, x @ [1, 2, 3]], delimiter=",", header="a,b,c,y", comments="")
    code, out, err = run(
        *("train", "own.csv", "--target", "y", "--hidden", "16,8", "--activation", "tanh", "--loss", "mse"),
        *("--optimizer", "sgd", "--lr", "0.02", "--momentum", "0.9", "--nesterov", "--l2", "0"),
        *("--batch-size", "16", "--epochs", "200", "--validation", "0.2", "--patience", "20"),
        *("--test", "0.25", "--seed", "3", "--threads", "1", "--dtype", "float64"),
        *("--output", "m.safetensors", "--json"),
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["test_r2"] > 0.9
    net = fastnn.load(tmp_path / "m.safetensors")
    assert net.sizes == (3, 16, 8, 1)
    assert net.dtype == np.float64
    assert [activation.name for activation in net.activations] == ["tanh", "tanh"]


def test_two_classes_by_binary_cross_entropy_over_the_whole_set(run):
    options = ["--loss", "binary_cross_entropy", "--batch-size", "0", "--epochs", "200", "--quiet", "--json"]
    code, out, err = run("train", "breast_cancer", *options)
    assert code == 0, err
    assert json.loads(out)["test_accuracy"] > 0.9
    assert err.count("epoch") == 1  # the closing line alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["iris", "--activation", "rleu"], "Did you mean 'relu'"),
        (["iris", "--optimizer", "adm"], "Did you mean 'adam'"),
        (["iris", "--loss", "xent"], "loss must be one of"),
        (["iris", "--loss", "mse"], "--loss mse does not go with a classification"),
        (["diabetes", "--loss", "cross_entropy"], "does not go with a regression"),
        (["iris", "--loss", "binary_cross_entropy"], "needs 2 classes, but the target has 3"),
        (["iris", "--hidden", "a"], "--hidden must be widths"),
        (["iris", "--hidden", "0"], "--hidden must be at least 1"),
        (["iris", "--epochs", "0"], "epochs must be at least 1"),
        (["iris", "--lr", "-1"], "lr must lie"),
        (["iris", "--momentum", "0.9"], "--momentum does not go with --optimizer adam"),
        (["iris", "--validation", "2"], "validation_fraction"),
        (["iris", "--dtype", "int8"], "dtype must be float32 or float64"),
        (["iris", "--threads", "0"], "n_threads must be at least 1"),
        (["iris", "--output", "no/such/folder/m"], "no folder"),
        (["diabetes", "--optimizer", "sgd", "--lr", "1e6", "--quiet"], "smaller learning rate"),
    ],
)
def test_a_users_error_is_one_line(run, tmp_path, arguments, message):
    code, out, err = run("train", *arguments)
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    assert message in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("Error: ")
    assert not list(tmp_path.iterdir())


def test_usage_help_and_version(run):
    assert run("train")[0] == 2
    assert run("train", "iris", "--no-such-option")[0] == 2
    code, out, _ = run("train", "--help")
    assert code == 0
    assert "Example" in out
    assert run("--version")[1] == fastnn.__version__ + "\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_saves_the_model_so_far(tmp_path, start):
    command = [sys.executable, "-m", "fastnn", "train", "digits", "--epochs", "1000000", "--json"]
    process = start(command, cwd=tmp_path)
    assert "rows to train on" in process.stderr.readline()
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["stop_reason"] == "interrupted"
    assert 1 <= result["epochs"] < 1_000_000
    fastnn.load(tmp_path / result["model"])
    assert "Traceback" not in err


def test_doctor(run):
    code, out, err = run("doctor", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["threading_layer"] in facts["threading_layers"]
    assert facts["peak_gflops_float32_1_thread"] > facts["peak_gflops_float64_1_thread"] > 0
    code, out, err = run("doctor")
    assert code == 0
    assert facts["cpu"] in out
    assert "…" not in out
    assert ("warning" in out) == bool(facts["advice"])


def test_doctor_tells_the_remedy():
    facts = machine.describe()
    assert "pip install tbb" in machine.advice(facts | {"threading_layer": "workqueue"})[0]
    assert "NUMBA_CPU_NAME" in machine.advice(facts | {"fused_multiply_add": False})[-1]
