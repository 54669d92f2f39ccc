"""The first phase of a step, in parts."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn._jit import jit
from fastnn.kernels.address import pointer_to
from fastnn.kernels.records import HookContext, delta_of
from fastnn.kernels.rows_phase import rows_phase
from fastnn.kernels.team import new_team
from fastnn.network.layout import from_panels


@jit
def rows_of_part(part, n_parts, number, n_rows, team, network, work, data, objective, start):
    context = HookContext(pointer_to(network), pointer_to(work), part, n_parts, team, number, n_rows, True)
    rows_phase(context, network, work, data, objective, start, np.float64(n_rows))


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_rows_in_parts(problem, n_parts):
    """The parts one after the other: if one read or wrote rows of another, it would show."""
    comp, ref = problem(), problem()
    if comp.network.rows_coupled:
        pytest.skip("parts wait for each other")
    n_rows = 47
    for each, n in ((comp, n_parts), (ref, 1)):
        for part in reversed(range(n)):
            rows_of_part(part, n, 1, n_rows, new_team(), *each[:4], 3)
    for name in ("row_loss", "row_score"):
        np.testing.assert_array_equal(getattr(comp.work, name), getattr(ref.work, name))
    for layer in comp.network.layers[: comp.network.n_layers]:
        capacity, n_out = comp.work.capacity, layer["n_out"]
        deltas = (from_panels(delta_of(layer, each.work), capacity) for each in (comp, ref))
        np.testing.assert_array_equal(*(delta[:n_rows, :n_out] for delta in deltas))
