"""Rows that several files of tests train on."""

from __future__ import annotations

import numpy as np
import pytest
from data.streams.conftest import npy  # noqa: F401

from fastnn import EMA, Checkpoint
from training.resuming import fit, make_trainer


@pytest.fixture
def noise(rng):
    """Rows of which nothing can be learnt, and others to see that on."""
    x, y = rng.standard_normal((2, 40, 5)), rng.integers(0, 2, (2, 40))
    return x[0], y[0], (x[1], y[1])


@pytest.fixture
def blobs():
    """Three overlapping classes in the plane, 400 rows."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    return rng.standard_normal((400, 2)) + 1.5 * np.eye(3, 2)[y], y


@pytest.fixture
def three_classes(rng):
    return rng.standard_normal((60, 4)), rng.integers(0, 3, 60)


@pytest.fixture
def four_classes(rng):
    """300 rows, of which no batch of a power of two is a divisor, in four classes."""
    return rng.standard_normal((300, 20)), rng.integers(0, 4, 300)


@pytest.fixture
def xor():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x, np.array([0, 1, 1, 0])


@pytest.fixture
def written(tmp_path):
    """A folder with three checkpoints."""
    fit(make_trainer(EMA(0.9)), 3, checkpoint=Checkpoint(tmp_path))
    return Checkpoint(tmp_path)
