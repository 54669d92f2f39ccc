"""The gradient by the inputs: rows forward as in prediction, and a gradient by the outputs back to x."""

from __future__ import annotations

import numpy as np

from ..._jit import jit, span
from ..address import call_at, no_words, pointer_to
from ..batches import copy_to_panels
from ..losses import clear_padding
from ..records import HookContext, delta_of, output_delta_of
from ..rows_phase import backward_rows, forward_rows, output_rows
from ..simd import borrowed
from ..sizes import PAD, ROW_BLOCK
from ..team import share_start
from .losses import linear


@jit
def input_gradient_part(part, n_parts, grads, x, output_grad, network, work):
    """``grads[r, i] = sum_o output_grad[r, o] d a[r, o] / d x[r, i]``: the blocks of rows of one part.

    grads : (n, n_features) (out): 0 for features that are embedded
    x : (n, n_features)
    output_grad : (n, n_out), by the activated outputs a
    network : with a delta of its inputs, as networks that embed have it
    """
    grads, x, output_grad = borrowed(grads), borrowed(x), borrowed(output_grad)
    network, work = borrowed(network), borrowed(work)
    n_rows, capacity = x.shape[0], work.capacity
    block = min(ROW_BLOCK, capacity // n_parts)
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    last, inputs = network.layers[network.n_layers - 1], network.layers[network.n_layers]
    where = pointer_to(network), pointer_to(work)
    context = HookContext(where[0], where[1], part, n_parts, no_words(), 0, n_rows, np.bool_(False))
    for b in range(share_start(part, n_parts, n_blocks), share_start(part + 1, n_parts, n_blocks)):
        first = b * block
        stop = own + min(block, n_rows - first)
        call_at(network.embed_hook, (context, x, no_words(), first - own, own, stop))
        forward_rows(network, work, x, np.bool_(False), context, first - own, own, stop)
        z, delta, y = output_rows(last, work, own, stop), output_delta_of(last, work), work.y
        for r in range(own, stop):
            for o in span(0, last.n_out):
                y[r, o] = output_grad[first - own + r, o]
        numbers, output = work.row_loss, network.output
        linear(work.row_loss, work.row_score, delta, z, y, numbers, 1.0, 1.0, output, last.n_out, own, stop)
        clear_padding(delta, last.n_out, own, stop)
        if last.d_cols > PAD:
            copy_to_panels(delta_of(last, work), delta, capacity, own, stop, np.intp(0), last.d_cols)
        backward_rows(network, work, context, own, stop)
        delta_in = delta_of(inputs, work)
        for r in range(own, stop):
            for c in range(network.columns.size):
                i = network.columns[c]
                value = delta_in[i // PAD * capacity + r, i % PAD] if i >= 0 else grads.dtype.type(0)
                grads[first - own + r, c] = value
