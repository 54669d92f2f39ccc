"""scikit-learn's own checks of estimators, with no expected failure."""

import pytest

import fastnn

estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [
    fastnn.MLPClassifier(),
    fastnn.MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.1),
    # without a penalty it becomes so sure that probabilities are exactly 1, as scikit-learn's do
    fastnn.MLPClassifier(solver="lbfgs", alpha=1.0, tol=1e-2),
    fastnn.MLPClassifier(solver="adamw", norm="layer", dropout=0.1, learning_rate="cosine", clip_norm=1.0),
    # training for long enough: some checks have 20 rows, of which 4 are held out, and ask for good scores
    fastnn.MLPClassifier(early_stopping=True, validation_fraction=0.2, n_iter_no_change=100),
    fastnn.MLPRegressor(),
    fastnn.MLPRegressor(solver="sgd"),
    fastnn.MLPRegressor(solver="lbfgs", tol=1e-2),
    fastnn.MLPRegressor("huber", average=fastnn.EMA(0.9), max_norm=3.0, l1_ratio=0.5),
]


@estimator_checks.parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
