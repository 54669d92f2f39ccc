"""The second phase of a step, after the first, in parts."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn._jit import jit
from fastnn.kernels.address import pointer_to
from fastnn.kernels.records import HookContext
from fastnn.kernels.team import new_team
from fastnn.kernels.weights_phase import AT_ONCE, COLLECT, USE, weights_phase
from kernels.test_rows_phase import rows_of_part


@jit
def weights_of_part(part, n_parts, number, n_rows, team, network, work, data, state, start, mode):
    context = HookContext(pointer_to(network), pointer_to(work), part, n_parts, team, number, n_rows, True)
    total = np.float64(n_rows)
    fresh = number == 1
    weights_phase(context, network, work, data, state, start, number, total, mode, fresh, 0.5)


@pytest.mark.parametrize("n_parts", [2, 3, 7])
def test_phases_in_parts(problem, n_parts):
    """The parts one after the other: if one read or wrote weights or rows of another, it would show."""
    comp, ref = problem(), problem()
    if comp.network.rows_coupled:
        pytest.skip("parts wait for each other")
    for each, n in ((comp, n_parts), (ref, 1)):
        for start, n_rows, number in [(0, 32, 1), (32, 17, 2), (49, 1, 3)]:
            parts = list(reversed(range(n)))
            for part in parts:
                rows_of_part(part, n, number, n_rows, new_team(), *each[:4], start)
            collects = each.state.full_grad.size > 0
            for mode in (COLLECT, USE) if collects else (AT_ONCE,):
                for part in parts:
                    records = each.network, each.work, each.data, each.state
                    weights_of_part(part, n, number, n_rows, new_team(), *records, start, mode)
    comp.assert_same_bits(ref)
    for name in ("row_loss", "row_score"):
        np.testing.assert_array_equal(getattr(comp.work, name), getattr(ref.work, name))
    for name in ("penalty", "norms"):
        np.testing.assert_array_equal(getattr(comp.state, name), getattr(ref.state, name))
