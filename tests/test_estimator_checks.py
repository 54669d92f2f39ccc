"""scikit-learn's own checks of estimators, with no expected failure."""

import pytest

import fastnn

estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@estimator_checks.parametrize_with_checks(
    [
        fastnn.MLPClassifier(),
        fastnn.MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.1),
        # without a penalty it becomes so sure that probabilities are exactly 1, as scikit-learn's do
        fastnn.MLPClassifier(solver="lbfgs", alpha=1.0),
        fastnn.MLPRegressor(),
        fastnn.MLPRegressor(solver="sgd", learning_rate="invscaling", power_t=0.1),
        fastnn.MLPRegressor(solver="lbfgs"),
        fastnn.MLPRegressor(dtype="float64"),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
