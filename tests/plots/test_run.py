"""The pictures of a run: which there are, what they say in words, and their files."""

import pytest

from plots.samples import write_run

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

import fastnn  # noqa: E402
from fastnn import plots  # noqa: E402


def image_net(**encoder):
    net = fastnn.MLP([64, 9, 2], output="softmax", seed=0)
    net.metadata = {"encoder": encoder}
    return net


def test_pictures_of_a_classifier(tmp_path):
    net = image_net(kind="array", dtype="float32", shape=[8, 8], mean=[0.0] * 64, scale=[1.0] * 64)
    pictures = {picture.name: picture for picture in plots.run_pictures(write_run(tmp_path, net=net))}
    names = ["cost", "accuracy", "learning_rate", "confusion_matrix", "calibration", "first_layer_weights"]
    assert list(pictures) == names
    assert pictures["cost"].alt == (
        "Training cost falls from 1.2 to 0.03 in 3 epochs; validation cost is lowest, 0.11, at epoch 2, "
        "and 0.2 at the end; the weights of epoch 2 were restored."
    )
    assert pictures["learning_rate"].alt == "Learning rate falls from 0.1 to 0.01 in 3 epochs."
    assert pictures["confusion_matrix"].alt == (
        "2 of 4 test rows are predicted correctly; "
        "the most frequent mistake is dog predicted as cat (2 times)."
    )
    assert "the expected calibration error is 0.375." in pictures["calibration"].alt
    assert "9 of the 9 units" in pictures["first_layer_weights"].alt


def test_pictures_of_a_regression(tmp_path):
    pictures = {picture.name: picture for picture in plots.run_pictures(write_run(tmp_path, "regression"))}
    assert list(pictures) == ["cost", "r2", "learning_rate", "predicted_against_true", "residuals"]
    assert "R² is 0.893, the mean absolute error 0.333." in pictures["predicted_against_true"].alt


@pytest.mark.parametrize(
    ("encoder", "drawn"),
    [
        ({"kind": "images", "size": [8, 8], "mode": "L"}, True),
        ({"kind": "images", "size": [4, 4], "mode": "RGB"}, False),
        ({"kind": "array", "shape": [64]}, False),
        ({"kind": "table", "columns": []}, False),
        ({}, False),
    ],
)
def test_weights_are_drawn_where_features_are_pixels(tmp_path, encoder, drawn):
    pictures = plots.run_pictures(write_run(tmp_path, net=image_net(**encoder)))
    assert (pictures[-1].name == "first_layer_weights") == drawn


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_pictures_are_saved(tmp_path, task):
    pillow = pytest.importorskip("PIL.Image")
    write_run(tmp_path, task)
    paths = plots.save_pictures(tmp_path)
    assert paths == [tmp_path / "pictures" / f"{p.name}.png" for p in plots.run_pictures(tmp_path)]
    assert sorted(paths) == sorted((tmp_path / "pictures").iterdir())  # nothing is left beside
    for path in paths:
        image = pillow.open(path)
        assert image.size[0] > 500
        assert image.info["Description"]
    assert plots.save_pictures(tmp_path) == paths
    assert plt.get_fignums() == []


def test_a_run_without_test_rows_and_model(tmp_path):
    write_run(tmp_path)
    (tmp_path / "test.csv").write_text("row,truth,prediction,loss\n")
    assert [picture.name for picture in plots.run_pictures(tmp_path)] == ["cost", "accuracy", "learning_rate"]
    (tmp_path / "test.csv").unlink()
    assert len(plots.run_pictures(tmp_path)) == 3


def test_labels_that_are_no_class(tmp_path):
    """What a test file says is drawn, whatever the summary knows."""
    write_run(tmp_path)
    (tmp_path / "test.csv").write_text("row,truth,prediction,loss\n0,cat,cat,0\n1,emu,cat,1\n")
    picture = plots.run_pictures(tmp_path)[-1]
    assert picture.name == "confusion_matrix"
    labels = [label.get_text() for label in picture.draw(None).get_yticklabels()]
    assert labels == ["cat", "dog", "emu"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("history.json", "{", "history.json' is damaged"),
        ("history.json", "[]", "history.json' is damaged: expected a JSON object."),
        ("history.json", "{}", "history.json' is damaged: history must be"),
        ("summary.json", "nothing", "summary.json' is damaged"),
        ("test.csv", "", "test.csv' is damaged: it has no column truth, only none"),
        (
            "test.csv",
            "row,truth\n1,2\n",
            "test.csv' is damaged: it has no column prediction, only row, truth",
        ),
        ("test.csv", "truth,prediction\n1,2\n3\n", "test.csv' is damaged: its lines have different numbers"),
        (
            "test.csv",
            "truth,prediction,p_cat,p_dog\ncat,cat,x,1\n",
            "test.csv' is damaged: could not convert",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    write_run(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        plots.run_pictures(tmp_path)


def test_what_is_no_run(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no history.json in .*: expected the folder of a finished run"
    ):
        plots.save_pictures(tmp_path)
    assert list(tmp_path.iterdir()) == []
