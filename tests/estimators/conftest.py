"""Data sets of the estimators' tests, which need scikit-learn."""

import importlib.util

import pytest

if importlib.util.find_spec("sklearn") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def wine():
    from estimators.comparison import rows

    return rows("multiclass")[:2]


@pytest.fixture
def cancer():
    from estimators.comparison import rows

    return rows("binary")[:2]
