"""Fixtures of the tests of phases and calls."""

from __future__ import annotations

import pytest
from problems import CASES, make_problem


@pytest.fixture(params=CASES.values(), ids=CASES)
def problem(request, dtype):
    """Make the same problem at every call; options are those of the case unless others are given."""

    def make(**options):
        options = request.param.training | options
        if options.get("sparse") and "embeddings" in request.param.net:
            pytest.skip("an embedded column is dense")
        return make_problem(request.param, dtype, **options)

    return make
