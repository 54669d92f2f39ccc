"""scikit-learn's own checks of estimators, with no expected failure."""

import pytest

import fastnn

estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# With dropout or early_stopping, rows of weight 2 are not the same as rows that are there twice, which one of
# the checks wants; and partial_fit with early_stopping wants validation data, which no check has.
OTHERS = [
    fastnn.MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.1),
    # without a penalty it becomes so sure that probabilities are exactly 1, as scikit-learn's do
    fastnn.MLPClassifier(solver="lbfgs", alpha=1.0, tol=1e-2),
    fastnn.MLPClassifier(solver="adamw", norm="layer", learning_rate="cosine", clip_norm=1.0),
    fastnn.MLPRegressor(solver="sgd"),
    fastnn.MLPRegressor(solver="lbfgs", tol=1e-2),
    fastnn.MLPRegressor("huber", average=fastnn.EMA(0.9), max_norm=3.0, l1_ratio=0.5),
]


@estimator_checks.parametrize_with_checks([fastnn.MLPClassifier(), fastnn.MLPRegressor()])
def test_defaults(estimator, check):
    check(estimator)


@pytest.mark.slow
@estimator_checks.parametrize_with_checks(OTHERS)
def test_other_options(estimator, check):
    check(estimator)
