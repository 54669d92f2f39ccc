"""Pictures of predictions: they show the counts, shares and values of the rows; wrong input is refused."""

import numpy as np
import pytest

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

from fastnn import plots  # noqa: E402
from fastnn.evaluation import wilson  # noqa: E402
from fastnn.plots.predictions import MOST_POINTS  # noqa: E402

TRUTH, PREDICTION = ["a", "a", "a", "b", "c"], ["a", "a", "b", "b", "a"]


@pytest.mark.parametrize("as_numbers", [False, True])
def test_confusion_matrix(as_numbers):
    pair = TRUTH, PREDICTION
    if as_numbers:
        pair = [["abc".index(label) for label in labels] for labels in pair]
    ax = plots.confusion_matrix(*pair, classes=["a", "b", "c"])
    shares = [[2 / 3, 1 / 3, 0], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(ax.get_images()[0].get_array(), shares)
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts == {(0, 0): "2", (1, 0): "1", (1, 1): "1", (0, 2): "1"}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.get_title("left") == "60 % correct; cells: rows"
    texts = [text.get_text() for text in plots.confusion_matrix(*pair, normalize=True).texts]
    assert texts == ["67", "33", "100", "100"]


def test_a_class_without_rows_has_its_place():
    ax = plots.confusion_matrix([0, 1], [0, 1], classes=[0, 1, 2])
    assert ax.get_images()[0].get_array().shape == (3, 3)


@pytest.mark.parametrize(("n", "side", "shown"), [(30, 9, True), (30, 2, False), (2, 2, True)])
def test_numbers_are_shown_while_they_fit(n, side, shown):
    _, ax = plt.subplots(figsize=(side, side), layout="constrained")
    plots.confusion_matrix(range(n), range(n), ax=ax)
    assert bool(ax.texts) == shown


def test_long_names_are_cut():
    names = ["a" * 40, "b"]
    ax = plots.confusion_matrix([0, 1], [0, 1], classes=names)
    assert ax.get_yticklabels()[0].get_text() == "a" * 15 + "…"


def test_calibration_of_two_classes():
    p = np.repeat([0.05, 0.35, 0.95], [10, 20, 70])
    truth = np.concatenate([np.zeros(10), np.repeat([0, 1], 10), np.repeat([0, 1], [14, 56])]).astype(int)
    ax = plots.calibration(truth, p)
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[0.05, 0], [0.35, 0.5], [0.95, 0.8]])
    error = 0.1 * 0.05 + 0.2 * 0.15 + 0.7 * 0.15  # Guo et al. (2017)
    assert ax.get_title("left") == f"expected calibration error {error:.3f}\n100 rows, at most 70 a bin"
    heights = np.array([bar.get_height() for bar in ax.patches])
    np.testing.assert_allclose(heights / heights.max() * 70, [10, 0, 0, 20, 0, 0, 0, 0, 0, 70])
    both = plots.calibration(truth, np.column_stack([1 - p, p]))
    np.testing.assert_allclose(both.get_lines()[1].get_xydata(), ax.get_lines()[1].get_xydata())
    assert plots.calibration(truth, p, classes=["no", "yes"]).get_xlabel().endswith("of yes")


def test_calibration_of_the_class_predicted():
    p = [[0.6, 0.2, 0.2], [0.1, 0.7, 0.2], [0.1, 0.3, 0.6], [0.0, 0.0, 1.0]]
    ax = plots.calibration(["u", "v", "u", "w"], p, classes=["u", "v", "w"], n_bins=2)
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[(0.6 + 0.7 + 0.6 + 1) / 4, 0.75]])


def test_a_sure_and_right_classifier_is_calibrated():
    assert (
        plots.calibration([0, 1], [0.0, 1.0]).get_title("left").startswith("expected calibration error 0.000")
    )


def test_bars_are_wilsons_intervals():
    p, truth = np.repeat([0.25, 0.75], [8, 12]), np.repeat([0, 1, 0, 1], [6, 2, 3, 9])
    (bars,) = plots.calibration(truth, p, n_bins=2).collections
    ends = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [wilson(2, 8), wilson(9, 12)])


def test_points_and_counts(rng):
    truth, prediction = rng.standard_normal((2, MOST_POINTS + 1))
    few = plots.predicted_against_true(truth[:9], prediction[:9])
    np.testing.assert_array_equal(few.collections[0].get_offsets(), np.column_stack([truth, prediction])[:9])
    assert few.get_xlim() == few.get_ylim()
    for function in (plots.predicted_against_true, plots.residuals):
        ax = function(truth, prediction)
        assert ax.collections[0].get_array().sum() == len(truth)  # hexagons count all rows
    few = plots.residuals(truth[:9], prediction[:9])
    np.testing.assert_array_equal(few.collections[0].get_offsets()[:, 1], (truth - prediction)[:9])


def test_line_of_residuals_shows_a_bias(rng):
    prediction = rng.uniform(0, 1, 400)
    ax = plots.residuals(prediction + prediction**2, prediction)
    x, y = ax.get_lines()[1].get_data()
    np.testing.assert_allclose(y, x**2, atol=0.02)


def test_one_value_only():
    ax = plots.predicted_against_true([2.0, 2.0], [2.0, 2.0])
    assert ax.get_title("left").startswith("R² nan")
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.confusion_matrix([0, 1], [0]), "truth has 2 rows and prediction has 1"),
        (
            lambda: plots.confusion_matrix(["x"], ["a"], classes=["a", "b"]),
            "truth holds 'x', which is not one of",
        ),
        (lambda: plots.confusion_matrix([], []), "truth is empty"),
        (lambda: plots.confusion_matrix(np.eye(3), [0]), r"truth must have shape \(n,\).*got \(3, 3\)"),
        (lambda: plots.calibration([0, 1], [0.5]), "truth has 2 rows and probabilities has 1"),
        (lambda: plots.calibration([0, 1], [0.5, 2.0]), r"probabilities must lie in \[0, 1\]"),
        (lambda: plots.calibration([0, 1], [0.5, np.nan]), r"probabilities must lie in \[0, 1\]"),
        (
            lambda: plots.calibration(["a", "b"], np.eye(3)[:2]),
            "probabilities have 3 classes, but there are 2",
        ),
        (lambda: plots.calibration([0], [0.5], n_bins=1), "n_bins must be at least 2"),
        (lambda: plots.predicted_against_true([0, 1], [0]), "truth has 2 rows and prediction has 1"),
        (lambda: plots.residuals([0, np.nan], [0, 1]), "truth has 1 values that are NaN or infinite"),
        (lambda: plots.residuals(["x"], [0]), "truth must be numeric, but it holds"),
        (lambda: plots.residuals(np.eye(2), np.eye(2)), "truth must have shape .* draw one output"),
    ],
)
def test_predictions_that_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert plt.get_fignums() == []
