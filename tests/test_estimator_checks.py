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
    fastnn.MLPClassifier(dtype="float64"),
    fastnn.MLPRegressor(),
    fastnn.MLPRegressor(solver="sgd"),
    fastnn.MLPRegressor(solver="lbfgs", tol=1e-2),
    fastnn.MLPRegressor(dtype="float64"),
]


@estimator_checks.parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    if check.func.__name__.startswith("check_sample_weight_equivalence"):
        # It wants two trainings that sum in another order to agree to 1e-7, which float32 cannot tell apart.
        estimator.set_params(dtype="float64")
    check(estimator)
