"""Estimators with scikit-learn's interface."""

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  (new in scikit-learn 1.6)
except ImportError as error:
    raise ImportError(
        'MLPClassifier and MLPRegressor need scikit-learn 1.6 or newer: pip install "fastnn[sklearn]".'
    ) from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
