"""Encoders in ONNX files: against formulas of the encoders, and whole models."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from exchange.onnx_networks import N_ROWS, TOLERANCE, make, run
from fastnn.exchange import from_onnx, to_onnx

onnx = pytest.importorskip("onnx")


def with_rows(net, encoder, target=None):
    net.metadata = {"encoder": encoder} | ({"target": target} if target else {})
    return net


@pytest.mark.parametrize("kind", ["array", "images"])
def test_arrays_and_pictures(kind, dtype, rng):
    full = 255 if kind == "images" else 1
    mean, scale = rng.uniform(100, 130, 12) / full, rng.uniform(30, 80, 12) / full
    state = {"kind": kind, "dtype": dtype.name, "mean": mean.tolist(), "scale": scale.tolist()}
    state |= {"shape": [3, 4]} if kind == "array" else {"size": [3, 4], "mode": "L"}
    net = with_rows(make([12, 8, 3], output="softmax", dtype=dtype), state)
    rows = rng.integers(0, 256, (N_ROWS, 12)).astype(dtype)
    x = ((rows / full - mean) / scale).astype(dtype)
    expected = net.predict_raw(x)
    content = to_onnx(net)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(run(content, x=rows)["output"], expected, **close)
    # The scaling becomes part of the first layer.
    np.testing.assert_allclose(from_onnx(content).predict_raw(rows), expected, rtol=1e-4, atol=1e-5)
    plain = run(to_onnx(net, preprocessing=False), x=x)
    np.testing.assert_allclose(plain["output"], expected, **close)


def test_one_mean_for_all_pixels(rng):
    state = {
        "kind": "images",
        "dtype": "float32",
        "size": [2, 2],
        "mode": "RGB",
        "mean": 0.5,
        "scale": 0.25,
    }
    net = with_rows(make([12, 5, 2], output="softmax"), state)
    rows = rng.integers(0, 256, (50, 12)).astype(np.float32)
    found = run(to_onnx(net), x=rows)["output"]
    np.testing.assert_allclose(found, net.predict_raw((rows / 255 - 0.5) / 0.25), rtol=1e-5)


NUMBERS = [
    {"name": "age", "kind": "number", "fill": 40.0, "center": 38.0, "scale": 12.0, "indicator": True},
    {"name": "id", "kind": "ignore", "reason": "differs in every row"},
    {"name": "time", "kind": "number", "fill": 1.7e9, "center": 1.7e9, "scale": 50.0, "indicator": False},
    {"name": "fare", "kind": "number", "fill": 14.5, "center": 14.5, "scale": 0.5, "indicator": True},
]
CATEGORIES = [
    {"name": "town", "kind": "category", "encoding": "one_hot", "categories": ["Bonn", "Köln", None]},
    {
        "name": "code",
        "kind": "category",
        "encoding": "embedding",
        "categories": ["a", "b", "c", "d", None],
        "width": 2,
    },
]
NUMERIC_TARGET = {"name": "price", "task": "regression", "classes": None, "mean": [1000.0], "scale": [250.0]}


def number_features(columns, values):
    """What the encoder of tables does to columns of numbers."""
    features = []
    for column, given in zip(columns, values.T, strict=True):
        missing = ~np.isfinite(given)
        z = (np.where(missing, column["fill"], given) - column["center"]) / column["scale"]
        features.append(z / np.hypot(1, z / 3))
        if column["indicator"]:
            features.append(missing.astype(float))
    return np.stack(features, axis=1)


def number_rows(rng):
    rows = np.stack(
        [rng.uniform(0, 90, N_ROWS), 1.7e9 + rng.normal(0, 50, N_ROWS), rng.exponential(40, N_ROWS)], axis=1
    )
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:4] = np.array([np.inf, -np.inf, 1e300, -1e300])[:, np.newaxis]
    return rows


def test_tables_of_numbers(dtype, rng):
    numbers = [column for column in NUMBERS if column["kind"] == "number"]
    rows = number_rows(rng)
    x = number_features(numbers, rows)
    net = with_rows(
        make([5, 8, 1], "mish", dtype=dtype), {"kind": "table", "columns": NUMBERS}, NUMERIC_TARGET
    )
    content = to_onnx(net)
    found = run(content, x=rows)
    expected = net.predict_raw(x.astype(dtype)) * 250.0 + 1000.0
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"], expected, rtol=TOLERANCE[dtype])
    about = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert json.loads(about["feature_names"]) == ["age", "time", "fare"]
    assert about["target"] == "price"


def test_tables_with_categories(dtype, rng):
    columns = [NUMBERS[0], CATEGORIES[0], *NUMBERS[1:3], CATEGORIES[1], NUMBERS[3]]
    rows = number_rows(rng)
    towns = rng.choice(["Bonn", "Köln", "Rom", ""], N_ROWS)
    codes = rng.choice(["a", "b", "c", "d", "z", ""], N_ROWS)
    number = {label: k + 1 for k, label in enumerate("abcd")}
    x = np.hstack(
        [
            number_features(NUMBERS[:1], rows[:, :1]),
            (towns[:, np.newaxis] == ["Bonn", "Köln", ""]).astype(float),
            number_features(NUMBERS[2:3], rows[:, 1:2]),
            np.array([[number.get(code, 0)] for code in codes], float),
            number_features(NUMBERS[3:], rows[:, 2:]),
        ]
    ).astype(dtype)
    net = make([x.shape[1], 8, 3], output="softmax", embeddings={6: (5, 2)}, dtype=dtype)
    target = {
        "name": "kind",
        "task": "classification",
        "classes": ["x", "y", "z"],
        "mean": None,
        "scale": None,
    }
    model = SimpleNamespace(
        net=net,
        encoder=SimpleNamespace(to_dict=lambda: {"kind": "table", "columns": columns}),
        target=SimpleNamespace(to_dict=lambda: target),
    )
    given = {name: rows[:, [k]] for k, name in enumerate(["age", "time", "fare"])}
    text = {"town": towns[:, np.newaxis].astype(object), "code": codes[:, np.newaxis].astype(object)}
    found = run(to_onnx(model), **given, **text)
    np.testing.assert_allclose(
        found["output"], net.predict_raw(x), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )
    agree = found["label"] == np.array(["x", "y", "z"])[net.predict(x)]
    assert agree.mean() >= 0.998


def test_columns_that_are_called_as_outputs_are(rng):
    columns = [NUMBERS[0] | {"name": "output"}, CATEGORIES[0] | {"name": "label"}]
    net = with_rows(make([5, 4, 2], output="softmax"), {"kind": "table", "columns": columns})
    x = np.hstack([number_features(NUMBERS[:1], np.ones((3, 1))), np.tile([0.0, 1.0, 0.0], (3, 1))])
    found = run(to_onnx(net), output_column=np.ones((3, 1)), label_column=np.full((3, 1), "Köln", object))
    np.testing.assert_allclose(found["output"], net.predict_raw(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"kind": "text", "method": "tfidf", "vocabulary": ["a"], "idf": [1.0]}, "rows of kind 'text'"),
        (
            {"kind": "table", "columns": [NUMBERS[0], {"name": "when", "kind": "date"}]},
            "column 'when' is of kind 'date'",
        ),
        ({"kind": "table", "columns": [{"name": "note", "kind": "text"}]}, "column 'note' is of kind 'text'"),
        (
            {"kind": "table", "columns": [CATEGORIES[0] | {"categories": ["a", 7]}]},
            "column 'town' has .* such as 7",
        ),
    ],
)
def test_rows_that_onnx_cannot_encode(encoder, message):
    net = with_rows(fastnn.MLP([2, 3, 1], seed=0), encoder)
    with pytest.raises(ValueError, match=message) as caught:
        to_onnx(net)
    assert "preprocessing=False" in str(caught.value)
    assert to_onnx(net, preprocessing=False)


@pytest.fixture
def table(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "age": np.where(rng.random(N_ROWS) < 0.2, np.nan, rng.uniform(0, 90, N_ROWS)),
            "fare": rng.exponential(1e5, N_ROWS),
            "town": rng.choice(["Bonn", "Ulm", "Köln", None], N_ROWS),
            "post": rng.choice([f"p{k:03}" for k in range(70)], N_ROWS),
        }
    )
    unseen = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    unseen.loc[:50, ["age", "town", "post"]] = [np.inf, "Rom", "p999"]
    return frame, unseen


def model_of(rows, y, encoder):
    from fastnn.data import Target
    from fastnn.model import Model

    encoder, target = encoder.fit(rows), Target("y").fit(y)
    output = "softmax" if target.classes else "identity"
    net = make([len(encoder.feature_names), 12, target.n_out], output=output, embeddings=encoder.embeddings)
    return Model(net, encoder, target)


def test_a_model_of_a_table(table, tmp_path):
    from fastnn.data.tables.encoder import TableEncoder
    from fastnn.model import Model

    frame, unseen = table
    model = model_of(frame, np.where(frame["fare"] > 7e4, "high", "low"), TableEncoder())
    assert model.encoder.embeddings
    given = {name: unseen[[name]].to_numpy(float) for name in ("age", "fare")}
    text = {name: unseen[[name]].fillna("").to_numpy(object) for name in ("town", "post")}
    found = run(to_onnx(model), **given, **text)
    np.testing.assert_allclose(found["output"], model.predict_proba(unseen), rtol=1e-5, atol=1e-6)
    assert (found["label"] == model.predict(unseen)).mean() >= 0.998
    model.save(tmp_path / "model.safetensors")
    again = to_onnx(Model.load(tmp_path / "model.safetensors"))
    assert again == to_onnx(model) == to_onnx(fastnn.load(tmp_path / "model.safetensors"))


def test_a_model_of_numbers(table):
    from fastnn.data.tables.encoder import TableEncoder

    numbers = table[0][["age", "fare"]]
    model = model_of(numbers, 1e6 + 3 * numbers["fare"], TableEncoder())
    found = run(to_onnx(model), x=numbers.to_numpy())
    np.testing.assert_allclose(found["output"][:, 0], model.predict(numbers), rtol=1e-6)


@pytest.mark.parametrize("kind", ["array", "images"])
def test_a_model_of_pixels(kind, rng):
    pytest.importorskip("PIL")
    from fastnn.data import ArrayEncoder, ImageEncoder

    pixels = rng.integers(0, 256, (N_ROWS, 5, 4, 3)).astype(np.uint8)
    encoder = ArrayEncoder() if kind == "array" else ImageEncoder((5, 4), "RGB")
    model = model_of(pixels, rng.integers(3, 6, N_ROWS), encoder)
    found = run(to_onnx(model), x=pixels.reshape(N_ROWS, -1).astype(np.float32))
    np.testing.assert_allclose(found["output"], model.predict_proba(pixels), rtol=1e-5, atol=1e-6)
    assert (found["label"] == model.predict(pixels)).mean() >= 0.998
