"""The hook that runs after an update: it limits the norm of weights, and moves their average over steps."""

from __future__ import annotations

import math

import numpy as np

from ..._jit import jit, span
from ..address import value_at
from ..records import weights_of
from ..simd import borrowed
from ..team import owned_columns
from ..weights_phase import pack


@jit
def limit_norms(w, limit, n_in, o0, o1):
    """Scale columns o0 to o1 of w down to a norm of at most `limit` (Srivastava et al., 2014).

    w : (> n_in, >= o1) (in, out); rows 0 to n_in
    """
    for o in range(o0, o1):
        total = 0.0
        for i in range(n_in):
            total += np.float64(w[i, o]) * w[i, o]
        if total > limit * limit:
            factor = w.dtype.type(limit / math.sqrt(total))
            for i in range(n_in):
                w[i, o] *= factor


@jit
def move_average(average, w, decay, i0, i1, o0, o1):
    """``average = decay average + (1 - decay) w`` (Polyak and Juditsky, 1992); elements are independent."""
    rest = w.dtype.type(1 - decay)
    for i in span(i0, i1):
        for o in span(o0, o1):
            average[i, o] += rest * (w[i, o] - average[i, o])


@jit
def after_update(context, state):
    """Limit norms and move the average, on the columns of every layer that the part owns."""
    network, state = value_at(context.network), borrowed(state)
    settings = state.settings[0]
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        o0, o1 = owned_columns(context.part, context.n_parts, layer.n_out)
        stop = min(layer.n_out, o1)
        w = weights_of(layer, network.params)
        if settings.max_norm > 0 and layer.column < 0:
            limit_norms(w, settings.max_norm, layer.n_in, o0, stop)
            pack(layer, network, np.intp(0), layer.w_rows, o0, o1)
        if state.average.size > 0:
            average = weights_of(layer, state.average)
            move_average(average, w, settings.average_decay, np.intp(0), layer.w_rows, o0, stop)
