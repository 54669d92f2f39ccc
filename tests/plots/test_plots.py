"""Pictures: what is drawn is what was given, the Axes are the caller's, wrong input is refused in words."""

import io
import json
import re
import sys

import numpy as np
import pytest

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

import fastnn  # noqa: E402
from fastnn.history import Epoch, History  # noqa: E402
from fastnn.plots import plots  # noqa: E402
from fastnn.training.recording import RecordBoundary, RecordHistograms  # noqa: E402

rng = np.random.default_rng(0)
MOONS = rng.standard_normal((60, 2))
SIDES = (MOONS[:, 0] * MOONS[:, 1] > 0).astype(int)


@pytest.fixture(autouse=True)
def _no_figures():
    plt.switch_backend("agg")
    plt.close("all")
    yield
    plt.close("all")


def make_history(costs=(1.0, 0.5, 0.4), val_costs=(1.1, 0.6, 0.7), best_epoch=None, lrs=None):
    history = History("accuracy")
    for n, (cost, val_cost) in enumerate(zip(costs, val_costs, strict=True), 1):
        lr = 0.1 if lrs is None else lrs[n - 1]
        history.epochs.append(Epoch(n, cost, n / 10, val_cost, n / 20, 0.1, 1e4, lr, {"val_f1": n / 30}))
    history.best_epoch = best_epoch
    return history


@pytest.fixture(scope="module")
def net():
    net = fastnn.MLP([2, 8, 2], "tanh", seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.02), seed=0)
    trainer.fit(MOONS, SIDES, epochs=30, verbose=0)
    return net


@pytest.fixture(scope="module")
def recorders():
    boundary, histograms = RecordBoundary(MOONS, every=2, resolution=9), RecordHistograms(MOONS, SIDES)
    net = fastnn.MLP([2, 8, 8, 1], "relu", seed=0)
    trainer = fastnn.Trainer(net, loss="binary_cross_entropy", seed=0)
    trainer.fit(MOONS, SIDES, epochs=4, callbacks=[boundary, histograms], verbose=0)
    return boundary, histograms


@pytest.fixture
def draw(net, recorders):
    """Every picture by its name, as a function of `ax`."""
    y = np.arange(40) % 4
    p = np.random.default_rng(0).dirichlet(np.ones(4), 40)
    values = np.random.default_rng(1).standard_normal((2, 5000))
    return {
        "learning_curve": lambda ax: plots.learning_curve(make_history(), ax=ax),
        "confusion_matrix": lambda ax: plots.confusion_matrix(y, p.argmax(axis=1), ax=ax),
        "calibration": lambda ax: plots.calibration(y, p, ax=ax),
        "predicted_against_true": lambda ax: plots.predicted_against_true(*values[:, :50], ax=ax),
        "predicted_against_true, dense": lambda ax: plots.predicted_against_true(*values, ax=ax),
        "residuals": lambda ax: plots.residuals(*values[:, :500], ax=ax),
        "decision_boundary": lambda ax: plots.decision_boundary(net, MOONS, SIDES, ax=ax, resolution=9),
        "histograms": lambda ax: plots.histograms(recorders[1], ax=ax),
        "histograms of a layer": lambda ax: plots.histograms(recorders[1], "activations", layer=0, ax=ax),
        "first_layer_weights": lambda ax: plots.first_layer_weights(net, (1, 2), ax=ax),
        "permutation_importance": lambda ax: plots.permutation_importance(net, MOONS, SIDES, ax=ax),
    }


NAMES = (
    *("learning_curve", "confusion_matrix", "calibration", "predicted_against_true", "residuals"),
    *("predicted_against_true, dense", "decision_boundary", "histograms", "histograms of a layer"),
    *("first_layer_weights", "permutation_importance"),
)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", NAMES)
def test_axes_are_the_callers(name, style, draw):
    """No other figure is made, and the picture can be drawn, light and dark, twice into the same Axes."""
    with plt.style.context(style):
        before = dict(plt.rcParams)
        figure, ax = plt.subplots(figsize=(3, 2.5), layout="constrained")
        assert draw[name](ax) is ax
        assert plt.get_fignums() == [figure.number]
        ax.clear()
        assert draw[name](ax) is ax
        figure.savefig(io.BytesIO())
        assert dict(plt.rcParams) == before


@pytest.mark.parametrize("name", NAMES)
def test_one_figure_is_made_where_none_is_given(name, draw):
    ax = draw[name](None)
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.savefig(io.BytesIO())


@pytest.mark.parametrize("name", NAMES)
def test_all_text_is_within_the_figure(name, draw):
    """Also of a small one."""
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    draw[name](ax)
    figure.canvas.draw()
    inside, page = ax.get_tightbbox(), figure.bbox
    assert min(inside.x0, inside.y0, page.x1 - inside.x1, page.y1 - inside.y1) > -2


# --- learning curves --------------------------------------------------------------------------------


def lines_of(ax):
    return {
        line.get_label(): line.get_xydata().tolist() for line in ax.get_lines() if line.get_label()[0] != "_"
    }


@pytest.mark.parametrize("form", ["history", "columns", "file"])
def test_curves_are_the_figures(form):
    history = make_history()
    given = {
        "history": history,
        "columns": history.to_dict(),
        "file": {"metric_name": "accuracy", "best_epoch": None, "columns": history.to_dict()},
    }[form]
    ax = plots.learning_curve(given)
    assert lines_of(ax) == {
        "training": [[1, 1.0], [2, 0.5], [3, 0.4]],
        "validation": [[1, 1.1], [2, 0.6], [3, 0.7]],
    }
    assert ax.get_title("left") == "best: 0.6, epoch 2"
    assert {"training", "validation"} < {text.get_text() for text in ax.texts}
    metric = plots.learning_curve(given, "metric")
    assert metric.get_ylabel() == ("metric" if form == "columns" else "accuracy")
    assert metric.get_title("left") == "best: 0.15, epoch 3"


@pytest.mark.parametrize(("figure", "values"), [("lr", [0.1] * 3), ("val_f1", [1 / 30, 2 / 30, 3 / 30])])
def test_other_figures(figure, values):
    ax = plots.learning_curve(make_history(), figure)
    assert list(lines_of(ax).values()) == [[[n, v] for n, v in enumerate(values, 1)]]
    assert ax.get_title("left") == ""


def test_the_metric_by_its_name():
    assert plots.learning_curve(make_history(), "accuracy").get_ylabel() == "accuracy"


def test_restored_epoch_is_the_best():
    assert plots.learning_curve(make_history(best_epoch=3)).get_title("left") == "kept: 0.7, epoch 3"


@pytest.mark.parametrize("costs", [(1.0, 0.5, 0.4), (100.0, 10.0, 1.0)])
def test_names_stand_where_lines_end(costs):
    ax = plots.learning_curve(make_history(costs, 2 * np.array(costs)))
    ax.figure.canvas.draw()
    names = [text for text in ax.texts if text.get_text() in ("training", "validation")]
    centres = {}
    for text in names:
        box = text.get_window_extent()
        centres[text.get_text()] = (box.y0 + box.y1) / 2
    for line in ax.get_lines()[:2]:
        end = ax.transData.transform(line.get_xydata()[-1])[1]
        assert abs(centres[line.get_label()] - end) < 15
    assert centres["validation"] - centres["training"] > 10


def test_names_of_columns_stand_where_medians_end(recorders):
    ax = plots.histograms(recorders[1], layer=1)
    ax.figure.canvas.draw()
    box = ax.texts[-1].get_window_extent()
    end = ax.transData.transform(ax.get_lines()[0].get_xydata()[-1])[1]
    assert abs((box.y0 + box.y1) / 2 - end) < 15


def test_one_epoch_is_a_point():
    ax = plots.learning_curve(make_history([1.0], [2.0]))
    assert ax.get_lines()[0].get_marker() == "o"


@pytest.mark.parametrize(
    ("costs", "scale"), [((100, 10, 1), "log"), ((3, 2, 1), "linear"), ((100, 1, -1), "linear")]
)
def test_logarithmic_where_figures_span_decades(costs, scale):
    assert plots.learning_curve(make_history(costs, costs)).get_yscale() == scale


def test_figures_that_are_missing_leave_gaps():
    ax = plots.learning_curve({"epoch": [1, 2, 3], "cost": [1.0, None, float("inf")], "val_cost": [None] * 3})
    assert ax.get_lines()[0].get_ydata()[0] == 1.0
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("history", "figure", "error", "message"),
    [
        (make_history(), "val_costs", ValueError, "figure must be one of .* Did you mean 'val_cost'?"),
        (History("r2"), "cost", ValueError, "the history is empty"),
        ([1, 2], "cost", TypeError, "history must be a fastnn.History .* got list"),
        ({"columns": {}}, "cost", TypeError, "got dict"),
    ],
)
def test_curves_that_are_refused(history, figure, error, message):
    with pytest.raises(error, match=message):
        plots.learning_curve(history, figure)
    assert plt.get_fignums() == []


# --- predictions ------------------------------------------------------------------------------------

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
    assert ax.get_title("left") == "60 % right; numbers are rows"
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


def test_points_and_counts(rng):
    truth, prediction = rng.standard_normal((2, plots.DENSE + 1))
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
            "truth holds 'x', which is none of",
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
        (lambda: plots.residuals(["x"], [0]), "truth must hold numbers"),
        (lambda: plots.residuals(np.eye(2), np.eye(2)), "truth must have shape .* draw one output"),
    ],
)
def test_predictions_that_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert plt.get_fignums() == []


# --- what was learnt --------------------------------------------------------------------------------


def test_boundary_is_where_the_function_says():
    def predict(x):
        return np.where(x[:, 0] > 0.25, "right", "left")

    x = np.array([[-1, -1], [1, 1]])
    ax = plots.decision_boundary(predict, x, ["left", "right"], resolution=25)
    image = ax.get_images()[0].get_array()
    across = np.linspace(*ax.get_images()[0].get_extent()[:2], 25)
    is_right = np.isclose(image[..., :3], plt.matplotlib.colors.to_rgb(plots.VERMILLION)).all(axis=-1)
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
    p = one.predict_proba(plots.grid_points(*plots.plane(MOONS, 9)))[:, 1]
    image = plots.decision_boundary(one, MOONS, SIDES, resolution=9).get_images()[0].get_array()
    is_second = np.isclose(image[..., 0], plt.matplotlib.colors.to_rgb(plots.VERMILLION)[0])
    np.testing.assert_array_equal(is_second.ravel(), p > 0.5)
    ax = plots.decision_boundary(lambda x: x.sum(axis=1), MOONS, MOONS.sum(axis=1), resolution=9)
    heights = ax.get_images()[0].get_array()
    np.testing.assert_allclose(heights, plots.grid_points(*plots.plane(MOONS, 9)).sum(axis=1).reshape(9, 9))
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


def test_ridges_and_columns(recorders):
    recorder = recorders[1]
    ax = plots.histograms(recorder)
    assert [label.get_text() for label in ax.get_yticklabels()] == recorder.names
    assert ax.get_title("left") == "filled: epoch 4; line: epoch 0"
    for depth, line in enumerate(ax.get_lines()):
        first, (x, y) = recorder.gradients[0][depth], line.get_data()
        np.testing.assert_allclose(np.unique(x), first.edges)
        np.testing.assert_allclose((y[1:-1:2] - depth) / 0.85 * first.counts.max(), first.counts, atol=1e-9)
    zeros = plots.histograms(recorder, "activations").texts
    last = recorder.activations[-1][0]
    assert zeros[0].get_text() == f"{100 * last.n_zero / (8 * 60):.0f} % are 0"
    ax = plots.histograms(recorder, layer=-1)
    assert len(ax.collections) == len(recorder.epochs)
    assert ax.get_title("left") == "layer 2 (sigmoid)"


def test_of_many_epochs_some_are_drawn(recorders, monkeypatch):
    monkeypatch.setattr(plots, "COLUMNS", 3)
    ax = plots.histograms(recorders[1], layer=0)
    assert ax.get_lines()[0].get_xdata().tolist() == [0, 2, 4]


def test_weights_as_images():
    net = fastnn.MLP([6, 5, 2], seed=0)
    ax = plots.first_layer_weights(net, (2, 3), n=3)
    sheet = ax.get_images()[0].get_array().filled(np.nan)
    assert sheet.shape == (5, 7)
    for k, (top, left) in enumerate([(0, 0), (0, 4), (3, 0)]):
        np.testing.assert_array_equal(
            sheet[top : top + 2, left : left + 3], net.weights[0][:, k].reshape(2, 3)
        )
    assert np.isnan(sheet[3:, 4:]).all()
    norm = ax.get_images()[0].norm
    assert norm.vmin == -norm.vmax
    colour = fastnn.MLP([12, 1], seed=0)
    image = plots.first_layer_weights(colour, (2, 2, 3)).get_images()[0].get_array()
    largest = np.unravel_index(np.argmax(colour.weights[0]), (2, 2, 3))
    assert image[largest] == image[..., :3].max()


class SumModel:
    """As fastnn.Model: raw rows in, values out."""

    def __init__(self, task):
        self.target = type("Target", (), {"task": task})()

    def predict(self, rows):
        values = 3 * rows["b"] + rows["a"]
        return values if self.target.task == "regression" else (values > 0).map({True: "yes", False: "no"})


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_importance_of_a_data_frames_columns(task, rng):
    pandas = pytest.importorskip("pandas")
    rows, model = pandas.DataFrame(rng.standard_normal((200, 3)), columns=list("abc")), SumModel(task)
    ax = plots.permutation_importance(model, rows, model.predict(rows).to_numpy(), n_repeats=3)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c", "a", "b"]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths[0] == 0 < widths[1] < widths[2]


def test_importance_is_scikit_learns(net):
    inspection = pytest.importorskip("sklearn.inspection")
    model = fastnn.MLPRegressor(max_iter=3, random_state=0, hidden_layer_sizes=(4,))
    with pytest.warns(UserWarning, match="not converged"):
        model.fit(MOONS, MOONS[:, 0])
    ref = inspection.permutation_importance(model, MOONS, MOONS[:, 0], n_repeats=4, random_state=7)
    ax = plots.permutation_importance(model, MOONS, MOONS[:, 0], names=["u", "v"], n_repeats=4, seed=7)
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], np.sort(ref.importances_mean))


def test_of_many_features_those_that_matter_most(rng):
    net = fastnn.MLP([40, 1], output="identity", init=[np.arange(40.0)[:, np.newaxis]])
    x = rng.standard_normal((100, 40))
    ax = plots.permutation_importance(net, x, net.predict(x), n_repeats=2)
    assert len(ax.patches) == 20
    assert ax.get_yticklabels()[-1].get_text() in {f"feature {k}" for k in range(36, 40)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n, r: plots.decision_boundary(n, np.zeros((3, 3))), ValueError, "x must have 2 features"),
        (
            lambda n, r: plots.decision_boundary(fastnn.MLP([5, 2]), MOONS),
            ValueError,
            "needs a network of 2 features, but it takes 5",
        ),
        (lambda n, r: plots.decision_boundary(n, MOONS, [0]), ValueError, "x has 60 rows and y has 1"),
        (
            lambda n, r: plots.decision_boundary("net", MOONS),
            TypeError,
            "needs a network, an estimator or a func",
        ),
        (
            lambda n, r: plots.decision_boundary(lambda x: [1.0], MOONS),
            ValueError,
            "gave 1 values for 40000 rows",
        ),
        (
            lambda n, r: plots.boundary_animation(n, MOONS),
            TypeError,
            "recorder must be a RecordBoundary, got MLP",
        ),
        (
            lambda n, r: plots.boundary_animation(RecordBoundary(MOONS), MOONS),
            ValueError,
            "has recorded nothing",
        ),
        (lambda n, r: plots.histograms(n), TypeError, "recorder must be a RecordHistograms, got MLP"),
        (lambda n, r: plots.histograms(RecordHistograms(MOONS, SIDES)), ValueError, "has recorded nothing"),
        (lambda n, r: plots.histograms(r, "gradient"), ValueError, "Did you mean 'gradients'?"),
        (lambda n, r: plots.histograms(r, layer=3), ValueError, "layer must be a number from -3 to 2, got 3"),
        (
            lambda n, r: plots.first_layer_weights(n, (2, 2)),
            ValueError,
            r"takes 2 features, but .* \(2, 2\) has 4",
        ),
        (lambda n, r: plots.first_layer_weights(n, (2,)), ValueError, r"shape must be \(height, width\)"),
        (
            lambda n, r: plots.first_layer_weights("net", (1, 2)),
            TypeError,
            "net must be a fastnn.MLP, got str",
        ),
        (
            lambda n, r: plots.permutation_importance(3, MOONS, SIDES),
            TypeError,
            "expected an estimator.* got int",
        ),
        (lambda n, r: plots.permutation_importance(n, MOONS, [1]), ValueError, "x has 60 rows and y has 1"),
        (
            lambda n, r: plots.permutation_importance(n, MOONS, SIDES, names=["a"]),
            ValueError,
            "names has 1 entries, but x has 2 features",
        ),
        (
            lambda n, r: plots.permutation_importance(n, [1, 2], [1, 2]),
            ValueError,
            "x must have 2 dimensions",
        ),
    ],
)
def test_what_is_refused(call, error, message, net, recorders):
    with pytest.raises(error, match=message):
        call(net, recorders[1])
    assert plt.get_fignums() == []


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'this needs matplotlib: pip install "fastnn\[plots\]"'):
        plots.learning_curve(make_history())


def test_importing_it_does_not_import_matplotlib(run_python):
    code = "import fastnn.plots, fastnn.training.recording, sys\n"
    code += "print({'matplotlib', 'sklearn'} & set(sys.modules))"
    assert run_python(code).stdout == "set()\n"


# --- a run's pictures -------------------------------------------------------------------------------


def write_run(folder, task="classification", net=None):
    history = make_history((1.2, 0.3, 0.03), (1.3, 0.11, 0.2), best_epoch=2, lrs=(0.1, 0.05, 0.01))
    about = {"metric_name": "accuracy" if task == "classification" else "r2", "best_epoch": 2}
    (folder / "history.json").write_text(json.dumps(about | {"columns": history.to_dict()}))
    classes = ["cat", "dog"] if task == "classification" else None
    (folder / "summary.json").write_text(json.dumps({"data": {"task": task, "classes": classes}}))
    if task == "classification":
        rows = ["cat,cat,0.1,0.9,0.1", "dog,cat,0.9,0.6,0.4", "dog,dog,0.2,0.2,0.8", "dog,cat,0.9,0.6,0.4"]
        lines = ["row,truth,prediction,loss,p_cat,p_dog", *(f"{k},{row}" for k, row in enumerate(rows))]
    else:
        lines = ["row,truth,prediction,loss", "0,1.0,1.5,0.25", "1,2.0,2.0,0.0", "2,4.0,3.5,0.25"]
    (folder / "test.csv").write_text("\n".join(lines) + "\n")
    if net is not None:
        net.save(folder / "model.safetensors")
    return folder


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
        "and 0.2 at the end; the weights of epoch 2 were kept."
    )
    assert pictures["learning_rate"].alt == "Learning rate falls from 0.1 to 0.01 in 3 epochs."
    assert pictures["confusion_matrix"].alt == (
        "2 of 4 test rows are predicted right; the commonest mistake is to take dog for cat (2 times)."
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


def test_a_penalty_is_told_of(tmp_path):
    """Else a cost of training far above that of validation is a riddle."""
    write_run(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"training": {"l2": 0.1}}))
    assert plots.run_pictures(tmp_path)[0].title == "Cost over training, of training with the penalty"


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
        ("history.json", "[]", "history.json' is damaged: expected a JSON object"),
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
    with pytest.raises(FileNotFoundError, match="is not a run's folder: there is no history"):
        plots.save_pictures(tmp_path)
    assert list(tmp_path.iterdir()) == []
