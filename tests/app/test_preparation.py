"""From a configuration to encoded rows: which part is learned from, and what is streamed."""

import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pandas")
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
