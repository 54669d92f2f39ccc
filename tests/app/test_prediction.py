"""Predictions of a file as a table."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
import fastnn  # noqa: E402
from fastnn.app.prediction import predict_source, write_table  # noqa: E402
from fastnn.data import ArrayEncoder, TableEncoder, Target, TextEncoder  # noqa: E402


def model_of(encoder, rows):
    encoder.fit(rows)
    net = fastnn.MLP([len(encoder.feature_names), 4, 2], output="softmax", seed=0)
    return fastnn.Model(net, encoder, Target("kind").fit(["no", "yes"] * 3))


def test_columns_of_a_table_come_first(tmp_path):
    rows = pandas.DataFrame({"a": np.arange(6.0), "prediction": [1.5, 2.5] * 3})
    model = model_of(TableEncoder(), rows)
    rows.to_csv(tmp_path / "t.csv", index=False)
    frame = predict_source(model, str(tmp_path / "t.csv"), proba=True, keep=True)
    assert frame.columns.tolist() == ["a", "prediction", "prediction_of_model", "p_no", "p_yes"]
    assert frame.prediction_of_model.tolist() == model.predict(rows).tolist()
    assert predict_source(model, str(tmp_path / "t.csv")).columns.tolist() == ["prediction"]


def test_texts_come_first(tmp_path):
    texts = ["red apple", "green apple", "red car"]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    frame = predict_source(model_of(TextEncoder(min_count=1), texts), str(tmp_path / "t.txt"), keep=True)
    assert frame.columns.tolist() == ["text", "prediction"]
    assert frame.text.tolist() == texts


def test_arrays_have_no_columns(tmp_path):
    rows = np.arange(12.0).reshape(6, 2)
    np.savez(tmp_path / "t.npz", x=rows)
    model = model_of(ArrayEncoder(), rows)
    assert len(predict_source(model, str(tmp_path / "t.npz"))) == 6
    with pytest.raises(ValueError, match="keep is for tables, texts and image files"):
        predict_source(model, str(tmp_path / "t.npz"), keep=True)


def test_tables_are_written_by_their_ending(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"prediction": ["a", "b"]})
    for ending, read in ((".csv", pandas.read_csv), (".parquet", pandas.read_parquet)):
        write_table(frame, tmp_path / f"t{ending}")
        assert read(tmp_path / f"t{ending}").equals(frame)
    with pytest.raises(ValueError, match=r"has the ending '\.txt': expected \.csv or \.parquet"):
        write_table(frame, tmp_path / "t.txt")
