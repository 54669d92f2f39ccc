"""Pictures of training, of networks and of their predictions.

Every drawing function draws into the Axes that it is given, or into those of a new figure, and returns them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .boundary import boundary_animation as boundary_animation
    from .boundary import decision_boundary as decision_boundary
    from .curves import learning_curve as learning_curve
    from .importance import permutation_importance as permutation_importance
    from .layers import first_layer_weights as first_layer_weights
    from .layers import histograms as histograms
    from .predictions import Calibration as Calibration
    from .predictions import calibration as calibration
    from .predictions import confusion_matrix as confusion_matrix
    from .predictions import predicted_against_true as predicted_against_true
    from .predictions import residuals as residuals
    from .run import Picture as Picture
    from .run import run_pictures as run_pictures
    from .run import save_pictures as save_pictures
    from .style import COLORS as COLORS

_HOMES = {
    "COLORS": "style",
    "Calibration": "predictions",
    "Picture": "run",
    "boundary_animation": "boundary",
    "calibration": "predictions",
    "confusion_matrix": "predictions",
    "decision_boundary": "boundary",
    "first_layer_weights": "layers",
    "histograms": "layers",
    "learning_curve": "curves",
    "permutation_importance": "importance",
    "predicted_against_true": "predictions",
    "residuals": "predictions",
    "run_pictures": "run",
    "save_pictures": "run",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
