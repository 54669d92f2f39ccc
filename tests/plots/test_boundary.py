"""Decision boundaries: they are where the network says, still and moving."""

import re

import numpy as np
import pytest

from plots.samples import MOONS, SIDES

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

import fastnn  # noqa: E402
from fastnn import plots  # noqa: E402
from fastnn.plots.style import VERMILLION  # noqa: E402
from fastnn.training.recording import RecordBoundary, grid_axes, grid_points  # noqa: E402


def test_boundary_is_where_the_function_says():
    def predict(x):
        return np.where(x[:, 0] > 0.25, "right", "left")

    x = np.array([[-1, -1], [1, 1]])
    ax = plots.decision_boundary(predict, x, ["left", "right"], resolution=25)
    image = ax.get_images()[0].get_array()
    across = np.linspace(*ax.get_images()[0].get_extent()[:2], 25)
    is_right = np.isclose(image[..., :3], plt.matplotlib.colors.to_rgb(VERMILLION)).all(axis=-1)
    np.testing.assert_array_equal(is_right, np.tile(across > 0.25, (25, 1)))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["left", "right"]


def test_boundary_of_networks_and_estimators(net):
    image = plots.decision_boundary(net, MOONS, SIDES, resolution=20).get_images()[0].get_array()
    by_function = plots.decision_boundary(net.predict_proba, MOONS, SIDES, resolution=20)
    np.testing.assert_allclose(by_function.get_images()[0].get_array(), image)
    model = fastnn.MLPClassifier(max_iter=5, random_state=0, solver="sgd", hidden_layer_sizes=(4,))
    with pytest.warns(UserWarning, match="not converged"):
        model.fit(MOONS, np.where(SIDES, "even", "odd"))
    ax = plots.decision_boundary(model, MOONS, np.where(SIDES, "even", "odd"), resolution=20)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["even", "odd"]


def test_boundary_of_one_probability_and_of_numbers(rng):
    one = fastnn.MLP([2, 4, 1], "tanh", output="sigmoid", seed=0)
    p = one.predict_proba(grid_points(*grid_axes(MOONS, 9)))[:, 1]
    image = plots.decision_boundary(one, MOONS, SIDES, resolution=9).get_images()[0].get_array()
    is_second = np.isclose(image[..., 0], plt.matplotlib.colors.to_rgb(VERMILLION)[0])
    np.testing.assert_array_equal(is_second.ravel(), p > 0.5)
    ax = plots.decision_boundary(lambda x: x.sum(axis=1), MOONS, MOONS.sum(axis=1), resolution=9)
    heights = ax.get_images()[0].get_array()
    np.testing.assert_allclose(heights, grid_points(*grid_axes(MOONS, 9)).sum(axis=1).reshape(9, 9))
    flat = plots.decision_boundary(
        lambda x: np.zeros(len(x)), MOONS, resolution=9
    )  # of which there is no line
    flat.figure.canvas.draw()


@pytest.mark.parametrize("ending", ["gif", "html"])
def test_animation_has_a_frame_for_every_record(recorders, tmp_path, ending):
    recorder = recorders[0]
    animation = plots.boundary_animation(recorder, MOONS, SIDES)
    assert plt.get_fignums() == [animation._fig.number]
    if ending == "html":
        text = animation.to_jshtml()
        assert len(re.findall(r"frames\[\d+\] = ", text)) == len(recorder.epochs) == 3
        return
    pillow = pytest.importorskip("PIL.Image")
    animation.save(tmp_path / "boundary.gif", writer="pillow")
    assert pillow.open(tmp_path / "boundary.gif").n_frames == 3
    assert animation._fig.axes[0].get_title("left") == "epoch 4"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: plots.decision_boundary(n, np.zeros((3, 3))), ValueError, "x must have 2 features"),
        (
            lambda n: plots.decision_boundary(fastnn.MLP([5, 2]), MOONS),
            ValueError,
            "needs a network of 2 features, but it takes 5",
        ),
        (lambda n: plots.decision_boundary(n, MOONS, [0]), ValueError, "x has 60 rows and y has 1"),
        (
            lambda n: plots.decision_boundary("net", MOONS),
            TypeError,
            "needs a network, an estimator or a func",
        ),
        (
            lambda n: plots.decision_boundary(lambda x: [1.0], MOONS),
            ValueError,
            "returned 1 values for 40000 rows",
        ),
        (
            lambda n: plots.boundary_animation(n, MOONS),
            TypeError,
            "recorder must be a RecordBoundary, got MLP",
        ),
        (
            lambda n: plots.boundary_animation(RecordBoundary(MOONS), MOONS),
            ValueError,
            "has recorded nothing",
        ),
    ],
)
def test_what_is_refused(call, error, message, net):
    with pytest.raises(error, match=message):
        call(net)
    assert plt.get_fignums() == []
