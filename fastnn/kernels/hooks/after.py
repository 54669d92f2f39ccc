"""What happens to the weights after an update: their norm is limited, and their mean over steps kept."""

from __future__ import annotations

import math

import numpy as np

from ..._jit import jit, span
from ..address import value_at
from ..simd import borrowed, matrix
from ..sizes import PAD
from ..step import weights_of


@jit
def limit_norms(w, w_t, has_t, limit, n_in, o0, o1):
    """Scale columns o0 to o1 of w down to a norm of at most `limit` (Srivastava et al., 2014).

    w : (> n_in, >= o1) (in, out); rows 0 to n_in
    w_t : (>= o1, >= n_in) (in, out): the transposed weights, if there are any
    """
    for o in range(o0, o1):
        total = 0.0
        for i in range(n_in):
            total += np.float64(w[i, o]) * w[i, o]
        if total > limit * limit:
            factor = w.dtype.type(limit / math.sqrt(total))
            for i in range(n_in):
                w[i, o] *= factor
            if has_t:
                for i in range(n_in):
                    w_t[o, i] = w[i, o]


@jit
def move_average(average, w, keep, i0, i1, o0, o1):
    """``average = keep average + (1 - keep) w`` (Polyak and Juditsky, 1992); elements are independent."""
    rest = w.dtype.type(1 - keep)
    for i in span(i0, i1):
        for o in span(o0, o1):
            average[i, o] += rest * (w[i, o] - average[i, o])


@jit
def after_update(turn, optimizer):
    """Both, on the columns of every layer that are this part's."""
    network, optimizer = value_at(turn.network), borrowed(optimizer)
    settings = optimizer.settings[0]
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        n = (layer.n_out + PAD - 1) // PAD
        o0 = turn.part * n // turn.n_parts * PAD
        o1 = min(layer.n_out, (turn.part + 1) * n // turn.n_parts * PAD)
        w = weights_of(layer, network.params)
        if settings.max_norm > 0 and layer.column < 0:
            w_t = matrix(network.params_t, layer.t_start, layer.n_out, layer.t_cols)
            limit_norms(w, w_t, layer.t_cols > 0, settings.max_norm, layer.n_in, o0, o1)
        if optimizer.average.size > 0:
            average = weights_of(layer, optimizer.average)
            move_average(average, w, settings.keep, np.intp(0), layer.w_rows, o0, o1)
