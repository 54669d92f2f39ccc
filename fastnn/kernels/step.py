"""Training and scoring: the compiled calls that run many steps, or one forward pass over many rows.

A step has two phases, each parallel over what it writes, with a barrier after each: :mod:`.rows_phase` and
:mod:`.weights_phase`. There is one compiled form of each call and dtype. Architecture, activations, loss and
optimiser are data.
"""

from __future__ import annotations

import numpy as np

from .._jit import jit
from .address import call_at, no_words, pointer_to
from .batches import weight_of
from .dense import dense_backward_weights
from .records import (
    COST_SUM,
    FAILED,
    NOT_FINITE,
    NOT_TOGETHER,
    PENALTY_SUM,
    ROWS_DONE,
    SCORE_SUM,
    STEPS_DONE,
    WEIGHT_SUM,
    HookContext,
    delta_of,
    input_of,
    weights_of,
)
from .rows_phase import forward_rows, load_rows, loss_rows, rows_phase
from .simd import borrowed, padded
from .sizes import ROW_BLOCK
from .team import share_start, team_assemble, team_meet
from .weights_phase import AT_ONCE, COLLECT, USE, clip_factor, pack, weights_phase


@jit
def train_part(part, n_parts, team, network, work, data, objective, state, plan, totals):
    """Train on ``indices[first : first + n_rows]`` in batches: the share of one part.

    plan : (first, n_rows, batch_size, step), the last counting batches from 1
    totals : (N_TOTALS,) float64 (in, out): sums over the steps are added, by part 0
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, state = borrowed(objective), borrowed(state)
    team, totals = borrowed(team), borrowed(totals)
    network_at, work_at = pointer_to(network), pointer_to(work)
    first, n_rows, batch_size, step = plan
    settings = state.settings[0]
    if not team_assemble(team, n_parts):
        totals[FAILED] = NOT_TOGETHER
        return
    end = first + n_rows
    while first < end:
        n = min(batch_size, end - first)
        # The update is for this batch, or for a group of batches.
        begin, stop = first, first + n
        if settings.accumulate > 1:
            begin = first // (batch_size * settings.accumulate) * batch_size * settings.accumulate
            stop = min(data.indices.size, begin + batch_size * settings.accumulate)
        index = first // (batch_size * settings.accumulate)
        total = weight_of(data, begin, stop)
        context = HookContext(network_at, work_at, part, n_parts, team, step, n, np.bool_(True))
        rows_phase(context, network, work, data, objective, first, total)
        team_meet(team, n_parts)
        # Every part adds up the losses, so that all decide alike without another barrier.
        cost = score = 0.0
        for r in range(n):
            cost += work.row_loss[r]
            score += work.row_score[r]
        if not np.isfinite(cost):
            if part == 0:
                totals[FAILED] = NOT_FINITE
            return
        if part == 0:
            weight = weight_of(data, first, first + n)
            totals[COST_SUM] += cost * (n / weight)
            totals[SCORE_SUM] += score
            totals[WEIGHT_SUM] += weight
            totals[STEPS_DONE] += 1
            totals[ROWS_DONE] += n
        updates = first + n == stop
        mode, scale = COLLECT if state.full_grad.size > 0 else AT_ONCE, 1.0
        goes_on = True
        while goes_on:
            fresh = first == begin
            weights_phase(context, network, work, data, state, first, index, total, mode, fresh, scale)
            goes_on = mode == COLLECT and updates
            if goes_on:
                team_meet(team, n_parts)
                mode, scale = USE, clip_factor(state)
        if updates and settings.after_hook != 0:
            team_meet(team, n_parts)
            call_at(settings.after_hook, (context, state))
        team_meet(team, n_parts)
        if part == 0 and updates and settings.l2 + settings.l1 > 0:
            # The totals weigh a batch's cost and penalty by its rows.
            totals[PENALTY_SUM] += state.penalty.sum() * (stop - begin)
        step += 1
        first += n


@jit
def pack_weights(network):
    """Renew the weights' panels after something other than a step has written the parameters."""
    network = borrowed(network)
    for depth in range(network.n_layers):
        layer = network.layers[depth]
        pack(layer, network, np.intp(0), layer.w_rows, np.intp(0), padded(layer.n_out))


@jit
def gradient(grads, network, work, data, objective, n_rows):
    """Forward, loss and gradient of the first n_rows of the data; return the cost.

    grads : (n_params,) (out), laid out as the parameters; padding columns are written as 0
    Dropout and normalisation are those of the first step of a training.
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, grads = borrowed(objective), borrowed(grads)
    where = pointer_to(network), pointer_to(work)
    context = HookContext(where[0], where[1], 0, 1, no_words(), 1, n_rows, np.bool_(False))
    total = weight_of(data, 0, n_rows)
    rows_phase(context, network, work, data, objective, 0, total)
    zero = np.intp(0)
    for depth in range(network.layers.size):
        layer = network.layers[depth]
        grad_w, a_in, delta = weights_of(layer, grads), input_of(layer, work), delta_of(layer, work)
        n_cols = padded(layer.n_out)
        stop = layer.n_in + 1 if layer.column < 0 else 0
        if depth == 0 and data.starts.size > 0:
            call_at(network.sparse_sort, (context, pointer_to(data), 0, 0, layer.w_rows))
            call_at(network.sparse_gradient, (grad_w, context, 0, stop, 0, n_cols))
        else:
            dense_backward_weights(grad_w, a_in, delta, work.capacity, n_rows, zero, stop, zero, n_cols)
        if layer.w_rows > stop:
            call_at(network.gradient_hook, (grad_w, context, depth, 0, layer.w_rows, 0, n_cols))
    return work.row_loss[:n_rows].sum() / total


@jit
def score_part(part, n_parts, losses, scores, network, work, data, objective):
    """Loss and score of all rows of the data, or of those at its indices: the blocks of one part.

    losses, scores : (n,) float64 (out): see :func:`.losses.loss_and_delta`
    Each part works in rows of its own of the workspace.
    """
    network, work, data = borrowed(network), borrowed(work), borrowed(data)
    objective, losses, scores = borrowed(objective), borrowed(losses), borrowed(scores)
    n_rows = losses.size
    block = min(ROW_BLOCK, work.capacity // n_parts)
    own = part * block
    n_blocks = (n_rows + block - 1) // block
    where = pointer_to(network), pointer_to(work)
    context = HookContext(where[0], where[1], part, n_parts, no_words(), 0, n_rows, np.bool_(False))
    for b in range(share_start(part, n_parts, n_blocks), share_start(part + 1, n_parts, n_blocks)):
        first = b * block
        n = min(block, n_rows - first)
        load_rows(network, work, data, context, first - own, 0, own, own + n)
        forward_rows(network, work, data, data.starts.size > 0, context, first - own, own, own + n)
        loss_rows(network, work, data, objective, first - own, float(n_rows), own, own + n)
        for r in range(n):
            losses[first + r] = work.row_loss[own + r]
            scores[first + r] = work.row_score[own + r]
