"""A network with its encoder and target: raw rows in, answers out, one file."""

import contextlib
import json

import numpy as np
import pytest

import fastnn
from fastnn import Model
from fastnn.data import ArrayEncoder, ImageEncoder, TableEncoder, Target, TextEncoder

pytest.importorskip("sklearn")
pandas = pytest.importorskip("pandas")


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


def test_the_folder_of_a_run_is_loaded_too(tmp_path):
    model, rows = model_of(CLASSES, n_out=3, output="softmax")
    with pytest.raises(FileNotFoundError, match="there is no model file in the folder"):
        Model.load(tmp_path)
    (tmp_path / "config.toml").write_text('source = "iris"')
    with pytest.raises(FileNotFoundError, match="continue with fastnn train --resume"):
        Model.load(str(tmp_path))
    model.save(tmp_path / "model.safetensors")
    for path in (tmp_path, str(tmp_path), f"{tmp_path}/", tmp_path / "model.safetensors"):
        assert Model.load(path).predict(rows).tolist() == model.predict(rows).tolist()


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


def kinds_of_rows():
    """An encoder of each kind, fitted on six rows, and those rows."""
    from fastnn.data.images import ImageEncoder
    from fastnn.data.tables.encoder import TableEncoder

    pandas = pytest.importorskip("pandas")
    numbers = np.random.default_rng(0).standard_normal((6, 3, 3))
    table = pandas.DataFrame({"size": numbers[:, 0, 0], "kind": list("aabbab"), "day": pandas.Timestamp(0)})
    yield ArrayEncoder(), numbers
    yield TableEncoder(), table
    yield TextEncoder(), ["one two", "two three", "one three"] * 2
    yield ImageEncoder(), numbers


def test_answers_for_no_rows_are_none():
    for encoder, rows in kinds_of_rows():
        n_in = encoder.fit(rows).transform(rows).shape[1]
        for y, task, output in ((CLASSES, None, "softmax"), (np.arange(6.0), "regression", None)):
            target = Target("size", task).fit(np.asarray(y))
            model = Model(fastnn.MLP([n_in, 3 if output else 1], output=output, seed=0), encoder, target)
            assert model.predict(rows).shape == (6,)
            assert model.predict(rows[:0]).shape == (0,)
            assert len(model.predict_frame(rows[:0])) == 0
        with pytest.raises(ValueError, match=r"no (rows|texts|images)|empty"):
            encoder.fit(rows[:0])


# --- headers made by someone else -------------------------------------------------------------------------

JUNK = (
    None,
    True,
    -1,
    0,
    7,
    10**30,
    0.5,
    -1e300,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    [],
    [[]],
    {},
)


def table_model():
    """A model with each kind of column, and rows."""
    g = np.random.default_rng(0)
    many = [f"c{k}" for k in g.integers(0, 40, 120)]
    columns = {
        "number": np.where(g.random(120) < 0.1, np.nan, g.standard_normal(120)),
        "date": pandas.date_range("2020", periods=120, freq="37h").astype(str),
        "few": g.choice(["red", "green", None], 120),
        "many": many,
        "constant": ["same"] * 120,
    }
    return with_encoder(TableEncoder(columns={"many": "embedding"}), pandas.DataFrame(columns))


def text_columns_model():
    """A model with a column of free text."""
    texts = [f"a quick {k} brown fox over dog number {7 * k}" for k in range(120)]
    return with_encoder(TableEncoder(), pandas.DataFrame({"text": texts, "number": np.arange(120) * 0.5}))


def with_encoder(encoder, rows, y=None):
    x = encoder.fit(rows).transform(rows)
    target = Target("answer").fit(np.resize(["no", "yes", "maybe"], len(rows)) if y is None else y)
    net = fastnn.MLP([x.shape[1], 4, target.n_out], embeddings=encoder.embeddings, output="softmax", seed=0)
    return Model(net, encoder, target), rows


NUMBERS = np.random.default_rng(0).standard_normal((30, 2, 2))
MODELS = {
    "table": table_model,
    "free text": text_columns_model,
    "array": lambda: with_encoder(ArrayEncoder(), NUMBERS),
    "named array": lambda: with_encoder(ArrayEncoder(feature_names=[*"abcd"]), NUMBERS, NUMBERS[:, 0]),
    "text": lambda: with_encoder(TextEncoder(min_count=1), ["red apple", "green car", "red car"] * 5),
    "images": lambda: with_encoder(ImageEncoder(size=2), np.zeros((9, 4, 4, 3), np.uint8)),
}


def changes_of(entry, path=()):
    """Paths to all entries of a record, but of long lists only to a few."""
    yield path
    if isinstance(entry, dict):
        for name, value in entry.items():
            yield from changes_of(value, (*path, name))
    elif isinstance(entry, list):
        for k in range(len(entry)) if path[-1] == "columns" else sorted({*range(len(entry))} & {0, 3}):
            yield from changes_of(entry[k], (*path, k))


def changed(record, path, value):
    """A copy of a record with another value at a path; Ellipsis removes the entry."""
    if not path:
        return value
    copy = record.copy()
    if value is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("kind", MODELS)
def test_a_changed_header_is_refused_at_load_or_predicts(kind):
    model, rows = MODELS[kind]()
    metadata = {"encoder": model.encoder.to_dict(), "target": model.target.to_dict()}
    metadata = json.loads(json.dumps(metadata))
    ref = model.predict(rows)
    assert np.array_equal(Model._of(model.net, metadata).predict(rows), ref)
    n_refused = 0
    for path in [path for path in changes_of(metadata) if len(path) > 1]:
        for value in (..., *JUNK):
            try:
                comp = Model._of(model.net, changed(metadata, path, value))
            except ValueError:
                n_refused += 1
                continue
            # Rows of another model: it takes other ones, or its features of these are infinite.
            is_other = path[-1] in ("name", "shape", "form") or {"mean", "scale"} & {*path}
            refusal = contextlib.suppress(ValueError) if is_other else contextlib.nullcontext()
            with refusal, np.errstate(over="ignore"):
                assert len(comp.predict(rows)) == len(ref), (path, value)
    assert n_refused > 100


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoder": 5}, "its encoder is of kind None"),
        ({"target": 5}, "target must be an object with named entries, got 5"),
        ({"levels": [0.1, 0.9]}, "metadata.levels must have an entry for each of the 3 outputs"),
        ({"levels": "abc"}, "metadata.levels must be a list, got 'abc'"),
    ],
)
def test_the_reason_names_file_and_entry(tmp_path, change, reason):
    model, _ = model_of(CLASSES, n_out=3, output="softmax")
    path = tmp_path / "m.safetensors"
    encoders = {"encoder": model.encoder.to_dict(), "target": model.target.to_dict()}
    model.net.metadata = encoders | change
    model.net.save(path)
    with pytest.raises(ValueError, match=f"m.safetensors' is not a usable fastnn model: {reason}"):
        Model.load(path)


def test_parts_that_do_not_fit_together_are_neither_saved_nor_loaded(tmp_path):
    model, _ = model_of(CLASSES, n_out=3, output="softmax")
    for part, reason in (
        ({"net": fastnn.MLP([4, 3], seed=0)}, "its encoder makes 3 features, but its network takes 4"),
        ({"net": fastnn.MLP([3, 2], seed=0)}, "its target needs 3 outputs, but its network has 2"),
        ({"net": fastnn.MLP([3, 3], embeddings={0: (2, 1)}, seed=0)}, "categories of the embedded column 0"),
    ):
        odd = Model(**{"net": model.net, "encoder": model.encoder, "target": model.target} | part)
        with pytest.raises(ValueError, match=reason):
            odd.save(tmp_path / "m.safetensors")
        odd.net.metadata = {"encoder": model.encoder.to_dict(), "target": model.target.to_dict()}
        odd.net.save(tmp_path / "m.safetensors")
        with pytest.raises(ValueError, match=reason):
            Model.load(tmp_path / "m.safetensors")


def test_truth_is_read_as_labels_were_in_training():
    model, rows = model_of(CLASSES, n_out=3, output="softmax")
    truth = [f" {label} " for label in model.predict(rows)]
    assert model.evaluate(rows, truth)["accuracy"]["value"] == 1
