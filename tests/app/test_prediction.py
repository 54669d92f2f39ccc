"""Predictions of a file as a table."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
import fastnn  # noqa: E402
from fastnn.app.prediction import predict_data, write_table  # noqa: E402
from fastnn.data import ArrayEncoder, TableEncoder, Target, TextEncoder, read_source  # noqa: E402


def model_of(encoder, rows):
    encoder.fit(rows)
    net = fastnn.MLP([len(encoder.feature_names), 4, 2], output="softmax", seed=0)
    return fastnn.Model(net, encoder, Target("kind").fit(["no", "yes"] * 3))


def test_columns_of_a_table_come_first(tmp_path):
    rows = pandas.DataFrame({"a": np.arange(6.0), "prediction": [1.5, 2.5] * 3})
    model = model_of(TableEncoder(), rows)
    rows.to_csv(tmp_path / "t.csv", index=False)
    data = read_source(tmp_path / "t.csv", labelled=False)
    frame = predict_data(model, data, proba=True, keep=True)
    assert frame.columns.tolist() == ["a", "prediction", "prediction_of_model", "p_no", "p_yes"]
    assert frame.prediction_of_model.tolist() == model.predict(rows).tolist()
    assert predict_data(model, data).columns.tolist() == ["prediction"]


def test_texts_come_first(tmp_path):
    texts = ["red apple", "green apple", "red car"]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    data = read_source(tmp_path / "t.txt", labelled=False)
    frame = predict_data(model_of(TextEncoder(min_count=1), texts), data, keep=True)
    assert frame.columns.tolist() == ["text", "prediction"]
    assert frame.text.tolist() == texts


def test_arrays_have_no_columns(tmp_path):
    rows = np.arange(12.0).reshape(6, 2)
    np.savez(tmp_path / "t.npz", x=rows)
    model = model_of(ArrayEncoder(), rows)
    data = read_source(tmp_path / "t.npz", labelled=False)
    assert len(predict_data(model, data)) == 6
    with pytest.raises(ValueError, match="keep is for tables, texts and image files"):
        predict_data(model, data, keep=True)


def test_tables_are_written_by_their_ending(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"prediction": ["a", "b"]})
    for ending, read in ((".csv", pandas.read_csv), (".parquet", pandas.read_parquet)):
        write_table(frame, tmp_path / f"t{ending}")
        assert read(tmp_path / f"t{ending}").equals(frame)
    with pytest.raises(ValueError, match=r"has the ending '\.txt': expected \.csv or \.parquet"):
        write_table(frame, tmp_path / "t.txt")


@pytest.mark.parametrize("raw", [False, True])
def test_predictions_start_no_formula(tmp_path, raw):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"@name": ["-x", "-5"], "prediction": ["=1+1", "+1"]})
    write_table(frame, tmp_path / "t.csv", raw=raw)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines == (
        ["@name,prediction", "-x,=1+1", "-5,+1"] if raw else ["'@name,prediction", "'-x,'=1+1", "-5,+1"]
    )
    assert read_source(tmp_path / "t.csv", target="prediction").y.tolist() == ["=1+1", "+1"]
    write_table(frame, tmp_path / "t.parquet", raw=raw)
    assert pandas.read_parquet(tmp_path / "t.parquet").equals(frame)
