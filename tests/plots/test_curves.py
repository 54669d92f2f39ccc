"""Learning curves: they are the figures of the history, in all its forms."""

import numpy as np
import pytest

from plots.samples import make_history

plt = pytest.importorskip("matplotlib.pyplot")

from fastnn import plots  # noqa: E402
from fastnn.history import History  # noqa: E402


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
    assert plots.learning_curve(make_history(best_epoch=3)).get_title("left") == "restored: 0.7, epoch 3"


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
