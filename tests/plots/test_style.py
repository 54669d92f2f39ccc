"""All pictures: the Axes are the caller's, text stays within the figure, light and dark."""

import io
import itertools
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from plots.samples import MOONS, SIDES, make_history

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

import fastnn  # noqa: E402
from fastnn import plots  # noqa: E402
from fastnn.plots import style  # noqa: E402


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


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'this needs matplotlib: pip install "fastnn-core\[plots\]"'):
        plots.learning_curve(make_history())


def test_importing_it_does_not_import_matplotlib(run_python):
    code = "import fastnn.plots, fastnn.training.recording, sys\n"
    code += "print({'matplotlib', 'sklearn'} & set(sys.modules))"
    assert run_python(code).stdout == "set()\n"


def test_labels_of_lines_that_end_at_one_height_stand_apart():
    _, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    style.label_line_ends(ax, [(0.5, "a", style.BLUE), (0.5, "b", style.GREEN), (0.5, "c", style.BLUE)])
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text() in "abc"]
    assert len(boxes) == 3
    for below, above in itertools.pairwise(sorted(boxes, key=lambda box: box.y0)):
        assert below.y1 <= above.y0 + 1


@pytest.mark.parametrize(
    ("value", "tick", "number"),
    [
        (0.25, "0.25", "0.25"),
        (-12345.6, "\N{MINUS SIGN}12,346", "\N{MINUS SIGN}12,346"),
        (1e-7, "1e\N{MINUS SIGN}07", "1e-07"),
    ],
)
def test_numbers_as_text(value, tick, number):
    assert style.format_tick(value) == tick
    assert style.format_number(value) == number


@pytest.mark.parametrize(
    ("values", "wide"), [([1.0, 100.0], True), ([1.0, 2.0], False), ([0.0, 9.0], False), ([np.nan], False)]
)
def test_values_that_span_decades(values, wide):
    assert style.spans_decades(np.array(values)) == wide


def test_ramps_begin_at_the_background():
    assert style.color_ramp()(0.0)[3] == 0
    assert style.color_ramp(lowest_alpha=0.2)(0.0)[3] == pytest.approx(0.2)
    both = style.color_ramp(style.BLUE, style.VERMILLION)
    to_rgb = plt.matplotlib.colors.to_rgb
    assert both(0.0)[:3] == pytest.approx(to_rgb(style.VERMILLION))
    assert both(1.0)[:3] == pytest.approx(to_rgb(style.BLUE))
    assert both(0.5)[3] < 0.01


MARKS = [
    "$x_1^2$",
    "50 $ or $60",
    r"a\b{c}_d^e",
    "$\\frac{",
    "<b>&amp;",
    "a\nb\tc",
    "\x1b\u202ertl",
    "x" * 500,
]


@pytest.mark.parametrize("usetex", [False, True])
def test_labels_are_text(usetex):
    """What matplotlib, or TeX, would take for a formula is shown as it is; in the caller's Axes, too."""
    model = fastnn.MLP([2, len(MARKS)], output="softmax", seed=0)
    y = np.arange(60) % len(MARKS)
    labels = np.array(MARKS)[y]
    p, x = model.predict_proba(MOONS), np.tile(MOONS, (1, len(MARKS)))[:, : len(MARKS)]
    wide = fastnn.MLP([len(MARKS), 2], output="softmax", seed=0)
    history = make_history().to_dict()
    history = {"$cost$" if name == "val_f1" else name: values for name, values in history.items()}

    def answer(rows):
        return labels[np.arange(len(rows)) % 60]

    calls = [
        lambda ax: plots.confusion_matrix(labels, labels[::-1], ax=ax),
        lambda ax: plots.calibration(y % 2, p[:, 0], classes=MARKS[:2], ax=ax),
        lambda ax: plots.decision_boundary(answer, MOONS, labels, ax=ax),
        lambda ax: plots.permutation_importance(wide, x, y % 2, names=MARKS, n_repeats=1, ax=ax),
        lambda ax: plots.learning_curve(history, "$cost$", ax=ax),
    ]
    with plt.rc_context({"text.usetex": usetex}):
        for call in calls:
            figure = plt.figure()
            ax = call(figure.add_subplot())
            shown = [text for text in ax.findobj(plt.Text) if "$" in text.get_text()]
            assert shown
            assert not any(text.get_parse_math() or text.get_usetex() for text in shown)
            if not usetex:
                ElementTree.fromstring(svg(figure))
            plt.close(figure)


def svg(figure):
    content = io.BytesIO()
    with plt.rc_context({"svg.fonttype": "none"}):
        figure.savefig(content, format="svg")
    return content.getvalue()


def test_ticks_are_no_formulas():
    ax = style.new_axes()
    ax.plot([1e-6, 1e6])
    style.set_log_scale(ax)
    ax.figure.canvas.draw()
    assert not any("$" in label.get_text() for label in ax.get_yticklabels())


@pytest.mark.parametrize("ax", [3, "ax", [None]])
def test_other_axes_are_refused(ax):
    with pytest.raises(TypeError, match="ax must be Axes of matplotlib, got"):
        plots.learning_curve(make_history(), ax=ax)
