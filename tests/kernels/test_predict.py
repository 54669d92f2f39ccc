"""Prediction as a whole, in one part and in several."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_step
from problems import N_ROWS

from fastnn.kernels import predict


@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_predict(problem, dtype, n_parts):
    comp = problem(capacity=n_parts * 7, sparse=False)
    network, work = comp.network, comp.work
    n_in, n_out = network.layers["n_in"][0], network.layers["n_out"][network.n_layers - 1]
    x = reference.dense_x(comp.data, n_in)
    out = np.full((N_ROWS, n_out), np.nan, dtype)
    twin = reference.doubled(out)
    for part in range(n_parts):
        predict.predict_hooked_part(part, n_parts, out, x, network, work)
    reference_step.predict_hooked_part(0, 1, twin, *reference.doubled((x, network, work)))
    bound = 20 * np.finfo(dtype).eps  # as above
    np.testing.assert_allclose(out, twin, rtol=bound, atol=bound)

    if not (network.layers["hooked"].any() or network.columns.size):
        for panels in (network.panels, network.panels[:0]):  # without them, from the weights as they are
            state = network.layers, network.params, panels, network.output, work.activations
            plain = np.full_like(out, np.nan)
            for part in range(n_parts):
                predict.predict_part(part, n_parts, plain, x, *state, work.row_loss, work.row_score)
            np.testing.assert_array_equal(plain, out)
