"""What the tests of searches share: one search that several of them look at."""

import pytest

from tuning.searches import search


@pytest.fixture(scope="session")
def found():
    pytest.importorskip("optuna")
    return search(n_trials=13)
