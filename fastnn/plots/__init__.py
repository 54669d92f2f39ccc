"""Pictures of training, of networks and of their predictions."""

from .plots import (
    COLORS,
    Calibration,
    Picture,
    boundary_animation,
    calibration,
    confusion_matrix,
    decision_boundary,
    first_layer_weights,
    histograms,
    learning_curve,
    permutation_importance,
    predicted_against_true,
    residuals,
    run_pictures,
    save_pictures,
)

__all__ = [
    "COLORS",
    "Calibration",
    "Picture",
    "boundary_animation",
    "calibration",
    "confusion_matrix",
    "decision_boundary",
    "first_layer_weights",
    "histograms",
    "learning_curve",
    "permutation_importance",
    "predicted_against_true",
    "residuals",
    "run_pictures",
    "save_pictures",
]
