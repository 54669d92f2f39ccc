"""Pictures of layers: they are the recorded histograms and the network's weights."""

import numpy as np
import pytest

from plots.samples import MOONS, SIDES

plt = pytest.importorskip("matplotlib.pyplot")

import fastnn  # noqa: E402
from fastnn import plots  # noqa: E402
from fastnn.plots import layers  # noqa: E402
from fastnn.training.recording import RecordHistograms  # noqa: E402


def test_names_of_columns_stand_where_medians_end(recorders):
    ax = plots.histograms(recorders[1], layer=1)
    ax.figure.canvas.draw()
    box = ax.texts[-1].get_window_extent()
    end = ax.transData.transform(ax.get_lines()[0].get_xydata()[-1])[1]
    assert abs((box.y0 + box.y1) / 2 - end) < 15


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
    monkeypatch.setattr(layers, "MOST_EPOCHS", 3)
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


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
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
    ],
)
def test_what_is_refused(call, error, message, net, recorders):
    with pytest.raises(error, match=message):
        call(net, recorders[1])
    assert plt.get_fignums() == []
