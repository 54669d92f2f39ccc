"""Scores against scikit-learn, intervals against those that are known in closed form."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy import stats
from sklearn import metrics

from fastnn import evaluation
from fastnn.evaluation import baseline, evaluate_predictions, wilson, worst_rows

CLASSIFICATION = ["accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"]
REGRESSION = ["r2", "mae", "rmse"]


def classified(rng, n, k, digits=None, dtype="float64"):
    """Class numbers with probabilities that know something; with few digits there are ties."""
    truth = rng.choice(k, size=n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += 1.0
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if digits is not None:
        p = np.maximum(p.round(digits), 0.01)
        p /= p.sum(axis=1, keepdims=True)
    return truth, p.argmax(axis=1), p.astype(dtype)


def of_sklearn(truth, prediction, p):
    """What scikit-learn gives under the names used here."""
    k = p.shape[1]
    auc = (
        metrics.roc_auc_score(truth, p[:, 1])
        if k == 2
        else metrics.roc_auc_score(truth, p, multi_class="ovr", average="macro")
    )
    return {
        "accuracy": metrics.accuracy_score(truth, prediction),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, prediction),
        "f1_macro": metrics.f1_score(truth, prediction, average="macro"),
        "log_loss": metrics.log_loss(truth, p, labels=range(k)),
        "roc_auc": auc,
    }


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("digits", [None, 1])
def test_classification_agrees_with_sklearn(rng, k, digits):
    truth, prediction, p = classified(rng, 400, k, digits)
    found = evaluate_predictions(truth, prediction, probabilities=p, classes=range(k), n_resamples=20)
    expected = of_sklearn(truth, prediction, p)
    assert list(found) == CLASSIFICATION
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("k", [2, 5])
def test_a_resample_scores_as_its_rows_do(rng, k):
    """Weights are how often a row was drawn: the same as scikit-learn on the rows drawn."""
    truth, prediction, p = classified(rng, 300, k, digits=1)
    _, weighted = evaluation._classification(evaluation._Labels(truth, prediction, p, range(k)))
    for _ in range(5):
        drawn = rng.integers(300, size=300)
        weights = np.bincount(drawn, minlength=300).astype(float)
        for name, value in of_sklearn(truth[drawn], prediction[drawn], p[drawn]).items():
            assert weighted[name](weights) == pytest.approx(value, rel=1e-10), name
    y, output = rng.normal(5, 1, (300, 2)), rng.normal(5, 1, (300, 2))
    _, weighted = evaluation._regression(y, output)
    drawn = rng.integers(300, size=300)
    weights = np.bincount(drawn, minlength=300).astype(float)
    assert weighted["r2"](weights) == pytest.approx(metrics.r2_score(y[drawn], output[drawn]), rel=1e-9)
    expected = metrics.root_mean_squared_error(y[drawn], output[drawn])
    assert weighted["rmse"](weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3)])
def test_regression_agrees_with_sklearn(rng, shape):
    truth = rng.normal(1e4, 1, shape)
    prediction = (truth + rng.normal(size=shape) / 2).astype("float32")
    found = evaluate_predictions(truth, prediction, n_resamples=20)
    assert list(found) == REGRESSION
    assert found["r2"]["value"] == pytest.approx(metrics.r2_score(truth, prediction))
    assert found["mae"]["value"] == pytest.approx(metrics.mean_absolute_error(truth, prediction))
    assert found["rmse"]["value"] == pytest.approx(metrics.root_mean_squared_error(truth, prediction))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson(confidence):
    """The ends are the shares p at which ``(hits / n - p)^2 = z^2 p (1 - p) / n``."""
    z2 = stats.norm.ppf((1 + confidence) / 2) ** 2
    for n_hits, n in ((0, 5), (1, 5), (5, 5), (37, 60), (997, 1000)):
        share = n_hits / n
        roots = np.roots([1 + z2 / n, -2 * share - z2 / n, share**2])
        assert wilson(n_hits, n, confidence) == pytest.approx(sorted(roots), abs=1e-9)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1


def test_bootstrap_agrees_with_the_binomial(rng):
    """Balanced accuracy of equally many of each class is a share of hits as well."""
    n = 2000
    truth = np.repeat([0, 1], n // 2)
    prediction = np.where(rng.random(n) < 0.8, truth, 1 - truth)
    found = evaluate_predictions(truth, prediction, classes=[0, 1])
    share = found["balanced_accuracy"]["value"]
    assert found["accuracy"]["value"] == pytest.approx(share)
    reach = 1.96 * math.sqrt(share * (1 - share) / n)
    low, high = found["balanced_accuracy"]["low"], found["balanced_accuracy"]["high"]
    assert low == pytest.approx(share - reach, abs=0.1 * reach)
    assert high == pytest.approx(share + reach, abs=0.1 * reach)
    assert found["balanced_accuracy"]["method"] == "bootstrap, percentiles"


def test_bootstrap_agrees_with_the_normal_interval_of_a_mean(rng):
    n = 3000
    truth = rng.normal(size=n)
    found = evaluate_predictions(truth, truth + rng.exponential(size=n))["mae"]
    reach = 1.96 / math.sqrt(n)  # of which the standard deviation is 1
    assert found["value"] == pytest.approx(1, abs=3 * reach)
    assert found["high"] - found["low"] == pytest.approx(2 * reach, rel=0.15)


def test_bootstrap_agrees_with_scipy(rng):
    """The same percentiles from SciPy's resampling of the same rows."""
    truth = rng.normal(size=300)
    prediction = truth + rng.normal(size=300) / 2
    found = evaluate_predictions(truth, prediction, n_resamples=2000)["r2"]
    peer = stats.bootstrap(
        (truth, prediction),
        lambda y, p, axis: 1 - ((y - p) ** 2).sum(axis) / ((y - y.mean(axis, keepdims=True)) ** 2).sum(axis),
        paired=True,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = peer.high - peer.low
    assert (found["low"], found["high"]) == pytest.approx((peer.low, peer.high), abs=0.1 * width)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(rng):
    """Of 100 samples, 95 % should cover what many rows show; four standard deviations are allowed."""
    inside = {"roc_auc": 0, "f1_macro": 0, "log_loss": 0}
    many = evaluate_predictions(
        *(big := classified(rng, 200_000, 3))[:2], probabilities=big[2], classes=range(3)
    )
    for seed in range(100):
        truth, prediction, p = classified(rng, 150, 3)
        found = evaluate_predictions(
            truth, prediction, probabilities=p, classes=range(3), n_resamples=500, seed=seed
        )
        for name in inside:
            inside[name] += found[name]["low"] <= many[name]["value"] <= found[name]["high"]
    for name, n in inside.items():
        assert n >= 95 - 4 * math.sqrt(100 * 0.95 * 0.05), f"{name}: {n} of 100"


def test_a_rare_class_that_is_never_found_widens_nothing(rng):
    """A resample without its two rows must not score as if the class were not to be found."""
    truth = np.array(["rare"] * 2 + ["a", "b"] * 100)
    prediction = np.where(rng.random(202) < 0.9, truth, "a")
    prediction[:2] = "a"
    p = np.column_stack([prediction == name for name in ("a", "b", "rare")]) * 0.8 + 0.1
    found = evaluate_predictions(truth, prediction, probabilities=p, classes=["a", "b", "rare"])
    for name in ("balanced_accuracy", "f1_macro"):
        assert found[name]["value"] < 0.67
        assert found[name]["high"] < found[name]["value"] + 0.05
    assert found["roc_auc"]["high"] - found["roc_auc"]["low"] < 0.1


def test_many_rows_take_few_resamples_and_agree(rng, monkeypatch):
    truth, prediction, p = classified(rng, 4000, 2)
    options = {"probabilities": p, "classes": [0, 1]}
    full = evaluate_predictions(truth, prediction, **options)
    monkeypatch.setattr(evaluation, "_WORK", 4000 * 4 * 200)
    few = evaluate_predictions(truth, prediction, **options)
    for name in ("log_loss", "roc_auc", "f1_macro"):
        assert few[name]["method"] == "bootstrap, normal"
        width = full[name]["high"] - full[name]["low"]
        assert few[name]["high"] - few[name]["low"] == pytest.approx(width, rel=0.25)
        assert few[name]["low"] <= few[name]["value"] <= few[name]["high"]


def test_same_seed_same_intervals_and_confidence_widens(rng):
    truth, prediction, _ = classified(rng, 200, 3)
    first, again = (evaluate_predictions(truth, prediction, seed=3) for _ in range(2))
    assert first == again
    assert evaluate_predictions(truth, prediction, seed=4) != first
    wide = evaluate_predictions(truth, prediction, seed=3, confidence=0.99)
    for name in first:
        assert wide[name]["low"] < first[name]["low"]
        assert wide[name]["high"] > first[name]["high"]


def test_labels_of_any_kind(rng):
    truth, prediction, p = classified(rng, 200, 3)
    expected = evaluate_predictions(truth, prediction, probabilities=p, classes=range(3))
    for classes in (["x", "y", "z"], [False, "y", 7], [1.5, 2.5, 3.5], [None, "b", "c"]):
        named = [np.array([classes[k] for k in codes], object) for codes in (truth, prediction)]
        assert evaluate_predictions(*named, probabilities=p, classes=classes) == expected


def test_labels_are_compared_by_their_text():
    for truth, prediction in (([" a", "b "], ["a", "b"]), (["1", "2"], [1.0, 2.0])):
        for classes in (None, sorted(prediction)):
            found = evaluate_predictions(truth, prediction, classes=classes, task="classification")
            assert found["accuracy"]["value"] == 1
    assert baseline([" a", "a", "b"], ["a ", "b"])["accuracy"] == 0.5


def test_everything_right(rng):
    truth = np.array([0, 1] * 15)
    found = evaluate_predictions(truth, truth, probabilities=truth.astype("float32"), classes=[0, 1])
    assert found["accuracy"]["low"] == pytest.approx(0.886, abs=1e-3)
    assert found["accuracy"]["high"] == 1
    assert found["roc_auc"]["value"] == found["roc_auc"]["low"] == 1
    assert found["log_loss"]["value"] == pytest.approx(0, abs=1e-6)


def test_what_is_not_defined_is_left_out():
    one_class = evaluate_predictions([1, 1, 1], [1, 0, 1], probabilities=[0.9, 0.4, 0.8], classes=[0, 1])
    assert "roc_auc" not in one_class
    assert one_class["balanced_accuracy"]["value"] == pytest.approx(2 / 3)
    assert list(evaluate_predictions([2.0], [1.0])) == ["mae", "rmse"]
    constant = evaluate_predictions([2.0, 2.0], [1.0, 2.0])
    assert list(constant) == ["mae", "rmse"]
    assert all(np.isfinite(list(score.values())[:3]).all() for score in constant.values())


def test_a_class_that_training_never_saw_counts_as_wrong():
    found = evaluate_predictions(
        ["a", "b", "new"], ["a", "b", "a"], probabilities=[[1, 0], [0, 1], [1, 0]], classes=["a", "b"]
    )
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["log_loss"]["value"] == pytest.approx(-math.log(np.finfo(float).eps) / 3)


def test_float32_probabilities_raise_no_warning(rng):
    truth, prediction, p = classified(rng, 500, 4, dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate_predictions(truth, prediction, probabilities=p, classes=range(4), n_resamples=2)
    exact = p.astype(float) / p.astype(float).sum(axis=1, keepdims=True)
    assert found["log_loss"]["value"] == pytest.approx(metrics.log_loss(truth, exact), rel=1e-12)


def test_worst_rows():
    assert worst_rows([0.5, 2.0, 0.5, 3.0]).tolist() == [3, 1, 0, 2]
    assert worst_rows([0.5, 2.0, 3.0], n=1).tolist() == [2]
    assert worst_rows([-2.0, -1.0]).tolist() == [1, 0]  # as losses that are likelihoods may be
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        worst_rows([1.0], n=-1)


def test_baseline_agrees_with_dummies(rng):
    from sklearn.dummy import DummyClassifier, DummyRegressor

    train, test = rng.choice(["a", "b", "c"], 90, p=[0.2, 0.5, 0.3]), rng.choice(["a", "b", "c"], 60)
    dummy = DummyClassifier(strategy="most_frequent").fit(train, train)
    shares = DummyClassifier(strategy="prior").fit(train, train).predict_proba(test)
    found = baseline(train, test)
    assert found["accuracy"] == dummy.score(test, test)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["roc_auc"] == 0.5
    assert found["log_loss"] == pytest.approx(metrics.log_loss(test, shares))
    train, test = rng.normal(size=50), rng.normal(size=40)
    dummy = DummyRegressor().fit(train, train)
    assert baseline(train, test)["r2"] == pytest.approx(dummy.score(test, test))
    assert baseline([1, 3], [2, 4], task="regression")["mae"] == 1


def test_baseline_with_classes_that_a_part_lacks():
    assert baseline(["a", "a"], ["a", "new"], classes=["a", "b"])["accuracy"] == 0.5
    with pytest.raises(ValueError, match="truth_train is empty"):
        baseline([], ["a"])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1], [0]), {}, "truth has 2 rows and prediction has 1"),
        (([], []), {}, "truth is empty: expected at least one row"),
        (
            ([0, 1], [0, 1]),
            {"probabilities": [[0.5, 0.3, 0.2]] * 2},
            "a column for each of 2 classes, got shape",
        ),
        (([0, 1], [0, 1]), {"probabilities": [0.5, math.nan]}, "probabilities must be finite"),
        (
            ([0, 1], [0, 1]),
            {"classes": ["no", "yes"]},
            r"truth must hold labels of the classes \('no', 'yes'\), got 0",
        ),
        (([[0, 1]], [[0, 1]]), {}, r"truth must have shape \(n,\), one label per row, got \(1, 2\)"),
        (([1.0, 2.0], [1.0, math.nan]), {}, "prediction has 1 values that are NaN or infinite"),
        (([1.0, 2.0], [[1.0, 2.0]] * 2), {}, "truth has 1 outputs and prediction has 2"),
        (([1.0], [1.0]), {"confidence": 1.0}, "confidence must lie in"),
        (([1.0], [1.0]), {"task": "regresion"}, "Did you mean 'regression'"),
        (([1.0], [1.0]), {"n_resamples": 0}, "n_resamples must be at least 1"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_predictions(*arguments, **options)
