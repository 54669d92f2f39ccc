"""From a configuration to a run's folder: what is learnt from which rows, and what is written down."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pandas = pytest.importorskip("pandas")
import fastnn  # noqa: E402
from fastnn.app import runs  # noqa: E402
from fastnn.app.config import make_config  # noqa: E402
from fastnn.app.preparation import make_model, prepare  # noqa: E402


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table in the current folder: two numbers, a group, a day, and what they tell."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 200
    frame = pandas.DataFrame({"a": rng.standard_normal(n), "b": rng.standard_normal(n)})
    frame["who"] = rng.choice(list("uvwxyz"), n)
    frame["day"] = pandas.date_range("2024-01-01", periods=n)[rng.permutation(n)].strftime("%Y-%m-%d")
    frame["y"] = np.where(frame.a + frame.b > 0, "up", "down")
    frame.to_csv("table.csv", index=False)
    return frame


def config_of(**settings):
    given = {"source": "table.csv", "target": "y", "hidden": [8], "epochs": 3} | settings
    return make_config(**given)


def test_parts_are_disjoint_and_whole(table):
    prepared = prepare(config_of(test=0.25, validation=0.2))
    numbers = [part.numbers for part in (prepared.train, prepared.validation, prepared.test)]
    assert [len(part) for part in numbers] == [120, 30, 50]
    assert np.array_equal(np.sort(np.concatenate(numbers)), np.arange(200))
    assert (prepared.test.labels == table.y.to_numpy()[prepared.test.numbers]).all()


def test_nothing_is_learnt_from_other_rows_than_those_to_train_on(table):
    before = prepare(config_of())
    others = np.concatenate([before.validation.numbers, before.test.numbers])
    table.loc[others, ["a", "b"]] = 1e6
    table.loc[others, "who"] = "nobody"
    table.to_csv("table.csv", index=False)
    after = prepare(config_of())
    assert after.encoder.to_dict() == before.encoder.to_dict()
    assert np.array_equal(after.train.x, before.train.x)


def test_the_scale_of_a_regression_is_of_the_training_rows(table):
    before = prepare(config_of(target="a", task="regression"))
    table.loc[before.test.numbers, "a"] = 1e6
    table.to_csv("table.csv", index=False)
    after = prepare(config_of(target="a", task="regression"))
    assert after.target.to_dict() == before.target.to_dict()


def test_groups_stay_together_and_are_no_feature(table):
    prepared = prepare(config_of(group="who"))
    who = table.who.to_numpy()
    parts = [set(who[part.numbers]) for part in (prepared.train, prepared.validation, prepared.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 6
    assert not any("who" in name for name in prepared.encoder.feature_names)


def test_the_latest_rows_are_tested(table):
    prepared = prepare(config_of(time="day"))
    days = table.day.to_numpy()
    train, validation, test = (days[p.numbers] for p in (prepared.train, prepared.validation, prepared.test))
    assert train.max() < validation.min()
    assert validation.max() < test.min()


def test_what_a_run_writes_down(table):
    run, history = runs.train(config_of(), verbose=0)
    assert run.folder.as_posix() == "runs/table-1"
    summary = run.summary
    assert summary["data"]["rows"] == {"train": 144, "validation": 16, "test": 40}
    assert summary["data"]["classes"] == ["down", "up"]
    assert sum(summary["data"]["target_counts"].values()) == 144
    assert summary["training"]["epochs"] == len(history) == 3
    test = pandas.read_csv(run.folder / "test.csv")
    assert test.columns.tolist() == ["row", "truth", "prediction", "p_down", "p_up", "loss"]
    accuracy = (test.truth == test.prediction).mean()
    assert summary["test"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert test.truth.tolist() == table.y[test.row].tolist()
    worst = json.loads((run.folder / "worst.json").read_text())
    assert [entry["row"] for entry in worst] == test.sort_values("loss", ascending=False).row[:20].tolist()
    assert worst[0]["values"]["a"] == str(table.a[worst[0]["row"]])
    # The model takes rows as they stand in the file.
    answers = run.model.predict(table.loc[test.row].drop(columns="y"))
    assert answers.tolist() == test.prediction.tolist()


def test_the_command_trains_the_same(table, capsys):
    from fastnn.app.cli import app

    config = config_of(columns={"who": "ignore"}, drop=["day"], residual=True, hidden=[8, 8], l2=0.0)
    run, _ = runs.train(config, verbose=0)
    words = run.summary["command"].split()
    assert words[:2] == ["fastnn", "train"]
    with pytest.raises(SystemExit):
        app([*words[1:], "--output", "again", "--quiet", "--no-pictures"])
    assert runs.Run("again").config == config
    assert (run.folder / "model.safetensors").read_bytes() == Path("again/model.safetensors").read_bytes()


def test_a_stream_trains_as_rows_in_memory_do(table):
    pytest.importorskip("pyarrow")
    wide = pandas.concat([table.drop(columns="day")] * 20, ignore_index=True)
    wide["a"] += 0.01 * np.random.default_rng(1).standard_normal(len(wide))
    wide["y"] = np.where(wide.a + wide.b > 0, "up", "down")
    for k in range(2):
        Path("parts").mkdir(exist_ok=True)
        wide[k::2].to_parquet(f"parts/{k}.parquet")
    run, history = runs.train(config_of(source="parts", epochs=8, l2=0.0), verbose=0)
    assert run.summary["test"]["accuracy"]["value"] > 0.93
    assert history.epochs[-1].val_metric > 0.93
    rows = run.summary["data"]["rows"]
    assert sum(rows.values()) == 4000
    test = pandas.read_csv(run.folder / "test.csv")
    files = pandas.concat([wide[0::2], wide[1::2]], ignore_index=True)
    assert test.truth.tolist() == files.y[test.row].tolist()
    assert run.model.predict(wide[:5]).shape == (5,)
    with pytest.raises(ValueError, match="does not go with a stream"):
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
        run, _ = runs.train(make_config(source=source, hidden=[8], epochs=20, lr=0.05, l2=0.0), verbose=0)
        assert run.summary["data"]["kind"] == kind
        if kind != "array":
            assert run.summary["test"]["accuracy"]["value"] == 1.0
        assert sum(run.summary["data"]["rows"].values()) == 40
    # Arrays are streamed if that is asked for.
    run, _ = runs.train(make_config(source="arrays", hidden=[8], epochs=2, stream=True), verbose=0)
    assert "stay in their files" in run.summary["data"]["notes"][0]


def test_nothing_is_left_behind_where_nothing_came_of_it(table, tmp_path):
    for settings in ({"lr": 1e30, "optimizer": "sgd"}, {"metrics": ["acuracy"]}, {"target": "x"}):
        with pytest.raises((ValueError, fastnn.DivergenceError)):
            runs.train(config_of(**settings), verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_divergence_keeps_the_last_finite_weights(table, monkeypatch):
    config = config_of(epochs=5)
    prepared = prepare(config)

    class Spoil(fastnn.Callback):
        def on_epoch_end(self, trainer, epoch):
            if epoch.epoch == 2:
                trainer.lr = 1e30

    original = runs.JsonLog
    monkeypatch.setattr(
        runs, "JsonLog", lambda path: fastnn.training.callbacks.CallbackList([original(path), Spoil()])
    )
    with pytest.raises(fastnn.DivergenceError):
        runs.train(config, "run", verbose=0)
    model = fastnn.Model.load("run/model.safetensors")
    assert np.isfinite(model.net.params).all()
    assert len(model.predict(prepared.test.rows)) == 40


def test_settings_reach_network_and_trainer(table):
    config = config_of(
        hidden=[8, 8], activation=["tanh"], dropout=0.1, norm="layer", residual=True, ema=0.9, clip_norm=2.0,
        optimizer="adamw", lr=0.01, weight_decay=0.1, schedule="cosine", label_smoothing=0.1, balanced=True,
        batch_size=0, dtype="float64",
    )  # fmt: skip
    model, trainer = make_model(config, prepare(config))
    assert [activation.name for activation in model.net.activations] == ["tanh", "tanh"]
    assert (model.net.dropout, model.net.norm) == ((0.1, 0.1), ("layer", "layer"))
    assert model.net.residual == (False, True)
    assert trainer.optimizer == fastnn.AdamW(lr=0.01, weight_decay=0.1)
    assert (trainer.clip_norm, trainer.class_weight, trainer.batch_size) == (2.0, "balanced", None)
    assert trainer.average == fastnn.EMA(0.9)
    assert trainer.loss.parameters["label_smoothing"] == 0.1
    assert type(trainer.schedule).__name__ == "Cosine"


def test_counts_keep_their_unit(table):
    rng = np.random.default_rng(0)
    table["y"] = rng.poisson(np.exp(table.a)) + 0.0
    table.to_csv("table.csv", index=False)
    prepared = prepare(config_of(task="regression", loss="poisson"))
    assert np.array_equal(prepared.train.y[:, 0], prepared.train.labels)


def test_numpy_numbers_and_what_is_not_finite_can_be_written():
    assert json.loads(runs._json({1: np.float32(0.5), "b": [np.nan, np.arange(2)]})) == {
        "1": 0.5,
        "b": [None, [0, 1]],
    }


def test_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder of a run"):
        runs.Run(tmp_path)
