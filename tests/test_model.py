"""A network with its encoder and target: raw rows in, answers out, one file."""

import numpy as np
import pytest

import fastnn
from fastnn import Model
from fastnn.data import ArrayEncoder, Target, TextEncoder

pytest.importorskip("sklearn")


def model_of(y, *, n_out, output, task=None, metadata=None):
    """An untrained model of arrays with 3 features."""
    rows = np.random.default_rng(0).standard_normal((len(y), 3))
    net = fastnn.MLP([3, 8, n_out], output=output, seed=0)
    net.metadata = metadata or {}
    return Model(net, ArrayEncoder().fit(rows), Target("size", task).fit(np.asarray(y))), rows


CLASSES = ["small", "large", "small", "huge", "large", "huge"]


def test_answers_are_the_most_probable_labels():
    model, rows = model_of(CLASSES, n_out=3, output="softmax")
    p = model.predict_proba(rows)
    assert p.shape == (6, 3)
    assert np.allclose(p.sum(axis=1), 1)
    assert model.predict(rows).tolist() == [["huge", "large", "small"][k] for k in p.argmax(axis=1)]


def test_one_output_tells_two_classes():
    model, rows = model_of(["no", "yes", "no"], n_out=1, output="sigmoid")
    p = model.predict_proba(rows)
    assert np.allclose(p.sum(axis=1), 1)
    assert model.predict(rows).tolist() == [["no", "yes"][int(q > 0.5)] for q in p[:, 1]]
    margin, rows = model_of(["no", "yes", "no"], n_out=1, output="identity")
    z = margin.net.predict_raw(margin.encoder.transform(rows))[:, 0]
    assert margin.predict(rows).tolist() == [["no", "yes"][int(value > 0)] for value in z]
    assert not margin.gives_probabilities
    with pytest.raises(ValueError, match="gives no probabilities"):
        margin.predict_frame(rows, proba=True)


def test_values_are_in_the_targets_unit():
    y = np.array([1000.5, 1400.0, 1200.0])
    model, rows = model_of(y, n_out=1, output="identity")
    raw = model.net.predict_raw(model.encoder.transform(rows))[:, 0]
    assert np.allclose(model.predict(rows), raw * y.std() + y.mean())
    with pytest.raises(ValueError, match="'size' is a quantity"):
        model.predict_proba(rows)


def test_columns_of_predictions_have_names():
    model, rows = model_of(CLASSES, n_out=3, output="softmax")
    assert model.predict_frame(rows).columns.tolist() == ["prediction"]
    names = ["prediction", "p_huge", "p_large", "p_small"]
    assert model.predict_frame(rows, proba=True).columns.tolist() == names

    y = np.arange(6.0) + 0.5
    quantiles, rows = model_of(y, n_out=3, output="identity", metadata={"levels": [0.1, 0.4, 0.9]})
    frame = quantiles.predict_frame(rows)
    assert frame.columns.tolist() == ["prediction", "q_0.1", "q_0.4", "q_0.9"]
    assert (frame.prediction == frame["q_0.4"]).all()

    several, rows = model_of(np.c_[y, -y], n_out=2, output="identity")
    assert several.predict_frame(rows).columns.tolist() == ["prediction_size_0", "prediction_size_1"]
    several.target.name = "height, width"
    assert several.predict_frame(rows).columns.tolist() == ["prediction_height", "prediction_width"]


def test_a_file_gives_the_same_answers(tmp_path):
    for y, n_out, output in ((CLASSES, 3, "softmax"), (np.arange(6.0) + 0.5, 1, "identity")):
        model, rows = model_of(y, n_out=n_out, output=output)
        model.save(tmp_path / "m.safetensors")
        again = Model.load(tmp_path / "m.safetensors")
        assert np.array_equal(again.predict(rows), model.predict(rows))
        assert again.target.to_dict() == model.target.to_dict()


def test_saving_leaves_the_network_as_it_was(tmp_path):
    model, _ = model_of(CLASSES, n_out=3, output="softmax", metadata={"about": "sizes"})
    own = model.net.metadata
    model.save(tmp_path / "m.safetensors")
    assert model.net.metadata is own
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.save(tmp_path / "none" / "m.safetensors")
    assert model.net.metadata is own
    assert own == {"about": "sizes"}
    assert Model.load(tmp_path / "m.safetensors").net.metadata["about"] == "sizes"


def test_texts_go_in_as_they_are(tmp_path):
    texts = ["red apple", "green apple", "red car", "fast car"] * 5
    encoder = TextEncoder(min_count=1).fit(texts)
    net = fastnn.MLP([len(encoder.feature_names), 4, 2], output="softmax", seed=0)
    model = Model(net, encoder, Target("kind").fit(["fruit", "fruit", "car", "car"] * 5))
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(Model.load(tmp_path / "m.safetensors").predict(texts), model.predict(texts))


def test_scores_have_intervals():
    model, rows = model_of(CLASSES, n_out=3, output="softmax")
    scores = model.evaluate(rows, model.predict(rows))
    assert scores["accuracy"]["value"] == 1
    assert scores["accuracy"]["low"] < 1
    with pytest.raises(ValueError, match="'tiny', which it did not hold in training"):
        model.evaluate(rows, ["tiny"] * 6)


def test_what_is_no_model_is_refused(tmp_path):
    fastnn.MLP([2, 2], seed=0).save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="holds a network without encoders"):
        Model.load(tmp_path / "net.safetensors")
    with pytest.raises(FileNotFoundError, match="no model file"):
        Model.load(tmp_path / "none.safetensors")
    net = fastnn.MLP([2, 2], seed=0)
    net.metadata = {"encoder": {"kind": "smell"}, "target": {}}
    net.save(tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match="encoder is of kind 'smell'"):
        Model.load(tmp_path / "odd.safetensors")
    net.metadata = {"encoder": {"kind": "array"}, "target": {}}
    net.save(tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match="is not a usable fastnn model"):
        Model.load(tmp_path / "odd.safetensors")
