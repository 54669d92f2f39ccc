"""Terms of a report: every score and every unplanned stop of a run has words."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastnn.app.terms import SCORES, STOPS, UNPLANNED_STOPS
from fastnn.evaluation import evaluate_predictions


def test_every_score_has_a_meaning():
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    found = evaluate_predictions([0, 1, 1], [0, 1, 0], probabilities=p, n_resamples=10)
    found |= evaluate_predictions([1.0, 2.0, 4.0], [1.0, 2.5, 3.0], n_resamples=10)
    assert set(found) == set(SCORES)


def test_unplanned_stops_are_explained():
    assert set(UNPLANNED_STOPS) < set(STOPS)
