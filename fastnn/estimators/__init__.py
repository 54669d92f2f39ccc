"""Estimators with scikit-learn's interface."""

from .._checks import install_command

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  (new in scikit-learn 1.6)
except ImportError as error:
    raise ImportError(
        f"MLPClassifier and MLPRegressor need scikit-learn 1.6 or newer: {install_command('sklearn')}."
    ) from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
