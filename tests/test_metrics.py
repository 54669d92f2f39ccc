"""Metrics by name and from functions, beside scikit-learn's on the same outputs."""

import inspect
import pickle
import sys

import numpy as np
import pytest

import fastnn
from fastnn.metrics import Metric, as_metric

metrics = pytest.importorskip("sklearn.metrics")
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402

NAMES = [name for name in metrics.get_scorer_names() if name not in ("accuracy", "r2")]


@pytest.fixture(scope="module")
def fitted():
    """For each task a fitted estimator, its data, and what it gives as outputs."""

    def make(task):
        if task == "regression":
            x, y = make_regression(60, 3, noise=5.0, random_state=0)
            y = np.exp(y / 100)  # some metrics take positive values only
            model = LinearRegression().fit(x, y)
            model.intercept_ += 5
            return model, x, y, model.predict(x)
        if task == "multilabel":
            x, y = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
            model = OneVsRestClassifier(GaussianNB()).fit(x, y)
        else:
            n_classes = 2 if task == "binary" else 4
            x, y = make_classification(
                60, 6, n_informative=4, n_classes=n_classes, flip_y=0.3, random_state=0
            )
            model = GaussianNB().fit(x, y)
        return model, x, y, model.predict_proba(x)

    return {task: make(task) for task in ("binary", "multiclass", "multilabel", "regression")}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.filterwarnings("ignore")
def test_every_scorer_is_scikit_learns(fitted, task, name, weighted, rng):
    model, x, y, output = fitted[task]
    try:
        ref = metrics.get_scorer(name)(model, x, y)
    except (ValueError, AttributeError):
        with pytest.raises(ValueError, match=f"metric '{name}' cannot be used for a {task} task: "):
            as_metric(name, task)
        return
    metric = as_metric(name, task)
    if weighted:
        weights = rng.integers(1, 4, len(y)).astype(float)
        if "sample_weight" not in inspect.signature(metric.function._score_func).parameters:
            with pytest.raises(ValueError, match=f"metric '{name}' does not take sample_weight"):
                metric(y, output, weights)
            return
        if task == "multiclass" and "_ovo" in name:
            with pytest.raises(ValueError, match="sample_weight is not supported"):
                metric(y, output, weights)
            return
        ref = metrics.get_scorer(name)(model, x, y, sample_weight=weights)
        comp = metric(y, output, weights)
    else:
        comp = metric(y, output)
    assert isinstance(comp, float)
    np.testing.assert_allclose(comp, ref, rtol=1e-12)  # equal, but for the order of sums; NaN too


def test_which_scorers_go_with_which_task():
    """The comparison above would also hold where everything is refused."""
    for task, names in {
        "binary": ("roc_auc", "average_precision", "neg_log_loss", "neg_brier_score", "f1"),
        "multiclass": ("roc_auc_ovr", "neg_log_loss", "f1_macro", "balanced_accuracy", "top_k_accuracy"),
        "multilabel": ("roc_auc", "average_precision", "f1_samples", "jaccard_macro"),
        "regression": ("neg_mean_absolute_error", "neg_median_absolute_error", "neg_mean_squared_log_error"),
    }.items():  # fmt: skip
        for name in names:
            assert as_metric(name, task).higher_is_better
    for task, name in [("multiclass", "roc_auc"), ("multiclass", "f1"), ("regression", "roc_auc")]:
        with pytest.raises(ValueError, match=f"metric '{name}' cannot be used for a {task} task: "):
            as_metric(name, task)


@pytest.mark.parametrize("n_labels", [1, 2, 5])
@pytest.mark.parametrize(
    ("name", "function", "options", "decided"),
    [
        ("roc_auc", metrics.roc_auc_score, {}, False),
        ("average_precision", metrics.average_precision_score, {}, False),
        ("f1_macro", metrics.f1_score, {"average": "macro"}, True),
    ],
)
def test_labels_are_not_taken_for_classes(rng, n_labels, name, function, options, decided):
    y = rng.integers(0, 2, (50, n_labels))
    p = rng.random((50, n_labels))
    predicted = (p > 0.5).astype(int) if decided else p
    if n_labels == 1 and decided:  # scikit-learn takes one column for two classes
        pytest.skip("one label is a binary task")
    assert as_metric(name, "multilabel")(y, p) == pytest.approx(function(y, predicted, **options))


@pytest.mark.parametrize("weighted", [False, True])
def test_native_metrics(fitted, weighted, rng):
    for task in ("binary", "multiclass"):
        model, x, y, output = fitted[task]
        weights = rng.random(len(y)) if weighted else None
        ref = metrics.accuracy_score(y, model.predict(x), sample_weight=weights)
        assert as_metric("accuracy", task)(y, output, weights) == pytest.approx(ref, rel=1e-14)
    for n_out in (1, 3):
        y, output = rng.standard_normal((2, 40, n_out))
        weights = rng.random(40) if weighted else None
        ref = metrics.r2_score(y, output, sample_weight=weights, multioutput="variance_weighted")
        assert as_metric("r2", "regression")(y, output, weights) == pytest.approx(ref, rel=1e-12)
    assert as_metric("r2", "regression")(np.ones(5), np.arange(5)) == 0
    y, p = rng.integers(0, 2, (40, 3)), rng.random((40, 3))
    ref = np.mean([metrics.accuracy_score(y[:, k], p[:, k] > 0.5) for k in range(3)])
    assert as_metric("accuracy", "multilabel")(y, p) == pytest.approx(ref)


@pytest.mark.parametrize(
    ("loss", "n_out", "task", "name"),
    [
        ("cross_entropy", 3, "multiclass", "accuracy"),
        ("binary_cross_entropy", 1, "binary", "accuracy"),
        ("binary_cross_entropy", 3, "multilabel", "accuracy"),
        ("mse", 1, "regression", "r2"),
        ("mse", 3, "regression", "r2"),
    ],
)
def test_native_metrics_are_the_trainers(rng, loss, n_out, task, name):
    x = rng.standard_normal((50, 4))
    y = rng.standard_normal((50, n_out)) if task == "regression" else rng.integers(0, 2, (50, n_out))
    y = y[:, 0] if task == "multiclass" else y
    trainer = fastnn.Trainer(fastnn.MLP([4, 5, n_out], seed=0, dtype="float64"), loss=loss, seed=0)
    ref = trainer.evaluate(x, y)[name]
    assert as_metric(name, task)(y, trainer.net.predict_raw(x)) == pytest.approx(ref, rel=1e-12)


def test_outputs_of_one_or_two_columns(rng):
    y, p = rng.integers(0, 2, 30), rng.random(30)
    for name in ("roc_auc", "f1", "accuracy"):
        metric = as_metric(name, "binary")
        assert metric(y, p) == metric(y[:, None], p[:, None]) == metric(y, np.column_stack([1 - p, p]))
    y, p = rng.standard_normal((2, 30))
    metric = as_metric("neg_mean_absolute_error", "regression")
    assert metric(y, p) == metric(y[:, None], p[:, None]) == metric(y, p[:, None])


def test_functions(rng):
    y, p = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)

    def share_of_class_0(y_true, y_pred):
        return (y_pred == 0).mean()

    metric = as_metric(share_of_class_0, "multiclass")
    assert metric.name == "share_of_class_0"
    assert metric.higher_is_better
    assert metric(y, p) == (p.argmax(axis=1) == 0).mean()
    with pytest.raises(ValueError, match="metric 'share_of_class_0' does not take sample_weight"):
        metric(y, p, np.ones(30))
    share_of_class_0.higher_is_better = False
    assert not as_metric(share_of_class_0, "multiclass").higher_is_better
    assert not as_metric(metrics.zero_one_loss, "multiclass").higher_is_better
    assert as_metric(metrics.accuracy_score, "multiclass").higher_is_better
    weights = rng.random(30)
    loss = as_metric(metrics.zero_one_loss, "multiclass")(y, p, weights)
    assert loss == metrics.zero_one_loss(y, p.argmax(axis=1), sample_weight=weights)


def test_scorers_of_ones_own(rng):
    y, p = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), 30)
    scorer = metrics.make_scorer(metrics.log_loss, greater_is_better=False, response_method="predict_proba")
    metric = as_metric(scorer, "multiclass")
    assert metric.name == "log_loss"
    assert metric.higher_is_better
    assert metric(y, p) == -metrics.log_loss(y, p)
    assert as_metric(metric, "multiclass") is metric


def test_metrics_pickle(rng):
    y, p = rng.integers(0, 2, 30), rng.random(30)
    for name in ("roc_auc", "accuracy"):
        metric = as_metric(name, "binary")
        assert pickle.loads(pickle.dumps(metric))(y, p) == metric(y, p)


@pytest.mark.parametrize(
    ("spec", "task", "error", "message"),
    [
        ("f1_macr", "binary", ValueError, r"metric must be .*, got 'f1_macr'\. Did you mean 'f1_macro'\?"),
        ("acuracy", "binary", ValueError, r"Did you mean 'accuracy'\?"),
        (3, "binary", TypeError, r"a metric must be a name or a function f\(y_true, y_pred\), got 3"),
        ("f1", "binry", ValueError, r"task must be one of .* Did you mean 'binary'\?"),
        ("r2", "binary", ValueError, "metric 'r2' cannot be used for a binary task"),
        ("accuracy", "regression", ValueError, "metric 'accuracy' cannot be used for a regression task"),
    ],
)  # fmt: skip
def test_what_is_refused(spec, task, error, message):
    with pytest.raises(error, match=message):
        as_metric(spec, task)


def test_shapes_that_do_not_fit():
    metric = Metric("accuracy", "multiclass", as_metric("accuracy", "multiclass").function)
    with pytest.raises(ValueError, match=r"output of shape \(3,\) does not fit a multiclass task"):
        metric([0, 1, 2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="y_true has 2 rows and output has 3"):
        metric([0, 1], np.eye(3))
    with pytest.raises(ValueError, match="y_true has 3 rows and sample_weight has 2"):
        metric([0, 1, 2], np.eye(3), [1, 1])


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert as_metric("accuracy", "binary")([0, 1], [0.1, 0.9]) == 1
    with pytest.raises(ImportError, match=r'pip install "fastnn-core\[sklearn\]"'):
        as_metric("roc_auc", "binary")
