"""What a user may give that is wrong: one clear sentence, exit code 1, nothing lost nothing left behind."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")
pandas = pytest.importorskip("pandas")

import fastnn  # noqa: E402

QUICK = ("--epochs", "2", "--hidden", "8", "--quiet", "--no-pictures")
N = 100


def table(**more):
    """Two numbers that tell a class, and other columns."""
    x = np.random.default_rng(0).standard_normal((N, 2))
    y = np.where(x.sum(axis=1) > 0, "up", "down")
    return pandas.DataFrame({"a": x[:, 0], "b": x[:, 1]} | more | ({} if "y" in more else {"y": y}))


@pytest.fixture
def refused(run, tmp_path):
    """Run ``fastnn``, which must say one sentence and leave all files as they are; returns the sentence."""

    def contents():
        return {
            str(path.relative_to(tmp_path)): path.is_file() and path.read_bytes()
            for path in tmp_path.rglob("*")
        }

    def call(*arguments):
        before = contents()
        code, out, err = run(*arguments)
        assert (code, out) == (1, ""), err
        assert "Traceback" not in err
        assert contents() == before
        last = err.splitlines()[-1]
        assert last.startswith("Error: ")
        return last

    return call


@pytest.fixture
def trained(run, tmp_path):
    """A run on the table."""
    table(c=["red", "blue"] * 50).to_csv(tmp_path / "t.csv", index=False)
    code, _, err = run("train", "t.csv", "--target", "y", *QUICK, "--output", "run")
    assert code == 0, err
    return tmp_path / "run"


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", "a,b,y\n1,2,u\n1,2,3,v\n", "'t.csv' is ragged: the header has 3 fields, but line 3 has 4"),
        ("t.csv", "a,b,y\n" + "1,2,u\n" * 50 + "1,2", "the header has 3 fields, but line 52 has 2"),
        ("t.csv", "", "'t.csv' is empty"),
        ("t.csv", " \n\n", "'t.csv' is empty"),
        ("t.csv", "a,b,y\n", "'t.csv' has no rows below its header (a, b, y)"),
        ("t.csv", "a,b,y\n1,2,u\n", "there are too few rows, 1"),
        ("t.csv", "y\nu\nv\n", "'t.csv' has one column only"),
        ("t.csv", "a,a,y\n1,2,u\n1,2,v\n", "'t.csv' has the column 'a' more than once"),
        ("t.csv", "a,e,y\n" + "1,,u\n2,,u\n" * 9, "the target 'y' has one class only ('u')"),
        ("t.csv", "e,f,y\n" + ",NA,u\n,,v\n" * 9, "no column is left to learn from: 'e' has no values"),
        ("t.csv", "a,y\n" + "1,u\n2,\n" * 9, "the target 'y' is missing in 9 of 18 rows"),
        ("t.csv", b"a,y\n1,gr\xc3\xb6\xc3\x9f\n2,gr\xf6\n", "'t.csv' is not UTF-8: line 3 has the byte 0xf6"),
        ("t.csv", b"a,y\n1,\x81u\n", "'t.csv' is neither UTF-8 nor cp1252: line 2 has the byte 0x81"),
        ("t.csv", "a,y\n" + "".join(f"{i % 7},k{i}\n" for i in range(60)), "has 60 different labels in 60"),
        ("t.parquet", b"", "'t.parquet' is empty"),
        ("t.parquet", b"PAR1nonsense", "'t.parquet' is cut short, damaged or not a valid Parquet file"),
        ("t.feather", b"ARROW1nonsense", "'t.feather' is cut short, damaged or not a valid Arrow file"),
        ("t.xlsx", b"PKnonsense", "'t.xlsx' is cut short or damaged"),
        ("t.jsonl", '{"a": 1}\n{"a":\n', "'t.jsonl' is no JSON"),
    ],
)
def test_damaged_or_useless_tables(refused, tmp_path, name, content, sentence):
    if name == "t.xlsx":
        pytest.importorskip("openpyxl")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert sentence in refused("train", name, "--target", "y", *QUICK)


def test_a_parquet_file_cut_in_half(refused, tmp_path):
    table().to_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    message = "'t.parquet' is cut short, damaged or not a valid Parquet file"
    assert message in refused("train", "t.parquet", "--target", "y")
    (tmp_path / "parts").mkdir()
    table().to_parquet(tmp_path / "parts" / "0.parquet")
    shutil.copy(tmp_path / "t.parquet", tmp_path / "parts" / "1.parquet")
    assert "1.parquet'" in refused("train", "parts", "--target", "y")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.zeros((9, 3))}, "holds 'x': expected arrays x and y"),
        ({"x": np.zeros((9, 3)), "y": np.zeros(8)}, "x has 9 rows and y has 8"),
        ({"x": np.full((50, 3), np.nan), "y": np.arange(50) % 2}, "NaN or infinite in feature 0"),
        ({"x": np.array([["a"]], object), "y": np.zeros(1)}, "Object arrays cannot be loaded"),
    ],
)
def test_useless_arrays(refused, tmp_path, arrays, sentence):
    np.savez(tmp_path / "t.npz", **arrays)
    assert sentence in refused("train", "t.npz", *QUICK)


def test_no_such_file(refused, tmp_path):
    table().to_csv(tmp_path / "flowers.csv", index=False)
    assert "Did you mean 'flowers.csv'?" in refused("train", "flower.csv", "--target", "y")
    assert "Did you mean 'digits'?" in refused("train", "Digit")


# --- columns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "say which column of 't.csv' is the target: Alpha, b, y"),
        (["--target", "alfa"], "Did you mean 'Alpha'?"),
        (["--target", "Y"], "Did you mean 'y'?"),
        (["--target", "y", "--drop", "alpha"], "Did you mean 'Alpha'?"),
        (["--target", "y", "--drop", "y"], "the column 'y' is the target: it cannot be dropped"),
        (["--target", "y", "--drop", "Alpha,b"], "no column left"),
        (["--target", "y", "--columns", "c=number"], "columns must be one of Alpha, b, got 'c'"),
        (["--target", "y", "--columns", "b=numbr"], "Did you mean 'number'?"),
        (["--target", "y", "--columns", "b"], "expected COLUMN=KIND, got 'b'."),
        (["--target", "y", "--task", "regression"], "which is not a number: a regression needs numbers"),
        (["--target", "y", "--group", "nobody"], "group must be one of Alpha, b"),
        (["--target", "y", "--group", "b", "--time", "Alpha"], "group and time cannot be combined"),
        (["--target", "y", "--patience", "3", "--validation", "0"], "validation is 0: set rows aside"),
        (["--target", "y", "--output", "t.csv"], "a run needs a folder, but 't.csv' is a file"),
        (["--target", "y", "--output", "t.csv/run"], "a run needs a folder, but 't.csv' is a file"),
    ],
)
def test_wrong_flags(refused, tmp_path, flags, sentence):
    table().rename(columns={"a": "Alpha"}).to_csv(tmp_path / "t.csv", index=False)
    assert sentence in refused("train", "t.csv", *flags, "--quiet")


def test_a_message_names_some_of_many_columns(refused, tmp_path):
    frame = pandas.DataFrame(np.zeros((3, 2000)), columns=[f"column_{i}" for i in range(2000)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    sentence = refused("train", "t.csv", "--target", "colum_1234")
    assert "Did you mean 'column_1234'?" in sentence
    assert len(sentence) < 600


@pytest.mark.parametrize(
    ("column", "note"),
    [
        (np.arange(N), "the column 'c' is left out: it numbers the rows"),
        ([f"K{i:05d}" for i in range(N)], "the column 'c' is left out: it has a value of its own"),
        (np.full(N, np.nan), "the column 'c' is left out: it has no values"),
        (["same"] * N, "the column 'c' is left out: it says the same in every row"),
        (np.where(table().y == "up", "gain", "loss"), "the column 'c' alone tells the target in every row"),
    ],
)
def test_columns_that_are_no_use_or_leak_are_named(run, tmp_path, column, note):
    table(c=column).to_csv(tmp_path / "t.csv", index=False)
    code, _, err = run("train", "t.csv", "--target", "y", *QUICK, "--output", "run")
    assert code == 0
    assert f"Note: {note}" in err
    assert any(
        note in sentence
        for sentence in json.loads((tmp_path / "run/summary.json").read_text())["data"]["notes"]
    )


def test_numbers_that_are_huge_infinite_or_missing(run, refused, tmp_path):
    frame = table()
    frame.loc[[3, 4, 5, 6], "a"] = [np.inf, -np.inf, 1e308, np.nan]
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert run("train", "t.csv", "--target", "y", *QUICK, "--output", "run")[0] == 0
    assert np.isfinite(fastnn.load(tmp_path / "run/model.safetensors").params).all()
    assert "'a' is missing" in refused("train", "t.csv", "--target", "a", *QUICK)
    table(y=1e300 * frame.b).to_csv(tmp_path / "t.csv", index=False)
    assert "values so large that their deviation overflows" in refused("train", "t.csv", "--target", "y")


def test_a_column_that_numbers_the_rows_is_no_class(run, tmp_path):
    table(y=np.arange(N)).to_csv(tmp_path / "t.csv", index=False)
    code, out, _ = run("train", "t.csv", "--target", "y", *QUICK, "--json")
    assert code == 0
    assert "test_r2" in json.loads(out)


NAMES = ["a \N{ROSE}, b", "<script>alert(1)</script>", 'line\nbreak "quoted"']


def test_names_of_any_letters(run, tmp_path):
    pytest.importorskip("jinja2")
    frame = table().set_axis(NAMES, axis=1)
    frame[NAMES[2]] = frame[NAMES[2]].map({"up": NAMES[1], "down": NAMES[0]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, _, err = run("train", "t.csv", "--target", NAMES[2], *QUICK, "--output", "run", "--report")
    assert code == 0, err
    page = (tmp_path / "run/report.html").read_text()
    assert "\N{ROSE}" in page
    assert "<script>alert" not in page
    assert run("predict", "run", "t.csv", "--proba", "--output", "p.csv")[0] == 0
    assert set(pandas.read_csv(tmp_path / "p.csv").columns) == {
        "prediction",
        f"p_{NAMES[0]}",
        f"p_{NAMES[1]}",
    }


# --- configurations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("c.toml", "source = 'iris'\nhiden = [3]\n", "Did you mean 'hidden'?"),
        ("c.toml", "source = 'iris'\nepochs = 'many'\n", "epochs: input should be a valid integer"),
        ("c.toml", "epochs = \n", "'c.toml' cannot be read: Invalid value (at line 1"),
        ("c.yaml", "hidden: [1\n", "'c.yaml' cannot be read: expected ',' or ']'"),
        ("c.yaml", "- 1\n- 2\n", "'c.yaml' holds no settings"),
        ("c.toml", "", "source is missing"),
        ("c.ini", "epochs = 3", "expected .toml, .yaml or .yml"),
    ],
)
def test_configuration_files(refused, tmp_path, name, text, sentence):
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    assert sentence in refused("train", "--config", name)


# --- runs and models ----------------------------------------------------------------------------------


def test_what_does_not_fit_a_model(run, refused, trained, tmp_path):
    table().to_csv(tmp_path / "lacking.csv", index=False)
    assert "the table lacks the column 'c', which the model was trained with" in refused(
        "predict", "run", "lacking.csv"
    )
    table(c="red").drop(columns="y").to_csv(tmp_path / "u.csv", index=False)
    assert "target must be one of a, b, c, got 'y'" in refused("evaluate", "run", "u.csv")
    frame = pandas.read_csv(tmp_path / "t.csv")
    frame.replace("up", "sideways").to_csv(tmp_path / "other.csv", index=False)
    assert "holds 'sideways', which it did not hold in training" in refused("evaluate", "run", "other.csv")
    frame.assign(a="text").to_csv(tmp_path / "text.csv", index=False)
    assert "'a' held numbers in training, but now text such as 'text'" in refused(
        "predict", "run", "text.csv"
    )
    assert "there is no folder 'none' to write 'p.csv' in" in refused(
        "predict", "run", "t.csv", "--output", "none/p.csv"
    )
    assert "expected .csv or .parquet" in refused("predict", "run", "t.csv", "--output", "p.txt")
    assert "there is no model file at" in refused("predict", "nothing", "t.csv")
    assert "'t.csv' is not a usable fastnn model" in refused("predict", "t.csv", "t.csv")


def test_categories_unseen_in_training_are_counted(run, trained, tmp_path):
    frame = pandas.read_csv(tmp_path / "t.csv")
    frame.loc[:6, "c"] = "green"
    frame.to_csv(tmp_path / "new.csv", index=False)
    for command in ("predict", "evaluate"):
        code, out, err = run(command, "run", "new.csv")
        assert code == 0
        assert "Categories unseen or rare in training: 7 of 'c'." in err
    assert out


@pytest.mark.parametrize(
    ("name", "content", "command", "sentence"),
    [
        ("model.safetensors", None, "predict", "'run/model.safetensors' is not a usable fastnn model"),
        ("model.safetensors", b"", "evaluate", "'run/model.safetensors' is not a usable fastnn model"),
        ("summary.json", b'{"a":', "report", "'run/summary.json' is damaged"),
        ("summary.json", b"{}", "report", "'run/summary.json' is damaged: it has no part 'data'"),
        ("history.json", None, "report", "'run/history.json' is damaged"),
        (
            "history.json",
            b'{"columns": {"epoch": [1], "cost": [1, 2]}}',
            "plot",
            "'run/history.json' is damaged",
        ),
        ("worst.json", None, "report", "'run/worst.json' is damaged"),
        ("test.csv", b"row,truth,prediction\n1,up\n", "plot", "'run/test.csv' is damaged"),
        ("config.toml", b"epochs = ", "train --resume", "'run/config.toml' cannot be read"),
    ],
)
def test_damaged_files_of_a_run(refused, trained, name, content, command, sentence):
    """None stands for the first half of what is there."""
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    path = trained / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    rows = ["t.csv"] if command in ("predict", "evaluate") else []
    assert sentence in refused(*command.split(), "run", *rows)


def test_a_run_that_was_broken_off(refused, trained):
    for name in ("model.safetensors", "summary.json", "history.json"):
        (trained / name).unlink()
    sentence = "was interrupted and has no model yet: continue with fastnn train --resume run"
    for arguments in (["predict", "run", "t.csv"], ["report", "run"], ["plot", "run"]):
        assert sentence in refused(*arguments)


def test_settings_that_a_run_cannot_go_on_with_leave_it_as_it_was(run, refused, trained):
    sentence = refused("train", "--resume", "run", "--epochs", "4", "--hidden", "9", "--quiet")
    assert "are of another training: net was MLP([4, 8, 2]" in sentence
    options = ["--resume", "run", "--quiet", "--no-pictures"]
    assert "All 2 epochs are done already: set --epochs higher" in run("train", *options)[2]
    code, _, err = run("train", *options, "--epochs", "4")
    assert code == 0
    assert "done already" not in err


# --- the machine --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_no_space_left(trained, tmp_path):
    """A limit on the size of files stands in for a full disk: what stood there before is whole afterwards."""
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)); sys.argv[0] = 'fastnn';"
        "import fastnn.app.cli; fastnn.app.cli.main()"
    )
    before = (tmp_path / "t.csv").read_bytes()
    for arguments in (
        ["predict", "run", "t.csv", "--keep", "--output", "t.csv"],
        ["train", "t.csv", "--target", "y", "--hidden", "300", *QUICK[2:], "--output", "other"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", limited, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 1, done.stderr
        assert "cannot be read or written: File too large." in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert (tmp_path / "t.csv").read_bytes() == before
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]  # half-written ones


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_what_a_signal_broke_off_goes_on_where_it_was(tmp_path, start, number, code):
    table().to_csv(tmp_path / "t.csv", index=False)
    options = ["--hidden", "8", "--quiet", "--no-pictures"]
    command = [sys.executable, "-m", "fastnn", "train"]
    process = start(
        [*command, "t.csv", "--target", "y", "--epochs", "10000000", *options, "-o", "run"], cwd=tmp_path
    )
    log = tmp_path / "run" / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count('"epoch"') > 3):
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    if number == signal.SIGINT:
        assert "continue with fastnn train --resume run" in err
    assert list((tmp_path / "run/checkpoints").glob("step-*.safetensors"))
    done = log.read_text().count('"event": "epoch"')
    for folder, more in (("run", ["--resume", "run"]), ("whole", ["t.csv", "--target", "y", "-o", "whole"])):
        arguments = [*command, *more, "--epochs", str(done + 2), *options]
        assert subprocess.run(arguments, cwd=tmp_path, capture_output=True).returncode == 0, folder
    models = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("run", "whole")]
    assert models[0] == models[1]
