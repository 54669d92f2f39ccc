"""The command line, as a user runs it."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn

pytest.importorskip("typer")


@pytest.fixture
def flowers(tmp_path):
    """A table with numbers, categories and gaps, in which the petal tells the kind."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    kind = rng.choice(["rose", "lily"], 120)
    petal = np.where(kind == "rose", 1.0, 3.0) + 0.3 * rng.standard_normal(120)
    petal[5:10] = np.nan
    colour = np.where(rng.random(120) < 0.2, "white", rng.choice(["red", "blue"], 120))
    frame = pandas.DataFrame({"petal": petal, "colour": colour, "kind": kind})
    frame.to_csv(tmp_path / "flowers.csv", index=False)
    return frame


@pytest.fixture
def trained(run, flowers, tmp_path):
    """The folder of a run on the flowers."""
    code, _, err = run(
        *("train", "flowers.csv", "--target", "kind", "--epochs", "60", "--hidden", "16"),
        *("--output", "run", "--quiet", "--no-pictures"),
    )
    assert code == 0, err
    return tmp_path / "run"


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
    assert "Traceback" not in err
    assert result["run"] == "runs/digits-1"
    folder = tmp_path / result["run"]
    there = {path.name for path in folder.iterdir()}
    assert there >= {"config.toml", "log.jsonl", "history.json", "checkpoints", "model.safetensors"}
    assert there >= {"summary.json", "test.csv", "worst.json", "README.md"}
    assert fastnn.Model.load(tmp_path / result["model"]).target.classes == list(range(10))
    events = [json.loads(line)["event"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert events == ["begin", *["epoch"] * 30, "end"]


def test_same_seed_gives_the_same_file(run, tmp_path):
    for name, threads in (("a", "1"), ("b", "2")):
        options = ["--epochs", "2", "--seed", "5", "--threads", threads, "--output", name, "--quiet"]
        assert run("train", "iris", *options, "--no-pictures")[0] == 0
    a, b = (tmp_path / name / "model.safetensors" for name in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_every_setting(run, tmp_path):
    pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.savetxt(tmp_path / "own.csv", np.c_[x, x @ [1, 2, 3]], delimiter=",", header="a,b,c,y", comments="")
    command = """
        train own.csv --target y --hidden 16,16 --activation tanh,relu --loss mse --optimizer sgd --lr 0.02
        --momentum 0.9 --nesterov --l2 0 --residual --batch-size 16 --epochs 200 --validation 0.2
        --patience 40 --norm layer --test 0.25 --seed 3 --threads 1 --dtype float64 --schedule cosine
        --clip-norm 5 --ema 0.9 --metrics r2 --monitor val_r2 --columns a=number --drop b --output m
        --json --no-pictures
    """
    code, out, err = run(*command.split())
    assert code == 0, err
    result = json.loads(out)
    net = fastnn.load(tmp_path / "m" / "model.safetensors")
    assert net.sizes == (2, 16, 16, 1)
    assert net.dtype == np.float64
    assert [activation.name for activation in net.activations] == ["tanh", "relu"]
    assert net.norm == ("layer", "layer")
    assert net.residual == (False, True)
    assert result["test_r2"] > 0.5  # b, left out, explains a part


def test_a_saved_configuration_trains_the_same(run, tmp_path):
    options = ["--epochs", "2", "--hidden", "8", "--lr", "0.01", "--quiet", "--no-pictures"]
    assert run("train", "iris", *options, "--output", "a")[0] == 0
    assert run("train", "--config", "a/config.toml", "--output", "b", "--quiet", "--no-pictures")[0] == 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert models[0] == models[1]
    # A flag goes before the file.
    assert run("train", "--config", "a/config.toml", "--hidden", "4", "--output", "c", "--quiet")[0] == 0
    assert fastnn.load(tmp_path / "c" / "model.safetensors").sizes == (4, 4, 3)


def test_two_classes_by_binary_cross_entropy_over_the_whole_set(run):
    options = ["--loss", "binary_cross_entropy", "--batch-size", "0", "--epochs", "200", "--quiet", "--json"]
    code, out, err = run("train", "breast_cancer", *options)
    assert code == 0, err
    assert json.loads(out)["test_accuracy"] > 0.9
    assert err.count("epoch") == 1  # the closing line alone


def test_quantiles_are_columns(run, tmp_path):
    options = ["--quantiles", "0.1,0.5,0.9", "--epochs", "3", "--quiet", "--output", "q", "--no-pictures"]
    code, _, err = run("train", "diabetes", *options)
    assert code == 0, err
    header = (tmp_path / "q" / "test.csv").read_text().splitlines()[0]
    assert header == "row,truth,prediction,q_0.1,q_0.5,q_0.9,loss"


def test_resuming_goes_on_to_more_epochs_with_the_same_bits(run, tmp_path):
    options = ["--hidden", "8", "--quiet", "--no-pictures"]
    assert run("train", "iris", *options, "--epochs", "5", "--output", "a")[0] == 0
    code, _, err = run("train", "--resume", "a", "--epochs", "9", "--quiet", "--no-pictures")
    assert code == 0, err
    assert run("train", "iris", *options, "--epochs", "9", "--output", "b")[0] == 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert models[0] == models[1]
    assert len(json.loads((tmp_path / "a" / "history.json").read_text())["columns"]["cost"]) == 9


def test_a_dry_run_tells_of_each_column_and_writes_nothing(run, flowers, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, out, err = run("train", "flowers.csv", "--target", "kind", "--hidden", "16", "--dry-run")
    assert (code, err) == (0, "")
    first, second, header, *lines = out.splitlines()
    assert "rows to train on" in first
    assert "network" in first
    assert second.startswith("target kind: classification, ")
    assert header.split() == ["column", "read", "as", "encoding", "features", "missing", "distinct", "why"]
    assert [line.split()[0] for line in lines] == [c for c in flowers.columns if c != "kind"]
    code, out, err = run("train", "flowers.csv", "--target", "kind", "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert plan["network"]["sizes"][0] == plan["n_features"]
    assert sum(plan["rows"].values()) == len(flowers)
    assert {"column", "kind", "encoding", "features", "note"} <= plan["columns"][0].keys()
    code, out, err = run("train", "flowers.csv", "--target", "kind", "--dry-run", "--quiet")
    assert (code, len(out.splitlines()), err) == (0, 2, "")
    assert run("train", "flowers.csv", "--target", "knd", "--dry-run")[0] == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_dry_run_where_the_terminal_lacks_letters(table, tmp_path):
    table.rename(columns={"a": "größe 👩"}).to_csv("table.csv", index=False)
    command = [sys.executable, "-m", "fastnn", "train", "table.csv", "--target", "y", "--dry-run"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "gr\\xf6\\xdfe \\U0001f469" in done.stdout


def test_a_run_is_never_written_over(run, trained):
    before = (trained / "model.safetensors").read_bytes()
    code, _, err = run("train", "iris", "--output", "run", "--quiet")
    assert code == 1
    assert "there is a run in 'run' already" in err
    assert (trained / "model.safetensors").read_bytes() == before


def test_predict_and_evaluate(run, trained, flowers, tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    code, out, err = run("evaluate", "run", "flowers.csv", "--json")
    assert code == 0, err
    accuracy = json.loads(out)["accuracy"]
    assert 0.9 < accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1
    assert "accuracy" in run("evaluate", "run/model.safetensors", "flowers.csv")[1]

    code, out, _ = run("predict", "run", "flowers.csv", "--proba")
    frame = pandas.read_csv(io.StringIO(out))
    assert frame.columns.tolist() == ["prediction", "p_lily", "p_rose"]
    assert np.allclose(frame.p_lily + frame.p_rose, 1)
    assert (frame.prediction == flowers.kind).mean() == pytest.approx(accuracy["value"], abs=1e-4)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"petal,colour\n1.0,red\n3.1,green\n")))
    code, out, err = run("predict", "run", "-", "--keep")
    assert out == "petal,colour,prediction\n1.0,red,rose\n3.1,green,lily\n"
    assert "unseen or rare in training: 1 of 'colour'" in err

    code, out, err = run("predict", "run", "flowers.csv", "--output", "out.parquet")
    assert (code, out) == (0, "")
    assert len(pandas.read_parquet(tmp_path / "out.parquet")) == len(flowers)


def test_export(run, trained, flowers, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    assert run("export", "run", "flowers.onnx")[0] == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "flowers.onnx"))
    assert {place.name for place in session.get_inputs()} == {"petal", "colour"}
    assert run("export", "run", "net.onnx", "--no-preprocessing")[0] == 0
    assert run("export", "run", "net.safetensors")[0] == 0
    code, _, err = run("export", "run", "net.pt")
    assert code == 1
    assert "the ending of FILE must be one of .onnx, .safetensors" in err


def test_report_and_pictures(run, trained):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    code, out, err = run("plot", "run")
    assert code == 0, err
    assert all((trained.parent / line).stat().st_size > 1000 for line in out.splitlines())
    assert run("report", "run")[1] == "run/report.html\n"
    page = (trained / "report.html").read_text()
    assert "petal" in page
    assert "flowers" in page


def test_tune_writes_settings_to_train_with(run, flowers, tmp_path):
    pytest.importorskip("optuna")
    command = "tune flowers.csv --target kind --trials 3 --epochs 4 --activation tanh"
    options = ["--storage", "study.sqlite", "--output", "best.toml", "--json", "--quiet"]
    code, out, err = run(*command.split(), *options)
    assert code == 0, err
    result = json.loads(out)
    assert result["score"] <= result["default"]
    assert result["settings"]["activation"] == "tanh"
    code, _, err = run("train", "--config", "best.toml", "--quiet", "--no-pictures")
    assert code == 0, err
    assert fastnn.load(tmp_path / "runs/flowers-1/model.safetensors").activations[0].name == "tanh"


def test_bench(run):
    code, out, err = run("bench", "8-16-2", "--batch-size", "16", "--seconds", "0.05", "--json")
    assert code == 0, err
    assert json.loads(out)["us_per_step"] > 0
    assert "8-16-2" in run("bench", "8-16-2", "--batch-size", "16", "--seconds", "0.05")[1]
    assert "SIZES must be widths" in run("bench", "8x16")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["iris", "--activation", "rleu"], "Did you mean 'relu'"),
        (["iris", "--optimizer", "adm"], "Did you mean 'adam'"),
        (["iris", "--loss", "xent"], "loss must be one of"),
        (["iris", "--loss", "mse"], "loss 'mse' cannot be used for classification"),
        (["diabetes", "--loss", "cross_entropy"], "cannot be used for regression"),
        (["iris", "--loss", "binary_cross_entropy"], "needs 2 classes, but 'species' has 3"),
        (["iris", "--hidden", "a"], "hidden.0: input should be a valid integer"),
        (["iris", "--hidden", "0"], "sizes[1] must be at least 1"),
        (["iris", "--epochs", "0"], "epochs: input should be greater than or equal to 1"),
        (["iris", "--lr", "-1"], "lr: input should be greater than 0"),
        (["iris", "--momentum", "0.9"], "momentum cannot be combined with optimizer 'adam'"),
        (["iris", "--validation", "2"], "validation: input should be less than 1"),
        (["iris", "--dtype", "int8"], "dtype must be float32 or float64"),
        (["iris", "--threads", "0"], "threads: input should be greater than or equal to 1"),
        (["iris", "--metrics", "acuracy"], "Did you mean 'accuracy'"),
        (["iris", "--columns", "a=number"], "columns are for tables"),
        (["iris", "--image-size", "8"], "image_size and image_mode are for images"),
        (["iris", "--group", "a"], "group names a column, but 'iris' is not a table"),
        (["iris", "--quantiles", "0.5"], "loss 'quantile' cannot be used for classification"),
        (["iris", "--config", "none.toml"], "there is no configuration file 'none.toml'"),
        (["--resume", "none"], "'none' is not the folder of a run"),
        ([], "source is missing"),
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


def test_debug_shows_where(run):
    with pytest.raises(ValueError, match="loss must be one of"):
        run("train", "iris", "--loss", "xent", "--debug")


def test_usage_help_and_version(run):
    assert run("predict")[0] == 2
    assert run("train", "iris", "--no-such-option")[0] == 2
    code, out, _ = run("train", "--help")
    assert code == 0
    assert "Examples" in out
    assert "default: 128" in out
    assert run("--version")[1] == fastnn.__version__ + "\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_saves_the_model_so_far(tmp_path, start):
    command = [sys.executable, "-m", "fastnn", "train", "digits", "--epochs", "1000000", "--json"]
    process = start(command, cwd=tmp_path)
    assert any("rows to train on" in line for line in iter(process.stderr.readline, ""))
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["stop_reason"] == "interrupted"
    assert 1 <= result["epochs"] < 1_000_000
    fastnn.load(tmp_path / result["model"])
    assert "Traceback" not in err
    assert f"continue with fastnn train --resume {result['run']}" in err


def test_doctor(run):
    code, out, err = run("doctor", "--json")
    facts = json.loads(out)
    assert (code, [line for line in err.splitlines() if "fastnn: compiling" not in line]) == (0, [])
    assert facts["threading_layer"] in facts["threading_layers"]
    assert facts["peak_gflops_float32_1_thread"] > facts["peak_gflops_float64_1_thread"] > 0
    code, out, err = run("doctor")
    assert code == 0
    assert facts["cpu"] in out
    assert "…" not in out
    assert ("Warning" in out) == bool(facts["advice"])
