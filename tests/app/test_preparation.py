"""From a configuration to encoded rows: which part is learned from, and what is streamed."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pandas")
from fastnn.app import preparation
from fastnn.app.preparation import prepare


def test_parts_are_disjoint_and_whole(table, config_of):
    prepared = prepare(config_of(test=0.25, validation=0.2))
    numbers = [part.numbers for part in (prepared.train, prepared.validation, prepared.test)]
    assert [len(part) for part in numbers] == [120, 30, 50]
    assert np.array_equal(np.sort(np.concatenate(numbers)), np.arange(200))
    assert (prepared.test.labels == table.y.to_numpy()[prepared.test.numbers]).all()


def test_nothing_is_learnt_from_other_rows_than_those_to_train_on(table, config_of):
    before = prepare(config_of())
    others = np.concatenate([before.validation.numbers, before.test.numbers])
    table.loc[others, ["a", "b"]] = 1e6
    table.loc[others, "who"] = "nobody"
    table.to_csv("table.csv", index=False)
    after = prepare(config_of())
    assert after.encoder.to_dict() == before.encoder.to_dict()
    assert np.array_equal(after.train.x, before.train.x)


def test_the_scale_of_a_regression_is_of_the_training_rows(table, config_of):
    before = prepare(config_of(target="a", task="regression"))
    table.loc[before.test.numbers, "a"] = 1e6
    table.to_csv("table.csv", index=False)
    after = prepare(config_of(target="a", task="regression"))
    assert after.target.to_dict() == before.target.to_dict()


def test_groups_stay_together_and_are_no_feature(table, config_of):
    prepared = prepare(config_of(group="who"))
    who = table.who.to_numpy()
    parts = [set(who[part.numbers]) for part in (prepared.train, prepared.validation, prepared.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 6
    assert not any("who" in name for name in prepared.encoder.feature_names)


def test_the_latest_rows_are_tested(table, config_of):
    prepared = prepare(config_of(time="day"))
    days = table.day.to_numpy()
    train, validation, test = (days[p.numbers] for p in (prepared.train, prepared.validation, prepared.test))
    assert train.max() < validation.min()
    assert validation.max() < test.min()


def test_counts_keep_their_unit(table, config_of):
    rng = np.random.default_rng(0)
    table["y"] = rng.poisson(np.exp(table.a)) + 0.0
    table.to_csv("table.csv", index=False)
    prepared = prepare(config_of(task="regression", loss="poisson"))
    assert np.array_equal(prepared.train.y[:, 0], prepared.train.labels)


@pytest.mark.parametrize(("memory", "is_streamed"), [(10**9, False), (10**3, True), (None, False)])
def test_files_that_are_large_for_the_memory_are_streamed(table, config_of, monkeypatch, memory, is_streamed):
    pytest.importorskip("pyarrow")
    table.to_parquet("table.parquet")
    monkeypatch.setattr(preparation, "memory_bytes", lambda: memory)
    prepared = prepare(config_of(source="table.parquet"))
    assert (prepared.train.stream is not None) == is_streamed
    assert prepare(config_of(source="table.parquet", stream=False)).train.stream is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 8}, "image_size and image_mode are for images, but 'table.csv' is of kind 'table'"),
        ({"source": "iris", "target": None, "columns": {"a": "date"}}, "columns are for tables"),
        ({"source": "iris", "target": None, "group": "a"}, "group names a column, but 'iris' is not a table"),
        ({"group": "who", "time": "day"}, "group and time cannot be combined"),
        ({"stream": True, "group": "who"}, "group cannot be combined with a stream"),
        ({"stream": True, "drop_missing": True}, "drop_missing cannot be combined with a stream"),
        ({"stream": True, "target": None}, "--target must name the column of 'table.csv'"),
        ({"stream": True, "drop": ["B"]}, "drop must be one of .* Did you mean 'b'"),
    ],
)
def test_settings_that_cannot_be_combined(table, config_of, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(config_of(**settings))


def test_columns_of_a_stream_can_be_left_out(table, config_of):
    prepared = prepare(config_of(stream=True, drop=["day", "who"]))
    assert prepared.encoder.feature_names == ["a", "b"]
    assert (prepared.n_in, prepared.n_out) == (2, 2)


def test_outputs_of_a_network(table, config_of):
    assert prepare(config_of(loss="binary_cross_entropy")).n_out == 1
    several = prepare(config_of(target="a", quantiles=[0.1, 0.9]))
    assert (several.n_out, several.levels) == (2, [0.1, 0.9])
    one = prepare(config_of(target="a", quantiles=[0.1]))
    assert (one.n_out, one.levels) == (1, None)


@pytest.mark.parametrize(
    ("kind", "settings", "encoder"),
    [
        ("table", {"columns": {"a": "text"}}, "TableEncoder"),
        ("text", {"text_method": "bag"}, "TextEncoder"),
        ("images", {"image_size": 8, "image_mode": "grey"}, "ImageEncoder"),
        ("array", {}, "ArrayEncoder"),
    ],
)
def test_each_kind_has_its_encoder(config_of, kind, settings, encoder):
    dataset = SimpleNamespace(kind=kind, feature_names=None)
    made = preparation.make_encoder(config_of(dtype="float64", **settings), dataset)
    assert (type(made).__name__, made.dtype) == (encoder, np.float64)
