"""Permutation importance: it is scikit-learn's, of networks, models and estimators."""

import numpy as np
import pytest

from plots.samples import MOONS, SIDES

plt = pytest.importorskip("matplotlib.pyplot")
pytest.importorskip("sklearn")

import fastnn  # noqa: E402
from fastnn import plots  # noqa: E402


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
        (
            lambda n: plots.permutation_importance(3, MOONS, SIDES),
            TypeError,
            "needs an estimator.* got int",
        ),
        (lambda n: plots.permutation_importance(n, MOONS, [1]), ValueError, "x has 60 rows and y has 1"),
        (
            lambda n: plots.permutation_importance(n, MOONS, SIDES, names=["a"]),
            ValueError,
            "names has 1 entries, but x has 2 features",
        ),
        (
            lambda n: plots.permutation_importance(n, [1, 2], [1, 2]),
            ValueError,
            "x must have 2 dimensions",
        ),
    ],
)
def test_what_is_refused(call, error, message, net):
    with pytest.raises(error, match=message):
        call(net)
    assert plt.get_fignums() == []
