"""Kernels that a network or a training may ask for, each compiled when it is first used.

The core (``step.py``) has in itself what every training needs. What one may ask for besides stands here: an
activation, a loss or an optimiser the core does not know, and the user's own; normalisation, dropout and
residual connections; sparse rows; what happens after an update. The core calls such a kernel by its address,
which is data to it. So a new one makes the core neither larger nor slower, and compiles in about a second.

All of one kind have one signature:

activation
    ``(a, slopes, alpha, r0, r1, n_out)``: ``a[r, o]`` (in, out) is z before and f(z) after,
    ``slopes[r, o]`` (out) is f'(z); rows r0 to r1, columns 0 to n_out. `alpha`, float64, is the
    activation's number, for those that have one. Elements are independent.
loss
    ``(row_loss, row_score, delta, z, y, numbers, scale, share, output, n_out, r0, r1)``: as
    :func:`fastnn.kernels.losses.loss_and_delta`, with the loss's own `numbers` (float64 vector, may be
    empty) in place of its code. Padding columns of delta may be left as they are.
update
    ``(w, g, m, v, u, constants, rates, terms, i0, i1, o0, o1)``: one step of ``w[i0:i1, o0:o1]`` with the
    gradient g; m, v, u are the optimiser's state, as many of them as it has. `constants` are its numbers,
    `rates` those that change from step to step with the learning rate as the first (float64 vectors), and
    `terms` (:class:`fastnn.kernels.updates.Terms`) what is done to gradient and weight around it.
    Elements are independent.
"""
