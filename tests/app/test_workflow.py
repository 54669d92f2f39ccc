"""Training from settings to a folder: in memory, from streams, and what is left where it fails."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pandas = pytest.importorskip("pandas")
import fastnn  # noqa: E402
from fastnn.app import runs, workflow  # noqa: E402
from fastnn.app.config import make_config  # noqa: E402
from fastnn.app.preparation import prepare  # noqa: E402


def test_the_command_trains_the_same(table, capsys, config_of):
    from fastnn.app.cli import app

    config = config_of(columns={"who": "ignore"}, drop=["day"], residual=True, hidden=[8, 8], l2=0.0)
    run, _ = workflow.train(config, verbose=0)
    words = run.summary["command"].split()
    assert words[:2] == ["fastnn", "train"]
    with pytest.raises(SystemExit):
        app([*words[1:], "--output", "again", "--quiet", "--no-pictures"])
    assert runs.Run("again").config == config
    assert (run.folder / "model.safetensors").read_bytes() == Path("again/model.safetensors").read_bytes()


def test_a_stream_trains_as_rows_in_memory_do(table, config_of):
    pytest.importorskip("pyarrow")
    wide = pandas.concat([table.drop(columns="day")] * 20, ignore_index=True)
    wide["a"] += 0.01 * np.random.default_rng(1).standard_normal(len(wide))
    wide["y"] = np.where(wide.a + wide.b > 0, "up", "down")
    for k in range(2):
        Path("parts").mkdir(exist_ok=True)
        wide[k::2].to_parquet(f"parts/{k}.parquet")
    run, history = workflow.train(config_of(source="parts", epochs=8, l2=0.0), verbose=0)
    assert run.summary["test"]["accuracy"]["value"] > 0.93
    assert history.epochs[-1].val_metric > 0.93
    rows = run.summary["data"]["rows"]
    assert sum(rows.values()) == 4000
    test = pandas.read_csv(run.folder / "test.csv")
    files = pandas.concat([wide[0::2], wide[1::2]], ignore_index=True)
    assert test.truth.tolist() == files.y[test.row].tolist()
    assert run.model.predict(wide[:5]).shape == (5,)
    with pytest.raises(ValueError, match="cannot be combined with a stream"):
        prepare(config_of(source="parts", group="who"))


def test_folders_of_images_texts_and_arrays_are_no_streams(table):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for k in range(20):
        for label in ("dark", "light"):
            pixels = rng.integers(0, 100, (6, 6)) + 150 * (label == "light")
            Path("images", label).mkdir(parents=True, exist_ok=True)
            image.fromarray(pixels.astype("u1")).save(f"images/{label}/{k}.png")
            Path("texts", label).mkdir(parents=True, exist_ok=True)
            Path(f"texts/{label}/{k}.txt").write_text(f"it is {label} and so on")
    Path("arrays").mkdir()
    np.save("arrays/x.npy", rng.standard_normal((40, 3)))
    np.save("arrays/y.npy", np.arange(40) % 2)
    for source, kind in (("images", "images"), ("texts", "text"), ("arrays", "array")):
        run, _ = workflow.train(make_config(source=source, hidden=[8], epochs=20, lr=0.05, l2=0.0), verbose=0)
        assert run.summary["data"]["kind"] == kind
        if kind != "array":
            assert run.summary["test"]["accuracy"]["value"] == 1.0
        assert sum(run.summary["data"]["rows"].values()) == 40
    # Arrays are streamed if that is asked for.
    run, _ = workflow.train(make_config(source="arrays", hidden=[8], epochs=2, stream=True), verbose=0)
    assert "stay in their files" in run.summary["data"]["notes"][0]


def test_nothing_is_left_behind_where_nothing_came_of_it(table, tmp_path, config_of):
    for settings in ({"lr": 1e30, "optimizer": "sgd"}, {"metrics": ["acuracy"]}, {"target": "x"}):
        with pytest.raises((ValueError, fastnn.DivergenceError)):
            workflow.train(config_of(**settings), verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_divergence_keeps_the_last_finite_weights(table, monkeypatch, config_of):
    config = config_of(epochs=5)
    prepared = prepare(config)

    class Spoil(fastnn.Callback):
        def on_epoch_end(self, trainer, epoch):
            if epoch.epoch == 2:
                trainer.lr = 1e30

    original = workflow.JsonLog
    monkeypatch.setattr(
        workflow, "JsonLog", lambda path: fastnn.training.callbacks.CallbackList([original(path), Spoil()])
    )
    with pytest.raises(fastnn.DivergenceError):
        workflow.train(config, "run", verbose=0)
    model = fastnn.Model.load("run/model.safetensors")
    assert np.isfinite(model.net.params).all()
    assert len(model.predict(prepared.test.rows)) == 40


def test_an_empty_folder_stays_empty_where_nothing_came_of_it(table, config_of, tmp_path):
    (tmp_path / "run").mkdir()
    for _ in range(2):  # the second is not told of a run that is there already
        with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
            workflow.train(config_of(metrics=["acuracy"]), "run", verbose=0)
    assert not list((tmp_path / "run").iterdir())


def test_resuming_needs_a_run(table, config_of, tmp_path):
    with pytest.raises(ValueError, match="resume needs the folder of the run"):
        workflow.train(config_of(), resume=True, verbose=0)
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        workflow.train(config_of(), "none", resume=True, verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_begin_sees_all_that_is_ready(table, config_of):
    seen = []
    _, history = workflow.train(
        config_of(), verbose=0, begin=lambda prepared, trainer: seen.append((prepared, trainer))
    )
    [(prepared, trainer)] = seen
    assert prepared.train.n == 144
    assert trainer.history is history
